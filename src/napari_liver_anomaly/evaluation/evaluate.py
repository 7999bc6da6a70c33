"""Evaluate a model on a folder of cases, beside a baseline without training."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from napari_liver_anomaly.device import choose
from napari_liver_anomaly.errors import (
    NOT_A_MEDICAL_DEVICE,
    Answer,
    OutOfMemory,
    Refusal,
    WrongGrid,
    is_answer,
    version,
)
from napari_liver_anomaly.evaluation.case_results import Figures, figures_of, row, summarise
from napari_liver_anomaly.evaluation.curves import curve_of
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.cases import find_cases
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.lesions import box_of
from napari_liver_anomaly.liver.case_livers import ASK, read_case_liver, require_livers
from napari_liver_anomaly.memory import ran_out, require_memory, too_little
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.metrics import dice, froc, operating_points, plain, sensitivity_at
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.segmentation import AUTO_SETTINGS, cut
from napari_liver_anomaly.thresholds import DEFAULT, auto_threshold
from napari_liver_anomaly.volume import Mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.io.cases import Case
    from napari_liver_anomaly.io.read_options import MaskOptions
    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.volume import Volume

OPERATING_POINTS = {
    "specific": 0.5,
    "balanced": 2.0,
    "sensitive": 4.0,
}  # by the false lesions per scan that they may have at most
FALSE_PER_SCAN = (0.5, 1, 2, 4)  # at which sensitivity is told
REDUCTIONS = {
    "pooled": "all voxels of all scans counted together; large tumours dominate",
    "slice_mean": "mean over the slices with tumour on them",
    "slice_mean_with_empty": "mean over all slices with liver; an empty slice counts 1 when nothing is called there, else 0",
    "case_mean": "mean and standard deviation over the scans with tumour, each as one volume",
    "whole_scan": "tumour outside the liver mask counts as missed; slices with liver, tumour or a call count",
    "best_dice": "threshold chosen by the truth: an upper bound, never a product figure",
    "average_precision": "to be read beside prevalence, which a blind prediction reaches",
    "of_slices": "how well the score of a slice tells those with tumour from the others, by each way to read it from the map",
    "half_covered_by_size": "lesions of which at least half is predicted; for those found, one voxel is enough",
    "sensitivity_at": "part of the lesions found at so many false ones per scan, where the lowest peak score of a lesion is what varies",
    "surface": "distances over scans with tumour where anything was called, in mm; surface Dice counts 0 where nothing was",
}


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


def evaluate(
    folder: str | Path,
    model: Any,
    settings: SegmentSettings | None = None,
    *,
    find: Callable[[Volume], Mask] | None = None,
    seen: Literal["ask", "mark"] = "ask",
    masks: MaskOptions = ASK,
    device: str = "auto",
    job: Job | None = None,
) -> dict[str, Any]:
    """Measure a model, and beside it the rule without learning, on every case of a folder.

    Parameters
    ----------
    folder : path-like
        Holds ``NAME_ct``, ``NAME_liver`` and ``NAME_tumour`` (or ``NAME_tumor``) files.
    model : object
        As given by ``methods.load``, or a rule with ``score_volume``.
    settings : SegmentSettings, optional
        Threshold, lowest peak score and smallest lesion; the rule without learning has a cut of its own.
    find : callable, optional
        From a scan to its liver as the program finds it; everything is then measured with that liver too.
    seen : {"ask", "mark"}
        What to do with a scan that the model was trained on: refuse to go on, or measure and mark it.
    masks : MaskOptions
        Which labels of all liver masks are the liver, and whether masks that are unlike one are taken; asked before anything is measured.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    dict
        Plain data for JSON: ``summary`` for every method, over all cases and over those the model was not trained on; ``cases``
        one by one; ``left_out`` with the reason for each, and ``not_run`` where this machine could not run it. By design it names every
        case as its files are named, so that figures can be traced: do not name files after patients, or do not pass
        the report on. Nothing else of a scan is in it but its hash.

    Raises
    ------
    Question
        When the model was trained on one of the scans, or liver masks hold several labels or are unlike a liver, and nothing was decided about
        that.
    UnfitModel
        When the model was trained on scans and its card names no threshold that was set without tumour labels.
    Refusal
        When the folder holds no case with a tumour mask, no case could be run, the device is not there, or ``find`` gives the liver of another
        scan.
    Cancelled
        When the job was cancelled.
    """
    settings, job = settings or AUTO_SETTINGS, job or Job()
    cases, card = find_cases(folder), getattr(model, "card", ModelCard())
    require_threshold(model)
    choose(device)
    left_out: list[dict[str, Any]] = [*_without_liver(folder, cases)]
    methods = {model.name: model} | ({DarkRule.name: DarkRule()} if model.name != DarkRule.name else {})
    require_livers([case for case in cases if case.tumours], masks, job)
    measured: list[Measured] = []
    for done, case in enumerate(cases):
        job.at("Measuring", done, len(cases))
        found = measure_case(case, methods, settings, card=card, masks=masks, device=device, job=job, find=find)
        if isinstance(found, Measured) and found.seen and seen == "ask":
            raise _seen(found.case)
        if isinstance(found, Measured):
            measured.append(found)
        else:
            left_out.append(why_left_out(case.name, found))
    require_measured(measured, left_out)
    return report(measured, left_out, trained=hasattr(model, "card")) | {
        "model": {"name": model.name, "hash": getattr(model, "hash", ""), "key": model.key},
        "settings": settings.to_dict(),
    }


def why_left_out(case: str, why: str) -> dict[str, Any]:
    """Write down a case that was not measured."""
    return {"case": case, "why": str(why)} | ({"not_run": True} if isinstance(why, NotRun) else {})


def require_measured(measured: Sequence[Measured], left_out: Sequence[dict[str, Any]]) -> None:
    """Refuse a report about nothing."""
    if measured:
        return
    if not_run := [one for one in left_out if one.get("not_run")]:
        raise make_refusal("cases-none-run", of=len(left_out), why=not_run[0]["why"].rstrip("."))
    raise make_refusal("no-truth")


def require_all_run(found: dict[str, Any]) -> None:
    """Refuse to call a report complete when cases could not be run here; it is written by then."""
    if not_run := [one["case"] for one in found["left_out"] if one.get("not_run")]:
        counted = len(found["cases"])
        raise make_refusal("cases-not-run", cases=", ".join(not_run), counted=counted, of=counted + len(found["left_out"]))


def require_threshold(model: Any) -> None:
    """Refuse a trained model whose threshold may have been chosen by the truth that it is to be measured with."""
    if not hasattr(model, "card"):
        return
    about = model.card.validation
    members = about if isinstance(about, list) else [about]
    if not members or not all(_is_threshold((member or {}).get("held_out_family", {}).get("threshold")) for member in members):
        raise make_refusal("card-threshold")


def _is_threshold(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1


def _seen(case: str) -> Refusal:
    return make_refusal(
        "split-leaks", Answer(words="Measure them, mark them, and count them apart", option="seen", value="mark"), case=case
    )


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


def report(measured: Sequence[Measured], left_out: Sequence[dict[str, Any]], *, trained: bool = True) -> dict[str, Any]:
    """Put the figures of all cases together."""
    methods = list(measured[0].figures)
    subsets = {"all": list(measured)}
    if any(m.seen is not None for m in measured):
        subsets["not_seen_in_training"] = [m for m in measured if not m.seen]
    summary = {
        method: {
            name: summarise([m.figures[method] for m in subset], len(left_out) if name == "all" else 0)
            for name, subset in subsets.items()
        }
        for method in methods
    }  # fmt: skip
    for method, named in summary.items():
        for name, subset in subsets.items():
            curves = [m.rows[method]["curve"]["peaks"] for m in subset if "curve" in m.rows[method]]
            if curves and len(curves) == len(subset):
                curve = froc(curves)
                named[name]["lesions"]["sensitivity_at"] = plain(sensitivity_at(curve, FALSE_PER_SCAN))
                named[name]["lesions"]["operating_points"] = plain(operating_points(curve, OPERATING_POINTS))
    return {
        "notice": NOT_A_MEDICAL_DEVICE,
        "version": version(),
        "words": REDUCTIONS,
        "summary": summary,
        "notes": _notes(measured, summary, left_out, trained),
        "cases": [
            {"case": m.case, "scan": m.scan, "seen_in_training": m.seen} | plain(m.facts) | {"methods": m.rows} for m in measured
        ],
        "left_out": list(left_out),
    }  # fmt: skip


def _notes(measured: Sequence[Measured], summary: dict[str, Any], left_out: Sequence[dict[str, Any]], trained: bool) -> list[str]:
    """Say what a reader of the figures must know."""
    found = [f"{len(measured)} of {len(measured) + len(left_out)} scans were measured."]
    found += [told for one in measured for told in one.facts.get("liver_findings", ())]
    if seen := [m.case for m in measured if m.seen]:
        found.append(f"The model was trained on healthy slices of {len(seen)} of these scans: {', '.join(seen)}.")
    if trained and all(m.seen is None for m in measured):
        found.append("The model's card does not say what it was trained on, so it may have seen these scans.")
    scans = [m.scan for m in measured]
    if twice := sorted({m.case for m in measured if scans.count(m.scan) > 1}):
        found.append(f"The same scan is here more than once: {', '.join(twice)}.")
    if not_run := [one for one in left_out if one.get("not_run")]:
        cases = ", ".join(one["case"] for one in not_run)
        found.append(f"{cases} could not be run on this machine, which says nothing about the model: {not_run[0]['why']}")
    for method, subsets in summary.items():
        area = subsets["all"].get("auroc_in_liver", {}).get("pooled")
        if area is not None and area < 0.5:
            found.append(f"The scores of {method} rank tumour below healthy liver (AUROC {area:.2f}): are they turned round?")
        failed = [m.case for m in measured if "failed" in m.rows[method]]
        if failed:
            found.append(f"{method} gave no result on {', '.join(failed)}; each counts as nothing found.")
    return found


def _without_liver(folder: str | Path, cases: Iterable[Case]) -> list[dict[str, str]]:
    """List the scans of a folder that have no liver mask."""
    known = {case.ct.name for case in cases}
    scans = sorted(path.name for path in Path(folder).glob("*_ct.*") if path.name not in known)
    return [{"case": name.rpartition("_ct.")[0], "why": "no liver mask"} for name in scans]


def _outside_ml(tumours: Mask, liver: Mask) -> float:
    """Volume of tumour that the liver mask leaves out, and that no method can find."""
    return float(np.count_nonzero(tumours.voxels & ~liver.voxels)) * liver.geometry.voxel_ml
