"""Two methods compared patient by patient, with a paired test."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from liver_anomaly_study.record import dice_by_case
from napari_liver_anomaly.evaluation.tables import NONE

if TYPE_CHECKING:
    from liver_anomaly_study.cells import Seeds
    from napari_liver_anomaly.metrics import Comparison

# Two scans of one patient are one in a test over patients, with their mean.
PATIENT_OF = {"lits_014": "lits_014, lits_015", "lits_015": "lits_014, lits_015"}


def by_patient(seeds: Seeds, figure: str = "dice") -> dict[str, float]:
    """Give a figure of every patient with tumour, mean over seeds and over the patient's scans."""
    found: dict[str, list[float]] = {}
    for case, value in dice_by_case(seeds, figure).items():
        found.setdefault(PATIENT_OF.get(case, case), []).append(value)
    return {patient: fmean(many) for patient, many in found.items()}


def paired(first: dict[str, float], second: dict[str, float]) -> Comparison:
    """Compare two methods over the patients that both were measured on."""
    from napari_liver_anomaly.metrics import compare

    both = sorted(first.keys() & second.keys())
    return compare([first[name] for name in both], [second[name] for name in both])


def tested(found: Comparison) -> list[str]:
    """Write a comparison into three cells."""
    if not found.n:
        return [NONE] * 3
    return [str(found.n), f"{found.median_difference:+.3f}", f"{found.p:.2g}" if found.p == found.p else "too few pairs"]
