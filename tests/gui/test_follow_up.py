"""The panel compares with last time: rows, outlines on the scan, a table to save."""

from __future__ import annotations

import numpy as np
from napari.components import ViewerModel
from qtpy.QtCore import Qt

from napari_liver_anomaly.gui import follow_up_section
from napari_liver_anomaly.gui.follow_up_section import cells
from napari_liver_anomaly.gui.layers import Role, find
from napari_liver_anomaly.io import earlier_reading, read, write_image, write_labels
from napari_liver_anomaly.io.earlier_reading import Place
from napari_liver_anomaly.io.read_options import ReadOptions

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


def test_lesions_of_another_program_are_compared_with_their_scan_and_liver(make_panel, sample, run, tmp_path, qtbot, monkeypatch):
    panel = make_panel(ViewerModel(), sample)
    run(panel)
    now, geometry = panel.controller.shown, sample.volume.geometry
    write_image(sample.volume.voxels, geometry, tmp_path / "ct.nii.gz")
    write_labels(sample.liver.voxels.astype(np.uint8), geometry, tmp_path / "liver.nii.gz")
    write_labels((now.tumours.data == now.lesions[0].number).astype(np.uint8), geometry, tmp_path / "lesions.nii.gz")
    chosen = iter([None, *(tmp_path / f"{name}.nii.gz" for name in ("lesions", "ct", "liver"))])
    monkeypatch.setattr(follow_up_section, "ask_file", lambda *_: next(chosen))
    small = ReadOptions(voxel_size="accept")  # no body is as small as this scan, which is asked about
    monkeypatch.setattr(earlier_reading, "read", lambda path: read(path, small))
    panel.follow_ups.section.compare.click()
    with qtbot.waitSignal(panel.follow_ups.compared, timeout=LONG_MS):
        panel.follow_ups.section.compare.click()
    assert sorted(row.state for row in panel.follow_ups.section.found.rows) == ["followed", "new"]


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
