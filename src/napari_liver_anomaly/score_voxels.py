"""The voxels of a score, and the connected pieces of those that reach a level.

Voxels are joined along rows first: pieces are made of runs, of which there are far fewer than voxels, and only suspicious voxels are looked at.
What is made once of a score serves every threshold; the box of the liver, let alone the scan, is not gone through again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class ScoreVoxels:
    """The voxels of a score that are at least a level, in the order of the array."""

    shape: tuple[int, int, int]
    where: NDArray[np.int64]  # flat, rising
    keys: NDArray[np.int64]  # flat in a grid with one empty column after each row and one empty row after each slice
    scores: NDArray[np.uint8]
    probability: NDArray[np.uint8] | None  # of liver

    @classmethod
    def of(cls, score: NDArray[np.uint8], probability: NDArray[np.uint8] | None, least: int = 1) -> ScoreVoxels:
        """List the voxels of a score, with the probability of liver."""
        flat = np.ascontiguousarray(score).reshape(-1)
        where = np.flatnonzero(flat >= least)
        slices, rows, columns = score.shape
        row = where // columns
        keys = where + row + (row // rows) * (columns + 1)
        chances = None if probability is None else np.ascontiguousarray(probability).reshape(-1)[where]
        return cls((slices, rows, columns), where, keys, flat[where], chances)

    def without(self, where: NDArray[np.int64]) -> ScoreVoxels:
        """Leave some voxels out, given flat and rising."""
        place = np.searchsorted(self.where, where)
        place = place[place < self.where.size]
        kept = np.ones(self.where.size, bool)
        kept[place[self.where[place] == where[: place.size]]] = False
        chances = None if self.probability is None else self.probability[kept]
        return ScoreVoxels(self.shape, self.where[kept], self.keys[kept], self.scores[kept], chances)

    def pieces(self, level: int) -> Pieces:
        """Pieces of the voxels that are at least a level; corners connect."""
        taken = np.flatnonzero(self.scores >= level)
        keys = self.keys[taken]
        firsts = np.flatnonzero(np.diff(keys, prepend=-2) != 1)
        lasts = np.append(firsts[1:], keys.size)[: firsts.size] - 1
        _, rows, columns = self.shape
        width = columns + 1
        steps = tuple(slices * (rows + 1) * width + row * width for slices, row in ((0, 1), (1, -1), (1, 0), (1, 1)))
        piece = _joined(keys[firsts], keys[lasts], steps)
        return Pieces(taken, self.scores[taken], firsts, lasts - firsts + 1, piece)


@dataclass(frozen=True, eq=False)
class Pieces:
    """Connected pieces, counted from 0 in the order of their first voxels, as runs of voxels along rows."""

    taken: NDArray[np.int64]  # which of the listed voxels
    scores: NDArray[np.uint8]
    firsts: NDArray[np.int64]  # of each run, among those taken
    lengths: NDArray[np.int64]
    piece: NDArray[np.int64]  # of each run

    def voxels(self) -> NDArray[np.int64]:
        """How many voxels each piece has."""
        return np.bincount(self.piece, self.lengths).astype(np.int64)

    def reaching(self, level: int) -> NDArray[np.bool_]:
        """Whether each piece reaches a level somewhere."""
        reached = np.zeros(int(self.piece.max()) + 1 if self.piece.size else 0, bool)
        if self.piece.size:
            reached[self.piece[np.maximum.reduceat(self.scores, self.firsts) >= level]] = True
        return reached

    def numbered(self, numbers: NDArray[np.uint16]) -> NDArray[np.uint16]:
        """Write the number of each piece to its voxels, as they are taken."""
        return np.repeat(numbers[self.piece], self.lengths)


def _joined(starts: NDArray[np.int64], ends: NDArray[np.int64], steps: tuple[int, ...]) -> NDArray[np.int64]:
    """Piece of each run: runs touch when they overlap, or meet at a corner, in rows that lie one of these steps apart."""
    from scipy import sparse
    from scipy.sparse import csgraph

    these, those = [], []
    for step in steps:
        low = np.searchsorted(ends, starts - step - 1, "left")
        high = np.searchsorted(starts, ends - step + 1, "right")
        counts = high - low
        these.append(np.repeat(np.arange(starts.size), counts))
        those.append(np.arange(counts.sum()) + np.repeat(low - np.cumsum(counts) + counts, counts))
    this, that = np.concatenate(these), np.concatenate(those)
    graph = sparse.coo_matrix((np.ones(this.size, np.int8), (this, that)), (starts.size, starts.size))
    return csgraph.connected_components(graph, directed=False)[1].astype(np.int64)  # type: ignore[no-any-return]
