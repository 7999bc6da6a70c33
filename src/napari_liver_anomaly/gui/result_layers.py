"""A result on screen: its four layers, and whether its tumours were corrected by hand."""

from __future__ import annotations

import dataclasses
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.gui.layers import HU_RANGE, KEY, RED, Role, Tag, add, find, free_name, outlined
from napari_liver_anomaly.liver_findings import about_pieces
from napari_liver_anomaly.messages import make_finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Labels, Layer
    from numpy.typing import NDArray

    from napari_liver_anomaly.lesions import Lesion
    from napari_liver_anomaly.result import Result

RESIDUAL_HU = 60
HEAT = ((0, 0, 0, 0), (0.35, 0.05, 0.45, 0.35), (0.85, 0.25, 0.25, 0.7), (1, 0.65, 0.1, 0.9), (1, 1, 0.6, 1))
# Clear at 0 HU, so that the scan is seen where nothing was changed.
DARKER_BRIGHTER = ((0.1, 0.3, 1, 1), (0.3, 0.6, 1, 0.6), (1, 1, 1, 0), (1, 0.55, 0.3, 0.6), (1, 0.1, 0.1, 1))


class ResultLayers:
    """The layers of one result, and the lesions as they are now."""

    def __init__(self, viewer: Any, result: Result, place: dict[str, Any], name: str) -> None:
        self.viewer, self.result, self.name = viewer, result, name
        self.lesions: tuple[Lesion, ...] = result.lesions
        self.settings, self.left_out = result.settings, result.left_out  # of the lesions as they were cut last
        self.layers: dict[Role, Layer] = {}
        self.painted: Callable[[], object] = lambda: None  # told when the user paints
        self._place = place
        self._written: NDArray[np.integer] | None = None
        self._sum = 0
        self._touched = False

    @property
    def scan(self) -> str:
        """Identity of the scan."""
        return self.result.volume.identity

    @property
    def threshold(self) -> float:
        """Threshold of the lesions."""
        return self.settings.threshold

    @property
    def auto(self) -> bool:
        """Whether the scan chose the threshold."""
        return self.settings.auto_threshold

    @property
    def tumours(self) -> Labels | None:
        """The tumours on screen; None when the user deleted them."""
        return self.layers.get(Role.TUMOURS)

    @property
    def touched(self) -> bool:
        """Whether the tumours were surely corrected by hand. A change from a script may be seen only by :func:`checksum`."""
        return self.tumours is not None and (self._touched or self.tumours.data is not self._written)

    @property
    def corrected(self) -> bool:
        """Whether the tumours were corrected by hand, by a look at every voxel."""
        return self.touched or (self.tumours is not None and checksum(self.tumours.data) != self.sum)

    @property
    def labels(self) -> NDArray[np.integer]:
        """The lesions as they are now, hand corrections included."""
        return self.result.labels if self.tumours is None else self.tumours.data

    @property
    def sum(self) -> int:
        """Checksum of the lesions as we wrote them."""
        return self._sum

    def show(self, sum_: int, window: tuple[float, float], earlier: ResultLayers | None = None) -> Iterator[None]:
        """Put the layers up, or their new contents into the layers of an earlier run on the same scan."""
        from napari.utils.colormaps import Colormap

        result = self.result
        if result.restored is not None and result.residual is not None:
            look = {"colormap": "gray", "contrast_limits": window, "visible": False}
            self._image(Role.RESTORED, result.restored, look).contrast_limits_range = HU_RANGE
            yield
            colours = Colormap(DARKER_BRIGHTER, name="darker blue, brighter red")
            look = {"colormap": colours, "contrast_limits": (-RESIDUAL_HU, RESIDUAL_HU), "visible": False, "opacity": 0.8}
            self._image(Role.RESIDUAL, result.residual, look).contrast_limits_range = (-300, 300)
            yield
        colours = Colormap(HEAT, name="anomaly heat")
        look = {"colormap": colours, "contrast_limits": (0, 255), "visible": False, "opacity": 0.7}
        self._image(Role.SCORE, result.score, look)
        yield
        if earlier is not None and earlier.tumours is not None and not earlier.corrected:
            earlier.tumours.events.paint.disconnect(earlier._paint)
            self._written = earlier.labels
            self._watch(earlier.tumours)
        yield
        self.put_labels(result.labels, self.lesions, sum_)
        if result.restored is None:  # what an earlier run with another model restored would be taken for this one's
            for layer in filter(None, (find(self.viewer, role, self.scan) for role in (Role.RESTORED, Role.RESIDUAL))):
                yield
                self.viewer.layers.remove(layer)

    def put_labels(self, labels: NDArray[np.uint16], lesions: tuple[Lesion, ...], sum_: int, *, new: bool = False) -> bool:
        """Show lesions; never over a hand correction."""
        tumours = self.tumours
        kept = tumours is not None and (new or self.touched)
        if tumours is None or kept:
            if tumours is not None:
                tumours.events.paint.disconnect(self._paint)
            tag = Tag(Role.TUMOURS, self.scan, self.result.volume.geometry)
            look = outlined(free_name(self.viewer, f"{self.name} {Role.TUMOURS}"), RED, tag)
            self._watch(tumours := add(self.viewer, (labels, look | self._place, "labels")))
        else:
            tumours.data = labels
        self._written, self._sum, self._touched, self.lesions = labels, sum_, False, lesions
        tumours.features = _features(lesions)
        return kept

    def turn_to(self, lesion: Lesion) -> None:
        """Turn to the middle of a lesion; in space, only the sliders move."""
        layer, dims = self.tumours or self.layers.get(Role.SCORE), self.viewer.dims
        if layer is not None:
            dims.set_point(range(dims.ndim - 3, dims.ndim), layer.data_to_world(lesion.centroid_index))

    def forget(self, layer: Layer) -> None:
        """Note that a layer was deleted."""
        for role, held in list(self.layers.items()):
            if held is layer:
                del self.layers[role]

    def now(self) -> Result:
        """Give the result as it is now."""
        before = about_pieces(self.result.left_out)
        findings = tuple(finding for finding in self.result.findings if finding not in before)
        findings += about_pieces(self.left_out) + ((BY_HAND,) if self.corrected else ())
        settings = dataclasses.replace(self.settings, batch=self.result.settings.batch)
        return dataclasses.replace(
            self.result,
            labels=np.array(self.labels),
            lesions=self.lesions,
            settings=settings,
            left_out=self.left_out,
            findings=findings,
        )

    def _image(self, role: Role, data: NDArray[Any], look: dict[str, Any]) -> Layer:
        layer = find(self.viewer, role, self.scan)
        if layer is None or tuple(layer.data.shape) != data.shape:
            tag = Tag(role, self.scan, self.result.volume.geometry)
            kwargs = {"name": free_name(self.viewer, f"{self.name} {role}"), "metadata": {KEY: tag}, "interpolation2d": "nearest"}
            layer = add(self.viewer, (data, kwargs | look | self._place, "image"))
        else:
            layer.data = data
        self.layers[role] = layer
        return layer

    def _watch(self, tumours: Labels) -> None:
        self.layers[Role.TUMOURS] = tumours
        tumours.events.paint.connect(self._paint)

    def _paint(self, _event: object = None) -> None:
        self._touched = True
        self.painted()


BY_HAND = make_finding("corrected-by-hand")


def checksum(labels: NDArray[np.integer]) -> int:
    """Checksum of labels, to see whether somebody changed them. Quick, and may be called on any thread."""
    return zlib.crc32(np.ascontiguousarray(labels).data)


def _features(lesions: tuple[Lesion, ...]) -> Any:
    """Measures as napari's features table shows them, one row per lesion number."""
    import pandas as pd

    rows = [{"index": 0}, *({"index": lesion.number, **_row(lesion)} for lesion in lesions)]
    return pd.DataFrame(rows)


def _row(lesion: Lesion) -> dict[str, float]:
    return {
        "volume (ml)": round(lesion.volume_ml, 2),
        "long diameter (mm)": round(lesion.long_mm, 1),
        "short diameter (mm)": round(lesion.short_mm, 1),
        "mean (HU)": round(lesion.mean_hu, 1),
        "difference to liver (HU)": round(lesion.difference_hu, 1),
    }
