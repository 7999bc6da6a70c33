"""The first minute: what to do stands in a few lines, the sample is one click away, help leads to its page, and what is disabled says why."""

from __future__ import annotations

import re

import pytest
from qtpy.QtCore import QItemSelectionModel, Qt

from house.source import REPOSITORY
from napari_liver_anomaly.gui import help_link
from napari_liver_anomaly.gui.anomaly_panel import NO_INPUTS, AnomalyPanel
from napari_liver_anomaly.gui.availability import NO_MODEL_YET, NO_RESULT, NO_SCAN_YET
from napari_liver_anomaly.gui.help_link import DOCS, PAGES, HelpLink
from napari_liver_anomaly.gui.layers import Role, add, liver_layer, scan_layer
from napari_liver_anomaly.gui.lesion_section import MERGE, NOTHING_DONE, NOTHING_UNDONE, SELECT_MORE, SELECT_ONE, SPLIT
from napari_liver_anomaly.gui.next_steps import NextSteps
from napari_liver_anomaly.gui.overlays import DELETED
from napari_liver_anomaly.gui.worker import Engine

SELECT = QItemSelectionModel.SelectionFlag.Select | QItemSelectionModel.SelectionFlag.Rows


def marks(panel):
    steps = panel.findChild(NextSteps)
    return [line.text()[0] for line in steps.lines if line.isVisibleTo(steps)]


def test_an_empty_panel_says_what_to_do_and_what_comes_next(make_panel, viewer, sample):
    panel = make_panel(viewer)
    assert marks(panel) == ["→", "2", "3", "4"] and len(panel.findChild(NextSteps).lines) == 4
    scan = add(viewer, scan_layer(sample.volume))
    assert marks(panel) == ["→"] and panel.findChild(NextSteps).lines[1].text().startswith("→")
    add(viewer, liver_layer(sample.liver, sample.volume))
    assert marks(panel) == ["→"] and panel.findChild(NextSteps).lines[2].text().startswith("→")
    viewer.layers.remove(scan)
    assert marks(panel) == ["→", "2", "3", "4"]


def test_after_a_run_it_is_ticked_and_what_comes_next_is_said(panel, run):
    steps = panel.findChild(NextSteps)
    assert steps.lines[2].text() == "→ Segment liver tumours" and steps.lines[3].text().startswith("4.")
    run(panel)
    assert marks(panel) == ["✓", "→"] and steps.lines[2].text() == "✓ Segment liver tumours"
    assert steps.lines[3].text() == "→ Review the lesions, then export"
    for layer in [layer for layer in panel.viewer.layers if layer not in (panel.inputs.scan.layer, panel.inputs.liver.layer)]:
        panel.viewer.layers.remove(layer)
    assert marks(panel) == ["→"] and steps.lines[2].text() == "→ Segment liver tumours"


def test_the_second_panel_leads_to_where_a_scan_is_opened_and_its_liver_found(
    make_panel, viewer, sample, make_sample, monkeypatch
):
    reading, panel = make_panel(viewer), AnomalyPanel(viewer)
    panel.follow.setChecked(False)
    forward = []
    monkeypatch.setattr(reading, "bring_forward", lambda: forward.append(reading.inputs.scan.layer))
    assert panel.reading.isVisibleTo(panel) and "Open a scan" in panel.reading.text()
    panel.reading.click()
    scan = add(viewer, scan_layer(sample.volume))
    reading.inputs.scan.choose(add(viewer, scan_layer(make_sample(seed=8).volume)))
    panel.inputs.scan.choose(scan)
    assert panel.reading.isVisibleTo(panel) and "liver" in panel.reading.text() and reading.inputs.scan.layer is not scan
    panel.reading.click()
    assert len(forward) == 2 and reading.inputs.scan.layer is scan, "the scan that was chosen here"
    add(viewer, liver_layer(sample.liver, sample.volume))
    assert not panel.reading.isVisibleTo(panel)
    panel.deleteLater()


def test_the_healthy_sample_is_one_click_away(viewer, qtbot):
    panel = AnomalyPanel(viewer)
    panel.follow.setChecked(False)
    assert panel.sample.isVisibleTo(panel)
    panel.sample.click()
    qtbot.waitUntil(lambda: len(viewer.layers) == 2 and not panel._showing.busy, timeout=60_000)
    assert panel.inputs.scan.layer is not None and panel.inputs.liver.layer is not None and not panel.sample.isVisibleTo(panel)
    panel.deleteLater()


def anchors(page):
    """Anchors of a page, as GitHub and mkdocs make them from its headings."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head).strip().lower().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("about", PAGES)
def test_help_leads_to_a_section_that_is_there(about, qtbot, monkeypatch):
    opened = []
    monkeypatch.setattr(help_link.QDesktopServices, "openUrl", opened.append)
    link = HelpLink(about)
    qtbot.addWidget(link)
    qtbot.mouseClick(link, Qt.MouseButton.LeftButton)
    (address,) = (url.toString() for url in opened)
    assert address == DOCS + PAGES[about] and link.accessibleName() == f"Help: {about}"
    file, _, anchor = PAGES[about].partition("#")
    page = REPOSITORY / "docs" / file
    assert page.is_file() and (not anchor or anchor in anchors(page))


def test_what_cannot_be_used_says_why(panel, run, qtbot):
    buttons = [panel.exports.choice.button, panel.sessions.save_button, panel.follow_ups.button]
    assert all(not button.isEnabled() and button.toolTip() == NO_RESULT for button in buttons)
    run(panel)
    qtbot.waitUntil(lambda: panel.exports.choice.button.isEnabled(), timeout=30_000)
    assert all(button.isEnabled() and button.toolTip() not in ("", NO_RESULT) for button in buttons)
    panel.viewer.layers.clear()
    assert all(not button.isEnabled() and button.toolTip() == NO_RESULT for button in buttons)


def test_undo_and_redo_say_when_there_is_nothing_to_take_back(panel, run, qtbot):
    def settle():
        qtbot.waitUntil(lambda: not panel.controller.busy, timeout=30_000)

    def offered():
        return panel.lesions._undo.isEnabled(), panel.lesions._redo.isEnabled()

    run(panel)
    settle()
    assert offered() == (False, False)
    assert (panel.lesions._undo.toolTip(), panel.lesions._redo.toolTip()) == (NOTHING_DONE, NOTHING_UNDONE)
    panel.lesions.comment(panel.controller.shown.lesions[0], "cyst?")
    assert offered() == (True, False) and "Ctrl+Z" in panel.lesions._undo.toolTip()
    panel.lesions._undo.click()
    settle()
    assert offered() == (False, True)
    panel.lesions._redo.click()
    settle()
    assert offered() == (True, False)
    panel.viewer.layers.remove(panel.controller.shown.tumours)
    settle()
    tick, strength = panel.look.overlays.rows[Role.TUMOURS]
    assert offered() == (False, False) and tick.toolTip() == strength.toolTip() == DELETED
    assert panel.look.overlays.rows[Role.SCORE][0].toolTip().startswith("Heat map")


def last_step(panel):
    return panel.findChild(NextSteps).lines[2].text()


def test_runs_wait_for_what_they_need_and_say_what_that_is(make_panel, viewer, sample):
    panel = make_panel(viewer)
    button, find, load = panel.runbar.button, panel.inputs.find_button, panel.inputs.load_button
    needs_scan = (button, find, load, panel.look.views.planes, *panel.look.windows.buttons.values())
    needs_liver = (panel.look.views.space, panel.mending.edit)
    assert all(not one.isEnabled() and one.toolTip() == NO_SCAN_YET for one in needs_scan)
    add(viewer, scan_layer(sample.volume))
    assert all(one.isEnabled() and one.toolTip() not in ("", NO_SCAN_YET) for one in needs_scan)
    assert all(not one.isEnabled() and one.toolTip().startswith("Find the liver first") for one in needs_liver)
    add(viewer, liver_layer(sample.liver, sample.volume))
    assert all(one.isEnabled() for one in needs_liver)
    panel.runbar.run()
    viewer.layers.clear()
    assert button.isEnabled() and button.text() == "Cancel", "a run can be cancelled whatever is missing by now"
    panel.runbar.rest("")
    assert all(not one.isEnabled() for one in (*needs_scan, *needs_liver)), "also after a run"


def test_without_a_model_the_last_step_says_so(make_panel, viewer, sample):
    panel = make_panel(viewer, sample, names=())
    assert not panel.runbar.button.isEnabled() and panel.runbar.button.toolTip() == NO_MODEL_YET
    assert last_step(panel) == f"→ {NO_MODEL_YET}"


def test_synthetic_anomalies_wait_for_scan_liver_and_model(viewer, sample):
    panel = AnomalyPanel(viewer, Engine(names=()))
    panel.follow.setChecked(False)
    bars = (panel.runbar, panel.check.runbar, panel.card.runbar)
    assert [bar.button.toolTip() for bar in bars] == [NO_INPUTS] * 3 and not any(bar.button.isEnabled() for bar in bars)
    add(viewer, scan_layer(sample.volume))
    add(viewer, liver_layer(sample.liver, sample.volume))
    assert [bar.button.isEnabled() for bar in bars] == [True, False, False]
    assert panel.check.runbar.button.toolTip() == NO_MODEL_YET and last_step(panel) == f"→ {NO_MODEL_YET}"
    panel.deleteLater()


def test_merge_and_split_wait_for_a_selection(panel, run):
    run(panel)
    section = panel.lesions
    entries = [section.edit.entries[name] for name in (MERGE, SPLIT)]

    def offered(rows):
        panel.table.clearSelection()
        for row in range(rows):
            panel.table.selectionModel().select(panel.table.model().index(row, 0), SELECT)
        section.edit.menu().aboutToShow.emit()
        return [entry.isEnabled() for entry in entries]

    assert offered(0) == [False, False] and [entry.toolTip() for entry in entries] == [SELECT_MORE, SELECT_ONE]
    assert offered(1) == [False, True] and offered(2) == [True, False]
