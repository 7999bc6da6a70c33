"""Segmentations: slices from easy to hard, and what longer training of the segmenter does.

References
----------
Zhang, Deng, Li 2023, figures 2 and 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.figures.panels import PREDICTION, TRUTH, Window, left_words, outline, sheet, show
from liver_anomaly_study.figures.slice_selection import same_slice, tumour_slices
from napari_liver_anomaly.metrics import dice

if TYPE_CHECKING:
    from liver_anomaly_study.figures.subject import Subject

COUNT = 6
METHODS = ("two-stage", "direct")
FIGURES = {
    "auroc_maximum": "AUROC of slices, by maximum", "dice_case_mean": "Dice, mean over cases", "dice_at_half": "Dice at "
    "0.5, mean over cases",
}  # fmt: skip


def draw_found(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Show slices with tumour from easy to hard: input, truth, and what two models predict."""
    cases = {key: {one.name: one for one in subject.held_out(subject.model(key))} for key in METHODS}
    first, cut = METHODS[0], {key: subject.threshold(key) for key in METHODS}
    found = []
    for one, z in tumour_slices(list(cases[first].values())):
        prediction = subject.scored(first, one)[0][z] >= cut[first]
        found.append((float(dice(prediction, one.truth[z])), one.name, z))
    found.sort(key=lambda each: (-each[0], each[1:]))
    # The middle of each sixth of all slices: the easiest and the hardest alone would be luck.
    shown = [found[int((sixth + 0.5) * len(found) / COUNT)] for sixth in range(min(COUNT, len(found)))]
    window = Window.for_all([cases[first][name].liver_mask[z] for _, name, z in shown])
    figure, panels = sheet(2 + len(METHODS), len(shown), window, side=1.55, titled=len(METHODS))
    numbers: dict[str, Any] = {"slices": len(found), "threshold": cut, "dice": {key: [] for key in METHODS}}
    for column, (_, name, z) in zip(panels.T, shown, strict=True):
        one = cases[first][name]
        for axes in column[:2]:
            show(axes, window.of(one.images[z], one.liver_mask[z]))
        outline(column[1], window.of(one.truth[z], one.liver_mask[z]))
        for axes, key in zip(column[2:], METHODS, strict=True):
            seen = cases[key][name]
            there = same_slice(one, z, seen)
            liver_mask, truth = seen.liver_mask[there], seen.truth[there]
            prediction = (subject.scored(key, seen)[0][there] >= cut[key]) & liver_mask
            numbers["dice"][key].append(round(float(dice(prediction, truth)), 3))
            show(axes, window.of(seen.images[there], liver_mask), title=f"Dice {numbers['dice'][key][-1]:.2f}")
            outline(axes, window.of(truth, liver_mask), TRUTH)
            outline(axes, window.of(prediction, liver_mask), PREDICTION)
    for axes, words in zip(panels[:, 0], ("input", "truth", *METHODS), strict=True):
        left_words(axes, words)
    return figure, numbers


def caption_of_found(numbers: dict[str, Any]) -> str:
    """Say what the slices show."""
    ranges = "; ".join(
        f"{key} {', '.join(f'{value:.2f}' for value in values)}" for key, values in numbers["dice"].items() if values
    )
    cuts = ", ".join(f"{key} {cut:.2f}" for key, cut in numbers["threshold"].items())
    return (
        f"Six of {numbers['slices']} slices with a visible tumour (30 pixels and more), ordered by the two-stage "
        "model's Dice: the middle one of each sixth, so that none is picked by hand. Yellow: truth; blue: prediction at the "
        f"threshold of the comparison ({cuts}), which was set without labels. Dice from left to right: {ranges}."
    )


def draw_length(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Draw how figures change while the segmenter trains long with the restorer frozen."""
    from matplotlib.figure import Figure

    found = subject.on_record("long-training", "long-training")
    seeds = [one["points"] for one in found["seeds"]]
    steps = np.array([point["steps"] for point in seeds[0]])
    figure: Any = Figure(figsize=(10.5, 3.3), layout="constrained")
    numbers: dict[str, Any] = {
        "seeds": len(seeds),
        "normal": int(steps[0]),
        "times": found["times"],
        "steps": int(steps[-1]),
    }
    numbers["epochs"] = seeds[0][-1]["epochs"]
    for axes, (key, words) in zip(figure.subplots(1, len(FIGURES)), FIGURES.items(), strict=True):
        values = np.array([[point[key] for point in points] for points in seeds])
        mean, sd = values.mean(axis=0), values.std(axis=0, ddof=1) if len(seeds) > 1 else np.zeros(len(steps))
        axes.fill_between(steps, mean - sd, mean + sd, color="tab:blue", alpha=0.2, linewidth=0)
        axes.plot(steps, values.T, color="0.6", linewidth=0.8)
        axes.plot(steps, mean, "o-", color="tab:blue", markersize=3)
        axes.axvline(steps[0], color="black", linestyle=":", linewidth=1)
        axes.set(xlabel="steps of the segmenter", ylabel=words, ylim=(0, 1.02))
        axes.grid(alpha=0.3)
        numbers[key] = {
            "normal": [round(float(mean[0]), 3), round(float(sd[0]), 3)], "last": [round(float(mean[-1]), 3), round(float(sd[-1]), 3)],
            "highest": round(float(mean.max()), 3), "highest_at": int(steps[mean.argmax()]), "lowest_single": round(float(values.min()), 3),
        }  # fmt: skip
    return figure, numbers


def caption_of_length(numbers: dict[str, Any]) -> str:
    """Say what long training does."""
    several = numbers["seeds"] > 1

    def told(mean: float, sd: float) -> str:
        return f"{mean:.3f} ± {sd:.3f}" if several else f"{mean:.3f}"

    parts = [
        f"{words} {told(*one['normal'])} after the normal length, {told(*one['last'])} at the end, highest{' mean' if several else ''} "
        f"{one['highest']:.3f} after {one['highest_at']} steps, lowest{' of a single training' if several else ''} {one['lowest_single']:.3f}"
        for words, one in ((words, numbers[key]) for key, words in FIGURES.items())
    ]
    lines = f"Line and band: mean and SD over {numbers['seeds']} seeds; grey: single trainings. " if several else "One seed. "
    return (
        f"The restorer of the two-stage model is frozen while a new segmenter is trained for {numbers['steps']} steps "
        f"({numbers['epochs']:.0f} epochs), {numbers['times']} times its normal length (dotted), at a constant learning rate. "
        f"{lines}Dice is given at a threshold set "
        f"anew at each point without labels, as in the comparison, and at 0.5. {'. '.join(parts)}."
    )
