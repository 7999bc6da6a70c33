"""Cases in a folder: which files belong together, by their names alone; and how they are written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.io.nifti_writing import image_writer, write_together
from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from napari_liver_anomaly.volume import Mask, Volume

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".mha")
MASK_ENDINGS = (*ENDINGS, ".seg.nrrd", ".dcm")  # segmentations of 3D Slicer and of DICOM
TUMOUR_WORDS = ("tumour", "tumor")


@dataclass(frozen=True, slots=True)
class Case:
    """Files of one scan.

    Attributes
    ----------
    name : str
        What stands before ``_ct`` in the scan's file name.
    ct, liver : Path
        The scan and its liver mask.
    tumours : Path or None
        The tumour mask, where there is one.
    """

    name: str
    ct: Path
    liver: Path
    tumours: Path | None


def find_cases(folder: str | Path) -> tuple[Case, ...]:
    """List the cases of a folder: ``NAME_ct``, ``NAME_liver`` and, where known, ``NAME_tumour`` (or ``NAME_tumor``)."""
    folder = Path(folder)
    scans = {name: path for path in sorted(folder.glob("*_ct.*")) if (name := _name_of(path, "ct"))} if folder.is_dir() else {}
    found = []
    for name, path in scans.items():
        liver = _first(folder, name, ("liver",))
        if liver:
            found.append(Case(name, path, liver, _first(folder, name, TUMOUR_WORDS)))
    if not found:
        raise make_refusal("no-cases")
    return tuple(found)


def write_case(volume: Volume, liver: Mask, tumours: Mask, folder: str | Path, name: str) -> tuple[Path, ...]:
    """Write a scan with its masks under the names that :func:`find_cases` looks for; all three files, or none.

    Parameters
    ----------
    volume : Volume
        The scan.
    liver, tumours : Mask
        Where its liver and its tumours are; there may be no tumours.
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
    parts = {
        "ct": volume.voxels,
        "liver": liver.of(volume, "liver mask").voxels,
        "tumour": tumours.of(volume, "tumour mask").voxels,
    }
    return write_together({Path(folder) / f"{name}_{part}.nii.gz": image_writer(v, volume.geometry) for part, v in parts.items()})


def _name_of(path: Path, word: str) -> str:
    """Read what stands before ``_ct`` in a file name; empty when there is none."""
    ends = [ending for ending in ENDINGS if path.name.endswith(f"_{word}{ending}")]
    return path.name.removesuffix(f"_{word}{ends[0]}") if ends else ""


def _first(folder: Path, name: str, words: tuple[str, ...]) -> Path | None:
    """Find the first file of a case that exists."""
    paths = (folder / f"{name}_{word}{ending}" for word in words for ending in MASK_ENDINGS)
    return next((path for path in paths if path.exists()), None)
