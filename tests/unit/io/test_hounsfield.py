"""Values that are no Hounsfield units are a question; clipped, cropped and padded ones are a note."""

from __future__ import annotations

import numpy as np
import pytest

from builders import ct, nifti_file
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.io import read
from napari_liver_anomaly.io.hounsfield import air_for_padding, plausible
from napari_liver_anomaly.stored_values import to_hounsfield, whole_numbers

RNG = np.random.default_rng(3)
SHAPE = (24, 24, 12)
BODY = np.where(RNG.random(SHAPE) < 0.5, RNG.normal(-1000, 10, SHAPE), RNG.normal(60, 60, SHAPE))


def codes(values) -> tuple[str, ...]:
    return tuple(finding.code for finding in plausible(np.asarray(values).astype(np.int16)))


@pytest.mark.parametrize(
    "values",
    [
        (BODY + 1100) / 8,  # 8-bit picture
        BODY + 1024,  # stored numbers without their offset
        np.abs(RNG.normal(0, 300, SHAPE)),  # magnetic resonance
        RNG.gamma(2, 3000, SHAPE),  # positron emission
        (BODY + 1000) / 2000,  # normalised to 0...1
        (BODY - BODY.mean()) / BODY.std(),  # standardised
        BODY > 0,  # a mask
        np.zeros(SHAPE),
        np.full(SHAPE, -1000),
        BODY / 16 - 1000,  # decoded with too few bits
    ],
)
def test_other_pictures_are_a_question(tmp_path, values):
    assert codes(values) == ("values-not-hu",)
    with pytest.raises(Refusal) as error:
        read(nifti_file(tmp_path / "a.nii", values.astype(np.int16)))
    assert error.value.finding.code == "values-not-hu"


def test_a_mask_is_called_one():
    assert "mask" in plausible((BODY > 0).astype(np.int16))[0].meaning


def test_ct_passes_without_a_word():
    assert codes(BODY) == ()
    assert codes(ct()) == ()


def test_clipped_values_are_named():
    finding = plausible(np.clip(BODY, -45, 100).astype(np.int16))[0]
    assert finding.code == "values-clipped"
    assert "-45 and 100 HU" in finding.what
    assert codes(np.clip(BODY, -2000, 100)) == ("values-clipped",)


def test_a_crop_to_the_liver_is_a_note():
    assert codes(RNG.normal(100, 30, SHAPE)) == ("no-air",)


@pytest.mark.parametrize("padding", [-2000, -3024, -32768])
def test_padding_is_air(padding):
    values = ct()
    padded = values.copy()
    padded[:4, :4] = padding
    values[:4, :4] = -1024
    note = air_for_padding(padded)
    np.testing.assert_array_equal(padded, values)
    assert note is not None
    assert note.code == "padding"
    assert "6.2 %" in note.what
    assert plausible(padded) == plausible(values)
    assert air_for_padding(padded) is None


def test_hounsfield_round_to_the_nearest():
    stored = np.array([-1.5, -0.51, -0.49, 0.49, 0.51, 1.5]).reshape(1, 2, 3)
    assert to_hounsfield(stored, 1, 0).ravel().tolist() == [-2, -1, 0, 0, 1, 2]
    assert to_hounsfield(np.full((1, 1, 1), 2.9999998), 1, 0)[0, 0, 0] == 3


def test_huge_and_signalling_numbers():
    with pytest.raises(Refusal, match="far outside"):
        to_hounsfield(np.full((1, 1, 1), 1e308), 1e10, 0)
    with pytest.raises(Refusal, match="not whole"):
        whole_numbers(np.full((1, 1, 1), 1e308), 1e10, 0)
    signalling = np.array([0x7F800001, 0], "u4").view("f4").reshape(1, 1, 2)
    with pytest.raises(Refusal, match="1 voxels hold no number"):
        to_hounsfield(signalling, 1, 0)


def test_no_copy_of_what_fits_already():
    stored = np.asfortranarray(ct())
    assert to_hounsfield(stored, 1, 0) is stored
    assert to_hounsfield(stored.astype(">i2"), 1, 0).dtype == np.dtype("int16")


def test_masks_are_whole_numbers():
    stored = np.array([0, 1, 2, 300]).reshape(1, 2, 2)
    for kind in ("u2", "i4", "f4", ">i2", "i8", "f8"):
        assert whole_numbers(stored.astype(kind), 1, 0).ravel().tolist() == [0, 1, 2, 300]
    for kind in ("i4", "f4"):
        with pytest.raises(Refusal, match="values from -1 to 299"):
            whole_numbers((stored - 1).astype(kind), 1, 0)
    for fractions in (stored * 0.5, stored * 1.002):
        with pytest.raises(Refusal, match="not whole"):
            whole_numbers(fractions, 1, 0)
    with pytest.raises(Refusal, match="not whole"):
        whole_numbers(stored, 0.5, 0)
    with pytest.raises(Refusal, match="NaN"):
        whole_numbers(stored * np.nan, 1, 0)


def test_rounding_of_masks_is_forgiven():
    """Half a step of nibabel's scaling, and a thousandth in floating point."""
    assert whole_numbers(np.array([0, 1, 2, 3]).reshape(1, 2, 2) * 1.0003, 1, 0).ravel().tolist() == [0, 1, 2, 3]
    slope = 2 / 65535  # labels 0, 1, 2 as nibabel stores floating point under a header of 16 bits
    stored = np.rint(np.array([0, 1, 2, 1]) / slope - 32768).astype("i2").reshape(1, 2, 2)
    assert whole_numbers(stored, slope, 32768 * slope).ravel().tolist() == [0, 1, 2, 1]
    with pytest.raises(Refusal, match="not whole"):
        whole_numbers(np.array([0, 1, 254, 255], "u1").reshape(1, 2, 2), 1 / 255, 0)
