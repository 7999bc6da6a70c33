"""ASC-Net: its cuts and their histograms.

References
----------
Dey, Hong, MICCAI 2021 and its extension on arXiv, figures 2 and 3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.figures.choosing import largest_slices
from liver_anomaly_study.figures.panels import Window, bare, outline, show
from napari_liver_anomaly.models.asc_parts import peaks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liver_anomaly_study.cases import Liver
    from liver_anomaly_study.figures.subject import Subject

KEY = "asc-net"
CUTS = {"fence": "fence cut $I_{fc}$", "wild": "wild cut $I_{wc}$", "reconstruction": "reconstruction $I_{ro}$"}
LEVELS = 256


def cuts_of(system: Any, liver: Liver) -> dict[str, NDArray[np.float32]]:
    """Give the cuts of all slices of a liver.

    Parameters
    ----------
    system : AscNet
        Trained.
    liver : Liver
        Any.

    Returns
    -------
    dict
        ``fence``, ``wild`` and ``reconstruction``, (n, H, W) float32.
    """
    parts = [system.cuts(liver.images[z : z + 8, None], liver.liver_mask[z : z + 8]) for z in range(0, len(liver.images), 8)]
    return {name: np.concatenate([part[name] for part in parts]) for name in CUTS}


def histogram(values: NDArray[np.float32]) -> NDArray[np.int64]:
    """Count values in the 256 steps of the paper.

    Parameters
    ----------
    values : ndarray of float32
        0…1.

    Returns
    -------
    ndarray, (256,) int64
        Counts.
    """
    return np.bincount(np.rint(values.ravel() * (LEVELS - 1)).astype(int), minlength=LEVELS)


def draw_cuts(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Show the cuts of three slices and the histograms of all, with the peaks of the reconstruction.

    Parameters
    ----------
    subject : Subject
        With ASC-Net.

    Returns
    -------
    tuple
        Figure, and numbers: places of the peaks of all livers together, 0 to 255, and how many each liver has.
    """
    from matplotlib.figure import Figure

    system = subject.system(KEY)
    unseen = subject.unseen(system)
    made = {one.name: cuts_of(system, one) for one in unseen}
    shown = largest_slices(unseen, 3)
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
    numbers: dict[str, Any] = {"livers": len(unseen)}
    for panel, (name, words) in zip(below.subplots(1, len(CUTS)), CUTS.items(), strict=True):
        values = {one.name: made[one.name][name][one.liver_mask] for one in unseen}
        together = np.concatenate(list(values.values()))
        lesion = np.concatenate([made[one.name][name][one.truth] for one in unseen])
        draw_histogram(panel, histogram(together), histogram(lesion))
        panel.set_title(words, fontsize=8, pad=2)
        places = peaks(together)
        if name == "reconstruction":
            for place in places:
                panel.axvline(place * (LEVELS - 1), color="tab:green", linewidth=0.8, linestyle="--")
        numbers[name] = {
            "peaks": [round(float(place) * (LEVELS - 1)) for place in places],
            "peaks_of_livers": [len(peaks(one)) for one in values.values()],
        }  # fmt: skip
    return whole, numbers


def draw_histogram(axes: Any, liver: NDArray[np.int64], lesion: NDArray[np.int64] | None = None) -> None:
    """Draw histograms, each to its own height between the end steps, which are often far higher.

    Parameters
    ----------
    axes : Axes
        A panel.
    liver, lesion : ndarray, (256,) int64
        Counts.
    """
    steps = np.arange(LEVELS)
    axes.fill_between(steps, liver / max(liver[1:-1].max(), 1), step="mid", color="0.75", label="liver")
    if lesion is not None:
        axes.step(steps, lesion / max(lesion[1:-1].max(), 1), where="mid", color="tab:red", linewidth=0.9, label="tumour")
    axes.set(xlim=(0, LEVELS - 1), ylim=(0, 1.05), yticks=[])
    axes.tick_params(labelsize=7)


def words_of_cuts(numbers: dict[str, Any]) -> str:
    """Say what the cuts show.

    Parameters
    ----------
    numbers : dict
        From :func:`draw_cuts`.

    Returns
    -------
    str
        Sentences.
    """
    found = numbers["reconstruction"]
    places = ", ".join(map(str, found["peaks"])) or "none"
    enough = sum(count in (3, 4) for count in found["peaks_of_livers"])
    return (
        "Above: the slice with most tumour of three scans, what ASC-Net cuts of it, and their reconstruction. Below: "
        "histograms in the livers of all "
        f"{numbers['livers']} scans that it did not learn from, 0 to 255, each to its own height between the end steps; grey: liver, red: tumour, "
        "green: peaks of the reconstruction "
        f"({len(found['peaks'])}: at {places}). The paper trains until there are 3 or 4 separate peaks: {enough} of "
        f"{numbers['livers']} livers have so many here "
        f"({', '.join(map(str, found['peaks_of_livers']))})."
    )


def counted(made: list[NDArray[np.float32]], livers: list[Liver]) -> dict[str, Any]:
    """Count what every cut through the inverted reconstruction calls.

    Parameters
    ----------
    made : list of ndarray, (n, H, W) float32
        Reconstructions, 0…1.
    livers : list of Liver
        Theirs.

    Returns
    -------
    dict
        ``histogram`` of the reconstruction in the livers, (256,); ``called`` and ``hit``, (256,), voxels and tumour voxels at or above each step of
        the inverted one; ``truth``, tumour voxels. Each can be added up.
    """
    liver = sum((histogram(whole[one.liver_mask]) for whole, one in zip(made, livers, strict=True)), np.zeros(LEVELS, np.int64))
    hit = sum(
        (histogram(whole[one.liver_mask & one.truth]) for whole, one in zip(made, livers, strict=True)),
        np.zeros(LEVELS, np.int64),
    )
    # Dark in the reconstruction is bright in the inverted one.
    return {"histogram": liver, "called": liver.cumsum()[::-1], "hit": hit.cumsum()[::-1], "truth": int(hit.sum())}


def dice_by_cut(count: dict[str, Any]) -> NDArray[np.float64]:
    """Pooled Dice for every cut through the inverted reconstruction.

    Parameters
    ----------
    count : dict
        From :func:`counted`.

    Returns
    -------
    ndarray, (256,) float64
        Dice when everything at or above the step is called; 0 where nothing is called, or without tumour.
    """
    dices: NDArray[np.float64] = 2 * np.asarray(count["hit"]) / np.maximum(np.asarray(count["called"]) + count["truth"], 1)
    return dices
