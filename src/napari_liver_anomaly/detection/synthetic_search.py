"""Would a model see these synthetic anomalies? They are drawn into a scan, which is then searched like any other."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.detection.known_lesions import KnownLesion, look_up, others_in, pieces_of
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.metrics import dice
from napari_liver_anomaly.synthesis.apply import synthesise

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.synthesis import Recipe
    from napari_liver_anomaly.volume import Mask, Volume

LARGE_MM = 10.0  # pieces of anomalies that vessels or the liver's edge cut off are mostly smaller


@dataclass(frozen=True, eq=False, kw_only=True)
class SyntheticSearch:
    """What a model made of a scan with synthetic anomalies.

    Attributes
    ----------
    mask : Mask
        The anomalies.
    result : Result
        The search; its ``volume`` is the scan with the anomalies.
    anomalies : tuple of KnownLesion
        Every connected anomaly, the largest first.
    dice : float
        Overlap of all anomalies with all lesions found, 0 to 1.
    others : int
        Lesions of the search that touch no anomaly: false ones, or lesions that the scan had before.
    """

    mask: Mask
    result: Result
    anomalies: tuple[KnownLesion, ...]
    dice: float
    others: int

    def __repr__(self) -> str:
        return f"SyntheticSearch({self.summary})"

    @property
    def found(self) -> int:
        """How many anomalies were found."""
        return sum(anomaly.found for anomaly in self.anomalies)

    @property
    def summary(self) -> str:
        """One sentence: ``"Found 7 of 9 anomalies (5 of 5 of 10 mm or more), Dice 0.71; 2 lesions elsewhere."``."""
        large = [anomaly.found for anomaly in self.anomalies if anomaly.equivalent_mm >= LARGE_MM]
        of_them = f" ({sum(large)} of {len(large)} of {LARGE_MM:.0f} mm or more)" if len(large) < len(self.anomalies) else ""
        elsewhere = f"; {self.others} lesion{'s' * (self.others != 1)} elsewhere" if self.others else ""
        return f"Found {self.found} of {len(self.anomalies)} anomalies{of_them}, Dice {self.dice:.2f}{elsewhere}."


def search_synthetic(
    volume: Volume,
    liver: Mask,
    recipe: Recipe,
    seed: int,
    model: Any = "standard",
    settings: SegmentSettings | None = None,
    *,
    device: str = "auto",
    job: Job | None = None,
    segment: Callable[..., Result] | None = None,
) -> SyntheticSearch:
    """Draw synthetic anomalies into a scan, as training draws them, and search it with a model.

    Parameters
    ----------
    volume : Volume
        A scan.
    liver : Mask
        Its liver.
    recipe : Recipe
        Family of anomalies, as for :func:`~napari_liver_anomaly.synthesis.apply.synthesise`.
    seed : int
        0 or more.
    model : str, path-like or object
        As for :func:`~napari_liver_anomaly.inference.segment`.
    settings : SegmentSettings, optional
        Likewise.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    job : Job, optional
        Progress and cancel.
    segment : callable, optional
        What searches, called as :func:`~napari_liver_anomaly.inference.segment` is.

    Returns
    -------
    SyntheticSearch
        Each anomaly with its highest score and its overlap.

    Raises
    ------
    Refusal
        When the recipe drew nothing with this seed, and as drawing and searching do.
    Cancelled
        When the job was cancelled.
    """
    anomalous, mask = synthesise(volume, liver, recipe, seed, job)
    if not mask.voxels.any():
        raise make_refusal("anomalies-none")
    anomalous = replace(anomalous, name=f"{volume.name} anomalous")
    # The liver was looked at before anomalies came into it: it is not asked about again.
    result = (segment or _segment())(
        anomalous, replace(liver, scan=anomalous.identity), model, settings, unlikely="accept", device=device, job=job
    )  # fmt: skip
    pieces = pieces_of(mask)
    known = sorted(look_up(pieces, volume, result), key=lambda one: one.volume_ml, reverse=True)
    return SyntheticSearch(
        mask=replace(mask, scan=anomalous.identity), result=result, anomalies=tuple(known),
        dice=dice(result.labels > 0, mask.voxels), others=others_in(pieces, result),
    )  # fmt: skip


def _segment() -> Callable[..., Result]:
    from napari_liver_anomaly.inference import segment

    return segment
