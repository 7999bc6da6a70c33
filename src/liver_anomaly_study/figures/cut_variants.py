"""Variants of ASC-Net: other seeds, more cycles, other cuts.

References
----------
Dey, Hong, MICCAI 2021 and its extension on arXiv, figures 9, 10 and 12.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.figures.cuts import KEY, LEVELS, counted, cuts_of, dice_by_cut, draw_histogram, peaks
from liver_anomaly_study.figures.panels import DPI, Window, left_words, outline, sheet, show
from liver_anomaly_study.figures.slice_selection import largest_slices
from napari_liver_anomaly.models.asc_net import PAPER_CUT

if TYPE_CHECKING:
    from liver_anomaly_study.figures.subject import Subject

NARROW = (200, 256)  # around the paper's cuts, 238 and 242 of 255


def draw_again(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Show what trainings with other seeds make of the same slices."""
    seeds = subject.seeds(KEY)
    if len(seeds) < 2:
        raise subject.lacking(KEY, 3)
    shown = largest_slices(subject.held_out(subject.model(KEY, seeds[0])), 3)
    window = Window.for_all([one.liver_mask[z] for one, z in shown])
    figure, panels = sheet(len(seeds), len(shown) + 1, window, side=1.8)
    numbers: dict[str, Any] = {"seeds": []}
    for axes, seed in zip(panels, seeds, strict=True):
        model = subject.model(KEY, seed)
        held_out = subject.held_out(model)
        made = [cuts_of(model, one)["reconstruction"] for one in held_out]
        names = [one.name for one in held_out]
        for panel, (one, z) in zip(axes, shown, strict=False):
            show(panel, window.of(made[names.index(one.name)][z], one.liver_mask[z]))
            outline(panel, window.of(one.truth[z], one.liver_mask[z]))
        left_words(axes[0], f"seed {seed}")
        values = np.concatenate([whole[one.liver_mask] for whole, one in zip(made, held_out, strict=True)])
        count = counted(made, held_out)
        draw_histogram(axes[-1], count["histogram"])
        axes[-1].set_xticks([0, 127, 255])
        cut = _cut_of(model)
        curve = dice_by_cut(count)
        numbers["seeds"].append({
            "seed": seed, "peaks": len(peaks(values)), "cut": round(cut), "dice": round(float(curve[round(cut)]), 3),
            "best_dice": round(float(curve.max()), 3), "best_cut": int(curve.argmax()),
        })  # fmt: skip
    return figure, numbers


def _cut_of(model: Any) -> float:
    """Give a model's own cut through the inverted reconstruction, 0 to 255."""
    return float(model.parts["scale"].cut) * (LEVELS - 1)


def _cut_at(model: Any, score: float) -> float:
    """Give the cut through the inverted reconstruction, 0 to 255, at which the model gives a score."""
    cut = _cut_of(model)
    return 2 * score * cut if score < 0.5 else cut + (2 * score - 1) * (LEVELS - 1 - cut)


def caption_of_again(numbers: dict[str, Any]) -> str:
    """Say what other seeds show."""
    each = "; ".join(
        f"seed {one['seed']}: {one['peaks']} peak{'' if one['peaks'] == 1 else 's'}, Dice {one['dice']:.2f} at its own cut ({one['cut']}), "
        f"{one['best_dice']:.2f} at the best "
        f"({one['best_cut']}, oracle)"
        for one in numbers["seeds"]
    )
    return (
        "Reconstructions of the same three slices by trainings that differ only in their seed, and their histograms in all "
        f"held-out livers. Dice is pooled over these: {each}."
    )


def draw_thresholds(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Draw Dice against the cut through the inverted reconstruction."""
    from matplotlib.figure import Figure

    model = subject.model(KEY)
    cases = [one for one in subject.held_out(model) if one.truth.any()]
    curves = np.array([dice_by_cut(counted([cuts_of(model, one)["reconstruction"]], [one])) for one in cases])
    mean, own, compared = curves.mean(axis=0), _cut_of(model), _cut_at(model, subject.threshold(KEY))
    figure: Any = Figure(figsize=(8.4, 3.4), layout="constrained")
    for axes, (low, high) in zip(figure.subplots(1, 2, sharey=True), ((0, LEVELS), NARROW), strict=True):
        axes.plot(np.arange(LEVELS), curves.T, color="0.7", linewidth=0.8)
        axes.plot(np.arange(LEVELS), mean, color="tab:blue", linewidth=1.8, label="mean over cases")
        for cut, style in ((238, ":"), (round(255 * PAPER_CUT), "--")):
            axes.axvline(cut, color="black", linewidth=0.9, linestyle=style, label=f"{cut}, the paper's")
        axes.axvline(own, color="tab:red", linewidth=0.9, label=f"{own:.0f}, of healthy livers")
        axes.axvline(compared, color="tab:green", linewidth=0.9, label=f"{compared:.0f}, of the comparison")
        axes.set(
            xlim=(low, high - 1),
            ylim=(0, min(1.02, 1.4 * curves.max() + 0.02)),
            xlabel="cut through the inverted reconstruction, 0 to 255",
        )
        axes.grid(alpha=0.3)
    figure.axes[0].set_ylabel("Dice of a case")
    figure.axes[0].legend(fontsize=8)
    at = {"238": 238, "242": round(255 * PAPER_CUT), "own": round(own), "comparison": round(compared), "best": int(mean.argmax())}
    return figure, {"cases": len(cases), "cut": at, "dice": {name: round(float(mean[cut]), 3) for name, cut in at.items()}}


def caption_of_thresholds(numbers: dict[str, Any]) -> str:
    """Say what other cuts do."""
    found, at = numbers["dice"], numbers["cut"]
    return (
        f"Dice of {numbers['cases']} scans (grey) and their mean (blue) for every cut through ASC-Net's inverted "
        "reconstruction, right: near the paper's. Mean Dice "
        f"{found['238']:.3f} at 238 and {found['242']:.3f} at 242, the paper's cuts for livers; {found['own']:.3f} at "
        f"{at['own']}, at which one in a hundred "
        f"pixels of healthy livers is positive; {found['comparison']:.3f} at {at['comparison']}, the threshold of the comparison; "
        f"{found['best']:.3f} at {at['best']}, the best (oracle)."
    )


def draw_cycles(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Draw histograms, peaks and Dice after each cycle of a longer training."""
    from matplotlib.figure import Figure

    found = subject.on_record("cycles", "long-training --what cycles")
    seeds = [one["points"] for one in found["seeds"]]
    count = len(seeds[0])
    figure: Any = Figure(figsize=(8.4, 4.8), layout="constrained", dpi=DPI)
    above, below = figure.subfigures(2, 1, height_ratios=(1, 1.5))
    for number, axes in enumerate(above.subplots(1, count, sharey=True)):
        draw_histogram(axes, np.array(seeds[0][number]["histogram"]))
        axes.set_xticks([0, 255])
        axes.set_title(f"cycle {number + 1}", fontsize=8, pad=2)
    cycles = np.arange(1, count + 1)
    best, peak = (np.array([[point[key] for point in points] for points in seeds]) for key in ("best_dice", "peaks"))
    for axes, values, words in zip(below.subplots(1, 2), (best, peak), ("best Dice, pooled (oracle)", "peaks"), strict=True):
        axes.plot(cycles, values.T, "o-", markersize=3, linewidth=0.9, label=[f"seed {one['seed']}" for one in found["seeds"]])
        axes.axvline(found["normal"], color="black", linestyle=":", linewidth=1)
        axes.set(xlabel="cycles", ylabel=words, xticks=cycles, ylim=(0, 1.02) if values is best else (0, max(5, peak.max() + 1)))
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
    return figure, {
        "normal": found["normal"], "cycles": count, "seeds": len(seeds), "best_dice": np.round(best.mean(axis=0), 3).tolist(),
        "peaks": peak.astype(int).T.tolist(),
    }  # fmt: skip


def caption_of_cycles(numbers: dict[str, Any]) -> str:
    """Say what longer training does."""
    best, normal = numbers["best_dice"], numbers["normal"]
    counts = "; ".join(", ".join(map(str, each)) for each in numbers["peaks"])
    return (
        f"ASC-Net trained for {numbers['cycles']} cycles instead of {normal} (dotted), {numbers['seeds']} seeds. Above: "
        "histogram of the reconstruction in held-out livers, first seed. Below: Dice at the best cut and number of peaks. "
        f"Mean best Dice {best[0]:.3f} after one cycle, {best[normal - 1]:.3f} after "
        f"{normal}, {best[-1]:.3f} at the end; peaks of each seed, cycle by cycle: {counts}."
    )
