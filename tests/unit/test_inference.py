"""A method over a whole scan: there and exactly back, cancel, memory, invalid numbers."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from former_cut import label_components
from napari_liver_anomaly.errors import Cancelled, InvalidNumbers, OutOfMemory, Refusal, WrongGrid
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.preprocessing import PreprocessSettings
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.thresholds import auto_threshold
from napari_liver_anomaly.volume import Mask, Volume

LESION = (slice(3, 6), slice(20, 32), slice(30, 44))


@pytest.fixture
def scan():
    """A flat liver of 100 HU with one lesion of 50 HU, on an anisotropic, flipped grid."""
    affine = np.diag([-0.9, 0.8, 2.5, 1.0])
    geometry = Geometry((64, 56, 9), affine)
    hu = np.full(geometry.shape, -80, dtype=np.int16)
    liver = np.zeros(geometry.shape, dtype=bool)
    liver[1:8, 8:48, 8:56] = True
    hu[liver] = 100
    hu[LESION] = 50
    volume = Volume(hu, geometry)
    return volume, Mask(liver, geometry, volume.identity, judged=True)


class Flat:
    """Restores every liver to flat grey; 25 HU off scores one half, so a lesion of 50 HU is cut at its edge."""

    name, hash = "flat", "0" * 64
    preprocess = PreprocessSettings(geometry="liver", pixel_mm=1.5, intensity="robust")

    def __init__(self, fail=lambda images, device: None):
        self.device, self.fail, self.batches = torch.device("cpu"), fail, []

    def to(self, device):
        self.device = device
        return self

    def predict(self, images, liver_mask):
        self.fail(images, self.device)
        self.batches.append(len(images))
        images = images[:, images.shape[1] // 2]
        restored = np.where(liver_mask, np.float32(0.5), 0).astype(np.float32)
        return SimpleNamespace(
            score=(np.abs(images - restored) * 6 * liver_mask).clip(0, 1).astype(np.float32), restored=restored
        )


def test_many_lesions_are_told(scan):
    """Metastases, or a liver whose tissue looks like many lesions to the model."""
    volume, liver = scan
    for number in (15, 16):
        score = np.zeros(volume.voxels.shape, np.uint8)
        for row, column in list(np.ndindex(4, 4))[:number]:
            score[3:6, 10 + 9 * row : 15 + 9 * row, 10 + 11 * column : 16 + 11 * column] = 255
        model = SimpleNamespace(name="drawn", hash="", score_volume=lambda *_, score=score: score)
        result = segment(volume, liver, model, SegmentSettings(threshold=0.5))
        assert len(result.lesions) == number
        told = [finding.what for finding in result.findings if finding.code == "lesions-many"]
        assert told == ["16 marks: many may be no lesion."] * (number == 16)


def test_a_piece_where_the_found_liver_is_unsure_is_left_out_and_told(scan):
    volume, liver = scan
    unsure = np.full(volume.voxels.shape, 255, np.uint8)
    unsure[LESION] = 60
    found = Mask(liver.voxels, volume.geometry, volume.identity, unsure, judged=True)
    drawn, kept = (
        segment(volume, liver, Flat()),
        segment(volume, found, Flat(), SegmentSettings(auto_threshold=True, min_liver_probability=0.0)),
    )
    assert len(drawn.lesions) == len(kept.lesions) == 1 and not drawn.findings
    result = segment(volume, found, Flat())
    assert not result.lesions and not result.labels.any() and "pieces-left-out" in {finding.code for finding in result.findings}
    assert (drawn.left_out, kept.left_out, result.left_out) == (0, 0, 1)
    assert (result.score == drawn.score).all(), "what was left out can still be seen in the score"


def test_result_lies_on_the_scans_grid(scan):
    volume, liver = scan
    result = segment(volume, liver, Flat())
    truth = np.zeros(volume.voxels.shape, dtype=bool)
    truth[LESION] = True
    found = result.labels > 0
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.9
    assert len(result.lesions) == 1
    lesion = result.lesions[0]
    np.testing.assert_allclose(lesion.centroid_index, [4, 25.5, 36.5], atol=0.4)
    assert lesion.mean_hu == pytest.approx(50, abs=6)


def test_restored_and_residual_add_up_to_the_scan_and_touch_nothing_else(scan):
    volume, liver = scan
    result = segment(volume, liver, Flat())
    assert np.array_equal(result.restored + result.residual, volume.voxels)
    assert not result.residual[~liver.voxels].any()
    assert not result.score[~liver.voxels].any()
    core = result.residual[4, 24:28, 35:39]
    assert np.abs(core + 50).max() <= 2, "a lesion 50 HU darker than its restoration has residual -50 HU"


def test_a_model_of_healthy_tissue_sees_a_liver_that_is_mostly_tumour_a_second_time(scan):
    """Two thirds of the liver are tumour of 60 HU: the median of the mask is the tumour's, that of what is not suspected the liver's."""
    volume, liver = scan
    hu = volume.voxels.copy()
    hu[:, 8:36][liver.voxels[:, 8:36]] = 60
    volume = Volume(hu, volume.geometry)
    liver = Mask(liver.voxels, volume.geometry, volume.identity, judged=True)

    class Dark(Flat):
        """Suspects what is darker than a level, and keeps what it saw."""

        def predict(self, images, liver_mask):
            self.seen.append(float(images[:, 0][liver_mask].max()))
            return SimpleNamespace(score=((images[:, 0] < 0.55) * liver_mask).astype(np.float32), restored=None)

    seen = {}
    for reference in ("mask", "healthy"):
        model = Dark()
        model.seen = seen[reference] = []
        model.preprocess = PreprocessSettings(geometry="liver", pixel_mm=1.5, reference=reference)
        segment(volume, liver, model)
    assert seen["mask"] == pytest.approx([0.5 + 40 / 300]), "40 HU above the tumour"
    assert seen["healthy"] == pytest.approx([0.5 + 40 / 300, 0.5]), "the second time healthy tissue is in the middle"


@pytest.mark.parametrize("batch", [1, 3, 50])
def test_the_batch_does_not_matter(scan, batch):
    one, other = segment(*scan, Flat(), SegmentSettings(batch=batch)), segment(*scan, Flat(), SegmentSettings(batch=2))
    assert np.array_equal(one.score, other.score)
    assert np.array_equal(one.residual, other.residual)


def test_memory_ladder_halves_the_batch_and_says_so(scan):
    def full(images, device):
        if len(images) > 2:
            raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    method = Flat(full)
    result = segment(*scan, method, SegmentSettings(batch=8))
    assert set(method.batches) <= {1, 2}
    assert "2 slices at a time" in result.ran_on
    assert np.array_equal(result.score, segment(*scan, Flat()).score)


def test_memory_ladder_ends_on_the_cpu(scan, monkeypatch):
    """A graphics card that is always full: simulated, so the names 'cuda' and 'cpu' are all that moves."""

    def full(images, device):
        if device.type == "cuda":
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    result = segment(*scan, Flat(full), device="cuda")
    assert result.device == "cpu"
    assert result.ran_on == "Ran on CPU (GPU memory full)."
    assert np.array_equal(result.score, segment(*scan, Flat(), device="cpu").score)


def test_no_memory_at_all_is_our_own_error(scan):
    def full(images, device):
        raise MemoryError

    with pytest.raises(OutOfMemory, match="Not enough memory: needs about"):
        segment(*scan, Flat(full))


def test_other_runtime_errors_are_not_taken_for_memory(scan):
    def wrong(images, device):
        raise RuntimeError("shape mismatch")

    with pytest.raises(RuntimeError, match="shape mismatch"):
        segment(*scan, Flat(wrong))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["score", "restored"])
def test_invalid_numbers_are_never_an_empty_mask(scan, bad, where):
    class Broken(Flat):
        def predict(self, images, liver_mask):
            found = super().predict(images, liver_mask)
            getattr(found, where)[0, 5, 5] = bad
            return found

    with pytest.raises(InvalidNumbers, match="invalid numbers"):
        segment(*scan, Broken())


def test_cancel_at_every_step(scan):
    steps = []
    segment(*scan, Flat(), SegmentSettings(batch=2), job=Job(report=steps.append))
    assert len(steps) >= 6
    for stop in range(len(steps)):
        seen = []
        job = Job()

        def report(progress, seen=seen, job=job, stop=stop):
            seen.append(progress)
            if len(seen) > stop:
                job.cancel()

        job.report = report
        if stop == len(steps) - 1:
            continue
        with pytest.raises(Cancelled):
            segment(*scan, Flat(), SegmentSettings(batch=2), job=job)
        assert len(seen) == stop + 1


def test_a_mask_of_another_scan_is_refused(scan):
    volume, liver = scan
    other = Volume((volume.voxels + 1).astype(np.int16), volume.geometry)
    with pytest.raises(WrongGrid, match="belongs to scan"):
        segment(other, liver, Flat())
    shifted = Geometry((64, 56, 9), np.array(volume.geometry.source_affine) + np.eye(4, k=3) * 0.9)
    with pytest.raises(WrongGrid, match="not on the same grid"):
        segment(volume, Mask(liver.voxels, shifted), Flat())


def test_an_empty_liver_is_refused(scan):
    volume, liver = scan
    with pytest.raises(Refusal, match="liver mask is empty"):
        segment(volume, Mask(np.zeros_like(liver.voxels), volume.geometry), Flat())


def test_a_liver_at_the_edge_is_noted(scan):
    volume, liver = scan
    assert segment(volume, liver, Flat()).findings == ()
    cut = liver.voxels.copy()
    cut[0] = cut[1]
    found = segment(volume, Mask(cut, volume.geometry, judged=True), Flat()).findings
    assert [finding.code for finding in found] == ["liver-at-edge"]


def test_the_threshold_is_chosen_from_the_scores_when_asked_for(scan):
    volume, liver = scan
    given, chosen = (segment(volume, liver, Flat(), SegmentSettings(auto_threshold=auto)) for auto in (False, True))
    assert given.settings == SegmentSettings(threshold=0.5)
    best = auto_threshold(chosen.score, liver.voxels)
    assert chosen.settings == SegmentSettings(threshold=best, auto_threshold=True), "what was used is what is written down"
    assert np.array_equal(chosen.labels, label_components(chosen.score, best, 50.0, volume.geometry, 0.8))
    assert chosen.labels.any() and segment(volume, liver, Flat()).settings == chosen.settings, "Auto is what nothing said means"


def test_a_lesion_that_is_nowhere_convincing_is_dropped(scan):
    volume, liver = scan
    found = segment(volume, liver, Flat(), SegmentSettings(threshold=0.1, min_peak_score=0))
    highest = max(int(found.score[found.labels == lesion.number].max()) for lesion in found.lesions)
    kept, dropped = (
        segment(volume, liver, Flat(), SegmentSettings(threshold=0.1, min_peak_score=p)) for p in (highest / 255, 1.0)
    )
    assert kept.lesions and (highest == 255 or not dropped.lesions)
    assert len(dropped.lesions) <= len(kept.lesions) <= len(found.lesions)


def test_a_rule_has_a_cut_of_its_own(scan):
    volume, liver = scan
    rule = SimpleNamespace(
        name="rule", score_volume=lambda v, m: np.where(m.voxels, (v.voxels < 80) * 110 + 20, 0).astype(np.uint8)
    )
    assert segment(volume, liver, rule).settings == SegmentSettings(min_peak_score=0, min_liver_probability=0)
    assert len(segment(volume, liver, rule, SegmentSettings(threshold=0.4)).lesions) == 1, "its scores stay below the lowest peak"


def test_a_rule_without_restorer_gives_no_residual(scan):
    volume, liver = scan
    rule = SimpleNamespace(name="rule", score_volume=lambda v, m: np.where(m.voxels & (v.voxels < 80), 255, 0).astype(np.uint8))
    result = segment(volume, liver, rule)
    assert result.restored is None
    assert result.residual is None
    assert len(result.lesions) == 1
