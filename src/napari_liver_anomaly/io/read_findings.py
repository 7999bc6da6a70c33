"""Findings of the three levels, in one line each: code, what is wrong, what it means, what to do."""

from __future__ import annotations

from napari_liver_anomaly.errors import Answer, Finding, Level


def refuse(code: str, what: str, meaning: str, action: str, *answers: Answer) -> Finding:
    """Make a finding that ends the reading.

    Parameters
    ----------
    code, what, meaning, action : str
        As in :class:`~napari_liver_anomaly.errors.Finding`; no names, no paths.
    *answers : Answer
        What would mend it, where something would.

    Returns
    -------
    Finding
        Of level refuse.
    """
    return Finding(level=Level.REFUSE, code=code, what=what, meaning=meaning, action=action, answers=answers)


def ask(code: str, what: str, meaning: str, action: str, *answers: Answer) -> Finding:
    """Make a finding that only the user can decide.

    Parameters
    ----------
    code, what, meaning, action : str
        As in :class:`~napari_liver_anomaly.errors.Finding`; no names, no paths.
    *answers : Answer
        What can be chosen.

    Returns
    -------
    Finding
        Of level ask.
    """
    return Finding(level=Level.ASK, code=code, what=what, meaning=meaning, action=action, answers=answers)


def note(code: str, what: str, meaning: str, action: str = "Nothing needs to be done.") -> Finding:
    """Make a finding that is shown and stored.

    Parameters
    ----------
    code, what, meaning, action : str
        As in :class:`~napari_liver_anomaly.errors.Finding`; no names, no paths.

    Returns
    -------
    Finding
        Of level note.
    """
    return Finding(level=Level.NOTE, code=code, what=what, meaning=meaning, action=action)


def found(*doubts: Finding | None) -> tuple[Finding, ...]:
    """Keep those doubts that are there.

    Parameters
    ----------
    *doubts : Finding or None
        What the checks returned.

    Returns
    -------
    tuple of Finding
        In the order given.
    """
    return tuple(doubt for doubt in doubts if doubt is not None)
