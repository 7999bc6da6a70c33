"""A reading that is saved and opened again is the same; its scan must be the very one, and nothing is kept that the user does not want."""

from __future__ import annotations

import time

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QApplication, QMainWindow

from gui.test_window import ClosedByUser
from napari_liver_anomaly.gui import hooks, sessions
from napari_liver_anomaly.gui.found_liver import written
from napari_liver_anomaly.gui.layers import add, checksum, scan_layer
from napari_liver_anomaly.io import read, write_image
from napari_liver_anomaly.io.kept_sessions import KeepSettings, keep_settings, kept_sessions, local_time
from napari_liver_anomaly.io.read_options import ReadOptions
from napari_liver_anomaly.io.recent_scans import forget_scans, recent_scans, remember_scan
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

LONG_MS = 120_000
SMALL = ReadOptions(voxel_size="accept")  # no body is as small as this scan, which is asked about


@pytest.fixture
def scan_file(sample, tmp_path):
    path = tmp_path / "scans" / "Doe_Jane.nii.gz"
    write_image(sample.volume.voxels, sample.volume.geometry, path)
    return path


@pytest.fixture
def wait(qtbot):
    def until(signal, act):
        with qtbot.waitSignal(signal, timeout=LONG_MS) as caught:
            act()
        return caught.args

    return until


@pytest.fixture
def reading(make_panel, sample, scan_file, run, qtbot):
    """A panel with a scan from a file, whose found lesions were corrected: one painted, one left out."""
    panel = make_panel(ViewerModel())
    volume = read(scan_file, SMALL)
    add(panel.viewer, scan_layer(volume, volume.findings, scan_file, SMALL))
    run(panel)
    shown = panel.controller.shown
    shown.tumours.data_setitem(tuple(np.array([[2], [20], [30]])), 7)
    qtbot.waitUntil(lambda: not panel.controller.busy, timeout=LONG_MS)
    panel.lesions.keep(shown.lesions[0], False)
    qtbot.waitUntil(lambda: not panel.controller.busy, timeout=LONG_MS)
    panel.lesions.comment(panel.table.lesions[0].lesion, "cyst?")
    panel.lesions.comment(panel.table.lesions[-1].lesion, "vessel")
    panel.lesions.aim(panel.table.lesions[0].lesion, True)
    panel.viewer.dims.set_point(0, 7.5)
    panel.viewer.scene.camera.zoom = 3.25
    shown.layers["anomaly score"].visible = True
    liver = panel.inputs.liver.layer
    liver.data_setitem(tuple(np.array([[1], [2], [3]])), 1)
    return panel


def test_it_comes_back_as_it_was_saved(reading, make_panel, scan_file, tmp_path, wait, qtbot, method):
    path = tmp_path / "a.liver-session"
    reading.model.rows.fields["min_lesion_mm3"].value = 30.0
    qtbot.waitUntil(lambda: not reading.controller.busy, timeout=LONG_MS)
    wait(reading.sessions.saved, lambda: reading.sessions.save(path))
    other = make_panel(ViewerModel(), names=("compact", "fake"))
    calls = len(method.calls)
    wait(other.sessions.reopened, lambda: other.open([path]))
    assert other.model.rows.value() == reading.model.rows.value(), "the next cut is made as the ones before"
    assert other.model.name == "fake", "and the next run by the model of this one"
    qtbot.waitUntil(lambda: not other.controller.busy, timeout=LONG_MS)
    one, two = reading.controller.shown, other.controller.shown
    assert two.lesions == one.lesions and two.state.labels.same_as(one.state.labels)
    assert two.state.decided.by_hand.same_as(one.state.decided.by_hand) and two.settings == one.settings
    assert two.state.decided.predicted.same_as(one.state.decided.predicted) and two.state.origins == one.state.origins
    assert list(two.left_out) == list(one.left_out) and two.rows() == one.rows()
    assert [row.comment for row in other.table.lesions] == ["cyst?", "", "vessel"] and other.table.lesions[0].target
    assert np.array_equal(two.tumours.data, one.tumours.data) and np.array_equal(two.result.score, one.result.score)
    assert np.array_equal(two.result.restored, one.result.restored)
    liver = other.inputs.liver.layer
    assert np.array_equal(liver.data, reading.inputs.liver.layer.data), "the liver as it was corrected"
    assert written(liver) != checksum(liver.data), "and known as corrected"
    assert other.viewer.dims.point[0] == 7.5 and other.viewer.scene.camera.zoom == 3.25
    assert two.layers["anomaly score"].visible and len(method.calls) == calls, "nothing was computed anew"
    assert other.exports.choice.button.isEnabled() and other.sessions.save_button.isEnabled()

    # The scan moved: it is asked for, and the same scan elsewhere is taken.
    moved = scan_file.rename(tmp_path / "moved.nii.gz")
    third = make_panel(ViewerModel())
    wait(third.sessions.opening.ended, lambda: third.sessions.open(path))
    assert "not where it was" in third.messages.text and third.messages.answers[0] == "Choose file…"
    assert not third.viewer.layers
    wait(third.sessions.reopened, lambda: third.sessions.open(path, moved))
    assert third.controller.shown.lesions == one.lesions

    # It was changed: refused, and nothing is shown.
    hu = np.array(read(moved, SMALL).voxels)
    hu[0, 0, 0] += 1
    write_image(hu, read(moved, SMALL).geometry, scan_file)
    fourth = make_panel(ViewerModel())
    wait(fourth.sessions.opening.ended, lambda: fourth.sessions.open(path))
    assert "not the one" in fourth.messages.text and not fourth.viewer.layers


def test_what_was_noted_before_a_session_was_opened_cannot_be_undone_into_it(reading, tmp_path, wait, qtbot):
    path = tmp_path / "a.liver-session"
    wait(reading.sessions.saved, lambda: reading.sessions.save(path))
    reading.lesions.comment(reading.table.lesions[0].lesion, "of the reading before")
    wait(reading.sessions.reopened, lambda: reading.open([path]))
    qtbot.waitUntil(lambda: not reading.controller.busy, timeout=LONG_MS)
    for again in (reading.lesions.undo, reading.lesions.redo):
        again()
        qtbot.waitUntil(lambda: not reading.controller.busy, timeout=LONG_MS)
        assert [row.comment for row in reading.table.lesions] == ["cyst?", "", "vessel"]


def test_a_session_saved_in_space_opens_flat_at_the_same_point(reading, make_panel, tmp_path, wait):
    reading.look.views.space.click()
    path = tmp_path / "a.liver-session"
    wait(reading.sessions.saved, lambda: reading.sessions.save(path))
    other = make_panel(ViewerModel())
    wait(other.sessions.reopened, lambda: other.open([path]))
    assert other.viewer.dims.ndisplay == 2 and not other.look.views.space.isChecked()
    assert other.viewer.dims.point == reading.viewer.dims.point
    assert other.viewer.scene.camera.angles != reading.viewer.scene.camera.angles


def test_a_session_is_kept_after_a_run_unless_the_user_wants_none(make_panel, sample, run, wait, tmp_path, monkeypatch, qtbot):
    monkeypatch.setenv("LIVER_ANOMALY_SESSIONS", str(tmp_path / "kept"))
    panel = make_panel(ViewerModel(), sample)
    with qtbot.waitSignal(panel.sessions.saved, timeout=LONG_MS):
        run(panel)
    assert [one.title for one in kept_sessions(keep_settings())] == ["Scan without a file"]
    assert "kept under Recent" in panel.messages.text and str(tmp_path / "kept") in panel.messages.text
    panel.sessions.buttons.list_again()
    words = [action.text() for action in panel.sessions.buttons.menu.actions()]
    assert words[0].startswith("Scan without a file, 20") and words[0].endswith(": 2 lesions")
    other = make_panel(ViewerModel())
    wait(other.sessions.reopened, panel_action(other, 0))
    assert other.controller.shown.lesions == panel.controller.shown.lesions
    panel.sessions.buttons.forgotten.emit()
    assert not list((tmp_path / "kept").iterdir())
    monkeypatch.delenv("LIVER_ANOMALY_SESSIONS")
    panel.sessions.buttons.moved.emit(tmp_path / "elsewhere")
    panel.sessions.buttons.switched.emit(False)
    assert keep_settings() == KeepSettings(keep_sessions=False, folder=str(tmp_path / "elsewhere"))
    run(panel)
    assert not panel.sessions.keeping.busy and not (tmp_path / "elsewhere").exists()


def test_scans_that_were_opened_are_listed_until_they_are_forgotten(make_panel, wait, tmp_path, monkeypatch):
    monkeypatch.setenv("LIVER_ANOMALY_SESSIONS", str(tmp_path / "kept"))
    paths = [tmp_path / f"{name}.nii.gz" for name in ("a&b", "<b>second")]
    scan = make_phantom(PhantomSettings(size_px=64, slices=24)).volume
    for path in paths:
        write_image(scan.voxels, scan.geometry, path)
    panel = make_panel(ViewerModel())

    def listed():
        panel.sessions.buttons.list_again()
        return {action.text(): action for action in panel.sessions.buttons.menu.actions() if action.text().startswith("Scan ")}

    assert not listed()
    for path in (*paths, paths[0]):
        wait(panel.scans.loaded, lambda path=path: panel.open([path]))
    assert list(listed()) == ["Scan a&&b.nii.gz", "Scan <b>second.nii.gz"], "the latest first, each once, letter by letter"
    assert "&lt;b&gt;" in listed()["Scan <b>second.nii.gz"].toolTip()
    panel.viewer.layers.clear()
    wait(panel.scans.loaded, lambda: listed()["Scan <b>second.nii.gz"].trigger())
    assert [layer.name for layer in panel.viewer.layers] == ["<b>second"]
    assert hooks.read_layers(str(paths[0])) and next(iter(listed())) == "Scan a&&b.nii.gz", "a drop on the canvas counts, too"
    panel.sessions.buttons.switched.emit(False)
    panel.sessions.buttons.forgotten.emit()
    assert not listed() and recent_scans() == () and "which scans were opened" in panel.messages.text
    monkeypatch.delenv("LIVER_ANOMALY_SESSIONS")
    wait(panel.scans.loaded, lambda: panel.open([paths[1]]))
    assert not listed(), "nothing is kept by one who wants nothing kept"


def test_the_list_of_scans_is_short_and_a_name_of_two_lines_is_left_out(monkeypatch, tmp_path):
    monkeypatch.setenv("LIVER_ANOMALY_SESSIONS", str(tmp_path))
    for n in range(10):
        remember_scan(tmp_path / f"{n}")
    remember_scan(tmp_path / "two\nlines")
    assert [path.name for path in recent_scans()] == list("98765432")
    forget_scans()


def test_it_is_kept_again_after_corrections(make_panel, sample, run, wait, tmp_path, monkeypatch, qtbot):
    monkeypatch.setenv("LIVER_ANOMALY_SESSIONS", str(tmp_path / "kept"))
    monkeypatch.setattr(sessions, "KEEP_AFTER_MS", 10)
    panel = make_panel(ViewerModel(), sample)
    with qtbot.waitSignal(panel.sessions.saved, timeout=LONG_MS):
        run(panel)
    _, second = panel.controller.shown.lesions
    with qtbot.waitSignal(panel.sessions.saved, timeout=LONG_MS):
        panel.lesions.keep(second, False)
        qtbot.waitUntil(lambda: not panel.controller.busy, timeout=LONG_MS)
    with qtbot.waitSignal(panel.sessions.saved, timeout=LONG_MS):
        panel.lesions.comment(panel.table.lesions[0].lesion, "cyst?")
    (kept,) = kept_sessions(keep_settings())
    other = make_panel(ViewerModel())
    wait(other.sessions.reopened, lambda: other.open([kept.path]))
    qtbot.waitUntil(lambda: not other.controller.busy, timeout=LONG_MS)
    assert [(row.kept, row.comment) for row in other.table.lesions] == [(True, "cyst?"), (False, "")]
    assert not other.sessions._soon.isActive(), "what was opened is kept already"
    for change in (
        lambda: panel.threshold.slider.setValue(0.4),
        lambda: setattr(panel.model.rows.fields["min_lesion_mm3"], "value", 30.0),
    ):
        with qtbot.waitSignal(panel.sessions.saved, timeout=LONG_MS):
            change()
    (kept,) = kept_sessions(keep_settings())
    wait(other.sessions.reopened, lambda: other.open([kept.path]))
    settings = other.controller.shown.settings
    assert (settings.threshold, settings.auto_threshold, settings.min_lesion_mm3) == (0.4, False, 30.0)
    assert other.controller.shown.lesions == panel.controller.shown.lesions


@pytest.fixture
def kept_in_window(make_panel, sample, run, tmp_path, monkeypatch, qtbot):
    """A panel in a window, whose session is kept after the run, and then not before the window closes."""
    monkeypatch.setenv("LIVER_ANOMALY_SESSIONS", str(tmp_path / "kept"))
    monkeypatch.setattr(sessions, "KEEP_AFTER_MS", 1_000_000)
    panel, window = make_panel(ViewerModel(), sample), QMainWindow()
    qtbot.addWidget(window)
    window.setCentralWidget(panel)
    window.show()
    with qtbot.waitSignal(panel.sessions.saved, timeout=LONG_MS):
        run(panel)
    return panel, window


@pytest.mark.parametrize("correct", ["brush", "comment", "nothing", "switched off"])
def test_what_is_corrected_last_is_kept_when_the_window_closes(
    kept_in_window, make_panel, wait, tmp_path, monkeypatch, qtbot, correct
):
    """Also a stroke that was not measured yet; where nothing was changed the file is left alone."""
    panel, window = kept_in_window
    (path,) = (kept.path for kept in kept_sessions(keep_settings()))
    before = path.read_bytes()
    if correct == "comment":
        panel.lesions.comment(panel.table.lesions[0].lesion, "cyst?")
    elif correct != "nothing":
        panel.controller.shown.tumours.data_setitem(tuple(np.array([[2, 2], [20, 20], [30, 31]])), 7)
    if correct == "switched off":
        monkeypatch.setenv("LIVER_ANOMALY_SESSIONS", "off")
    window.close()
    monkeypatch.setenv("LIVER_ANOMALY_SESSIONS", str(tmp_path / "kept"))
    assert (path.read_bytes() != before) is (correct in ("brush", "comment"))
    if correct in ("brush", "comment"):
        other = make_panel(ViewerModel())
        wait(other.sessions.reopened, lambda: other.open([path]))
        assert other.table.lesions[0].comment == ("cyst?" if correct == "comment" else "")
        assert any(origin == "manual" for origin in other.controller.shown.state.origins.values()) is (correct == "brush")
    qtbot.waitUntil(lambda: not panel.controller.busy, timeout=LONG_MS)


def test_a_threshold_that_is_being_cut_is_kept_when_the_window_closes(kept_in_window, make_panel, wait):
    panel, window = kept_in_window
    before = panel.controller.shown.lesions
    panel.threshold.slider.setSliderDown(True)
    panel.threshold.slider.setValue(0.3)
    assert panel.controller.outdated, "the hand is still on the slider"
    window.close()
    (kept,) = kept_sessions(keep_settings())
    other = make_panel(ViewerModel())
    wait(other.sessions.reopened, lambda: other.open([kept.path]))
    assert other.controller.shown.settings.threshold == 0.3
    assert other.controller.shown.lesions == panel.controller.shown.lesions != before


def test_what_cannot_be_kept_at_closing_is_said_and_the_user_may_stay(kept_in_window, monkeypatch, qtbot):
    panel, window = kept_in_window

    def full(*_):
        raise make_refusal("not-written", files="kept was", reason="the disk is full")

    monkeypatch.setattr(sessions, "keep", full)
    asked, answers = [], [False, True]
    panel.sessions._last._ask = lambda _window, failed: (asked.append(failed.code), answers.pop(0))[1]
    panel.lesions.comment(panel.table.lesions[0].lesion, "cyst?")
    for stays in (True, False):  # it is not forgotten what was not kept
        event = ClosedByUser()
        QApplication.sendEvent(window, event)
        assert event.isAccepted() is not stays
    assert asked == ["not-written"] * 2
    qtbot.waitUntil(lambda: not panel.controller.busy, timeout=LONG_MS)


def test_recent_tells_the_time_of_this_place(monkeypatch):
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert local_time("2026-03-01T20:15:59+00:00") == "2026-03-02 05:15"
        assert local_time("long ago") == "long ago", "whatever a prepared file holds is shown as it stands"
    finally:
        monkeypatch.undo()
        time.tzset()


def panel_action(panel, n):
    panel.sessions.buttons.list_again()
    return panel.sessions.buttons.menu.actions()[n].trigger


def test_napari_opens_a_session_in_the_panel(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(hooks, "_ask_in_panel", lambda path: asked.append(path) or True)
    path = str(tmp_path / "a.liver-session")
    assert hooks.get_session_reader(str(tmp_path / "a.nii.gz")) is None
    assert hooks.get_session_reader([path])([path]) == hooks.NO_LAYERS and asked == [tmp_path / "a.liver-session"]
