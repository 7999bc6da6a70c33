"""Fixtures of the panel tests: a small scan, a method that finds what it is told to, and a check that nothing is left behind."""

from __future__ import annotations

import gc
import threading
import time
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("napari")

from napari.components import ViewerModel
from qtpy.compat import isalive

from napari_liver_anomaly import lesions
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.gui import stepwise, threshold_slider
from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer
from napari_liver_anomaly.gui.tumour_panel import TumourPanel
from napari_liver_anomaly.gui.worker import Engine
from napari_liver_anomaly.liver_findings import about_lesions
from napari_liver_anomaly.result import Result
from napari_liver_anomaly.segmentation import SegmentSettings, cut
from napari_liver_anomaly.thresholds import auto_threshold
from napari_liver_anomaly.volume import Mask, Volume

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from qtpy.QtWidgets import QApplication

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.job import Job

SHAPE = (12, 48, 64)


def _make_sample(
    shape: tuple[int, int, int] = SHAPE,
    spacing_mm: tuple[float, float, float] = (2.5, 0.8, 0.8),
    name: str = "case",
    seed: int = 7,
) -> SimpleNamespace:
    """An ellipsoid of 110 HU with two dark balls in it, in air."""
    z, y, x = shape
    sz, sy, sx = spacing_mm
    affine = np.array([[-sx, 0, 0, 0], [0, -sy, 0, 0], [0, 0, -sz, 0], [0, 0, 0, 1]], float)
    geometry = Geometry((x, y, z), affine)
    grid = np.meshgrid(*[np.linspace(-1, 1, n, dtype=np.float32) for n in shape], indexing="ij", sparse=True)
    notch = (grid[0] > 0.3) & (grid[1] > 0.2) & (grid[2] < -0.2)  # so that no mirrored liver looks the same
    liver = (sum(axis**2 for axis in grid) < 0.7) & ~notch
    rng = np.random.default_rng(seed)
    hu = np.where(liver, 110, -400).astype(np.float32) + 10 * rng.standard_normal(shape, dtype=np.float32)
    score = np.zeros(shape, np.float32)
    for where, size in (((0.1, 0.2, 0.3), 0.25), ((-0.2, -0.3, -0.35), 0.15)):
        far = np.sqrt(sum((axis - at) ** 2 for axis, at in zip(grid, where, strict=True)))
        hu = np.where(far < size, 60, hu)
        score = np.maximum(score, np.clip(1.5 - far / size, 0, 1))
    volume = Volume(hu.astype(np.int16), geometry, name)
    return SimpleNamespace(
        volume=volume, liver=Mask(liver, geometry, volume.identity), score=(255 * score * liver).astype(np.uint8)
    )


class FakeMethod:
    """Stands for inference: finds the score of its sample, in as many steps as wanted."""

    def __init__(self, sample: SimpleNamespace, steps: int = 4, step_s: float = 0.01) -> None:
        self.sample, self.steps, self.step_s = sample, steps, step_s
        self.findings: tuple[Finding, ...] = ()
        self.at_step: Callable[[int], object] = lambda _: None
        self.calls: list[dict[str, Any]] = []

    def __call__(
        self,
        volume: Volume,
        liver: Mask | None,
        model: Any,
        settings: SegmentSettings,
        *,
        find: Callable[..., Mask],
        unlikely: str,
        device: str,
        job: Job,
    ) -> Result:
        liver = replace(find(volume, device=device, job=job), found=True) if liver is None else liver
        self.calls.append({"volume": volume, "liver": liver, "model": model, "settings": settings, "device": device})
        for step in range(self.steps):
            job.at("Searching the liver", step, self.steps)
            self.at_step(step)
            time.sleep(self.step_s)
        score = self.sample.score.copy()
        if settings.auto_threshold:
            settings = replace(settings, threshold=auto_threshold(score, liver.voxels))
        labels, left_out = cut(score, liver.probability, volume.geometry, settings)
        residual = np.where(score > 60, -50, 0).astype(np.int16)
        measured = lesions.measure(labels, volume, liver)
        return Result(
            volume=volume, liver=liver, restored=volume.voxels - residual, residual=residual, score=score, labels=labels,
            lesions=measured, settings=settings, model="fake", model_hash="0" * 64,
            device="cpu", ran_on="Ran on CPU.",
            timings_s={"total": 0.1}, left_out=left_out, liver_from="found" if liver.found else "given",
            findings=tuple(dict.fromkeys((*volume.findings, *liver.findings, *self.findings, *about_lesions(len(measured), left_out)))),
        )  # fmt: skip


class FakeFinder:
    """Stands for the search for the liver: finds that of its sample, and says what it is told to say."""

    def __init__(self, sample: SimpleNamespace, findings: tuple[Finding, ...] = ()) -> None:
        self.voxels, self.findings = sample.liver.voxels.copy(), findings
        self.probability: np.ndarray | None = None
        self.at_step: Callable[[], object] = lambda: None
        self.calls: list[dict[str, Any]] = []

    def __call__(self, volume: Volume, *, device: str = "auto", job: Job | None = None) -> Mask:
        self.calls.append({"volume": volume, "device": device})
        job.at("Finding the liver", 0, 1)
        self.at_step()
        job.at("Finding the liver", 1, 1)
        return Mask(self.voxels.copy(), volume.geometry, volume.identity, self.probability, self.findings, found=True)


@pytest.fixture
def finder(sample: SimpleNamespace) -> FakeFinder:
    return FakeFinder(sample)


@pytest.fixture
def make_sample() -> Callable[..., SimpleNamespace]:
    return _make_sample


@pytest.fixture
def sample() -> SimpleNamespace:
    return _make_sample()


@pytest.fixture
def method(sample: SimpleNamespace) -> FakeMethod:
    return FakeMethod(sample)


@pytest.fixture
def viewer(qapp: QApplication) -> ViewerModel:
    return ViewerModel()


@pytest.fixture
def make_panel(
    qtbot: Any, method: FakeMethod, finder: FakeFinder, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., TumourPanel]]:
    """Make a panel on a viewer, with the scan and liver of a sample when one is given."""

    made: list[TumourPanel] = []

    # These tests speak of the slider; test_auto_threshold.py of what moves it by itself, with which a new panel begins.
    monkeypatch.setattr(threshold_slider, "AUTO", False)

    def make(viewer: Any, sample: SimpleNamespace | None = None, **engine: Any) -> TumourPanel:
        if type(viewer) is ViewerModel:  # nobody looks, so nothing need be drawn between two layers
            monkeypatch.setattr(stepwise, "PAUSE_MS", 0)
        fakes = {"segment": method, "find_liver": finder, "names": ("compact",)}
        panel = TumourPanel(viewer, Engine(**fakes | engine))
        made.append(panel)
        if sample is not None:
            add(viewer, scan_layer(sample.volume))
            add(viewer, liver_layer(sample.liver, sample.volume))
        return panel

    yield make
    for panel in made:
        if isalive(panel):
            panel.deleteLater()


@pytest.fixture
def panel(make_panel: Callable[..., TumourPanel], viewer: ViewerModel, sample: SimpleNamespace) -> TumourPanel:
    """The panel on a viewer with the sample's scan and liver."""
    return make_panel(viewer, sample)


@pytest.fixture
def run(qtbot: Any) -> Callable[[TumourPanel], None]:
    """Press the button and wait for the end of the run."""

    def press(panel: TumourPanel) -> None:
        with qtbot.waitSignal(panel.finished, timeout=60_000):
            panel.runbar.button.click()

    return press


@pytest.fixture(autouse=True)
def nothing_left(qapp: QApplication) -> Iterator[None]:
    """No thread of ours and no widget may outlive a test."""
    yield
    settle(qapp)


def settle(qapp: QApplication) -> None:
    """Wait for the end of every thread of ours."""
    qapp.processEvents()
    gc.collect(1)
    qapp.processEvents()
    until = time.monotonic() + 120
    while any(t.name == "liver-anomaly" for t in threading.enumerate()) and time.monotonic() < until:
        time.sleep(0.02)
    assert not [t for t in threading.enumerate() if t.name == "liver-anomaly"]


_figures: dict[str, float] = {}


@pytest.fixture
def figure() -> Callable[[str, float], None]:
    """Note a measured figure; all are told at the end of the suite."""
    return _figures.__setitem__


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if _figures:
        told = "  ".join(f"{name} {value:.2f}" for name, value in _figures.items())
        terminalreporter.write_line(f"panel figures: {told}")
