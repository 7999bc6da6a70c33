"""Every figure by name: which figure of which paper it follows, what draws it, and the commands that make it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from liver_anomaly_study.figures import anomalies, cut_variants, cuts, embedding, restorations, segmentations, tissues

if TYPE_CHECKING:
    from collections.abc import Callable

    from liver_anomaly_study.figures.subject import Subject


@dataclass(frozen=True)
class PaperFigure:
    """One figure of a paper, drawn again."""

    paper: str  # which figure of which paper it follows
    title: str  # for those who do not see it
    draw: Callable[[Subject], tuple[Any, dict[str, Any]]]
    caption: Callable[[dict[str, Any]], str]  # from the numbers that draw gives
    keys: tuple[str, ...] = ()  # methods it needs; for its command
    ending: str = "png"  # where it shows images or many histograms; else svg


ZHANG, DEY, CYCLE = "Zhang, Deng, Li 2023", "Dey, Hong 2021", "Image-semantic cycle translation 2021"
PAPER_FIGURES: dict[str, PaperFigure] = {
    "p2-figure-1b": PaperFigure(f"{ZHANG}, figure 1 B", "Every recipe on one slice", anomalies.draw_recipes, anomalies.caption_of_recipes),
    "p2-figure-1c": PaperFigure(
        f"{ZHANG}, figure 1 C", "Normal, tumour and pseudo-anomalous slices laid out by the restorer's features", embedding.draw_embedding,
        embedding.caption_of_embedding, ("two-stage",), "svg",
    ),
    "p2-figure-2": PaperFigure(
        f"{ZHANG}, figure 2", "Slices from easy to hard: input, truth, prediction", segmentations.draw_found, segmentations.caption_of_found,
        segmentations.METHODS,
    ),
    "p2-figure-3": PaperFigure(
        f"{ZHANG}, figure 3", "AUROC and Dice while the segmenter trains long", segmentations.draw_length, segmentations.caption_of_length,
        ("two-stage",), "svg",
    ),
    "p2-figure-4": PaperFigure(
        f"{ZHANG}, figure 4", "Restorations by an autoencoder and by a U-Net", restorations.draw_restorations,
        restorations.caption_of_restorations, tuple(restorations.METHODS),
    ),
    "p1-figures-2-3": PaperFigure(
        f"{DEY}, figures 2 and 3", "ASC-Net's cuts and their histograms", cuts.draw_cuts, cuts.caption_of_cuts, ("asc-net",)
    ),
    "p1-figure-9": PaperFigure(
        f"{DEY}, figure 9", "ASC-Net trained again with other seeds", cut_variants.draw_again, cut_variants.caption_of_again, ("asc-net",)
    ),
    "p1-figure-10": PaperFigure(
        f"{DEY}, figure 10", "ASC-Net trained for more cycles", cut_variants.draw_cycles, cut_variants.caption_of_cycles,
        ("two-stage",),
    ),
    "p1-figure-12": PaperFigure(
        f"{DEY}, figure 12", "Dice against the cut through the reconstruction", cut_variants.draw_thresholds,
        cut_variants.caption_of_thresholds, ("asc-net",), "svg"
    ),
    "p4-figure-2": PaperFigure(
        f"{CYCLE}, figure 2", "Residuals of hard and of soft maps", tissues.draw_maps, tissues.caption_of_maps, (tissues.HARD, tissues.SOFT)
    ),
    "p4-figure-3": PaperFigure(
        f"{CYCLE}, figure 3", "Residuals of an autoencoder and of soft maps", tissues.draw_beside, tissues.caption_of_maps,
        (tissues.AUTOENCODER, tissues.SOFT),
    ),
    "p4-figure-4": PaperFigure(
        f"{CYCLE}, figure 4", "Tissues that tumours are classified as", tissues.draw_classes,
        tissues.caption_of_classes, (tissues.SOFT,), "svg"
    ),
}  # fmt: skip
SPECIAL = {"p2-figure-3": "", "p1-figure-10": " --what cycles"}  # drawn from a run of their own
SEVERAL = {"p1-figure-9": " --seeds 3"}


def commands(name: str, dataset: str = "phantom") -> list[str]:
    """List the commands that make a figure from nothing."""
    keys = PAPER_FIGURES[name].keys
    made = (
        [f"liver-anomaly-study run --out OUT --dataset {dataset} --only {' '.join(keys)}{SEVERAL.get(name, '')}"] if keys else []
    )
    if name in SPECIAL:
        made.append(f"liver-anomaly-study long-training --out OUT --dataset {dataset}{SPECIAL[name]}")
    return [*made, f"liver-anomaly-study figures --out OUT --dataset {dataset} --only {name}"]
