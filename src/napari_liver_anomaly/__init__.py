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
    from napari_liver_anomaly.evaluation.cross_validation import cross_validate
    from napari_liver_anomaly.evaluation.evaluate import evaluate
    from napari_liver_anomaly.geometry import Geometry
    from napari_liver_anomaly.inference import segment
    from napari_liver_anomaly.io import read, read_mask, write
    from napari_liver_anomaly.io.read_options import ReadOptions
    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.lesions import Lesion, measure
    from napari_liver_anomaly.liver import find_liver
    from napari_liver_anomaly.models import load
    from napari_liver_anomaly.models.config import ModelConfig, Schedule
    from napari_liver_anomaly.models.registry import config_of
    from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
    from napari_liver_anomaly.preprocessing import PreprocessSettings, prepare
    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.synthesis import RECIPES, Recipe
    from napari_liver_anomaly.synthesis.apply import synthesise
    from napari_liver_anomaly.training.fit import fit_and_save, train
    from napari_liver_anomaly.training.training_file import TrainingCase, pack_training_set, read_training_set
    from napari_liver_anomaly.volume import Mask, Volume

_MODULES = {
    "Cancelled": "errors",
    "Finding": "errors",
    "Geometry": "geometry",
    "Job": "job",
    "Lesion": "lesions",
    "Mask": "volume",
    "PhantomSettings": "phantom",
    "PreprocessSettings": "preprocessing",
    "RECIPES": "synthesis",
    "ReadOptions": "io.read_options",
    "Recipe": "synthesis",
    "Refusal": "errors",
    "Result": "result",
    "ModelConfig": "models.config",
    "Schedule": "models.config",
    "config_of": "models.registry",
    "SegmentSettings": "segmentation",
    "TrainingCase": "training.training_file",
    "Volume": "volume",
    "cross_validate": "evaluation.cross_validation",
    "evaluate": "evaluation.evaluate",
    "find_liver": "liver",
    "fit_and_save": "training.fit",
    "load": "models",
    "make_phantom": "phantom",
    "measure": "lesions",
    "pack_training_set": "training.training_file",
    "prepare": "preprocessing",
    "read": "io",
    "read_training_set": "training.training_file",
    "read_mask": "io",
    "segment": "inference",
    "synthesise": "synthesis.apply",
    "train": "training.fit",
    "write": "io",
}

__all__ = [  # noqa: RUF022 - the same order as the imports above
    "Cancelled", "Finding", "Refusal", "cross_validate", "evaluate", "segment", "read", "read_mask", "write",
    "ReadOptions", "Job", "Lesion", "measure", "find_liver", "load", "PhantomSettings", "make_phantom",
    "PreprocessSettings", "prepare", "Result", "SegmentSettings", "RECIPES", "Recipe", "synthesise", "fit_and_save",
    "train", "ModelConfig", "Schedule", "config_of", "TrainingCase", "pack_training_set", "read_training_set", "Geometry", "Mask", "Volume",
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
