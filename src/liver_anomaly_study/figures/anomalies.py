"""Synthetic anomalies: what each recipe draws.

References
----------
Zhang, Deng, Li 2023, figure 1 (B).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from liver_anomaly_study.figures.panels import TRUTH, Window, outline, sheet, show
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.synthesis import RECIPES
from napari_liver_anomaly.synthesis.apply import Synthesis, apply_recipe

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from liver_anomaly_study.cases import Case
    from liver_anomaly_study.figures.subject import Subject

PHANTOM_SEED, TRIES = 201, 60
FRACTIONS = (0.02, 0.12)  # of the liver slice, covered by an anomaly on show
LOW_HU, HIGH_HU = -45, 160


def draw_recipes(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Draw every recipe on one slice of a digital abdomen."""
    sample = make_phantom(PhantomSettings(seed=PHANTOM_SEED, tumours=False))
    z = int(sample.liver.voxels.sum(axis=(1, 2)).argmax())
    liver_mask = sample.liver.voxels[z]
    window, columns = Window.for_all([liver_mask]), 4
    rows = -(-(len(RECIPES) + 1) // columns)
    figure, panels = sheet(rows, columns, window, side=2.0, titled=rows)
    places = iter(panels.flat)
    show(next(places), window.of(sample.volume.voxels[z], liver_mask), LOW_HU, HIGH_HU, title="healthy")
    fractions, synthesis = {}, Synthesis(sample.volume, sample.liver)
    for name, kind in RECIPES.items():
        for seed in range(TRIES):
            hu, mask = synthesis.slice(z, kind(), seed)
            fractions[name] = round(float(mask.sum() / liver_mask.sum()), 4)
            if FRACTIONS[0] <= fractions[name] <= FRACTIONS[1]:
                break
        axes = next(places)
        show(axes, window.of(hu, liver_mask), LOW_HU, HIGH_HU, title=name)
        outline(axes, window.of(mask, liver_mask), TRUTH)
    for axes in places:
        axes.set_visible(False)
    return figure, {"fraction_of_liver": fractions}


def changed(recipe: Any, case: Case, z: int, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Put an anomaly on a slice, and try again where the recipe drew none."""
    for _ in range(20):
        drawn = apply_recipe(recipe, case.images[z : z + 1], case.liver_mask[z : z + 1], case.hu_per_unit, rng, case.spacing_mm)
        if drawn.mask.any():
            break
    return drawn.image[0], drawn.mask[0]


def caption_of_recipes(numbers: dict[str, Any]) -> str:
    """Say what the panel of recipes shows."""
    fractions = numbers["fraction_of_liver"]
    return (
        f"One healthy slice of a digital abdomen (1.5 mm pixels, {LOW_HU}…{HIGH_HU} HU) and what each of the {len(fractions)} "
        "recipes makes of it with its default settings; yellow: the target mask for training. For each recipe, the first seed "
        f"whose anomaly covers {FRACTIONS[0]:.0%} to {FRACTIONS[1]:.0%} of the liver on this slice is shown "
        f"(here {min(fractions.values()):.1%} to {max(fractions.values()):.1%})."
    )
