"""The adapter says what is missing, asks for the liver only, and lets nothing be fetched or sent."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from types import ModuleType

import nibabel
import numpy as np
import pytest

from napari_liver_anomaly.errors import Question, Refusal
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.liver import totalsegmentator as adapter
from napari_liver_anomaly.volume import Volume


@pytest.fixture
def volume() -> Volume:
    return Volume(np.zeros((10, 30, 30), np.int16), Geometry((30, 30, 10), np.diag([10.0, 10.0, 10.0, 1.0])))


class Fake:
    """Stands where TotalSegmentator would."""

    def __init__(self, monkeypatch, folder) -> None:
        self.calls, self.network, self.tasks = [], [], [297, 298]
        package, config, self.api = (ModuleType(f"totalsegmentator{end}") for end in ("", ".config", ".python_api"))
        package.__spec__ = ModuleSpec("totalsegmentator", None)
        config.get_weights_dir = lambda: folder
        self.api.totalsegmentator = self.find
        self.api.download_pretrained_weights = self.download
        self.api.send_usage_stats = self.send
        for module in (package, config, self.api):
            monkeypatch.setitem(sys.modules, module.__name__, module)

    def find(self, scan, output, **words):
        for task in self.tasks:
            self.api.download_pretrained_weights(task)
        self.api.send_usage_stats({}, {})
        self.calls.append((scan, output, words))
        liver = np.zeros(scan.shape, np.uint8)
        liver[2:9, 3:8, 2:7] = 5
        return nibabel.Nifti1Image(liver, scan.affine)

    def download(self, task):
        self.network.append(task)

    def send(self, config, params):
        self.network.append("usage")


@pytest.fixture
def fake(monkeypatch, tmp_path) -> Fake:
    return Fake(monkeypatch, tmp_path)


def with_weights(folder) -> None:
    (folder / "Dataset297_total_3mm").mkdir()
    (folder / "Dataset298_total_6mm").mkdir()


def test_without_the_package_it_says_how_to_install_it(volume, monkeypatch) -> None:
    monkeypatch.setattr(adapter, "find_spec", lambda name: None)
    with pytest.raises(Refusal, match=r"pip install .*\[totalsegmentator\]"):
        adapter.find_with_totalsegmentator(volume, device="cpu")


def test_without_its_weights_nothing_is_fetched(volume, fake) -> None:
    with pytest.raises(Refusal) as refused:
        adapter.find_with_totalsegmentator(volume, device="cpu")
    assert refused.value.finding.code == "totalsegmentator-weights"
    assert not fake.calls
    assert not fake.network


def test_the_liver_comes_back_on_the_grid_of_the_scan(volume, fake, tmp_path) -> None:
    with_weights(tmp_path)
    with pytest.raises(Question, match="does not look like a liver"):
        adapter.find_with_totalsegmentator(volume, device="cpu")
    fake.calls.clear()
    liver = adapter.find_with_totalsegmentator(volume, device="cpu", unlikely="accept")
    findings = liver.findings
    expected = np.zeros((30, 30, 10), bool)
    expected[2:9, 3:8, 2:7] = True
    np.testing.assert_array_equal(volume.geometry.to_source(liver.voxels), expected)
    assert liver.scan == volume.identity
    assert [finding.code for finding in findings] == ["liver-unlikely-accepted"]
    ((_, output, words),) = fake.calls
    assert output is None
    assert words["roi_subset"] == ["liver"]
    assert not fake.network
    assert fake.api.download_pretrained_weights == fake.download


def test_a_model_that_is_not_there_is_not_fetched_either(volume, fake, tmp_path) -> None:
    with_weights(tmp_path)
    fake.tasks = [291]
    with pytest.raises(Refusal):
        adapter.find_with_totalsegmentator(volume, device="cpu")
    assert not fake.network
