"""The mixture of nine centres: its divergences beside another library, and the sum that is trained."""

from __future__ import annotations

from dataclasses import replace
from math import log

import pytest
import torch
from torch import distributions

from builders import healthy_slices
from napari_liver_anomaly.models.config import SIDE_PX
from napari_liver_anomaly.models.networks.mixture_code import Normal, belonging, divergence
from napari_liver_anomaly.models.registry import build, config_of
from napari_liver_anomaly.training.training_set import make_batch


def small(key: str, **options):
    config = config_of(key, 10)
    schedule = replace(config.schedule, batch=4, crop_px=SIDE_PX)
    return build(replace(config, options=replace(config.options, width=4, dropout=0.0, **options), schedule=schedule), seed=3)


def normals(*shape: int) -> tuple[Normal, distributions.Normal]:
    mean, log_spread = torch.randn(shape), 0.3 * torch.randn(shape)
    return Normal(mean, log_spread), distributions.Normal(mean, log_spread.exp())


def test_divergence_of_two_normals():
    one, other = Normal(torch.tensor(1.0), torch.tensor(0.0)), Normal(torch.tensor(3.0), torch.tensor(log(2)))
    assert float(divergence(one, other)) == pytest.approx(log(2) + (1 + 4) / 8 - 0.5)
    torch.manual_seed(0)
    (first, known), (second, known_second) = normals(2, 3), normals(2, 3)
    torch.testing.assert_close(divergence(first, second), distributions.kl_divergence(known, known_second))


def test_codes_belong_to_the_centre_that_makes_them_likeliest():
    torch.manual_seed(0)
    centres, known = normals(2, 9, 3, 2, 2)
    code = torch.randn(2, 3, 2, 2)
    wanted = torch.softmax(known.log_prob(code[:, None]).sum(dim=2), dim=1)
    torch.testing.assert_close(belonging(code, centres), wanted)
    assert (belonging(10 * centres.mean[:, 4], Normal(10 * centres.mean, centres.log_spread)).argmax(dim=1) == 4).all()


@pytest.mark.parametrize("key", ["gmvae-dense", "gmvae-spatial"])
def test_the_sum_that_is_trained(key):
    """Difference, divergence from the centres weighed by cluster, divergence of the second code, and that of the clusters, never below 1."""
    model = small(key, code=3)
    image = make_batch(healthy_slices(), model.config.recipe, model.config.schedule, (0, 1), 0).healthy
    with torch.no_grad():
        model.restorer.centres[-1].weight *= 20  # so that clusters are told apart
        model.restorer.move.bias += 1  # so that the second code costs something
        code, move = model.restorer.encode(image)
        found = model.image_loss(image)
        centres = model.restorer.around(move.mean)
        known = distributions.Normal(centres.mean, centres.log_spread.exp())
        cluster = torch.softmax(known.log_prob(code.mean[:, None]).sum(dim=2), dim=1)
        own = distributions.Normal(code.mean[:, None], code.log_spread.exp()[:, None])
        from_centres = (cluster[:, :, None] * distributions.kl_divergence(own, known)).sum(dim=(1, 2, 3, 4))
        second = distributions.kl_divergence(
            distributions.Normal(move.mean, move.log_spread.exp()), distributions.Normal(0.0, 1.0)
        )
        even = (log(9) - distributions.Categorical(cluster.movedim(1, -1)).entropy()).sum(dim=(1, 2))
        apart = (model.reconstruct(image) - image).abs().sum(dim=(1, 2, 3))
    assert float(even.max()) > 0.01 and float(second.min()) > 0.5
    wanted = apart + from_centres + second.sum(dim=(1, 2, 3)) + even.clamp(min=1)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-2)


def test_clusters_below_one_pull_at_nothing_and_above_they_do():
    model = small("gmvae-dense", code=2)
    code, move = (
        Normal(torch.zeros(1, 2, 1, 1), torch.zeros(1, 2, 1, 1)),
        Normal(torch.zeros(1, 1, 1, 1), torch.zeros(1, 1, 1, 1)),
    )
    image, sums = torch.zeros(1, 1, SIDE_PX, SIDE_PX), []
    for apart in (0.0, 50.0):
        centres = Normal(torch.zeros(1, 9, 2, 1, 1), torch.zeros(1, 9, 2, 1, 1))
        centres.mean[:, 1:] = apart
        model.restorer.around = lambda moved, centres=centres: centres
        model.restorer.decode = lambda drawn: image
        sums.append(float(model._sum(image, code, move, code.mean, move.mean)))
    assert sums == pytest.approx([1.0, log(9)], abs=1e-4)  # even clusters; then one that is certain


def test_the_papers_sizes():
    sizes = {key: config_of(key, 10).options for key in ("gmvae-dense", "gmvae-spatial-restoration")}
    assert [(one.code, one.moves, one.clusters, one.restoration_steps > 0) for one in sizes.values()] == [
        (128, 1, 9, False),
        (1, 1, 9, True),
    ]
    code, move = small("gmvae-spatial").restorer.encode(torch.rand(2, 1, 32, 48))
    assert (code.mean.shape, move.mean.shape) == ((2, 1, 2, 3), (2, 1, 2, 3))
    assert small("gmvae-dense").restorer.encode(torch.rand(2, 1, SIDE_PX, SIDE_PX))[0].mean.shape == (2, 128, 1, 1)
