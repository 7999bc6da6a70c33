"""Faults of what a model is said to see."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from faults.table import Kit, row
from napari_liver_anomaly.detection import DetectionLimitSettings, detection_limit, search_synthetic
from napari_liver_anomaly.detection.inserted_lesions import HealthyTissue
from napari_liver_anomaly.detection.limit_table import cells_of
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.phantom import PhantomSettings, Sample, make_phantom
from napari_liver_anomaly.synthesis import RECIPES

FEW = DetectionLimitSettings(sizes=2, contrasts=2, per_cell=2, size_low_mm=8)


@cache
def _sample() -> Sample:
    return make_phantom(PhantomSettings(slices=24, size_px=96))


@row(150)
def a_model_is_credited_with_what_it_does_not_see(kit: Kit) -> None:
    """A lesion counts as found though the model found another one, or one that was in the scan before; a real lesion is taken for a false one."""
    sample = _sample()
    invisible = replace(FEW, contrast_low_hu=0, contrast_high_hu=0)
    limit = detection_limit(sample.volume, sample.liver, DarkRule(), invisible)
    assert limit.inserted.sum() > 0 and limit.found.sum() == 0, "nothing was there to be found"
    found = search_synthetic(sample.volume, sample.liver, RECIPES["nodules"](p_empty=0.0), 1, DarkRule())
    elsewhere = {int(number) for number in np.unique(found.result.labels[~found.mask.voxels])} - {0}
    touching = {int(number) for number in np.unique(found.result.labels[found.mask.voxels])} - {0}
    assert found.others == len(elsewhere - touching) and f"{found.others} lesion" in found.summary
    assert found.found == sum(one.dice > 0 for one in found.anomalies)


@row(151)
def a_lesion_is_inserted_where_the_tissue_is_not_healthy(kit: Kit) -> None:
    """A lesion is inserted into a vessel, a tumour or the liver's edge, where it is easier or harder to see than in the liver."""
    sample = _sample()
    tumours = sample.tumours.voxels
    tissue = HealthyTissue(sample.volume, sample.liver, tumours)
    inside = sample.liver.voxels
    median = float(np.median(sample.volume.voxels[inside]))
    rng = np.random.default_rng(0)
    for diameter_mm in (6.0, 15.0):
        middles = [tissue.place(diameter_mm, [], rng) for _ in range(40)]
        assert all(middle is not None and inside[middle] and not tumours[middle] for middle in middles)
        around = [sample.volume.voxels[z - 1 : z + 2, y - 1 : y + 2, x - 1 : x + 2].mean() for z, y, x in middles]  # type: ignore[misc]
        assert np.abs(np.array(around) - median).max() < 40, "a vessel of the phantom is 60 HU brighter, and more"


@row(152)
def not_inserted_looks_like_not_found(kit: Kit) -> None:
    """Lesions for which there was no room or no time look like lesions that the model missed."""
    sample = _sample()
    large = replace(FEW, size_high_mm=100)
    limit = detection_limit(sample.volume, sample.liver, DarkRule(), large)
    assert cells_of(limit)[-1] == ["100 mm", "–", "–"] and limit.without_place == 4
    assert limit.smallest_found_mm(limit.settings.darker_hu[-1]) != 100
    hurried = detection_limit(sample.volume, sample.liver, DarkRule(), replace(FEW, per_cell=30, most_minutes=0))
    assert hurried.searches < hurried.planned and "by the limit of time" in hurried.summary
    assert hurried.inserted.sum() == len(hurried.lesions) == sum(one.search == 1 for one in hurried.lesions)
