"""Train a model and write it with its model card."""

from __future__ import annotations

from dataclasses import replace
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.device import choose, is_first
from napari_liver_anomaly.memory import require_memory
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models.card import Metrics, card_of
from napari_liver_anomaly.models.registry import build
from napari_liver_anomaly.models.two_stage import TwoStage
from napari_liver_anomaly.placing import require_place
from napari_liver_anomaly.processes import together
from napari_liver_anomaly.settings import differing
from napari_liver_anomaly.training.loop import train_stage
from napari_liver_anomaly.training.training_need import STATE_BYTES, memory_bytes
from napari_liver_anomaly.training.training_set import slice_set, slices_of
from napari_liver_anomaly.training.validation import validate_on_synthesis

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.models.base import Model
    from napari_liver_anomaly.models.config import ModelConfig
    from napari_liver_anomaly.preprocessing import HealthySlices
    from napari_liver_anomaly.training.training_file import TrainingCase

CHOSEN = (
    "Healthy slices are the planes of the liver without any tumour label, from patients with and without tumours: tumour labels chose planes "
    "(weak supervision, as in ASC-Net), never thresholds, lengths or checkpoints. A strict protocol would use the scans without tumour label only."
)
STRICT = "No plane was left out by a tumour label: every liver plane of these scans was used."


def train(
    model: Model,
    slices: HealthySlices,
    *,
    device: torch.device | None = None,
    state: Path | None = None,
    job: Job | None = None,
) -> dict[str, Any]:
    """Train a model on healthy slices, stage after stage.

    Parameters
    ----------
    model : Model
        Untrained, as ``models.registry.build`` makes it; it is changed.
    slices : HealthySlices
        Slices without anomalies, made with the model's preprocessing.
    device : torch.device, optional
        Where to compute; the CPU when nothing is given.
    state : Path, optional
        Start of the names of files, one for each stage, that keep an unfinished training.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    dict
        For each stage: steps, first and last loss, seconds; and the number of slices.

    Raises
    ------
    Refusal
        When unlabelled slices are to be shown to a method that learns from synthetic anomalies.
    InvalidNumbers
        When a loss is no longer a number.
    Cancelled
        When the job was cancelled; with ``state``, what was done is kept.
    """
    import torch

    recipe, schedule = model.config.recipe, model.config.schedule
    if schedule.unlabelled and not getattr(model, "learns_unlabelled", False):
        raise make_refusal("unlabelled", method=model.key)
    figures: dict[str, Any] = {"slices": len(slices)}
    model.to(device or torch.device("cpu"))
    data = slice_set(slices, recipe, schedule)
    data = replace(data, settings={**data.settings, "method": model.key, "options": model.config.options.to_dict()})
    for stage in model.stages(data):
        kept = Path(f"{state}.stage{stage.number}.safetensors") if state else None
        figures[f"stage_{stage.number}"] = train_stage(
            stage, data, schedule.learning_rate, seed=model.seed, device=model.device, state=kept, job=job
        )
    return figures


def fit_and_save(
    scans: Sequence[TrainingCase],
    config: ModelConfig,
    path: str | Path,
    *,
    seed: int = 0,
    restorer: str | Path | None = None,
    device: str = "auto",
    title: str = "",
    about: str = "",
    command: str = "",
    metrics: dict[str, Any] | None = None,
    job: Job | None = None,
) -> dict[str, Any]:
    """Train a model on healthy scans and write its weights and card; of processes that torchrun started, the first writes.

    Parameters
    ----------
    scans : sequence of TrainingCase
        What it is trained on.
    config : ModelConfig
        What it is, for example ``models.registry.config_of("standard")``.
    path : path-like
        Ends in ``.safetensors``. An unfinished training is kept beside it and gone on with.
    seed : int
        Decides every random choice.
    restorer : path-like, optional
        A two-stage model trained on the same scans with the same configuration, whose restorer is taken; only the segmenter is trained.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    title : str
        One line for lists of models.
    about : str
        Origin and licence of the scans, for the card.
    command : str
        How the model can be trained again, for the card.
    metrics : dict, optional
        The report of an evaluation, whose summary is kept in the card.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    dict
        What :func:`train` says of the training.

    Raises
    ------
    Refusal
        When there is no healthy slice, the device is not there, the restorer is of another training, or memory or room on the disk will not do.
    Cancelled
        When the job was cancelled; the unfinished training is kept.
    """
    path = Path(path)
    where = choose(device)
    model = build(config, seed)
    states = path.with_name(f"{path.stem}.unfinished")
    require_place(path, needed=model.parameters * STATE_BYTES)
    require_memory(memory_bytes(model, scans, on_cpu=where.type == "cpu"))
    slices = slices_of(scans, config.preprocess, config.recipe.beyond_mm)
    taken = _restorer_of(restorer, config, scans) if restorer is not None else None
    if taken and isinstance(model, TwoStage):
        model.take_restorer(taken.restorer)
    with together(where):
        figures = train(model, slices, device=where, state=states, job=job)
    if not is_first():
        return figures
    if taken and isinstance(taken.card.training, dict):
        figures |= {"stage_1": taken.card.training["stage_1"], "restorer_seed": taken.seed}
    card = card_of(
        model, data_of(scans, about), training=figures, validation=validate_on_synthesis(model, slices, config.schedule, seed=seed),
        title=title, command=command, metrics=Metrics.of_report(metrics, [config]),
    )  # fmt: skip
    if job is not None:
        job.at("Writing the model", 1, 1)  # the last chance to stop
    model.save(path, card)
    for state in path.parent.glob(f"{escape(states.name)}.stage*.safetensors"):
        state.unlink(missing_ok=True)
    return figures


def data_of(scans: Sequence[TrainingCase], about: str = "") -> dict[str, Any]:
    """Say in a card what scans a model was trained on, and by which rule their slices were chosen."""
    whole = [scan for scan in scans if (scan.liver.any(axis=(1, 2)) == scan.healthy).all()]
    return {
        "scans": [{"scan": s.scan, "name": s.name, "healthy_slices": int(s.healthy.sum())} for s in scans],
        "chosen": STRICT if len(whole) == len(scans) else CHOSEN,
        "scans_without_tumour_label": [scan.name or scan.scan for scan in whole],
        "about": about,
    }


def _restorer_of(path: str | Path, config: ModelConfig, scans: Sequence[TrainingCase]) -> TwoStage:
    """Load the model whose restorer is to be shared, and make sure that it may be."""
    model = TwoStage.load(path)
    seen = [entry["scan"] for entry in model.card.data.get("scans", ())]
    odd = differing(model.config.to_dict(), config.to_dict()) + (["scans"] if seen != [scan.scan for scan in scans] else [])
    if odd:
        raise make_refusal("restorer-other", file=Path(path).name, settings=", ".join(odd[:8]))
    return model
