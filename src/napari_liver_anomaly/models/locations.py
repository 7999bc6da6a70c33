"""Where models are stored: the packaged ones, and the user's own in a folder of theirs."""

from __future__ import annotations

import os
import re
from importlib import resources
from pathlib import Path

DEFAULT = "standard"
VARIABLE = "LIVER_ANOMALY_MODELS"
ENDING = ".safetensors"
FIT = re.compile(r"\w[\w.-]{0,63}")


def folder() -> Path:
    """Say where installed models lie."""
    if named := os.environ.get(VARIABLE):
        return Path(named)
    from platformdirs import user_data_path

    return user_data_path("napari-liver-anomaly", appauthor=False) / "models"


def installed() -> tuple[str, ...]:
    """List the installed models."""
    try:
        found = [path.stem for path in folder().iterdir() if path.suffix == ENDING and FIT.fullmatch(path.stem)]
    except OSError:  # there is none, or it cannot be read
        return ()
    return tuple(sorted(set(found) - set(packaged()), key=str.casefold))


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
