"""The tutorial in Python: its blocks run as they stand, one after the other, and print what it says, to the last digits of another processor."""

from __future__ import annotations

import contextlib
import io
import re

import pytest

from house.source import REPOSITORY

PAGE = REPOSITORY / "docs" / "start" / "tutorial-python.md"
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"[-+−]?\d[\d,]*\.?\d*")


def numbers(text):
    return [float(found.replace(",", "").replace("−", "-")) for found in NUMBER.findall(text)]


@pytest.mark.slow
def test_every_block_prints_what_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    printed = ""
    blocks = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    assert sum(kind == "python" for kind, _ in blocks) > 5
    for kind, block in blocks:
        if kind == "python":
            assert not printed, f"not on the page: {printed}"
            with contextlib.redirect_stdout(io.StringIO()) as told:
                exec(compile(block, PAGE.name, "exec"), names)  # noqa: S102
            printed = told.getvalue()
            continue
        assert NUMBER.sub("#", printed) == NUMBER.sub("#", block)
        for real, said in zip(numbers(printed), numbers(block), strict=True):
            assert real == pytest.approx(said, rel=0.1, abs=2 if said.is_integer() else 0.1), block
        printed = ""
    assert (tmp_path / "results" / "report.json").is_file()
