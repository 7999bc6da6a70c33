"""What many rows ask for: a refusal by its code, a second library's word on a written file, a small scan that was searched."""

from __future__ import annotations

import subprocess
import sys
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import SimpleITK

from builders import PLAIN_AFFINE, ct, nifti_file
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.io import read
from napari_liver_anomaly.io.read_options import ReadOptions
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.volume import Mask, Volume

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.geometry import Geometry
    from napari_liver_anomaly.result import Result

SAME_PLACE_MM = 0.01
SHOW_ALL = SegmentSettings(min_lesion_mm3=0)


@dataclass
class Caught:
    """The refusal that a block ended with."""

    refusal: Refusal | None = None

    @property
    def finding(self) -> Finding:
        assert self.refusal is not None
        return self.refusal.finding

    @property
    def code(self) -> str:
        return self.finding.code

    @property
    def text(self) -> str:
        """The three sentences, with all that a crash report would quote."""
        return "".join(traceback.format_exception(self.refusal))


@contextmanager
def refused(about: object, *codes: str, kind: type[Refusal] = Refusal) -> Iterator[Caught]:
    """Hold that a block is refused, with one of these codes (any when none is given), in three sentences."""
    caught = Caught()
    try:
        yield caught
    except kind as refusal:
        caught.refusal = refusal
        parts = (refusal.finding.what, refusal.finding.meaning, refusal.finding.action)
        assert all(part.strip().endswith((".", "?", "…")) for part in parts), (about, parts)
        assert not codes or caught.code in codes, (about, caught.code, str(refusal))
        return
    raise AssertionError(f"not refused: {about}")


def codes_of(findings: tuple[Finding, ...]) -> set[str]:
    return {finding.code for finding in findings}


def turned(x: float, y: float, z: float) -> np.ndarray:
    """A rotation by three angles in degrees."""
    a, b, c = np.deg2rad([x, y, z])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    about_z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return about_x @ about_y @ about_z


def witnessed(path: Path, geometry: Geometry) -> np.ndarray:
    """Hold that nibabel and SimpleITK both see a file on the grid of its scan; give its values in source order."""
    image, other = nibabel.load(path), SimpleITK.ReadImage(str(path))
    values = np.asanyarray(image.dataobj)
    assert values.shape == geometry.source_shape == other.GetSize(), path.name
    assert np.array_equal(SimpleITK.GetArrayFromImage(other).T, values), path.name
    for corner in np.ndindex(2, 2, 2):
        index = np.array(corner) * (np.array(values.shape) - 1)
        place = (geometry.source_affine @ (*index, 1))[:3]
        there = image.affine @ (*index, 1)
        assert np.abs(there[:3] - place).max() < SAME_PLACE_MM, (path.name, index)
        itk = np.array(other.TransformIndexToPhysicalPoint([int(n) for n in index])) * (-1, -1, 1)  # ITK speaks LPS
        assert np.abs(itk - place).max() < SAME_PLACE_MM, (path.name, index)
    return values


def organ_of(volume: Volume) -> Mask:
    """A box of liver well inside a scan, which a mask of the suite may be."""
    voxels = np.zeros(volume.geometry.shape, bool)
    voxels[tuple(slice(max(1, n // 5), n - max(1, n // 5)) for n in voxels.shape)] = True
    return Mask(voxels, volume.geometry, volume.identity, judged=True)


def scanned(folder: Path, name: str = "scan.nii.gz", values: Any = None, affine: Any = PLAIN_AFFINE, **knobs: Any) -> Volume:
    """A small scan, read from a file made for it."""
    return read(nifti_file(folder / name, ct() if values is None else values, affine, **knobs), ReadOptions(voxel_size="accept"))


def searched(volume: Volume, liver: Mask | None = None, **changes: Any) -> Result:
    """What the rule without learning finds in a small scan: all that is 5 HU darker than the liver."""
    liver = organ_of(volume) if liver is None else replace(liver, judged=True)
    return segment(volume, liver, DarkRule(threshold_hu=5, sigma_mm=0.1), SHOW_ALL, device="cpu", **changes)


def child(script: str, *arguments: object, timeout_s: float = 120) -> str:
    """Run a script in a fresh interpreter that sees this tree; what it printed, and it must end well."""
    words = [sys.executable, "-c", script, *(str(argument) for argument in arguments)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
