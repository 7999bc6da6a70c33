"""The liver is found in the phantom and nowhere else; cut livers are said to be cut; the file's own axes make no difference."""

from __future__ import annotations

from itertools import pairwise

import nibabel
import numpy as np
import pytest

from napari_liver_anomaly import find_liver
from napari_liver_anomaly.checkpoint import read_card
from napari_liver_anomaly.errors import Cancelled, Refusal, UnfitModel
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.io import read
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.liver import checked, packaged_weights
from napari_liver_anomaly.metrics import dice
from napari_liver_anomaly.models import names
from napari_liver_anomaly.phantom import PhantomSettings, Sample, make_phantom
from napari_liver_anomaly.volume import Mask, Volume

BOUND = 0.85
LARGEST_MB = 5.0


@pytest.fixture(scope="module")
def sample() -> Sample:
    return make_phantom(PhantomSettings(seed=7, size_px=128, slices=40))


@pytest.fixture(scope="module")
def found(sample: Sample) -> Mask:
    return find_liver(sample.volume, device="cpu")


def cut(sample: Sample, part: slice) -> Volume:
    """Only some slices of the sample."""
    voxels = np.ascontiguousarray(sample.volume.voxels[part])
    whole = sample.volume.geometry
    x, y, _ = whole.source_shape
    return Volume(voxels, Geometry((x, y, len(voxels)), whole.source_affine))


def test_a_found_liver_says_how_sure_it_is(sample, found) -> None:
    inside, share = found.voxels, found.of(sample.volume).probability
    assert share[inside].mean() > 0.8 * 255 and share[~inside].mean() < 0.05 * 255
    assert (share[inside] > 127).mean() > 0.98, "but for filled holes, the outline lies at one half"


def test_the_liver_of_a_phantom_that_was_never_seen_is_found(sample, found) -> None:
    assert dice(found.voxels, sample.liver.voxels) > BOUND
    assert found.scan == sample.volume.identity
    found.of(sample.volume)


def test_the_same_scan_gives_the_same_liver(sample, found) -> None:
    np.testing.assert_array_equal(find_liver(sample.volume, device="cpu").voxels, found.voxels)


@pytest.mark.parametrize("axes", ["RAS", "PSR"])
def test_the_axes_of_the_file_make_no_difference(sample, found, axes, tmp_path) -> None:
    geometry = sample.volume.geometry
    image = nibabel.Nifti1Image(geometry.to_source(sample.volume.voxels), geometry.source_affine)
    ours, wanted = nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt(axes)
    turned = image.as_reoriented(nibabel.orientations.ornt_transform(ours, wanted))
    turned.header.set_xyzt_units("mm")
    nibabel.save(turned, tmp_path / "turned.nii")
    volume = read(tmp_path / "turned.nii")
    again = find_liver(volume, device="cpu")
    back = nibabel.Nifti1Image(again.geometry.to_source(again.voxels).astype(np.uint8), again.geometry.source_affine)
    back = back.as_reoriented(nibabel.orientations.ornt_transform(nibabel.io_orientation(back.affine), ours))
    np.testing.assert_allclose(back.affine, image.affine, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(back.dataobj) > 0, geometry.to_source(found.voxels))


def test_real_and_clipped_hu_give_the_same_liver(sample, found) -> None:
    clipped = Volume(np.clip(sample.volume.voxels, -45, 160).astype(np.int16), sample.volume.geometry)
    np.testing.assert_array_equal(find_liver(clipped, device="cpu").voxels, found.voxels)


def test_thick_slices_will_do(sample) -> None:
    voxels = np.ascontiguousarray(sample.volume.voxels[::2])
    affine = sample.volume.geometry.source_affine @ np.diag([1, 1, 2, 1])
    thick = Volume(voxels, Geometry((128, 128, len(voxels)), affine))
    assert dice(find_liver(thick, device="cpu").voxels, sample.liver.voxels[::2]) > BOUND


@pytest.mark.parametrize("kind", ["air", "water", "noise"])
def test_no_liver_is_a_refusal(kind) -> None:
    shape = (40, 96, 96)
    noise = np.random.default_rng(0).normal(0, 300, shape)
    voxels = {"air": np.full(shape, -1000), "water": np.zeros(shape), "noise": noise}[kind].astype(np.int16)
    volume = Volume(voxels, Geometry((96, 96, 40), np.diag([-3.0, -3.0, 5.0, 1.0])))
    with pytest.raises(Refusal) as refused:
        find_liver(volume, device="cpu")
    assert refused.value.finding.code == "liver-not-found"


def test_a_cut_liver_is_found_and_said_to_be_cut(sample) -> None:
    middle = int(np.flatnonzero(sample.liver.voxels.any(axis=(1, 2))).mean())
    liver = find_liver(cut(sample, slice(0, middle)), device="cpu")
    findings = liver.findings
    assert [finding.code for finding in findings] == ["liver-at-edge"]
    assert dice(liver.voxels, sample.liver.voxels[:middle]) > BOUND - 0.1


@pytest.mark.parametrize(("edge", "voxels", "refused"), [(0, 9, True), (0, 20, False), (1, 20, True), (1, 120, False)])
def test_little_liver_is_believed_only_at_an_edge(edge, voxels, refused) -> None:
    mask = np.zeros((3, 3, 150), bool)
    mask[edge, 1, 1 : voxels + 1] = True  # of 1 ml each
    volume = Volume(np.full(mask.shape, 100, np.int16), Geometry((150, 3, 3), np.diag([10.0, 10.0, 10.0, 1.0])))
    liver = Mask(mask, volume.geometry)
    if refused:
        with pytest.raises(Refusal):
            checked(liver, volume, "accept")
    else:
        codes = [finding.code for finding in checked(liver, volume, "accept").findings]
        assert ("liver-at-edge" in codes) == (edge == 0)


def test_it_tells_how_far_it_is_and_stops_when_told(sample) -> None:
    seen: list[int] = []
    job = Job(report=lambda progress: seen.append(progress.done))
    job_stopped = Job(report=lambda progress: job_stopped.cancel() if progress.done > 3 else None)
    find_liver(sample.volume, device="cpu", job=job)
    assert all(first <= second for first, second in pairwise(seen))
    with pytest.raises(Cancelled):
        find_liver(sample.volume, device="cpu", job=job_stopped)


def test_the_packaged_weights_are_small_and_say_what_they_are() -> None:
    path = packaged_weights()
    assert path.stat().st_size < LARGEST_MB * 1e6
    card = read_card(path)
    assert {"data", "seed", "schedule", "command", "versions", "metrics", "use", "title"} <= set(card)
    assert card["data"]["about"]
    assert len(card["data"]["scans"]) >= 9
    assert 7 not in card["data"]["phantom_seeds"]
    assert "liver" not in names()


def test_other_weights_are_refused(sample, tmp_path) -> None:
    with pytest.raises(UnfitModel):
        find_liver(sample.volume, weights=packaged_weights().parents[1] / "compact.safetensors")
    with pytest.raises(UnfitModel):
        find_liver(sample.volume, weights=tmp_path / "none.safetensors")
