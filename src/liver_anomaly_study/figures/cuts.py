"""ASC-Net: its cuts and their histograms.

References
----------
Dey, Hong, MICCAI 2021 and its extension on arXiv, figures 2 and 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.figures.panels import Window, bare, outline, show
from liver_anomaly_study.figures.slice_selection import largest_slices

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liver_anomaly_study.cases import Case
    from liver_anomaly_study.figures.subject import Subject

KEY = "asc-net"
CUTS = {"fence": "fence cut $I_{fc}$", "wild": "wild cut $I_{wc}$", "reconstruction": "reconstruction $I_{ro}$"}
LEVELS = 256


def cuts_of(model: Any, case: Case) -> dict[str, NDArray[np.float32]]:
    """Give the cuts of all slices of a case, (n, H, W)."""
    parts = [model.cuts(case.images[z : z + 8, None], case.liver_mask[z : z + 8]) for z in range(0, len(case.images), 8)]
    return {name: np.concatenate([part[name] for part in parts]) for name in CUTS}


def histogram(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Count values in the 256 steps of the paper."""
    return np.bincount(np.rint(values.ravel() * (LEVELS - 1)).astype(int), minlength=LEVELS)


def peaks(reconstruction: NDArray[np.float32], sigma: float = 2.0, prominence: float = 0.01) -> NDArray[np.float64]:
    """Find the peaks, 0…1, of the histogram of a reconstruction: the paper trains until there are 3 or 4.

    ``sigma`` smooths it, in bins; a peak rises above the valleys beside it by ``prominence``, a fraction of the highest.
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    reach = int(np.ceil(4 * sigma)) + 1  # beyond both ends the histogram falls to nothing, so that these can be peaks
    smooth = gaussian_filter1d(np.pad(histogram(reconstruction).astype(float), reach), sigma, mode="constant")
    found, _ = find_peaks(smooth, prominence=max(prominence * smooth.max(), 1e-9))
    peak: NDArray[np.float64] = np.clip((found - reach) / (LEVELS - 1), 0, 1)
    return peak


def draw_cuts(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Show the cuts of three slices and the histograms of all, with the peaks of the reconstruction."""
    from matplotlib.figure import Figure

    model = subject.model(KEY)
    held_out = subject.held_out(model)
    made = {one.name: cuts_of(model, one) for one in held_out}
    shown = largest_slices(held_out, 3)
    window = Window.for_all([one.liver_mask[z] for one, z in shown])
    height = 1.9 * window.height / window.width * len(shown) + 0.2
    whole: Any = Figure(figsize=(7.6, height + 1.8), layout="constrained", dpi=100)
    whole.get_layout_engine().set(w_pad=0.01, h_pad=0.02, wspace=0.01, hspace=0.01)
    above, below = whole.subfigures(2, 1, height_ratios=(height, 1.8))
    for row, (axes, (one, z)) in enumerate(zip(above.subplots(len(shown), 1 + len(CUTS), squeeze=False), shown, strict=True)):
        for panel in axes:
            bare(panel)
        show(axes[0], window.of(one.images[z], one.liver_mask[z]), title="" if row else "input, truth")
        outline(axes[0], window.of(one.truth[z], one.liver_mask[z]))
        for panel, (name, words) in zip(axes[1:], CUTS.items(), strict=True):
            show(panel, window.of(made[one.name][name][z], one.liver_mask[z]), title="" if row else words)
    numbers: dict[str, Any] = {"cases": len(held_out)}
    for panel, (name, words) in zip(below.subplots(1, len(CUTS)), CUTS.items(), strict=True):
        values = {one.name: made[one.name][name][one.liver_mask] for one in held_out}
        together = np.concatenate(list(values.values()))
        lesion = np.concatenate([made[one.name][name][one.truth] for one in held_out])
        draw_histogram(panel, histogram(together), histogram(lesion))
        panel.set_title(words, fontsize=8, pad=2)
        found = peaks(together)
        if name == "reconstruction":
            for peak in found:
                panel.axvline(peak * (LEVELS - 1), color="tab:green", linewidth=0.8, linestyle="--")
        numbers[name] = {
            "peaks": [round(float(peak) * (LEVELS - 1)) for peak in found],
            "peaks_of_cases": [len(peaks(one)) for one in values.values()],
        }  # fmt: skip
    return whole, numbers


def draw_histogram(axes: Any, liver: NDArray[np.int64], lesion: NDArray[np.int64] | None = None) -> None:
    """Draw histograms, each scaled to its own maximum between the end bins, which are often far higher."""
    steps = np.arange(LEVELS)
    axes.fill_between(steps, liver / max(liver[1:-1].max(), 1), step="mid", color="0.75", label="liver")
    if lesion is not None:
        axes.step(steps, lesion / max(lesion[1:-1].max(), 1), where="mid", color="tab:red", linewidth=0.9, label="tumour")
    axes.set(xlim=(0, LEVELS - 1), ylim=(0, 1.05), yticks=[])
    axes.tick_params(labelsize=7)


def caption_of_cuts(numbers: dict[str, Any]) -> str:
    """Say what the cuts show."""
    found = numbers["reconstruction"]
    places = ", ".join(map(str, found["peaks"])) or "none"
    enough = sum(count in (3, 4) for count in found["peaks_of_cases"])
    return (
        "Above: the slice with most tumour of three scans, the two cuts that ASC-Net makes of it, and their reconstruction. Below: "
        f"histograms in the livers of all {numbers['cases']} held-out scans, 0 to 255, each scaled to its own maximum between the "
        "end bins; grey: liver, red: tumour, green: peaks of the reconstruction "
        f"({len(found['peaks'])}: at {places}). The paper trains until there are 3 or 4 separate peaks: {enough} of "
        f"{numbers['cases']} livers have as many here ({', '.join(map(str, found['peaks_of_cases']))})."
    )


def counted(made: list[NDArray[np.float32]], cases: list[Case]) -> dict[str, Any]:
    """Count, in sums that can be added up, what every cut through the inverted reconstruction predicts positive."""
    liver = sum((histogram(whole[one.liver_mask]) for whole, one in zip(made, cases, strict=True)), np.zeros(LEVELS, np.int64))
    true_positive = sum(
        (histogram(whole[one.liver_mask & one.truth]) for whole, one in zip(made, cases, strict=True)),
        np.zeros(LEVELS, np.int64),
    )
    # Dark in the reconstruction is bright in the inverted one.
    return {
        "histogram": liver, "predicted_positive": liver.cumsum()[::-1],
        "true_positive": true_positive.cumsum()[::-1], "truth": int(true_positive.sum()),
    }  # fmt: skip


def dice_by_cut(count: dict[str, Any]) -> NDArray[np.float64]:
    """Pooled Dice when everything at or above each step of the inverted reconstruction is predicted positive."""
    dices: NDArray[np.float64] = (
        2 * np.asarray(count["true_positive"]) / np.maximum(np.asarray(count["predicted_positive"]) + count["truth"], 1)
    )
    return dices
