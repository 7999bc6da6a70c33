"""The chooser of series: what it shows, what can be chosen, and that its pictures are made beside the window."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from qtpy.QtCore import Qt

from builders import nifti_file, refusal_of
from napari_liver_anomaly import io as reading
from napari_liver_anomaly.errors import Answer, Question, Refusal
from napari_liver_anomaly.gui.loading import SeriesEntry
from napari_liver_anomaly.gui.series_chooser import NUMBER, PICTURE, SeriesChooser, lines_of, tip_of


@dataclass
class Entry:
    """Stands for what reading lists."""

    number: int
    slices: int = 40
    kind: str = "axial, kernel B30f"
    phase: str = ""
    description: str = "Abdomen 1.5 B30f"
    readable: bool = True
    rows: int = 512
    columns: int = 512
    spacing_mm: tuple[float, float, float] = (1.5, 0.7, 0.7)
    thickness_mm: float | None = 1.5
    archive_number: int | None = None
    made_in: list[str] = field(default_factory=list)

    def thumbnail(self):
        self.made_in.append(threading.current_thread().name)
        return None if not self.readable else np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))


ENTRIES = (
    Entry(2, phase="+12 s"),
    Entry(3, 120, phase="+38 s"),
    Entry(1, 2, kind="Localiser: only an overview", description="Topogram", readable=False),
)


def listed(entries):
    return [SeriesEntry(entry, entry.thumbnail()) for entry in entries]


@pytest.fixture
def chooser(qtbot):
    made = SeriesChooser(listed(ENTRIES))
    qtbot.addWidget(made)
    return made


def test_every_fact_is_said_in_a_line():
    assert lines_of(ENTRIES[1]) == (
        "Series 3, +38 s", "Axial, kernel B30f", "120 slices, 0.70 × 0.70 × 1.5 mm", "Abdomen 1.5 B30f",
    )  # fmt: skip
    assert lines_of(replace(ENTRIES[1], archive_number=502))[0] == "Series 3 (archive: 502), +38 s"
    plain = Entry(7, description="", spacing_mm=(5, 0.9, 0.8))
    assert lines_of(plain) == ("Series 7", "Axial, kernel B30f", "40 slices, 0.80 × 0.90 × 5.0 mm")
    assert lines_of(ENTRIES[2]) == ("Series 1: cannot be read", "Localiser: only an overview, 2 slices", "Topogram")
    nowhere = Entry(8, 1, spacing_mm=(float("nan"), 0.8, 0.8), readable=False)
    assert lines_of(nowhere)[1].endswith("1 slice") and lines_of(nowhere, "Slices have no place.")[1] == "Slices have no place."
    assert tip_of(plain).endswith("40 slices of 512 × 512 pixels, 1.5 mm thick")


def test_the_longest_that_can_be_read_is_chosen_and_the_others_are_grey(chooser):
    assert chooser.count() == 3 and chooser.number == 3
    grey = chooser.item(2)
    assert not grey.flags() & Qt.ItemFlag.ItemIsEnabled and grey.data(PICTURE) is None
    picture = chooser.item(0).data(PICTURE).toImage()
    assert (picture.width(), picture.height()) == (64, 64)
    assert [picture.pixelColor(x, 9).red() for x in (0, 20, 63)] == [0, 80, 252]


def test_a_double_click_opens_what_can_be_read(chooser):
    opened = []
    chooser.opened.connect(opened.append)
    for row in (0, 2):
        chooser.itemDoubleClicked.emit(chooser.item(row))
    assert opened == [2]


def test_none_that_can_be_read(qtbot):
    made = SeriesChooser(listed(ENTRIES[2:]))
    qtbot.addWidget(made)
    assert made.number is None


def test_drawing_shows_the_pictures_and_cuts_long_lines(qtbot):
    long = Entry(4, 8, description="a description " * 20)
    made = SeriesChooser(listed((*ENTRIES, long)))
    qtbot.addWidget(made)
    made.resize(300, made.height())
    made.show()
    drawn = made.grab().toImage()
    ramps = [drawn.pixelColor(64, 34 + 72 * row).red() - drawn.pixelColor(6, 34 + 72 * row).red() for row in range(3)]
    assert ramps[0] > 200 and ramps[1] > 200 and ramps[2] == 0, "pictures of two series, none of the third"
    assert made.minimumSizeHint().width() < 200


@pytest.mark.parametrize("how", ["button", "double click", "leave"])
def test_several_series_become_a_chooser(make_panel, viewer, tmp_path, qtbot, monkeypatch, how):
    read = reading.read
    path = nifti_file(tmp_path / "scan.nii")
    given = []

    def ask(where, answers=None, **_):
        given.append(answers.series)
        if answers.series == 1:
            raise refusal_of(Refusal, "slices-few", "Two slices are no scan.", "Nothing was read.", "Choose another.")
        if answers.series == 0:
            choices = tuple(Answer(words=f"Series {n}", option="series", value=n) for n in (2, 3))
            raise refusal_of(Question, "several-series", "This folder holds 3 series.", "One is meant.", "Choose one.", choices)
        return read(where)

    monkeypatch.setattr(reading, "read", ask)
    entries = [Entry(2, phase="+12 s"), Entry(3, 120), Entry(1, 2, readable=False)]
    panel = make_panel(viewer, series_in=lambda where: entries)
    with qtbot.waitSignal(panel.asked, timeout=30_000):
        panel.open([path])
    (made,) = panel.scans.question.findChildren(SeriesChooser)
    assert [made.item(n).data(NUMBER) for n in range(3)] == [2, 3, 1]
    assert {name for entry in entries for name in entry.made_in} == {"liver-anomaly"}, "beside the window's thread"
    assert "Two slices are no scan." in made.item(2).toolTip()
    assert list(panel.scans.question.buttons) == ["Open", "Leave it"] and panel.scans.question.buttons["Open"].isEnabled()
    if how == "leave":
        panel.scans.question.press("Leave it")
        assert not panel.scans.question.isVisibleTo(panel) and not viewer.layers
        return
    with qtbot.waitSignal(panel.loaded, timeout=30_000):
        if how == "button":
            made.setCurrentRow(0)
            panel.scans.question.press("Open")
        else:
            made.itemDoubleClicked.emit(made.item(1))
    assert given == [0, 1, 2 if how == "button" else 3] and [layer.name for layer in viewer.layers] == ["scan"]
    assert not panel.scans.question.isVisibleTo(panel)
