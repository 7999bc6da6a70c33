"""What every threshold needs of a result: made once, at first use in the thread that asks, and kept as long as the result is shown."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from napari_liver_anomaly.lesions import LiverScan
from napari_liver_anomaly.score_voxels import ScoreVoxels
from napari_liver_anomaly.thresholds import score_counts, threshold_from

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from napari_liver_anomaly.result import Result


class PreparedResult:
    """A result with its suspicious voxels and the values of its liver listed."""

    def __init__(self, result: Result) -> None:
        self.result = result

    @cached_property
    def voxels(self) -> ScoreVoxels:
        """The voxels of the score."""
        return ScoreVoxels.of(self.result.score, self.result.liver.probability)

    @cached_property
    def scan(self) -> LiverScan:
        """The scan and its liver, to measure in."""
        return LiverScan(self.result.volume, self.result.liver)

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """How many voxels of the liver have each score."""
        return score_counts(self.result.score, self.result.liver.voxels)

    @cached_property
    def liver_ml(self) -> float:
        """Volume of the liver."""
        return self.result.liver.ml

    @cached_property
    def auto(self) -> float:
        """The threshold that the scan's own scores choose."""
        return threshold_from(self.counts)

    @property
    def ready(self) -> bool:
        """Whether all of it is made, so that asking for it keeps no window waiting."""
        return "auto" in self.__dict__ and "liver_ml" in self.__dict__

    def prepare(self) -> None:
        """Make all of it now, in the worker that asks, rather than when the first threshold is waited for."""
        for made in (self.voxels, self.scan.hu_counts, self.liver_ml, self.auto):
            del made
