"""Which labels of a mask count: asked about where there are several, by the names that a file gives, and a scan is no mask."""

from __future__ import annotations

import numpy as np
import pytest

from builders import ct, nifti_file, nrrd_file
from napari_liver_anomaly.errors import InvalidNumbers, Question, WrongSetting
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.read_options import ReadOptions

VOXEL_ML = 0.7 * 0.8 * 2 / 1000
ORGANS = np.zeros((16, 16, 11), np.uint8)
ORGANS[3:9, 4:7, 2:10] = 5
ORGANS[10:12, 4:7, 2:10] = 30
ORGANS[12:14, 4:6, 2:4] = 84
TABLE = (
    b'<?xml version="1.0" encoding="UTF-8"?><CaretExtension><VolumeInformation Index="0"><LabelTable>'
    b'<Label Key="5" Red="1" Green="0" Blue="0" Alpha="1"><![CDATA[liver]]></Label>'
    b'<Label Key="30" Red="1" Green="0" Blue="0" Alpha="1"><![CDATA[<b>vertebra\nL1]]></Label>'
    b"</LabelTable></VolumeInformation></CaretExtension>"
)


@pytest.fixture
def volume(tmp_path):
    return read(nifti_file(tmp_path / "ct.nii.gz"))


def with_extension(path, values, block: bytes):
    """Put an extension with text between header and voxels."""
    whole = nifti_file(path, values, header={"vox_offset": 352 + 8 + len(block) + 8}).read_bytes()
    length = (len(block) + 8).to_bytes(4, "little")
    path.write_bytes(whole[:348] + b"\1\0\0\0" + length + b"\0\0\0\0" + block + b"\0" * 8 + whole[352:])
    return path


def test_several_labels_are_asked_about(tmp_path, volume):
    path = nifti_file(tmp_path / "organs.nii", ORGANS)
    with pytest.raises(Question) as error:
        read_mask(path, volume, "liver mask")
    finding = error.value.finding
    assert finding.code == "mask-labels"
    assert finding.what == "The liver mask holds 3 labels: 5, 30, 84."
    assert [(answer.words, answer.flag) for answer in finding.answers] == [
        ("Label 5: 0 ml", "--liver-label 5"), ("Label 30: 0 ml", "--liver-label 30"), ("Label 84: 0 ml", "--liver-label 84"),
        ("Two of them: 0 ml", "--liver-label 5+30"), ("All of them: 0 ml", "--liver-label all"),
    ]  # fmt: skip
    for answer in finding.answers:
        mask = read_mask(path, volume, "liver mask", labels=ReadOptions().with_answer(answer).liver_label)
        wanted = ORGANS > 0 if answer.value == "all" else np.isin(ORGANS, [int(n) for n in str(answer.value).split("+")])
        assert np.array_equal(volume.geometry.to_source(mask.voxels), wanted)
        assert mask.ml == pytest.approx(np.count_nonzero(wanted) * VOXEL_ML)
        assert [note.code for note in mask.findings] == ["mask-labels-all" if answer.value == "all" else "mask-labels-chosen"]


def test_one_label_of_any_number_is_taken(tmp_path, volume):
    assert read_mask(nifti_file(tmp_path / "m.nii", (ORGANS == 30) * np.uint8(30)), volume).findings == ()


def test_a_label_that_is_not_there_names_those_that_are(tmp_path, volume):
    path = nifti_file(tmp_path / "organs.nii", ORGANS)
    for labels in ("6", "5+6", "liver", "", "+"):
        with pytest.raises(WrongSetting, match="Its labels are: 5, 30, 84"):
            read_mask(path, volume, labels=labels)


def test_names_in_the_header_of_totalsegmentator(tmp_path, volume):
    path = with_extension(tmp_path / "organs.nii", ORGANS, TABLE)
    with pytest.raises(Question) as error:
        read_mask(path, volume, "liver mask")
    assert error.value.finding.what == "The liver mask holds 3 labels: 5 (liver), 30, 84."
    assert error.value.finding.answers[0].words.startswith("Label 5 (liver): ")
    mask = read_mask(path, volume, labels="Liver")
    assert np.array_equal(volume.geometry.to_source(mask.voxels), ORGANS == 5)
    assert "5 (liver)" in mask.findings[-1].what


def test_names_of_slicer_segments(tmp_path, volume):
    geometry = {"space": "left-posterior-superior", "space_origin": "(0,0,0)"}
    names = {"Segment0_LabelValue:": "30", "Segment0_Name:": "spine", "Segment1_LabelValue:": "5", "Segment1_Name:": "Liver"}
    path = nrrd_file(tmp_path / "s.seg.nrrd", ORGANS.tobytes(order="F"), type="uchar", **geometry)
    text = "".join(f"{key.strip(':')}:={value}\n" for key, value in names.items()).encode()
    head, voxels = path.read_bytes().split(b"\n\n", 1)
    path.write_bytes(head + b"\n" + text + b"\n" + voxels)
    scan = read(nrrd_file(tmp_path / "ct.nrrd", ct().tobytes(order="F"), **geometry))
    with pytest.raises(Question, match=r"labels: 5 \(Liver\), 30 \(spine\), 84"):
        read_mask(path, scan)
    mask = read_mask(path, scan, labels="liver")
    assert np.array_equal(scan.geometry.to_source(mask.voxels), ORGANS == 5)


def layered(path, layers, segments):
    """Write layers (layer, x, y, z) as 3D Slicer does; of each segment its layer, value and name."""
    listed = {
        "dimension": "4", "sizes": f"{len(layers)} 16 16 11", "kinds": "list domain domain domain", "type": "uchar",
        "space_directions": "none (0.7,0,0) (0,0.8,0) (0,0,2)",
    }  # fmt: skip
    text = "".join(
        f"Segment{n}_LabelValue:={value}\nSegment{n}_Layer:={layer}\nSegment{n}_Name:={name}\n"
        for n, (layer, value, name) in enumerate(segments)
    )
    head, voxels = nrrd_file(path, np.asarray(layers, np.uint8).tobytes(order="F"), **listed).read_bytes().split(b"\n\n", 1)
    path.write_bytes(head + b"\n" + text.encode() + b"\n" + voxels)
    return path


def test_slicer_segments_in_layers_may_overlap(tmp_path):
    scan = read(nrrd_file(tmp_path / "ct.nrrd"))
    liver, tumour, spine = ORGANS == 5, np.roll(ORGANS == 84, -4, axis=0), ORGANS == 30
    assert (liver & tumour).any()
    segments = [(0, 1, "Liver"), (1, 1, "tumour + rim"), (0, 2, "spine")]
    path = layered(tmp_path / "s.seg.nrrd", [liver + 2 * spine, tumour], segments)
    with pytest.raises(Question) as error:
        read_mask(path, scan, "liver mask")
    assert error.value.finding.what == "The liver mask holds 3 labels: 1 (Liver), 2 (tumour + rim), 3 (spine)."
    assert [answer.value for answer in error.value.finding.answers] == ["1", "3", "2", "1+3", "all"]
    for labels, wanted in {
        "1": liver, "liver": liver, "Tumour + rim": tumour, "spine": spine, "Liver+spine": liver | spine, "1+2": liver | tumour,
        "all": liver | tumour | spine,
    }.items():  # fmt: skip
        mask = read_mask(path, scan, labels=labels)
        assert np.array_equal(scan.geometry.to_source(mask.voxels), wanted), labels
    alone = layered(tmp_path / "one.seg.nrrd", [liver, np.zeros_like(liver)], segments[:2])
    assert np.array_equal(scan.geometry.to_source(read_mask(alone, scan).voxels), liver)
    unnamed = layered(tmp_path / "n.seg.nrrd", [liver, 3 * tumour], segments[:1])
    with pytest.raises(Question, match=r"1 \(Liver\), 2\."):
        read_mask(unnamed, scan)


def test_what_overlaps_is_counted_once(tmp_path):
    scan = read(nrrd_file(tmp_path / "ct.nrrd"))
    whole = np.ones((16, 16, 11), np.uint8)
    path = layered(tmp_path / "s.seg.nrrd", [whole, whole], [(0, 1, "a"), (1, 1, "b")])
    with pytest.raises(Question) as error:
        read_mask(path, scan)
    assert len({answer.words.split(": ")[1] for answer in error.value.finding.answers}) == 1


def test_tumours_may_have_a_number_each(tmp_path, volume):
    mask = read_mask(nifti_file(tmp_path / "tumours.nii", ORGANS), volume, "tumour mask", may_be_empty=True)
    assert np.array_equal(volume.geometry.to_source(mask.voxels), ORGANS > 0)


@pytest.mark.parametrize("kind", ["i2", "f4"])
def test_a_scan_is_no_mask(tmp_path, volume, kind):
    for empty in (False, True):
        with pytest.raises(InvalidNumbers, match="holds values from -1000 to") as error:
            read_mask(nifti_file(tmp_path / "m.nii", ct().astype(kind)), volume, "liver mask", may_be_empty=empty)
        assert error.value.finding.code == "mask-no-labels"
    shifted = np.arange(ct().size, dtype=kind).reshape(ct().shape)
    with pytest.raises(InvalidNumbers, match="more than 256 different values"):
        read_mask(nifti_file(tmp_path / "m.nii", shifted), volume, "liver mask")
