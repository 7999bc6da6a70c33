"""The networks are those of the papers."""

from __future__ import annotations

import pytest
import torch

from napari_liver_anomaly.models.networks.baur import Decoder, DenseBottleneck, Encoder, filters
from napari_liver_anomaly.models.networks.restorer import Restorer, RestorerSettings, groups_of
from napari_liver_anomaly.models.networks.segmenter import Segmenter, SegmenterSettings
from napari_liver_anomaly.models.networks.unet import UNet


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


def test_segmenter_sees_restoration_then_image_then_residual_then_liver():
    """Weights that are kept rely on this order, and on the sign: image minus restoration."""
    network = Segmenter(SegmenterSettings(width=4, planes=3, residual_gain=5, liver_mask=True)).eval()
    seen: list[torch.Tensor] = []
    network.down[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    restored, image, liver_mask = torch.rand(1, 1, 32, 32), torch.rand(1, 3, 32, 32), torch.ones(1, 1, 32, 32)
    network(restored, image, liver_mask)
    assert torch.equal(seen[0], torch.cat([restored, image, 5 * (image[:, 1:2] - restored), liver_mask], dim=1))


@pytest.mark.parametrize(("side", "halvings", "smallest"), [(128, 4, 8), (96, 4, 6), (128, 3, 16)])
@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_baur_encoder_and_decoder(side, halvings, smallest, norm):
    """The paper's r: 8, and 16 for adversarial models, at 128 pixels."""
    image = torch.rand(2, 1, side, side)
    features = Encoder(8, halvings, norm)(image)
    assert features.shape == (2, filters(8, halvings)[-1], smallest, smallest)
    assert Decoder(8, halvings, norm)(features).shape == image.shape


def test_baur_filters_are_those_of_the_paper():
    assert filters(32) == [32, 64, 128, 128]
    weights = [layer.weight for layer in Decoder(32) if isinstance(layer, torch.nn.ConvTranspose2d)]
    assert [weight.shape[1] for weight in weights] == [128, 64, 32, 32]


def test_layer_norm_does_not_look_at_the_batch():
    image = torch.rand(3, 1, 32, 32)
    for norm, alone in (("batch", False), ("layer", True)):
        encoder = Encoder(4, norm=norm).train()
        assert torch.allclose(encoder(image)[:1], encoder(image[:1]), atol=1e-5) is alone


def test_dense_bottleneck_is_a_vector():
    middle, features = DenseBottleneck(16, 6, size=10, codes=2), torch.rand(3, 16, 6, 6)
    mean, spread = middle.encode(features).chunk(2, dim=1)
    assert mean.shape == spread.shape == (3, 10)
    assert middle.decode(mean).shape == features.shape
    passed = DenseBottleneck(16, 6, size=1)(torch.rand(9, 16, 6, 6)).flatten(1)
    assert torch.linalg.matrix_rank(passed.diff(dim=0), rtol=1e-3) == 1


def test_unet_keeps_the_size_and_sees_far():
    network = UNet(4).eval()
    image = torch.rand(1, 1, 48, 64, requires_grad=True)
    answer = network(image)
    assert answer.shape == (1, 2, 48, 64)
    answer[0, 1, 24, 32].backward()
    seen = image.grad[0, 0].abs() > 0
    assert seen[24, 0]
    assert seen[24, 32]


def test_a_leak_and_a_prior_change_the_last_block_and_the_first_score_only():
    plain, other = (
        Segmenter(SegmenterSettings(width=4, planes=1, depth=2, restoration=False, **more))
        for more in ({}, {"leak": 0.1, "prior": 0.05})
    )
    assert {name: value.shape for name, value in plain.state_dict().items()} == {
        n: v.shape for n, v in other.state_dict().items()
    }
    leaks = [name for name, part in other.named_modules() if isinstance(part, torch.nn.LeakyReLU)]
    assert leaks == ["merge.1.2", "merge.1.5"] and not any(isinstance(part, torch.nn.LeakyReLU) for part in plain.modules())
    torch.nn.init.zeros_(other.head.weight)
    score = torch.softmax(other(None, torch.rand(1, 1, 32, 32)), dim=1)[:, 1]
    assert torch.allclose(score, torch.tensor(0.05))


def test_rectifiers_of_the_comparative_study_leak_as_there():
    for network in (Encoder(4), Decoder(4)):
        slopes = [part.negative_slope for part in network if isinstance(part, torch.nn.LeakyReLU)]
        assert slopes == [0.2] * 4
