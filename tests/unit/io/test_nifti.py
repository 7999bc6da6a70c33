"""NIfTI files read exactly, or are refused with the right sentence."""

from __future__ import annotations

import numpy as np
import pytest

from builders import PLAIN_AFFINE, ct, nifti_file
from napari_liver_anomaly import storage
from napari_liver_anomaly.errors import ImpossibleGeometry, InvalidNumbers, OutOfMemory, Question, Refusal
from napari_liver_anomaly.io import read, write_image
from napari_liver_anomaly.io.read_options import ReadOptions

NAN, INF = float("nan"), float("inf")


def refused(path) -> str:
    with pytest.raises(Refusal) as error:
        read(path)
    assert path.parent.name not in str(error.value)
    return error.value.finding.code


def same(path, values=None) -> tuple[str, ...]:
    """Voxels as in the builder, in source order; gives the codes of the notes."""
    volume = read(path)
    notes = volume.findings
    np.testing.assert_array_equal(volume.geometry.to_source(volume.voxels), ct() if values is None else values)
    return tuple(note.code for note in notes)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "A.NII.GZ", "ein Bild mit Umlaut ä.nii", "dot..nii"])
@pytest.mark.parametrize(("order", "version"), [("<", 1), (">", 1), ("<", 2), (">", 2)])
def test_both_versions_byte_orders_and_packings(tmp_path, name, order, version):
    assert same(nifti_file(tmp_path / name, order=order, version=version)) == ()


def test_canonical_order_and_name(tmp_path):
    volume = read(nifti_file(tmp_path / "liver case 7.nii.gz"))
    assert volume.name == "liver case 7"
    assert volume.voxels.dtype == np.int16
    assert volume.voxels.flags.c_contiguous
    # L and P along the source's first axes, as in the canonical order; S along the third, turned round.
    np.testing.assert_array_equal(volume.voxels, ct().transpose(2, 1, 0)[::-1])
    np.testing.assert_allclose(volume.geometry.spacing_mm, (2.0, 0.8, 0.7), rtol=1e-6)


def test_what_is_packed_is_told_by_the_bytes_not_by_the_name(tmp_path):
    packed = nifti_file(tmp_path / "a.nii.gz")
    assert same(packed.rename(tmp_path / "b.nii")) == ()
    plain = nifti_file(tmp_path / "c.nii")
    assert same(plain.rename(tmp_path / "d.nii.gz")) == ()


@pytest.mark.parametrize("kind", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_kind_of_number(tmp_path, kind):
    values = ct() % 100
    assert same(nifti_file(tmp_path / "a.nii.gz", values.astype(kind), scaling=(1, -50)), values - 50) == ("no-air",)


def test_scaling_of_values(tmp_path):
    stored = ct() + 1024
    assert same(nifti_file(tmp_path / "a.nii", stored, scaling=(1, -1024))) == ()
    assert same(nifti_file(tmp_path / "a.nii", stored.astype("i4") * 100, scaling=(0.01, -1024))) == ()
    assert same(nifti_file(tmp_path / "a.nii", stored // 2, scaling=(2, -1024)), stored // 2 * 2 - 1024) == ()
    for slope in (0, NAN):  # "as stored" in this format
        assert same(nifti_file(tmp_path / "a.nii", scaling=(slope, -1024))) == ()
    for bad in ((INF, 0), (1, NAN), (2, INF)):
        assert refused(nifti_file(tmp_path / "a.nii", scaling=bad)) == "rescale-invalid"


def test_values_that_would_wrap_are_refused(tmp_path):
    for values, scaling in ((np.full((4, 4, 4), 65535, "u2"), (1, 0)), (ct(), (100, 0)), (ct().astype("i4") - 2**30, (1, 0))):
        assert refused(nifti_file(tmp_path / "a.nii", values, scaling=scaling)) == "values-range"


def test_numbers_that_are_none_are_counted(tmp_path):
    for bad in (NAN, INF, -INF):
        values = ct().astype("f4")
        values[3, 4, 6:8] = bad
        with pytest.raises(InvalidNumbers, match=r"2 voxels .* slice 7"):
            read(nifti_file(tmp_path / "a.nii.gz", values))
    assert refused(nifti_file(tmp_path / "a.nii", np.full((4, 4, 4), NAN, "f4"))) == "voxels-not-numbers"


@pytest.mark.parametrize("bad", [0, NAN, -1, 1e6, INF, 0.001])
def test_impossible_spacing(tmp_path, bad):
    for codes in ((1, 1), (0, 1), (1, 0), (0, 0)):
        pixdim = np.array([1, 0.7, bad, 2, 1, 1, 1, 1])
        expected = "spacing-disagrees" if bad == -1 and codes[0] else "spacing-impossible"
        if not codes[0] or not (bad == 0 or np.isnan(bad)):
            assert refused(nifti_file(tmp_path / "a.nii", codes=codes, header={"pixdim": pixdim})) == expected
    expected = "spacing-disagrees" if bad == -1 else "spacing-impossible"  # a negative step is a direction
    assert refused(nifti_file(tmp_path / "a.nii", header={"srow_y": (0, bad, 0, 0)})) == expected


def test_units(tmp_path):
    assert same(nifti_file(tmp_path / "a.nii", units=0)) == ("units-unknown",)
    for units, factor in ((1, 1000.0), (3, 0.001)):
        path = nifti_file(tmp_path / "a.nii", affine=np.diag([*np.diag(PLAIN_AFFINE)[:3] / factor, 1]), units=units)
        volume = read(path)
        notes = volume.findings
        assert [note.code for note in notes] == ["units-converted"]
        np.testing.assert_allclose(volume.geometry.spacing_mm, (2.0, 0.8, 0.7), rtol=1e-5)
        assert refused(nifti_file(tmp_path / "a.nii", units=units)) == "spacing-impossible"
    assert refused(nifti_file(tmp_path / "a.nii", units=5)) == "units-strange"


def turned(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])


def test_two_positions_that_disagree(tmp_path):
    mirrored = PLAIN_AFFINE * [[-1], [1], [1], [1]]
    with pytest.raises(Question, match="to the left, to the back, to the head, or to the right, to the back, to the head"):
        read(nifti_file(tmp_path / "a.nii", qform=mirrored))
    assert refused(nifti_file(tmp_path / "a.nii", qform=turned(8) @ PLAIN_AFFINE)) == "orientation-disagrees"
    assert refused(nifti_file(tmp_path / "a.nii", qform=PLAIN_AFFINE * [1, 1, 1.5, 1])) == "spacing-disagrees"
    assert same(nifti_file(tmp_path / "a.nii", qform=turned(0.8) @ PLAIN_AFFINE)) == ("positions-differ",)


def test_a_second_position_that_does_not_count_is_not_looked_at(tmp_path):
    mirrored = PLAIN_AFFINE * [[-1], [1], [1], [1]]
    assert same(nifti_file(tmp_path / "a.nii", qform=mirrored, codes=(1, 0))) == ()
    volume = read(nifti_file(tmp_path / "a.nii", qform=mirrored, codes=(0, 1)))
    np.testing.assert_allclose(volume.geometry.source_affine, mirrored, atol=1e-6)


def test_voxel_size_of_the_header_against_the_position(tmp_path):
    pixdim = np.array([1, 1, 1, 1, 1, 1, 1, 1.0])
    assert refused(nifti_file(tmp_path / "a.nii", codes=(1, 0), header={"pixdim": pixdim})) == "spacing-disagrees"


def asked(path) -> list[str]:
    with pytest.raises(Question) as error:
        read(path)
    return [answer.flag for answer in error.value.finding.answers]


@pytest.mark.parametrize("position", ["sform", "qform"])
def test_the_user_decides_between_two_positions(tmp_path, position):
    mirrored = PLAIN_AFFINE * [[-1], [1], [1], [1]]
    path = nifti_file(tmp_path / "a.nii", qform=mirrored)
    assert asked(path) == ["--position sform", "--position qform"]
    volume = read(path, ReadOptions(position=position))
    findings = volume.findings
    assert [finding.code for finding in findings] == ["position-chosen"]
    np.testing.assert_allclose(volume.geometry.source_affine, {"sform": PLAIN_AFFINE, "qform": mirrored}[position], atol=1e-6)


def test_a_voxel_size_that_disagrees_can_be_settled(tmp_path):
    path = nifti_file(tmp_path / "a.nii", codes=(1, 0), header={"pixdim": np.ones(8)})
    assert asked(path) == ["--position sform"]
    assert read(path, ReadOptions(position="sform")).geometry.spacing_mm == pytest.approx((2, 0.8, 0.7))


def test_an_answer_to_a_question_that_is_not_asked_changes_nothing(tmp_path):
    answers = ReadOptions(position="qform", orientation="unverified", values="hounsfield", volume=1, series=1)
    volume = read(nifti_file(tmp_path / "a.nii"), answers)
    findings = volume.findings
    assert findings == ()
    assert volume.geometry.oriented


def test_unknown_orientation_is_a_question(tmp_path):
    path = nifti_file(tmp_path / "a.nii", codes=(0, 0))
    assert asked(path) == ["--orientation unverified"]


def test_unverified_sides_are_marked_and_stay_unsaid_in_what_is_written(tmp_path):
    volume = read(nifti_file(tmp_path / "a.nii", codes=(0, 0)), ReadOptions(orientation="unverified"))
    findings = volume.findings
    assert [finding.code for finding in findings] == ["orientation-unverified"]
    assert not volume.geometry.oriented
    written = write_image(volume.voxels, volume.geometry, tmp_path / "b.nii.gz")
    import nibabel

    header = nibabel.load(written).header
    assert (int(header["sform_code"]), int(header["qform_code"])) == (0, 0)
    np.testing.assert_array_equal(nibabel.load(written).dataobj, ct())
    np.testing.assert_allclose(nibabel.load(written).affine[:3, :3], nibabel.load(tmp_path / "a.nii").affine[:3, :3], atol=1e-6)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("volume", [1, 2, 3])
def test_one_of_several_volumes(tmp_path, volume, name):
    path = nifti_file(tmp_path / name, np.stack([ct() + 10 * n for n in range(3)], axis=3))
    assert asked(path) == ["--volume 1", "--volume 2", "--volume 3"]
    chosen = read(path, ReadOptions(volume=volume))
    findings = chosen.findings
    assert [finding.code for finding in findings] == ["volume-chosen"]
    np.testing.assert_array_equal(chosen.geometry.to_source(chosen.voxels), ct() + 10 * (volume - 1))
    path.write_bytes(path.read_bytes()[:-9])  # damage behind the chosen volume is still damage
    with pytest.raises(Refusal, match="ends early"):
        read(path, ReadOptions(volume=volume))
    with pytest.raises(Question):
        read(nifti_file(tmp_path / name, np.stack([ct()] * 3, axis=3)), ReadOptions(volume=4))


def test_values_that_are_no_hu_can_be_taken_for_such(tmp_path):
    path = nifti_file(tmp_path / "a.nii", np.clip(ct() + 1000, 0, 255))
    assert asked(path) == ["--values hounsfield"]
    assert [finding.code for finding in read(path, ReadOptions(values="hounsfield")).findings] == ["values-taken-as-hu"]


def test_singular_and_sheared(tmp_path):
    flat = PLAIN_AFFINE.copy()
    flat[:3, 2] = flat[:3, 0]
    assert refused(nifti_file(tmp_path / "a.nii", affine=flat, qform=PLAIN_AFFINE, codes=(1, 0))) == "geometry-singular"
    skewed = PLAIN_AFFINE.copy()
    skewed[0, 2] = 2 * np.tan(np.radians(15))
    with pytest.raises(ImpossibleGeometry, match="15° away from right angles"):
        read(nifti_file(tmp_path / "a.nii", affine=skewed, codes=(1, 0)))
    skewed[0, 2] = 0.03  # ten slices on, 0.3 mm: less than half a voxel
    assert same(nifti_file(tmp_path / "a.nii", affine=skewed, codes=(1, 0))) == ()
    skewed[0, 2] = 0.04
    assert refused(nifti_file(tmp_path / "a.nii", affine=skewed, codes=(1, 0))) == "geometry-sheared"


def test_broken_quaternion(tmp_path):
    assert refused(nifti_file(tmp_path / "a.nii", codes=(0, 1), header={"quatern_b": 3.0})) == "geometry-singular"


@pytest.mark.parametrize("header", [{"quatern_b": 3.0}, {"quatern_c": NAN}, {"pixdim": [4, 0.7, 0.8, 2, 1, 1, 1, 1]}])
def test_an_unusable_quaternion_beside_a_sound_position_is_noted(tmp_path, header):
    assert same(nifti_file(tmp_path / "a.nii", header=header)) == ("qform-unsound",)


def test_a_quaternion_within_rounding_of_one_counts_as_one(tmp_path):
    turned = {"quatern_b": 0, "quatern_c": 0, "quatern_d": np.float32(1.0000005)}
    assert same(nifti_file(tmp_path / "a.nii", header=turned)) == ()
    assert same(nifti_file(tmp_path / "a.nii", codes=(0, 1), header=turned)) == ()


def test_a_minus_before_a_voxel_size_is_noted(tmp_path):
    pixdim = [1, 0.7, -0.8, 2, 1, 1, 1, 1]
    for codes in ((1, 1), (1, 0)):
        assert same(nifti_file(tmp_path / "a.nii", codes=codes, header={"pixdim": pixdim})) == ("sizes-negative",)
    assert refused(nifti_file(tmp_path / "a.nii", codes=(0, 1), header={"pixdim": pixdim})) == "spacing-impossible"


@pytest.mark.parametrize("bad", [0, NAN])
def test_sizes_that_are_missing_beside_a_sound_sform_are_noted(tmp_path, bad):
    for codes in ((1, 1), (1, 0)):
        for pixdim in ([1, bad, bad, bad, 1, 1, 1, 1], [1, 0.7, bad, 2, 1, 1, 1, 1]):
            assert same(nifti_file(tmp_path / "a.nii", codes=codes, header={"pixdim": pixdim})) == ("sizes-missing",)
    other = {"pixdim": [1, 0.9, bad, 2, 1, 1, 1, 1]}
    assert refused(nifti_file(tmp_path / "a.nii", codes=(1, 0), header=other)) == "spacing-disagrees"
    assert refused(nifti_file(tmp_path / "a.nii", codes=(1, 0), header={"pixdim": [1] + [bad] * 7, "srow_x": (0, 0, 0, 0)})) == (
        "spacing-impossible"
    )


def test_more_than_one_volume_is_a_question(tmp_path):
    with pytest.raises(Refusal, match="holds 3 volumes"):
        read(nifti_file(tmp_path / "a.nii", np.stack([ct()] * 3, axis=3)))
    one = nifti_file(tmp_path / "a.nii", ct()[..., None])
    assert same(one) == ()


def test_colour_and_single_slices(tmp_path):
    assert refused(nifti_file(tmp_path / "a.nii", colour=True)) == "colour"
    assert refused(nifti_file(tmp_path / "a.nii", np.zeros((4, 4, 4), "c8"))) == "values-kind"
    assert refused(nifti_file(tmp_path / "a.nii", ct()[:, :, :1])) == "single-slice"
    assert refused(nifti_file(tmp_path / "a.nii", ct()[:, :, 0])) == "single-slice"


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
@pytest.mark.parametrize("dims", [(3, 0, 16, 11), (3, -16, 16, 11), (3, 4097, 16, 11), (3, 32767, 32767, 32767), (9, 16, 16, 11)])
def test_impossible_sizes(tmp_path, name, dims):
    dims = np.array([*dims, 1, 1, 1, 1])
    assert refused(nifti_file(tmp_path / name, header={"dim": dims})) in ("sizes-impossible", "not-nifti")


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_a_header_that_claims_much_is_not_believed(tmp_path, name, monkeypatch):
    path = nifti_file(tmp_path / name, header={"dim": np.array([3, 1024, 1024, 1024, 1, 1, 1, 1])})
    monkeypatch.setattr(storage, "_free_memory", lambda: 2**40)
    assert refused(path) == "file-truncated"
    monkeypatch.setattr(storage, "_free_memory", lambda: 2**30)
    with pytest.raises(OutOfMemory):
        read(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_cut_files(tmp_path, name):
    whole = nifti_file(tmp_path / name).stat().st_size
    for cut in (0, 1, 2, 17, 60, 347, 352, whole // 2, whole - 1):
        assert refused(nifti_file(tmp_path / name, cut=cut)) in ("file-truncated", "not-nifti"), cut


def test_more_data_than_the_header_says(tmp_path):
    assert refused(nifti_file(tmp_path / "a.nii", extra=b"xx")) == "file-longer"
    assert refused(nifti_file(tmp_path / "a.nii.gz", extra=b"xx")) == "file-longer"


@pytest.mark.parametrize("offset", [0, 100, NAN, INF, 352.5, 1e9, -352])
def test_the_place_of_the_voxels(tmp_path, offset):
    assert refused(nifti_file(tmp_path / "a.nii", header={"vox_offset": offset})) == "file-damaged"


def test_header_extensions_are_passed_over(tmp_path):
    path = nifti_file(tmp_path / "a.nii", header={"vox_offset": 384})
    block = path.read_bytes()
    path.write_bytes(block[:352] + b"E" * 32 + block[352:])
    assert same(path) == ()


def test_pairs_of_files_are_refused(tmp_path):
    assert refused(nifti_file(tmp_path / "a.nii", header={"magic": b"ni1"})) == "nifti-pair"
    assert refused(nifti_file(tmp_path / "a.nii", header={"magic": b"xxx"})) == "not-nifti"
