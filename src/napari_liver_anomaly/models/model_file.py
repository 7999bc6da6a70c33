"""A trained model from its file, by name or path."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.models.locations import DEFAULT, path_of

if TYPE_CHECKING:
    from napari_liver_anomaly.models.base import Model
    from napari_liver_anomaly.models.ensemble import Ensemble


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
    TypeError
        For what is neither a name nor a path.
    UnfitModel
        When the file is missing, unsafe, damaged, or does not fit its own card.
    """
    from napari_liver_anomaly.checkpoint import open_weights
    from napari_liver_anomaly.models.ensemble import KEY, Ensemble
    from napari_liver_anomaly.models.registry import class_of

    if not isinstance(name_or_path, (str, Path)):
        raise TypeError(f"load() needs the name of a model or a path, not {type(name_or_path).__name__}.")
    weights = open_weights(path_of(name_or_path))
    key = str(weights.card.get("key"))
    return Ensemble.from_weights(weights) if key == KEY else class_of(key).from_weights(weights)
