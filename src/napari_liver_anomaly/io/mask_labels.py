"""Which labels of a mask file are meant: one is taken, several are asked about, and a scan is no mask."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import Answer
from napari_liver_anomaly.messages import make_finding, make_refusal
from napari_liver_anomaly.stored_values import whole_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding

    Array = NDArray[np.generic]
    Bools = NDArray[np.bool_]

MOST_LABELS = 256  # a map of all organs has some hundred; a scan has thousands of values
MOST_LISTED = 20
LIVER_CODE = "10200004"  # of SNOMED CT
LONGEST_NAME = 40


def chosen_voxels(
    stored: Array,
    scaling: tuple[float, float],
    *,
    what: str,
    wanted: str,
    voxel_ml: float,
    names: Mapping[int, str] | None = None,
    further_names: Mapping[int, tuple[str, ...]] | None = None,
    some: bool = False,
) -> tuple[Bools, tuple[Finding, ...]]:
    """Find the voxels of the wanted labels (``"ask"``, ``"all"``, numbers or names joined by ``+``), and what there is to say about it.

    Labels that may overlap have a fourth axis, of layers; a voxel is inside when it is so in any of them.
    """
    labels = whole_numbers(stored, *scaling, what)
    if wanted == "numbered":
        return _inside(labels), ()
    counts = _counted(labels, what)
    if wanted == "all":
        several = (make_finding("mask-labels-all", what=what, count=len(counts)),) if len(counts) > 1 else ()
        return _inside(labels), several
    told = {label: _told(label, names or {}) for label in counts}
    words = {label: ((names or {}).get(label, ""), *(further_names or {}).get(label, ())) for label in counts}
    if wanted == "ask":
        if len(counts) > 1:
            raise _which(counts, told, words, what, lambda chosen: _count(labels, counts, chosen) * voxel_ml)
        return _inside(labels), ()
    chosen = _parsed(wanted, counts, told, words, what, some=some)
    if set(chosen) == set(counts):
        return _inside(labels), ()
    note = make_finding(
        "mask-labels-chosen", what=what, labels=" + ".join(told[label] for label in chosen), left=len(counts) - len(chosen)
    )
    return _inside(labels, chosen), (note,)


def _inside(labels: NDArray[np.integer], chosen: list[int] | None = None) -> Bools:
    """Voxels of the chosen labels, or of all, in three axes."""
    inside = np.asarray(labels > 0 if chosen is None else np.isin(labels, chosen))
    return np.asarray(inside.any(axis=3)) if inside.ndim == 4 else inside


def _count(labels: NDArray[np.integer], counts: Mapping[int, int], chosen: list[int]) -> int:
    """Voxels of some labels together, each counted once."""
    return int(np.count_nonzero(_inside(labels, chosen))) if labels.ndim == 4 else sum(counts[label] for label in chosen)


def clean_name(name: str) -> str:
    """Make a name from a file plain text of one line."""
    return " ".join("".join(sign for sign in name if sign.isprintable()).split())[:LONGEST_NAME]


def _counted(labels: NDArray[np.integer], what: str) -> dict[int, int]:
    """Voxels of each label above zero, in the order of the labels."""
    counts: Counter[int] = Counter()
    for index in range(labels.shape[-1]):
        plane = labels[..., index]
        if not (plane := plane[plane != 0]).size:
            continue
        for label, count in zip(*np.unique(plane, return_counts=True), strict=True):
            counts[int(label)] += int(count)
        if len(counts) > MOST_LABELS:
            raise make_refusal("mask-no-labels", what=what, how=f"more than {MOST_LABELS} different values")
    return dict(sorted(counts.items()))


def _told(label: int, names: Mapping[int, str]) -> str:
    return f"{label} ({names[label]})" if names.get(label) else str(label)


def _which(
    counts: Mapping[int, int],
    told: Mapping[int, str],
    words: Mapping[int, tuple[str, ...]],
    what: str,
    ml_of: Callable[[list[int]], float],
) -> Exception:
    """Ask which labels are meant: those called liver first, then the largest."""
    order = sorted(counts, key=lambda label: (not _is_liver(words[label]), -counts[label]))[:MOST_LISTED]
    listed = order if len(counts) > MOST_LISTED else sorted(counts)

    def answer(words: str, value: str, labels: list[int]) -> Answer:
        return Answer(words=f"{words}: {ml_of(labels):,.0f} ml", option="liver_label", value=value)

    answers = [answer(f"Label {told[label]}", str(label), [label]) for label in order]
    if len(counts) > 2:
        two = sorted(order[:2])
        answers.append(answer("Two of them", "+".join(map(str, two)), two))
    answers.append(answer("All of them", "all", list(counts)))
    more = " and others" if len(listed) < len(counts) else ""
    return make_refusal(
        "mask-labels", *answers, what=what, count=len(counts), labels=", ".join(told[label] for label in listed) + more
    )


def _is_liver(words: tuple[str, ...]) -> bool:
    return LIVER_CODE in words or any("liver" in word.lower() for word in words)


def _parsed(
    wanted: str,
    counts: Mapping[int, int],
    told: Mapping[int, str],
    words: Mapping[int, tuple[str, ...]],
    what: str,
    *,
    some: bool,
) -> list[int]:
    """Labels by their numbers, names or codes; a name may hold a + itself. All of them, or some, must be there."""
    called = {label: {str(label), *(word.lower() for word in words[label] if word)} for label in counts}
    whole = wanted.strip().lower()
    parts = [whole] if any(whole in own for own in called.values()) else [part.strip() for part in whole.split("+")]
    found = {part: [label for label in counts if part in called[label]] for part in parts}
    missing = [part for part in parts if not found[part]]
    if missing and not (some and len(missing) < len(parts)):
        there = ", ".join(told[label] for label in list(counts)[:MOST_LISTED]) or "none"
        raise make_refusal("mask-label-unknown", what=what, label=clean_name(missing[0]) or "''", there=there)
    return list(dict.fromkeys(label for part in parts for label in found[part]))
