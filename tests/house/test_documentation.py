"""What the documents tell a reader to type, press or follow is there."""

from __future__ import annotations

import ast
import importlib
import re
import runpy
import shlex
import subprocess
from typing import TYPE_CHECKING

import pytest

from house.source import PACKAGE, PRODUCT, REPOSITORY, told

if TYPE_CHECKING:
    from pathlib import Path

PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
FUZZER = "python -m tests.fuzz"
PARSERS = {"liver-anomaly": f"{PACKAGE}.cli", "liver-anomaly-study": "liver_anomaly_study.cli", FUZZER: "fuzz.__main__"}
ADDRESS = "napari-liver-anomaly/napari-liver-anomaly"
PICTURES = f"https://raw.githubusercontent.com/{ADDRESS}/main/"
OURS = re.compile(rf"{re.escape(PICTURES)}|https://github\.com/{ADDRESS}/(blob|tree)/main/")
NAPARIS_OWN = {"Choose reader", "Remember this choice", "Liver Anomaly"}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def joined(block: str) -> list[str]:
    """Lines of a block, those that end in a backslash together with the next."""
    return block.replace("\\\n", " ").splitlines()


def commands() -> list[tuple[str, list[str]]]:
    """Every command of the documents, as words."""
    lines = [(page.name, line) for page in PAGES for block in blocks(page, "bash") for line in joined(block)]
    short = [
        (name, line.replace(FUZZER, shlex.quote(FUZZER))) for name, line in lines if "liver-anomaly" in line or FUZZER in line
    ]
    split = [(name, shlex.split(line.split("||")[0], comments=True)) for name, line in short]
    return [(name, words) for name, words in split if words and words[0] in PARSERS]


def test_every_command_of_the_documents_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    parsers = {name: importlib.import_module(module).make_parser() for name, module in PARSERS.items()}
    given = commands()
    assert {words[0] for _, words in given} == set(PARSERS)
    for page, words in given:
        try:
            parsers[words[0]].parse_args(words[1:])
        except SystemExit:
            pytest.fail(f"{page}: {' '.join(words)}")
        assert capsys.readouterr().err == "", f"{page} uses a former name: {' '.join(words)}"


def test_the_page_of_commands_is_that_of_the_classes() -> None:
    page = runpy.run_path(str(REPOSITORY / "docs" / "command_page.py"))
    assert page["PAGE"].read_text(encoding="utf-8") == page["made"](), "run python docs/command_page.py"


@pytest.mark.parametrize("name", ["performance_page", "scale_page"])
def test_the_figures_of_a_page_are_those_of_the_record(name: str) -> None:
    page = runpy.run_path(str(REPOSITORY / "docs" / f"{name}.py"))
    assert page["PAGE"].read_text(encoding="utf-8") == page["page"](), f"run python docs/{name}.py"


def test_every_example_in_python_names_what_there_is() -> None:
    package = importlib.import_module(PACKAGE)
    examples = [block for page in PAGES for block in blocks(page, "python")]
    assert len(examples) > 2
    for example in examples:
        for node in ast.walk(ast.parse(example)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nla":
                assert node.attr in package.__all__, node.attr


def lost_links(page: Path, text: str) -> list[str]:
    """Links of a page to files that are not there: beside it, or in the repository by its public address."""
    targets = [(target, OURS.sub("", target)) for target in re.findall(r"(?:\]\(|^\[[^\]]+\]: )([^)#\s]+)", text, re.MULTILINE)]
    here = {target: page.parent / target for target, _ in targets if not re.match(r"[a-z]+:", target)}
    here |= {target: REPOSITORY / rest for target, rest in targets if rest != target}
    return [f"{page.relative_to(REPOSITORY)}: {target}" for target, path in here.items() if not path.exists()]


def test_every_link_leads_somewhere() -> None:
    found = [link for page in PAGES for link in lost_links(page, page.read_text(encoding="utf-8"))]
    assert not found, told(found)
    text = f"[a](gone.md) ![b]({PICTURES}docs/gone.png) [c](https://example.org/gone) [d](docs/index.md#x)\n[e]: lost.md"
    assert lost_links(PAGES[0], text) == ["README.md: gone.md", "README.md: lost.md", f"README.md: {PICTURES}docs/gone.png"]


def test_the_readme_shows_its_pictures_wherever_it_is_read() -> None:
    """A package index shows the README without the files beside it."""
    text = PAGES[0].read_text(encoding="utf-8")
    assert not re.findall(r"\]\((?!https://)[^)]*\)", text), "every link of the README is absolute"
    assert all(target.startswith(PICTURES) for target in re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text))


def test_every_button_that_is_named_is_there() -> None:
    """Words in italics on the pages about the panels are what the panels say."""
    panels = "\n".join(path.read_text(encoding="utf-8") for path in (PRODUCT / "gui").glob("*.py"))
    panels += (PRODUCT / "napari.yaml").read_text(encoding="utf-8")
    settings = importlib.import_module(f"{PACKAGE}.settings"), importlib.import_module(f"{PACKAGE}.segmentation").SegmentSettings
    panels += "\n".join(option.label for option in settings[0].options(settings[1]))  # rows are made from them
    use = REPOSITORY / "docs" / "use"
    pages = "\n".join(
        path.read_text(encoding="utf-8") for path in (use / "radiologists.md", *sorted((use / "panel").glob("*.md")))
    )
    pages += (REPOSITORY / "README.md").read_text(encoding="utf-8").split("## In napari")[1].split("\n## ")[0]
    named = set(re.findall(r"(?<!\*)\*([A-Z][^*\n]+)\*(?!\*)", pages)) - NAPARIS_OWN
    assert len(named) > 8
    assert not (lost := sorted(word for word in named if word not in panels)), lost


def test_the_set_up_that_the_documents_name_is_there() -> None:
    script = REPOSITORY / "docs" / "setup.sh"
    verbs = {verb for page in PAGES for verb in re.findall(r"bash docs/setup\.sh (\w+)", page.read_text(encoding="utf-8"))}
    assert verbs >= {"demo", "test"}
    known = re.search(r"^    ([\w |]+)\) verb=", script.read_text(encoding="utf-8"), re.MULTILINE)
    assert known is not None
    assert verbs <= set(known[1].split(" | "))
    told_how = subprocess.run(["bash", str(script), "nonsense"], capture_output=True, text=True, check=False)
    assert told_how.returncode == 2
    assert "bash docs/setup.sh demo" in told_how.stdout
