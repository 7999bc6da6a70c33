"""How the panel reads: the result owns it, messages have one place, and nothing moves when they come."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from napari.utils.theme import get_theme
from qtpy.QtCore import QPoint, Qt
from qtpy.QtGui import QColor, QKeySequence
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication, QLabel, QPlainTextEdit, QWidget

from napari_liver_anomaly.errors import Finding, Level
from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer
from napari_liver_anomaly.gui.lesion_model import NAMES
from napari_liver_anomaly.gui.lesion_rows import LesionRow
from napari_liver_anomaly.gui.lesion_table import ROW_PX, SEEN_COLUMNS, SEEN_ROWS
from napari_liver_anomaly.gui.message_area import LINES, MessageArea, WholeMessage
from napari_liver_anomaly.gui.run_bar import RunBar
from napari_liver_anomaly.gui.settings_form import SettingsForm
from napari_liver_anomaly.gui.style import sheet
from napari_liver_anomaly.job import Progress
from napari_liver_anomaly.segmentation import SegmentSettings

SMALL_SCREEN = (1280, 720)


def finding(n: int, level: Level = Level.NOTE) -> Finding:
    return Finding(level=level, code="x", what=f"This is note {n}.", meaning="It means something.", action="Do it.")


@pytest.fixture
def panel(make_napari_viewer, make_panel, sample, qtbot):
    viewer = make_napari_viewer(show=True)
    panel = make_panel(viewer)
    viewer.window.add_dock_widget(panel, name="Liver tumours (Liver Anomaly)", area="right")
    panel.window().resize(*SMALL_SCREEN)
    add(viewer, scan_layer(sample.volume))
    add(viewer, liver_layer(sample.liver, sample.volume))
    return panel


def test_after_a_run_the_result_owns_the_panel(panel, run, qtbot):
    assert panel.study.is_open and panel.method.is_open and not panel.table.isVisible()
    run(panel)
    qtbot.waitUntil(lambda: panel.table.isVisible(), timeout=30_000)
    qtbot.wait(100)
    assert not panel.study.is_open and not panel.method.is_open
    assert panel.study.height() <= 26 and "case" in panel.study.button.accessibleName()
    assert panel.scroller.verticalScrollBar().maximum() == 0 and panel.window().height() <= SMALL_SCREEN[1]
    seen = panel.table.viewport()
    assert seen.height() >= SEEN_ROWS * ROW_PX and SEEN_ROWS >= 8
    widths = [panel.table.columnWidth(NAMES.index(name)) for name in SEEN_COLUMNS]
    assert sum(widths) <= seen.width() + 1 and min(widths) >= 24, (
        "these columns are seen, the others by scrolling or in a wider panel"
    )
    assert list(SEEN_COLUMNS) == ["No.", "Keep", "Slice", "ml", "mm", "Δ HU", "Score"]
    panel.study.button.click()
    assert panel.study.is_open and panel.scans.box.isVisible()
    panel.viewer.layers.clear()
    assert panel.study.is_open and panel.method.is_open and not panel.table.isVisible()


def test_large_lesions_and_many_fit_without_scrolling_sideways(panel, run, qtbot):
    run(panel)
    lesion = panel.controller.shown.lesions[0]
    large = replace(lesion, volume_ml=1234.5, long_mm=204.0, short_mm=187.0, difference_hu=-123.0)
    panel.table.show_lesions([LesionRow(replace(large, number=n), 187, score=1.0, anchor=n) for n in range(90, 110)])
    qtbot.wait(100)
    assert panel.table.verticalScrollBar().isVisible()
    names = panel.table.horizontalHeader()
    last = NAMES.index(SEEN_COLUMNS[-1])
    assert names.sectionViewportPosition(last) + names.sectionSize(last) <= panel.table.viewport().width()
    for column in range(last + 1):
        words = panel.table.rows.headerData(column, Qt.Orientation.Horizontal)
        assert panel.table.fontMetrics().horizontalAdvance(words) <= panel.table.columnWidth(column), "no word is cut"


def places(panel) -> list[QPoint]:
    """Where everything is that can be clicked on."""
    widgets: list[QWidget] = [
        panel.runbar.button,
        panel.threshold.slider,
        panel.table,
        panel.look.overlays,
        panel.exports.choice.button,
    ]
    return [(widget.mapTo(panel, QPoint(0, 0)), widget.size()) for widget in widgets]


def test_nothing_moves_when_messages_come_and_go(panel, run, qtbot):
    run(panel)
    qtbot.wait(100)
    panel.messages.clear()
    qtbot.wait(50)
    before = places(panel)

    def check(what):
        qtbot.wait(50)
        assert places(panel) == before, what

    panel.messages.note("One.")
    check("a note")
    panel.messages.show_findings(*(finding(n, level) for n, level in enumerate((*Level, *Level))))
    check("many findings")
    panel.messages.fail("The program made a mistake.", "Traceback " * 100)
    check("a failure")
    panel.runbar.run()
    check("a run")
    panel.runbar.show_progress(Progress("Searching the liver", 16, 53), 12.0)
    check("progress")
    panel.runbar.rest("")
    panel.threshold.tell("3 lesions, 47.8 ml in all", "Updating…")
    check("Updating…")
    panel.threshold.tell("3 lesions, 47.8 ml in all", "A remark that is much longer than the panel is wide, and then some more.")
    panel.threshold.allow(on=True, discard=True)
    check("corrections")


def test_what_is_said_can_be_selected_and_the_key_tab_passes_over_it(panel, run, qtbot):
    run(panel)
    panel.messages.note("One word more.")
    qtbot.wait(50)
    for label in (panel.threshold.count, panel.messages._lines[0]._text):
        at = QPoint(label.fontMetrics().horizontalAdvance("O"), label.height() // 2)
        qtbot.mouseDClick(label, Qt.MouseButton.LeftButton, pos=at)
        assert label.hasSelectedText() and label.selectedText().strip() == label.text().split()[0]
    QTest.keySequence(label, QKeySequence.StandardKey.Copy)
    assert QApplication.clipboard().text().strip() == "One"
    said = [label for label in panel.findChildren(QLabel) if label.property("kind") in ("small", "number")]
    unselectable = [label.text() for label in said if not label.hasSelectedText() and not _is_selectable(label)]
    assert len(said) > 10 and not unselectable
    assert not [label.text() for label in said if label.focusPolicy() & Qt.FocusPolicy.TabFocus]


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_words_are_told_from_what_is_behind_them(qapp, theme):
    """WCAG 2.1, 1.4.3: a ratio of 4.5 at least; what is disabled is exempt there."""
    behind = get_theme(theme).background.as_hex()
    rules = {}
    for selectors, body in re.findall(r"^(.+?) \{ (.+) \}$", sheet(theme), re.MULTILINE):
        rules[selectors] = dict(part.split(": ", 1) for part in body.rstrip("; ").split("; "))
    told = {}
    for selector in rules:
        own = {}
        for outer, given in rules.items():
            if selector.startswith(outer):
                own |= given
        if "color" in own and ":disabled" not in selector:
            ground = own.get("background-color", behind)
            told[selector] = _ratio(own["color"], behind if ground == "transparent" else ground)
    told["a folded line below the mouse"] = _ratio(
        rules['QLabel[kind="small"]']["color"], rules['QPushButton[kind="fold"]:hover']["background-color"]
    )
    assert len(told) > 10 and not {selector: ratio for selector, ratio in told.items() if ratio < 4.5}


def _ratio(one, other):
    """Contrast of two colours by WCAG 2.1."""

    def light(colour):
        parts = np.array(QColor(colour).getRgbF()[:3])
        return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def _is_selectable(label):
    """Whether the mouse may select its text; in the line of a section that folds it presses a button."""
    return label.textInteractionFlags() & Qt.TextInteractionFlag.TextSelectableByMouse or label.testAttribute(
        Qt.WidgetAttribute.WA_TransparentForMouseEvents
    )


def test_the_view_opens_on_the_largest_lesion_only_if_none_is_seen(make_panel, viewer, sample, run):
    panel = make_panel(viewer, sample)
    viewer.dims.set_point(0, 0)
    run(panel)
    largest = max(panel.controller.shown.lesions, key=lambda lesion: lesion.volume_ml)
    z = round(viewer.layers["case"].world_to_data(viewer.dims.point)[0])
    assert z == (viewer.layers["case tumours"].data == largest.number).sum(axis=(1, 2)).argmax()
    assert [row.lesion for row in panel.table.chosen] == [largest], "its row is the chosen one"
    viewer.dims.set_point(0, 2.5 * (largest.first_slice))
    before = viewer.dims.point
    run(panel)
    assert viewer.dims.point == before, "somebody who looks at a lesion is left there"


def test_messages_are_short_lines_and_more_opens_all(qtbot):
    area = MessageArea(lines=LINES)
    qtbot.addWidget(area)
    area.resize(320, 60)
    area.show_findings(finding(1), finding(1), finding(2, Level.ASK))
    assert area.lines == ("This is note 1.", "This is note 2."), "the same note not twice"
    area.add_findings(finding(2, Level.ASK), finding(3))
    assert area.lines == ("This is note 1.", "This is note 2.", "This is note 3.")
    area.add_findings(finding(4))
    assert area.lines[-1] == "2 more messages"
    area._lines[0].more.click()
    area._lines[2].more.click()
    first, rest = (dialog.findChild(QPlainTextEdit) for dialog in area.findChildren(WholeMessage))
    assert first.toPlainText() == str(finding(1)) and first.isReadOnly()
    assert rest.toPlainText() == f"{finding(3)}\n\n{finding(4)}"
    for dialog in area.findChildren(WholeMessage):
        dialog.close()
    area.note("Short.")
    assert not area._lines[0].more.isVisibleTo(area)
    area.note("A voxel is 0.5 mm wide. More.")
    assert area.lines == ("A voxel is 0.5 mm wide.",)


def test_progress_is_a_share_and_one_step_is_not_counted(qtbot):
    bar = RunBar("Go")
    qtbot.addWidget(bar)
    bar.run()
    bar.show_progress(Progress("Loading the model", 0, 1), None)
    assert bar.text.text() == "Loading the model…"
    bar.show_progress(Progress("Searching the liver", 16, 53), 11.0)
    assert bar.text.text() == "Searching the liver: 30 %, about 11 s left"


def test_the_smallest_lesion_is_in_mm_and_the_setting_in_mm3(qtbot):
    form = SettingsForm(SegmentSettings, diameters=("min_lesion_mm3",))
    qtbot.addWidget(form)
    assert form.fields["min_lesion_mm3"]._field.value == 4.6
    assert form.value() == SegmentSettings(), "not rounded while nobody changed it"
    form.fields["min_lesion_mm3"]._field.value = 10
    assert form.value().min_lesion_mm3 == pytest.approx(np.pi * 1000 / 6)


def test_the_panel_speaks_a_readers_words(make_panel, viewer, sample):
    from qtpy.QtWidgets import QLabel

    panel = make_panel(viewer, sample, names=("standard",), card=None)
    words = " ".join(label.text() for label in panel.findChildren(QLabel)).lower()
    for word in ("peak", "sure", "batch", "segmenters and restorers", "mm³", "mm3"):
        assert word not in words


def test_three_numbers_of_a_recipe_stand_above_the_others(qtbot):
    from napari_liver_anomaly.gui.recipe_form import FIRST, RecipeForm
    from napari_liver_anomaly.settings import options
    from napari_liver_anomaly.synthesis import RECIPES

    form = RecipeForm(RECIPES)
    qtbot.addWidget(form)
    for name, recipe in RECIPES.items():
        form.recipe.setCurrentIndex(form.recipe.findData(name))
        rows = form.rows[name]
        assert len(FIRST[name]) == 3 and set(FIRST[name]) <= {option.name for option in options(recipe)}
        seen = [field for field, widget in rows.fields.items() if widget.native.isVisibleTo(rows)]
        assert set(seen) == set(FIRST[name])


def test_notes_of_a_scan_reach_the_panel_whoever_opened_it(make_panel, viewer, sample):
    panel = make_panel(viewer)
    add(viewer, scan_layer(sample.volume, (finding(1), finding(2, Level.ASK))))
    assert panel.messages.lines == ("This is note 1.", "This is note 2.")
    later = make_panel(viewer)
    assert later.messages.lines == panel.messages.lines


def test_window_buttons_say_what_is_seen(make_panel, viewer, sample):
    panel = make_panel(viewer)
    assert (
        not panel.look.windows.buttons["Liver"].isEnabled()
        and panel.look.windows.buttons["Liver"].toolTip() == "Open a scan first."
    )
    layer = add(viewer, scan_layer(sample.volume))
    assert panel.look.windows.buttons["Liver"].isChecked(), "a scan opens in it"
    panel.look.windows.buttons["Lung"].click()
    assert [name for name, button in panel.look.windows.buttons.items() if button.isChecked()] == ["Lung"]
    layer.contrast_limits = (0, 1)
    assert not any(button.isChecked() for button in panel.look.windows.buttons.values())


def test_the_sample_looks_busy_while_it_is_made(make_panel, viewer, qtbot):
    panel = make_panel(viewer)
    panel.scans.open_sample()
    assert panel.scans.box.sample.text() == "Making it…" and not panel.scans.box.sample.isEnabled()
    qtbot.waitUntil(lambda: not panel.scans.reading.busy, timeout=60_000)
    assert panel.scans.box.sample.text() == "Try a sample" and panel.scans.box.sample.isEnabled()


def test_the_preview_goes_when_synthetic_anomalies_is_closed(make_napari_viewer, sample, qtbot):
    from napari_liver_anomaly.gui.anomaly_panel import AnomalyPanel

    viewer = make_napari_viewer(show=True)
    add(viewer, scan_layer(sample.volume))
    add(viewer, liver_layer(sample.liver, sample.volume))
    panel = AnomalyPanel(viewer)
    dock = viewer.window.add_dock_widget(panel, name="Synthetic anomalies", area="right")
    qtbot.waitUntil(lambda: len(viewer.layers) == 4 and panel._joined, timeout=30_000)
    viewer.window.remove_dock_widget(dock)
    qtbot.waitUntil(lambda: len(viewer.layers) == 2, timeout=30_000)
    panel.deleteLater()


def test_a_panel_that_is_opened_again_after_the_tumours_were_deleted(make_panel, viewer, sample, run, qtbot):
    """Lesions, table and export are those from before; the tumours come back with the next threshold."""
    panel = make_panel(viewer, sample)
    run(panel)
    before = panel.controller.shown.lesions
    viewer.layers.remove("case tumours")
    panel.deleteLater()
    qtbot.wait(50)
    later = make_panel(viewer)
    qtbot.waitUntil(lambda: not later.controller.busy, timeout=30_000)
    assert later.controller.shown.lesions == before and len(later.table.lesions) == len(before)
    assert later.exports.choice.button.isEnabled()
    later.threshold.slider.setValue(0.3)
    qtbot.waitUntil(lambda: not (later.threshold._settle.isActive() or later.controller.busy), timeout=30_000)
    assert np.array_equal(viewer.layers["case tumours"].data, later.controller.shown.now().labels)
