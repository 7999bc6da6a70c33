"""Any recipe as a transform of MONAI or of TorchIO; neither package is needed until its transform is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_liver_anomaly.synthesis.apply import apply_recipe

if TYPE_CHECKING:
    from napari_liver_anomaly.synthesis import Recipe

LOW_HU, WIDTH_HU = -45, 205  # the window in which the packaged models were trained
KEYS = ("image", "liver", "anomaly")  # the scan in HU and its liver mask; the mask of the anomalies is added


def monai_transform(recipe: Recipe, keys: tuple[str, str, str] = KEYS, prob: float = 1.0) -> Any:
    """Make a MONAI dictionary transform that draws anomalies of a recipe into the liver of an image."""
    from monai.transforms import MapTransform, RandomizableTransform

    class RandAnomalyd(RandomizableTransform, MapTransform):  # type: ignore[misc]
        def __init__(self) -> None:
            MapTransform.__init__(self, keys[:2])
            RandomizableTransform.__init__(self, prob)

        def __call__(self, data: Any) -> dict[str, Any]:
            self.randomize(None)
            if not self._do_transform:
                return {**data, keys[2]: data[keys[1]] * 0}
            spacing = np.array(getattr(data[keys[0]], "pixdim", (1, 1, 1)))
            image, mask = _drawn(recipe, data[keys[0]], data[keys[1]], spacing, self.R.randint(2**31))
            return {**data, keys[0]: image, keys[2]: mask}

    return RandAnomalyd()


def torchio_transform(recipe: Recipe, keys: tuple[str, str, str] = KEYS, p: float = 1.0) -> Any:
    """Make a TorchIO transform that draws anomalies of a recipe into the liver of an image."""
    import torchio

    class RandomAnomaly(torchio.Transform):  # type: ignore[misc]
        def apply_transform(self, subject: Any) -> Any:
            image, liver = subject[keys[0]], subject[keys[1]]
            changed, mask = _drawn(recipe, image.data, liver.data, image.spacing, int(torch.randint(2**31, ())))
            image.set_data(changed)
            subject.add_image(torchio.LabelMap(tensor=mask, affine=image.affine), keys[2])
            return subject

    return RandomAnomaly(p=p)


def _drawn(recipe: Recipe, image: Any, liver: Any, spacing: Any, seed: int) -> tuple[Any, Any]:
    """Draw on tensors (1, i, j, k), of which k counts axial slices; what a tensor knows of its place stays."""
    hu, inside = (np.asarray(tensor)[0].T for tensor in (image, liver))
    healthy = np.clip((hu.astype(np.float32) - LOW_HU) / WIDTH_HU, 0, 1)
    made = apply_recipe(recipe, healthy, inside > 0, WIDTH_HU, np.random.default_rng(seed), tuple(spacing[::-1]))
    change, mask = (torch.from_numpy(part.T[None].astype(np.float32)) for part in ((made.image - healthy) * WIDTH_HU, made.mask))
    return torch.as_tensor(image) + change, torch.as_tensor(liver) * 0 + mask
