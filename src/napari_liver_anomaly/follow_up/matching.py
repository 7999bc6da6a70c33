"""Lesions of last time beside those of now: the livers are aligned as rigid bodies, and each lesion is looked for where it was."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.follow_up.alignment import Alignment, align
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.lesions import MOST, diameters
from napari_liver_anomaly.messages import make_finding, make_refusal
from napari_liver_anomaly.settings import Settings, setting
from napari_liver_anomaly.sparse_labels import SparseLabels

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.geometry import Geometry
    from napari_liver_anomaly.volume import Mask

MOST_POINTS = 2000  # of a lesion, between which distances are measured
FOLLOWED, NEW, VANISHED, MERGED, SPLIT = "followed", "new", "vanished", "merged", "split"
NOT_SEARCHED_NOW, NOT_SEARCHED_THEN = "not searched now", "not searched then"
SEARCHED = 0.5  # of a lesion, that must lie in the other liver for its absence to mean something


@dataclass(frozen=True, kw_only=True, slots=True)
class FollowUpSettings(Settings):
    """How lesions of two times are matched."""

    most_apart_mm: float = setting(
        10.0, unit="mm", low=0, high=100, help="Lesions that do not overlap are the same when no farther apart."
    )
    min_overlap: float = setting(
        0.1, low=0.01, high=1, help="Part of the smaller lesion that must lie in the other for the two to be the same."
    )
    min_liver_dice: float = setting(
        0.85, low=0, high=1, help="Overlap (Dice) of the aligned livers below which the alignment is said to be poor."
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class Reading:
    """Liver and lesions of one scan.

    Attributes
    ----------
    liver : Mask
        The liver that was searched.
    lesions : SparseLabels
        Numbered lesions on its grid.
    findings : tuple of Finding
        What there is to say of the files that they were read from.
    """

    liver: Mask
    lesions: SparseLabels
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FollowedLesion:
    """One row of a follow-up: a lesion of both times, or of one.

    Attributes
    ----------
    state : str
        ``"followed"``, ``"merged"``, ``"split"``, ``"new"``, ``"vanished"``, or ``"not searched now"``/``"not searched then"``, where the lesion lies
        outside the liver of the other time.
    then, now : tuple of int
        Numbers of the lesions.
    then_ml, now_ml : float
        Their volume in ml, 0 where there is none.
    then_mm, now_mm : float
        Longest diameter on an axial slice in mm, that of the largest of several; 0 where there is none.
    apart_mm : float
        Distance of the centres after alignment; NaN where one is missing.
    """

    state: str
    then: tuple[int, ...]
    now: tuple[int, ...]
    then_ml: float
    now_ml: float
    then_mm: float
    now_mm: float
    apart_mm: float = math.nan

    @property
    def change_ml_percent(self) -> float:
        """Change of volume in percent; NaN for a lesion of one time only."""
        return 100 * (self.now_ml / self.then_ml - 1) if self.then_ml and self.now_ml else math.nan

    @property
    def change_mm_percent(self) -> float:
        """Change of the longest diameter in percent; NaN for a lesion of one time only."""
        return 100 * (self.now_mm / self.then_mm - 1) if self.then_mm and self.now_mm else math.nan


@dataclass(frozen=True, eq=False, kw_only=True)
class FollowUp:
    """What became of the lesions.

    Attributes
    ----------
    rows : tuple of FollowedLesion
        Lesions of both times by falling volume, then those of one.
    alignment : Alignment
        From then to now, with the overlap of the livers.
    propagated : SparseLabels
        The lesions of then on the grid of now.
    liver_ml : tuple of float
        Volume of the liver then and now, in ml.
    findings : tuple of Finding
        What is doubtful about the files and the comparison.
    """

    rows: tuple[FollowedLesion, ...]
    alignment: Alignment
    propagated: SparseLabels
    liver_ml: tuple[float, float]
    findings: tuple[Finding, ...] = ()

    @property
    def summary(self) -> str:
        """One sentence: ``"3 lesions followed, 1 new, 1 vanished; 12.4 ml then, 15.0 ml now (+21 %)."``."""
        count = {state: sum(row.state == state for row in self.rows) for state in (NEW, VANISHED)}
        both = sum(bool(row.then and row.now) for row in self.rows)
        then, now = (math.fsum(getattr(row, name) for row in self.rows) for name in ("then_ml", "now_ml"))
        change = f" ({100 * (now / then - 1):+.0f} %)" if then else ""
        return (
            f"{both} lesion{'s' * (both != 1)} followed, {count[NEW]} new, {count[VANISHED]} vanished; "
            f"{then:.1f} ml then, {now:.1f} ml now{change}."
        )


def follow_up(then: Reading, now: Reading, settings: FollowUpSettings | None = None, *, job: Job | None = None) -> FollowUp:
    """Compare the lesions of two scans of one patient.

    Parameters
    ----------
    then, now : Reading
        The earlier and the later one.
    settings : FollowUpSettings, optional
        How lesions are matched.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    FollowUp
        One row for each lesion or group of lesions that became one.

    Raises
    ------
    Refusal
        When a liver is empty.
    Cancelled
        When the job was cancelled.
    """
    settings, job = settings or FollowUpSettings(), job or Job()
    job.at("Aligning the livers", 0, 2)
    alignment = align(then.liver, now.liver)
    job.at("Following the lesions", 1, 2)
    before = [_Body.of(number, where, then.liver.geometry, alignment.matrix) for number, where in then.lesions.parts()]
    after = [_Body.of(number, where, now.liver.geometry, np.eye(4)) for number, where in now.lesions.parts()]
    propagated = _propagated(then, now, alignment, before)
    rows = [
        _row([before[n] for n in olds], [after[n] for n in news], then, now, alignment)
        for olds, news in _groups(before, after, propagated, now, settings)
    ]
    poor = alignment.liver_dice < settings.min_liver_dice
    doubts = (make_finding("alignment-poor", dice=f"{alignment.liver_dice:.2f}"),) if poor else ()
    return FollowUp(
        rows=tuple(sorted(rows, key=lambda row: (not (row.then and row.now), -max(row.now_ml, row.then_ml)))), alignment=alignment,
        propagated=propagated, liver_ml=(then.liver.ml, now.liver.ml),
        findings=(*doubts, *then.findings, *now.findings),
    )  # fmt: skip


def lesions_in(mask: Mask) -> SparseLabels:
    """Give numbers to the connected pieces of a lesion mask, as :func:`~napari_liver_anomaly.segmentation.cut` does; diagonal neighbours touch."""
    from scipy.ndimage import label

    labels, count = label(mask.voxels, np.ones((3, 3, 3), bool))
    if count > MOST:
        raise make_refusal("too-many-lesions", most=MOST)
    return SparseLabels.of(labels.astype(np.uint16))


@dataclass(frozen=True, eq=False)
class _Body:
    """One lesion: its voxels, its places in the patient as of now, and its size."""

    number: int
    where: NDArray[np.int64]
    places_mm: NDArray[np.float64]
    ml: float
    mm: float

    @classmethod
    def of(cls, number: int, where: NDArray[np.int64], grid: Geometry, matrix: NDArray[np.float64]) -> _Body:
        index = np.stack(np.unravel_index(where, grid.shape), axis=1)
        to_now = matrix @ grid.affine
        places = index @ to_now[:3, :3].T + to_now[:3, 3]
        areas = np.bincount(index[:, 0])
        flat = index[index[:, 0] == areas.argmax(), 1:]
        flat = flat - flat.min(axis=0)
        shape = np.zeros(flat.max(axis=0) + 1, bool)
        shape[tuple(flat.T)] = True
        return cls(number, where, places, where.size * grid.voxel_ml, diameters(shape, grid.affine[:3, 1:3])[0])

    @property
    def some(self) -> NDArray[np.float64]:
        """Places enough to measure distances."""
        return self.places_mm[:: -(-len(self.places_mm) // MOST_POINTS)]


def _propagated(then: Reading, now: Reading, alignment: Alignment, bodies: Sequence[_Body]) -> SparseLabels:
    """Give the lesions of then on the grid of now: each voxel of now looks up what was there."""
    grid, found = now.liver.geometry, np.zeros(now.liver.geometry.shape, np.uint16)
    to_index, labels = np.linalg.inv(grid.affine), then.lesions
    back = np.linalg.inv(then.liver.geometry.affine) @ np.linalg.inv(alignment.matrix) @ grid.affine
    for body in bodies:
        index = body.places_mm @ to_index[:3, :3].T + to_index[:3, 3]
        low = np.maximum(np.floor(index.min(axis=0)).astype(int) - 1, 0)
        high = np.minimum(np.ceil(index.max(axis=0)).astype(int) + 2, grid.shape)
        if (low >= high).any():
            continue
        box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
        own = np.stack(np.meshgrid(*(np.arange(a, b) for a, b in zip(low, high, strict=True)), indexing="ij"), axis=-1)
        there = np.rint(own @ back[:3, :3].T + back[:3, 3]).astype(np.int64)
        inside = ((there >= 0) & (there < labels.shape)).all(axis=-1)
        flat = np.ravel_multi_index(tuple(there[inside].T), labels.shape)
        hit = np.zeros(inside.shape, bool)
        hit[inside] = labels.at(flat) == body.number
        found[box][hit] = body.number
    return SparseLabels.of(found)


def _groups(
    before: Sequence[_Body], after: Sequence[_Body], propagated: SparseLabels, now: Reading, settings: FollowUpSettings
) -> Iterable[tuple[list[int], list[int]]]:
    """Group lesions that are the same: all that overlap hang together; of the others those nearest to each other, one to one."""
    from scipy import sparse
    from scipy.optimize import linear_sum_assignment
    from scipy.sparse import csgraph

    same = np.zeros((len(before), len(after)), bool)
    news = {body.number: n for n, body in enumerate(after)}
    sizes = dict(propagated.parts())
    for n, body in enumerate(before):
        where = sizes.get(body.number, np.zeros(0, np.int64))
        numbers, counts = np.unique(now.lesions.at(where), return_counts=True)
        for number, count in zip(numbers, counts, strict=True):
            if number and count >= settings.min_overlap * min(where.size, after[news[int(number)]].where.size):
                same[n, news[int(number)]] = True
    olds_left, news_left = np.flatnonzero(~same.any(axis=1)), np.flatnonzero(~same.any(axis=0))
    apart = np.array([[_gap_mm(before[int(a)], after[int(b)]) for b in news_left] for a in olds_left]).reshape(
        olds_left.size, news_left.size
    )
    for a, b in zip(*linear_sum_assignment(np.minimum(apart, 1e6)), strict=True):
        same[olds_left[a], news_left[b]] = apart[a, b] <= settings.most_apart_mm
    links = np.zeros((sum(same.shape),) * 2, np.int8)
    links[: len(before), len(before) :] = same
    count, piece = csgraph.connected_components(sparse.csr_matrix(links), directed=False)
    for one in range(count):
        members = np.flatnonzero(piece == one)
        yield [int(n) for n in members if n < len(before)], [int(n) - len(before) for n in members if n >= len(before)]


def _gap_mm(one: _Body, other: _Body) -> float:
    """Distance between two lesions, from voxel to voxel."""
    from scipy.spatial import KDTree

    return float(KDTree(one.some).query(other.some)[0].min())


def _row(olds: Sequence[_Body], news: Sequence[_Body], then: Reading, now: Reading, alignment: Alignment) -> FollowedLesion:
    """Say what became of a group."""
    state, apart = FOLLOWED, math.nan
    if olds and news:
        state = MERGED if len(olds) > 1 else SPLIT if len(news) > 1 else FOLLOWED
        old, new = (np.concatenate([body.places_mm for body in bodies]).mean(axis=0) for bodies in (olds, news))
        apart = float(np.linalg.norm(old - new))
    elif olds:
        state = VANISHED if _within(olds, now.liver, np.eye(4)) else NOT_SEARCHED_NOW
    else:
        state = NEW if _within(news, then.liver, np.asarray(np.linalg.inv(alignment.matrix), np.float64)) else NOT_SEARCHED_THEN
    return FollowedLesion(
        state=state, then=tuple(body.number for body in olds), now=tuple(body.number for body in news),
        then_ml=math.fsum(body.ml for body in olds), now_ml=math.fsum(body.ml for body in news),
        then_mm=max((body.mm for body in olds), default=0.0), now_mm=max((body.mm for body in news), default=0.0), apart_mm=apart,
    )  # fmt: skip


def _within(bodies: Sequence[_Body], liver: Mask, matrix: NDArray[np.float64]) -> bool:
    """Whether most of a lesion lies in a liver."""
    to_index = np.linalg.inv(liver.geometry.affine) @ matrix
    places = np.concatenate([body.places_mm for body in bodies])
    index = np.rint(places @ to_index[:3, :3].T + to_index[:3, 3]).astype(np.int64)
    inside: NDArray[np.bool_] = np.asarray(((index >= 0) & (index < liver.voxels.shape)).all(axis=1))
    inside[inside] = liver.voxels[tuple(index[inside].T)]
    return bool(inside.mean() >= SEARCHED)
