"""The encoder and decoder that the autoencoders of the comparative study share, and the dense layer between them.

References
----------
Baur, Denner, Wiestler, Navab, Albarqouni, "Autoencoders for unsupervised anomaly segmentation in brain MR images: a comparative study", Medical Image
Analysis 69 (2021). Its slices are 128 pixels wide and four halvings lead to 8 × 8; a square of 64 pixels comes to 4 × 4 with the same layers.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Literal

from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

HALVINGS = 4
FACTORS = (1, 2, 4)  # filters at each halving, of the width; further ones have as many as the last
SQUEEZE = 8  # channels are divided by this before the dense layer
SLOPE = 0.2  # of the leaky rectifier

Norm = Literal["batch", "layer"]


def filters(width: int, halvings: int = HALVINGS) -> list[int]:
    """Count the filters of the encoder's layers; those of the decoder are the same, backwards."""
    return [width * FACTORS[min(level, len(FACTORS) - 1)] for level in range(halvings)]


class Encoder(nn.Sequential):
    """Convolutions of 5 × 5 that halve the image, each with normalisation and leaky rectifier.

    Parameters
    ----------
    width : int
        Filters of the first layer; the paper has 32.
    halvings : int
        How often the image is halved.
    norm : str
        ``"batch"``, or ``"layer"`` as in the paper's adversarial models.
    """

    def __init__(self, width: int, halvings: int = HALVINGS, norm: Norm = "batch") -> None:
        layers: list[nn.Module] = []
        for inside, outside in itertools.pairwise([1, *filters(width, halvings)]):
            layers += [nn.Conv2d(inside, outside, 5, stride=2, padding=2), _normaliser(norm, outside), nn.LeakyReLU(SLOPE)]
        super().__init__(*layers)


class Decoder(nn.Sequential):
    """Transposed convolutions of 5 × 5 that double the image; linear at the end.

    Parameters
    ----------
    width : int
        Filters of the last layer; the paper has 32.
    halvings : int
        How often the image is doubled.
    norm : str
        ``"batch"``, or ``"layer"`` as in the paper's adversarial models.
    """

    def __init__(self, width: int, halvings: int = HALVINGS, norm: Norm = "batch") -> None:
        # 128, 64, 32, 32 for width 32: each layer has half the filters of the one before, and never fewer than the width.
        deepest = filters(width, halvings)[-1]
        widths = [max(width, deepest // 2**step) for step in range(halvings)]
        layers: list[nn.Module] = [_normaliser(norm, deepest), nn.ReLU()]
        for inside, outside in itertools.pairwise([deepest, *widths]):
            layers += [
                nn.ConvTranspose2d(inside, outside, 5, stride=2, padding=2, output_padding=1),
                _normaliser(norm, outside),
                nn.LeakyReLU(SLOPE),
            ]
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, 1))


class DenseBottleneck(nn.Module):
    """A vector in place of the encoder's smallest image, so that nothing of the image's layout is passed on as such.

    Parameters
    ----------
    channels : int
        Of the encoder's smallest image; a multiple of 8.
    side : int
        Its height and width.
    size : int
        Numbers in the vector; the paper has 128.
    codes : int
        Vectors that the encoding gives, one after the other; a variational model wants two, mean and spread.
    dropout : float
        Part of the numbers left out in training, before and after the vector.
    """

    def __init__(self, channels: int, side: int, size: int = 128, codes: int = 1, dropout: float = 0.0) -> None:
        super().__init__()
        few = max(1, channels // SQUEEZE)
        self.narrow = nn.Sequential(
            nn.Conv2d(channels, few, 1), nn.Flatten(), nn.Dropout(dropout), nn.Linear(few * side**2, codes * size)
        )
        self.widen = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(size, few * side**2),
            nn.Unflatten(1, (few, side, side)),
            nn.Conv2d(few, channels, 1),
        )

    def encode(self, features: Tensor) -> Tensor:
        """Give the vector."""
        vector: Tensor = self.narrow(features)
        return vector

    def decode(self, vector: Tensor) -> Tensor:
        """Give back an image for the decoder."""
        features: Tensor = self.widen(vector)
        return features

    def forward(self, features: Tensor) -> Tensor:
        """Pass an image through the vector."""
        return self.decode(self.encode(features))


def _normaliser(norm: Norm, channels: int) -> nn.Module:
    """Over the batch, or over one slice alone: a single group is the same as a layer norm with one factor a channel."""
    return nn.BatchNorm2d(channels) if norm == "batch" else nn.GroupNorm(1, channels)
