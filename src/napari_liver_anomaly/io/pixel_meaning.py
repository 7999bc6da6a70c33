"""Whether the images of a DICOM series can become Hounsfield units, according to their headers."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.errors import Level
from napari_liver_anomaly.io.hounsfield import TAKE_AS_HOUNSFIELD
from napari_liver_anomaly.io.source import found
from napari_liver_anomaly.messages import make_finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.dicom_slices import Slice
    from napari_liver_anomaly.io.read_options import ReadOptions

HOUNSFIELD_TYPES = {"", "HU", "US"}
UNSPECIFIED = "US"
# Words of ImageType, by the standard's lists for CT and the makers' own: what is worked out of several scans or of many slices.
MAPS = re.compile(
    r"PERFUSION|RCB[FV]|CB[FV]|MTT|TTP|TMAX|PBV|PERM\w*|FLOW|MAT_(SPECIFIC|FRACTIONAL|VALUE_BASED)|MATERIAL\w*|GSI MD|"
    r"IODINE\w*|WATER\w*|CALCIUM\w*|URIC\w*|(EFF_ATOMIC|EFFECTIVE_Z|Z_?EFF)\w*|ELECTRON_DENSITY|RHO|SUBTRACT\w*|SUB|DIFF\w*|FUSION|RGB"
)
EXTREMES = re.compile(r"(MAX|MIN)?[_ ]?IP|M(AX)?IP|MINIP|(MAX|MIN)_?INTENSITY\w*|VOLUME_RENDER|VRT?|SSD|PROJECTION IMAGE")
USUAL = re.compile(
    r"|ORIGINAL|DERIVED|PRIMARY|SECONDARY|AXIAL|HELICAL|VOLUME|NONE|OTHER|AVERAGE|MEAN|MPR|MPVR|REFORMATTED|RESAMPLED|CORONAL|SAGITTAL|OBLIQUE|"
    r"MIXED|VMI|MONO\w*|MAT_REMOVED|MAT_MODIFIED|VIRTUAL_?NON_?CONTRAST|VNC|ADD|NORM|CSA\w*( \w+)?|CT_SOM\d+.*|SPI|SEQ|\w+ MPR|"
    r"FILTERED|DENOISED|JP2K LOSSY.*|CPR"
)


def image_findings(slices: Sequence[Slice], answers: ReadOptions) -> tuple[Finding, ...]:
    """Check that every slice is a grey image of plain integers, and says what they are in HU."""
    doubts = (_captured(slices), _inverted(slices), _calibration(slices), _worked_out(slices), _projected(slices))
    asked = found(*doubts)
    if asked and answers.values == "hounsfield":
        asked = tuple(one for one in asked if one.level is Level.REFUSE) or (make_finding("hounsfield-chosen"),)
    lossy = make_finding("lossy") if any(one.lossy for one in slices) else None
    return (*found(_image_kind(slices)), *asked, *found(lossy, *_told_oddly(slices)))


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


def _captured(slices: Sequence[Slice]) -> Finding | None:
    """Whether these are pictures that a workstation made from a CT."""
    return make_finding("secondary-capture", TAKE_AS_HOUNSFIELD) if any(one.is_capture for one in slices) else None


def _inverted(slices: Sequence[Slice]) -> Finding | None:
    """Whether bright and dark are exchanged, which some programs do to the values, too."""
    if all(one.photometric != "MONOCHROME1" for one in slices):
        return None
    return make_finding("values-inverted", TAKE_AS_HOUNSFIELD)


def _calibration(slices: Sequence[Slice]) -> Finding | None:
    """Whether every slice says how its values become Hounsfield units; values with a sign may be such as they are."""
    if all(one.slope is None and one.intercept is None and one.signed for one in slices):
        return make_finding("rescale-unsaid", TAKE_AS_HOUNSFIELD)
    if any(not one.slope or one.intercept is None or not np.isfinite([one.slope, one.intercept]).all() for one in slices):
        return make_finding("rescale-missing")
    return None


def _worked_out(slices: Sequence[Slice]) -> Finding | None:
    """Whether values are those of a map, by the unit that is given and by the words for the kind of image; what is unknown is asked."""
    for one in slices:
        words = [word.upper().strip() for word in one.image_type]
        unit = one.rescale_type.upper()
        unknown = "DERIVED" in words and unit == UNSPECIFIED and not all(USUAL.fullmatch(word) for word in words)
        if unit not in HOUNSFIELD_TYPES or any(MAPS.fullmatch(word) for word in words[2:]) or unknown:
            return make_finding("series-not-hu", TAKE_AS_HOUNSFIELD)
    return None


def _projected(slices: Sequence[Slice]) -> Finding | None:
    """Whether each pixel is the highest or lowest of many slices."""
    if not any(EXTREMES.fullmatch(word.upper().strip()) for one in slices for word in one.image_type[2:]):
        return None
    return make_finding("series-projected", TAKE_AS_HOUNSFIELD)


def _told_oddly(slices: Sequence[Slice]) -> tuple[Finding | None, ...]:
    """Note headers that were read although they are not as the standard wants them."""
    return (
        None if all(one.syntax_told for one in slices) else make_finding("encoding-untold"),
        make_finding("decimal-comma") if any(one.comma for one in slices) else None,
    )
