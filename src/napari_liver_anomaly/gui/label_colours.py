"""Colours of labels, by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.utils.colormaps import DirectLabelColormap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray


class LabelColours(DirectLabelColormap):
    """napari's colormap of labels, without its walk in Python over all 65,536 numbers at every change of a colour."""

    def _map_precast(self, values: NDArray[Any], apply_selection: bool) -> NDArray[np.float32]:
        colours = self._values_mapping_to_minimum_values_set(apply_selection)[1]
        table = np.zeros((max(colours) + 1, 4), np.float32)
        for number, colour in colours.items():
            table[number] = colour
        return table[values]


def colours_of(colour: str, others: Mapping[int, str] | None = None) -> LabelColours:
    """Give all labels one colour, but for some that have another."""
    return LabelColours(color_dict={None: colour, 0: "transparent"} | dict(others or {}))
