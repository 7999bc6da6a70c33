"""A method over a whole scan: only where the liver is, in batches, and exactly back to the scan's own grid.

When memory runs out the batch is halved, again and again, then the CPU takes over; the result says which step ran.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from napari_liver_anomaly.errors import OutOfMemory, WrongGrid
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.lesions import Lesion, drop_improbable, label_components, measure
from napari_liver_anomaly.liver_findings import about_pieces, about_the_edge, require_probabilities
from napari_liver_anomaly.memory import Ladder, Movable, ran_out, require_memory
from napari_liver_anomaly.preprocessing import frame_of, prepare
from napari_liver_anomaly.settings import Settings, setting
from napari_liver_anomaly.thresholds import auto_threshold

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.preprocessing import PreprocessSettings, Slices
    from napari_liver_anomaly.volume import Geometry, Mask, Volume

MEDIAN_PX = 3
# Bytes of a run on the CPU for each voxel of the scan, voxel of the liver's box and pixel of the network's slices; and what torch takes at
# its first use. Measured on scans of 4 to 52 million voxels; ``tests/faults/rows_running.py`` holds them to a run in a child process.
VOXEL_BYTES, BOX_BYTES, SLICE_BYTES, FIXED_BYTES = 10, 20, 20, 100 * 10**6
PIXEL_BYTES = 4096  # of a method that does not say what it needs for each pixel that it sees at once
RULE_BYTES = 24


@dataclass(frozen=True, kw_only=True, slots=True)
class SegmentSettings(Settings):
    """How tumours are cut from the anomaly score."""

    threshold: float = setting(
        0.5, low=0, high=1, help="Smallest anomaly score that counts as tumour; giving it switches Auto off."
    )
    auto_threshold: bool = setting(False, help="Choose the threshold from the scan's own scores instead.")
    min_peak_score: float = setting(
        0.8, low=0, high=1, was="peak", help="A lesion is dropped when its score is nowhere as high as this."
    )
    min_lesion_mm3: float = setting(50.0, unit="mm3", low=0, high=100000, help="Smaller lesions are dropped.")
    min_liver_probability: float = setting(
        0.5,
        low=0,
        high=1,
        was="sure",
        help="In a found liver, a lesion is dropped when the mean of its score times the probability of liver is lower.",
    )
    batch: int = setting(8, unit="slices", low=1, high=256, help="Slices that the networks see at once.")


# What the panel and the command line begin with: the scan chooses its threshold until the user sets one.
AUTO_SETTINGS = SegmentSettings(auto_threshold=True)


class SliceMethod(Movable, Protocol):
    """A system that scores slices, one batch at a time."""

    name: str
    hash: str

    @property
    def prepare(self) -> PreprocessSettings:
        """How a scan becomes slices."""

    def score(self, images: NDArray[np.float32], liver_mask: NDArray[np.bool_]) -> Any:
        """Score a batch of slices.

        Parameters
        ----------
        images : ndarray, (B, C, H, W) float32
            0…1, made with :attr:`prepare`: slices with their neighbours.
        liver_mask : ndarray, (B, H, W) bool
            Where the liver is.

        Returns
        -------
        object
            With ``score``, (B, H, W) float32 in 0…1, and ``restored``, the same or None.
        """


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """All that a run found, on the scan's grid in canonical order.

    Attributes
    ----------
    volume : Volume
        The scan.
    liver : Mask
        Where it was searched.
    restored, residual : ndarray, (z, y, x) int16, or None
        The scan as a healthy liver would look, in HU; and scan minus restored, negative where a lesion is dark, 0 outside the liver. Their sum is the
        scan, exactly. None for a method without a restorer.
    score : ndarray, (z, y, x) uint8
        Anomaly score, 0…255 for 0…1; 0 outside the liver.
    labels : ndarray, (z, y, x) uint16
        Number of the lesion each voxel belongs to at the settings' threshold, or 0.
    lesions : tuple of Lesion
        The lesions, largest first.
    settings : SegmentSettings
        Threshold that was used, chosen or given, and smallest lesion.
    model, model_hash : str
        Name of the model, and SHA-256 of its weights (empty for a rule without weights).
    device, ran_on : str
        ``"cpu"`` or ``"cuda"``; and one sentence for the user.
    timings_s : dict
        Seconds for each part.
    findings : tuple of Finding
        Doubts to show and store.
    liver_from : str
        ``"given"`` by the user, or ``"found"`` by the program.
    left_out : int
        Pieces that were left out because the found liver is unsure there.
    """

    volume: Volume
    liver: Mask
    restored: NDArray[np.int16] | None
    residual: NDArray[np.int16] | None
    score: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    lesions: tuple[Lesion, ...]
    settings: SegmentSettings
    model: str
    model_hash: str
    device: str
    ran_on: str
    timings_s: dict[str, float]
    findings: tuple[Finding, ...] = ()
    liver_from: Literal["given", "found"] = "given"
    left_out: int = 0

    def __post_init__(self) -> None:
        self.liver.of(self.volume, "liver mask")
        for name in ("restored", "residual", "score", "labels"):
            array = getattr(self, name)
            if array is not None and array.shape != self.volume.voxels.shape:
                raise WrongGrid(
                    "shape-differs", f"A {name} image of shape {array.shape} was given for a scan of shape {self.volume.voxels.shape}.",
                    "It belongs to another scan.", "Use what was made from this very scan.",
                )  # fmt: skip


def cut(
    score: NDArray[np.uint8], probability: NDArray[np.uint8] | None, geometry: Geometry, settings: SegmentSettings
) -> tuple[NDArray[np.uint16], int]:
    """Cut lesions from a score: the one way, whoever asks for it.

    Parameters
    ----------
    score : ndarray, (z, y, x) uint8
        Anomaly score, 0…255 for 0…1.
    probability : ndarray, (z, y, x) uint8, or None
        Probability of liver, as ``Mask.probability``; None for a given liver, to which ``settings.min_liver_probability`` does not apply.
    geometry : Geometry
        Grid of the scan; of a part of it, the size of its voxels alone counts.
    settings : SegmentSettings
        Threshold, lowest peak score, smallest lesion, and lowest probability. Auto is chosen before: its threshold is the one given here.

    Returns
    -------
    ndarray, (z, y, x) uint16
        0 outside, lesions numbered from 1 by falling volume.
    int
        Pieces that were left out because the liver is unsure there.

    Raises
    ------
    Refusal
        When there are too many pieces to be lesions.
    """
    labels = label_components(score, settings.threshold, settings.min_lesion_mm3, geometry, settings.min_peak_score)
    return (labels, 0) if probability is None else drop_improbable(labels, score, probability, settings.min_liver_probability)


def segment(
    volume: Volume,
    liver: Mask,
    method: SliceMethod | Any,
    settings: SegmentSettings | None = None,
    *,
    device: str = "auto",
    job: Job | None = None,
) -> Result:
    """Search a liver for tumours.

    Parameters
    ----------
    volume : Volume
        A CT scan.
    liver : Mask
        The liver, tumours included, on the scan's grid.
    method : object
        A trained model of ``methods.load``, or a rule with ``score_volume(volume, liver)``.
    settings : SegmentSettings, optional
        Threshold, smallest lesion, batch; the scan chooses its threshold when nothing is given. For a rule without learning, whose scores are no
        probabilities, neither Auto nor the lowest peak score nor the lowest probability is used.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    job : Job, optional
        Progress and cancel, asked at every batch.

    Returns
    -------
    Result
        Restored scan, residual, score, lesions.

    Raises
    ------
    WrongGrid
        When the mask is not on the scan's grid or belongs to another scan.
    Refusal
        When the mask is empty, the device is not there, memory runs out on every step, or the networks give invalid numbers.
    Cancelled
        When the job was cancelled.
    """
    from napari_liver_anomaly.device import choose

    settings, job, began = settings or AUTO_SETTINGS, job or Job(), time.perf_counter()
    liver = liver.of(volume, "liver mask")
    timings: dict[str, float] = {}
    restored = residual = None
    needed = needed_bytes(volume, liver, method, 1)
    require_memory(needed)
    if hasattr(method, "score_volume"):
        settings = replace(
            settings, min_peak_score=0.0, min_liver_probability=0.0, auto_threshold=False
        )  # a rule's scores are no probabilities
        job.at("Searching the liver", 0, 1)
        score, where, ran_on = method.score_volume(volume, liver), "cpu", "Ran on CPU, a rule without learning."
        timings["score"] = _since(began)
    else:
        where, ran_on, total = "cpu", "", np.zeros(0, np.float32)
        scales = getattr(method, "scales", (method,))
        for scale in scales:
            job.at("Preparing the liver", 0, 1)
            slices = prepare(volume.voxels, liver.voxels, volume.geometry.spacing_mm, scale.prepare)
            timings["prepare"] = timings.get("prepare", 0.0) + _since(began) - sum(timings.values())
            ladder = Ladder(choose(device), settings.batch, needed)
            try:
                found, healthy = _run(scale, slices, ladder, job)
            except OutOfMemory as refusal:
                del slices
                raise refusal.with_traceback(None) from None  # whoever keeps the refusal shall not keep the slices
            timings["score"] = timings.get("score", 0.0) + _since(began) - sum(timings.values())
            where, ran_on = ladder.device.type, ladder.sentence
            job.at("Bringing the result back to the scan", 0, 1)
            whole = slices.frame.to_scan(found)
            total = np.add(total, whole, out=total) if total.size else whole
            if healthy is not None and residual is None:
                residual = _residual(slices, healthy, liver)
                restored = volume.voxels - residual
        total /= len(scales)
        score = _grey(total, liver)
    job.at("Measuring lesions", 0, 1)
    if settings.auto_threshold:
        settings = replace(settings, threshold=auto_threshold(score, liver.voxels))
    labels, left_out = cut(score, liver.probability, volume.geometry, settings)
    lesions = measure(labels, volume, liver)
    job.at("Measuring lesions", 1, 1)
    timings["total"] = _since(began)
    return Result(
        volume=volume, liver=liver, restored=restored, residual=residual, score=score, labels=labels, lesions=lesions,
        settings=settings, model=method.name, model_hash=getattr(method, "hash", ""), device=where, ran_on=ran_on,
        timings_s={name: round(seconds, 3) for name, seconds in timings.items()},
        findings=(*about_the_edge(liver), *about_pieces(left_out)), left_out=left_out,
    )  # fmt: skip


def _since(began: float) -> float:
    return time.perf_counter() - began


def _run(method: SliceMethod, slices: Slices, ladder: Ladder, job: Job) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Score all slices, batch by batch, stepping down when memory runs out."""
    from scipy.ndimage import median_filter

    method.to(ladder.device)
    wanted = np.flatnonzero(slices.liver_mask.any(axis=(1, 2)))
    count = len(wanted)
    scores = np.zeros_like(slices.images)
    restored: NDArray[np.float32] | None = None
    done = 0
    try:
        while done < count:
            job.at("Searching the liver", done, count)
            part = wanted[done : done + ladder.batch]
            found = _scored(method, slices, part)
            if found is None:
                ladder.step_down(method)
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

            method.to(torch.device("cpu"))
            torch.cuda.empty_cache()
    job.at("Searching the liver", count, count)
    return scores, restored


def _scored(method: SliceMethod, slices: Slices, part: NDArray[np.intp]) -> Any:
    """Score some slices; None when memory ran out. The error ends here, because it holds all that the step had made."""
    try:
        return method.score(slices.stack(part), slices.liver_mask[part])
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
    return None


def needed_bytes(volume: Volume, liver: Mask, method: SliceMethod | Any, batch: int) -> int:
    """Foresee how much memory a run needs on the CPU, on top of what scan, mask and model take already.

    Parameters
    ----------
    volume : Volume
        A CT scan.
    liver : Mask
        The liver, on the scan's grid.
    method : object
        As for :func:`segment`.
    batch : int
        Slices at once.

    Returns
    -------
    int
        Bytes, with a margin: between once and twice what was measured.

    Raises
    ------
    Refusal
        When the mask is empty.
    """
    voxels = volume.voxels.size
    if hasattr(method, "score_volume"):
        return voxels * RULE_BYTES
    if len(scales := getattr(method, "scales", ())) > 1:
        return max(needed_bytes(volume, liver, scale, batch) for scale in scales) + 4 * voxels  # the sum of their scores
    frame = frame_of(liver.voxels, volume.geometry.spacing_mm, method.prepare)
    box = len(frame.planes) * (frame.rows[1] - frame.rows[0]) * (frame.columns[1] - frame.columns[0])
    pixels = frame.padded[0] * frame.padded[1]
    at_once = min(batch, frame.depth) * pixels * getattr(method, "pixel_bytes", PIXEL_BYTES)
    return voxels * VOXEL_BYTES + box * BOX_BYTES + frame.depth * pixels * SLICE_BYTES + at_once + FIXED_BYTES


def _grey(probability: NDArray[np.float32], liver: Mask) -> NDArray[np.uint8]:
    """Turn probabilities on the scan's grid, which is used up, into grey levels; 0 outside the liver."""
    probability *= 255
    np.rint(probability, out=probability)
    probability[~liver.voxels] = 0
    return probability.astype(np.uint8)


def _residual(slices: Slices, restored: NDArray[np.float32], liver: Mask) -> NDArray[np.int16]:
    """Scan minus restoration in HU on the scan's grid.

    Only the difference is resampled, so the restored scan keeps the scan's own sharpness and noise.
    """
    change = slices.to_hu(slices.images) - slices.to_hu(np.clip(restored, 0, 1))
    whole = slices.frame.to_scan(np.where(slices.liver_mask, change, 0).astype(np.float32))
    np.rint(whole, out=whole)
    whole[~liver.voxels] = 0
    return whole.astype(np.int16)
