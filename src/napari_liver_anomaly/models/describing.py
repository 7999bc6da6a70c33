"""What a model is, told from its card alone: which system, and whether it gives a healthy image. No torch, no tensors."""

from __future__ import annotations

from typing import Any

from napari_liver_anomaly.models.registry import MODULES, SYSTEMS, Entry

PLAIN = {True: "Two-stage restorer and segmenter", False: "Segmenter alone"}


def system_of(card: dict[str, Any]) -> Entry | None:
    """Find the system of the list that a model is.

    Parameters
    ----------
    card : dict
        As given by ``checkpoint.read_card``.

    Returns
    -------
    Entry or None
        None for a preset of one's own, an ensemble, or a card that names none.
    """
    return next((entry for entry in SYSTEMS if entry.key == card.get("system")), None)


def restores(card: dict[str, Any]) -> bool:
    """Tell whether a model gives a healthy image.

    Parameters
    ----------
    card : dict
        As given by ``checkpoint.read_card``.

    Returns
    -------
    bool
        True also when the card does not say.
    """
    if (entry := system_of(card)) is not None:
        return entry.restores
    key, members = card.get("key"), card.get("members")
    if key == "ensemble" and isinstance(members, list):
        return any(_sees_restored(member) for member in members)
    if key == "two-stage":
        return _sees_restored(card)
    return any(entry.restores for entry in SYSTEMS if entry.module == MODULES.get(str(key))) or key not in MODULES


def title_of(card: dict[str, Any]) -> str:
    """Say in a few words what a model is.

    Parameters
    ----------
    card : dict
        As given by ``checkpoint.read_card``.

    Returns
    -------
    str
        The card's own title, or that of its system; empty when nothing is known.
    """
    if title := card.get("title"):
        return str(title)
    key, members = card.get("key"), card.get("members")
    if (entry := system_of(card)) is not None:
        return entry.title
    if key == "ensemble" and isinstance(members, list):
        return f"Mean of {len(members)} models"
    if key == "two-stage":
        return PLAIN[restores(card)]
    return next((entry.title for entry in SYSTEMS if entry.key == key), "")


def updates_of(card: dict[str, Any]) -> int | None:
    """Count the updates that a model was planned to be trained for.

    Parameters
    ----------
    card : dict
        As given by ``checkpoint.read_card``.

    Returns
    -------
    int or None
        Of all stages; None when the card does not say.
    """
    schedule = _part(_part(card, "settings"), "schedule")
    first, second = schedule.get("restorer_updates"), schedule.get("segmenter_updates")
    return first + second if isinstance(first, int) and isinstance(second, int) else None


def _sees_restored(about: Any) -> bool:
    """Whether a two-stage model has a restorer; what ``Preset.restores`` says, from plain data."""
    segmenter = _part(_part(about, "settings"), "segmenter")
    return segmenter.get("restoration") is not False or segmenter.get("residual_gain") != 0


def _part(about: Any, name: str) -> dict[str, Any]:
    """Part of a card; empty where it is not what it should be."""
    part = about.get(name) if isinstance(about, dict) else None
    return part if isinstance(part, dict) else {}
