"""Cycle translation: what soft and hard maps leave over, an autoencoder beside them, and what a lesion is taken for.

References
----------
"Unsupervised anomaly segmentation using image-semantic cycle translation", arXiv:2103.09094, figures 2 to 4, adapted to livers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.figures.choosing import largest_slices
from liver_anomaly_study.figures.panels import Window, outline, sheet, show
from napari_liver_anomaly.metrics import Ranking

if TYPE_CHECKING:
    from collections.abc import Sequence

    from liver_anomaly_study.figures.subject import Subject

SOFT, HARD, AUTOENCODER = "cycle-continuous", "cycle-discrete", "ae-spatial"
WORDS = {SOFT: "soft maps", HARD: "hard maps", AUTOENCODER: "autoencoder"}
MOST_HU = 80.0
COLOURS = {"background": "black", "dark": "tab:purple", "parenchyma": "tab:olive", "bright": "tab:cyan"}


def draw_maps(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Show what soft and hard maps leave over.

    Parameters
    ----------
    subject : Subject
        With both kinds of cycle translation.

    Returns
    -------
    tuple
        Figure, and numbers for each system: average precision and best Dice, pooled.
    """
    return _residuals(subject, (HARD, SOFT))


def draw_beside(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Show what an autoencoder and soft maps leave over.

    Parameters
    ----------
    subject : Subject
        With both.

    Returns
    -------
    tuple
        Figure, and numbers as of :func:`draw_maps`.
    """
    return _residuals(subject, (AUTOENCODER, SOFT))


def _residuals(subject: Subject, keys: Sequence[str]) -> tuple[Any, dict[str, Any]]:
    unseen = subject.unseen(subject.system(keys[0]))
    shown = largest_slices(unseen, 3)
    numbers: dict[str, Any] = {"livers": len(unseen), "systems": {}}
    for key in keys:
        subject.system(key)  # before anything is drawn
        scores = np.concatenate([subject.scored(key, one)[0][one.liver_mask] for one in unseen])
        ranking = Ranking.of(scores, np.concatenate([one.truth[one.liver_mask] for one in unseen]))
        numbers["prevalence"] = round(float(ranking.prevalence), 4)
        best, _ = ranking.best_dice()
        numbers["systems"][key] = {
            "average_precision": round(float(ranking.average_precision()), 3), "best_dice": round(float(best), 3)
        }  # fmt: skip
    window = Window.for_all([one.liver_mask[z] for one, z in shown])
    figure, panels = sheet(len(shown), 1 + 2 * len(keys), window, side=1.75)
    for row, (axes, (one, z)) in enumerate(zip(panels, shown, strict=True)):
        liver_mask, truth = one.liver_mask[z], window.of(one.truth[z], one.liver_mask[z])
        show(axes[0], window.of(one.images[z], liver_mask), title="" if row else "input, truth")
        outline(axes[0], truth)
        for place, key in enumerate(keys):
            _, healthy = subject.scored(key, one)
            drawn = np.where(liver_mask, healthy[z] if healthy is not None else 0, 0)
            apart = np.abs(one.images[z] - drawn) * liver_mask * one.hu_per_unit
            show(axes[1 + 2 * place], window.of(drawn, liver_mask), title="" if row else f"drawn, {WORDS[key]}")
            bar = show(
                axes[2 + 2 * place],
                window.of(apart, liver_mask),
                0,
                MOST_HU,
                "magma",
                title="" if row else f"|residual|, {WORDS[key]}",
            )
            outline(axes[2 + 2 * place], truth, "white")
    figure.colorbar(bar, ax=panels[:, -1], shrink=0.6, label="HU").ax.tick_params(labelsize=7)
    return figure, numbers


def words_of_maps(numbers: dict[str, Any]) -> str:
    """Say what the residuals show.

    Parameters
    ----------
    numbers : dict
        From :func:`draw_maps` or :func:`draw_beside`.

    Returns
    -------
    str
        Sentences.
    """
    each = "; ".join(
        f"{WORDS[key]} (`{key}`) {one['average_precision']:.3f} and {one['best_dice']:.3f}"
        for key, one in numbers["systems"].items()
    )
    return (
        f"The slice with most tumour of three scans, what two systems draw of it, and what is left over (0 to {MOST_HU:.0f} "
        "HU; white: truth). Residuals are shown as "
        "they are; scores are their mean over 5 × 5 pixels. Average precision and best Dice (oracle) over all voxels of "
        f"{numbers['livers']} livers that were not "
        f"learned from, prevalence {numbers['prevalence']:.3f}: {each}."
    )


def draw_classes(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Draw what the segmenter of tissues takes tumours for, and how sure it is of them.

    Parameters
    ----------
    subject : Subject
        With cycle translation by soft maps.

    Returns
    -------
    tuple
        Figure, and numbers: mean probabilities of the tissues in tumours and in healthy pixels by their likeliest tissue, and how often the
        likeliest tissue of a pixel has at most 0.9.
    """
    from matplotlib.figure import Figure

    system = subject.system(SOFT)
    unseen = subject.unseen(system)
    parts = [(system.tissues(one.images[:, None], one.liver_mask), one) for one in unseen]
    lesion = np.concatenate([np.moveaxis(found, 1, -1)[one.truth & one.liver_mask] for found, one in parts])
    healthy = np.concatenate([np.moveaxis(found, 1, -1)[one.liver_mask & ~one.truth] for found, one in parts])
    likeliest = healthy.argmax(axis=1)
    groups = {"tumour": lesion} | {name: healthy[likeliest == place] for place, name in enumerate(COLOURS) if place}
    figure: Any = Figure(figsize=(8.4, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    numbers: dict[str, Any] = {"pixels": {name: len(values) for name, values in groups.items()}, "mean": {}}
    for place, (name, values) in enumerate(groups.items()):
        mean, floor = values.mean(axis=0) if len(values) else np.zeros(len(COLOURS)), 0.0
        numbers["mean"][name] = dict(zip(COLOURS, np.round(mean, 3).tolist(), strict=True))
        for (tissue, colour), share in zip(COLOURS.items(), mean, strict=True):
            left.bar(place, share, bottom=floor, width=0.7, color=colour, label=tissue if not place else None)
            floor += share
    left.set(xticks=range(len(groups)), xticklabels=[*groups], ylabel="mean probability", ylim=(0, 1.02), xlabel="pixels of")
    left.legend(fontsize=8, loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(COLOURS), frameon=False, columnspacing=1)
    numbers["unsure"] = {}
    for name, values, colour in (("tumour", lesion, "tab:red"), ("healthy liver", healthy, "0.4")):
        top = np.sort(values.max(axis=1))
        numbers["unsure"][name] = round(float((top <= 0.9).mean()), 3) if len(top) else None
        shown = top[:: max(1, len(top) // 400)]
        right.plot(shown, np.linspace(0, 1, len(shown)), color=colour, label=name)
    right.set(xlabel="probability of the likeliest tissue", ylabel="share of pixels with less", xlim=(0.25, 1), ylim=(0, 1.02))
    right.grid(alpha=0.3)
    right.legend(fontsize=8)
    return figure, numbers


def words_of_classes(numbers: dict[str, Any]) -> str:
    """Say what tumours are taken for.

    Parameters
    ----------
    numbers : dict
        From :func:`draw_classes`.

    Returns
    -------
    str
        Sentences.
    """
    mean, unsure = numbers["mean"]["tumour"], numbers["unsure"]
    each = ", ".join(f"{name} {value:.2f}" for name, value in mean.items())
    return (
        "Left: mean probability of each tissue in pixels of tumours, and in healthy pixels by their likeliest tissue. "
        "Right: how sure the segmenter is of a pixel. "
        f"Tumours are taken for: {each}. The likeliest tissue has at most 0.9 in {unsure['tumour']:.0%} of tumour pixels and "
        f"in {unsure['healthy liver']:.0%} of "
        "healthy ones: only where it is unsure do soft maps carry more than hard ones."
    )
