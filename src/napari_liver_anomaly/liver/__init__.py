"""Find the liver in a CT scan, with small networks of our own that come with the package.

A coarse network looks at the whole scan at 10 mm, a fine one at the slices around what that found, and the prediction comes back to the
scan's own grid. Works on any orientation and spacing; HU are clipped to -45…160 first, so that scans stored that way are no different.
"""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_liver_anomaly.job import Job
from napari_liver_anomaly.liver_findings import about_the_edge
from napari_liver_anomaly.memory import Ladder, ran_out
from napari_liver_anomaly.messages import make_finding, make_refusal
from napari_liver_anomaly.volume import VOLUME_FROM, Mask, Volume, require_kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.io.read_options import MaskOptions
    from napari_liver_anomaly.liver.finder import Finder

__all__ = ["check_liver", "find_liver", "packaged_weights"]

WHOLE_ML = 100.0
PART_ML = 10.0
ON_CPU = make_finding("liver-on-cpu")
LARGEST_ML = 8000.0
SMOOTHEST_HU, GRAINIEST_HU = 1.0, 80.0  # standard deviation in the window from -45 to 160 HU


def packaged_weights() -> Path:
    """Tell where the liver finder that came with the package lies.

    Returns
    -------
    Path
        A ``.safetensors`` file.
    """
    return Path(str(resources.files("napari_liver_anomaly") / "weights" / "liver" / "liver.safetensors"))


def find_liver(
    volume: Volume,
    *,
    weights: str | Path | None = None,
    device: str = "auto",
    job: Job | None = None,
    unlikely: Literal["ask", "accept"] = "ask",
) -> Mask:
    """Find the liver, tumours included.

    Parameters
    ----------
    volume : Volume
        A CT scan in HU of any orientation, voxel size and field of view, real or clipped to -45…160.
    weights : path-like, optional
        A file made by ``liver-anomaly train-liver``; the one that came with the package when nothing is given.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    job : Job, optional
        Progress and cancel.
    unlikely : {"ask", "accept"}
        What to do with a liver that is unlike one: ask, or take it with a note.

    Returns
    -------
    Mask
        One piece on the scan's grid, that knows its scan and the probability of each voxel. Its ``findings`` are ``liver-at-edge`` when part of
        the liver may lie outside the scan; ``liver-unlikely`` when it was taken all the same;
        ``liver-on-cpu`` when the graphics card's memory was full.

    Raises
    ------
    Question
        Code ``liver-unlikely`` when the size, the values or the place of what was found are unlike those of an adult's liver.
    Refusal
        Code ``liver-not-found`` when there is no liver; also when memory runs out, when the networks give invalid numbers, when the
        weights are unfit, or the device is not there.
    Cancelled
        When the job was cancelled.
    """
    require_kind(volume, Volume, "find_liver", VOLUME_FROM)
    from napari_liver_anomaly.device import choose
    from napari_liver_anomaly.liver.finder import Finder

    ladder = Ladder(choose(device), 1)
    found, share = _search(Finder.load(weights or packaged_weights()), volume, ladder, job or Job())
    if found.any() and not SMOOTHEST_HU < np.clip(volume.voxels[found], -45, 160).std() < GRAINIEST_HU:
        found = np.zeros_like(found)  # water or noise, not tissue
    liver = checked(Mask(found, volume.geometry, volume.identity, share), volume, unlikely)
    return replace(liver, findings=(*liver.findings, *((ON_CPU,) if ladder.told else ())))


def check_liver(liver: Mask, volume: Volume, *, unlikely: Literal["ask", "accept"] = "ask") -> Mask:
    """Judge a liver mask that somebody gave, as one that was found is judged.

    Parameters
    ----------
    liver : Mask
        The liver, tumours included, on the scan's grid.
    volume : Volume
        A CT scan in HU.
    unlikely : {"ask", "accept"}
        What to do with a mask that is unlike a liver: ask, or take it with a note.

    Returns
    -------
    Mask
        The same mask, which is not judged again; its ``findings`` say when it touches the edge of the scan, and what is doubtful: air
        inside, or pieces apart from the rest.

    Raises
    ------
    WrongGrid
        When the mask is not on the scan's grid or belongs to another scan.
    Question
        Code ``given-liver-unlikely`` when the volume, the values, the air inside, the pieces or the place are unlike those of an adult's liver.
    Refusal
        Code ``liver-empty`` when no voxel is set.
    """
    from napari_liver_anomaly.liver.plausibility import likely_given

    liver = liver.of(volume, "liver mask")
    if not liver.voxels.any():
        raise make_refusal("liver-empty")
    findings = (*liver.findings, *about_the_edge(liver), *likely_given(volume, liver, unlikely))
    return replace(liver, findings=findings, judged=True)


def _search(finder: Finder, volume: Volume, ladder: Ladder, job: Job) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Look for the liver; on the CPU when the graphics card's memory runs out."""
    while True:
        try:
            return finder.to(ladder.device).find(volume, job)
        except (MemoryError, RuntimeError) as error:
            if not ran_out(error):
                raise
        ladder.step_down(finder)  # out here, where the error and all it holds are gone


def checked(liver: Mask, volume: Volume, unlikely: Literal["ask", "accept"]) -> Mask:
    """Refuse what a program found where it is no plausible liver, ask about one that is unlikely, and note what is doubtful about others."""
    from napari_liver_anomaly.liver.plausibility import likely

    findings = about_the_edge(liver)
    if not (PART_ML if findings else WHOLE_ML) <= liver.ml <= LARGEST_ML:
        raise make_refusal("liver-not-found")
    return replace(liver, findings=(*findings, *likely(volume, liver, unlikely)), found=True)


def read_given_liver(path: Path, volume: Volume, options: MaskOptions, *, some: bool = False) -> Mask:
    """Read the liver mask that somebody gives for a scan and judge it, with what was answered so far."""
    from napari_liver_anomaly.io import read_mask

    mask = read_mask(path, volume, "liver mask", labels=options.liver_label, some=some)
    return check_liver(mask, volume, unlikely=options.given_liver)
