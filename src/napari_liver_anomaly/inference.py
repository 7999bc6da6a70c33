"""A method over a whole scan: only where the liver is, in batches, and exactly back to the scan's own grid.

When memory runs out the batch is halved, again and again, then the CPU takes over; the result says which step ran.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from napari_liver_anomaly.doubts import about_the_edge
from napari_liver_anomaly.errors import InvalidNumbers, OutOfMemory, WrongGrid
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.lesions import Lesion, clean, measure
from napari_liver_anomaly.preparing import prepare
from napari_liver_anomaly.settings import Settings, setting
from napari_liver_anomaly.thresholds import auto_threshold

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.preparing import Prepare, Slices
    from napari_liver_anomaly.volume import Mask, Volume

MEDIAN_PX = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment(Settings):
    """How tumours are cut from the anomaly score."""

    threshold: float = setting(0.5, low=0, high=1, help="Smallest anomaly score that counts as tumour.")
    auto_threshold: bool = setting(False, help="Choose the threshold from the scan's own scores instead.")
    min_lesion_mm3: float = setting(50.0, unit="mm3", low=0, high=100000, help="Smaller lesions are dropped.")
    batch: int = setting(8, unit="slices", low=1, high=256, help="Slices that the networks see at once.")


class SliceMethod(Protocol):
    """A system that scores slices, one batch at a time."""

    name: str
    hash: str

    @property
    def prepare(self) -> Prepare:
        """How a scan becomes slices."""

    def to(self, device: torch.device) -> Any:
        """Move to a device.

        Parameters
        ----------
        device : torch.device
            ``cpu`` or ``cuda``.

        Returns
        -------
        object
            Not used.
        """

    def score(self, images: NDArray[np.float32], organ: NDArray[np.bool_]) -> Any:
        """Score a batch of slices.

        Parameters
        ----------
        images : ndarray, (B, C, H, W) float32
            0…1, made with :attr:`prepare`: slices with their neighbours.
        organ : ndarray, (B, H, W) bool
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
    settings : Segment
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
    """

    volume: Volume
    liver: Mask
    restored: NDArray[np.int16] | None
    residual: NDArray[np.int16] | None
    score: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    lesions: tuple[Lesion, ...]
    settings: Segment
    model: str
    model_hash: str
    device: str
    ran_on: str
    timings_s: dict[str, float]
    findings: tuple[Finding, ...] = ()
    liver_from: Literal["given", "found"] = "given"

    def __post_init__(self) -> None:
        self.liver.of(self.volume, "liver mask")
        for name in ("restored", "residual", "score", "labels"):
            array = getattr(self, name)
            if array is not None and array.shape != self.volume.voxels.shape:
                raise WrongGrid(
                    "shape-differs", f"A {name} image of shape {array.shape} was given for a scan of shape {self.volume.voxels.shape}.",
                    "It belongs to another scan.", "Use what was made from this very scan.",
                )  # fmt: skip


@dataclass(slots=True)
class _Ladder:
    """Where we stand after memory ran out: the batch, the device, and what to tell the user."""

    device: torch.device
    batch: int
    told: str = ""

    def step_down(self, method: SliceMethod, error: BaseException) -> None:
        """Take the next smaller step, or give up."""
        import torch

        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if self.batch > 1:
            self.batch //= 2
            self.told = f"with {self.batch} slices at a time, because memory ran out"
        elif self.device.type != "cpu":
            self.device = torch.device("cpu")
            method.to(self.device)
            self.told = "because the graphics card's memory ran out"
        else:
            raise OutOfMemory(
                "memory-out", "There is not enough memory, even for one slice at a time.", "No tumours were searched for.",
                "Close other programs or use a smaller model.",
            ) from error  # fmt: skip

    @property
    def sentence(self) -> str:
        """What the panel and the report say."""
        return f"Ran on {'the graphics card' if self.device.type == 'cuda' else 'CPU'}{' ' + self.told if self.told else ''}."


def segment(
    volume: Volume,
    liver: Mask,
    method: SliceMethod | Any,
    settings: Segment | None = None,
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
    settings : Segment, optional
        Threshold, smallest lesion, batch.
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
    settings, job, began = settings or Segment(), job or Job(), time.perf_counter()
    liver = liver.of(volume, "liver mask")
    timings: dict[str, float] = {}
    restored = residual = None
    if hasattr(method, "score_volume"):
        job.at("Searching the liver", 0, 1)
        score, where, ran_on = method.score_volume(volume, liver), "cpu", "Ran on CPU, a rule without learning."
        timings["score"] = _since(began)
    else:
        job.at("Preparing the liver", 0, 1)
        slices = prepare(volume.voxels, liver.voxels, volume.geometry.spacing_mm, method.prepare)
        timings["prepare"] = _since(began)
        share, healthy, ladder = _run(method, slices, settings.batch, device, job)
        timings["score"] = _since(began) - timings["prepare"]
        where, ran_on = ladder.device.type, ladder.sentence
        job.at("Bringing the result back to the scan", 0, 1)
        score = np.where(liver.voxels, np.rint(slices.frame.back(share) * 255), 0).astype(np.uint8)
        if healthy is not None:
            residual = _residual(slices, healthy, liver)
            restored = volume.voxels - residual
    job.at("Measuring lesions", 0, 1)
    if settings.auto_threshold:
        settings = replace(settings, threshold=auto_threshold(score, liver.voxels))
    labels = clean(score, settings.threshold, settings.min_lesion_mm3, volume.geometry)
    lesions = measure(labels, volume, liver)
    timings["total"] = _since(began)
    return Result(
        volume=volume, liver=liver, restored=restored, residual=residual, score=score, labels=labels, lesions=lesions,
        settings=settings, model=method.name, model_hash=getattr(method, "hash", ""), device=where, ran_on=ran_on,
        timings_s={name: round(seconds, 3) for name, seconds in timings.items()}, findings=about_the_edge(liver),
    )  # fmt: skip


def _since(began: float) -> float:
    return time.perf_counter() - began


def _run(
    method: SliceMethod, slices: Slices, batch: int, device: str, job: Job
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None, _Ladder]:
    """Score all slices, batch by batch, stepping down when memory runs out."""
    from scipy.ndimage import median_filter

    from napari_liver_anomaly.device import choose

    ladder = _Ladder(choose(device), batch)
    method.to(ladder.device)
    wanted = np.flatnonzero(slices.organ.any(axis=(1, 2)))
    count = len(wanted)
    share = np.zeros_like(slices.images)
    restored: NDArray[np.float32] | None = None
    done = 0
    try:
        while done < count:
            job.at("Searching the liver", done, count)
            part = wanted[done : done + ladder.batch]
            try:
                found = method.score(slices.stack(part), slices.organ[part])
            except (MemoryError, RuntimeError) as error:
                if not _is_memory(error):
                    raise
                ladder.step_down(method, error)
                continue
            _demand_numbers(found.score)
            share[part] = median_filter(found.score, size=(1, MEDIAN_PX, MEDIAN_PX)) * slices.organ[part]
            if found.restored is not None:
                _demand_numbers(found.restored)
                restored = slices.images.copy() if restored is None else restored
                restored[part] = found.restored
            done += len(part)
    finally:
        if ladder.device.type == "cuda":
            import torch

            method.to(torch.device("cpu"))
            torch.cuda.empty_cache()
    job.at("Searching the liver", count, count)
    return share, restored, ladder


def _residual(slices: Slices, restored: NDArray[np.float32], liver: Mask) -> NDArray[np.int16]:
    """Scan minus restoration in HU on the scan's grid.

    Only the difference is resampled, so the restored scan keeps the scan's own sharpness and noise.
    """
    change = slices.to_hu(slices.images) - slices.to_hu(np.clip(restored, 0, 1))
    whole = slices.frame.back(np.where(slices.organ, change, 0).astype(np.float32))
    return np.where(liver.voxels, np.rint(whole), 0).astype(np.int16)


def _is_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out; on a CPU torch raises a plain RuntimeError."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in words or "can't allocate" in words or "not enough memory" in words


def _demand_numbers(array: NDArray[np.float32]) -> None:
    """Refuse what is not a number: NaN compares as false and would look like 'no tumour'."""
    if not np.isfinite(array).all():
        raise InvalidNumbers(
            "score-invalid", "The model produced invalid numbers.", "No mask was made, so nothing is known about tumours.",
            "Run again on the CPU, or with another model.",
        )  # fmt: skip
