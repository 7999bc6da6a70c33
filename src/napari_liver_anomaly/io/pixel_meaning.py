"""Whether the images of a DICOM series can become Hounsfield units, according to their headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.io.hounsfield import TAKE_AS_HOUNSFIELD, taken_as_hounsfield
from napari_liver_anomaly.io.source import found
from napari_liver_anomaly.messages import make_finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.dicom_slices import Slice
    from napari_liver_anomaly.io.read_options import ReadOptions

HOUNSFIELD_TYPES = {"", "HU", "US"}


def image_findings(slices: Sequence[Slice], answers: ReadOptions) -> tuple[Finding, ...]:
    """Check that every slice is a grey image of plain integers, and says what they are in HU."""
    return (*found(_image_kind(slices), _inverted(slices, answers)), *_calibration(slices))


def _image_kind(slices: Sequence[Slice]) -> Finding | None:
    """Whether every slice is one grey image of plain 16-bit integers."""
    for one in slices:
        if one.samples != 1 or one.photometric not in ("MONOCHROME1", "MONOCHROME2", ""):
            return make_finding("picture-colour")
        if one.frames != 1 and not one.framed:
            return make_finding("picture-frames")
        if one.bits_allocated == 8:
            return make_finding("picture-8-bit")
        if one.bits_allocated != 16 or not 1 <= one.bits_stored <= 16 or one.high_bit != one.bits_stored - 1:
            return make_finding("picture-packed")
    return None


def _inverted(slices: Sequence[Slice], answers: ReadOptions) -> Finding | None:
    """Whether bright and dark are exchanged, which some programs do to the values, too."""
    if all(one.photometric != "MONOCHROME1" for one in slices):
        return None
    if answers.values == "hounsfield":
        return taken_as_hounsfield()
    return make_finding("values-inverted", TAKE_AS_HOUNSFIELD)


def _calibration(slices: Sequence[Slice]) -> tuple[Finding, ...]:
    """Whether every slice says how its values become Hounsfield units, and whether compression changed them."""
    findings = []
    if any(not one.slope or one.intercept is None or not np.isfinite([one.slope, one.intercept]).all() for one in slices):
        findings.append(make_finding("rescale-missing"))
    if any(one.rescale_type.upper() not in HOUNSFIELD_TYPES for one in slices):
        findings.append(make_finding("series-not-hu"))
    if any(one.lossy for one in slices):
        findings.append(make_finding("lossy"))
    return tuple(findings)
