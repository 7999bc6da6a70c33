"""Every figure by name: which figure of which paper it follows, what draws it, and the commands that make it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from liver_anomaly_study.figures import anomalies, cut_again, cuts, embedding, restorations, segmentations, tissues

if TYPE_CHECKING:
    from collections.abc import Callable

    from liver_anomaly_study.figures.subject import Subject


@dataclass(frozen=True)
class Picture:
    """One figure.

    Attributes
    ----------
    paper : str
        Which figure of which paper it follows.
    title : str
        What it shows, for those who do not see it.
    draw : callable
        Subject to figure and numbers.
    words : callable
        Numbers to caption.
    keys : tuple of str
        Systems it needs; for its command.
    ending : str
        ``png`` where it shows images or many histograms, ``svg`` otherwise.
    """

    paper: str
    title: str
    draw: Callable[[Subject], tuple[Any, dict[str, Any]]]
    words: Callable[[dict[str, Any]], str]
    keys: tuple[str, ...] = ()
    ending: str = "png"


ZHANG, DEY, CYCLE = "Zhang, Deng, Li 2023", "Dey, Hong 2021", "Image-semantic cycle translation 2021"
PICTURES: dict[str, Picture] = {
    "p2-figure-1b": Picture(f"{ZHANG}, figure 1 B", "Every recipe on one slice", anomalies.draw_recipes, anomalies.words_of_recipes),
    "p2-figure-1c": Picture(
        f"{ZHANG}, figure 1 C", "Normal, tumour and pseudo-anomalous slices laid out by the restorer's features", embedding.draw_embedding,
        embedding.words_of_embedding, ("two-stage",), "svg",
    ),
    "p2-figure-2": Picture(
        f"{ZHANG}, figure 2", "Slices from easy to hard: input, truth, prediction", segmentations.draw_found, segmentations.words_of_found,
        segmentations.SYSTEMS,
    ),
    "p2-figure-3": Picture(
        f"{ZHANG}, figure 3", "AUROC and Dice while the segmenter trains long", segmentations.draw_length, segmentations.words_of_length,
        ("two-stage",), "svg",
    ),
    "p2-figure-4": Picture(
        f"{ZHANG}, figure 4", "Restorations by an autoencoder and by a U-Net", restorations.draw_restorations,
        restorations.words_of_restorations, tuple(restorations.SYSTEMS),
    ),
    "p1-figures-2-3": Picture(f"{DEY}, figures 2 and 3", "ASC-Net's cuts and their histograms", cuts.draw_cuts, cuts.words_of_cuts, ("asc-net",)),
    "p1-figure-9": Picture(
        f"{DEY}, figure 9", "ASC-Net trained again with other seeds", cut_again.draw_again, cut_again.words_of_again, ("asc-net",)
    ),
    "p1-figure-10": Picture(
        f"{DEY}, figure 10", "ASC-Net trained for more cycles", cut_again.draw_cycles, cut_again.words_of_cycles,
        ("two-stage",),
    ),
    "p1-figure-12": Picture(
        f"{DEY}, figure 12", "Dice against the cut through the reconstruction", cut_again.draw_thresholds,
        cut_again.words_of_thresholds, ("asc-net",), "svg"
    ),
    "p4-figure-2": Picture(
        f"{CYCLE}, figure 2", "Residuals of hard and of soft maps", tissues.draw_maps, tissues.words_of_maps, (tissues.HARD, tissues.SOFT)
    ),
    "p4-figure-3": Picture(
        f"{CYCLE}, figure 3", "Residuals of an autoencoder and of soft maps", tissues.draw_beside, tissues.words_of_maps,
        (tissues.AUTOENCODER, tissues.SOFT),
    ),
    "p4-figure-4": Picture(
        f"{CYCLE}, figure 4", "What tumours are taken for among the tissues", tissues.draw_classes,
        tissues.words_of_classes, (tissues.SOFT,), "svg"
    ),
}  # fmt: skip
SPECIAL = {"p2-figure-3": "", "p1-figure-10": " --what cycles"}  # drawn from a run of their own
SEVERAL = {"p1-figure-9": " --seeds 3"}


def commands(name: str, world: str = "phantom") -> list[str]:
    """List the commands that make a figure from nothing.

    Parameters
    ----------
    name : str
        Of :data:`PICTURES`.
    world : str
        ``patients`` or ``phantom``.

    Returns
    -------
    list of str
        In order.
    """
    keys = PICTURES[name].keys
    made = [f"liver-anomaly-study run --out OUT --world {world} --only {' '.join(keys)}{SEVERAL.get(name, '')}"] if keys else []
    if name in SPECIAL:
        made.append(f"liver-anomaly-study long-training --out OUT --world {world}{SPECIAL[name]}")
    return [*made, f"liver-anomaly-study figures --out OUT --world {world} --only {name}"]
