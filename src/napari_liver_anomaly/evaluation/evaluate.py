"""Evaluate a model on a folder of cases, beside a baseline without training."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from napari_liver_anomaly.device import choose
from napari_liver_anomaly.errors import (
    NOT_A_MEDICAL_DEVICE,
    Answer,
    Refusal,
    version,
)
from napari_liver_anomaly.evaluation.case_measuring import Measured, NotRun, measure_case
from napari_liver_anomaly.evaluation.case_results import summarise
from napari_liver_anomaly.evaluation.restoration import summarise_restoration
from napari_liver_anomaly.io.cases import find_cases
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.liver.case_livers import ASK, require_livers
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.metrics import froc, operating_points, plain, sensitivity_at
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.segmentation import AUTO_SETTINGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from napari_liver_anomaly.io.cases import Case
    from napari_liver_anomaly.io.read_options import MaskOptions
    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.volume import Mask, Volume

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
    "restoration": "mean over scans; contrast is that of lesions of 10 mm and more to the healthy liver, healthy is 5 mm and more from a tumour",
    "surface": "distances over scans with tumour where anything was called, in mm; surface Dice counts 0 where nothing was",
}


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
            if restored := [m.rows[method]["restoration"] for m in subset if "restoration" in m.rows[method]]:
                named[name]["restoration"] = summarise_restoration(restored)
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
