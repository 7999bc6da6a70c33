"""Seamless cloning: the gradients of two slices combined, with the border of one.

References
----------
Pérez, Gangnet, Blake 2003, "Poisson image editing", section 4 (mixed gradients).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def cloned(
    image: NDArray[np.float32], other: NDArray[np.float32], region: NDArray[np.bool_], own: float = 1, others: float = 1
) -> NDArray[np.float32]:
    """Blend a slice into another so that no seam shows.

    Inside the region, the Laplacian of the result is the divergence of the stronger, at each pixel and neighbour, of the two slices' weighted
    differences. The region's own border pixels keep the first slice's values, so nothing outside the region is looked at: neither the frame's
    border nor the black around a liver pulls on the result [OURS].

    From Pérez, Gangnet, Blake 2003, equations 7, 8 and 12.
    """
    from scipy.ndimage import binary_erosion
    from scipy.sparse import csc_array
    from scipy.sparse.linalg import splu

    unknown = binary_erosion(region)
    count = np.count_nonzero(unknown)
    if count == 0:
        return image.copy()
    number = np.full(image.shape, -1)
    number[unknown] = np.arange(count)
    # The unknown is the change of the slice: it is 0 on the border, and exactly 0 all over where the slice's own differences win.
    divergence = np.zeros(image.shape)
    pairs = []
    for axis in (0, 1):
        mine, theirs = (np.diff(plane.astype(np.float64), axis=axis) for plane in (image, other))
        wanted = np.where(np.abs(others * theirs) > np.abs(own * mine), others * theirs, own * mine) - mine
        ahead, behind = [(0, 0), (0, 0)], [(0, 0), (0, 0)]
        ahead[axis], behind[axis] = (1, 0), (0, 1)
        divergence += np.pad(wanted, ahead) - np.pad(wanted, behind)
        first, second = (np.take(number, range(k, number.shape[axis] - 1 + k), axis) for k in (0, 1))
        both = (first >= 0) & (second >= 0)
        pairs.append((first[both], second[both]))
    one, two = (np.concatenate(ends) for ends in zip(*pairs, strict=True))
    whole = np.arange(count)
    values = np.concatenate([np.full(count, 4.0), np.full(2 * one.size, -1.0)])
    places = np.concatenate([whole, one, two]), np.concatenate([whole, two, one])
    laplacian = csc_array((values, places), shape=(count, count))
    factors = splu(laplacian, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
    result = image.copy()
    result[unknown] = image[unknown] + factors.solve(divergence[unknown])
    return result
