"""The library as its users meet it: arrays in and out, one line for everything, and one sentence for what is of the wrong kind."""

from __future__ import annotations

import base64
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import nibabel
import numpy as np
import pytest
from PIL import Image

import napari_liver_anomaly as nla
from napari_liver_anomaly.errors import InvalidNumbers, Refusal
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.notebook import LIVER, TUMOUR

LAS = np.diag([-0.8, -0.7, 2.5, 1.0])


@pytest.fixture(scope="module")
def sample():
    return nla.make_phantom(nla.PhantomSettings(slices=12, size_px=64))


@pytest.fixture(scope="module")
def result(sample):
    return nla.segment(sample.volume, sample.liver, DarkRule(), device="cpu")


def hu(shape=(7, 6, 5)):
    return np.random.default_rng(1).integers(-1000, 1000, shape).astype(np.int16)


def turned(affine, axes):
    """The affine of an array whose axes were put into another order."""
    return affine[:, [*axes, 3]]


def save(voxels, affine, path):
    image = nibabel.Nifti1Image(voxels, affine)
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


# arrays


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1)])
def test_an_array_with_its_affine_is_the_scan_that_its_file_is(sample, tmp_path, axes):
    geometry = sample.volume.geometry
    voxels, affine = geometry.to_source(sample.volume.voxels).transpose(axes), turned(geometry.source_affine, axes)
    save(voxels, affine, tmp_path / "ct.nii.gz")
    made, read = nla.Volume.from_array(voxels, affine), nla.Volume.from_file(tmp_path / "ct.nii.gz")
    assert made.identity == read.identity == nla.read(tmp_path / "ct.nii.gz").identity and made.geometry.same_grid(read.geometry)
    assert np.array_equal(made.geometry.to_source(made.voxels), voxels)
    assert nla.Volume.from_array(voxels + 0.3, affine).identity == made.identity, "whole HU"


@pytest.mark.parametrize("kind", [bool, np.uint8, np.float64])
def test_a_mask_of_an_array(tmp_path, kind):
    voxels, labels = hu(), (hu() > 500).astype(kind)
    volume = nla.Volume.from_array(voxels, LAS)
    save(labels.astype(np.uint8), LAS, tmp_path / "liver.nii.gz")
    made, read = nla.Mask.from_array(labels, LAS), nla.Mask.from_file(tmp_path / "liver.nii.gz", volume)
    assert np.array_equal(made.voxels, read.voxels) and made.of(volume).ml == read.ml > 0
    assert read.findings == volume.findings == ()
    nibabel.save(nibabel.Nifti1Image(labels.astype(np.uint8), LAS), tmp_path / "liver.nii.gz")
    assert [finding.code for finding in nla.read_mask(tmp_path / "liver.nii.gz", volume).findings] == ["units-unknown"]


def test_numpy_sees_the_voxels(sample):
    volume, mask = sample.volume, sample.liver
    assert np.asarray(volume) is volume.voxels and np.asarray(mask) is mask.voxels
    assert not np.shares_memory(np.array(volume), volume.voxels)
    assert np.asarray(volume, np.float32).dtype == np.float32
    assert np.asarray(volume, copy=False) is volume.voxels
    with pytest.raises(ValueError, match="without a copy"):
        np.asarray(volume, np.float32, copy=False)


def test_arrays_that_are_no_scan_are_refused():
    with pytest.raises(InvalidNumbers):
        nla.Volume.from_array(np.full((3, 3, 3), np.nan), LAS)
    with pytest.raises(InvalidNumbers):
        nla.Volume.from_array(np.full((3, 3, 3), 70000), LAS)
    with pytest.raises(InvalidNumbers):
        nla.Mask.from_array(np.full((3, 3, 3), 0.5), LAS)
    with pytest.raises(Refusal):
        nla.Volume.from_array(hu(), np.zeros((4, 4)))


# one line, and a picture


def test_everything_says_itself_in_one_line(sample, result, tmp_path):
    long = nla.Volume(sample.volume.voxels, sample.volume.geometry, "a very long name of a scan " * 9)
    shown = [
        sample,
        sample.volume,
        long,
        sample.liver,
        sample.volume.geometry,
        result,
        *result.lesions,
        nla.SegmentSettings(threshold=0.3),
    ]
    shown += [
        nla.ReadOptions(series=2, tilt="straighten"),
        nla.PreprocessSettings(),
        *(recipe() for recipe in nla.RECIPES.values()),
    ]
    for thing in shown:
        assert "\n" not in repr(thing) and len(repr(thing)) < 120, repr(thing)
    assert repr(nla.SegmentSettings(threshold=0.3, batch=2)) == "SegmentSettings(threshold=0.3, batch=2)"
    assert repr(sample.volume) == "Volume('phantom', shape=(12, 64, 64), spacing_mm=(16, 5.625, 5.625))"
    assert repr(result).startswith("Result('dark-rule', ") and "ml of liver given" in repr(result)


def test_a_notebook_shows_a_slice_with_contours(sample, result):
    named = nla.Volume(sample.volume.voxels, sample.volume.geometry, "MUSTERMANN^ERIKA")
    for thing, colours in ((named, set()), (sample.liver, {"liver"}), (result, {"liver", "tumour"})):
        page = thing._repr_html_()
        assert "MUSTERMANN" not in page
        picture = np.asarray(Image.open(BytesIO(base64.b64decode(re.search(r"base64,([^\"]+)", page)[1]))))
        assert picture.shape == (64, 64, 3)
        found = {name for name, colour in (("liver", LIVER), ("tumour", TUMOUR)) if (picture == colour).all(-1).any()}
        assert found == colours
    assert result.summary.removesuffix(".") in result._repr_html_()


# what is of the wrong kind


def calls(sample, result, folder):
    volume, liver = sample.volume, sample.liver
    nodules = nla.RECIPES["nodules"]()
    for wrong in (None, 3, "x", np.zeros((3, 3, 3)), [1, 2], object()):
        yield "segment a", lambda wrong=wrong: nla.segment(wrong)
        if wrong is not None:
            yield "segment in", lambda wrong=wrong: nla.segment(volume, wrong)
            yield "settings", lambda wrong=wrong: nla.segment(volume, liver, settings=wrong)
            yield "phantom", lambda wrong=wrong: nla.make_phantom(wrong)
            yield "read with", lambda wrong=wrong: nla.read("x", wrong)
        if not isinstance(wrong, str):
            yield "with", lambda wrong=wrong: nla.segment(volume, liver, wrong)
            yield "load", lambda wrong=wrong: nla.load(wrong)
            yield "read", lambda wrong=wrong: nla.read(wrong)
            yield "read a mask", lambda wrong=wrong: nla.read_mask(wrong, volume)
            yield "write to", lambda wrong=wrong: nla.write(result, wrong)
            yield "evaluate", lambda wrong=wrong: nla.evaluate(wrong, DarkRule())
        if not isinstance(wrong, (int, np.ndarray)):
            yield "synthesise with", lambda wrong=wrong: nla.synthesise(volume, liver, nodules, wrong)
        if not isinstance(wrong, np.ndarray):
            yield "an array", lambda wrong=wrong: nla.Volume.from_array(wrong, LAS)
            yield "a mask array", lambda wrong=wrong: nla.Mask.from_array(wrong, LAS)
            yield "measure", lambda wrong=wrong: nla.measure(wrong, volume, liver)
        yield "find_liver", lambda wrong=wrong: nla.find_liver(wrong)
        yield "mask of", lambda wrong=wrong: nla.read_mask(folder / "x.nii", wrong)
        yield "write", lambda wrong=wrong: nla.write(wrong, folder)
        yield "measure in", lambda wrong=wrong: nla.measure(result.labels, wrong, liver)
        yield "measure in liver", lambda wrong=wrong: nla.measure(result.labels, volume, wrong)
        yield "synthesise", lambda wrong=wrong: nla.synthesise(wrong, liver, nodules, 1)
        yield "synthesise in", lambda wrong=wrong: nla.synthesise(volume, wrong, nodules, 1)
        yield "synthesise a", lambda wrong=wrong: nla.synthesise(volume, liver, wrong, 1)
        yield "belongs", lambda wrong=wrong: liver.of(wrong)
        yield "volume", lambda wrong=wrong: nla.Volume(wrong, volume.geometry)
        yield "volume on", lambda wrong=wrong: nla.Volume(volume.voxels, wrong)
        yield "mask", lambda wrong=wrong: nla.Mask(wrong, volume.geometry)
        yield "evaluate with", lambda wrong=wrong: nla.evaluate(folder, wrong)


def test_what_is_of_the_wrong_kind_gets_one_sentence(sample, result, tmp_path):
    for name, call in calls(sample, result, tmp_path):
        with pytest.raises((TypeError, Refusal)) as refused:
            call()
        if isinstance(refused.value, TypeError):
            said = str(refused.value)
            assert "\n" not in said and 10 < len(said) < 160, (name, said)


def test_an_array_with_its_spacing_is_answered_by_how_to_make_a_volume():
    with pytest.raises(
        TypeError, match=r"^segment\(\) needs a Volume, not ndarray; make one with Volume\.from_array\(voxels, affine\)\.$"
    ):
        nla.segment(np.zeros((4, 4, 4)), spacing=(1, 1, 1))


# types

SCRIPT = """
import numpy as np
import napari_liver_anomaly as nla

volume = nla.Volume.from_array(np.zeros((4, 5, 6)), np.eye(4))
result = nla.segment(volume, model="standard", settings=nla.SegmentSettings(threshold=0.4), device="cpu")
largest: float = result.lesions[0].volume_ml
for finding in nla.read("ct.nii.gz").findings:
    words: str = finding.what
mask: nla.Mask = nla.read_mask("liver.nii.gz", volume)
recipe: nla.Recipe = nla.RECIPES["nodules"]()
"""


def test_a_script_of_a_user_is_typed(tmp_path):
    api = pytest.importorskip("mypy.api")
    script = tmp_path / "script.py"
    for text, code in ((SCRIPT, 0), (SCRIPT + "result.nothing\n", 1), (SCRIPT + "nla.segment(volume, spacing=3)\n", 1)):
        script.write_text(text)
        flags = ["--strict", "--config-file=", "--follow-imports=silent", f"--cache-dir={tmp_path / 'cache'}", str(script)]
        out, _, found = api.run(flags)
        assert found == code, out


def test_the_package_says_that_it_is_typed():
    assert (Path(nla.__file__).parent / "py.typed").exists()


def test_looking_at_everything_public_loads_no_screen():
    code = "import napari_liver_anomaly as nla; [getattr(nla, n) for n in nla.__all__]; import sys; print('qtpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert done.stdout.strip() == "False"
