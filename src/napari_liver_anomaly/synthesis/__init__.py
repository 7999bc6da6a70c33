"""Synthetic anomalies: a healthy slice becomes an anomalous slice and its mask, by a seed.

Every recipe is a frozen settings class with one verb, ``draw``; ``RECIPES`` lists them by name for the command line and the panel.
"""

from __future__ import annotations

from napari_liver_anomaly.synthesis.blobs import Blobs
from napari_liver_anomaly.synthesis.contract import Anomalous, Recipe
from napari_liver_anomaly.synthesis.nodules import Nodules
from napari_liver_anomaly.synthesis.noise_stretch import NoiseStretch, NoiseStretchPaper
from napari_liver_anomaly.synthesis.paintbrush import Paintbrush
from napari_liver_anomaly.synthesis.perlin import Perlin
from napari_liver_anomaly.synthesis.shapes import Circles, Squares, Zeroed

RECIPES: dict[str, type[Recipe]] = {
    "nodules": Nodules,
    "blobs": Blobs,
    "noise-stretch": NoiseStretch,
    "noise-stretch-paper": NoiseStretchPaper,
    "paintbrush": Paintbrush,
    "squares": Squares,
    "circles": Circles,
    "zeroed-squares": Zeroed,
    "perlin": Perlin,
}

__all__ = [
    "RECIPES",
    "Anomalous",
    "Blobs",
    "Circles",
    "Nodules",
    "NoiseStretch",
    "NoiseStretchPaper",
    "Paintbrush",
    "Perlin",
    "Recipe",
    "Squares",
    "Zeroed",
]
