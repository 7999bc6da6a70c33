"""Lesions of known size and place in a liver that was moved and turned by a known amount: each is found again, and what changed is told."""

from __future__ import annotations

import csv
import json
import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from napari_liver_anomaly.cli import main
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.follow_up import FollowUp, Reading, follow_up
from napari_liver_anomaly.follow_up.matching import lesions_in
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.io import write_image, write_labels
from napari_liver_anomaly.volume import Mask

if TYPE_CHECKING:
    from pathlib import Path

# Balls in a liver around the origin of the patient: x, y, z and radius in mm.
STABLE, GROWN, GONE, FRESH, TINY = (40, 10, 5, 9), (-30, 15, -10, 8), (10, -25, 15, 7), (-10, -20, -20, 8), (60, 0, -5, 3.2)
GROWN_NOW = (-30, 15, -10, 12)


def _liver(points: np.ndarray) -> np.ndarray:
    """A liver that no rotation maps onto itself: a large right lobe, a small left one, and a dent."""
    lobes = (((20, 0, 0), (70, 50, 55)), ((-50, 20, 10), (45, 30, 25)))
    inside = np.zeros(points.shape[:-1], bool)
    for centre, radii in lobes:
        inside |= (((points - centre) / radii) ** 2).sum(axis=-1) < 1
    return inside & ((((points - (0, -60, -30)) / (40, 40, 40)) ** 2).sum(axis=-1) > 1)


def reading(
    balls: list[tuple[float, ...]], spacing_mm: tuple[float, float, float] = (2.5, 1.5, 1.5), turn: tuple[float, float, float] = (0, 0, 0),
    shift: tuple[float, float, float] = (0, 0, 0), slices: slice = slice(None),
) -> Reading:  # fmt: skip
    """The liver and its lesions on a grid, moved and turned."""
    sz, sy, sx = spacing_mm
    shape = (round(160 / sz), round(180 / sy), round(250 / sx))
    affine = np.diag([-sx, -sy, -sz, 1.0])
    affine[:3, 3] = 125, 90, 80
    index = np.stack(np.meshgrid(*(np.arange(n) for n in shape[::-1]), indexing="ij"), axis=-1)
    places = index @ affine[:3, :3].T + affine[:3, 3]
    own = (places - shift) @ Rotation.from_euler("xyz", turn, degrees=True).as_matrix()  # the inverse turn, of rows
    lesions = np.zeros(index.shape[:3], bool)
    for x, y, z, radius in balls:
        lesions |= ((own - (x, y, z)) ** 2).sum(axis=-1) < radius**2
    masks = []
    for voxels in (_liver(own) | lesions, lesions):
        whole = Mask.from_array(voxels, affine)
        cut = affine.copy()
        part = whole.voxels[slices]
        start = range(shape[0])[slices][0]
        grid = Geometry((shape[2], shape[1], part.shape[0]), _moved(cut, whole, start, part.shape[0]))
        masks.append(Mask(np.ascontiguousarray(part), grid))
    return Reading(liver=masks[0], lesions=lesions_in(masks[1]))


def _moved(affine: np.ndarray, whole: Mask, start: int, count: int) -> np.ndarray:
    """The affine of a part of the slices: source slices run to the feet as canonical ones do."""
    assert np.allclose(whole.geometry.affine[:3, 0], affine[:3, 2])
    affine[:3, 3] += start * affine[:3, 2]
    return affine


def row(found: FollowUp, then_mm: float | None = None, now_mm: float | None = None):
    """The row of a lesion of about these diameters."""
    rows = [
        one
        for one in found.rows
        if (then_mm is None or abs(one.then_mm - then_mm) < 3) and (now_mm is None or abs(one.now_mm - now_mm) < 3)
    ]
    assert len(rows) == 1, found.rows
    return rows[0]


@pytest.mark.parametrize(
    ("turn", "shift", "spacing_mm"),
    [
        ((0, 0, 0), (0, 0, 0), (2.5, 1.5, 1.5)),
        ((8, -6, 10), (12, -9, 15), (3.0, 1.8, 1.8)),
        ((0, 0, -12), (-14, 10, -12), (2, 2, 2)),
    ],
)
def test_each_lesion_is_found_again_in_a_liver_that_moved(turn, shift, spacing_mm) -> None:
    then = reading([STABLE, GROWN, GONE, TINY])
    now = reading([STABLE, GROWN_NOW, FRESH, TINY], spacing_mm, turn, shift)
    found = follow_up(then, now)
    assert found.alignment.liver_dice > 0.95 and not found.findings
    truth = Rotation.from_euler("xyz", turn, degrees=True).as_matrix()
    for place in (STABLE, GROWN, GONE):
        there = found.alignment.matrix[:3] @ [*place[:3], 1]
        assert np.linalg.norm(there - (truth @ place[:3] + shift)) < 4, "where it should be, within some mm"
    assert sorted(one.state for one in found.rows) == ["followed"] * 3 + ["new", "vanished"]
    assert math.isclose(row(found, 16, 24).change_ml_percent, 100 * (12**3 / 8**3 - 1), rel_tol=0.12)
    assert math.isclose(row(found, 16, 24).change_mm_percent, 50, abs_tol=12)
    assert abs(row(found, 18, 18).change_ml_percent) < 8 and row(found, 18, 18).apart_mm < 4
    assert row(found, 6.4, 6.4).state == "followed", "a tiny lesion, by its distance"
    assert row(found, 14, 0).state == "vanished" and row(found, 0, 16).state == "new"
    inside = np.isin(found.propagated.where, now.lesions.where)
    assert inside.mean() > 0.5, "the earlier lesions lie on those of now"
    assert found.summary.startswith("3 lesions followed, 1 new, 1 vanished; ")


def test_lesions_that_grew_together_or_fell_apart_are_one_row() -> None:
    two, one = [(20, 0, 0, 9), (42, 0, 0, 9)], [(31, 0, 0, 20)]
    merged, split = follow_up(reading(two), reading(one)), follow_up(reading(one), reading(two))
    assert [(r.state, len(r.then), len(r.now)) for r in merged.rows] == [("merged", 2, 1)]
    assert [(r.state, len(r.then), len(r.now)) for r in split.rows] == [("split", 1, 2)]
    assert math.isclose(merged.rows[0].then_ml, split.rows[0].now_ml)


def test_a_lesion_outside_the_other_scan_did_not_vanish() -> None:
    high, low = (30, 0, 40, 8), (30, 0, -25, 8)
    whole, part = reading([high, low]), reading([high, low], slices=slice(26, None))  # without the upper part of the liver
    states = {one.state for one in follow_up(whole, part).rows}
    assert states == {"followed", "not searched now"}
    assert {one.state for one in follow_up(part, whole).rows} == {"followed", "not searched then"}


def test_livers_that_do_not_fit_are_said() -> None:
    then, now = reading([STABLE]), reading([STABLE])
    voxels = now.liver.voxels.copy()
    voxels[:, :, voxels.shape[2] // 2 :] = False
    found = follow_up(then, Reading(liver=Mask(voxels, now.liver.geometry), lesions=now.lesions))
    assert [finding.code for finding in found.findings] == ["alignment-poor"]
    with pytest.raises(Refusal, match="empty"):
        follow_up(then, Reading(liver=Mask(np.zeros_like(voxels), now.liver.geometry), lesions=now.lesions))


def test_without_lesions_nothing_is_followed() -> None:
    found = follow_up(reading([]), reading([]))
    assert found.rows == () and found.summary == "0 lesions followed, 0 new, 0 vanished; 0.0 ml then, 0.0 ml now."


def test_the_command_line_compares_masks(tmp_path: Path) -> None:
    words = []
    for name, balls in (("then", [STABLE, GONE]), ("now", [STABLE, FRESH])):
        one = reading(balls, (5, 3, 3))
        grid, lesions = one.liver.geometry, one.lesions.dense()
        hu = np.where(one.liver.voxels, 100, -500).astype(np.int16)
        hu[:, :3] = -1000
        write_image(hu, grid, tmp_path / f"{name}_ct.nii.gz")
        write_labels(one.liver.voxels, grid, tmp_path / f"{name}_liver.nii.gz")
        write_labels(lesions, grid, tmp_path / f"{name}.nii.gz")
        words += [
            f"--{name}-scan",
            str(tmp_path / f"{name}_ct.nii.gz"),
            f"--{name}-liver",
            str(tmp_path / f"{name}_liver.nii.gz"),
        ]
    masks = ["follow-up", str(tmp_path / "then.nii.gz"), str(tmp_path / "now.nii.gz"), "--out"]
    assert main([*masks, str(tmp_path / "a.csv"), *words]) == 0 and main([*masks, str(tmp_path / "a.json"), *words]) == 0
    with open(tmp_path / "a.csv", newline="") as file:
        table = list(csv.DictReader(file))
    assert sorted(one["state"] for one in table) == ["followed", "new", "vanished"]
    assert [one["state"] for one in json.loads((tmp_path / "a.json").read_text())["lesions"]] == [one["state"] for one in table]
    assert main([*masks, str(tmp_path / "b.csv")]) == 3 and not (tmp_path / "b.csv").exists()
