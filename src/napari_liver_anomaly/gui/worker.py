"""What the panel runs in the background: segmentation, or finding the liver, on scans made from layers."""

from __future__ import annotations

import ctypes
import os
import sys
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.errors import Level
from napari_liver_anomaly.gui.found_liver import AUTOMATIC, FoundLiver
from napari_liver_anomaly.gui.layer_snapshot import mask_of, volume_of
from napari_liver_anomaly.gui.layers import checksum, liver_layer
from napari_liver_anomaly.liver_findings import about_lesions
from napari_liver_anomaly.messages import make_finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.gui.layer_snapshot import LayerSnapshot
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.volume import Mask, Volume

EDITED = make_finding("scan-edited")
TORCH = "libtorch_cpu.so"


@dataclass(frozen=True, kw_only=True)
class Engine:
    """What the panel calls for the work itself, replaceable in a test. None stands for the real one, loaded at first use."""

    segment: Callable[..., Result] | None = None
    find_liver: Callable[..., Mask] | None = None
    names: Sequence[str] | None = None
    card: Callable[[str], dict[str, Any]] | None = None
    write: Callable[..., Any] | None = None
    series_in: Callable[[Path], Sequence[Any]] | None = None


@dataclass(frozen=True, eq=False)
class RunResult:
    """What a run brings back to the panel; ``liver`` is one that the run found."""

    result: Result
    scan: LayerSnapshot
    notes: tuple[Finding, ...]
    liver: FoundLiver | None = None


def segment_layers(
    engine: Engine,
    scan: LayerSnapshot,
    liver: LayerSnapshot | None,
    model: str,
    settings: SegmentSettings,
    device: str,
    job: Job,
    *,
    written: int | None = None,
    livers: list[FoundLiver] | None = None,
) -> RunResult:
    """Search a scan for tumours. A liver that is found on the way goes into ``livers`` at once: it outlives a run that fails.

    ``written`` is the checksum of the liver's layer as the program wrote it: while it is still that, nobody corrected it.
    """
    job.at("Preparing the scan", 0, 1)
    volume, livers = volume_of(scan), [] if livers is None else livers
    mask = mask_of(liver, scan, volume, "liver mask") if liver is not None else None
    if mask is not None and liver is not None:
        mask = _known(mask, liver, volume, written)

    def find(volume: Volume, *, device: str, job: Job) -> Mask:
        livers.append(_find(engine, scan, volume, device, job))
        return livers[-1].mask

    # A liver on screen is not asked about, for the user sees it: what is doubtful is told.
    result = (engine.segment or _segment())(
        volume, mask, model, settings, find=find, unlikely="accept", device=device, job=job
    )  # fmt: skip
    from napari_liver_anomaly.io.dicom_writing import why_none_can_be_made

    why_none_can_be_made(volume)  # looked up now, so that the window need not read the slice's header
    if liver is not None and written is not None and written != checksum(liver.data):
        result = replace(result, liver_from="corrected")
    # The panel says elsewhere what was left out, beside the threshold with which it changes; and a liver that is on screen is no news.
    said = liver.tag.findings if liver is not None and liver.tag is not None else ()  # when it was loaded
    known = {
        finding.code
        for finding in (*about_lesions(len(result.lesions), result.left_out), *said, *(mask.findings if mask is not None else ()))
    }
    notes = [finding for finding in result.findings if finding.level is not Level.ASK and finding.code not in known]
    if _edited(volume, scan, mask, liver):
        notes.append(EDITED)
    return RunResult(result, scan, tuple(notes), livers[-1] if livers else None)


def _known(mask: Mask, liver: LayerSnapshot, volume: Volume, written: int | None) -> Mask:
    """Say whether a liver is still as the program found it, or as it was judged on this very scan."""
    now, tag = checksum(liver.data), liver.tag
    if written == now:
        return replace(mask, found=True, findings=(AUTOMATIC,))
    if tag is not None and tag.judged_as == now and tag.scan == volume.identity:
        return replace(mask, judged=True, findings=tag.findings)
    return mask


def find_liver(engine: Engine, scan: LayerSnapshot, device: str, job: Job) -> FoundLiver:
    """Find the liver of a scan."""
    job.at("Preparing the scan", 0, 1)
    return _find(engine, scan, volume_of(scan), device, job)


def _find(engine: Engine, scan: LayerSnapshot, volume: Volume, device: str, job: Job) -> FoundLiver:
    job.at("Finding the liver", 0, 1)
    mask = (engine.find_liver or _find_liver)(volume, device=device, job=job).of(volume, "liver mask")
    mask = replace(mask, findings=(AUTOMATIC, *mask.findings))
    made = liver_layer(mask, volume, scan.place, f"{scan.name} liver")
    notes = tuple(note for note in (*volume.findings, *mask.findings) if note.level is not Level.ASK)
    return FoundLiver(scan, mask, made, checksum(made[0]), notes)


def _edited(volume: Volume, scan: LayerSnapshot, mask: Mask | None, liver: LayerSnapshot | None) -> bool:
    """Whether scan or liver were changed since they were made from their layers."""
    now = volume_of(scan, copy=False)
    if not np.array_equal(now.voxels, volume.voxels):
        return True
    if mask is None or liver is None:
        return False
    return not np.array_equal(mask_of(liver, scan, now, "liver mask").voxels, mask.voxels)


def _segment() -> Callable[..., Result]:
    preload_torch()
    from napari_liver_anomaly.inference import segment

    return segment


def _find_liver(volume: Volume, *, device: str, job: Job) -> Mask:
    preload_torch()
    from napari_liver_anomaly.liver import find_liver

    return find_liver(volume, device=device, job=job)


def preload_torch() -> bool:
    """Load torch's large library without stopping the window; False where that is not needed, or not possible.

    ``import torch`` links some hundred megabytes while it holds the interpreter's lock, so the window would be silent for up to a second
    at the first run. A call through ctypes gives the lock away; the import then finds the library in place.
    """
    if sys.platform != "linux" or "torch" in sys.modules:
        return False
    spec = find_spec("torch")
    library = Path(spec.origin).parent / "lib" / TORCH if spec is not None and spec.origin else None
    if library is None or not library.is_file():
        return False  # the import itself will say why
    load = ctypes.CDLL(None).dlopen
    load.restype, load.argtypes = ctypes.c_void_p, (ctypes.c_char_p, ctypes.c_int)
    return bool(load(os.fsencode(library), os.RTLD_LAZY))
