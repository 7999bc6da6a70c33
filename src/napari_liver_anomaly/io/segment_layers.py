"""Segments of 3D Slicer in a NRRD file: their names, and layers of them that may overlap."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.io.mask_labels import MOST_LABELS, clean_name
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.storage import voxel_bytes
from napari_liver_anomaly.stored_values import whole_numbers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.io.source import Source

NUMBER = re.compile(r"\d{1,9}")
LABEL_VALUE = re.compile(r"(Segment\d{1,6})_LabelValue")


def segment_names(fields: dict[str, Any]) -> dict[int, str]:
    """Find what the labels of a segmentation are called, in fields ``Segment0_LabelValue`` and ``Segment0_Name``."""
    return {value: name for (_, value), name in _named(fields).items()}


def layered(source: Source, fields: dict[str, Any]) -> Source:
    """Give the segments of all layers numbers of their own, because each layer counts its own from 1."""
    named = _named(fields)
    numbers = {place: number for number, place in enumerate(named, start=1)}

    def load() -> NDArray[np.uint16]:
        stored = whole_numbers(source.load(), 1.0, 0.0)
        voxel_bytes(stored.shape, 2)
        labels = np.zeros((*stored.shape[1:], len(stored)), np.uint16)
        for layer, values in enumerate(stored):
            for value in np.unique(values[values != 0])[: MOST_LABELS + 1]:
                number = numbers.setdefault((layer, int(value)), len(numbers) + 1)  # one that the header does not name
                labels[..., layer][values == value] = number
        if len(numbers) > MOST_LABELS:
            raise make_refusal("mask-no-labels", what="mask", how=f"more than {MOST_LABELS} different values")
        return labels

    return replace(source, load=load, names=dict(enumerate(named.values(), start=1)), layered=True)


def _named(fields: dict[str, Any]) -> dict[tuple[int, int], str]:
    """Names of segments by their layers and the values they have there."""
    found = {}
    for key, value in fields.items():
        segment, layer = LABEL_VALUE.fullmatch(key), "0"
        if segment and NUMBER.fullmatch(str(value)):
            layer = str(fields.get(f"{segment[1]}_Layer", "0"))
            found[int(layer) if NUMBER.fullmatch(layer) else 0, int(value)] = clean_name(
                str(fields.get(f"{segment[1]}_Name", ""))
            )
    return found
