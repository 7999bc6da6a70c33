"""Corrections of whole lesions: leave one out, merge several, split one; each is one step of the layer's history, which can be undone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.gui.lesion_parts import halves

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.result_layers import ResultLayers
    from napari_liver_anomaly.lesions import Lesion


def keep(shown: ResultLayers, lesion: Lesion, *, kept: bool) -> None:
    """Leave a lesion out of the tumours on screen, or take it in again."""
    where = shown.left_out.get(lesion) if kept else shown.voxels_of(lesion)
    if shown.tumours is None or where is None or not where.size:
        return
    _write(shown, where, _free(shown) if kept else 0)
    if not kept:
        others = {one: there for one, there in shown.left_out.items() if not np.isin(there, where, assume_unique=True).any()}
        shown.left_out = others | {lesion: where}


def merge(shown: ResultLayers, lesions: Sequence[Lesion]) -> bool:
    """Make one lesion of several, also of such that do not touch; give whether there was anything to do."""
    there = [lesion for lesion in lesions if lesion in shown.state.lesions]
    if shown.tumours is None or len(there) < 2:
        return False
    there.sort(key=lambda lesion: -lesion.volume_ml)
    parts = [shown.voxels_of(lesion) for lesion in there]
    whole = np.sort(np.concatenate(parts))
    shown.state = replace(shown.state, merged=(*shown.state.merged, whole))
    _write(shown, np.concatenate(parts[1:]), there[0].number)
    return True


def split(shown: ResultLayers, lesion: Lesion) -> bool:
    """Make two lesions of one, where it is narrowest; give whether it has such a place."""
    where = shown.voxels_of(lesion)
    if shown.tumours is None or lesion not in shown.state.lesions:
        return False
    part = halves(where, shown.state.labels.shape, shown.result.volume.geometry.spacing_mm)
    if part is not None:
        _write(shown, part, _free(shown))
    return part is not None


def add_grown(shown: ResultLayers, where: NDArray[np.int64]) -> None:
    """Make a lesion of a region that was grown on the score."""
    shown.state = replace(shown.state, grown=np.union1d(shown.state.grown, where))
    _write(shown, where, _free(shown))


def _free(shown: ResultLayers) -> int:
    return int(shown.state.labels.values.max(initial=0)) + 1


def _write(shown: ResultLayers, where: NDArray[np.int64], number: int) -> None:
    """Give voxels a number, as by the brush."""
    if shown.tumours is not None:
        shown.tumours.data_setitem(np.unravel_index(where, shown.state.labels.shape), number)
