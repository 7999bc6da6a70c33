"""Settings that are kept: a panel begins with them, and a damaged file changes nothing."""

from __future__ import annotations

import pytest
from qtpy.QtWidgets import QDialogButtonBox, QLabel

from napari_liver_anomaly import preferences
from napari_liver_anomaly.gui import settings_page
from napari_liver_anomaly.gui.layers import LIVER_WINDOW, add, scan_layer
from napari_liver_anomaly.gui.panel_defaults import PanelDefaults, opening_window
from napari_liver_anomaly.io.kept_sessions import KeepSettings, folder_of, keep_settings
from napari_liver_anomaly.models.locations import folder
from napari_liver_anomaly.preferences import prefer, preferred
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.settings import options


@pytest.fixture(autouse=True)
def own_file(tmp_path, monkeypatch):
    monkeypatch.setattr(preferences, "path", lambda: tmp_path / "preferences.json")
    return tmp_path / "preferences.json"


def test_without_a_file_a_panel_begins_as_delivered(make_panel, viewer):
    panel = make_panel(viewer)
    delivered = {option.name: option for option in options(SegmentSettings)}["min_lesion_mm3"]
    assert panel.model.rows.value().min_lesion_mm3 == delivered.default == PanelDefaults().min_lesion_mm3
    assert panel.model.device.currentData() == "auto" and opening_window() == LIVER_WINDOW


def test_what_is_saved_holds_at_once_and_next_time(make_panel, viewer, sample, own_file):
    prefer(KeepSettings(most=7))
    panel = make_panel(viewer)
    page = panel.open_settings()
    fields = page.rows.fields
    fields["processor"].value, fields["width_hu"].value, fields["level_hu"].value = "cpu", 400, 40
    fields["min_lesion_mm3"]._field.value, fields["report"].value = 10.0, True
    page.buttons.button(QDialogButtonBox.StandardButton.Save).click()
    for one in (panel, make_panel(viewer)):
        assert one.model.device.currentData() == "cpu" and one.exports.choice.ticks["report"].isChecked()
        assert (
            one.model.rows.value().min_lesion_mm3 == pytest.approx(523.6, abs=0.1)
            and not one.exports.choice.ticks["patient"].isChecked()
        )
    assert tuple(add(viewer, scan_layer(sample.volume)).contrast_limits) == (-160, 240)
    assert preferred(KeepSettings).most == 7, "other settings in the file stay"


def test_of_a_reading_on_screen_only_what_was_changed_is_set(make_panel, viewer, sample, run, qtbot):
    panel = make_panel(viewer, sample)
    panel.model.rows.fields["min_lesion_mm3"].value = 900.0
    panel.exports.choice.ticks["dicom_seg"].setChecked(True)
    panel.look.window(-50.0, 350.0)
    run(panel)
    qtbot.waitUntil(lambda: not panel.controller.busy, timeout=60_000)
    page = panel.open_settings()
    page.rows.fields["report"].value = True
    page.buttons.button(QDialogButtonBox.StandardButton.Save).click()
    ticks = panel.exports.choice.ticks
    assert ticks["report"].isChecked() and ticks["dicom_seg"].isChecked()
    assert panel.model.rows.value().min_lesion_mm3 == pytest.approx(900, abs=1) and not panel.controller.busy, (
        "nothing is cut anew"
    )
    assert panel.look.window_now() == (-50, 350)
    page = panel.open_settings()
    page.rows.fields["width_hu"].value, page.rows.fields["level_hu"].value = 400, 40
    page.buttons.button(QDialogButtonBox.StandardButton.Save).click()
    assert panel.look.window_now() == (-160, 240), "the window that was wanted is seen at once"


def test_cancel_keeps_nothing_and_restoring_shows_the_delivered_ones(make_panel, viewer, own_file):
    prefer(PanelDefaults(level_hu=40))
    panel = make_panel(viewer)
    page = panel.open_settings()
    page.restore()
    assert page.rows.value() == PanelDefaults()
    page.buttons.button(QDialogButtonBox.StandardButton.Cancel).click()
    assert preferred(PanelDefaults) == PanelDefaults(level_hu=40)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"PanelDefaults": 3}', '{"PanelDefaults": {"width_hu": -5, "processor": "toaster"}}', "9" * 99_999]
)
def test_a_damaged_file_is_as_none(make_panel, viewer, own_file, text):
    own_file.write_text(text)
    panel = make_panel(viewer)
    assert panel.model.device.currentData() == "auto" and opening_window() == LIVER_WINDOW


def test_a_folder_that_cannot_be_written_is_told(make_panel, viewer, own_file, monkeypatch):
    panel = make_panel(viewer)
    page = panel.open_settings()
    monkeypatch.setattr(preferences, "path", lambda: own_file.parent / "missing.txt" / "preferences.json")
    (own_file.parent / "missing.txt").write_text("a file in the way")
    page.save()
    assert page.said.text() and page.isVisible()
    page.close()


def test_the_page_says_where_files_lie_and_its_text_can_be_selected(make_panel, viewer, own_file):
    page = make_panel(viewer).open_settings()
    words = [label.text() for label in page.findChildren(QLabel)]
    assert {str(folder()), str(own_file)} <= set(words)
    page.close()


def test_the_folder_of_sessions_is_changed_where_no_variable_says_it(make_panel, viewer, tmp_path, monkeypatch):
    panel = make_panel(viewer)
    page = panel.open_settings()
    assert not page.change.isEnabled() and "LIVER_ANOMALY_SESSIONS" in page.change.toolTip()
    page.close()
    monkeypatch.delenv("LIVER_ANOMALY_SESSIONS")
    page = panel.open_settings()
    monkeypatch.setattr(settings_page, "ask_folder", lambda *_: None)
    page.change.click()
    assert keep_settings().folder == ""
    monkeypatch.setattr(settings_page, "ask_folder", lambda *_: tmp_path / "elsewhere")
    page.change.click()
    assert folder_of(keep_settings()) == tmp_path / "elsewhere" and page.sessions.text() == str(tmp_path / "elsewhere")
    assert "from now on" in page.said.text() and preferred(PanelDefaults) == PanelDefaults()
