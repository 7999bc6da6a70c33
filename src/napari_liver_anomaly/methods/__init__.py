"""The systems, one file each, with the same verbs: fit on healthy slices, score slices, save and load."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_liver_anomaly.methods.two_stage import TwoStage

DEFAULT = "compact"


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


def load(name_or_path: str | Path = DEFAULT) -> TwoStage:
    """Load a trained model.

    Parameters
    ----------
    name_or_path : str or path-like
        A name of :func:`names`, or a ``.safetensors`` file.

    Returns
    -------
    TwoStage
        Ready to score, on the CPU.

    Raises
    ------
    UnfitModel
        When the file is missing, unsafe, damaged, or does not fit its own card.
    """
    from napari_liver_anomaly.methods.two_stage import TwoStage

    return TwoStage.load(path_of(name_or_path))
