"""Samples as files, named as every folder of cases is: ``NAME_ct``, ``NAME_liver``, ``NAME_tumour``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.io.nifti_writing import image_writer, write_together
from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from napari_liver_anomaly.phantom import Sample


def write_sample(sample: Sample, folder: str | Path, name: str) -> tuple[Path, ...]:
    """Write a scan with its truth; all three files, or none.

    Parameters
    ----------
    sample : Sample
        As given by ``make_phantom``.
    folder : path-like
        Where to; made if it is missing.
    name : str
        What the file names begin with.

    Returns
    -------
    tuple of Path
        ``NAME_ct.nii.gz`` (HU), ``NAME_liver.nii.gz`` and ``NAME_tumour.nii.gz`` (0 and 1).

    Raises
    ------
    NotWritten
        When the name is no plain file name, or the disk does not take a file; earlier files are untouched.
    WrongGrid
        When a mask does not belong to the scan.
    """
    if not name or name != Path(name).name or name.startswith("."):
        raise make_refusal("name-unfit", name=name)
    volume = sample.volume
    parts = {
        "ct": volume.voxels,
        "liver": sample.liver.of(volume, "liver mask").voxels,
        "tumour": sample.tumours.of(volume, "tumour mask").voxels,
    }
    return write_together({Path(folder) / f"{name}_{part}.nii.gz": image_writer(v, volume.geometry) for part, v in parts.items()})
