"""The models, one file for each method, with the same verbs: stages of training, predict, save and load."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.models.locations import DEFAULT, names, packaged, path_of
from napari_liver_anomaly.models.methods import CONFIG_NAMES
from napari_liver_anomaly.models.model_file import load

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from napari_liver_anomaly.models.card import ModelCard
    from napari_liver_anomaly.preprocessing import HealthySlices, PreprocessSettings

__all__ = ["CONFIG_NAMES", "DEFAULT", "combine", "load", "names", "packaged", "path_of"]


def combine(
    paths: Sequence[str | Path],
    out: str | Path,
    *,
    shown: Sequence[str | Path] = (),
    title: str = "",
    about: str = "",
    mirror: bool = False,
    metrics: dict[str, Any] | None = None,
    healthy: Callable[[PreprocessSettings], HealthySlices] | None = None,
) -> None:
    """Put several trained two-stage models into one file, as an ensemble.

    Parameters
    ----------
    paths : sequence of path-like
        ``.safetensors`` files of two-stage models that see a scan in the same way.
    out : path-like
        Ends in ``.safetensors``.
    shown : sequence of path-like
        Models that give their restoration for the eye and have no say in the score.
    title : str
        One line for lists of models; that of the members when they share one.
    about : str
        Origin and licence of the scans, and how the members were trained; what the first member says when it is left empty.
    mirror : bool
        Score every slice mirrored, too: a little better, and twice as slow.
    metrics : dict, optional
        An evaluation, whose summary is kept in the card.
    healthy : callable, optional
        From the members' preprocessing to the healthy slices that they were trained on: the card then says which scores these reach, for the marks
        beside the threshold.

    Raises
    ------
    UnfitModel
        When a file is not such a model, or they do not go together.
    """
    from napari_liver_anomaly.models.card import Metrics, card_of
    from napari_liver_anomaly.models.ensemble import Ensemble
    from napari_liver_anomaly.models.healthy_scores import healthy_scores
    from napari_liver_anomaly.models.two_stage import TwoStage

    members = [TwoStage.load(path) for path in (*paths, *shown)]
    ensemble = Ensemble(members, mirror=mirror, shown=len(shown))
    cards = [member.card for member in members]
    titles = {card.title for card in cards}
    ensemble.save(out, card_of(
        ensemble, _data_of(cards, about), title=title or (titles.pop() if len(titles) == 1 else ""),
        training=[card.training for card in cards], validation=[card.validation for card in cards], command=[card.command for card in cards],
        metrics=Metrics.of_report(metrics, [member.config for member in ensemble.scorers]),
        healthy=healthy_scores(ensemble, healthy(ensemble.preprocess)) if healthy else [],
    ))  # fmt: skip


def _data_of(cards: Sequence[ModelCard], about: str) -> dict[str, Any]:
    """Say what several models were trained on, all together: every scan that any of them has seen."""
    datas = [card.data for card in cards]
    scans = {entry["scan"]: entry for data in datas for entry in data.get("scans", ())}
    without = sorted({name for data in datas for name in data.get("scans_without_tumour_label", ())})
    seen = [[entry["name"] or entry["scan"] for entry in data.get("scans", ())] for data in datas]
    words = {key: datas[0][key] for key in ("chosen", "about") if key in datas[0]} | ({"about": about} if about else {})
    return {"scans": list(scans.values()), "scans_without_tumour_label": without, "members_trained_on": seen} | words
