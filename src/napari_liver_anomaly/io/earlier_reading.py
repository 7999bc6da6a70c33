"""Liver and lesions of a scan for a follow-up: of a session, or of masks on their scan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from napari_liver_anomaly.errors import Answer, Level, Refusal
from napari_liver_anomaly.follow_up import Reading
from napari_liver_anomaly.follow_up.matching import lesions_in
from napari_liver_anomaly.io.read_options import ASK_ALL_EARLIER, EarlierOptions
from napari_liver_anomaly.io.reading import read, read_mask
from napari_liver_anomaly.io.session import ENDING, read_session
from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from pathlib import Path

    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.volume import Mask, Volume

LIVER, LESIONS = "liver mask", "lesion mask"
MOST_FILLED = 0.5  # of a liver: a mask that marks more of it as lesions is likely to mark the liver, too


class Place(NamedTuple):
    """Files of one reading: a session alone, or lesions with their scan and its liver; and what was answered about them."""

    lesions: Path
    scan: Path | None = None
    liver: Path | None = None
    answers: EarlierOptions = ASK_ALL_EARLIER


def read_reading(place: Place, *, job: Job | None = None) -> Reading:
    """Read liver and lesions.

    Parameters
    ----------
    place : Place
        Where they are.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    Reading
        Liver and numbered lesions, on the grid of their scan; its ``findings`` are notes about the files.

    Raises
    ------
    Refusal
        When a lesion mask comes without scan and liver, or a file cannot be read.
    Question
        What the scan asks; code ``mask-labels`` for a liver mask of several labels; code ``lesions-fill-liver`` when more than half of the
        liver would count as lesions.
    """
    if place.lesions.name.endswith(ENDING):
        session = read_session(place.lesions)
        return Reading(liver=session.liver, lesions=session.lesions)
    if place.scan is None or place.liver is None:
        raise make_refusal("follow-up-mask-alone")
    volume = read(place.scan, place.answers, job=job)
    liver = read_mask(place.liver, volume, LIVER, labels=place.answers.liver_label)
    lesions = _lesions(place, volume, liver)
    notes = [finding for finding in volume.findings if finding.level is Level.NOTE]
    return Reading(liver=liver, lesions=lesions_in(lesions), findings=(*notes, *liver.findings, *lesions.findings))


def _lesions(place: Place, volume: Volume, liver: Mask) -> Mask:
    """Read a lesion mask; where it seems to mark the liver, too, ask which of its labels are lesions."""
    several, wanted = _asked(place.lesions, volume), place.answers.lesion_label
    chosen = wanted if several else "ask"  # there is nothing to choose from one label, whatever the file of the other time holds
    lesions = read_mask(place.lesions, volume, LESIONS, may_be_empty=True, labels=chosen)
    filled = np.count_nonzero(lesions.voxels & liver.voxels) / np.count_nonzero(liver.voxels)
    if chosen == "ask" and wanted != "all" and filled > MOST_FILLED:
        every = Answer(words=f"All of it is lesion: {lesions.ml:,.0f} ml", option="lesion_label", value="all")
        raise make_refusal("lesions-fill-liver", *(_by_label(several) or (every,)), percent=f"{100 * filled:.0f}")
    return lesions


def _asked(path: Path, volume: Volume) -> tuple[Answer, ...]:
    """Which labels there are to choose from; none where there is one, or where each lesion has its own of very many."""
    try:
        read_mask(path, volume, LESIONS)
    except Refusal as refusal:
        return refusal.finding.answers
    return ()


def _by_label(answers: tuple[Answer, ...]) -> tuple[Answer, ...]:
    """Offer each label, the smallest first, and all of them."""
    single = [answer for answer in reversed(answers[:-1]) if "+" not in str(answer.value)]
    return tuple(replace(answer, option="lesion_label") for answer in (*single, *answers[-1:]))
