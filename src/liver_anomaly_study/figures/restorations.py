"""What an autoencoder and a U-Net make of the same slices, seen and in Hounsfield units.

References
----------
Zhang, Deng, Li 2023, figure 4 (seen only).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.figures.anomalies import SHARES, changed
from liver_anomaly_study.figures.choosing import largest_slices, quiet_slices
from liver_anomaly_study.figures.panels import Window, left_words, outline, sheet, show

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liver_anomaly_study.cases import Liver
    from liver_anomaly_study.figures.subject import Subject

SYSTEMS = {"cell-tp-pa": "autoencoder", "two-stage": "U-Net"}  # both in two phases, on the same anomalies
MOST_HU = 60.0
LARGE_PX = 1200  # of liver on the slice with the pseudo anomaly on show


def draw_restorations(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Show a healthy, a pseudo-anomalous and a tumour slice with both restorations and what these change.

    Parameters
    ----------
    subject : Subject
        With both systems.

    Returns
    -------
    tuple
        Figure, and numbers for each system: mean absolute HU between restoration and image on healthy pixels; and between restoration and the true
        healthy image inside synthetic lesions, beside that of the lesion itself.
    """
    systems = {key: subject.system(key) for key in SYSTEMS}
    unseen = subject.unseen(systems["two-stage"])
    quiet = quiet_slices(unseen)
    numbers = measured(systems, unseen, quiet)
    liver, z, image, mask = _on_show(systems["two-stage"].plan.recipe, quiet)
    ill, there = largest_slices(unseen, 1)[0]
    rows = (
        ("healthy", liver.images[z], np.zeros_like(mask), liver.liver_mask[z]), ("pseudo anomaly", image, mask, liver.liver_mask[z]),
        ("tumour", ill.images[there], ill.truth[there], ill.liver_mask[there]),
    )  # fmt: skip
    window = Window.for_all([liver_mask for *_, liver_mask in rows])
    figure, panels = sheet(len(rows), 5, window, side=1.75)
    for row, (axes, (words, seen, outlined, liver_mask)) in enumerate(zip(panels, rows, strict=True)):
        show(axes[0], window.of(seen, liver_mask), title="" if row else "input")
        outline(axes[0], window.of(outlined, liver_mask))
        left_words(axes[0], words)
        for place, (key, name) in enumerate(SYSTEMS.items()):
            healthy = restore(systems[key], seen, liver_mask) * liver_mask
            apart = np.abs(seen - healthy) * liver_mask * liver.hu_per_unit
            show(axes[1 + place], window.of(healthy, liver_mask), title="" if row else f"restored, {name}")
            bar = show(
                axes[3 + place], window.of(apart, liver_mask), 0, MOST_HU, "magma", title="" if row else f"|change|, {name}"
            )
    figure.colorbar(bar, ax=panels[:, -1], shrink=0.6, label="HU").ax.tick_params(labelsize=7)
    return figure, numbers


def _on_show(recipe: Any, quiet: list[tuple[Liver, int]]) -> tuple[Liver, int, NDArray[np.float32], NDArray[np.bool_]]:
    """Draw on slices in a random order until an anomaly can be seen well; else the largest is taken."""
    chance = np.random.default_rng(1)
    drawn = []
    for place in chance.permutation(len(quiet)):
        liver, z = quiet[place]
        image, mask = changed(recipe, liver, z, chance)
        drawn.append((liver, z, image, mask))
        if SHARES[0] <= mask.sum() / liver.liver_mask[z].sum() <= SHARES[1] and liver.liver_mask[z].sum() >= LARGE_PX:
            return drawn[-1]
    return max(drawn, key=lambda each: each[3].sum())


def measured(systems: dict[str, Any], unseen: list[Liver], quiet: list[tuple[Liver, int]]) -> dict[str, Any]:
    """Measure restorations in Hounsfield units.

    Parameters
    ----------
    systems : dict
        Systems by key, which see slices alike, one at a time.
    unseen : list of Liver
        Livers that they did not learn from.
    quiet : list of tuple
        Their slices without tumour, on which anomalies are drawn.

    Returns
    -------
    dict
        ``lesion_hu``, how far the synthetic lesions are from the healthy image; for each system ``healthy_hu`` and ``inside_hu``.
    """
    chance = np.random.default_rng(0)
    recipe = next(iter(systems.values())).plan.recipe
    drawn = [(*changed(recipe, liver, z, chance), liver, z) for liver, z in quiet]
    drawn = [each for each in drawn if each[1].any()]
    hu = unseen[0].hu_per_unit
    lesion = np.concatenate([np.abs(image - liver.images[z])[mask] for image, mask, liver, z in drawn])
    numbers: dict[str, Any] = {"slices": len(drawn), "lesion_hu": round(float(lesion.mean()) * hu, 2), "systems": {}}
    for key, system in systems.items():
        inside = np.concatenate([
            np.abs(restore(system, image, liver.liver_mask[z]) - liver.images[z])[mask] for image, mask, liver, z in drawn
        ])  # fmt: skip
        outside = np.concatenate([
            np.abs(restore(system, one.images[z], one.liver_mask[z]) - one.images[z])[one.liver_mask[z] & ~one.truth[z]]
            for one in unseen for z in range(len(one.images))
        ])  # fmt: skip
        numbers["systems"][key] = {
            "healthy_hu": round(float(outside.mean()) * hu, 2), "inside_hu": round(float(inside.mean()) * hu, 2)
        }  # fmt: skip
    return numbers


def restore(system: Any, image: NDArray[np.float32], liver_mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Give the healthy image of one slice.

    Parameters
    ----------
    system : System
        With a restorer, seeing one slice at a time.
    image : ndarray, (H, W) float32
        0…1.
    liver_mask : ndarray, (H, W) bool
        Where the liver is.

    Returns
    -------
    ndarray, (H, W) float32
        About 0…1.
    """
    healthy: NDArray[np.float32] = system.score(image[None, None], liver_mask[None]).restored[0]
    return healthy


def words_of_restorations(numbers: dict[str, Any]) -> str:
    """Say what the restorations show.

    Parameters
    ----------
    numbers : dict
        From :func:`draw_restorations`.

    Returns
    -------
    str
        Sentences and a table.
    """
    rows = "\n".join(
        f"| {SYSTEMS[key]} (`{key}`) | {one['healthy_hu']:.1f} | {one['inside_hu']:.1f} |"
        for key, one in numbers["systems"].items()
    )
    return (
        "Restorations of the same slices by two restorers of the ablation that learned from the same anomalies, with and "
        "without skip connections (and each "
        "with its own loss: mean absolute difference for the U-Net, mean square and structural similarity for the "
        "autoencoder), and what they change "
        f"(0 to {MOST_HU:.0f} HU, in the liver). A perfect restorer changes the healthy row nowhere, and the others inside "
        "the outline alone. Measured on all scans "
        f"that they did not learn from, synthetic lesions on {numbers['slices']} slices without tumour:\n\n"
        "| restorer | change of healthy liver, mean absolute HU | distance to the true healthy image inside synthetic "
        "lesions, mean absolute HU |\n"
        f"| --- | --- | --- |\n{rows}\n| (the lesion itself, unrestored) | 0.0 | {numbers['lesion_hu']:.1f} |"
    )
