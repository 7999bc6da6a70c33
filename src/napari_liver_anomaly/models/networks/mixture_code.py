"""A variational network whose code is expected around one of several centres, which a second code moves.

References
----------
Dilokthanakul et al., "Deep unsupervised clustering with Gaussian mixture variational autoencoders", arXiv:1611.02648, 2016; encoder and decoder of
Baur, Denner, Wiestler, Navab, Albarqouni, Medical Image Analysis 69 (2021). With a dense middle the code is an image of one pixel, so that both
kinds are the same convolutions of 1 × 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import nn

from napari_liver_anomaly.models.networks.baur import HALVINGS, SQUEEZE, Decoder, Encoder, filters

if TYPE_CHECKING:
    from torch import Tensor

HIDDEN = 64


class Normal(NamedTuple):
    """Normal distributions: their means and the logarithms of their spreads, of one shape."""

    mean: Tensor
    log_spread: Tensor


class MixtureNetwork(nn.Module):
    """Encoder, centres and decoder.

    Parameters
    ----------
    width : int
        Filters of the first layer; the paper has 32.
    side_px : int
        Height and width of the images where the middle is dense.
    dense : bool
        Whether the code is one vector; otherwise it keeps the layout of a small image.
    clusters : int
        Centres.
    size : int
        Channels of the code.
    moves : int
        Channels of the second code, which moves the centres.
    dropout : float
        Part of the numbers left out in training around the code.
    """

    def __init__(self, width: int, side_px: int, *, dense: bool, clusters: int, size: int, moves: int, dropout: float) -> None:
        super().__init__()
        channels, side = filters(width)[-1], side_px // 2**HALVINGS
        few = channels // SQUEEZE
        self.clusters = clusters
        self.encoder, self.decoder = Encoder(width), Decoder(width)
        vector = [nn.Conv2d(channels, few, 1), nn.Flatten(), nn.Unflatten(1, (few * side**2, 1, 1))] if dense else []
        image = [nn.Unflatten(1, (few, side, side)), nn.Conv2d(few, channels, 1)] if dense else []
        inside = few * side**2 if dense else channels
        self.narrow = nn.Sequential(*vector, nn.Dropout(dropout))
        self.code, self.move = nn.Conv2d(inside, 2 * size, 1), nn.Conv2d(inside, 2 * moves, 1)
        self.centres = nn.Sequential(nn.Conv2d(moves, HIDDEN, 1), nn.Tanh(), nn.Conv2d(HIDDEN, 2 * clusters * size, 1))
        widening = [nn.Flatten(), nn.Linear(size, inside), *image] if dense else [nn.Conv2d(size, channels, 1)]
        self.widen = nn.Sequential(nn.Dropout(dropout), *widening)

    def encode(self, image: Tensor) -> tuple[Normal, Normal]:
        """Give code (B, size, h, w) and second code (B, moves, h, w)."""
        features = self.narrow(self.encoder(image))
        code, move = (Normal(*head(features).float().chunk(2, dim=1)) for head in (self.code, self.move))
        return code, move

    def around(self, move: Tensor) -> Normal:
        """Give the centres, (B, clusters, size, h, w)."""
        found = self.centres(move).float().unflatten(1, (self.clusters, -1))
        return Normal(*found.chunk(2, dim=2))

    def decode(self, code: Tensor) -> Tensor:
        """Draw images from codes."""
        image: Tensor = self.decoder(self.widen(code)).float()
        return image


def divergence(first: Normal, second: Normal) -> Tensor:
    """Kullback-Leibler divergence of the first from the second, for each number."""
    apart = (first.mean - second.mean).square() + (2 * first.log_spread).exp()
    return second.log_spread - first.log_spread + 0.5 * (apart * (-2 * second.log_spread).exp() - 1)


def belonging(code: Tensor, centres: Normal) -> Tensor:
    """Probability of each cluster for codes (B, size, h, w) that were drawn, all clusters being as likely before, (B, clusters, h, w)."""
    apart = (code[:, None] - centres.mean).square() * (-2 * centres.log_spread).exp()
    return torch.softmax((-0.5 * apart - centres.log_spread).sum(dim=2), dim=1)
