"""From a scan to its lesions: the one orchestrator that command line, panel, evaluation and Python call.

A model sees only where the liver is, in batches, and its scores come back to the scan's own grid.

When memory runs out the batch is halved, again and again, then the CPU takes over; the result says which step ran.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Never, Protocol

import numpy as np

from napari_liver_anomaly.device import has_bf16
from napari_liver_anomaly.errors import OutOfMemory
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.lesions import box_of, measure
from napari_liver_anomaly.liver_findings import about_lesions, about_the_edge, require_probabilities
from napari_liver_anomaly.memory import Ladder, Movable, ran_out, require_memory
from napari_liver_anomaly.preprocessing import frame_of, prepare
from napari_liver_anomaly.result import Result
from napari_liver_anomaly.segmentation import AUTO_SETTINGS, SegmentSettings, cut
from napari_liver_anomaly.thresholds import DEFAULT, auto_threshold
from napari_liver_anomaly.volume import MASK_FROM, VOLUME_FROM, Mask, Volume, require_kind

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.preprocessing import PreprocessSettings, Slices

MEDIAN_PX = 3
REFERENCE_OFF_HU = 5  # a reference that is less wrong makes no difference worth a second pass
# Bytes of a run on the CPU for each voxel of the scan, of the planes that hold liver (in the end, and while it searches) and of the liver's box, and
# for each pixel of the network's slices; and what torch takes at its first use. Writing takes less: it goes piece by piece.
# ``tests/faults/rows_memory.py`` holds them to runs.
VOXEL_BYTES, PLANE_BYTES, SCORED_BYTES, BOX_BYTES, SLICE_BYTES = 3, 5, 3, 20, 20
# The first use of the networks; processors without bfloat16 take kernels with larger buffers (as measured on one of each).
FIXED_BYTES, FIXED_BYTES_FLOAT32 = 130 * 10**6, 220 * 10**6
PIXEL_BYTES = 4096  # of a method that does not say what it needs for each pixel that it sees at once
RULE_BYTES = 24  # for each voxel of the liver's box
RESTORED_BYTES = 2  # of these, for the restored scan and the residual
TOTAL_BYTES = 4  # for each voxel of the liver's box, while scores of several scales are added


class SliceModel(Movable, Protocol):
    """A system that scores slices, one batch at a time."""

    name: str
    hash: str

    @property
    def preprocess(self) -> PreprocessSettings:
        """How a scan becomes slices."""

    def predict(self, images: NDArray[np.float32], liver_mask: NDArray[np.bool_]) -> Any:
        """Score a batch of slices."""


def segment(
    volume: Volume,
    liver: Mask | None = None,
    model: str | Path | SliceModel | Any = "standard",
    settings: SegmentSettings | None = None,
    *,
    find: Callable[..., Mask] | None = None,
    unlikely: Literal["ask", "accept"] = "ask",
    device: str = "auto",
    job: Job | None = None,
    **unknown: Never,
) -> Result:
    """Search a liver for tumours; find the liver first when none is given.

    Parameters
    ----------
    volume : Volume
        A CT scan in HU.
    liver : Mask, optional
        The liver, tumours included, on the scan's grid; found when it is left out.
    model : str, path-like or object
        Name of a model (``napari_liver_anomaly.models.names``), a ``.safetensors`` file, what ``load`` gives, or a rule with
        ``score_volume(volume, liver)``.
    settings : SegmentSettings, optional
        Threshold, smallest lesion, batch; the scan chooses its threshold when nothing is given. For a rule without learning, whose scores are no
        probabilities, neither Auto nor the lowest peak score nor the lowest probability is used.
    find : callable, optional
        What finds the liver: called as ``find(volume, device=device, job=job)``, gives a mask. :func:`~napari_liver_anomaly.liver.find_liver`
        when nothing is given; ``functools.partial(find_liver, unlikely="accept")`` takes also what is unlike a liver.
    unlikely : {"ask", "accept"}
        What to do with a given mask that is unlike a liver: ask, or take it with a note.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    job : Job, optional
        Progress and cancel, asked at every batch.
    **unknown
        Nothing: an array with its spacing is answered by how to make a Volume of it.

    Returns
    -------
    Result
        Score, lesions, restored scan and residual; with where the liver came from, and what is doubtful about scan, liver and run, each once.

    Raises
    ------
    TypeError
        When the scan is no :class:`Volume`, the liver no :class:`Mask`, or the model neither a name nor a model; the sentence says how to make one.
    WrongGrid
        When the mask is not on the scan's grid or belongs to another scan.
    UnfitModel
        When there is no such model, or its file is damaged.
    Question
        When the mask that was given, or what was found, is unlike a liver.
    Refusal
        When there is no liver, the mask is empty, the device is not there, memory runs out on every step, or the networks give invalid numbers.
    Cancelled
        When the job was cancelled.
    """
    _require_kinds(volume, liver, model, settings, unknown)
    settings, job, watch = settings or AUTO_SETTINGS, job or Job(), _Stopwatch()
    model = _loaded(model, job)  # before the liver is looked for: a model that cannot be used is said at once
    watch.lap("load")
    liver = _judged(liver or _found(volume, find, device, job), volume, unlikely)
    watch.lap("liver")
    require_memory(needed := needed_bytes(volume, liver, model, 1))
    if hasattr(model, "score_volume"):
        settings = replace(
            settings, min_peak_score=0.0, min_liver_probability=0.0, auto_threshold=False
        )  # its scores are no probabilities
        job.at("Searching the liver", 0, 1)
        scored = _Scored(model.score_volume(volume, liver), None, "cpu", "Ran on CPU, a rule without learning.")
        watch.lap("score")
    else:
        scored = _scored(volume, liver, model, settings.batch, device, needed, job, watch)
    job.at("Measuring lesions", 0, 1)
    if settings.auto_threshold:
        settings = replace(settings, threshold=auto_threshold(scored.score, liver.voxels))
    labels, left_out = cut(scored.score, liver.probability, volume.geometry, settings)
    lesions = measure(labels, volume, liver)
    job.at("Measuring lesions", 1, 1)
    restored = None if scored.residual is None else volume.voxels - scored.residual
    card = getattr(model, "card", None)
    return Result(
        volume=volume, liver=liver, restored=restored, residual=scored.residual, score=scored.score, labels=labels, lesions=lesions,
        settings=settings, model=model.name, model_hash=getattr(model, "hash", ""),
        about_model=card.told() if card is not None else {}, healthy_scores=card.healthy_scores() if card is not None else {},
        device=scored.device, ran_on=scored.ran_on, timings_s=watch.seconds(), liver_from="found" if liver.found else "given", left_out=left_out,
        findings=_once(*volume.findings, *liver.findings, *about_the_edge(liver), *about_lesions(len(lesions), left_out)),
    )  # fmt: skip


def _require_kinds(volume: object, liver: object, model: object, settings: object, unknown: dict[str, Any]) -> None:
    """Refuse what is no scan, liver, model or settings; an array with its spacing is answered by how to make a Volume of it."""
    require_kind(volume, Volume, "segment", VOLUME_FROM)
    if unknown:
        raise TypeError(f"segment() got an unexpected keyword argument {next(iter(unknown))!r}")
    if liver is not None:
        require_kind(liver, Mask, "segment", MASK_FROM)
    if not isinstance(model, (str, Path)) and not hasattr(model, "name"):
        raise TypeError(f"segment() needs the name of a model, a path or a loaded model, not {type(model).__name__}.")
    if settings is not None:
        require_kind(settings, SegmentSettings, "segment", "SegmentSettings(threshold=0.5) makes them")


def _once(*findings: Finding) -> tuple[Finding, ...]:
    """Keep the first finding of each code: scan, liver and run may say the same."""
    first: dict[str, Finding] = {}
    for finding in findings:
        first.setdefault(finding.code, finding)
    return tuple(first.values())


class _Stopwatch:
    """Seconds of each part of a run."""

    def __init__(self) -> None:
        self._began = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, part: str) -> None:
        """Add the time since the last call to a part."""
        now = time.perf_counter()
        self._laps[part] = self._laps.get(part, 0.0) + now - self._last
        self._last = now

    def seconds(self) -> dict[str, float]:
        """Give the seconds of each part, and of the whole."""
        laps = self._laps | {"total": time.perf_counter() - self._began}
        return {part: round(seconds, 3) for part, seconds in laps.items()}


def _loaded(model: Any, job: Job) -> Any:
    """Load a model that was named; one that is loaded already stays as it is."""
    if not isinstance(model, (str, Path)):
        return model
    from napari_liver_anomaly.models import load

    job.at("Loading the model", 0, 1)
    return load(model)


def _found(volume: Volume, find: Callable[..., Mask] | None, device: str, job: Job) -> Mask:
    """Find the liver, and remember that it was found."""
    if find is None:
        from napari_liver_anomaly.liver import find_liver

        find = find_liver
    return replace(find(volume, device=device, job=job), found=True)


def _judged(liver: Mask, volume: Volume, unlikely: Literal["ask", "accept"]) -> Mask:
    """Judge a mask that somebody gave, unless that was done; what finds a liver judges it itself."""
    from napari_liver_anomaly.liver import check_liver

    liver = liver.of(volume, "liver mask")
    return liver if liver.found or liver.judged else check_liver(liver, volume, unlikely=unlikely)


@dataclass(frozen=True, eq=False, slots=True)
class _Scored:
    """Score and residual on the scan's grid, and where they were computed."""

    score: NDArray[np.uint8]
    residual: NDArray[np.int16] | None
    device: str
    ran_on: str


def _scored(
    volume: Volume, liver: Mask, model: Any, batch: int, device: str, needed: int, job: Job, watch: _Stopwatch
) -> _Scored:
    """Score a scan with networks: the mean over all scales that a model has."""
    from napari_liver_anomaly.device import choose

    part = box_of(liver.voxels) or ()  # all scores outside the liver are 0
    residual, total = None, np.zeros(0, np.float32)
    scales = getattr(model, "scales", (model,))
    for scale in scales:
        job.at("Preparing the liver", 0, 1)
        slices = prepare(volume.voxels, liver.voxels, volume.geometry.spacing_mm, scale.preprocess)
        watch.lap("prepare")
        ladder = Ladder(choose(device), batch, needed)
        try:
            found, healthy = _run(scale, slices, ladder, job)
            reference = _healthy_median(slices, found)
            if reference is not None and abs(reference - slices.median_hu) >= REFERENCE_OFF_HU:
                slices = prepare(
                    volume.voxels, liver.voxels, volume.geometry.spacing_mm, scale.preprocess, median_hu=round(reference)
                )
                found, healthy = _run(scale, slices, ladder, job)
        except OutOfMemory as refusal:
            del slices
            raise refusal.with_traceback(None) from None  # whoever keeps the refusal shall not keep the slices
        watch.lap("score")
        job.at("Bringing the result back to the scan", 0, 1)
        scores = slices.frame.to_scan(found, part)
        total = np.add(total, scores, out=total) if total.size else scores
        if healthy is not None and residual is None:
            residual = _within(part, _residual(slices, healthy, liver, part), volume)
    total /= len(scales)
    return _Scored(_within(part, _grey(total, liver.voxels[part]), volume), residual, ladder.device.type, ladder.sentence)


def _healthy_median(slices: Slices, found: NDArray[np.float32]) -> float | None:
    """Median HU of the liver that a first pass did not suspect, for a model that was trained with that of healthy tissue."""
    healthy = slices.liver_mask & (found < DEFAULT)
    if slices.settings.reference == "mask" or slices.settings.intensity != "robust" or not healthy.any():
        return None
    return float(slices.median_hu + (np.median(slices.images[healthy]) - 0.5) * slices.settings.hu_per_unit)


def _within(part: tuple[slice, ...], values: NDArray[Any], volume: Volume) -> NDArray[Any]:
    """Put values at their part of a scan's grid, 0 elsewhere: the system gives memory for zeros only where they are written over."""
    whole = np.zeros(volume.voxels.shape, values.dtype)
    whole[part] = values
    return whole


def _run(model: SliceModel, slices: Slices, ladder: Ladder, job: Job) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Score all slices, batch by batch, stepping down when memory runs out."""
    from scipy.ndimage import median_filter

    wanted = np.flatnonzero(slices.liver_mask.any(axis=(1, 2)))
    count = len(wanted)
    scores = np.zeros_like(slices.images)
    restored: NDArray[np.float32] | None = None
    done = 0
    try:
        ladder.settle(model)
        while done < count:
            job.at("Searching the liver", done, count)
            part = wanted[done : done + ladder.batch]
            found = _scored_batch(model, slices, part)
            if found is None:
                ladder.step_down(model)
                continue
            require_probabilities(found.score, probability=True)
            scores[part] = median_filter(found.score, size=(1, MEDIAN_PX, MEDIAN_PX)) * slices.liver_mask[part]
            if found.restored is not None:
                require_probabilities(found.restored)
                restored = slices.images.copy() if restored is None else restored
                restored[part] = found.restored
            done += len(part)
    finally:
        if ladder.device.type == "cuda":
            import torch

            model.to(torch.device("cpu"))
            torch.cuda.empty_cache()
    job.at("Searching the liver", count, count)
    return scores, restored


def _scored_batch(model: SliceModel, slices: Slices, part: NDArray[np.intp]) -> Any:
    """Score some slices; None when memory ran out. The error ends here, because it holds all that the step had made."""
    try:
        return model.predict(slices.stack(part), slices.liver_mask[part])
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
    return None


def needed_bytes(volume: Volume, liver: Mask, model: SliceModel | Any, batch: int) -> int:
    """Foresee how much memory a run needs on the CPU, on top of what scan, mask and model take already."""
    depth, height, width = (side.stop - side.start for side in box_of(liver.voxels) or (slice(0, 0),) * 3)
    planes = depth * prod(volume.voxels.shape[1:])
    less = 0 if getattr(model, "has_restorer", not hasattr(model, "score_volume")) else RESTORED_BYTES
    kept = volume.voxels.size * (VOXEL_BYTES - less) + planes * (PLANE_BYTES - less)  # what the result holds in the end
    if hasattr(model, "score_volume"):
        return kept + depth * height * width * RULE_BYTES
    import torch

    scales = getattr(model, "scales", (model,))
    under_way = planes * SCORED_BYTES + max(_scale_bytes(volume, liver, scale, batch) for scale in scales)
    if len(scales) > 1:
        under_way += depth * height * width * TOTAL_BYTES
    first_use = FIXED_BYTES if has_bf16(torch.device("cpu")) else FIXED_BYTES_FLOAT32
    return max(kept, under_way) + first_use  # the slices are gone when the result is put together


def _scale_bytes(volume: Volume, liver: Mask, model: SliceModel, batch: int) -> int:
    """Foresee what one scale of a model needs besides."""
    frame = frame_of(liver.voxels, volume.geometry.spacing_mm, model.preprocess)
    box = len(frame.planes) * (frame.rows[1] - frame.rows[0]) * (frame.columns[1] - frame.columns[0])
    pixels = frame.padded[0] * frame.padded[1]
    at_once = min(batch, frame.depth) * pixels * getattr(model, "pixel_bytes", PIXEL_BYTES)
    return box * BOX_BYTES + frame.depth * pixels * SLICE_BYTES + at_once


def _grey(probability: NDArray[np.float32], liver: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Turn probabilities, which are used up, into grey levels; 0 outside the liver."""
    probability *= 255
    np.rint(probability, out=probability)
    probability[~liver] = 0
    return probability.astype(np.uint8)


def _residual(slices: Slices, restored: NDArray[np.float32], liver: Mask, part: tuple[slice, ...]) -> NDArray[np.int16]:
    """Scan minus restoration in HU, in a part of the scan.

    Only the difference is resampled, so the restored scan keeps the scan's own sharpness and noise.
    """
    change = slices.to_hu(slices.images) - slices.to_hu(np.clip(restored, 0, 1))
    values = slices.frame.to_scan(np.where(slices.liver_mask, change, 0).astype(np.float32), part)
    np.rint(values, out=values)
    values[~liver.voxels[part]] = 0
    return values.astype(np.int16)
