"""The files of a folder: which of them begin as DICOM files do, which are links to elsewhere, and which look like slices and hold none.

A DICOMDIR is not followed, because the names in it could lead anywhere: the folders below are searched instead, with bounds.
"""

from __future__ import annotations

import os
import re
import struct
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.job import Job
from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MOST_ENTRIES = 20_000
DEEPEST = 8  # folders below the one that was chosen
DICOMDIR = "dicomdir"
QUIET = {DICOMDIR, "thumbs.db", "desktop.ini"}
PREAMBLE = 128
COUNTED = re.compile(r"[0-9a-fA-F]{16,}|\d+")  # what differs between the names of slices: a number, or an identity
FIRST_GROUP, FIRST_ELEMENTS = 0x0008, 0x0020


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Regular files and links of a folder: those that begin as DICOM does, links that lead out of it, and all others."""

    files: tuple[Path, ...]
    linked: tuple[Path, ...]
    others: tuple[Path, ...]

    def lost(self, slices: Iterable[Path]) -> tuple[Path, ...]:
        """Files that are named like these slices and cannot be read."""
        beside: dict[Path, tuple[set[str], set[str]]] = {}
        for path in slices:
            names, endings = beside.setdefault(path.parent, (set(), set()))
            names.add(_named(path))
            endings.add(path.suffix.lower())
        found = []
        for path in (*self.linked, *self.others):
            names, endings = beside.get(path.parent, (set(), set()))
            if _named(path) in names or (path.suffix and path.suffix.lower() in endings):
                found.append(path)
        return tuple(found)


def list_folder(folder: Path, *, follow: bool = False, below: bool = True, job: Job | None = None) -> Listing:
    """Sort the files of a folder; where it holds no DICOM file itself, as a CD does, those of the folders below it."""
    home, job = folder.resolve(), job or Job()
    inner: list[Path] = []
    listing = _sorted(_entries(folder, inner, MOST_ENTRIES), home, follow=follow, job=job)
    if listing.files or listing.linked or not below:
        return listing
    deeper = _sorted(_below(inner, job), home, follow=follow, job=job)
    return deeper if deeper.files or deeper.linked else listing


def walked(folder: Path) -> Iterator[Path]:
    """Give the entries of a folder one by one, then those of the folders in it."""
    folders = [folder]
    for _ in range(DEEPEST + 1):
        deeper: list[Path] = []
        for one in folders:
            with os.scandir(one) as listing:
                for entry in listing:
                    yield Path(entry.path)
                    if entry.is_dir(follow_symlinks=False):
                        deeper.append(Path(entry.path))
        folders = deeper


def begins_as_dicom(path: Path) -> bool:
    """Whether a regular file begins as a DICOM file does, or as a data set of DICOM without the usual 128 bytes before it."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as stream:
            start = stream.read(PREAMBLE + 4)
        return start[PREAMBLE:] == b"DICM" or is_bare(start)
    except (OSError, RuntimeError):  # a link that leads to itself
        return False


def is_bare(start: bytes) -> bool:
    """Whether these first bytes of a file are elements of DICOM, without preamble: a known group, then a kind or a likely length."""
    if len(start) < PREAMBLE + 4:
        return False
    group, element = struct.unpack("<HH", start[:4])
    if group != FIRST_GROUP or element > FIRST_ELEMENTS:
        return False
    kind, length = start[4:6], struct.unpack("<I", start[4:8])[0]
    return (kind.isalpha() and kind.isupper()) or (length <= PREAMBLE and length % 2 == 0)


def _named(path: Path) -> str:
    """Name of a file without what differs between slices."""
    return COUNTED.sub("#", path.name)


def _entries(folder: Path, inner: list[Path], most: int) -> list[Path]:
    """Files and links of a folder; its own folders are added to the list."""
    try:
        with os.scandir(folder) as listing:
            entries = list(islice(listing, most + 1))
    except OSError as error:
        raise make_refusal(
            "folder-unreadable", reason=error.strerror or type(error).__name__
        ) from None  # the system's own words quote the path
    if len(entries) > most:
        raise make_refusal("folder-too-full", most=MOST_ENTRIES)
    loud = [entry for entry in entries if not entry.name.startswith(".") and entry.name.lower() not in QUIET]
    inner += sorted(Path(entry.path) for entry in loud if entry.is_dir(follow_symlinks=False))
    return sorted(Path(entry.path) for entry in loud if not entry.is_dir(follow_symlinks=False))


def _below(folders: list[Path], job: Job) -> list[Path]:
    """Files of folders below, breadth first, as many and as deep as may be."""
    found: list[Path] = []
    for _ in range(DEEPEST):
        deeper: list[Path] = []
        for folder in folders:
            job.at(f"Searching folders · {len(found):,} files", 0, 1)
            found += _entries(folder, deeper, MOST_ENTRIES - len(found))
        folders = deeper
    return found


def _sorted(paths: Sequence[Path], home: Path, *, follow: bool, job: Job) -> Listing:
    files, linked, others = [], [], []
    for number, (path, place) in enumerate(_placed(paths)):
        job.at("Looking for DICOM files", number, len(paths))
        if place is not None and not follow and not place.is_relative_to(home):
            linked.append(path)
        elif place is not None and begins_as_dicom(path):
            files.append(path)
        else:
            others.append(path)
    return Listing(files=tuple(files), linked=tuple(linked), others=tuple(others))


def _placed(paths: Iterable[Path]) -> Iterator[tuple[Path, Path | None]]:
    """Files with where they truly lie; None for what is no regular file."""
    for path in paths:
        try:
            yield path, path.resolve() if path.is_file() else None
        except (OSError, RuntimeError):
            yield path, None
