"""The systems, one file each, with the same verbs: fit on healthy slices, score slices, save and load."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.methods.ensemble import Ensemble
    from napari_liver_anomaly.methods.two_stage import TwoStage

DEFAULT = "standard"
PRESETS = (
    "standard",
    "compact",
    "paper",
    "paper-small",
)  # what methods.two_stage knows; named here so that listing them needs no torch


def names() -> tuple[str, ...]:
    """Models that came with the package.

    Returns
    -------
    tuple of str
        The default first.
    """
    folder = resources.files("napari_liver_anomaly") / "weights"
    if not folder.is_dir():
        return ()
    found = sorted(entry.name.removesuffix(".safetensors") for entry in folder.iterdir() if entry.name.endswith(".safetensors"))
    return tuple(sorted(found, key=lambda name: name != DEFAULT))


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
    if str(name_or_path) in names():
        return Path(str(resources.files("napari_liver_anomaly") / "weights" / f"{name_or_path}.safetensors"))
    return Path(name_or_path)


def load(name_or_path: str | Path = DEFAULT) -> TwoStage | Ensemble:
    """Load a trained model.

    Parameters
    ----------
    name_or_path : str or path-like
        A name of :func:`names`, or a ``.safetensors`` file.

    Returns
    -------
    TwoStage or Ensemble
        As its card says; ready to score, on the CPU.

    Raises
    ------
    UnfitModel
        When the file is missing, unsafe, damaged, or does not fit its own card.
    """
    from napari_liver_anomaly.checkpoint import read_card
    from napari_liver_anomaly.methods.ensemble import KEY, Ensemble
    from napari_liver_anomaly.methods.two_stage import TwoStage

    path = path_of(name_or_path)
    return Ensemble.load(path) if read_card(path).get("key") == KEY else TwoStage.load(path)


def combine(paths: Sequence[str | Path], out: str | Path, metrics: dict[str, Any] | None = None) -> None:
    """Put several trained two-stage models into one file, as an ensemble.

    Parameters
    ----------
    paths : sequence of path-like
        ``.safetensors`` files of two-stage models that see a scan in the same way.
    out : path-like
        Ends in ``.safetensors``.
    metrics : dict, optional
        An evaluation, whose summary is kept in the card.

    Raises
    ------
    UnfitModel
        When a file is not such a model, or they do not go together.
    """
    from napari_liver_anomaly.methods.ensemble import Ensemble
    from napari_liver_anomaly.methods.two_stage import TwoStage

    members = [TwoStage.load(path) for path in paths]
    ensemble = Ensemble(members)
    same = {key: value for key, value in members[0].card.items() if all(member.card.get(key) == value for member in members)}
    own = {"training": [member.card.get("training") for member in members], "commands": [m.card.get("command") for m in members]}
    kept = {key: value for key, value in same.items() if key not in ("key", "format", "settings", "seed", "training", "command")}
    figures = {"metrics": metrics.get("summary", {})} if metrics else {}
    ensemble.save(out, kept | own | {"parameters": ensemble.parameters} | figures)
