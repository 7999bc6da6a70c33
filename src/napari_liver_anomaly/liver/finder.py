"""The liver finder: a coarse prediction on the whole scan, a fine one where the liver seems to be, and back to the scan's grid."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch.nn import functional

from napari_liver_anomaly.checkpoint import open_weights, save
from napari_liver_anomaly.lesions import box_of
from napari_liver_anomaly.liver.grid import COARSE_MM, FINE_MM, resample, shape_for, spread
from napari_liver_anomaly.liver.sampling import SEEN
from napari_liver_anomaly.liver_findings import require_probabilities
from napari_liver_anomaly.memory import require_memory
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.networks.liver_net import LiverNet, LiverNetSettings

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from napari_liver_anomaly.job import Job
    from napari_liver_anomaly.volume import Volume

    Floats = NDArray[np.float32]

KEY = "liver-finder"
MARGIN_MM = 60.0  # around the coarse liver, which may lack a lobe
FINE_PASSES = 2  # the second starts from the first instead of the coarse prediction
MIN_PROBABILITY = 0.3  # components are told apart here, before the prediction is cut at one half
SHARPNESS = 9.0  # the coarse prediction that the fine network was trained with has edges about this steep
WHITE, NEARLY_WHITE = 0.985, 0.95  # no liver is this bright
SMOOTH_MM = 2.8  # across slices, which are predicted one by one
BATCH = 8
FINE_BYTES, FIXED_BYTES = 24, 65 * 10**6  # of a search for each voxel of 4 × 2.5 × 2.5 mm, and for the first use of the networks
VOXEL_BYTES = 3  # of the scan: mask, probability, and what they are judged with
PHASE = "Finding the liver"
COARSE_NET = LiverNetSettings(axes=3, channels=1, folding=1, width=8, widest=64, depth=3)
FINE_NET = LiverNetSettings(axes=2, channels=SEEN + 1, folding=2, width=24, widest=96, depth=3)


class Finder:
    """Two small networks, and how they are used.

    Parameters
    ----------
    coarse, fine : LiverNetSettings
        Sizes of the networks.
    """

    def __init__(self, coarse: LiverNetSettings = COARSE_NET, fine: LiverNetSettings = FINE_NET) -> None:
        self.coarse, self.fine = LiverNet(coarse).eval(), LiverNet(fine).eval()
        self.device = torch.device("cpu")

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(p.numel() for net in (self.coarse, self.fine) for p in net.parameters())

    def to(self, device: torch.device) -> Self:
        """Move to a device."""
        self.device = device
        self.coarse.to(device)
        self.fine.to(device)
        return self

    def save(self, path: str | Path, card: ModelCard | None = None) -> str:
        """Write weights, as 16-bit numbers, and card, to which kind and sizes are added, and give the SHA-256 of the file."""
        nets = {"coarse": self.coarse, "fine": self.fine}
        tensors = {f"{name}.{key}": value.half() for name, net in nets.items() for key, value in net.state_dict().items()}
        sizes = {name: net.settings.to_dict() for name, net in nets.items()}
        return save(path, tensors, replace(card or ModelCard(), key=KEY, networks=sizes).to_dict())

    @classmethod
    def load(cls, path: str | Path) -> Finder:
        """Read what :meth:`save` wrote; refused where it is missing, unsafe, damaged, or no liver finder."""
        weights = open_weights(path)
        card, tensors = weights.card, weights.tensors
        if card.get("key") != KEY:
            raise make_refusal("model-kind")
        try:
            sizes = [LiverNetSettings.from_dict(card["networks"][name]) for name in ("coarse", "fine")]
            with torch.device("meta"):  # sizes alone: a false card must not cost the memory of the networks that it claims
                planned = cls(*sizes)
            for name, net in (("coarse", planned.coarse), ("fine", planned.fine)):
                if any(tensors[f"{name}.{key}"].shape != value.shape for key, value in net.state_dict().items()):
                    raise KeyError(name)
            made = cls(*sizes)
            for name, net in (("coarse", made.coarse), ("fine", made.fine)):
                part = {
                    key.removeprefix(f"{name}."): value.float() for key, value in tensors.items() if key.startswith(f"{name}.")
                }
                if any(value.dtype != torch.float16 for key, value in tensors.items() if key.startswith(f"{name}.")):
                    raise TypeError(name)  # not the kind that save writes
                net.load_state_dict(part)
        except (KeyError, RuntimeError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
            raise make_refusal("model-shape") from error
        return made

    def find(self, volume: Volume, job: Job) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        """Find the liver: one component without holes on the scan's grid, or none, and the probability of each voxel as 0…255."""
        from scipy.ndimage import gaussian_filter1d

        spacing = volume.geometry.spacing_mm
        require_memory(needed_bytes(volume.voxels.shape, spacing))
        job.at(PHASE, 0, 10)
        image = resample(volume.voxels, spacing, FINE_MM, FINE_MM, hu=True)
        job.at(PHASE, 2, 10)
        low = self.predict_coarse(image)
        rough = largest_component(low > 0.5)
        if not rough.any():
            return _nothing(volume.voxels.shape)
        job.at(PHASE, 3, 10)
        coarse = _raised(_near(low, rough), image.shape)
        for number in range(FINE_PASSES):
            box = _box(rough, image.shape)
            prediction = np.zeros(image.shape, np.float32)
            prediction[box] = np.where(
                _white(image[box]), 0, self.predict_fine(image[box], coarse[box], job, (number, FINE_PASSES))
            )
            prediction = np.where(largest_component(prediction > MIN_PROBABILITY), prediction, 0).astype(np.float32)
            low = resample(prediction, FINE_MM, COARSE_MM, COARSE_MM)
            rough = low > 0.5
            if not rough.any():
                return _nothing(volume.voxels.shape)
            coarse = _raised(_sharpened(low), image.shape)
        job.at(PHASE, 9, 10)
        start = (box[0].start, box[1].start, box[2].start)
        smooth = gaussian_filter1d(prediction, SMOOTH_MM / FINE_MM[0], axis=0)
        found, probability = spread(smooth[box], start, FINE_MM, volume.voxels.shape, spacing)
        found = filled_component(found)
        job.at(PHASE, 10, 10)
        return found, probability

    def predict_coarse(self, image: Floats) -> Floats:
        """Predict at 10 mm, 0…1, from an image 0…1 at 4 × 2.5 × 2.5 mm."""
        low = resample(image, FINE_MM, COARSE_MM, COARSE_MM)
        with torch.inference_mode():
            block = _padded(torch.from_numpy(low)[None, None], self.coarse.multiple)
            prediction = self.coarse(block.to(self.device)).sigmoid().cpu().numpy()[0, 0]
        require_probabilities(prediction)
        return np.asarray(prediction[tuple(slice(n) for n in low.shape)])

    def predict_fine(self, image: Floats, coarse: Floats, job: Job, passes: tuple[int, int] = (0, 1)) -> Floats:
        """Predict slice by slice, 0…1, from a box of the image and the coarse prediction at 4 × 2.5 × 2.5 mm; ``passes``: which, of how many."""
        count = len(image)
        seen = np.clip(np.arange(count)[:, None] + np.arange(-(SEEN // 2), SEEN // 2 + 1), 0, count - 1)
        prediction = np.zeros(image.shape, np.float32)
        for first in range(0, count, BATCH):
            job.at(PHASE, 3 + 6 * (passes[0] * count + first) // (passes[1] * count), 10)
            part = slice(first, first + BATCH)
            stack = np.concatenate([image[seen[part]], coarse[part, None]], axis=1)
            with torch.inference_mode():
                batch = _padded(torch.from_numpy(stack), self.fine.multiple)
                found = self.fine(batch.to(self.device)).sigmoid().cpu().numpy()[:, 0]
            require_probabilities(found)
            prediction[part] = found[:, : image.shape[1], : image.shape[2]]
        return prediction


def needed_bytes(shape: tuple[int, ...], spacing_mm: tuple[float, float, float]) -> int:
    """Foresee the memory of a search: it grows with the room that a scan takes, not with its voxels."""
    fine = shape_for(shape, spacing_mm, FINE_MM)
    plane = fine[1] * fine[2]
    return 4 * shape[0] * plane + FINE_BYTES * prod(fine) + VOXEL_BYTES * prod(shape) + FIXED_BYTES


def _nothing(shape: tuple[int, ...]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """No liver, and probability 0 everywhere."""
    return np.zeros(shape, bool), np.zeros(shape, np.uint8)


def _padded(block: torch.Tensor, multiple: int) -> torch.Tensor:
    """Add air behind each axis until its size can be halved often enough."""
    padding: list[int] = []
    for size in reversed(block.shape[2:]):
        padding += [0, -size % multiple]
    return functional.pad(block, padding)


def _box(rough: NDArray[np.bool_], shape: tuple[int, ...]) -> tuple[slice, slice, slice]:
    """Cut the part of the fine grid that holds the coarse liver and a margin."""
    from scipy.ndimage import find_objects

    found = find_objects(rough.astype(np.uint8))[0]
    sides = []
    for part, coarse, fine, count in zip(found, COARSE_MM, FINE_MM, shape, strict=True):
        low, high = part.start * coarse - MARGIN_MM, part.stop * coarse + MARGIN_MM
        sides.append(slice(max(0, int(low // fine)), min(count, int(np.ceil(high / fine)))))
    return (sides[0], sides[1], sides[2])


def _near(low: Floats, rough: NDArray[np.bool_]) -> Floats:
    """Keep the coarse prediction in and around its largest component only."""
    from scipy.ndimage import binary_dilation

    return np.where(binary_dilation(rough, iterations=2), low, 0).astype(np.float32)


def _raised(low: Floats, shape: tuple[int, ...]) -> Floats:
    """Bring a coarse prediction to the fine grid."""
    from scipy.ndimage import zoom

    factors = [n / m for n, m in zip(shape, low.shape, strict=True)]
    return np.asarray(np.clip(zoom(low, factors, order=1, grid_mode=True, mode="nearest"), 0, 1), dtype=np.float32)


def _white(image: Floats) -> NDArray[np.bool_]:
    """Find what is as bright as the window ends over more than the width of a vessel: bowel, heart or kidney with contrast medium, or bone."""
    from scipy.ndimage import binary_dilation, binary_opening

    wide = binary_opening(image >= WHITE, np.ones((1, 3, 3)))
    return np.asarray(binary_dilation(wide, np.ones((1, 3, 3))) & (image >= NEARLY_WHITE))


def _sharpened(share: Floats) -> Floats:
    """Give a share of liver the edges of a coarse prediction."""
    return np.asarray(1 / (1 + np.exp(-(share - 0.5) * SHARPNESS)), dtype=np.float32)


def largest_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest component of a mask, connected by faces."""
    from scipy.ndimage import label

    labels, count = label(mask)
    if count < 2:
        return mask
    # Plane by plane: at once, counting would take eight bytes for each voxel.
    sizes = np.sum([np.bincount(plane.ravel(), minlength=count + 1) for plane in labels], axis=0)
    sizes[0] = 0
    return np.asarray(labels == sizes.argmax())


def filled_component(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the largest component and fill what it encloses, slice by slice."""
    from scipy.ndimage import binary_fill_holes

    box = box_of(mask)
    if box is None:
        return mask
    kept = largest_component(mask[box])
    filled = np.zeros_like(mask)
    filled[box] = np.stack([binary_fill_holes(plane) for plane in kept])
    return filled
