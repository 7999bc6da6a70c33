"""One case measured: every method, in the liver that was drawn and in the one that is found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.errors import OutOfMemory, Refusal, WrongGrid, is_answer
from napari_liver_anomaly.evaluation.case_results import Figures, figures_of, row
from napari_liver_anomaly.evaluation.curves import curve_of
from napari_liver_anomaly.evaluation.restoration import restoration_of
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.lesions import box_of
from napari_liver_anomaly.liver.case_livers import ASK, read_case_liver
from napari_liver_anomaly.memory import ran_out, require_memory, too_little
from napari_liver_anomaly.metrics import dice
from napari_liver_anomaly.segmentation import cut
from napari_liver_anomaly.thresholds import DEFAULT, auto_threshold
from napari_liver_anomaly.volume import Mask

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from napari_liver_anomaly.io.cases import Case
    from napari_liver_anomaly.io.read_options import MaskOptions
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.models.card import ModelCard
    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.volume import Volume

# Bytes for each voxel of a scan, of the planes that hold liver or tumour, and of the box around both; and for the first use of the libraries.
VOXEL_BYTES, PLANE_BYTES, BOX_BYTES, FIXED_BYTES = 5, 5, 40, 100 * 10**6


class NotRun(str):
    """Why a case could not be run here, though its files can be read."""

    __slots__ = ()


@dataclass(slots=True)
class Measured:
    """One case with the figures of every method.

    Attributes
    ----------
    case, scan : str
        Name of its files, and identity (hash) of its scan.
    seen : bool or None
        Whether the model was trained on it; None when its card does not say.
    facts : dict
        Volumes of liver and tumour.
    figures : dict of str to Figures
        For every method.
    rows : dict of str to dict
        The same as plain data, with seconds, and why a method failed.
    """

    case: str
    scan: str
    seen: bool | None
    facts: dict[str, Any]
    figures: dict[str, Figures] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)


def measure_case(
    case: Case,
    methods: dict[str, Any],
    settings: SegmentSettings,
    *,
    card: ModelCard,
    masks: MaskOptions = ASK,
    device: str = "auto",
    job: Job | None = None,
    find: Callable[[Volume], Mask] | None = None,
) -> Measured | str:
    """Measure every method on one case."""
    if case.tumours is None:
        return "no tumour mask"
    try:
        volume = read(case.ct)
        liver = read_case_liver(case, volume, masks)
        tumours = read_mask(case.tumours, volume, "tumour mask", may_be_empty=True)
    except OutOfMemory as refusal:
        return NotRun(refusal)
    except Refusal as refusal:
        return str(refusal)
    try:
        return _measure_all(case.name, volume, liver, tumours, methods, settings, card=card, device=device, job=job, find=find)
    except WrongGrid:
        raise
    except Refusal as refusal:
        return NotRun(refusal)
    except (MemoryError, RuntimeError) as error:
        if not ran_out(error):
            raise
        return NotRun(too_little(0))


def _measure_all(
    name: str,
    volume: Volume,
    liver: Mask,
    tumours: Mask,
    methods: dict[str, Any],
    settings: SegmentSettings,
    *,
    card: ModelCard,
    device: str,
    job: Job | None,
    find: Callable[[Volume], Mask] | None,
) -> Measured:
    """Measure every method on a case that was read, in the liver that was drawn and in the one that is found."""
    require_memory(needed_bytes(volume, liver, tumours))
    facts: dict[str, Any] = {
        "liver_ml": liver.ml,
        "tumour_ml": tumours.ml,
        "tumour_outside_liver_ml": _outside_ml(tumours, liver),
    }
    facts |= {"liver_findings": told} if (told := [finding.what for finding in liver.findings]) else {}
    measured = Measured(name, volume.identity, seen_in_training(name, volume.identity, card), facts)
    _measure(measured, "", volume, liver, tumours, methods, settings, device, job)
    if find is not None:
        try:
            found = find(volume)
        except Refusal as refusal:
            if not is_answer(refusal):
                raise
            found = Mask(np.zeros_like(liver.voxels), volume.geometry, volume.identity)
        found = replace(found.of(volume, "found liver"), judged=True)
        facts["found_liver_ml"] = found.ml
        facts["found_liver_dice"] = dice(found.voxels, liver.voxels)
        facts["tumour_outside_found_liver_ml"] = _outside_ml(tumours, found)
        whole = {name: method for name, method in methods.items() if not name.startswith("seed-")}
        _measure(measured, ", found liver", volume, found, tumours, whole, settings, device, job)
    return measured


def needed_bytes(volume: Volume, liver: Mask, tumours: Mask) -> int:
    """Foresee how much memory the figures of a result need, and the result itself."""
    box = box_of(liver.voxels | tumours.voxels) or (slice(0, 0),) * 3
    depth, height, width = (side.stop - side.start for side in box)
    planes = depth * prod(volume.voxels.shape[1:])
    return volume.voxels.size * VOXEL_BYTES + planes * PLANE_BYTES + depth * height * width * BOX_BYTES + FIXED_BYTES


def _measure(
    measured: Measured, suffix: str, volume: Volume, liver: Mask, tumours: Mask, methods: dict[str, Any], settings: SegmentSettings,
    device: str, job: Job | None,
) -> None:  # fmt: skip
    """Measure methods in one liver; an answer that is refused is the worst one, not a missing one."""
    counted = replace(liver, voxels=liver.voxels | tumours.voxels) if suffix else liver

    def note(name: str, labels: NDArray[np.uint16], score: NDArray[np.uint8], **more: Any) -> None:
        figures = figures_of(labels > 0, score, tumours, counted)
        measured.figures[name + suffix], measured.rows[name + suffix] = figures, row(figures) | more

    for name, method in methods.items():
        trained = bool(getattr(method, "hash", "") or getattr(method, "card", None) is not None)
        in_full = trained and not name.startswith("seed-")
        # A rule without learning has a cut of its own, and its scores are no probabilities.
        own = settings if trained else replace(settings, threshold=DEFAULT)
        other = "fixed" if own.auto_threshold else "auto"
        try:
            result = segment(volume, liver, method, own, device=device, job=job)
        except Refusal as refusal:
            if not is_answer(refusal):
                raise
            nothing = np.zeros(volume.voxels.shape, np.uint8)
            for variant in (name, f"{name}, {other}") if in_full else (name,):
                note(variant, nothing.astype(np.uint16), nothing, failed=str(refusal))
            continue
        more: dict[str, Any] = {"seconds": result.timings_s["total"], "ran_on": result.ran_on}
        if in_full:
            more["curve"] = curve_of(result.score, tumours, counted, result.settings)
            if result.restored is not None:
                more["restoration"] = restoration_of(result, tumours)
        note(name, result.labels, result.score, threshold=result.settings.threshold, **more)
        if in_full:
            threshold = DEFAULT if own.auto_threshold else auto_threshold(result.score, liver.voxels)
            labels, _ = cut(result.score, liver.probability, volume.geometry, replace(own, threshold=threshold))
            note(f"{name}, {other}", labels, result.score, threshold=threshold)


def seen_in_training(name: str, scan: str, card: ModelCard) -> bool | None:
    """Tell whether a model's card names a case among those it was trained on."""
    data = card.data
    listed = [*data.get("scans", ()), *data.get("patients", ())]
    known = {
        word for entry in listed for word in (entry.values() if isinstance(entry, dict) else [entry]) if isinstance(word, str)
    }
    return bool({name, scan} & (known - {""})) if listed else None


def _outside_ml(tumours: Mask, liver: Mask) -> float:
    """Volume of tumour that the liver mask leaves out, and that no method can find."""
    return float(np.count_nonzero(tumours.voxels & ~liver.voxels)) * liver.geometry.voxel_ml
