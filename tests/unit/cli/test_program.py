"""What ends a verb becomes one sentence and an exit code; help is quick."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pytest

from builders import refusal_of
from napari_liver_anomaly.cli import ASKED, CRASHED, DONE, REFUSED, STOPPED, VERBS
from napari_liver_anomaly.cli.program import run_program
from napari_liver_anomaly.cli.verb import Verb, say
from napari_liver_anomaly.errors import Answer, Cancelled, Question, Refusal
from napari_liver_anomaly.settings import REQUIRED, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job

ENDS = {
    "refusal": refusal_of(Refusal, "a-code", "It is so.", "It means that.", "Do this."),
    "question": refusal_of(
        Question, "b-code", "Which?", "It means that.", "Say.", (Answer(words="The second", option="series", value=2),)
    ),
    "cancel": Cancelled("stopped"),
    "interrupt": KeyboardInterrupt(),
    "fault": ZeroDivisionError("/home/somebody/secret"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class EndVerb(Verb):
    """End in some way."""

    how: Literal["well", "refusal", "question", "cancel", "interrupt", "fault"] = setting(REQUIRED, positional=True, help="How.")

    def run(self, job: Job) -> None:
        """Report a step, then end."""
        job.at("Ending", 0, 1)
        if self.how != "well":
            raise ENDS[self.how]
        say("Well.")


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ("refusal", REFUSED, "toy: It is so. It means that. Do this.\n"),
        ("question", ASKED, "toy: Which? It means that. Say.\n  --series 2               The second\n"),
        ("cancel", STOPPED, "toy: stopped; no result was written.\n"),
        ("interrupt", STOPPED, "toy: stopped; no result was written.\n"),
        ("well", DONE, ""),
    ],
)
def test_each_end_has_its_code_and_sentence(how: str, code: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program("toy", "A toy.", {"end": f"{__name__}:EndVerb"}, ["end", how]) == code
    printed = capsys.readouterr()
    assert printed.err == said
    assert printed.out == ("Well.\n" if how == "well" else "")


def test_a_fault_names_places_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_program("toy", "A toy.", {"end": f"{__name__}:EndVerb"}, ["end", "fault"]) == CRASHED
    printed = capsys.readouterr().err
    assert printed.startswith("toy: The program is at fault (ZeroDivisionError in ")
    assert "program.py:" in printed
    assert "secret" not in printed


def test_help_and_wrong_usage_load_no_torch() -> None:
    code = """
import sys
from napari_liver_anomaly.cli import VERBS, main
for words in (["--help"], *([verb, "--help"] for verb in VERBS), ["segment", "a"], ["segment", "a", "--out", "b", "--threshold", "7"]):
    try:
        main(words)
    except SystemExit as stop:
        assert stop.code == (0 if words[-1] == "--help" else 2), words
    else:
        raise AssertionError(words)
print([name for name in ("torch", "scipy", "skimage", "qtpy", "napari", "nibabel", "pydicom") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_only_the_module_of_the_verb_is_loaded() -> None:
    code = """
import sys
from napari_liver_anomaly.cli import main
try:
    main(["models", "--help"])
except SystemExit:
    print(sorted(name for name in sys.modules if name.startswith("napari_liver_anomaly.cli.")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "napari_liver_anomaly.cli.models" in done.stdout
    assert "napari_liver_anomaly.cli.train" not in done.stdout
    assert len(VERBS) > 10
