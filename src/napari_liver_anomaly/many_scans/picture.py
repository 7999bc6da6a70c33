"""A small picture of what was found in a scan, for lists."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.notebook import LIVER, TUMOUR

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.io.session import Session
    from napari_liver_anomaly.volume import Volume

PICTURE_PX = 72
DARKEST_HU, BRIGHTEST_HU = -60, 240


def picture_of(volume: Volume, session: Session) -> NDArray[np.uint8]:
    """Draw the slice of the largest lesion, else that with most liver, small enough for a list."""
    lesions, liver = session.lesions, session.liver.voxels
    plane = volume.voxels.shape[1] * volume.voxels.shape[2]
    if lesions.where.size:
        largest = lesions.where[lesions.values == np.bincount(lesions.values)[1:].argmax() + 1]
        number = int(np.bincount(largest // plane).argmax())
    else:
        number = int(liver.sum(axis=(1, 2)).argmax())
    step = max(1, -(-max(volume.voxels.shape[1:]) // PICTURE_PX))
    hu = volume.voxels[number, ::step, ::step].astype(np.float32)
    grey = np.clip((hu - DARKEST_HU) / (BRIGHTEST_HU - DARKEST_HU), 0, 1) * 255
    picture = np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)
    tumours = np.zeros(plane, bool)
    on_slice = lesions.where[lesions.where // plane == number] - number * plane
    tumours[on_slice] = True
    for mask, colour in ((_rim(liver[number]), LIVER), (tumours.reshape(volume.voxels.shape[1:]), TUMOUR)):
        picture[mask[::step, ::step]] = colour
    return picture


def _rim(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Give the outline of a flat mask, thick enough to be seen once it is made small."""
    from scipy.ndimage import binary_erosion

    return np.asarray(mask & ~binary_erosion(mask, iterations=max(1, max(mask.shape) // PICTURE_PX)))
