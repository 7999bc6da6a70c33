"""Synthetic anomalies: a healthy slice becomes an anomalous slice and its mask, by a seed.

Every recipe is a frozen settings class with one verb, ``draw``; ``RECIPES`` lists them by name for the command line and the panel.
"""

from __future__ import annotations

from napari_liver_anomaly.synthesis.blobs import Blobs
from napari_liver_anomaly.synthesis.contract import Anomalous, Recipe
from napari_liver_anomaly.synthesis.cutpaste import CutPaste
from napari_liver_anomaly.synthesis.fpi import FPI
from napari_liver_anomaly.synthesis.nodules import Nodules
from napari_liver_anomaly.synthesis.noise_stretch import NoiseStretch, NoiseStretchPaper
from napari_liver_anomaly.synthesis.nsa import NSA
from napari_liver_anomaly.synthesis.pii import PII

RECIPES: dict[str, type[Recipe]] = {
    "nodules": Nodules,
    "blobs": Blobs,
    "noise-stretch": NoiseStretch,
    "noise-stretch-paper": NoiseStretchPaper,
    "fpi": FPI,
    "pii": PII,
    "cutpaste": CutPaste,
    "nsa": NSA,
}

__all__ = ["RECIPES", "Anomalous", "Blobs", "Nodules", "NoiseStretch", "NoiseStretchPaper", "Recipe"]
