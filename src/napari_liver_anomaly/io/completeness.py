"""Whether all slices of a series are there: files that cannot be read, and what the images say of their number.

Positions tell of a slice that is missing between others; of one at the first or last end only its file, or a number, can tell.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import TYPE_CHECKING

from napari_liver_anomaly.errors import Answer
from napari_liver_anomaly.io.dicom_folder import PREAMBLE
from napari_liver_anomaly.messages import make_finding

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.dicom_folder import Listing
    from napari_liver_anomaly.io.dicom_slices import Slice
    from napari_liver_anomaly.io.read_options import ReadOptions
    from napari_liver_anomaly.io.splitting import Part

READ_THE_REST = Answer(words="Read the slices that are there", option="incomplete", value="accept")
FOLLOW = Answer(words="Follow the links", option="links", value="follow")


def unreadable(part: Part, listing: Listing, answers: ReadOptions, filled: int) -> Finding | None:
    """Whether files that are named like the slices of a stack hold none; those that were filled in do not count again."""
    lost = listing.lost({one.path for one in part.slices})
    if len(lost) <= filled:
        return None
    kinds = Counter(_state(path, path in listing.linked) for path in lost)
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    files = "1 file is" if len(lost) == 1 else f"{len(lost)} files are"
    if answers.incomplete == "accept":
        return make_finding("slices-lost-accepted", files=files, kinds=told)
    links = links_of([path for path in lost if path in listing.linked])
    return make_finding("slices-lost", *links, READ_THE_REST, files=files, kinds=told)


def links_of(links: Sequence[Path]) -> tuple[Answer, ...]:
    """Offer to follow links, where some are there."""
    return (FOLLOW,) if links else ()


def counted(part: Part, headers: Sequence[Slice]) -> Finding | None:
    """Whether the numbers of a series' images begin later than at 1, or their acquisition had more of them."""
    same = [one for one in headers if one.series == part.slices[0].series]
    numbers = sorted(one.instance for one in same if one.instance is not None)
    whole = len(numbers) == len(same) and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    before = numbers[0] - 1 if part.phases == 1 and whole and len(same) > 1 else 0
    acquired = [one for one in same if one.acquisition == part.slices[0].acquisition]
    said = max((one.images or 0 for one in part.slices), default=0)
    if before <= 0 and said <= len(acquired):
        return None
    how = f"they are numbered from {numbers[0]} on" if before > 0 else f"their acquisition had {said}"
    return make_finding("slices-fewer", count=len(part.slices), how=how)


def _state(path: Path, linked: bool) -> str:
    """Say what became of a file that should hold a slice."""
    if linked:
        return "linked to another folder"
    if not os.path.exists(path):
        return "a broken link"
    size = path.stat().st_size if path.is_file() else PREAMBLE
    return "empty" if not size else "cut short" if size < PREAMBLE + 4 else "not DICOM"
