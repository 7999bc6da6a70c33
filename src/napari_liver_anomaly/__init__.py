"""Find liver tumours in CT without ever having seen a labelled tumour.

A *restorer* learns from healthy livers to undo synthetic anomalies; a *segmenter* is trained briefly to spot what the restorer changed
(Zhang, Deng and Li 2023, a two-stage DRAEM). Research software, not a medical device.

The names below are loaded on first use, so importing the package is quick and brings neither torch, scipy nor Qt.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from napari_liver_anomaly.errors import Cancelled, Finding, Refusal
    from napari_liver_anomaly.inference import segment
    from napari_liver_anomaly.io import read, read_mask, write
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.lesions import Lesion, measure
    from napari_liver_anomaly.liver import find_liver
    from napari_liver_anomaly.models import load
    from napari_liver_anomaly.phantom import make_phantom
    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.synthesis.apply import synthesise
    from napari_liver_anomaly.volume import Geometry, Mask, Volume

_MODULES = {
    "Cancelled": "errors",
    "Finding": "errors",
    "Geometry": "volume",
    "Job": "job",
    "Lesion": "lesions",
    "Mask": "volume",
    "Refusal": "errors",
    "Result": "result",
    "Volume": "volume",
    "find_liver": "liver",
    "load": "models",
    "make_phantom": "phantom",
    "measure": "lesions",
    "read": "io",
    "read_mask": "io",
    "segment": "inference",
    "synthesise": "synthesis.apply",
    "write": "io",
}

__all__ = [  # noqa: RUF022 - the same order as the imports above
    "Cancelled", "Finding", "Refusal", "Result", "segment", "Job", "Lesion", "measure", "find_liver", "load",
    "make_phantom", "read", "read_mask", "synthesise", "Geometry", "Mask", "Volume", "write",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name == "__version__":
        from napari_liver_anomaly.errors import version

        return version()
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
