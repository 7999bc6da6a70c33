"""Models of the comparison as files for the model chooser: small, with the card that every model has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liver_anomaly_study.comparison import split
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.models import load
from napari_liver_anomaly.models.registry import entry_of
from napari_liver_anomaly.training.fit import card_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from liver_anomaly_study.comparison import Place, Run
    from napari_liver_anomaly.training.training_set import HealthyScan


def export(run: Run, place: Place, scans: Sequence[HealthyScan], to: Path, *, about: str = "") -> Path:
    """Write a model of the comparison as a file of its own, in half precision.

    Parameters
    ----------
    run : Run
        A finished run on patients.
    place : Place
        Its livers and files.
    scans : sequence of HealthyScan
        Packed scans, among them all that it learned from: the card names them by their hashes.
    to : Path
        Folder for ``KEY.safetensors``.
    about : str
        Origin and licence of the scans.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    Refusal
        When the run is not finished, or a scan that it learned from is not among those given.
    """
    if not place.model(run).exists():
        raise Refusal(
            "run-missing", f"{entry_of(run.key).title} was not trained yet.", "There is no model to write.",
            "Run 'liver-anomaly-study run' first.",
        )  # fmt: skip
    model: Any = load(place.model(run))
    learn, test = split(run, place, model.prepare)
    names = [one.name for one in learn]
    packed = {scan.name: scan for scan in scans}
    if lost := sorted(set(names) - set(packed)):
        raise Refusal(
            "case-unknown", f"No case is called {', '.join(lost)}.", "The card could not say what the model learned from.",
            "Pack the scans with 'liver-anomaly prepare --keep-names'.",
        )  # fmt: skip
    words = ["liver-anomaly", "train", "--healthy", "HEALTHY", "--preset", run.key, "--budget", str(run.budget)]
    words += ["--seed", str(run.seed), "--without", *(one.name for one in test)]
    card = card_of(
        model, [packed[name] for name in names], training=model.card["training"],
        synthetic=model.card["synthetic"],
        system=run.key, title=f"{entry_of(run.key).title}, of the comparison", about=about, command=" ".join(words),
    )  # fmt: skip
    path = to / f"{run.key}.safetensors"
    model.save(path, card, half=True)
    return path
