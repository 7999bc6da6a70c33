"""Models of the comparison as files for the model chooser: small, with the card that every model has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liver_anomaly_study.messages import make_refusal
from liver_anomaly_study.runs import split
from napari_liver_anomaly.models import load
from napari_liver_anomaly.models.card import card_of
from napari_liver_anomaly.models.methods import method_of
from napari_liver_anomaly.training.fit import data_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from liver_anomaly_study.runs import Run, RunFolder
    from napari_liver_anomaly.training.training_file import TrainingCase


def export(run: Run, folder: RunFolder, scans: Sequence[TrainingCase], to: Path, *, about: str = "") -> Path:
    """Write a model of the comparison as a file of its own, in half precision."""
    if not folder.model(run).exists():
        raise make_refusal("run-missing", method=method_of(run.key).title)
    model: Any = load(folder.model(run))
    train, test = split(run, folder, model.preprocess)
    names = [one.name for one in train]
    packed = {scan.name: scan for scan in scans}
    if lost := sorted(set(names) - set(packed)):
        raise make_refusal("case-names-missing", cases=", ".join(lost))
    words = ["liver-anomaly", "train", "--healthy", "HEALTHY", "--config", run.key, "--budget", str(run.budget)]
    words += ["--seed", str(run.seed), "--without", *(one.name for one in test)]
    card = card_of(
        model, data_of([packed[name] for name in names], about), training=model.card.training, validation=model.card.validation,
        title=f"{method_of(run.key).title}, of the comparison", command=" ".join(words),
    )  # fmt: skip
    path = to / f"{run.key}.safetensors"
    model.save(path, card, half=True)
    return path
