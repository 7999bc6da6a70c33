"""Scans and masks as layers, and back to exactly what they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from napari.utils.colormaps import DirectLabelColormap

from napari_liver_anomaly.errors import Level, Refusal, WrongGrid
from napari_liver_anomaly.gui import layers
from napari_liver_anomaly.gui.label_colours import colours_of
from napari_liver_anomaly.gui.layer_snapshot import mask_of, snapshot_of, volume_of
from napari_liver_anomaly.gui.layers import AMBER, BLUE, RED, TURQUOISE, YELLOW, Role, add, liver_layer, scan_layer, tag_of
from napari_liver_anomaly.gui.window_presets import limits_hu
from napari_liver_anomaly.notebook import LIVER

if TYPE_CHECKING:
    from napari.components import ViewerModel


def world(layer, index):
    return np.array(layer.data_to_world(index))


def test_a_scan_layer_says_where_it_is_and_what_it_shows(viewer, sample):
    layer = add(viewer, scan_layer(sample.volume))
    assert layer.data is sample.volume.voxels and layer.data.dtype == np.int16
    assert tuple(layer.scale) == sample.volume.geometry.spacing_mm
    assert [str(unit) for unit in layer.units] == ["millimeter"] * 3
    assert tuple(layer.axis_labels) == ("z", "y", "x")
    assert tuple(layer.contrast_limits) == limits_hu("Liver") == (15, 165)
    assert tuple(layer.contrast_limits_range) == (-1024, 3071), "the window could not be widened"
    assert tag_of(layer).role is Role.SCAN and tag_of(layer).scan == sample.volume.identity


def test_a_scan_comes_back_from_its_layer(viewer, sample):
    volume = volume_of(snapshot_of(add(viewer, scan_layer(sample.volume))))
    assert volume.identity == sample.volume.identity and volume.name == "case" and volume.findings == ()
    assert volume.voxels is not sample.volume.voxels and not np.shares_memory(volume.voxels, sample.volume.voxels)


def test_a_liver_comes_back_from_its_layer(viewer, sample):
    scan = snapshot_of(add(viewer, scan_layer(sample.volume)))
    liver = snapshot_of(add(viewer, liver_layer(sample.liver, sample.volume)))
    assert np.array_equal(mask_of(liver, scan, sample.volume, "liver mask").voxels, sample.liver.voxels)


def test_all_layers_have_one_unit_so_that_the_scale_bar_has_it(viewer, sample, recwarn):
    add(viewer, scan_layer(sample.volume))
    add(viewer, liver_layer(sample.liver, sample.volume))
    assert str(viewer.layers.extent.units[0]) == "millimeter"


def test_names_decide_nothing(viewer, sample, make_sample):
    """The liver of another scan is refused although it has the right name and grid."""
    other = make_sample(seed=8)
    scan = add(viewer, scan_layer(sample.volume))
    liver = add(viewer, liver_layer(other.liver, other.volume))
    scan.name, liver.name = "anything", "case liver"
    assert other.volume.identity != sample.volume.identity
    with pytest.raises(WrongGrid, match="belongs to scan"):
        mask_of(snapshot_of(liver), snapshot_of(scan), sample.volume, "liver mask")


@pytest.mark.parametrize("what", ["shape", "place"])
def test_a_mask_beside_the_scan_is_refused(viewer, sample, what):
    scan = add(viewer, scan_layer(sample.volume))
    voxels = sample.liver.voxels[:-1] if what == "shape" else sample.liver.voxels
    moved = (0, 0, 0) if what == "shape" else (0, 0, sample.volume.geometry.spacing_mm[2] / 2)
    liver = viewer.add_labels(voxels.astype(np.uint8), scale=scan.scale, translate=moved, units=layers.UNITS)
    with pytest.raises(WrongGrid, match="not on the same grid"):
        mask_of(snapshot_of(liver), snapshot_of(scan), sample.volume, "liver mask")


@pytest.mark.parametrize("flips", [(), (0,), (1,), (0, 1, 2)])
@pytest.mark.parametrize("dtype", [np.int16, np.float64, np.int32])
def test_a_layer_of_another_reader_is_taken_as_it_lies(viewer, sample, flips, dtype):
    """Other readers flip axes by negative scales: what is shown in one place must be searched in that place."""
    data, scale, start = (
        sample.volume.voxels.astype(dtype),
        np.array(sample.volume.geometry.spacing_mm),
        np.array([5.0, -3.0, 7.0]),
    )
    signs = np.array([-1 if axis in flips else 1 for axis in range(3)])
    translate = start + np.where(signs < 0, (np.array(data.shape) - 1) * scale, 0)
    layer = viewer.add_image(np.flip(data, flips), affine=np.vstack([np.c_[np.diag(scale * signs), translate], [0, 0, 0, 1]]))
    labels = viewer.add_labels(np.flip(sample.liver.voxels, flips).astype(np.uint8), affine=layer.affine)
    picture = snapshot_of(layer)
    volume = volume_of(picture)
    assert np.array_equal(volume.voxels, sample.volume.voxels)
    assert volume.geometry.spacing_mm == pytest.approx(sample.volume.geometry.spacing_mm)
    assert [finding.code for finding in volume.findings] == ["layer-orientation"]
    mask = mask_of(snapshot_of(labels), picture, volume, "liver mask")
    assert np.array_equal(mask.voxels, sample.liver.voxels)
    over = viewer.add_image(volume.voxels, **picture.place)
    for index in ((0, 0, 0), (2, 5, 9)):
        there = tuple(n - 1 - i if axis in flips else i for axis, (i, n) in enumerate(zip(index, data.shape, strict=True)))
        assert world(over, index) == pytest.approx(world(layer, there))


def test_their_layer_stays_as_it_was(viewer, sample):
    layer = viewer.add_image(sample.volume.voxels, scale=(2, 1, 1))
    layers.remember(layer, layers.Tag(Role.SCAN, "1234"))
    assert layer.metadata == {} and tag_of(layer).scan == "1234"


def test_metres_are_millimetres(viewer, sample):
    layer = viewer.add_image(sample.volume.voxels, scale=(0.0025, 0.0008, 0.0008), units=("m", "m", "m"))
    assert volume_of(snapshot_of(layer)).geometry.spacing_mm == pytest.approx((2.5, 0.8, 0.8))


@pytest.mark.parametrize(
    ("data", "kwargs", "words"),
    [
        (np.zeros((4, 5)), {}, "not a plain stack"),
        (np.zeros((2, 4, 5, 6)), {}, "not a plain stack"),
        (np.full((4, 5, 6), np.nan), {}, "not numbers"),
        (np.full((4, 5, 6), 1e6), {}, "cannot be Hounsfield"),
        (np.zeros((4, 5, 6), np.int16), {"rotate": 20}, "turned or sheared"),
    ],
)
def test_what_cannot_be_a_scan_is_refused(viewer, data, kwargs, words):
    with pytest.raises(Refusal, match=words):
        volume_of(snapshot_of(viewer.add_image(data, contrast_limits=(0, 1), **kwargs)))


def test_eight_bit_pictures_are_asked_about(viewer):
    findings = volume_of(snapshot_of(viewer.add_image(np.arange(60, dtype=np.uint8).reshape(3, 4, 5) * 4))).findings
    assert [finding.level for finding in findings] == [Level.NOTE, Level.ASK]


def test_a_copied_layer_knows_its_scan(viewer: ViewerModel, sample):
    layer = add(viewer, scan_layer(sample.volume))
    viewer.add_image(*[layer.data.copy()], metadata=dict(layer.metadata), scale=layer.scale)
    assert tag_of(viewer.layers[-1]).scan == sample.volume.identity


@pytest.mark.parametrize("selected", [None, 2, 5])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_colours_of_labels_are_those_that_napari_gives(kind, selected):
    colours = {None: RED, 0: "transparent", 2: YELLOW}
    ours, theirs = colours_of(RED, {2: YELLOW}), DirectLabelColormap(color_dict=colours)
    labels = np.array([0, 1, 2, 3, np.iinfo(kind).max], kind)
    for one in (ours, theirs):
        one.use_selection, one.selection = selected is not None, selected or 0
    assert np.array_equal(ours.map(labels), theirs.map(labels)) and ours.map(labels).dtype == np.float32
    assert np.array_equal(ours._get_mapping_from_cache(labels.dtype), theirs._get_mapping_from_cache(labels.dtype))


# Machado, Oliveira, Fernandes, "A physiologically-based model for simulation of color vision deficiency", IEEE TVCG 2009, severity 1; linear RGB
SEES = {
    "all colours": np.eye(3),
    "no green (deuteranopia)": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no red (protanopia)": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
}
TO_XYZ = [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
FAR = 35  # in Lab; about 2 can just be told apart side by side


def in_lab(colour, sees):
    """Colour as somebody sees it, in CIE Lab under D65."""
    rgb = np.array([int(colour[n : n + 2], 16) for n in (1, 3, 5)]) / 255
    linear = np.asarray(sees) @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    x, y, z = np.cbrt(np.array(TO_XYZ) @ np.clip(linear, 1e-3, 1) / (0.95047, 1, 1.08883))
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("sees", SEES)
def test_outlines_are_told_apart_also_by_who_sees_fewer_colours(sees):
    for other in (RED, AMBER, BLUE, YELLOW):
        assert np.linalg.norm(in_lab(TURQUOISE, SEES[sees]) - in_lab(other, SEES[sees])) > FAR, (other, sees)
    assert np.array_equal([int(TURQUOISE[n : n + 2], 16) for n in (1, 3, 5)], LIVER), "as in reports and notebooks"
