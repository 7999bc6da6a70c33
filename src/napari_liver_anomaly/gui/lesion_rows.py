"""The rows of the table of lesions: what is measured of each, and what the reader noted of it; mirrored in the layer's features."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_liver_anomaly.lesions import Lesion
    from napari_liver_anomaly.result import Origin

MOST_TARGETS = 2  # in one organ, RECIST 1.1 (Eisenhauer et al. 2009, section 3.2)
MEASURABLE_MM = 10.0  # section 3.1.1, on slices of 5 mm at most
MOST_LETTERS = 500  # of a comment
PICK_TARGETS = "No target ticked"


@dataclass(frozen=True)
class LesionRow:
    """A lesion in the table."""

    lesion: Lesion
    slice: int  # on which it is largest
    kept: bool = True
    score: float = 0.0  # highest inside, 0 to 1
    origin: Origin = "automatic"
    comment: str = ""
    target: bool = False
    fixed: bool = False  # whether no threshold moves it
    anchor: int = field(default=-1, compare=False)  # its voxel of the highest score, flat, by which its notes find it again
    place: str = ""  # of its slice, in the patient and in the archive


@dataclass
class LesionNotes:
    """What the reader noted of lesions. It is kept by voxel, as numbers and outlines change with every threshold."""

    comments: dict[int, str] = field(default_factory=dict)
    targets: list[int] = field(default_factory=list)

    def copy(self) -> LesionNotes:
        """Take what is noted now, for work on another thread."""
        return LesionNotes(dict(self.comments), list(self.targets))

    def comment_in(self, where: NDArray[np.int64]) -> str:
        """Give the comments on what lies in these voxels, given flat and rising."""
        return "; ".join(text for anchor, text in self.comments.items() if _holds(where, anchor))

    def write(self, where: NDArray[np.int64], anchor: int, text: str) -> None:
        """Put a comment in the place of those on these voxels."""
        for old in [old for old in self.comments if _holds(where, old)]:
            del self.comments[old]
        if text:
            self.comments[anchor] = text

    def is_target(self, where: NDArray[np.int64]) -> bool:
        """Whether what lies in these voxels is a target lesion."""
        return any(_holds(where, anchor) for anchor in self.targets)


def peak_of(where: NDArray[np.int64], score: NDArray[np.uint8]) -> tuple[int, float]:
    """Find the voxel of the highest score among these, the first of several, and that score from 0 to 1."""
    scores = score.reshape(-1)[where]
    highest = int(scores.argmax())
    return int(where[highest]), int(scores[highest]) / 255


def noted(row: LesionRow) -> dict[str, Any]:
    """Say what is known of a lesion besides its measures, as plain data."""
    return {"origin": row.origin, "comment": row.comment, "target": row.target}


def notes_from(rows: Sequence[tuple[NDArray[np.int64] | None, Mapping[str, Any]]], score: NDArray[np.uint8]) -> LesionNotes:
    """Take the notes from the plain data of lesions in their voxels; what is no note is passed over."""
    notes = LesionNotes()
    for where, row in rows:
        if where is None or not where.size:
            continue
        anchor, text = peak_of(where, score)[0], row.get("comment")
        if isinstance(text, str) and text:
            notes.comments[anchor] = text[:MOST_LETTERS]
        if row.get("target") is True and len(notes.targets) < MOST_TARGETS:
            notes.targets.append(anchor)
    return notes


def target_words(rows: list[LesionRow]) -> str:
    """Say the sum of the long diameters of the target lesions."""
    longest = [row.lesion.long_mm for row in rows if row.target and row.kept]
    if not longest:
        return PICK_TARGETS
    small = sum(mm < MEASURABLE_MM for mm in longest)
    words = "s: {:.0f} mm, sum of the long diameters" if len(longest) > 1 else ": {:.0f} mm, long diameter"
    told = "Target" + words.format(math.fsum(longest))
    return told + (f"; {small} under {MEASURABLE_MM:.0f} mm, not measurable by RECIST" if small else "")


def features_of(rows: list[LesionRow]) -> Any:
    """Rows as napari's features table shows them, one per lesion number in the layer."""
    import pandas as pd

    return pd.DataFrame([{"index": 0}, *({"index": row.lesion.number, **_measures(row)} for row in rows if row.kept)])


def _measures(row: LesionRow) -> dict[str, Any]:
    lesion = row.lesion
    return {
        "volume (ml)": round(lesion.volume_ml, 2),
        "long diameter (mm)": round(lesion.long_mm, 1),
        "short diameter (mm)": round(lesion.short_mm, 1),
        "mean (HU)": round(lesion.mean_hu, 1),
        "difference to liver (HU)": round(lesion.difference_hu, 1),
        "may be a cyst": lesion.may_be_cyst,
        "highest score": round(row.score, 2),
        "slice": row.slice,
        "drawn": row.origin,
        "target": row.target,
        "comment": row.comment,
    }


def _holds(where: NDArray[np.int64], anchor: int) -> bool:
    place = int(where.searchsorted(anchor))
    return place < where.size and int(where[place]) == anchor
