"""Every mutant of ``tests/mutants.py`` still has its place in the source, and tests that are there."""

from __future__ import annotations

import pytest

from house.source import REPOSITORY
from mutants import MUTANTS


@pytest.mark.parametrize(("file", "tests", "wrong", "there", "instead"), MUTANTS)
def test_the_piece_stands_there_once(file, tests, wrong, there, instead):
    source = (REPOSITORY / "src" / file).read_text(encoding="utf-8")
    assert source.count(there) == 1 and source.replace(there, instead) != source, wrong
    compile(source.replace(there, instead), file, "exec")
    assert all((REPOSITORY / "tests" / one).exists() for one in tests.split())


def test_there_are_more_than_twenty():
    assert len({(file, instead) for file, _, _, _, instead in MUTANTS}) == len(MUTANTS) > 20
