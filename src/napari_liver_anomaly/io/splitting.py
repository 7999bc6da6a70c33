"""Which slices of a folder form one stack: by series, size and direction, and by time where a position occurs more than once.

A change within one stack must not pass for two stacks: another size or a slightly other direction makes a stack of its own only
where both cover the same place and each is whole. What remains mixed is refused later, by its first odd slice.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from itertools import pairwise
from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.io.pixels import pixel_hash
from napari_liver_anomaly.storage import hash_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.io.dicom_slices import Slice

LEAST = 3  # slices of a stack that may be told from the rest of its series
MOST_KINDS = 60  # sizes and directions in one series; its slices are then looked at once for each
SAME_WAY = 0.01  # of a unit vector
OTHER_WAY = 0.17  # about ten degrees
SAME_PLACE_MM = 0.01
WIDE_GAP = 1.5
CLEAR_BREAK = 2.0  # a pause between phases, in longest pauses within one
MOST_PHASES = 60
BETWEEN = 0.5  # of the gaps of a stack: with another one's slices in that many of them, it is not one stack
HOUR_S = 3600.0


MARKS: tuple[Callable[[Slice], object], ...] = (
    lambda one: one.acquisition, lambda one: (one.acquisition, one.kernel, one.image_type), lambda one: (one.kernel, one.image_type),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Part:
    """Slices that may be one stack.

    Attributes
    ----------
    slices : tuple of Slice
        In any order.
    group, phase, phases : int
        Which stack; which of how many phases of it, from 1.
    copies, clashes : int
        Files left out because they are copies; files that bear the same identity with other content.
    twice : int
        Slices left out because another one has the same pixels and place, under an identity of its own.
    delay_s : float or None
        Time after the first part of the same examination; None where it is not known.
    """

    slices: tuple[Slice, ...]
    group: int = 0
    phase: int = 1
    phases: int = 1
    copies: int = 0
    clashes: int = 0
    twice: int = 0
    delay_s: float | None = None


def parts_of(slices: Sequence[Slice]) -> tuple[Part, ...]:
    """Split slices of any number of series."""
    by_series: dict[tuple[str, ...], list[Slice]] = defaultdict(list)
    for one in slices:
        by_series[one.series, one.study, one.reference].append(one)  # an identity of a series may be borne by two examinations
    groups = []
    for together in by_series.values():
        for members in _stacks(together):
            kept, copies, clashes = _unique(members)
            once = kept if clashes else _once(kept)
            phases = [once] if clashes else _phases(once)
            twice = len(kept) - len(once)
            parts = [
                Part(slices=tuple(members), phase=rank, phases=len(phases), copies=copies, clashes=clashes, twice=twice)
                for rank, members in enumerate(phases, start=1)
            ]
            groups.append(parts)
    groups.sort(key=lambda parts: (-max(len(part.slices) for part in parts), _place(parts), parts[0].slices[0].series))
    numbered = [replace(part, group=group) for group, parts in enumerate(groups, start=1) for part in parts]
    return tuple(_delayed(numbered))


def _place(parts: Sequence[Part]) -> tuple[float, ...]:
    """Lowest corner of a stack, to sort by."""
    places = [one.position_mm for part in parts for one in part.slices if one.position_mm and np.isfinite(one.position_mm).all()]
    return tuple(round(float(mm), 2) for mm in np.min(places, axis=0)[::-1]) if places else (np.inf,)


def _unique(slices: Sequence[Slice]) -> tuple[list[Slice], int, int]:
    """Slices without copies of files; the number of copies, and of files that claim an identity that another has."""
    by_identity: dict[tuple[str, int], list[Slice]] = defaultdict(list)
    for one in slices:
        by_identity[one.uid, one.frame].append(one)
    kept: list[Slice] = []
    copies = clashes = 0
    hashes: dict[object, str] = {}
    for (uid, frame), same in by_identity.items():
        if not uid or len(same) == 1:
            kept += same
            continue
        for one in same:
            if one.path not in hashes:
                hashes[one.path] = hash_of(one.path)
        first = {hashes[one.path]: one for one in reversed(same)}
        kept += list(first.values())
        if frame == 0:
            copies += len(same) - len(first)
            clashes += len(first) - 1
    return kept, copies, clashes


def _once(slices: list[Slice]) -> list[Slice]:
    """Slices without those whose pixels and place another one has; all of them unless every place is then taken once."""
    if not _repeats(slices):
        return slices
    order = np.argsort(_along(slices, slices[0]), kind="stable")
    heights = _along(slices, slices[0])[order]
    kept: list[Slice] = []
    for same in np.split(order, np.flatnonzero(np.diff(heights) >= SAME_PLACE_MM) + 1):
        together = sorted((slices[k] for k in same), key=lambda one: (one.path.name, one.frame))
        if len({_shown(one) for one in together}) > 1 or (len(together) > 1 and not pixel_hash(together[0])):
            return slices
        kept.append(together[0])
    return kept


def _shown(one: Slice) -> tuple[object, ...]:
    """Say what a slice shows, and where: equal in copies that bear other identities."""
    places = tuple(round(mm, 2) for mm in one.position_mm or ())
    return pixel_hash(one), places, one.spacing_mm, one.slope, one.intercept, one.signed, one.bits_stored, one.syntax


def _stacks(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Slices of one series by size and direction, as far as they are stacks of their own."""
    kinds: list[list[Slice]] = []
    strays = []
    common = Counter(map(_size_and_way, slices))
    for one in sorted(slices, key=lambda one: -common[_size_and_way(one)]):
        if not _says_where(one):
            strays.append(one)
            continue
        for kind in kinds:
            same_size = (one.rows, one.columns) == (kind[0].rows, kind[0].columns)
            if same_size and _turned(one, kind[0]) <= SAME_WAY:
                kind.append(one)
                break
        else:
            if len(kinds) < MOST_KINDS:
                kinds.append([one])
            else:
                strays.append(one)
    kinds.sort(key=len, reverse=True)
    apart: list[list[Slice]] = []
    for kind in kinds:
        if not apart or (
            len(kind) >= LEAST
            and len(apart) < MOST_KINDS
            and all(_turned(kind[0], other[0]) > OTHER_WAY or _both_whole(kind, other) for other in apart)
        ):
            apart.append(kind)
        else:
            strays += kind
    if not apart:
        return [strays]
    apart[0] += strays
    return apart


def _size_and_way(one: Slice) -> tuple[object, ...]:
    """Size, and roughly the direction: what many slices have is looked at first."""
    return one.rows, one.columns, tuple(round(number, 1) if isfinite(number) else 0.0 for number in one.orientation or ())


def _says_where(one: Slice) -> bool:
    if one.orientation is None or one.position_mm is None:
        return False
    return all(map(isfinite, (*one.orientation, *one.position_mm)))


def _turned(one: Slice, other: Slice) -> float:
    return max(abs(here - there) for here, there in zip(one.orientation or (), other.orientation or (), strict=True))


def _both_whole(one: Sequence[Slice], other: Sequence[Slice]) -> bool:
    """Whether two stacks of nearly one direction cover the same place, and neither misses the other's slices."""
    first, second = _heights(one, other[0]), _heights(other, other[0])
    shared = min(first[-1], second[-1]) - max(first[0], second[0])
    if shared < 0.5 * min(first[-1] - first[0], second[-1] - second[0]):
        return False
    gaps = [np.diff(heights)[np.diff(heights) > SAME_PLACE_MM] for heights in (first, second)]
    return all(len(of) and float(of.max()) < WIDE_GAP * float(np.median(of)) for of in gaps)


def _heights(slices: Sequence[Slice], like: Slice) -> NDArray[np.float64]:
    """Sorted places along the normal of a slice, mm."""
    return np.asarray(np.sort(_along(slices, like)))


def _along(slices: Sequence[Slice], like: Slice) -> NDArray[np.float64]:
    axes = np.array(like.orientation).reshape(2, 3)
    return np.asarray(np.array([one.position_mm for one in slices]) @ np.cross(axes[0], axes[1]))


def _phases(slices: list[Slice]) -> list[list[Slice]]:
    """Slices of one stack by acquisition or by time, where places repeat; all of them where nothing tells them apart."""
    if not _repeats(slices):
        return _between(slices)
    for mark in MARKS:
        told = _marked(slices, mark)
        if 1 < len(told) <= MOST_PHASES and not any(_repeats(part) for part in told):
            return sorted(told, key=_when)
    for clock in ("acquired_s", "shown_s"):
        parts = _by_time(slices, clock)
        if parts:
            return parts
    return _by_number(slices) or [slices]


def _by_number(slices: Sequence[Slice]) -> list[list[Slice]]:
    """Cut where a place comes again, in the order of the images' numbers; empty where these say nothing."""
    numbers = [one.instance for one in slices]
    if None in numbers or len(set(numbers)) < len(numbers):
        return []
    order = sorted(range(len(slices)), key=lambda k: numbers[k] or 0)
    places = np.rint(_along(slices, slices[0]) / SAME_PLACE_MM).astype(int).tolist()
    parts: list[list[Slice]] = []
    taken: set[int] = set()
    for k in order:
        if not parts or places[k] in taken:
            parts.append([])
            taken = set()
        parts[-1].append(slices[k])
        taken.add(places[k])
    whole = len(parts) <= MOST_PHASES and all(len(part) >= LEAST and not _repeats(part) for part in parts)
    return parts if whole else []


def _marked(slices: Sequence[Slice], mark: Callable[[Slice], object]) -> list[list[Slice]]:
    """Slices by what they say of themselves."""
    told: dict[object, list[Slice]] = defaultdict(list)
    for one in slices:
        told[mark(one)].append(one)
    return list(told.values())


def _between(slices: list[Slice]) -> list[list[Slice]]:
    """Slices of two scans of one place, where those of the second lie between those of the first: another phase, or another kernel."""
    if not all(_says_where(one) for one in slices):
        return [slices]
    for parts in (*(_marked(slices, mark) for mark in MARKS), _by_time(slices, "acquired_s")):
        if 1 < len(parts) <= MOST_PHASES and _interleaved(parts):
            return sorted(parts, key=_when)
    return [slices]


def _interleaved(parts: Sequence[Sequence[Slice]]) -> bool:
    """Whether every part runs through most of another one, slice by slice: parts that follow each other do not."""
    heights = [_heights(part, parts[0][0]) for part in parts]
    return all(
        len(own) >= LEAST
        and any(
            (shared := other[(other > own[0]) & (other < own[-1])]).size >= BETWEEN * (len(own) - 1)
            and len(set(np.searchsorted(own, shared).tolist())) >= BETWEEN * (len(own) - 1)
            for k, other in enumerate(heights)
            if k != number
        )
        for number, own in enumerate(heights)
    )


def _repeats(slices: Sequence[Slice]) -> bool:
    if not all(_says_where(one) for one in slices):
        return False
    return bool((np.diff(_heights(slices, slices[0])) < SAME_PLACE_MM).any())


def _when(slices: Sequence[Slice]) -> tuple[float, float, str]:
    """When a phase began, then its number in the file."""
    number = slices[0].acquisition
    return (_begin(slices), float(number) if number.isdigit() else np.inf, number)


def _begin(slices: Sequence[Slice]) -> float:
    times = [one.acquired_s if one.acquired_s is not None else one.shown_s for one in slices]
    return min((time for time in times if time is not None), default=np.inf)


def _by_time(slices: Sequence[Slice], clock: str) -> list[list[Slice]]:
    """Cut at the longest pauses, as few as will do and only where they stand out; empty where that is not possible."""
    times = [getattr(one, clock) for one in slices]
    if any(time is None for time in times):
        return []
    order = sorted(range(len(slices)), key=lambda k: float(times[k]))
    pauses = [times[after] - times[before] for before, after in pairwise(order)]
    longest = sorted(range(len(pauses)), key=lambda k: -pauses[k])
    for cuts in range(1, min(MOST_PHASES, len(longest))):
        if pauses[longest[cuts - 1]] <= CLEAR_BREAK * pauses[longest[cuts]]:
            continue
        edges = [0, *(k + 1 for k in sorted(longest[:cuts])), len(order)]
        parts = [[slices[k] for k in order[low:high]] for low, high in pairwise(edges)]
        if not any(_repeats(part) for part in parts):
            return parts
    return []


def _delayed(parts: Sequence[Part]) -> list[Part]:
    """Parts with the time after the first one of their examination, where that is less than an hour."""
    begins = [_begin(part.slices) for part in parts]
    result = []
    for part, begin in zip(parts, begins, strict=True):
        same = [other for one, other in zip(parts, begins, strict=True) if _examination(one) == _examination(part)]
        delay = begin - min(same) if np.isfinite(begin) else np.inf
        result.append(replace(part, delay_s=delay) if len(same) > 1 and delay < HOUR_S else part)
    return result


def _examination(part: Part) -> str:
    return part.slices[0].study or part.slices[0].series
