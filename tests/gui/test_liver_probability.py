"""In a liver that the program found, doubted pieces stay out: after a run, at every threshold, in the preview, and in what is exported."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Layer

from former_cut import label_components
from napari_liver_anomaly import segmentation
from napari_liver_anomaly.gui.layer_snapshot import mask_of, snapshot_of
from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer, tag_of
from napari_liver_anomaly.lesions import level_of
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.volume import Mask

LEFT_OUT = "1 suspicious piece was left out. "


@pytest.fixture
def share(sample):
    """Sure of the liver but for the smaller of its two spots."""
    spots = label_components(sample.score, 0.05, 0, sample.volume.geometry)
    assert spots.max() == 2
    return np.where(spots == 2, np.uint8(60), np.where(sample.liver.voxels, np.uint8(250), np.uint8(5)))


@pytest.fixture
def done(make_panel, viewer, sample, finder, share, run):
    """A panel after a run that found the liver on its way."""
    finder.probability = share
    panel = make_panel(viewer)
    add(viewer, scan_layer(sample.volume))
    run(panel)
    return panel


def settle(qtbot, panel):
    qtbot.waitUntil(lambda: not panel.threshold._settle.isActive() and not panel.controller.busy, timeout=30_000)


def expected(sample, share, **settings):
    return segmentation.cut(sample.score, share, sample.volume.geometry, SegmentSettings(**settings))


def is_cut(panel, viewer, sample, share, **settings):
    labels, left_out = expected(sample, share, **settings)
    now = panel.controller.shown.now()
    codes = [finding.code for finding in now.findings]
    same = np.array_equal(viewer.layers["case tumours"].data, labels) and np.array_equal(now.labels, labels)
    return same and now.left_out == left_out and codes.count("pieces-left-out") == (left_out > 0)


def test_the_slider_does_not_bring_back_what_the_run_left_out(done, viewer, sample, share, qtbot):
    assert is_cut(done, viewer, sample, share) and expected(sample, share)[1] == 1
    assert done.threshold.remark.text().startswith(LEFT_OUT) and "left out" not in done.messages.text
    done.threshold.slider.setValue(0.3)
    settle(qtbot, done)
    assert is_cut(done, viewer, sample, share, threshold=0.3) and done.controller.shown.state.left_out == 1
    done.model.rows.fields["min_liver_probability"].value = 0
    settle(qtbot, done)
    assert (
        is_cut(done, viewer, sample, share, threshold=0.3, min_liver_probability=0.0)
        and viewer.layers["case tumours"].data.max() == 2
    )
    assert not done.threshold.remark.text() and done.controller.shown.now().settings.min_liver_probability == 0
    done.model.rows.fields["min_liver_probability"].value = 1
    settle(qtbot, done)
    assert is_cut(done, viewer, sample, share, threshold=0.3, min_liver_probability=1.0)
    assert done.threshold.remark.text().startswith("2 suspicious pieces were left out.")
    assert done.threshold.count.text().endswith("nothing found")


def test_the_layer_of_a_found_liver_stays_as_sure_as_it_was(done, viewer, sample, share, method, finder, run):
    first, labels = method.calls[0]["liver"], viewer.layers["case tumours"].data
    run(done)
    again = method.calls[1]["liver"]
    assert len(finder.calls) == 1 and np.array_equal(first.voxels, again.voxels)
    assert np.array_equal(first.probability[first.voxels], again.probability[again.voxels]), "from the layer as from the finder"
    assert np.array_equal(viewer.layers["case tumours"].data, labels) and is_cut(done, viewer, sample, share)


def test_what_the_user_adds_to_a_found_liver_is_certain(sample, share, viewer):
    found = Mask(sample.liver.voxels, sample.volume.geometry, sample.volume.identity, share)
    scan, layer = (add(viewer, made) for made in (scan_layer(sample.volume), liver_layer(found, sample.volume)))
    layer.data[0], layer.data[5, 20:30, 30:40] = 1, 0
    for given in (layer, Layer.create(*layer.as_layer_data_tuple())):
        mask = mask_of(snapshot_of(given), snapshot_of(scan), sample.volume, "liver mask")
        added = mask.voxels & ~found.voxels
        assert added.any() and (mask.probability[added] == 255).all()
        kept = mask.voxels & found.voxels
        assert kept.sum() < found.voxels.sum() and np.array_equal(mask.probability[kept], share[kept])


def test_a_liver_that_somebody_gave_is_taken_as_it_is(panel, viewer, sample, run, method, qtbot):
    run(panel)
    assert method.calls[0]["liver"].probability is None and tag_of(viewer.layers["case liver"]).probability is None
    panel.model.rows.fields["min_liver_probability"].value = 1
    settle(qtbot, panel)
    assert is_cut(panel, viewer, sample, None) and viewer.layers["case tumours"].data.max() == 2
    assert not panel.threshold.remark.text()


@pytest.mark.parametrize(
    "rule",
    [
        {"min_liver_probability": 0.5},
        {"min_liver_probability": 0.0, "min_peak_score": 1.0},
        {"min_liver_probability": 0.0, "min_lesion_mm3": 400.0},
    ],
)
def test_the_preview_shows_what_one_gets(done, viewer, sample, share, qtbot, rule):
    for name, value in rule.items():
        done.model.rows.fields[name].value = value
    settle(qtbot, done)
    score, heat = viewer.layers["case anomaly score"], viewer.layers["case anomaly score"].data
    done.threshold.slider.setSliderDown(True)
    for step in (70, 40):
        done.threshold.slider.setValue(step / 100)
        qtbot.waitUntil(lambda: not done.controller.busy, timeout=30_000)
        wanted, _ = expected(sample, share, threshold=step / 100, **rule)
        assert done.controller.preview.on and np.array_equal(score.data >= level_of(step / 100), wanted > 0)
        assert (heat >= level_of(step / 100)).sum() > (wanted > 0).sum(), "something is dropped"
    assert np.array_equal(heat, sample.score), "the score itself is not touched"
    done.threshold.slider.setSliderDown(False)
    done.threshold._settle.start()
    settle(qtbot, done)
    assert score.data is heat and not done.controller.preview.on
    assert is_cut(done, viewer, sample, share, threshold=0.4, **rule)


def test_many_lesions_are_told_at_the_threshold_in_use(make_panel, viewer, sample, method, run, qtbot):
    """Beside the number, where it changes with the threshold, and in what is exported; not once more among the notes of the run."""
    places = np.argwhere(sample.liver.voxels & (np.indices(sample.liver.voxels.shape) % 4 == 0).all(axis=0))
    sample.score[:] = 0
    sample.score[tuple(places.T)] = np.where(np.arange(len(places)) < 10, 250, 100)
    panel = make_panel(viewer)
    add(viewer, scan_layer(sample.volume))
    add(viewer, liver_layer(sample.liver, sample.volume))
    panel.model.rows.fields["min_lesion_mm3"].value = 0
    panel.model.rows.fields["min_peak_score"].value = 0
    run(panel)
    for threshold in (0.3, 0.8):
        panel.threshold.slider.setValue(threshold)
        settle(qtbot, panel)
        now = panel.controller.shown.now()
        many = len(now.lesions) > 15
        assert many == (threshold == 0.3)
        assert [finding.code for finding in now.findings].count("lesions-many") == many
        assert ("marks: many may be no lesion." in panel.threshold.remark.text()) == many
        assert "many may be no lesion" not in panel.messages.text
