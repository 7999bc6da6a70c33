"""Rows about masks of several segments, in files and in folders of cases."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from builders import dicom_segmentation, dicom_series, nifti_file
from faults.rows_given import LIVER as ORGAN
from faults.rows_given import abdomen, saved
from faults.table import row
from faults.witness import SHOW_ALL, codes_of, refused
from napari_liver_anomaly.cli import main
from napari_liver_anomaly.cli.program import ASKED
from napari_liver_anomaly.errors import Question
from napari_liver_anomaly.gui.layer_snapshot import LayerSnapshot
from napari_liver_anomaly.gui.layers import Role, Tag
from napari_liver_anomaly.gui.worker import Engine, segment_layers
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.read_options import ReadOptions
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.liver import plausibility
from napari_liver_anomaly.liver.plausibility import likely_given
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.volume import Mask

if TYPE_CHECKING:
    from faults.table import Kit

LIVER, TUMOUR = ("Leber", "10200004", "Liver"), ("Tumor", "86049000", "Neoplasm, Primary")


@row(103)
def segments_of_dicom_lie_where_their_slices_say(kit: Kit) -> None:
    """A DICOM segmentation: frames in any order, empty slices left out, segments that overlap or are fractions; its liver would lie elsewhere."""
    scan = read(dicom_series(kit.folder / "scan"))
    liver, tumour = np.zeros((2, 11, 16, 16, 1), np.uint8)
    liver[[2, 3, 6], 4:9, 3:7] = 1
    tumour[3:6, 5:7, 5:9] = 1
    path = kit.folder / "seg.dcm"
    mask = read_mask(dicom_segmentation(path, liver, [LIVER], shuffled=True), scan, "liver mask")
    assert np.array_equal(scan.geometry.to_source(mask.voxels).transpose(2, 1, 0), liver[..., 0])
    dicom_segmentation(path, np.concatenate([liver, tumour], axis=-1), [LIVER, TUMOUR])
    with refused("several", "mask-labels", kind=Question) as caught:
        read_mask(path, scan, "liver mask")
    assert "1 (Leber), 2 (Tumor)" in caught.finding.what
    mask = read_mask(path, scan, labels="10200004")
    assert np.array_equal(scan.geometry.to_source(mask.voxels).transpose(2, 1, 0), liver[..., 0])
    fractions = read_mask(dicom_segmentation(path, 0.7 * liver, [LIVER], kind="FRACTIONAL"), scan)
    assert fractions.ml == mask.ml and codes_of(fractions.findings) == {"mask-halves"}
    for about, knobs in {"moved": {"first": (-5, -6.5, 30)}, "other slices": {"step": 2.5}}.items():
        with refused(about, "mask-grid"):
            read_mask(dicom_segmentation(path, liver, [LIVER], **knobs), scan)
    with refused("contours, or a scan", "mask-dicom"):
        read_mask(kit.folder / "scan", scan)


@row(104)
def sizes_left_at_zero_are_taken_from_the_position(kit: Kit) -> None:
    """NIfTI without voxel sizes beside a sound position, NRRD whose voxels end their file: sound files were refused."""
    wanted = read(nifti_file(kit.folder / "plain.nii"))
    for odd in (0.0, np.nan):
        volume = read(nifti_file(kit.folder / "odd.nii", header={"pixdim": [1, *[odd] * 3, 1, 1, 1, 1]}))
        assert volume.geometry.same_grid(wanted.geometry) and codes_of(volume.findings) == {"sizes-missing"}
        with refused(odd, "spacing-impossible"):
            read(nifti_file(kit.folder / "odd.nii", codes=(0, 1), header={"pixdim": [1, *[odd] * 3, 1, 1, 1, 1]}))


@row(105)
def masks_of_a_folder_are_judged_and_asked_about(kit: Kit) -> None:
    """A folder of cases: LiTS masks with tumours, maps of all organs, masks unlike a liver; all labels were trained on and measured as liver."""
    folder, cases = kit.folder, kit.folder / "cases"
    kit.patch.setattr("napari_liver_anomaly.models.load", lambda name: DarkRule())
    _, hu, organs = abdomen(folder)
    cases.mkdir()
    tumour = np.zeros_like(organs)
    tumour[50:56, 30:36, 10:14] = 1
    lits = (organs == ORGAN) + np.uint8(1) * ((organs == ORGAN) & (tumour > 0))
    for name, mask in {"a": lits, "b": (organs == ORGAN).astype(np.uint8)}.items():
        saved(cases / f"{name}_ct.nii.gz", hu)
        saved(cases / f"{name}_liver.nii.gz", mask)
        saved(cases / f"{name}_tumour.nii.gz", tumour)
    packed, tables = str(folder / "t.npz"), str(folder / "scores.json")
    prepare, measure = (
        ["prepare", str(cases), "--out", packed],
        ["evaluate", "--data", str(cases), "--out", tables],
    )
    trains = [
        "train-liver",
        "--data",
        str(cases),
        "--coarse-steps",
        "1",
        "--fine-steps",
        "1",
        "--out",
        str(folder / "l.safetensors"),
    ]
    for verb in (prepare, measure, trains):
        assert main(verb) == ASKED
        said = kit.output.readouterr().err
        assert "holds 2 labels: 1, 2. This is so in: " in said and "--liver-label all" in said, said
    assert main([*prepare, "--liver-label", "1+2"]) == 0
    assert main([*measure, "--liver-label", "1+2", "--device", "cpu"]) == 0
    (one, other) = json.loads((folder / "scores.json").read_text())["cases"]
    assert one["liver_ml"] == other["liver_ml"]
    stray = (organs == ORGAN).astype(np.uint8)
    stray[4:12, 30:36, 4:10] = 1
    saved(cases / "a_liver.nii.gz", stray)
    saved(cases / "b_liver.nii.gz", (hu > -200).astype(np.uint8))
    for verb in (prepare, measure):
        assert main(verb) == ASKED
        said = kit.output.readouterr().err
        assert "does not look like a liver" in said and "--given-liver accept" in said, said
    assert main([*prepare, "--given-liver", "accept"]) == 0
    said = kit.output.readouterr().err
    assert (
        "note: About case 1 of 2: The given liver mask is doubtful" in said
        and "note: About case 2 of 2: The given liver mask does not look like" in said
    )
    assert main([*measure, "--given-liver", "accept", "--device", "cpu"]) == 0
    report = json.loads((folder / "scores.json").read_text())
    assert [len(case["liver_findings"]) > 0 for case in report["cases"]] == [True, True]
    assert any(note.startswith("About a: The given liver mask is doubtful") for note in report["notes"])


@row(106)
def every_way_to_a_result_judges_a_given_mask_once(kit: Kit) -> None:
    """A mask given in Python or drawn in the panel: it was searched as liver whatever it marks, or judged twice."""
    volume, hu, organs = abdomen(kit.folder)
    kit.patch.setattr("napari_liver_anomaly.models.load", lambda name: DarkRule())
    calls: list[str] = []

    def counted(volume: Any, liver: Any, unlikely: str) -> Any:
        calls.append(unlikely)
        return likely_given(volume, liver, unlikely)

    kit.patch.setattr(plausibility, "likely_given", counted)
    body, liver = (
        Mask(volume.geometry.to_canonical(marked), volume.geometry, volume.identity) for marked in (hu > -200, organs == ORGAN)
    )
    with refused("Python", "given-liver-unlikely", kind=Question):
        segment(volume, body, DarkRule(), device="cpu")
    result = segment(volume, body, DarkRule(), unlikely="accept", device="cpu")
    assert "given-liver-accepted" in codes_of(result.findings) and result.liver.judged
    assert "given-liver-accepted" in codes_of(segment(volume, result.liver, DarkRule(), device="cpu").findings)
    assert calls == ["ask", "accept"]
    assert segment(volume, liver, DarkRule(), device="cpu").findings == volume.findings
    calls.clear()
    mask = saved(kit.folder / "m.nii.gz", (organs == ORGAN).astype(np.uint8))
    command = [
        "segment",
        str(kit.folder / "ct.nii.gz"),
        "--liver",
        str(mask),
        "--out",
        str(kit.folder / "out"),
    ]
    assert main([*command, "--device", "cpu"]) == 0 and calls == ["ask"]
    calls.clear()
    tags = [Tag(role, volume.identity, volume.geometry) for role in (Role.SCAN, Role.LIVER)]
    arrays = (volume.voxels, body.voxels.astype(np.uint8))
    shots = [LayerSnapshot(array, np.eye(4), (), (1.0,) * 3, "layer", tag) for array, tag in zip(arrays, tags, strict=True)]
    made = segment_layers(Engine(), *shots, "any", SHOW_ALL, "cpu", Job())
    assert calls == ["accept"] and "given-liver-accepted" in codes_of(made.notes)


@row(107)
def phases_that_only_brightness_tells_apart_are_asked_about(kit: Kit) -> None:
    """Two phases in one stack that no tag tells apart, in turn or one above the other: they were searched as one liver."""
    _, hu, organs = abdomen(kit.folder)
    later = np.where(organs == ORGAN, hu - 60, hu).astype(np.int16)
    later[hu > -90] -= 10
    turns, halves = hu.copy(), hu.copy()
    turns[..., ::2], halves[..., 12:] = later[..., ::2], later[..., 12:]
    path = kit.folder / "mixed.nii.gz"
    for values, how in (
        (turns, "goes up and down from slice to slice"),
        (halves, "between slices 12 and 13, counted from the head"),
    ):
        with refused(how, "brightness-uneven", kind=Question) as caught:
            read(saved(path, values))
        assert how in caught.finding.what
        (answer,) = caught.finding.answers
        assert answer.flag == "--brightness accept"
        assert "brightness-accepted" in codes_of(read(path, ReadOptions().with_answer(answer)).findings)
    stacked = dicom_series(kit.folder / "series", np.where(np.arange(16) % 2, 140, 60)[None, None] * np.ones((16, 16, 16)))
    with refused("DICOM", "brightness-uneven", "values-not-hu"):
        read(stacked)
    for values in (hu, later):
        assert not codes_of(read(saved(path, values)).findings) & {"brightness-uneven"}
