"""The detection limit of a model in one scan: lesions of several sizes and contrasts are inserted into its healthy liver, and searched for."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.detection.inserted_lesions import Ball, HealthyTissue, insert
from napari_liver_anomaly.detection.known_lesions import KnownLesion, look_up
from napari_liver_anomaly.job import Job, Progress
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.settings import Settings, setting
from napari_liver_anomaly.volume import MASK_FROM, VOLUME_FROM, Mask, Volume, require_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.segmentation import SegmentSettings

    Counts = NDArray[np.int64]

MOSTLY = 0.75  # of the lesions of a cell and of all larger ones: from there on they count as found
AS_IT_IS, WITH_LESIONS = "Searching the scan as it is", "Searching with inserted lesions"
PARTS = 100  # steps of progress that one search counts as


@dataclass(frozen=True, kw_only=True, slots=True)
class DetectionLimitSettings(Settings):
    """Which lesions are inserted, and how long the search for them may take."""

    size_low_mm: float = setting(6.0, unit="mm", low=3, high=100, help="Diameter of the smallest lesions.")
    size_high_mm: float = setting(30.0, unit="mm", low=3, high=100, help="Diameter of the largest lesions.")
    sizes: int = setting(4, low=1, high=10, help="How many sizes, from the smallest to the largest.")
    contrast_low_hu: float = setting(
        15.0, unit="HU", low=0, high=200, help="How much darker than the liver the faintest lesions are."
    )
    contrast_high_hu: float = setting(60.0, unit="HU", low=0, high=200, help="How much darker the strongest lesions are.")
    contrasts: int = setting(4, low=1, high=10, help="How many contrasts, from the faintest to the strongest.")
    per_cell: int = setting(4, low=1, high=50, help="Lesions inserted for each size and contrast, as far as there is room.")
    searches: int = setting(8, low=1, high=100, help="Most searches with inserted lesions; one more goes before them.")
    most_minutes: float = setting(
        15.0, unit="min", low=0, high=1440, help="No further search begins that would end after this time."
    )
    seed: int = setting(1, low=0, high=2**31 - 1, help="Decides where the lesions are.")

    @property
    def diameters_mm(self) -> tuple[float, ...]:
        """The sizes, evenly apart as ratios; those between the ends in whole mm."""
        between = np.rint(np.geomspace(self.size_low_mm, self.size_high_mm, self.sizes)[1:-1])
        ends = (self.size_high_mm,) if self.sizes > 1 else ()
        return tuple(dict.fromkeys((float(self.size_low_mm), *map(float, between), *map(float, ends))))

    @property
    def darker_hu(self) -> tuple[float, ...]:
        """The contrasts, evenly apart."""
        steps = np.linspace(self.contrast_low_hu, self.contrast_high_hu, self.contrasts)
        return tuple(dict.fromkeys(round(float(hu), 1) for hu in steps))


@dataclass(frozen=True, slots=True)
class InsertedLesion:
    """A lesion that was inserted.

    Attributes
    ----------
    diameter_mm : float
        Its size.
    darker_hu : float
        How much darker than the liver it was made.
    search : int
        The search it was in, counted from 1.
    known : KnownLesion
        What that search made of it.
    """

    diameter_mm: float
    darker_hu: float
    search: int
    known: KnownLesion


@dataclass(frozen=True, eq=False, kw_only=True)
class DetectionLimit:
    """What a model finds of lesions inserted into one liver.

    Attributes
    ----------
    settings : DetectionLimitSettings
        Sizes, contrasts, seed.
    lesions : tuple of InsertedLesion
        Every inserted lesion that was searched for.
    searches, planned : int
        Searches with inserted lesions that were made, and that would have been without the limit of time.
    without_place : int
        Lesions that were not inserted, because the healthy tissue of this liver has no room for them.
    threshold : float
        Anomaly score that counted as tumour: that of the scan as it is.
    model, model_hash : str
        Name of the model, and SHA-256 of its weights.
    liver_ml : float
        Volume of the liver.
    """

    settings: DetectionLimitSettings
    lesions: tuple[InsertedLesion, ...]
    searches: int
    planned: int
    without_place: int
    threshold: float
    model: str
    model_hash: str
    liver_ml: float

    def __repr__(self) -> str:
        return f"DetectionLimit({self.summary})"

    @property
    def inserted(self) -> Counts:
        """How many lesions were inserted, (sizes, contrasts)."""
        return self._counts([True] * len(self.lesions))

    @property
    def found(self) -> Counts:
        """How many of them were found, (sizes, contrasts)."""
        return self._counts([lesion.known.found for lesion in self.lesions])

    def smallest_found_mm(self, darker_hu: float) -> float | None:
        """Give the diameter from which lesions are mostly found.

        Parameters
        ----------
        darker_hu : float
            One of the contrasts, in HU.

        Returns
        -------
        float or None
            In mm: at this size and at each larger one that was inserted, three of four or more were found. None when there is no such size.
        """
        column = self.settings.darker_hu.index(darker_hu)
        smallest = None
        cells = zip(self.settings.diameters_mm, self.inserted[:, column], self.found[:, column], strict=True)
        for diameter_mm, inserted, found in reversed(list(cells)):
            if inserted and found < MOSTLY * inserted:
                break
            smallest = diameter_mm if inserted else smallest
        return smallest

    @property
    def summary(self) -> str:
        """Say how many were found, from which size on at each contrast (three of four, and of all larger ones), and whether time ran out."""
        sizes = {hu: self.smallest_found_mm(hu) for hu in reversed(self.settings.darker_hu)}
        seen = [f"{mm:g} mm at {_signed(hu)}" for hu, mm in sizes.items() if mm is not None]
        unseen = " and ".join(_signed(hu) for hu, mm in sizes.items() if mm is None)
        limits = "; ".join(filter(None, [f"mostly from {', '.join(seen)}" if seen else "", f"not at {unseen}" if unseen else ""]))
        left = self.planned - self.searches
        early = f" Stopped after {self.searches} of {self.planned} searches, by the limit of time." if left else ""
        return f"Found {int(self.found.sum())} of {len(self.lesions)} inserted lesions: {limits}.{early}"

    def _counts(self, weights: list[bool]) -> Counts:
        sizes, contrasts = self.settings.diameters_mm, self.settings.darker_hu
        counts = np.zeros((len(sizes), len(contrasts)), np.int64)
        for lesion, weight in zip(self.lesions, weights, strict=True):
            counts[sizes.index(lesion.diameter_mm), contrasts.index(lesion.darker_hu)] += weight
        return counts


def _signed(darker_hu: float) -> str:
    """Say how much darker than the liver, as a difference in HU."""
    return f"{-darker_hu:g} HU".replace("-0 ", "0 ").replace("-", "−")


def detection_limit(
    volume: Volume,
    liver: Mask,
    model: Any = "standard",
    settings: DetectionLimitSettings | None = None,
    segment_settings: SegmentSettings | None = None,
    *,
    device: str = "auto",
    job: Job | None = None,
    segment: Callable[..., Result] | None = None,
) -> DetectionLimit:
    """Measure which lesions a model finds in one liver.

    The scan is searched as it is; then dark balls with a soft edge are inserted where the liver is healthy, some in each of several copies
    of the scan, and these are searched with the threshold of the first search. What was found before is nowhere near an inserted lesion.

    Parameters
    ----------
    volume : Volume
        A scan.
    liver : Mask
        Its liver.
    model : str, path-like or object
        As for :func:`~napari_liver_anomaly.inference.segment`.
    settings : DetectionLimitSettings, optional
        Sizes, contrasts, how many, how long.
    segment_settings : SegmentSettings, optional
        How tumours are cut from the score; the scan's own threshold when nothing is given.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    job : Job, optional
        Progress and cancel.
    segment : callable, optional
        What searches, called as :func:`~napari_liver_anomaly.inference.segment` is.

    Returns
    -------
    DetectionLimit
        Inserted and found, by size and contrast.

    Raises
    ------
    Refusal
        When no lesion finds a place, and as a search does.
    Cancelled
        When the job was cancelled.
    """
    require_kind(volume, Volume, "detection_limit", VOLUME_FROM)
    require_kind(liver, Mask, "detection_limit", MASK_FROM)
    settings, job = settings or DetectionLimitSettings(), job or Job()
    segment, model = segment or _segment(), _loaded(model, segment)
    began_s = time.monotonic()
    job.at(AS_IT_IS, 0, 1)
    first = segment(volume, liver, model, segment_settings, unlikely="accept", device=device, job=job)
    job.at("Looking for healthy tissue", 0, 1)
    plan, without_place = _plan(HealthyTissue(volume, liver, first.labels > 0), settings)
    if not plan:
        raise make_refusal("insertion-no-place")
    fixed = replace(first.settings, auto_threshold=False)
    lesions: list[InsertedLesion] = []
    searches = 0
    for number, balls in enumerate(plan, start=1):
        spent_s = time.monotonic() - began_s
        if searches and spent_s + spent_s / (searches + 1) > 60 * settings.most_minutes:
            break
        voxels, pieces = insert(volume, balls)
        changed = Volume(voxels, volume.geometry, volume.name)
        own = replace(liver, scan=changed.identity, judged=True)
        part = replace(job, report=_Share(job, number - 1, len(plan)))
        result = segment(changed, own, model, fixed, unlikely="accept", device=device, job=part)
        known = look_up(pieces, volume, result)
        lesions += [InsertedLesion(ball.diameter_mm, ball.darker_hu, number, one) for ball, one in zip(balls, known, strict=True)]
        searches = number
    return DetectionLimit(
        settings=settings, lesions=tuple(lesions), searches=searches, planned=len(plan), without_place=without_place,
        threshold=fixed.threshold, model=first.model, model_hash=first.model_hash, liver_ml=liver.ml,
    )  # fmt: skip


class _Share:
    """Reports the progress of one search as its part of all, and never backwards."""

    def __init__(self, job: Job, before: int, of: int) -> None:
        self._job, self._before, self._of, self._most = job, before, of, 0

    def __call__(self, progress: Progress) -> None:
        self._most = max(self._most, PARTS * progress.done // max(progress.total, 1) if progress.total > 1 else 0)
        self._job.report(Progress(WITH_LESIONS, PARTS * self._before + self._most, PARTS * self._of))


def _plan(tissue: HealthyTissue, settings: DetectionLimitSettings) -> tuple[list[list[Ball]], int]:
    """Spread the lesions over searches, one of each cell before the next of any; and count those without a place."""
    rng = np.random.default_rng(settings.seed)
    plan: list[list[Ball]] = []
    without = 0
    for _ in range(settings.per_cell):
        for diameter_mm in reversed(settings.diameters_mm):
            for darker_hu in settings.darker_hu:
                open_ones = [*plan, *([[]] if len(plan) < settings.searches else [])]
                for balls in open_ones:
                    centre = tissue.place(diameter_mm, balls, rng) if tissue.has_room(diameter_mm, balls) else None
                    if centre is not None:
                        balls.append(Ball(diameter_mm, darker_hu, centre))
                        if len(balls) == 1 and not any(balls is other for other in plan):
                            plan.append(balls)
                        break
                else:
                    without += 1
    return plan, without


def _segment() -> Callable[..., Result]:
    from napari_liver_anomaly.inference import segment

    return segment


def _loaded(model: Any, segment: Callable[..., Result]) -> Any:
    """Load a model that was named once for all searches; one that another function searches with stays a name."""
    if not isinstance(model, (str, Path)) or segment is not _segment():
        return model
    from napari_liver_anomaly.models import load

    return load(model)
