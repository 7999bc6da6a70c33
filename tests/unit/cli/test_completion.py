"""What the shell completes comes from the classes of the verbs."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from liver_anomaly_study.cli import main as study
from napari_liver_anomaly.cli import VERBS, main

if TYPE_CHECKING:
    from pathlib import Path


def completed(script: str, function: str, words: list[str], folder: Path) -> list[str]:
    """What bash would offer for the last of the words."""
    ask = f"COMP_WORDS=({shlex.join(words)}); COMP_CWORD={len(words) - 1}; {function} {words[0]} {shlex.quote(words[-1])} {shlex.quote(words[-2])}"
    lines = f'{script}\n{ask}\nprintf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", lines], capture_output=True, text=True, check=True, cwd=folder)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_verbs_flags_choices_and_files(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["completion", "bash"]) == 0
    script, function = capsys.readouterr().out, "_shtab_liver_anomaly"
    (tmp_path / "scan.nii").touch()
    for words, offered in (
        (["liver-anomaly", ""], set(VERBS)),
        (["liver-anomaly", "segment", "--li"], {"--links", "--liver", "--liver-label"}),
        (["liver-anomaly", "segment", "--pea"], set()),  # a former name is not offered
        (["liver-anomaly", "segment", "--device", "c"], {"cpu", "cuda"}),
        (["liver-anomaly", "segment", "--liver", "sc"], {"scan.nii"}),
        (["liver-anomaly", "completion", "z"], {"zsh"}),
    ):
        found = set(completed(script, function, words, tmp_path))
        assert found >= offered if words[-1] == "" else found == offered, (words, found)


def test_every_shell_and_both_programs_get_a_script(capsys: pytest.CaptureFixture[str]) -> None:
    for program, name, verb in ((main, "liver-anomaly", "segment"), (study, "liver-anomaly-study", "long-training")):
        for shell in ("bash", "zsh", "fish"):
            assert program(["completion", shell]) == 0
            script = capsys.readouterr().out
            assert name in script and verb in script
