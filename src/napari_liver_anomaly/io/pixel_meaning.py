"""Whether the pictures of a DICOM series can become Hounsfield units, as their headers tell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.io.hounsfield import TAKE_AS_HOUNSFIELD, taken_as_hounsfield
from napari_liver_anomaly.io.read_findings import ask, found, note, refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.dicom_slices import Slice
    from napari_liver_anomaly.io.read_options import ReadOptions

HOUNSFIELD_TYPES = {"", "HU", "US"}


def pictured(slices: Sequence[Slice], answers: ReadOptions) -> tuple[Finding, ...]:
    """Check that every slice is a grey picture of plain integers, and says what they are in HU.

    Parameters
    ----------
    slices : sequence of Slice
        In order.
    answers : ReadOptions
        Whether doubtful values are taken for HU.

    Returns
    -------
    tuple of Finding
        Empty when all is well.
    """
    return (*found(_picture(slices), _inverted(slices, answers)), *_calibration(slices))


def _picture(slices: Sequence[Slice]) -> Finding | None:
    """Whether every slice is one grey picture of plain 16-bit integers."""
    for one in slices:
        if one.samples != 1 or one.photometric not in ("MONOCHROME1", "MONOCHROME2", ""):
            return refuse(
                "picture-colour", "This series holds colour pictures.", "Hounsfield units cannot be had from it.",
                "Choose the CT itself, not a picture of it.",
            )  # fmt: skip
        if one.frames != 1 and not one.framed:
            return refuse(
                "picture-frames", "This series keeps many pictures in one file, without saying where each of them lies.",
                "Sizes and positions cannot be had from it.", "Export it as single slices.",
            )  # fmt: skip
        if one.bits_allocated == 8:
            return refuse(
                "picture-8-bit", "The pixels of this series have 8 bits: it is a picture made for the screen.",
                "Hounsfield units cannot be had from it.", "Choose the original CT.",
            )  # fmt: skip
        if one.bits_allocated != 16 or not 1 <= one.bits_stored <= 16 or one.high_bit != one.bits_stored - 1:
            return refuse(
                "picture-packed", "The pixels of this series are packed in an unusual way.",
                "Hounsfield units cannot be had from it.", "Export the series again from its source.",
            )  # fmt: skip
    return None


def _inverted(slices: Sequence[Slice], answers: ReadOptions) -> Finding | None:
    """Whether bright and dark are exchanged, which some programs do to the values, too."""
    if all(one.photometric != "MONOCHROME1" for one in slices):
        return None
    if answers.values == "hounsfield":
        return taken_as_hounsfield()
    return ask(
        "values-inverted", "This series is marked as inverted (MONOCHROME1).",
        "Its values should still be Hounsfield units, but some programs invert them as well.",
        "Choose the original CT, or take the values as they are and check that air is dark.", TAKE_AS_HOUNSFIELD,
    )  # fmt: skip


def _calibration(slices: Sequence[Slice]) -> tuple[Finding, ...]:
    """Whether every slice says how its values become Hounsfield units, and whether compression changed them."""
    doubts = []
    if any(not one.slope or one.intercept is None or not np.isfinite([one.slope, one.intercept]).all() for one in slices):
        doubts.append(refuse(
            "rescale-missing", "No Hounsfield calibration in this series (rescale slope or intercept).",
            "Its values cannot be compared with any other CT.", "Export the series again from the scanner or archive.",
        ))  # fmt: skip
    if any(one.rescale_type.upper() not in HOUNSFIELD_TYPES for one in slices):
        doubts.append(ask(
            "values-not-hu", "This series says that its values are not Hounsfield units.",
            "It may be a spectral or dual-energy map.", "Choose the usual CT series.",
        ))  # fmt: skip
    if any(one.lossy for one in slices):
        doubts.append(note(
            "lossy", "These slices were compressed with loss.",
            "Fine detail may be changed.", "Use the original series if you can.",
        ))  # fmt: skip
    return tuple(doubts)
