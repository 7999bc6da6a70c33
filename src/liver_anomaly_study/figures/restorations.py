"""What an autoencoder and a U-Net make of the same slices, seen and in Hounsfield units.

References
----------
Zhang, Deng, Li 2023, figure 4 (seen only).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.figures.anomalies import FRACTIONS, changed
from liver_anomaly_study.figures.panels import Window, left_words, outline, sheet, show
from liver_anomaly_study.figures.slice_selection import largest_slices, tumour_free_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liver_anomaly_study.cases import Case
    from liver_anomaly_study.figures.subject import Subject

METHODS = {"cell-tp-pa": "autoencoder", "two-stage": "U-Net"}  # both in two phases, on the same anomalies
MOST_HU = 60.0
LARGE_PX = 1200  # of liver on the slice with the pseudo anomaly on show


def draw_restorations(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Show a healthy, a pseudo-anomalous and a tumour slice with both restorations and what these change."""
    models = {key: subject.model(key) for key in METHODS}
    held_out = subject.held_out(models["two-stage"])
    tumour_free = tumour_free_slices(held_out)
    numbers = measured(models, held_out, tumour_free)
    case, z, image, mask = _on_show(models["two-stage"].config.recipe, tumour_free)
    with_tumour, there = largest_slices(held_out, 1)[0]
    rows = (
        ("healthy", case.images[z], np.zeros_like(mask), case.liver_mask[z]), ("pseudo anomaly", image, mask, case.liver_mask[z]),
        ("tumour", with_tumour.images[there], with_tumour.truth[there], with_tumour.liver_mask[there]),
    )  # fmt: skip
    window = Window.for_all([liver_mask for *_, liver_mask in rows])
    figure, panels = sheet(len(rows), 5, window, side=1.75)
    for row, (axes, (words, seen, outlined, liver_mask)) in enumerate(zip(panels, rows, strict=True)):
        show(axes[0], window.of(seen, liver_mask), title="" if row else "input")
        outline(axes[0], window.of(outlined, liver_mask))
        left_words(axes[0], words)
        for column, (key, name) in enumerate(METHODS.items()):
            healthy = restore(models[key], seen, liver_mask) * liver_mask
            apart = np.abs(seen - healthy) * liver_mask * case.hu_per_unit
            show(axes[1 + column], window.of(healthy, liver_mask), title="" if row else f"restored, {name}")
            bar = show(
                axes[3 + column], window.of(apart, liver_mask), 0, MOST_HU, "magma", title="" if row else f"|change|, {name}"
            )
    figure.colorbar(bar, ax=panels[:, -1], shrink=0.6, label="HU").ax.tick_params(labelsize=7)
    return figure, numbers


def _on_show(recipe: Any, tumour_free: list[tuple[Case, int]]) -> tuple[Case, int, NDArray[np.float32], NDArray[np.bool_]]:
    """Draw on slices in a random order until an anomaly can be seen well; else the largest is taken."""
    rng = np.random.default_rng(1)
    drawn = []
    for number in rng.permutation(len(tumour_free)):
        case, z = tumour_free[number]
        image, mask = changed(recipe, case, z, rng)
        drawn.append((case, z, image, mask))
        if FRACTIONS[0] <= mask.sum() / case.liver_mask[z].sum() <= FRACTIONS[1] and case.liver_mask[z].sum() >= LARGE_PX:
            return drawn[-1]
    return max(drawn, key=lambda each: each[3].sum())


def measured(models: dict[str, Any], held_out: list[Case], tumour_free: list[tuple[Case, int]]) -> dict[str, Any]:
    """Measure restorations in Hounsfield units."""
    rng = np.random.default_rng(0)
    recipe = next(iter(models.values())).config.recipe
    drawn = [(*changed(recipe, case, z, rng), case, z) for case, z in tumour_free]
    drawn = [each for each in drawn if each[1].any()]
    hu = held_out[0].hu_per_unit
    lesion = np.concatenate([np.abs(image - case.images[z])[mask] for image, mask, case, z in drawn])
    numbers: dict[str, Any] = {"slices": len(drawn), "lesion_hu": round(float(lesion.mean()) * hu, 2), "models": {}}
    for key, model in models.items():
        inside = np.concatenate([
            np.abs(restore(model, image, case.liver_mask[z]) - case.images[z])[mask] for image, mask, case, z in drawn
        ])  # fmt: skip
        outside = np.concatenate([
            np.abs(restore(model, one.images[z], one.liver_mask[z]) - one.images[z])[one.liver_mask[z] & ~one.truth[z]]
            for one in held_out for z in range(len(one.images))
        ])  # fmt: skip
        numbers["models"][key] = {
            "healthy_hu": round(float(outside.mean()) * hu, 2), "inside_hu": round(float(inside.mean()) * hu, 2)
        }  # fmt: skip
    return numbers


def restore(model: Any, image: NDArray[np.float32], liver_mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Give the healthy image of one slice."""
    healthy: NDArray[np.float32] = model.predict(image[None, None], liver_mask[None]).restored[0]
    return healthy


def caption_of_restorations(numbers: dict[str, Any]) -> str:
    """Say what the restorations show."""
    rows = "\n".join(
        f"| {METHODS[key]} (`{key}`) | {one['healthy_hu']:.1f} | {one['inside_hu']:.1f} |"
        for key, one in numbers["models"].items()
    )
    return (
        "Restorations of the same slices by two restorers of the ablation trained on the same anomalies, with and without skip "
        "connections (each with its own loss: mean absolute error for the U-Net, mean squared error and structural similarity "
        f"for the autoencoder), and the absolute change (0 to {MOST_HU:.0f} HU, in the liver). A perfect restorer changes "
        "nothing in the healthy row, and only the outlined region in the others. Measured on all held-out scans, synthetic "
        f"lesions on {numbers['slices']} slices without tumour:\n\n"
        "| restorer | change of healthy liver, mean absolute HU | distance to the true healthy image inside synthetic "
        "lesions, mean absolute HU |\n"
        f"| --- | --- | --- |\n{rows}\n| (the lesion itself, unrestored) | 0.0 | {numbers['lesion_hu']:.1f} |"
    )
