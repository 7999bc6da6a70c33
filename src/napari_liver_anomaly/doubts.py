"""Doubts about a liver that a result does not show by itself, said once for every room that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from napari_liver_anomaly.errors import Finding, Level

if TYPE_CHECKING:
    from napari_liver_anomaly.volume import Mask


def about_the_edge(liver: Mask) -> tuple[Finding, ...]:
    """Say when a liver reaches the edge of its scan.

    Parameters
    ----------
    liver : Mask
        The liver, tumours included.

    Returns
    -------
    tuple of Finding
        One note, or none.
    """
    voxels = liver.voxels
    faces = [face for axis in range(3) for face in (voxels.take(0, axis), voxels.take(-1, axis))]
    if not any(face.any() for face in faces):
        return ()
    return (
        Finding(
            level=Level.NOTE, code="liver-at-edge", what="The liver touches the edge of the scan.",
            meaning="Part of it may be missing; volumes are lower limits.", action="Use a scan of the whole liver if there is one.",
        ),
    )  # fmt: skip
