"""The models, one file for each method, with the same verbs: stages of training, predict, save and load."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.models.installing import folder, installed
from napari_liver_anomaly.models.methods import CONFIG_NAMES as CONFIG_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.models.base import Model
    from napari_liver_anomaly.models.card import ModelCard
    from napari_liver_anomaly.models.ensemble import Ensemble

DEFAULT = "standard"


def packaged() -> tuple[str, ...]:
    """List the models that came with the package.

    Returns
    -------
    tuple of str
        The default first.
    """
    weights = resources.files("napari_liver_anomaly") / "weights"
    if not weights.is_dir():
        return ()
    found = sorted(entry.name.removesuffix(".safetensors") for entry in weights.iterdir() if entry.name.endswith(".safetensors"))
    return tuple(sorted(found, key=lambda name: name != DEFAULT))


def names() -> tuple[str, ...]:
    """List the models that are found by name.

    Returns
    -------
    tuple of str
        Those that came with the package, the default first; then those of one's own that are installed.
    """
    return (*packaged(), *installed())


def path_of(name_or_path: str | Path) -> Path:
    """Find the weights of a model.

    Parameters
    ----------
    name_or_path : str or path-like
        A name of :func:`names`, or a ``.safetensors`` file.

    Returns
    -------
    Path
        The file; it may not exist when a path was given.
    """
    if str(name_or_path) in packaged():
        return Path(str(resources.files("napari_liver_anomaly") / "weights" / f"{name_or_path}.safetensors"))
    if str(name_or_path) in installed():
        return folder() / f"{name_or_path}.safetensors"
    return Path(name_or_path)


def load(name_or_path: str | Path = DEFAULT) -> Model | Ensemble:
    """Load a trained model.

    Parameters
    ----------
    name_or_path : str or path-like
        A name of :func:`names`, or a ``.safetensors`` file.

    Returns
    -------
    Model or Ensemble
        As its card says; ready to score, on the CPU.

    Raises
    ------
    UnfitModel
        When the file is missing, unsafe, damaged, or does not fit its own card.
    """
    from napari_liver_anomaly.checkpoint import open_weights
    from napari_liver_anomaly.models.ensemble import KEY, Ensemble
    from napari_liver_anomaly.models.registry import class_of

    weights = open_weights(path_of(name_or_path))
    key = str(weights.card.get("key"))
    return Ensemble.from_weights(weights) if key == KEY else class_of(key).from_weights(weights)


def combine(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    shown: Sequence[str | Path] = (),
    title: str = "",
    about: str = "",
    mirror: bool = False,
    metrics: dict[str, Any] | None = None,
) -> None:
    """Put several trained two-stage models into one file, as an ensemble.

    Parameters
    ----------
    paths : sequence of path-like
        ``.safetensors`` files of two-stage models that see a scan in the same way.
    out : path-like
        Ends in ``.safetensors``.
    shown : sequence of path-like
        Models that give their restoration for the eye and have no say in the score.
    title : str
        One line for lists of models; that of the members when they share one.
    about : str
        Origin and licence of the scans, and how the members were trained; what the first member says when it is left empty.
    mirror : bool
        Score every slice mirrored, too: a little better, and twice as slow.
    metrics : dict, optional
        An evaluation, whose summary is kept in the card.

    Raises
    ------
    UnfitModel
        When a file is not such a model, or they do not go together.
    """
    from napari_liver_anomaly.models.card import Metrics, card_of
    from napari_liver_anomaly.models.ensemble import Ensemble
    from napari_liver_anomaly.models.two_stage import TwoStage

    members = [TwoStage.load(path) for path in (*paths, *shown)]
    ensemble = Ensemble(members, mirror=mirror, shown=len(shown))
    cards = [member.card for member in members]
    titles = {card.title for card in cards}
    ensemble.save(out, card_of(
        ensemble, _data_of(cards, about), title=title or (titles.pop() if len(titles) == 1 else ""),
        training=[card.training for card in cards], validation=[card.validation for card in cards], command=[card.command for card in cards],
        metrics=Metrics.of_report(metrics, [member.config for member in ensemble.scorers]),
    ))  # fmt: skip


def _data_of(cards: Sequence[ModelCard], about: str) -> dict[str, Any]:
    """Say what several models were trained on, all together: every scan that any of them has seen."""
    datas = [card.data for card in cards]
    scans = {entry["scan"]: entry for data in datas for entry in data.get("scans", ())}
    without = sorted({name for data in datas for name in data.get("scans_without_tumour_label", ())})
    seen = [[entry["name"] or entry["scan"] for entry in data.get("scans", ())] for data in datas]
    words = {key: datas[0][key] for key in ("chosen", "about") if key in datas[0]} | ({"about": about} if about else {})
    return {"scans": list(scans.values()), "scans_without_tumour_label": without, "members_trained_on": seen} | words
