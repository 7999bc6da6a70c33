"""What of the residual is shown, and comparing the scan with its restored twin."""

from __future__ import annotations

import numpy as np
import pytest

from napari_liver_anomaly.gui.layers import Role, add, liver_layer, scan_layer
from napari_liver_anomaly.gui.patient_marks import CORNER
from napari_liver_anomaly.gui.planes import canvas_of
from napari_liver_anomaly.gui.residual_look import BLANK_HU, CHOICES_HU, colours


@pytest.mark.parametrize("blank", CHOICES_HU)
@pytest.mark.parametrize("limits", [(-60, 60), (-200, 100), (-40, 10), (-300, 300)])
def test_differences_are_clear_below_the_limit_and_coloured_above(limits, blank):
    hu = np.linspace(*limits, 4001)
    rgba = np.asarray(colours(limits, blank).map((hu - limits[0]) / (limits[1] - limits[0])))
    edge = (limits[1] - limits[0]) / 256
    assert (rgba[np.abs(hu) <= blank - edge, 3] < 0.01).all()
    darker, brighter = hu < -blank - edge, hu > blank + edge
    assert (rgba[darker | brighter, 3] > (0.3 if blank else 0)).all()
    assert (rgba[darker, 2] > rgba[darker, 0]).all() and (rgba[brighter, 0] > rgba[brighter, 2]).all()


@pytest.fixture
def ready(make_panel, viewer, sample, run):
    panel = make_panel(viewer, sample)
    run(panel)
    return panel


def alpha(layer, hu):
    low, high = layer.contrast_limits
    return float(np.asarray(layer.colormap.map((hu - low) / (high - low)))[0, 3])


def test_the_residual_stays_blank_in_every_range_and_keeps_its_values(ready, viewer):
    layer = ready.controller.shown.layers[Role.RESIDUAL]
    values = layer.data.copy()
    assert layer.colorbar.visible and ready.look.overlays.menu.bar.isChecked()
    assert alpha(layer, -BLANK_HU + 1) == 0 and alpha(layer, -BLANK_HU - 2) > 0.3
    layer.contrast_limits = (-200, 200)
    assert alpha(layer, BLANK_HU - 2) == 0 and alpha(layer, BLANK_HU + 3) > 0.3
    ready.look.overlays.menu.blank.actions()[0].trigger()
    assert alpha(layer, 5) > 0, "every difference"
    ready.look.overlays.menu.bar.trigger()
    assert not layer.colorbar.visible and np.array_equal(layer.data, values)


def test_the_bar_of_the_score_is_seen_unless_it_is_switched_off(ready, viewer, run, qtbot):
    layer, corner = ready.controller.shown.layers[Role.SCORE], ready.look.marks.texts[CORNER]
    assert layer.colorbar.visible
    layer.visible = False
    assert "Colours" not in corner.text
    layer.visible = True
    assert "Colours: score 0 to 1" in corner.text
    ready.threshold.slider.setSliderDown(True)
    ready.threshold.slider.setValue(0.2)
    assert ready.controller.preview.on and not layer.colorbar.visible, "a preview has two colours and nothing to read"
    ready.look.overlays.menu.bar.trigger()
    ready.look.overlays.menu.bar.trigger()
    assert not layer.colorbar.visible, "nor when it is asked for meanwhile"
    ready.threshold.slider.setSliderDown(False)
    qtbot.waitUntil(lambda: not ready.controller.preview.on, timeout=30_000)
    assert layer.colorbar.visible
    ready.look.overlays.menu.bar.trigger()
    run(ready)
    assert not ready.controller.shown.layers[Role.SCORE].colorbar.visible, "also after another run"


def test_without_a_restored_scan_the_menu_has_the_colour_bars_only(ready):
    ready.look.overlays.follow({}, restores=False)
    actions = ready.look.overlays.menu.menu().actions()
    assert [action.text() for action in actions if action.isVisible() and not action.isSeparator()] == ["Colour bars"]


def test_another_run_keeps_what_was_chosen(ready, viewer, run):
    ready.look.overlays.menu.blank.actions()[-1].trigger()
    run(ready)
    assert alpha(ready.controller.shown.layers[Role.RESIDUAL], CHOICES_HU[-1] - 2) == 0


def test_blinking_ends_as_it_began(ready, viewer, qtbot):
    layer, seen = ready.controller.shown.layers[Role.RESTORED], []
    ready.look.compare._timer.setInterval(5)
    layer.events.visible.connect(lambda _: seen.append(layer.visible))
    ready.look.overlays.menu.compare["blink"].trigger()
    qtbot.waitUntil(lambda: len(seen) > 4, timeout=30_000)
    assert set(seen) == {True, False} and ready.look.overlays.menu.text() == "✓"
    ready.look.overlays.menu.compare["blink"].trigger()
    assert not layer.visible and not ready.look.compare.how and not ready.look.overlays.menu.compare["blink"].isChecked()
    ready.look.overlays.menu.compare["blink"].trigger()
    viewer.layers.remove(layer)
    assert not ready.look.compare.how, "nothing blinks without its layer"


def test_space_ends_blinking_and_gives_back_what_was_seen(ready, viewer):
    layer, blink = ready.controller.shown.layers[Role.RESTORED], ready.look.overlays.menu.compare["blink"]
    for turn in (lambda on: ready.look.views.space.click(), lambda on: setattr(viewer.dims, "ndisplay", 3 if on else 2)):
        blink.trigger()
        assert layer.visible and ready.look.compare.how == "blink"
        turn(True)
        assert not ready.look.compare.how and not blink.isChecked()
        blink.trigger()
        assert not ready.look.compare.how and not blink.isChecked(), "in space there is nothing to compare"
        turn(False)
        assert viewer.dims.ndisplay == 2 and not layer.visible


def test_no_wipe_without_a_canvas(ready):
    ready.look.overlays.menu.compare["wipe"].trigger()
    assert not ready.look.compare.how and not ready.look.overlays.menu.compare["wipe"].isChecked()


def test_a_wipe_shows_the_restored_scan_right_of_the_mouse(make_napari_viewer, make_panel, sample, run, qtbot):
    viewer = make_napari_viewer(show=True)
    panel = make_panel(viewer)
    viewer.window.add_dock_widget(panel, name="Liver tumours (Liver Anomaly)", area="right")
    add(viewer, scan_layer(sample.volume))
    add(viewer, liver_layer(sample.liver, sample.volume)).visible = False
    viewer.dims.set_point(0, 2.5 * 6)
    run(panel)
    panel.controller.shown.tumours.visible = False
    restored = panel.controller.shown.layers[Role.RESTORED]

    shown = panel.controller.shown.layers[Role.SCORE]
    shown.visible = True
    (bar,) = [one for one in canvas_of(viewer).canvas._layer_overlay_to_visual[shown].values() if hasattr(one, "source_wrapper")]
    assert bar.node.ticks.domain == (0, 1) and bar.node.img.clim == (0, 1), "the layer's own numbers are 0 to 255"
    shown.contrast_limits = (51, 204)
    assert bar.node.ticks.domain == pytest.approx((0.2, 0.8))
    shown.contrast_limits, shown.visible = (0, 255), False

    def picture():
        qtbot.wait(20)
        return viewer.screenshot(canvas_only=True, flash=False)[..., 0].astype(int)

    scan = picture()
    restored.data, restored.visible = np.full_like(restored.data, 3000), True
    white = picture()
    restored.visible = False
    panel.look.overlays.menu.compare["wipe"].trigger()
    assert panel.look.compare.how == "wipe"
    middle = viewer.scene.camera.center[-1]
    panel.look.compare._cut(middle)
    half, across = picture(), scan.shape[1] // 2
    rows = slice(scan.shape[0] // 4, -scan.shape[0] // 4)  # without the words at the edges
    assert np.array_equal(half[rows, : across - 3], scan[rows, : across - 3])
    assert np.array_equal(half[rows, across + 3 :], white[rows, across + 3 :]) and not np.array_equal(white, scan)
    panel.look.overlays.menu.compare["wipe"].trigger()
    assert np.array_equal(picture()[rows], scan[rows]) and not restored.visible
