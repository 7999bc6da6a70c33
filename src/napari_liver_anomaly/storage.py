"""Files: written beside and then put in place, hashed, and read with a limit."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.errors import NotWritten

if TYPE_CHECKING:
    from collections.abc import Iterator


def hash_of(path: str | Path) -> str:
    """SHA-256 of a file.

    Parameters
    ----------
    path : path-like
        A file.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write a file beside its place, force it to disk, then put it in place: old or new, never half.

    Parameters
    ----------
    path : path-like
        Where the file shall be. Its folder is made if it is missing.

    Yields
    ------
    Path
        A name in the same folder with the same ending, to write to.

    Raises
    ------
    NotWritten
        When the folder or disk does not take it. A file that was there before is untouched and nothing is left beside it.
    """
    path = Path(path)
    made: Path | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        ending = "".join(path.suffixes[-2:])
        handle, name = tempfile.mkstemp(prefix=".writing-", suffix=ending, dir=path.parent)
        os.close(handle)
        made = Path(name)
        yield made
        with open(made, "rb+") as stream:
            os.fsync(stream.fileno())
        made.chmod(0o666 & ~_umask())
        os.replace(made, path)
        made = None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise NotWritten(
            "not-written", f"{path.name} was not written: {reason}.",
            "An earlier file of that name is untouched.", "Choose another folder or make room.",
        ) from error  # fmt: skip
    finally:
        if made is not None:
            made.unlink(missing_ok=True)


def _umask() -> int:
    """Read the process's mask for new files, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
