"""Synthetic anomalies: a healthy slice becomes an anomalous slice and its mask, by a seed.

Every recipe is a frozen settings class with one verb, ``draw``; ``RECIPES`` lists them by name for the command line and the panel.
"""

from __future__ import annotations

from napari_liver_anomaly.synthesis.base import Anomalous, Recipe
from napari_liver_anomaly.synthesis.blobs import Blobs
from napari_liver_anomaly.synthesis.cutpaste import CutPaste
from napari_liver_anomaly.synthesis.fpi import FPI
from napari_liver_anomaly.synthesis.hu_tumours import HuTumours
from napari_liver_anomaly.synthesis.nodules import Nodules
from napari_liver_anomaly.synthesis.noise_stretch import NoiseStretch, NoiseStretchPaper
from napari_liver_anomaly.synthesis.nsa import NSA
from napari_liver_anomaly.synthesis.paintbrush import Paintbrush
from napari_liver_anomaly.synthesis.perlin import Perlin
from napari_liver_anomaly.synthesis.pii import PII
from napari_liver_anomaly.synthesis.shapes import Circles, Squares, Zeroed
from napari_liver_anomaly.synthesis.texture_layers import Layers
from napari_liver_anomaly.synthesis.varied_nodules import VariedNodules

RECIPES: dict[str, type[Recipe]] = {
    "nodules": Nodules,
    "varied-nodules": VariedNodules,
    "blobs": Blobs,
    "noise-stretch": NoiseStretch,
    "noise-stretch-paper": NoiseStretchPaper,
    "paintbrush": Paintbrush,
    "squares": Squares,
    "circles": Circles,
    "zeroed-squares": Zeroed,
    "perlin": Perlin,
    "hu-tumours": HuTumours,
    "layers": Layers,
    "fpi": FPI,
    "pii": PII,
    "cutpaste": CutPaste,
    "nsa": NSA,
}

__all__ = [
    "FPI", "NSA", "PII", "RECIPES", "Anomalous", "Blobs", "Circles", "CutPaste", "HuTumours",
    "Layers", "Nodules", "NoiseStretch", "NoiseStretchPaper", "Paintbrush", "Perlin", "Recipe", "Squares", "VariedNodules",
    "Zeroed",
]  # fmt: skip
