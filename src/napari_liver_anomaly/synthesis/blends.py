"""Three ways to change the values inside a mask: noise, an added constant, a factor.

References
----------
"Self-supervised anomaly detection with random-shape pseudo-outliers", EMBC 2022, for images in 0…1. It looks for a change anywhere in the image and
names no smallest one; here the change is looked for inside the mask, where alone it is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from napari_liver_anomaly.synthesis.base import Anomalous

if TYPE_CHECKING:
    from numpy.random import Generator
    from numpy.typing import NDArray

KINDS = ("noise", "offset", "multiply")
TRIES = 50


def blended(
    image: NDArray[np.float32],
    mask: NDArray[np.bool_],
    kind: Literal["any", "noise", "offset", "multiply"],
    least_change: float,
    rng: Generator,
) -> Anomalous:
    """Change an image inside a mask; draw the change again until it can be seen."""
    chosen = KINDS[int(rng.integers(len(KINDS)))] if kind == "any" else kind
    for _ in range(TRIES if mask.any() else 0):
        change = _change(image, chosen, rng)
        changed = np.where(mask, np.clip(image + change, 0, 1), image).astype(np.float32)
        if np.abs(changed - image).max() >= least_change:
            return Anomalous(changed, mask)
    return Anomalous(image.copy(), np.zeros_like(mask))


def _change(image: NDArray[np.float32], kind: str, rng: Generator) -> NDArray[np.float32]:
    if kind == "noise":
        return rng.standard_normal(image.shape, dtype=np.float32)
    number = np.float32(rng.standard_normal())
    return image * number if kind == "multiply" else np.full_like(image, number)
