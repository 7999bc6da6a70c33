"""Critics: networks that say how real an image or a code is, by one number of any size.

References
----------
Gulrajani, Ahmed, Arjovsky, Dumoulin, Courville, "Improved training of Wasserstein GANs", NeurIPS 2017 (no batch normalisation in a critic); sizes
of Baur, Denner, Wiestler, Navab, Albarqouni, "Autoencoders for unsupervised anomaly segmentation in brain MR images", Medical Image Analysis 69
(2021).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from napari_liver_anomaly.models.networks.baur import SLOPE, Encoder, filters

if TYPE_CHECKING:
    from torch import Tensor

HALVINGS = 3  # of the adversarial models: the middle has twice the side that it has in the others
HIDDEN = 256


class ImageCritic(nn.Module):
    """The encoder of the comparative study with layer normalisation, and one number.

    Parameters
    ----------
    width : int
        Filters of the first layer; the paper has 32.
    side_px : int
        Height and width of the images.
    """

    def __init__(self, width: int, side_px: int) -> None:
        super().__init__()
        self.encoder = Encoder(width, HALVINGS, "layer")
        self.head = nn.Linear(filters(width, HALVINGS)[-1] * (side_px // 2**HALVINGS) ** 2, 1)

    def features(self, image: Tensor) -> Tensor:
        """Give the smallest image inside, (B, C, h, w), by which two images can be compared."""
        found: Tensor = self.encoder(image)
        return found

    def forward(self, image: Tensor) -> Tensor:
        """Say how real each image is, (B, 1)."""
        said: Tensor = self.head(self.features(image).flatten(1))
        return said.float()


class CodeCritic(nn.Sequential):
    """Two dense layers and one number.

    Parameters
    ----------
    size : int
        Numbers in a code.
    """

    def __init__(self, size: int) -> None:
        super().__init__(
            nn.Linear(size, HIDDEN), nn.LeakyReLU(SLOPE), nn.Linear(HIDDEN, HIDDEN), nn.LeakyReLU(SLOPE), nn.Linear(HIDDEN, 1)
        )
