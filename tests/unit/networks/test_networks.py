"""The networks are those of the papers."""

from __future__ import annotations

import pytest
import torch

from napari_liver_anomaly.networks.restorer import Restorer, RestorerSettings, groups_of
from napari_liver_anomaly.networks.segmenter import Segmenter, SegmenterSettings


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_restorer_has_the_parameters_of_the_paper():
    assert count(Restorer(RestorerSettings())) == 7_701_825
    assert count(Restorer(RestorerSettings(width=16))) == 483_153


def test_segmenter_has_the_parameters_of_the_paper():
    assert count(Segmenter(SegmenterSettings())) == 28_371_842


@pytest.mark.parametrize(("channels", "groups"), [(64, 8), (128, 16), (256, 16), (512, 32)])
def test_groups(channels, groups):
    assert groups_of(channels) == groups


@pytest.mark.parametrize(("height", "width"), [(32, 32), (64, 96)])
def test_shapes(height, width):
    image = torch.rand(2, 1, height, width)
    restored = Restorer(RestorerSettings(width=4))(image)
    assert restored.shape == image.shape
    for gain in (0, 5):
        assert Segmenter(SegmenterSettings(width=4, residual_gain=gain))(restored, image).shape == (2, 2, height, width)


def test_a_correcting_restorer_starts_by_changing_nothing():
    image = torch.rand(1, 1, 32, 32)
    assert torch.equal(Restorer(RestorerSettings(width=4, correction=True))(image), image)
    assert not torch.equal(Restorer(RestorerSettings(width=4))(image), image)


def test_segmenter_tells_restoration_from_image():
    """With the statistics of the batch: those of an untrained network would flatten what it sees."""
    torch.manual_seed(0)
    network = Segmenter(SegmenterSettings(width=4)).train()
    a, b = torch.rand(2, 1, 32, 32), torch.rand(2, 1, 32, 32)
    assert (network(a, b) - network(b, a)).abs().max() > 0.1
