"""The panel compares with last time: rows, outlines on the scan, a table to save."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt

from napari_liver_anomaly.gui import follow_up_section
from napari_liver_anomaly.gui.follow_up_section import cells
from napari_liver_anomaly.gui.layers import Role, find
from napari_liver_anomaly.io import write_image, write_labels
from napari_liver_anomaly.io.earlier_reading import Place

LONG_MS = 120_000


def test_last_time_is_compared_with_what_is_on_screen(make_panel, sample, run, tmp_path, qtbot):
    panel, path = make_panel(ViewerModel(), sample), tmp_path / "then.liver-session"
    assert not panel.follow_ups.button.isEnabled()
    run(panel)
    panel.follow_ups.button.click()
    compare = panel.follow_ups.section.compare
    assert panel.follow_ups.section.compare.isVisible() and not panel.follow_ups.section.table.isVisible()
    with qtbot.waitSignal(panel.sessions.saved, timeout=LONG_MS):
        panel.sessions.save(path)
    shown = panel.controller.shown
    gone = shown.lesions[1]
    panel.lesions.keep(gone, False)
    qtbot.waitUntil(lambda: not panel.controller.busy, timeout=LONG_MS)
    with qtbot.waitSignal(panel.follow_ups.compared, timeout=LONG_MS):
        panel.follow_ups.section.wanted.emit(Place(path))
        assert not compare.isEnabled() and "in progress" in compare.toolTip()
    qtbot.waitUntil(lambda: compare.isEnabled() and "earlier scan" in compare.toolTip(), timeout=LONG_MS)
    rows = panel.follow_ups.section.found.rows
    assert [row.state for row in rows] == ["followed", "vanished"]
    assert cells(rows[0])[4] == "+0 %" and cells(rows[1])[1:3] == ("–", f"{gone.volume_ml:.1f} → –")
    earlier = find(panel.viewer, Role.EARLIER, shown.scan)
    assert (earlier.data > 0).sum() > (shown.tumours.data > 0).sum()
    _goes_by_the_arrow_keys(panel, gone, earlier, qtbot)
    with qtbot.waitSignal(panel.follow_ups.writing.returned, timeout=LONG_MS):
        panel.follow_ups.section.exported.emit(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text().count("\n") == 3
    _goes_stale_and_is_renewed(panel, qtbot)
    rows = panel.follow_ups.section.found.rows
    with qtbot.waitSignal(panel.follow_ups.comparing.ended, timeout=LONG_MS):
        panel.follow_ups.section.wanted.emit(Place(tmp_path / "table.csv"))
    assert "without its scan and liver" in panel.messages.text and panel.follow_ups.section.found.rows == rows, (
        "the former comparison stays"
    )


def test_lesions_of_another_program_are_compared_with_their_scan_and_liver(other_files, qtbot):
    """No body is as small as this scan, which is asked about beside the table, and read on with the answer."""
    panel = other_files((lambda liver, lesion: liver), (lambda liver, lesion: lesion))
    question = panel.follow_ups.section.question
    assert question.isVisible() and question.answers[-1] == "Leave it" and not panel.messages.text
    with qtbot.waitSignal(panel.follow_ups.compared, timeout=LONG_MS):
        question.press(question.answers[0])
    assert sorted(row.state for row in panel.follow_ups.section.found.rows) == ["followed", "new"]
    assert not question.isVisible()
    assert any("voxel" in str(finding) for finding in panel.follow_ups.section.found.findings), "what was accepted is told"


def test_liver_and_lesions_in_one_mask_are_asked_about(other_files, qtbot):
    """A file with 1 for the liver and 2 for its tumours, as many data sets have it, never makes the liver a lesion."""
    panel = other_files(*[lambda liver, lesion: liver.astype(np.uint8) + lesion] * 2)
    question, follow = panel.follow_ups.section.question, panel.follow_ups
    with qtbot.waitSignal(follow.asked, timeout=LONG_MS):
        question.press(question.answers[0])
    assert "liver mask holds 2 labels" in question.text
    with qtbot.waitSignal(follow.asked, timeout=LONG_MS):
        question.press(next(words for words in question.answers if words.startswith("All")))
    assert "fills 100 % of the liver" in question.text and question.answers[0].startswith("Label 2: ")
    with qtbot.waitSignal(follow.compared, timeout=LONG_MS):
        question.press(question.answers[0])
    assert sorted(row.state for row in follow.section.found.rows) == ["followed", "new"]
    assert "left out: 1" in panel.messages.text, "what was chosen is told"


def test_a_question_left_alone_compares_nothing_and_another_file_asks_anew(other_files, qtbot):
    panel = other_files((lambda liver, lesion: liver), (lambda liver, lesion: lesion))
    question, follow = panel.follow_ups.section.question, panel.follow_ups
    with qtbot.waitSignal(follow.asked, timeout=LONG_MS):
        follow.section.wanted.emit(follow._place)
    question.press("Leave it")
    assert not question.isVisible() and follow.section.found is None and not follow.comparing.busy


@pytest.fixture
def other_files(make_panel, sample, run, tmp_path, qtbot, monkeypatch):
    """A panel with a result that is compared with files of another program, which hold what is made of liver and first lesion."""

    def make(liver_of, lesions_of):
        panel = make_panel(ViewerModel(), sample)
        run(panel)
        now, geometry, liver = panel.controller.shown, sample.volume.geometry, sample.liver.voxels
        lesion = liver & (now.tumours.data == now.lesions[0].number)
        write_image(sample.volume.voxels, geometry, tmp_path / "ct.nii.gz")
        for name, of in (("liver", liver_of), ("lesions", lesions_of)):
            write_labels(of(liver, lesion).astype(np.uint8), geometry, tmp_path / f"{name}.nii.gz")
        chosen = iter([None, *(tmp_path / f"{name}.nii.gz" for name in ("lesions", "ct", "liver"))])
        monkeypatch.setattr(follow_up_section, "ask_file", lambda *_: next(chosen))
        panel.follow_ups.section.compare.click()
        with qtbot.waitSignal(panel.follow_ups.asked, timeout=LONG_MS):
            panel.follow_ups.section.compare.click()
        return panel

    return make


def _goes_stale_and_is_renewed(panel, qtbot):
    """Once lesions are others than those that were compared, the table says so, is not saved, and leads to places, not to numbers."""
    section, viewer = panel.follow_ups.section, panel.viewer
    (kept,), (rejected,) = panel.controller.shown.lesions, panel.controller.shown.left_out
    before = section.text.text()
    assert "1 lesion followed" in before and section.renew.isHidden() and section.export.isEnabled()
    for lesion, keeps in ((kept, False), (rejected, True)):
        panel.lesions.keep(lesion, keeps)
        qtbot.waitUntil(lambda: not panel.controller.busy, timeout=LONG_MS)
    (other,) = panel.controller.shown.lesions
    assert other.number == kept.number and other.centroid_index != kept.centroid_index, "another lesion has the number by now"
    assert "have changed since" in section.text.text() and section.renew.isVisibleTo(section) and not section.export.isEnabled()
    viewer.dims.set_current_step(0, 0)
    section.table.clearSelection()
    section.picked.emit(section.found.rows[0])
    assert kept.first_slice <= viewer.dims.current_step[0] <= kept.last_slice, "where the lesion of the row was"
    with qtbot.waitSignal(panel.follow_ups.compared, timeout=LONG_MS):
        section.renew.click()
    assert sorted(row.state for row in section.found.rows) == ["followed", "vanished"] and section.renew.isHidden()
    assert section.text.text() == section.found.summary and section.export.isEnabled()


def _goes_by_the_arrow_keys(panel, gone, earlier, qtbot):
    """Each row leads to its lesion, which is marked; one that is gone to where it was."""
    table, viewer, (kept,) = panel.follow_ups.section.table, panel.viewer, panel.controller.shown.lesions
    assert table.accessibleName() == "Follow-up"
    viewer.dims.set_current_step(0, 0)
    table.selectRow(0)
    assert kept.first_slice <= viewer.dims.current_step[0] <= kept.last_slice
    assert [row.lesion for row in panel.table.chosen] == [kept]
    qtbot.waitUntil(lambda: panel.controller.shown.marked == kept.number, timeout=LONG_MS)
    viewer.dims.set_current_step(0, 0)
    qtbot.keyClick(table, Qt.Key.Key_Down)
    at = tuple(viewer.dims.current_step)
    assert gone.first_slice <= at[0] <= gone.last_slice and earlier.data[at[0]].any()
    y, x = (round(place / size) for place, size in zip(viewer.dims.point[-2:], earlier.scale[-2:], strict=True))
    assert earlier.data[at[0], y, x] == panel.follow_ups.section.found.rows[1].then[0], "all planes go there"
