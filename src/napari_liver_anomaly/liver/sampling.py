"""What the liver finder trains on: scans on fixed grids, changed at random every time they are seen.

Nothing here is tuned to a scan: each change stands for something that scanners, patients and people who crop scans do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from napari_liver_anomaly.liver.grid import COARSE_MM, FINE_MM, resample
from napari_liver_anomaly.training.training_set import TrainingSet, torch_seed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from napari_liver_anomaly.volume import Mask, Volume

    Draw = Callable[["LiverCase", np.random.Generator, torch.Generator, float], tuple[Tensor, Tensor]]

BLOCK = (24, 32, 40)
WINDOW = (80, 96)
SEEN = 5  # slices that the fine network sees; it predicts the one in the middle
MIDDLE = slice(SEEN // 2, SEEN // 2 + 1)
HALF_MM = (5.0, 5.0, 5.0)
HU = 205.0
BRIGHTEST_LIVER = 0.9  # no contrast phase makes a liver as bright as the end of the window: what is white there is something else
TISSUE = 0.25  # brighter than fat
BLUR_MM = 6.0  # what the coarse network misses or adds has edges about this soft
OUT_MM = (3.0, 15.0)  # how far a lesion reaches out of the liver


@dataclass(frozen=True, eq=False)
class LiverCase:
    """One scan with its liver on the grids of training."""

    name: str
    fine: Tensor  # (2, z, y, x): image 0…1, and how much of each voxel is liver, at 4 × 2.5 × 2.5 mm
    coarse: Tensor  # the same, averaged as for 10 mm but kept every 5 mm, so that it can be turned and shifted
    weight: float = 1.0  # how often it is drawn, beside the others
    scan: str = ""  # identity (hash) of the scan

    @classmethod
    def of(cls, name: str, volume: Volume, liver: Mask, weight: float = 1.0) -> LiverCase:
        """Bring a scan and its liver, tumours included, to the grids of training."""
        spacing = volume.geometry.spacing_mm
        image = resample(volume.voxels, spacing, FINE_MM, FINE_MM, hu=True)
        liver_part = resample(liver.voxels, spacing, FINE_MM, FINE_MM)
        low = [resample(block, FINE_MM, HALF_MM, COARSE_MM) for block in (image, liver_part)]
        return cls(
            name, torch.from_numpy(np.stack([image, liver_part])), torch.from_numpy(np.stack(low)), weight, volume.identity
        )


@dataclass(frozen=True, eq=False)
class LiverBatch:
    """Blocks or slices (B, C, …), 0…1, and how much of each voxel is liver (B, 1, …)."""

    image: Tensor
    liver: Tensor

    def to(self, device: torch.device) -> LiverBatch:
        """Move both to a device."""
        return LiverBatch(self.image.to(device), self.liver.to(device))


def liver_set(
    cases: Sequence[LiverCase], draw: Draw, batch: int, started_from: str = "", p_bulging: float = 0.0
) -> TrainingSet[LiverBatch]:
    """Make a training set of blocks or slices, drawn from cases by their weight."""
    weights = np.array([case.weight for case in cases])

    def sampler(seed: int, stage: int, step: int) -> LiverBatch:
        rng, torch_rng = np.random.default_rng([seed, stage, step]), torch.Generator().manual_seed(torch_seed(seed, stage, step))
        chosen = rng.choice(len(cases), batch, p=weights / weights.sum())
        drawn = [draw(cases[index], rng, torch_rng, p_bulging) for index in chosen]
        return LiverBatch(*(torch.stack(part) for part in zip(*drawn, strict=True)))

    arrays = [block.numpy() for case in cases for block in (case.fine, case.coarse)]
    settings = {"batch": batch, "weights": weights.tolist(), "started_from": started_from, "p_bulging": p_bulging}
    return TrainingSet(arrays, sampler, settings, len(cases))


def _points(
    shape: tuple[int, int, int], step: NDArray[np.float64], turn: NDArray[np.float64], middle: NDArray[np.float64]
) -> Tensor:
    """Places in mm of a block around a point, turned; (z, y, x, 3) with z, y, x last."""
    axes = [(np.arange(n) - (n - 1) / 2) * s for n, s in zip(shape, step, strict=True)]
    places = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1) @ turn.T + middle
    return torch.from_numpy(places.astype(np.float32))


def _interpolate(
    block: Tensor, spacing: tuple[float, float, float], places: Tensor, limits: tuple[float, float] | None = None
) -> Tensor:
    """Interpolate a block (C, z, y, x) at places in mm; beyond the ends the last value goes on. Gives (C, ...)."""
    size = torch.tensor([n * s for n, s in zip(block.shape[1:], spacing, strict=True)])
    if limits is not None:
        places = torch.cat([places[..., :1].clamp(*limits), places[..., 1:]], dim=-1)
    grid = (2 * places / size - 1).flip(-1)[None]
    return functional.grid_sample(block[None], grid, mode="bilinear", padding_mode="border", align_corners=False)[0]


def _turn(rng: np.random.Generator, degrees: float, *, flat: bool) -> NDArray[np.float64]:
    """Draw a small random rotation, about the body's axis only when ``flat``, with scale and, rarely, mirrored left to right."""
    about_z, about_y, about_x = rng.uniform(-degrees, degrees, 3) * np.pi / 180 * (1, not flat, not flat)
    c, s = np.cos(about_z), np.sin(about_z)
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
    c, s = np.cos(about_y), np.sin(about_y)
    turn = turn @ np.array([[c, 0, -s], [0, 1, 0], [s, 0, c]])
    c, s = np.cos(about_x), np.sin(about_x)
    turn = turn @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    scale = rng.uniform(0.88, 1.14) * np.array([rng.uniform(0.92, 1.08), 1.0, rng.uniform(0.94, 1.06)])
    if rng.random() < 0.05:
        scale[2] = -scale[2]
    return np.asarray(turn * scale)


def _vary_image(image: Tensor, liver: Tensor, places: Tensor, rng: np.random.Generator, torch_rng: torch.Generator) -> Tensor:
    """Change brightness, contrast phase, lesions, noise and sharpness of an image 0…1; ``liver`` is where the liver is."""
    if rng.random() < 0.5:
        image = image + liver * float(rng.uniform(-40, 40) / HU)
    if rng.random() < 0.4:
        image = _lesions(image, liver, places, rng)
    if rng.random() < 0.4:
        image = _contrast_medium(image, liver, places, rng)
    if rng.random() < 0.3:
        middle = float(rng.uniform(0.3, 0.6))
        image = (image - middle) * float(rng.uniform(0.7, 1.25)) + middle
    if rng.random() < 0.4:
        image = image + float(rng.uniform(-20, 20) / HU)
    if liver.any():
        image = image - liver * max(0.0, float((image * liver).sum() / liver.sum()) - BRIGHTEST_LIVER)
    if rng.random() < 0.5:
        image = image + torch.randn(image.shape, generator=torch_rng) * float(rng.uniform(0, 25) / HU)
    return image.clamp(0, 1)


def _lesions(image: Tensor, liver: Tensor, places: Tensor, rng: np.random.Generator) -> Tensor:
    """Draw ellipsoids that are darker, seldom brighter, than the liver; they stay liver."""
    inside = torch.nonzero(liver > 0.5)
    if len(inside) == 0:
        return image
    for _ in range(int(rng.integers(1, 6))):
        at = places[tuple(inside[int(rng.integers(len(inside)))])]
        radius = torch.from_numpy((rng.uniform(4, 45) * rng.uniform(0.6, 1.4, 3)).astype(np.float32))
        body = torch.sigmoid((1 - ((places - at) / radius).norm(dim=-1)) * float(rng.uniform(4, 20)))
        depth = rng.uniform(-110, -20) if rng.random() < 0.85 else rng.uniform(10, 60)
        image = image + body * liver * float(depth / HU)
    return image


def _bulging(
    image: Tensor, liver: Tensor, places: Tensor, spacing: tuple[float, float, float],
    rng: np.random.Generator, torch_rng: torch.Generator,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Draw a lesion whose centre lies at the liver's edge, some as bright as the liver; what reaches out of the liver is liver, too."""
    from scipy.ndimage import binary_erosion, distance_transform_edt

    inside = liver > 0.5
    edge = torch.nonzero(inside & torch.from_numpy(~binary_erosion(inside.numpy(), border_value=1)))
    if len(edge) == 0:
        return image, liver
    at = places[tuple(edge[int(rng.integers(len(edge)))])]
    radius = torch.from_numpy((rng.uniform(8, 45) * rng.uniform(0.6, 1.4, 3)).astype(np.float32))
    body = torch.sigmoid((1 - ((places - at) / radius).norm(dim=-1)) * float(rng.uniform(6, 20)))
    apart = torch.from_numpy(distance_transform_edt(~inside.numpy(), sampling=spacing).astype(np.float32))
    body = body * ((float(rng.uniform(*OUT_MM)) - apart) / max(spacing) + 0.5).clamp(0, 1)
    level = image[inside].mean() + float(rng.uniform(-60, 10) / HU)
    tissue = level + torch.randn(image.shape, generator=torch_rng) * image[inside].std(correction=0) / 2
    return image + body * (tissue - image), torch.maximum(liver, body)


def _contrast_medium(image: Tensor, liver: Tensor, places: Tensor, rng: np.random.Generator) -> Tensor:
    """Brighten tissue around the liver in a few round places, as contrast medium does to bowel, heart, kidneys and spleen."""
    tissue = (image > TISSUE).float() * (1 - liver)
    found = torch.nonzero(tissue > 0.5)
    if len(found) == 0:
        return image
    for _ in range(int(rng.integers(1, 5))):
        at = places[tuple(found[int(rng.integers(len(found)))])]
        radius = torch.from_numpy((rng.uniform(10, 60) * rng.uniform(0.7, 1.3, 3)).astype(np.float32))
        body = torch.sigmoid((1 - ((places - at) / radius).norm(dim=-1)) * float(rng.uniform(8, 30)))
        image = image + body * tissue * float(rng.uniform(20, 220) / HU)
    return image


def coarse_sample(
    case: LiverCase, rng: np.random.Generator, torch_rng: torch.Generator, p_bulging: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Draw a block (1, 24, 32, 40) at 10 mm and its liver: the scan turned, scaled, cut to a random field of view (0 beyond), and changed."""
    block = case.coarse
    size = np.array(block.shape[1:]) * HALF_MM
    wide = np.array(BLOCK) * COARSE_MM
    middle = size / 2 + rng.uniform(-0.5, 0.5, 3) * (np.maximum(wide - size, 0) * (0.9, 0.9, 0.9) + 24)
    places = _points(BLOCK, np.array(COARSE_MM), _turn(rng, 8, flat=False), middle)
    image, liver = _interpolate(block, HALF_MM, places)
    if p_bulging and rng.random() < p_bulging:
        image, liver = _bulging(image, liver, places, COARSE_MM, rng, torch_rng)
    image = _vary_image(image, liver, places, rng, torch_rng)
    seen = _field_of_view(places, block, size, rng)
    return (image * seen)[None], (liver * seen)[None]


def _field_of_view(places: Tensor, block: Tensor, size: NDArray[np.float64], rng: np.random.Generator) -> Tensor:
    """Where the scan is: sometimes all of it and more above and below, sometimes cut close to the liver or through it."""
    low, high = np.zeros(3), size.copy()
    if rng.random() < 0.4:
        low[0], high[0] = -rng.uniform(0, 100), size[0] + rng.uniform(0, 100)
    if rng.random() < 0.5:
        filled = torch.nonzero(block[1] > 0.5).numpy() * HALF_MM
        first, last = filled.min(axis=0), filled.max(axis=0)
        for axis in range(3):
            if rng.random() < 0.6:
                low[axis] = max(low[axis], first[axis] - rng.uniform(-25, 80))
            if rng.random() < 0.6:
                high[axis] = min(high[axis], last[axis] + rng.uniform(-25, 80))
    inside = (places >= torch.from_numpy(low)) & (places <= torch.from_numpy(high))
    return inside.all(dim=-1).float()


def fine_sample(
    case: LiverCase, rng: np.random.Generator, torch_rng: torch.Generator, p_bulging: float = 0.0
) -> tuple[Tensor, Tensor]:
    """Draw five neighbouring slices and a coarse prediction that is wrong here and there, (6, 80, 96), and the middle slice's liver (1, 80, 96)."""
    block = case.fine
    size = np.array(block.shape[1:]) * FINE_MM
    filled = torch.nonzero(block[1].amax(dim=(1, 2)) > 0.5).numpy().ravel() * FINE_MM[0]
    if rng.random() < 0.15:
        depth = rng.uniform(filled[0] - 24, filled[-1] + 24)
    else:
        depth = rng.uniform(filled[0], filled[-1] + FINE_MM[0])
    where = torch.nonzero(case.coarse[1].amax(dim=0) > 0.5).numpy() * HALF_MM[1:]
    first, last = where.min(axis=0), where.max(axis=0)
    middle = np.array([depth, *((first + last) / 2 + rng.uniform(-60, 60, 2))])
    places = _points((SEEN, *WINDOW), np.array(FINE_MM), _turn(rng, 12, flat=True), middle)
    limits = (FINE_MM[0] / 2, size[0] - FINE_MM[0] / 2)
    if rng.random() < 0.15:
        limits = (max(limits[0], depth - rng.uniform(0, 8)), limits[1])
    if rng.random() < 0.15:
        limits = (limits[0], min(limits[1], depth + rng.uniform(0, 8)))
    image, liver = _interpolate(block, FINE_MM, places, limits)
    rough = _coarse_prediction(case, places[MIDDLE], rng, torch_rng)
    if p_bulging and rng.random() < p_bulging:
        image, liver = _bulging(image, liver, places, FINE_MM, rng, torch_rng)
        rough = torch.maximum(rough, liver[MIDDLE]) if rng.random() < 0.5 else rough  # it saw the lesion, or left it out
    image = _blurred(_vary_image(image, liver, places, rng, torch_rng), rng)
    return torch.cat([image, rough]), liver[MIDDLE]


def _blurred(image: Tensor, rng: np.random.Generator) -> Tensor:
    """Sometimes as thick slices would look, sometimes as a soft kernel would."""
    if rng.random() < 0.15:
        image = functional.avg_pool3d(functional.pad(image[None], (0, 0, 0, 0, 1, 1), mode="replicate"), (3, 1, 1), stride=1)[0]
    if rng.random() < 0.15:
        image = functional.avg_pool2d(functional.pad(image[None], (1, 1, 1, 1), mode="replicate"), 3, stride=1)[0]
    return image


def _coarse_prediction(case: LiverCase, places: Tensor, rng: np.random.Generator, torch_rng: torch.Generator) -> Tensor:
    """Draw a coarse prediction as a network might give it: shifted, leaking, with holes, sometimes without a lobe or with another organ."""
    shift = torch.from_numpy(rng.normal(0, 4, 3).astype(np.float32))
    liver = _interpolate(case.coarse[1:], HALF_MM, places + shift)[0]
    noise = torch.randn((1, 1, int(rng.integers(4, 9)), int(rng.integers(4, 9))), generator=torch_rng)
    noise = functional.interpolate(noise, size=liver.shape[1:], mode="bicubic", align_corners=False)[0, 0]
    if rng.random() < 0.4:
        at = places[0, int(rng.integers(places.shape[1])), int(rng.integers(places.shape[2]))]
        inside = torch.nonzero(liver[0] > 0.5)
        if rng.random() < 0.7 and len(inside):
            at = places[0][tuple(inside[int(rng.integers(len(inside)))])]
        near = torch.sigmoid((float(rng.uniform(15, 70)) - (places - at).norm(dim=-1)) / BLUR_MM)[0]
        liver = liver + near * (float(rng.random() < 0.35) - liver)
    return torch.sigmoid((liver - 0.5 + noise * float(rng.uniform(0, 0.4))) * float(rng.uniform(5, 14)))
