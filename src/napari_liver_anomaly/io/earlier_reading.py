"""Liver and lesions of a scan for a follow-up: of a session, or of masks on their scan."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from napari_liver_anomaly.follow_up import Reading
from napari_liver_anomaly.follow_up.matching import lesions_in
from napari_liver_anomaly.io.reading import read, read_mask
from napari_liver_anomaly.io.session import ENDING, read_session
from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from pathlib import Path


class Place(NamedTuple):
    """Files of one reading: a session alone, or lesions with their scan and its liver."""

    lesions: Path
    scan: Path | None = None
    liver: Path | None = None


def read_reading(place: Place) -> Reading:
    """Read liver and lesions.

    Parameters
    ----------
    place : Place
        Where they are.

    Returns
    -------
    Reading
        Liver and numbered lesions, on the grid of their scan.

    Raises
    ------
    Refusal
        When a lesion mask comes without scan and liver, or a file cannot be read.
    """
    if place.lesions.name.endswith(ENDING):
        session = read_session(place.lesions)
        return Reading(liver=session.liver, lesions=session.lesions)
    if place.scan is None or place.liver is None:
        raise make_refusal("follow-up-mask-alone")
    volume = read(place.scan)
    lesions = read_mask(place.lesions, volume, may_be_empty=True, labels="all")
    return Reading(liver=read_mask(place.liver, volume, labels="all"), lesions=lesions_in(lesions))
