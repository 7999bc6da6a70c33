"""The pictures in the list of recipes: ``python docs/recipe_pictures.py`` draws each on one slice of the healthy phantom.

No picture shows a patient.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.synthesis import RECIPES
from napari_liver_anomaly.synthesis.apply import Synthesis

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PICTURES = Path(__file__).parents[1] / "src" / "napari_liver_anomaly" / "gui" / "recipe_pictures"
PHANTOM_SEED, TRIES = 201, 60
FRACTIONS = (0.02, 0.12)  # of the liver slice, covered by an anomaly on show: as in the figure of all recipes
LOW_HU, HIGH_HU = -45, 160
MARGIN_PX = 4
RED = (255, 77, 77)


def pictures() -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Draw every recipe: its name, and an image (y, x, 3) of the liver with the anomaly outlined."""
    sample = make_phantom(PhantomSettings(seed=PHANTOM_SEED, tumours=False))
    z = int(sample.liver.voxels.sum(axis=(1, 2)).argmax())
    liver = sample.liver.voxels[z]
    rows, columns = (np.flatnonzero(liver.any(axis=axis)) for axis in (1, 0))
    box = tuple(slice(max(part[0] - MARGIN_PX, 0), part[-1] + MARGIN_PX + 1) for part in (rows, columns))
    synthesis = Synthesis(sample.volume, sample.liver)
    for name, kind in RECIPES.items():
        for seed in range(TRIES):
            hu, mask = synthesis.slice(z, kind(), seed)
            if FRACTIONS[0] <= mask.sum() / liver.sum() <= FRACTIONS[1]:
                break
        yield name, picture(hu[box], mask[box])


def picture(hu: NDArray[np.int16], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Show a slice in a liver window, with the edge of the anomaly in red."""
    grey = np.clip((hu.astype(float) - LOW_HU) / (HIGH_HU - LOW_HU), 0, 1) * 255
    shown = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=2)
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    shown[mask & ~inner] = RED
    return shown


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    for name, shown in pictures():
        Image.fromarray(shown).save(PICTURES / f"{name}.png", optimize=True)
