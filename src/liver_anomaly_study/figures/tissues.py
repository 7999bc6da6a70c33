"""Cycle translation: residuals of soft and hard maps and of an autoencoder, and the tissues that lesions are classified as.

References
----------
"Unsupervised anomaly segmentation using image-semantic cycle translation", arXiv:2103.09094, figures 2 to 4, adapted to livers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.figures.panels import Window, outline, sheet, show
from liver_anomaly_study.figures.slice_selection import largest_slices
from napari_liver_anomaly.metrics import Ranking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liver_anomaly_study.figures.subject import Subject

SOFT, HARD, AUTOENCODER = "cycle-continuous", "cycle-discrete", "ae-spatial"
WORDS = {SOFT: "soft maps", HARD: "hard maps", AUTOENCODER: "autoencoder"}
MOST_HU = 80.0
COLOURS = {"background": "black", "dark": "tab:purple", "parenchyma": "tab:olive", "bright": "tab:cyan"}


def draw_maps(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Show the residuals of soft and hard maps."""
    return _residuals(subject, (HARD, SOFT))


def draw_beside(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Show the residuals of an autoencoder and of soft maps."""
    return _residuals(subject, (AUTOENCODER, SOFT))


def _residuals(subject: Subject, keys: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    held_out = subject.held_out(subject.model(keys[0]))
    shown = largest_slices(held_out, 3)
    numbers: dict[str, Any] = {"cases": len(held_out), "models": {}}
    for key in keys:
        subject.model(key)  # before anything is drawn
        scores = np.concatenate([subject.scored(key, one)[0][one.liver_mask] for one in held_out])
        ranking = Ranking.of(scores, np.concatenate([one.truth[one.liver_mask] for one in held_out]))
        numbers["prevalence"] = round(float(ranking.prevalence), 4)
        best, _ = ranking.best_dice()
        numbers["models"][key] = {
            "average_precision": round(float(ranking.average_precision()), 3), "best_dice": round(float(best), 3)
        }  # fmt: skip
    window = Window.for_all([one.liver_mask[z] for one, z in shown])
    figure, panels = sheet(len(shown), 1 + 2 * len(keys), window, side=1.75)
    for row, (axes, (one, z)) in enumerate(zip(panels, shown, strict=True)):
        liver_mask, truth = one.liver_mask[z], window.of(one.truth[z], one.liver_mask[z])
        show(axes[0], window.of(one.images[z], liver_mask), title="" if row else "input, truth")
        outline(axes[0], truth)
        for column, key in enumerate(keys):
            _, healthy = subject.scored(key, one)
            drawn = np.where(liver_mask, healthy[z] if healthy is not None else 0, 0)
            apart = np.abs(one.images[z] - drawn) * liver_mask * one.hu_per_unit
            show(axes[1 + 2 * column], window.of(drawn, liver_mask), title="" if row else f"drawn, {WORDS[key]}")
            bar = show(
                axes[2 + 2 * column],
                window.of(apart, liver_mask),
                0,
                MOST_HU,
                "magma",
                title="" if row else f"|residual|, {WORDS[key]}",
            )
            outline(axes[2 + 2 * column], truth, "white")
    figure.colorbar(bar, ax=panels[:, -1], shrink=0.6, label="HU").ax.tick_params(labelsize=7)
    return figure, numbers


def caption_of_maps(numbers: dict[str, Any]) -> str:
    """Say what the residuals show."""
    each = "; ".join(
        f"{WORDS[key]} (`{key}`) {one['average_precision']:.3f} and {one['best_dice']:.3f}"
        for key, one in numbers["models"].items()
    )
    return (
        f"The slice with most tumour of three scans, its reconstruction by two models, and the residual (0 to {MOST_HU:.0f} "
        "HU; white: truth). Residuals are shown unsmoothed; scores are their mean over 5 × 5 pixels. Average precision and "
        f"best Dice (oracle) over all voxels of {numbers['cases']} held-out livers, prevalence {numbers['prevalence']:.3f}: {each}."
    )


def draw_classes(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Draw what the tissue segmenter classifies tumours as, and how confident it is."""
    from matplotlib.figure import Figure

    model = subject.model(SOFT)
    held_out = subject.held_out(model)
    parts = [(model.tissues(one.images[:, None], one.liver_mask), one) for one in held_out]
    lesion = np.concatenate([np.moveaxis(found, 1, -1)[one.truth & one.liver_mask] for found, one in parts])
    healthy = np.concatenate([np.moveaxis(found, 1, -1)[one.liver_mask & ~one.truth] for found, one in parts])
    likeliest = healthy.argmax(axis=1)
    groups = {"tumour": lesion} | {name: healthy[likeliest == x] for x, name in enumerate(COLOURS) if x}
    figure: Any = Figure(figsize=(8.4, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    numbers: dict[str, Any] = {"pixels": {name: len(values) for name, values in groups.items()}, "mean": {}}
    for x, (name, values) in enumerate(groups.items()):
        mean, floor = values.mean(axis=0) if len(values) else np.zeros(len(COLOURS)), 0.0
        numbers["mean"][name] = dict(zip(COLOURS, np.round(mean, 3).tolist(), strict=True))
        for (tissue, colour), probability in zip(COLOURS.items(), mean, strict=True):
            left.bar(x, probability, bottom=floor, width=0.7, color=colour, label=tissue if not x else None)
            floor += probability
    left.set(xticks=range(len(groups)), xticklabels=[*groups], ylabel="mean probability", ylim=(0, 1.02), xlabel="pixels of")
    left.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(COLOURS), frameon=False, columnspacing=1)
    numbers["unsure"] = {}
    for name, values, colour in (("tumour", lesion, "tab:red"), ("healthy liver", healthy, "0.4")):
        top = np.sort(values.max(axis=1))
        numbers["unsure"][name] = round(float((top <= 0.9).mean()), 3) if len(top) else None
        shown = top[:: max(1, len(top) // 400)]
        right.plot(shown, np.linspace(0, 1, len(shown)), color=colour, label=name)
    right.set(xlabel="probability of the likeliest tissue", ylabel="fraction of pixels below", xlim=(0.25, 1), ylim=(0, 1.02))
    right.grid(alpha=0.3)
    right.legend(fontsize=8)
    return figure, numbers


def caption_of_classes(numbers: dict[str, Any]) -> str:
    """Say what tumours are taken for."""
    mean, unsure = numbers["mean"]["tumour"], numbers["unsure"]
    each = ", ".join(f"{name} {value:.2f}" for name, value in mean.items())
    return (
        "Left: mean probability of each tissue in tumour pixels, and in healthy pixels by their most probable tissue. "
        "Right: confidence of the tissue segmenter, pixel by pixel. "
        f"Tumours are classified as: {each}. The most probable tissue has a probability of at most 0.9 in "
        f"{unsure['tumour']:.0%} of tumour pixels and in {unsure['healthy liver']:.0%} of healthy ones: only there do soft "
        "maps carry more information than hard ones."
    )
