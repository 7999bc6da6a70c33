"""What a run found, whoever asked for it: the arrays, the lesions, how they were made, and the sentence that sums it up."""

from __future__ import annotations

import math
import reprlib
from dataclasses import dataclass, field
from importlib.metadata import version as installed
from typing import TYPE_CHECKING, Literal

from napari_liver_anomaly.errors import version
from napari_liver_anomaly.geometry import wrong_shape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.lesions import Lesion
    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.volume import Mask, Volume


LIBRARIES = ("torch", "numpy", "nibabel")
Origin = Literal["automatic", "corrected", "manual"]
LiverFrom = Literal["given", "found", "corrected"]


def _versions() -> dict[str, str]:
    """Tell which versions of this package and of the libraries that decide about the numbers are installed."""
    return {"napari-liver-anomaly": version()} | {name: installed(name) for name in LIBRARIES}


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """All that a run found, on the scan's grid in canonical order.

    Attributes
    ----------
    volume : Volume
        The scan.
    liver : Mask
        Where it was searched.
    restored, residual : ndarray, (z, y, x) int16, or None
        The scan as a healthy liver would look, in HU; and scan minus restored, negative where a lesion is dark, 0 outside the liver. Their sum is the
        scan, exactly. None for a method without a restorer.
    score : ndarray, (z, y, x) uint8
        Anomaly score, 0…255 for 0…1; 0 outside the liver.
    labels : ndarray, (z, y, x) uint16
        Number of the lesion each voxel belongs to at the settings' threshold, or 0.
    lesions : tuple of Lesion
        The lesions, largest first.
    settings : SegmentSettings
        Threshold that was used, chosen or given, and smallest lesion.
    model, model_hash : str
        Name of the model, and SHA-256 of its weights (empty for a rule without weights).
    device, ran_on : str
        ``"cpu"`` or ``"cuda"``; and one sentence for the user.
    timings_s : dict
        Seconds for each part.
    findings : tuple of Finding
        What is doubtful, to be shown and stored: about the scan, then the liver, then the run, each once.
    liver_from : str
        ``"given"`` by the user, or ``"found"`` by the program.
    left_out : int
        Pieces that were left out because the found liver is unsure there.
    versions : dict
        Version of this package, torch, numpy and nibabel.
    about_model : mapping of str to str
        What the card of these very weights says of the model, by heading; empty for a rule without weights.
    healthy_scores : mapping of float to float
        Scores that only small shares of healthy liver reach, by the share, as the card of these very weights says; empty where nobody measured.
    origins : mapping of int to str
        Of each lesion that a person touched, by its number: ``"corrected"``, or ``"manual"`` where nothing of it came from the program.
    rejected : tuple of Lesion
        Lesions that a person rejected: in no mask, and not among ``lesions``.
    comments : mapping of Lesion to str
        What a person wrote to lesions, to rejected ones too.
    targets : tuple of int
        Numbers of the lesions that a person chose as target lesions (RECIST 1.1: two in one organ at most).
    """

    volume: Volume
    liver: Mask
    restored: NDArray[np.int16] | None
    residual: NDArray[np.int16] | None
    score: NDArray[np.uint8]
    labels: NDArray[np.uint16]
    lesions: tuple[Lesion, ...]
    settings: SegmentSettings
    model: str
    model_hash: str
    device: str
    ran_on: str
    timings_s: dict[str, float]
    findings: tuple[Finding, ...] = ()
    liver_from: LiverFrom = "given"
    left_out: int = 0
    versions: dict[str, str] = field(default_factory=_versions)
    about_model: Mapping[str, str] = field(default_factory=dict)
    healthy_scores: Mapping[float, float] = field(default_factory=dict)
    origins: Mapping[int, Origin] = field(default_factory=dict)
    rejected: tuple[Lesion, ...] = ()
    comments: Mapping[Lesion, str] = field(default_factory=dict)
    targets: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.liver.of(self.volume, "liver mask")
        for name in ("restored", "residual", "score", "labels"):
            array = getattr(self, name)
            if array is not None and array.shape != self.volume.voxels.shape:
                raise wrong_shape(f"A {name} image", array.shape, self.volume.voxels.shape)

    def __repr__(self) -> str:
        return f"Result({reprlib.repr(self.model)}, {count(self.lesions)}, {self.liver.ml:,.0f} ml of liver {self.liver_from})"

    def _repr_html_(self) -> str:
        from napari_liver_anomaly.notebook import LIVER, TUMOUR, largest_slice, slice_html

        tumours = self.labels > 0
        number = largest_slice(tumours if tumours.any() else self.liver.voxels)
        contours = {LIVER: self.liver.voxels[number], TUMOUR: tumours[number]}
        return slice_html(
            self.volume.voxels[number], self.volume.geometry.spacing_mm[1:], f"{self.summary} Slice {number}.", contours
        )

    def origin(self, lesion: Lesion) -> Origin:
        """Say whether a lesion is as the program found it.

        Parameters
        ----------
        lesion : Lesion
            One of these.

        Returns
        -------
        str
            ``"automatic"``, ``"corrected"`` or ``"manual"``.
        """
        return self.origins.get(lesion.number, "automatic")

    @property
    def tumour_ml(self) -> float:
        """Volume of all lesions in ml."""
        return math.fsum(lesion.volume_ml for lesion in self.lesions)

    @property
    def target_mm(self) -> float:
        """Sum of the longest diameters of the target lesions in mm."""
        return math.fsum(lesion.long_mm for lesion in self.lesions if lesion.number in self.targets)

    @property
    def summary(self) -> str:
        """One sentence: ``"Searched 1,432 ml of liver, threshold 0.50: 2 lesions, 12.4 ml in all."``."""
        return summary(self.liver.ml, self.settings.threshold, self.lesions, self.left_out)


def summary(liver_ml: float, threshold: float, lesions: Sequence[Lesion], left_out: int = 0) -> str:
    """Sum up a search in one sentence that tells "nothing found" from "not searched"."""
    unsure = f"; {left_out} piece{'s' * (left_out != 1)} left out, where the found liver is unsure" if left_out else ""
    return f"Searched {liver_ml:,.0f} ml of liver, threshold {threshold:.2f}: {count(lesions)}{unsure}."


def count(lesions: Sequence[Lesion]) -> str:
    """Say how many lesions there are, and how large they are together."""
    return count_of(len(lesions), math.fsum(lesion.volume_ml for lesion in lesions))


def count_of(number: int, total_ml: float) -> str:
    """Say it of lesions that are only counted."""
    return f"{number} lesion{'s' * (number != 1)}, {total_ml:,.1f} ml in all" if number else "nothing found"
