"""What the user decided of lesions, voxel by voxel: it outlives every threshold and every run.

A lesion in which somebody drew, or which was merged or split, stays as it is. Of a lesion in which somebody only erased, what was erased stays
away and the rest follows the threshold as before.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.sparse_labels import SparseLabels

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from napari_liver_anomaly.result import Origin

FOUND, FOLLOWS = 1, 2


@dataclass(frozen=True, eq=False)
class Decisions:
    """What the user decided."""

    by_hand: SparseLabels | None = None  # lesions that stay as they are, by number, and 0 where something was erased
    predicted: SparseLabels | None = (
        None  # of lesions that were touched, what the program had found; FOLLOWS where the threshold still counts
    )

    def __bool__(self) -> bool:
        return self.by_hand is not None

    @cached_property
    def drawn(self) -> SparseLabels:
        """Lesions that stay as they are."""
        return self._where_hand(lambda values: values > 0)

    @cached_property
    def erased(self) -> NDArray[np.int64]:
        """Voxels that the user took out of lesions, flat and rising."""
        return self._where_hand(lambda values: values == 0).where

    @cached_property
    def follows(self) -> NDArray[np.int64]:
        """Voxels that were left of lesions in which the user only erased, flat and rising."""
        return np.empty(0, np.int64) if self.predicted is None else self.predicted.where[self.predicted.values == FOLLOWS]

    def origins(self, parts: Mapping[int, NDArray[np.int64]]) -> dict[int, Origin]:
        """Say of the lesions that are not as the program found them who made them, by number."""
        if self.by_hand is None:
            return {}
        found = self.predicted.where if self.predicted is not None else np.empty(0, np.int64)
        origins: dict[int, Origin] = {}
        for number, where in parts.items():
            if _meet(where, self.drawn.where):
                origins[number] = "corrected" if _meet(where, found) else "manual"
            elif _meet(where, self.follows):
                origins[number] = "corrected"
        return origins

    def after(
        self, before: SparseLabels, seen: SparseLabels, made: SparseLabels, drawn_too: NDArray[np.int64], grown: NDArray[np.int64]
    ) -> Decisions:
        """Add what changed from these labels to those that were seen, which are numbered anew by now.

        Some voxels count as drawn in any case, and some as found by the program, for they were grown on its score.
        """
        changed = before.changes_to(seen).where
        was, now = before.at(changed), seen.at(changed)
        added = changed[now > 0]
        back = np.isin(added, self.erased, assume_unique=True)  # what was erased is there again: not drawn, but taken back
        gave = before.where[np.isin(before.values, np.unique(was[(was > 0) & (now > 0)]))]  # lesions that gave voxels to others
        own = np.concatenate([added[~back], self.drawn.where, gave, drawn_too])
        fixed = made.where[np.isin(made.values, _numbers(made, own))]
        erased = np.union1d(np.setdiff1d(self.erased, added, assume_unique=True), changed[now == 0])
        where = np.union1d(erased, fixed)
        if not where.size:
            return Decisions()
        thinned = before.where[np.isin(before.values, np.unique(was[now == 0]))]
        left = np.setdiff1d(made.where[np.isin(made.values, _numbers(made, thinned))], fixed, assume_unique=True)
        follows = np.union1d(left, np.setdiff1d(self.follows, np.union1d(erased, fixed), assume_unique=True))
        known = self.predicted.where if self.predicted is not None else np.empty(0, np.int64)
        found = np.intersect1d(np.setdiff1d(before.where, self.drawn.where, assume_unique=True), fixed, assume_unique=True)
        found = np.union1d(found, np.intersect1d(grown, fixed, assume_unique=True))
        told = np.setdiff1d(np.union1d(np.union1d(known, found), follows), erased, assume_unique=True)
        kinds = np.where(np.isin(told, follows, assume_unique=True), FOLLOWS, FOUND).astype(np.uint16)
        return Decisions(SparseLabels(made.shape, where, made.at(where)), SparseLabels(made.shape, told, kinds))

    def _where_hand(self, wanted: Callable[[NDArray[np.uint16]], NDArray[np.bool_]]) -> SparseLabels:
        if self.by_hand is None:
            return SparseLabels((), np.empty(0, np.int64), np.empty(0, np.uint16))
        which = wanted(self.by_hand.values)
        return SparseLabels(self.by_hand.shape, self.by_hand.where[which], self.by_hand.values[which])


def _numbers(labels: SparseLabels, where: NDArray[np.int64]) -> NDArray[np.uint16]:
    """Numbers of the lesions in these voxels."""
    numbers = np.unique(labels.at(where))
    return numbers[numbers > 0]


def _meet(where: NDArray[np.int64], others: NDArray[np.int64]) -> bool:
    return bool(np.isin(where, others, assume_unique=True).any()) if others.size else False
