"""Encoder and decoder of the comparative study around one vector, as autoencoders with a loss on that vector need them.

References
----------
Baur, Denner, Wiestler, Navab, Albarqouni, "Autoencoders for unsupervised anomaly segmentation in brain MR images: a comparative study", Medical
Image Analysis 69 (2021).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn

from napari_liver_anomaly.models.networks.baur import HALVINGS, Decoder, DenseBottleneck, Encoder, Norm, filters

if TYPE_CHECKING:
    from torch import Tensor


class DenseAutoencoder(nn.Module):
    """An encoder, a vector and a decoder.

    Parameters
    ----------
    width : int
        Filters of the first layer; the paper has 32.
    side_px : int
        Height and width of the images.
    size : int
        Numbers in the vector.
    codes : int
        Vectors of the encoding; 2 for mean and logarithm of the spread of a variational model.
    dropout : float
        Part of the numbers left out in training around the vector.
    halvings : int
        How often the image is halved.
    norm : str
        ``"batch"``, or ``"layer"`` beside a critic.
    """

    def __init__(
        self, width: int, side_px: int, size: int, codes: int = 1, dropout: float = 0.0, halvings: int = HALVINGS, norm: Norm = "batch"
    ) -> None:  # fmt: skip
        super().__init__()
        self.size = size
        self.encoder = Encoder(width, halvings, norm)
        self.middle = DenseBottleneck(filters(width, halvings)[-1], side_px // 2**halvings, size, codes, dropout)
        self.decoder = Decoder(width, halvings, norm)

    def encode(self, image: Tensor) -> Tensor:
        """Give the vectors of a batch, (B, codes * size)."""
        return self.middle.encode(self.encoder(image)).float()

    def decode(self, vector: Tensor) -> Tensor:
        """Draw images from vectors, (B, size)."""
        image: Tensor = self.decoder(self.middle.decode(vector)).float()
        return image

    def forward(self, image: Tensor) -> Tensor:
        """Pass images through their first vector."""
        return self.decode(self.encode(image)[:, : self.size])
