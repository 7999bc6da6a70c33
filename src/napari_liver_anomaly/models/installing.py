"""Models of one's own: a folder of the user's, whose files are found by name like those that came with the program."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

from napari_liver_anomaly.errors import NotWritten, Refusal, UnfitModel
from napari_liver_anomaly.storage import hash_of, replacing

VARIABLE = "LIVER_ANOMALY_MODELS"
ENDING = ".safetensors"
FIT = re.compile(r"\w[\w.-]{0,63}")


def folder() -> Path:
    """Say where installed models lie.

    Returns
    -------
    Path
        What the environment variable ``LIVER_ANOMALY_MODELS`` names, else a folder among the user's data; it may not exist.
    """
    if named := os.environ.get(VARIABLE):
        return Path(named)
    from platformdirs import user_data_path

    return user_data_path("napari-liver-anomaly", appauthor=False) / "models"


def installed() -> tuple[str, ...]:
    """List the installed models.

    Returns
    -------
    tuple of str
        Their names, sorted; a file by the name of a packaged model is not one of them.
    """
    from napari_liver_anomaly.models import packaged

    try:
        found = [path.stem for path in folder().iterdir() if path.suffix == ENDING and FIT.fullmatch(path.stem)]
    except OSError:  # there is none, or it cannot be read
        return ()
    return tuple(sorted(set(found) - set(packaged()), key=str.casefold))


def install(source: str | Path, name: str = "", *, replace: bool = False) -> str:
    """Check a model by loading it, and copy it to where it is found by name.

    Parameters
    ----------
    source : str or path-like
        A ``.safetensors`` file.
    name : str
        What it shall be called; the name of the file when nothing is said.
    replace : bool
        Whether it may take the place of an installed model of that name.

    Returns
    -------
    str
        Its name.

    Raises
    ------
    UnfitModel
        When the file is missing, unsafe, damaged, or does not fit its own card.
    Refusal
        When the name is unfit or taken.
    NotWritten
        When the disk does not take it; what was there before is untouched.
    """
    from napari_liver_anomaly.models import load, packaged, path_of

    path = path_of(source)
    name = name or path.stem
    if not FIT.fullmatch(name):
        raise NotWritten(
            "name-unfit", f"{name[:40]!r} cannot be the name of a model.", "Nothing was installed.",
            "Give another with --as: letters, digits, hyphens and underscores.",
        )  # fmt: skip
    if _one_of(name, packaged()):
        raise Refusal(
            "model-packaged", f"A model called {name!r} came with the program.", "Nothing was installed.", "Give another name with --as."
        )  # fmt: skip
    there = _one_of(name, installed())  # on some systems names that differ in capitals are one file
    if there and not replace:
        raise Refusal(
            "model-installed", f"A model called {there!r} is installed already.", "Nothing was installed; that one is untouched.",
            "Give another name with --as, or --replace.",
        )  # fmt: skip
    model = load(path)
    with replacing(folder() / f"{there or name}{ENDING}") as beside:
        shutil.copyfile(path, beside)
        if hash_of(beside) != model.hash:
            raise UnfitModel(
                "model-damaged", f"{path.name} changed while it was copied.", "Nothing was installed.", "Install it when it is whole."
            )  # fmt: skip
    return there or name


def remove(name: str) -> None:
    """Delete an installed model.

    Parameters
    ----------
    name : str
        One of :func:`installed`.

    Raises
    ------
    Refusal
        When no installed model is called so.
    NotWritten
        When the disk does not let go of it.
    """
    from napari_liver_anomaly.models import packaged

    if name in packaged():
        raise Refusal(
            "model-packaged", f"{name!r} came with the program.", "Nothing was removed.", "Only installed models can be removed."
        )
    if name not in installed():
        raise Refusal(
            "model-missing", f"No installed model is called {name[:40]!r}.", "Nothing was removed.", "See 'liver-anomaly models'."
        )
    try:
        (folder() / f"{name}{ENDING}").unlink()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise NotWritten(
            "not-written", f"{name} was not removed: {reason}.", "It is still installed.", "Close what uses it, or ask who owns the folder."
        ) from None  # fmt: skip


def _one_of(name: str, names: tuple[str, ...]) -> str:
    """Find a name among others, capitals or not; empty when it is none of them."""
    return next((other for other in names if other.casefold() == name.casefold()), "")
