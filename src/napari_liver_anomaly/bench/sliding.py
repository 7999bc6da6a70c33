"""3D networks of others that slide over a whole CT: their patches are counted, and one is timed; resampling, reading and writing are not counted.

References
----------
F. Isensee et al., "nnU-Net: a self-configuring method for deep learning-based biomedical image segmentation", Nature Methods 18 (2021).
Q. Hu et al., "Label-free liver tumor segmentation", CVPR 2023: their validation slides MONAI's U-Net over scans of 1 mm, with an overlap of 0.75.
"""

from __future__ import annotations

from importlib.util import find_spec
from math import ceil, prod
from typing import TYPE_CHECKING, Any

import torch

from napari_liver_anomaly.bench.rounds import in_turn
from napari_liver_anomaly.bench.slices import NNUNET_PATCH, nnunet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from napari_liver_anomaly.job import Job

HU_PATCH, HU_FEATURES, HU_STEP = (96, 96, 96), (16, 32, 64, 128, 256), 0.25
VOXEL_MM, NNUNET_STEP = 1.0, 0.5  # of both: scans of 1 mm; a step is what a patch moves by, in its sides


def patches(extent_mm: Sequence[float], patch: Sequence[int], step: float) -> int:
    """Count the patches that slide over a scan."""
    sides = [max(1, 1 + ceil((round(mm / VOXEL_MM) - side) / (step * side))) for mm, side in zip(extent_mm, patch, strict=True)]
    return prod(sides)


def measure_sliding(extent_mm: Sequence[float], job: Job, rounds: int) -> dict[str, Any]:
    """Time one patch of each network that is installed, and say how long all patches of a CT would take."""
    networks = dict(_networks())
    taken = in_turn({name: work for name, (work, _, _) in networks.items()}, job, rounds)
    return {
        name: {"patches": count, "patch_s": taken[name]["median_s"], "all_s": count * taken[name]["median_s"]}
        for name, count in ((name, patches(extent_mm, patch, step)) for name, (_, patch, step) in networks.items())
    }


def _networks() -> Iterator[tuple[str, tuple[Callable[[], object], Sequence[int], float]]]:
    """List the networks, with random weights: their speed does not depend on them."""
    if find_spec("dynamic_network_architectures"):
        network, patch = nnunet(), torch.rand(1, 1, *NNUNET_PATCH)
        yield "nnU-Net 3d_fullres", (lambda: _inferred(network, patch), NNUNET_PATCH, NNUNET_STEP)
    if find_spec("monai"):
        from monai.inferers import SlidingWindowInferer
        from monai.networks.nets import UNet

        unet = UNet(3, 1, 3, HU_FEATURES, (2, 2, 2, 2), num_res_units=2).eval()
        slide, block = SlidingWindowInferer(HU_PATCH, 1, 1 - HU_STEP, mode="gaussian"), torch.rand(1, 1, *HU_PATCH)
        yield "U-Net of Hu et al., MONAI's sliding window", (lambda: _inferred(slide, block, unet), HU_PATCH, HU_STEP)


def _inferred(work: Callable[..., object], *given: object) -> object:
    with torch.inference_mode():
        return work(*given)
