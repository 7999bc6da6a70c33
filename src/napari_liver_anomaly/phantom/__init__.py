"""A digital phantom of the abdomen: the built-in sample, free of patient data, with exact masks of liver and tumours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.phantom.ct_noise import ct_noise
from napari_liver_anomaly.phantom.organs import paint_liver, paint_organs
from napari_liver_anomaly.phantom.space import FIELD_MM, Canvas, Space
from napari_liver_anomaly.phantom.trunk import AIR, Body, paint_trunk
from napari_liver_anomaly.phantom.tumours import paint_tumours
from napari_liver_anomaly.phantom.vessels import paint_veins
from napari_liver_anomaly.settings import Settings, setting
from napari_liver_anomaly.volume import Mask, Volume, require_kind

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PhantomSettings", "Sample", "make_phantom"]


@dataclass(frozen=True, kw_only=True, slots=True)
class PhantomSettings(Settings):
    """What the phantom shall be like."""

    seed: int = setting(
        1, low=0, high=2**31 - 1, help="Another number gives another person and other tumours; the same gives the same."
    )
    tumours: bool = setting(True, help="Put tumours into the liver; the person stays the same without them.")
    tumour_count: int = setting(5, low=1, high=20, help="How many tumours.")
    slices: int = setting(
        48, low=8, high=400, help="Number of axial slices; the whole liver always fits, so more slices are thinner."
    )
    size_px: int = setting(
        256, unit="px", low=64, high=512, help="Width and height of a slice; the field of view is always 360 mm."
    )
    height_mm: float = setting(192.0, unit="mm", low=160, high=300, help="Length of the patient that is scanned.")
    noise_hu: float = setting(15.0, unit="HU", low=0, high=60, help="Standard deviation of the noise in the middle of the body.")

    @property
    def slice_mm(self) -> float:
        """Distance between slices in mm."""
        return self.height_mm / self.slices

    @property
    def spacing_mm(self) -> float:
        """Size of a pixel in mm."""
        return FIELD_MM / self.size_px


@dataclass(frozen=True, eq=False)
class Sample:
    """A scan with its truth.

    Attributes
    ----------
    volume : Volume
        The scan, HU.
    liver : Mask
        The whole liver with its tumours and vessels, without gallbladder and vena cava.
    tumours : Mask
        The tumours; empty for a healthy phantom.
    """

    volume: Volume
    liver: Mask
    tumours: Mask

    def __repr__(self) -> str:
        return f"Sample({self.volume!r}, {self.liver.ml:.0f} ml of liver, {self.tumours.ml:.1f} ml of tumours)"


def make_phantom(settings: PhantomSettings | None = None) -> Sample:
    """Make the phantom.

    Parameters
    ----------
    settings : PhantomSettings, optional
        Size, seed, with or without tumours.

    Returns
    -------
    Sample
        Scan, liver and tumours on one grid. The same settings give the same voxels; with and without tumours the person and the
        noise are the same.
    """
    settings = PhantomSettings() if settings is None else settings
    require_kind(settings, PhantomSettings, "make_phantom", "PhantomSettings(seed=1) makes them")
    people, grid, organs, veins, growths, grain = (
        np.random.default_rng(s) for s in np.random.SeedSequence(settings.seed).spawn(6)
    )
    body = Body.draw(people)
    space = Space(settings.slices, settings.size_px, settings.height_mm, grid)
    canvas = Canvas(space, AIR)
    cavity = paint_trunk(canvas, body, organs)
    paint_organs(canvas, cavity, organs)
    box, liver = paint_liver(canvas, body, cavity, organs)
    paint_veins(canvas, box, liver, body.vessel_hu, veins)
    organ = np.zeros(space.shape, bool)
    organ[box] = liver < 0
    growth = (
        paint_tumours(canvas, box, liver, settings.tumour_count, growths) if settings.tumours else np.zeros(space.shape, bool)
    )
    voxels = _scanned(canvas, settings, grain)
    across, down = settings.spacing_mm, settings.slice_mm
    affine = np.diag([-across, -across, down, 1.0])
    affine[:3, 3] = (FIELD_MM / 2 - across / 2, FIELD_MM / 2 - across / 2, -settings.height_mm + down / 2)
    geometry = Geometry((settings.size_px, settings.size_px, settings.slices), affine)
    volume = Volume(voxels, geometry, "phantom")
    return Sample(volume, Mask(organ | growth, geometry, volume.identity), Mask(growth, geometry, volume.identity))


def _scanned(canvas: Canvas, settings: PhantomSettings, rng: np.random.Generator) -> NDArray[np.int16]:
    """Blur a little as a scanner does, add noise that is strongest in the middle of the body, and round to whole HU."""
    from scipy.ndimage import gaussian_filter1d

    hu = canvas.hu
    for axis, (blur_mm, step) in enumerate(zip((0.35 * settings.slice_mm, 0.75, 0.75), canvas.space.steps_mm, strict=True)):
        hu = gaussian_filter1d(hu, blur_mm / step, axis=axis, mode="nearest", truncate=3.0)
    if settings.noise_hu:
        y, x = (np.linspace(-1, 1, settings.size_px, dtype=np.float32) for _ in range(2))
        falloff = 0.5 + 0.5 * np.exp(-(y[:, None] ** 2 / 0.5 + x[None, :] ** 2 / 0.8))
        hu += ct_noise(canvas.space.shape, canvas.space.steps_mm, rng) * (np.float32(settings.noise_hu) * falloff)
    return np.clip(np.rint(hu), -1024, 1500).astype(np.int16)
