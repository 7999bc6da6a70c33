"""A hint that a lesion may be a simple cyst: as dark and even as water, with a sharp edge. A cyst is an anomaly, so it is told, not hidden.

References
----------
R. M. Gore et al., "Management of incidental liver lesions on CT: a white paper of the ACR Incidental Findings Committee", JACR 2017: a sharp margin,
homogeneous, 20 HU or less. That it takes up no contrast medium cannot be seen in a single phase, so it stays a hint. How even, how sharp and how
large are our choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from napari_liver_anomaly.volume import Volume

WATER_HU = (-15.0, 20.0)
EDGE_MM = 3.0  # what lies so near to the outline says nothing about the inside, and what lies beyond it is liver again
FEWEST_VOXELS = 30  # inside and around, for a mean that means something
UNEVEN = 1.5  # most spread inside, in that of the liver
BLURRED = 0.25  # most difference to the liver around the lesion, in that of its inside
DARKER_HU = 20.0  # at least, on average of all its voxels, or it is not looked at


def may_be_cyst(
    where: NDArray[np.int64], volume: Volume, liver: NDArray[np.bool_], mean_hu: float, liver_hu: float, spread_hu: float
) -> bool:
    """Say whether a lesion may be a simple cyst.

    Parameters
    ----------
    where : ndarray of int
        Its voxels, flat.
    volume : Volume
        The scan.
    liver : ndarray, (z, y, x) bool
        The liver.
    mean_hu, liver_hu : float
        Mean of the lesion and median of the other liver, HU.
    spread_hu : float
        How far the liver's voxels scatter around their median, as a standard deviation.

    Returns
    -------
    bool
        Whether its inside, 3 mm from the outline on each axial slice and not on its first or last, is as dark and as even as water, and the liver
        from 3 mm around it on as bright as the other liver. False for what is too small to say.
    """
    from scipy.ndimage import binary_dilation, binary_erosion, generate_binary_structure

    if not (liver_hu - mean_hu >= DARKER_HU and mean_hu < (WATER_HU[1] + liver_hu) / 2):
        return False
    _, dy, dx = volume.geometry.spacing_mm
    px = max(1, round(EDGE_MM / min(dy, dx)))
    places = np.stack(np.unravel_index(where, volume.geometry.shape))
    room = np.array([0, 2 * px, 2 * px])
    low = np.maximum(places.min(axis=1) - room, 0)
    high = np.minimum(places.max(axis=1) + room + 1, volume.geometry.shape)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    lesion = np.zeros(high - low, bool)
    lesion[tuple(places - low[:, None])] = True
    flat = generate_binary_structure(2, 1)[None]
    inside = binary_erosion(lesion, flat, px)
    if len(inside) > 2:
        inside[[0, -1]] = False
    near = binary_dilation(lesion, flat, px)
    around = binary_dilation(near, flat, px) & ~near & liver[box]
    hu = volume.voxels[box]
    if min(np.count_nonzero(inside), np.count_nonzero(around)) < FEWEST_VOXELS:
        return False
    level, rim = float(hu[inside].mean()), float(np.median(hu[around]))
    is_water = WATER_HU[0] <= level <= WATER_HU[1] and float(hu[inside].std()) <= UNEVEN * spread_hu
    return is_water and abs(rim - liver_hu) <= BLURRED * (liver_hu - level)
