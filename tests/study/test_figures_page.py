"""The page of figures is what its record says, its pictures are there, small enough, and of the phantom."""

from __future__ import annotations

import pytest

from house.source import REPOSITORY
from liver_anomaly_study.figures.catalogue import PAPER_FIGURES
from liver_anomaly_study.figures.figures_page import MARK, PAGE, blocks, numbers_of
from liver_anomaly_study.page import renewed
from liver_anomaly_study.record import RECORD

FOLDER, IMAGES, LARGEST = REPOSITORY / "docs" / "evidence", "../images/evidence", 150_000
AGAIN = "run 'liver-anomaly-study figures'"


def test_the_page_is_what_the_record_says() -> None:
    made = blocks(numbers_of("phantom", RECORD), IMAGES, "phantom")
    text = (FOLDER / PAGE).read_text(encoding="utf-8")
    assert not (homeless := [name for name in made if MARK.format(name) not in text]), homeless
    assert renewed(text, made, MARK) == text, AGAIN


@pytest.mark.parametrize("name", list(PAPER_FIGURES))
def test_a_picture_on_record_is_there_and_small(name: str) -> None:
    if name not in numbers_of("phantom", RECORD):
        pytest.skip("not drawn yet")
    path = FOLDER / IMAGES / f"{name}.{PAPER_FIGURES[name].ending}"
    assert path.exists(), AGAIN
    assert path.stat().st_size <= LARGEST
