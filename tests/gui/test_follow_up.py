"""The panel compares with last time: rows, outlines on the scan, a table to save."""

from __future__ import annotations

from napari.components import ViewerModel

from napari_liver_anomaly.gui.follow_up_section import cells
from napari_liver_anomaly.gui.layers import Role, find

LONG_MS = 120_000


def test_last_time_is_compared_with_what_is_on_screen(make_panel, sample, run, tmp_path, qtbot):
    panel, path = make_panel(ViewerModel(), sample), tmp_path / "then.liver-session"
    assert not panel.follow_ups.button.isEnabled()
    run(panel)
    panel.follow_ups.button.click()
    assert panel.follow_ups.section.compare.isVisible() and not panel.follow_ups.section.table.isVisible()
    with qtbot.waitSignal(panel.sessions.saved, timeout=LONG_MS):
        panel.sessions.save(path)
    shown = panel.controller.shown
    gone = shown.lesions[1]
    panel.lesions.keep(gone, False)
    qtbot.waitUntil(lambda: not panel.controller.busy, timeout=LONG_MS)
    with qtbot.waitSignal(panel.follow_ups.compared, timeout=LONG_MS):
        panel.follow_ups.section.wanted.emit(path)
    rows = panel.follow_ups.section.found.rows
    assert [row.state for row in rows] == ["followed", "vanished"]
    assert cells(rows[0])[4] == "+0 %" and cells(rows[1])[1:3] == ("–", f"{gone.volume_ml:.1f} → –")
    earlier = find(panel.viewer, Role.EARLIER, shown.scan)
    assert (earlier.data > 0).sum() > (shown.tumours.data > 0).sum()
    with qtbot.waitSignal(panel.follow_ups.writing.returned, timeout=LONG_MS):
        panel.follow_ups.section.exported.emit(tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text().count("\n") == 3
    with qtbot.waitSignal(panel.follow_ups.comparing.ended, timeout=LONG_MS):
        panel.follow_ups.section.wanted.emit(tmp_path / "table.csv")
    assert "session file" in panel.messages.text and panel.follow_ups.section.found.rows == rows, "the former comparison stays"
