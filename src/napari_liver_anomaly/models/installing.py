"""Installs and removes the user's own models."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models.locations import ENDING, FIT, folder, installed, packaged, path_of
from napari_liver_anomaly.models.model_file import load
from napari_liver_anomaly.placing import replacing
from napari_liver_anomaly.storage import hash_of

if TYPE_CHECKING:
    from pathlib import Path


def install(source: str | Path, name: str = "", *, replace: bool = False) -> str:
    """Check a model by loading it, and copy it to where it is found by name."""
    path = path_of(source)
    name = name or path.stem
    if not FIT.fullmatch(name):
        raise make_refusal("name-unfit", name=name[:40])
    if _one_of(name, packaged()):
        raise make_refusal("model-packaged", name=name)
    there = _one_of(name, installed())  # on some systems names that differ in capitals are one file
    if there and not replace:
        raise make_refusal("model-installed", name=there)
    model = load(path)
    with replacing(folder() / f"{there or name}{ENDING}") as beside:
        shutil.copyfile(path, beside)
        if hash_of(beside) != model.hash:
            raise make_refusal("model-changed", file=path.name)
    return there or name


def remove(name: str) -> None:
    """Delete an installed model."""
    if name in packaged():
        raise make_refusal("model-packaged", name=name)
    if name not in installed():
        raise make_refusal("model-not-installed", name=name[:40])
    try:
        (folder() / f"{name}{ENDING}").unlink()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise make_refusal("not-removed", name=name, reason=reason) from None


def _one_of(name: str, names: tuple[str, ...]) -> str:
    """Find a name among others, capitals or not; empty when it is none of them."""
    return next((other for other in names if other.casefold() == name.casefold()), "")
