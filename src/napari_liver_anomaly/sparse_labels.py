"""Labels of a volume as the list of the voxels that have one: little memory, and work that grows with the lesions, not with the scan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class SparseLabels:
    """Numbers of some voxels: labels without their zeros, or what was decided voxel by voxel, 0 included."""

    shape: tuple[int, ...]
    where: NDArray[np.int64]  # flat, rising
    values: NDArray[Any]  # of any whole type

    @classmethod
    def of(cls, labels: NDArray[np.integer]) -> SparseLabels:
        """Keep the voxels that have a number."""
        flat = np.ascontiguousarray(labels).reshape(-1)
        where = np.flatnonzero(flat != 0)  # a search in boolean is several times as quick
        return cls(labels.shape, where, flat[where])

    def dense(self) -> NDArray[Any]:
        """Give all voxels."""
        labels = np.zeros(self.shape, self.values.dtype)
        labels.reshape(-1)[self.where] = self.values
        return labels

    def same_as(self, other: SparseLabels) -> bool:
        """Whether both say the same of the same voxels."""
        return np.array_equal(self.where, other.where) and np.array_equal(self.values, other.values)

    def at(self, where: NDArray[np.int64]) -> NDArray[Any]:
        """Numbers of these voxels, 0 where there is none."""
        if not self.where.size:
            return np.zeros(where.size, self.values.dtype)
        place = np.minimum(np.searchsorted(self.where, where), self.where.size - 1)
        return np.where(self.where[place] == where, self.values[place], 0)

    def changes_to(self, other: SparseLabels) -> SparseLabels:
        """Voxels whose number is another there, with that number; 0 where there is none any more."""
        added = other.values != self.at(other.where)
        gone = (self.values != 0) & (other.at(self.where) == 0)
        where = np.concatenate([other.where[added], self.where[gone]])
        values = np.concatenate([other.values[added], np.zeros(np.count_nonzero(gone), other.values.dtype)])
        order = np.argsort(where, kind="stable")
        return SparseLabels(self.shape, where[order], values[order])

    def parts(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Each number in use with its voxels, in rising order."""
        order = np.argsort(self.values, kind="stable")
        values, where = self.values[order], self.where[order]
        for part in np.split(np.arange(values.size), np.flatnonzero(values[1:] != values[:-1]) + 1):
            if part.size and values[part[0]] > 0:
                yield int(values[part[0]]), where[part[0] : part[-1] + 1]
