"""What napari sees of the plugin: manifest, readers, writer, samples, menu command."""

from __future__ import annotations

import importlib
from pathlib import Path

import napari
import nibabel
import numpy as np
import pytest
from npe2 import PluginManager, PluginManifest
from qtpy.QtWidgets import QLabel

from napari_liver_anomaly import phantom
from napari_liver_anomaly.errors import NotWritten, WrongGrid
from napari_liver_anomaly.gui import hooks
from napari_liver_anomaly.gui.layers import Role, scan_layer, tag_of
from napari_liver_anomaly.gui.tumour_panel import TumourPanel

MANIFEST = Path(hooks.__file__).parents[1] / "napari.yaml"
NAME = "napari-liver-anomaly"


@pytest.fixture
def manifest():
    return PluginManifest.from_file(MANIFEST)


@pytest.fixture
def installed(manifest):
    """Whether the package is installed, so that napari finds it by itself; else it is registered for this test."""
    manager = PluginManager.instance()
    manager.discover()
    known = NAME in manager
    if not known:
        manager.register(manifest)
    yield manager
    if not known:
        manager.unregister(NAME)


@pytest.fixture
def small(monkeypatch):
    make = phantom.make_phantom
    monkeypatch.setattr(
        phantom, "make_phantom", lambda settings: make(phantom.PhantomSettings(slices=8, size_px=64, tumours=settings.tumours))
    )


@pytest.fixture
def sample(make_sample):
    """As wide as a body, for files are judged by that."""
    return make_sample(spacing_mm=(5.0, 4.0, 4.0))


@pytest.fixture
def scan_file(sample, tmp_path):
    geometry = sample.volume.geometry
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti1Image(geometry.to_source(sample.volume.voxels), geometry.source_affine), path)
    return path


def test_every_command_of_the_manifest_is_there(manifest):
    assert (manifest.name, manifest.display_name) == (NAME, "Liver Anomaly")
    for command in manifest.contributions.commands:
        module, name = command.python_name.split(":")
        assert callable(getattr(importlib.import_module(module), name))


def test_no_sample_has_the_name_of_a_command(manifest):
    """napari makes a command of each sample's key; a clash takes the whole plugin away."""
    commands = {command.id for command in manifest.contributions.commands}
    assert not commands & {f"{NAME}.{sample.key}" for sample in manifest.contributions.sample_data}


@pytest.mark.parametrize("name", ["nothing.nii.gz", "empty", "text.txt"])
def test_what_is_no_scan_is_left_to_others(tmp_path, name):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("x")
    assert hooks.get_reader(str(tmp_path / name)) is None


@pytest.fixture
def current(viewer, monkeypatch):
    """The viewer that napari calls the current one."""
    monkeypatch.setattr(napari, "current_viewer", lambda: viewer)
    return viewer


def test_a_file_opens_through_napari(current, installed, scan_file, sample):
    (layer,) = current.open(scan_file, plugin=NAME)
    assert np.array_equal(layer.data, sample.volume.voxels) and tag_of(layer).scan == sample.volume.identity
    assert tuple(layer.contrast_limits_range) == (-1024, 3071) and [str(u) for u in layer.units] == ["millimeter"] * 3


def test_labels_are_saved_on_the_grid_of_the_scans_file(current, installed, scan_file, tmp_path):
    """Also those drawn by hand in a new layer."""
    (scan,) = current.open(scan_file, plugin=NAME)
    labels = current.add_labels(np.zeros(scan.data.shape, np.uint16), scale=scan.scale, units=scan.units, name="drawn")
    labels.data[2, 7, 11] = 300
    target = tmp_path / "drawn.nii.gz"
    assert labels.save(str(target), plugin=NAME) == [str(target)]
    read, source = nibabel.load(target), nibabel.load(scan_file)
    assert read.shape == source.shape and np.allclose(read.affine, source.affine)
    where = np.argwhere(np.asarray(read.dataobj) == 300)
    there = tag_of(scan).geometry.position_mm((2, 7, 11))
    assert len(where) == 1 and nibabel.affines.apply_affine(read.affine, where[0]) == pytest.approx(there, abs=0.01)


def test_labels_of_no_known_scan_are_not_saved(current, tmp_path):
    attributes = {"metadata": {}, "scale": (1, 1, 1), "translate": (0, 0, 0)}
    with pytest.raises(WrongGrid, match="does not lie on a scan"):
        hooks.write_labels(str(tmp_path / "a.nii.gz"), np.zeros((3, 4, 5), int), attributes)
    assert not list(tmp_path.iterdir())


def test_the_scans_own_file_is_never_written_over(current, installed, scan_file, sample):
    current.open(scan_file, plugin=NAME)
    before = scan_file.read_bytes()
    with pytest.raises(NotWritten):
        hooks.write_labels(str(scan_file), np.zeros(sample.volume.voxels.shape, np.uint8), scan_layer(sample.volume)[1])
    assert scan_file.read_bytes() == before


@pytest.mark.parametrize(("key", "tumours"), [("phantom-healthy", False), ("phantom-tumours", True)])
def test_samples_open_with_their_liver(current, installed, small, key, tumours):
    scan, liver = current.open_sample(NAME, key)
    assert [tag_of(layer).role for layer in (scan, liver)] == [Role.SCAN, Role.LIVER]
    made = phantom.make_phantom(phantom.PhantomSettings(tumours=tumours))
    assert np.array_equal(scan.data, made.volume.voxels) and liver.contour > 0


def test_panels_and_menu_command_in_a_real_window(make_napari_viewer_proxy, installed):
    """napari hands plugins a proxy; none of its private parts may be touched."""
    viewer = make_napari_viewer_proxy()
    command = installed.get_manifest(NAME).contributions.menus["napari/layers/segment"][0].command
    assert command == f"{NAME}.segment"
    panel = hooks.segment_liver_tumours(viewer)
    assert isinstance(panel, TumourPanel) and "Choose a scan first" in panel.messages.text
    assert hooks.segment_liver_tumours(viewer) is panel
    assert list(viewer.window.dock_widgets) == [hooks.PANEL]
    other = viewer.window.add_plugin_dock_widget(NAME, "Synthetic anomalies")[1]
    for widget in (panel, other):
        assert any("not a medical device" in label.text() for label in widget.findChildren(QLabel))
    viewer.theme = "light"
