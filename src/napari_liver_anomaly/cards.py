"""Train a model and write it with its card: what it is, what it learned from, and what it is not for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.calibrating import calibrate
from napari_liver_anomaly.device import choose
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE, version
from napari_liver_anomaly.healthy import slices_of
from napari_liver_anomaly.methods.two_stage import TwoStage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.healthy import HealthyScan
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.methods.two_stage import Preset

CHOSEN = (
    "Healthy slices are the planes of the liver without any tumour label, from patients with and without tumours: tumour labels chose planes "
    "(weak supervision, as in ASC-Net), never thresholds, lengths or checkpoints. A strict protocol would use the scans without tumour label only."
)
STRICT = "No plane was left out by a tumour label: every liver plane of these scans was used."


def fit_and_save(
    scans: Sequence[HealthyScan],
    preset: Preset,
    path: str | Path,
    *,
    seed: int = 0,
    device: str = "auto",
    title: str = "",
    about: str = "",
    command: str = "",
    metrics: dict[str, Any] | None = None,
    job: Job | None = None,
) -> dict[str, Any]:
    """Train a two-stage model on healthy scans and write its weights and card.

    Parameters
    ----------
    scans : sequence of HealthyScan
        What it learns from.
    preset : Preset
        What it is.
    path : path-like
        Ends in ``.safetensors``. An unfinished training is kept beside it and gone on with.
    seed : int
        Decides every random choice.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    title : str
        One line for lists of models.
    about : str
        Origin and licence of the scans, for the card.
    command : str
        How the model can be trained again, for the card.
    metrics : dict, optional
        An evaluation, whose summary is kept in the card.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    dict
        What :meth:`TwoStage.fit` says of the training.

    Raises
    ------
    Refusal
        When there is no healthy slice, or the device is not there.
    Cancelled
        When the job was cancelled; the unfinished training is kept.
    """
    import numpy
    import torch

    path = Path(path)
    where = choose(device)
    model = TwoStage(preset, seed=seed)
    states = path.with_name(f"{path.stem}.unfinished")
    slices = slices_of(scans, preset.prepare)
    figures = model.fit(slices, device=where, state=states, job=job)
    whole = [scan for scan in scans if (scan.liver.any(axis=(1, 2)) == scan.healthy).all()]
    card = {
        "title": title,
        "use": f"For research. {NOT_A_MEDICAL_DEVICE}",
        "data": {
            "scans": [{"scan": s.scan, "name": s.name, "healthy_slices": int(s.healthy.sum())} for s in scans],
            "chosen": STRICT if len(whole) == len(scans) else CHOSEN,
            "scans_without_tumour_label": [scan.name or scan.scan for scan in whole],
            "about": about,
        },
        "training": figures,
        "synthetic": calibrate(model, slices, preset.schedule, seed=seed),
        "command": command,
        "parameters": model.parameters,
        "versions": {"napari-liver-anomaly": version(), "torch": torch.__version__, "numpy": numpy.__version__},
        "device": where.type,
        "metrics": (metrics or {}).get("summary", {}),
    }
    model.save(path, card)
    for stage in (1, 2):
        Path(f"{states}.stage{stage}.safetensors").unlink(missing_ok=True)
    return figures
