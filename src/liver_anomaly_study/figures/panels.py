"""Slices side by side: grey images cropped to the liver, outlines, maps, and files small enough to keep."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.charts import save_svg
from napari_liver_anomaly.placing import replacing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

COLOURS, DPI = 200, 100
TITLE = 0.17  # inches
TRUTH, PREDICTION = "#ffd21f", "#29b6f6"
MARGIN_PX = 2


def sheet(rows: int, columns: int, window: Window, side: float = 1.7, titled: int = 1) -> tuple[Any, Any]:
    """Make a figure of panels without axes."""
    from matplotlib.figure import Figure

    figure: Any = Figure(
        figsize=(side * columns, side * window.height / window.width * rows + TITLE * titled), layout="constrained", dpi=DPI
    )
    figure.get_layout_engine().set(w_pad=0.01, h_pad=0.015, wspace=0.01, hspace=0.01)
    panels = figure.subplots(rows, columns, squeeze=False)
    for axes in panels.flat:
        bare(axes)
    return figure, panels


def bare(axes: Any) -> None:
    """Take ticks and frame from a panel."""
    axes.set(xticks=[], yticks=[])
    for line in axes.spines.values():
        line.set_visible(False)


@dataclass(frozen=True)
class Window:
    """A field of view of one size for several slices, so that they are shown at one scale, each centred on its liver."""

    height: int
    width: int

    @classmethod
    def for_all(cls, liver_masks: Iterable[NDArray[np.bool_]]) -> Window:
        """Choose a window that holds each liver."""
        spans = np.array([[last - first for first, last in _box(liver_mask)] for liver_mask in liver_masks])
        height, width = spans.max(axis=0) + 2 * MARGIN_PX
        return cls(int(height), int(width))

    def of(self, array: NDArray[Any], liver_mask: NDArray[np.bool_]) -> NDArray[Any]:
        """Cut a slice."""
        sizes = (self.height, self.width)
        padded = np.pad(array, [(size, size) for size in sizes])
        firsts = [(first + last) // 2 - size // 2 + size for (first, last), size in zip(_box(liver_mask), sizes, strict=True)]
        return padded[tuple(slice(first, first + size) for first, size in zip(firsts, sizes, strict=True))]


def _box(liver_mask: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """First row and the one after the last, and the same for columns."""
    places = (np.flatnonzero(liver_mask.any(axis=1 - axis)) for axis in (0, 1))
    return [(int(one[0]), int(one[-1]) + 1) for one in places]


def show(axes: Any, image: NDArray[np.float32], low: float = 0, high: float = 1, colours: str = "gray", title: str = "") -> Any:
    """Show a slice."""
    axes.set_title(title, fontsize=8, pad=2)
    return axes.imshow(image, cmap=colours, vmin=low, vmax=high, interpolation="nearest")


def outline(axes: Any, mask: NDArray[np.bool_], colour: str = TRUTH) -> None:
    """Draw round a mask."""
    if mask.any():
        axes.contour(mask.astype(float), levels=[0.5], colors=colour, linewidths=0.9)


def left_words(axes: Any, words: str) -> None:
    """Write beside the first panel of a row."""
    axes.set_ylabel(words, fontsize=8, labelpad=2)


def save(figure: Any, path: Path, title: str) -> None:
    """Write a figure, the same in every byte for the same figure: charts as SVG, images as PNG of few colours."""
    if path.suffix == ".svg":
        save_svg(figure, path, title)
        return
    from PIL import Image

    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    with Image.open(drawn) as image, replacing(path) as beside:
        few = image.convert("RGB").quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        few.save(beside, format="png", optimize=True)
