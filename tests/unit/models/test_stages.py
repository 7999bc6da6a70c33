"""Which networks each stage of a training changes: the weights before and after every stage, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
import torch

from builders import healthy_slices
from napari_liver_anomaly.models.methods import METHODS, method_of
from napari_liver_anomaly.models.registry import build, config_of
from napari_liver_anomaly.training.loop import train_stage
from napari_liver_anomaly.training.training_set import slice_set

if TYPE_CHECKING:
    from napari_liver_anomaly.models.base import Model

BUDGET = 4
ONE_AFTER_THE_OTHER = [{"restorer"}, {"segmenter"}]
CHANGED = {  # by method, for each stage
    "two-stage": ONE_AFTER_THE_OTHER, "two-stage-ours": ONE_AFTER_THE_OTHER, "direct": [{"segmenter"}], "hu": [{"segmenter"}],
    "draem": [{"restorer", "segmenter"}], "cell-unet": [{"restorer", "segmenter"}], "cell-pa": [{"restorer", "segmenter"}],
    "cell-pa-unet": [{"restorer", "segmenter"}],
    "cell-tp": ONE_AFTER_THE_OTHER, "cell-tp-unet": ONE_AFTER_THE_OTHER, "cell-tp-pa": ONE_AFTER_THE_OTHER,
    "random-shape": [{"segmenter"}], "dae": [{"restorer"}], "ae-spatial": [{"restorer"}], "layers": [{"decomposer"}],
    "cycle-continuous": [{"segmenter"}, {"translator", "critic"}],
    "context-ae": [{"restorer"}], "vae": [{"restorer"}], "ce-vae": [{"restorer"}], "gmvae-dense": [{"restorer"}],
    "f-anogan": [{"generator", "critic"}, {"encoder"}], "anovaegan": [{"restorer", "critic"}], "constrained-ae": [{"restorer"}],
    "constrained-aae": [{"restorer", "critic"}], "vq-vae": [{"restorer"}, {"prior"}], "fpi": [{"segmenter"}],
}  # fmt: skip


def small(key: str) -> Model:
    """The method as it is compared, but for few filters and small slices."""
    config = config_of(key, BUDGET)
    options = config.options
    if method_of(key).module == "two_stage":
        options = replace(options, restorer=replace(options.restorer, width=4), segmenter=replace(options.segmenter, width=4))
    else:
        options = replace(options, width=4)
    schedule = replace(
        config.schedule, batch=2, crop_px=64, restorer_steps=min(2, config.schedule.restorer_steps), segmenter_steps=2
    )
    return build(replace(config, options=options, schedule=schedule), 3)


def weights(model: Model) -> dict[str, dict[str, torch.Tensor]]:
    return {part: {name: value.clone() for name, value in net.state_dict().items()} for part, net in model.networks.items()}


def differ(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(value, after[name]) for name, value in before.items())


def stack(model: Model):
    slices = healthy_slices()
    return replace(slices, stacks=[(n,) * model.preprocess.planes for n in range(len(slices.images))])


@pytest.mark.parametrize("key", CHANGED)
def test_a_stage_changes_its_networks_and_no_other(key):
    model = small(key)
    data, changed = slice_set(stack(model), model.config.recipe, model.config.schedule), []
    stages = model.stages(data)
    for stage in stages:
        before = weights(model)
        still = [net for part, net in model.networks.items() if part not in CHANGED[key][len(changed)]]
        modes = [net.training for net in still]
        train_stage(stage, data, 1e-3, seed=0, device=torch.device("cpu"))
        after = weights(model)
        changed.append({part for part in before if differ(before[part], after[part])})
        assert [net.training for net in still] == modes == [False] * len(still)
    assert changed == CHANGED[key]


@pytest.mark.parametrize("key", [key for key, stages in CHANGED.items() if stages == ONE_AFTER_THE_OTHER])
def test_a_frozen_restorer_takes_no_part_in_the_second_stage(key):
    """No weight of it may be asked for a gradient, whatever a later optimiser is given."""
    model = small(key)
    data = slice_set(stack(model), model.config.recipe, model.config.schedule)
    stages = model.stages(data)
    next(stages)
    assert all(value.requires_grad for value in model.parts["restorer"].parameters())
    second = next(stages)
    second.loss(data.batch(0, 2, 0)).backward()
    assert all(value.grad is None and not value.requires_grad for value in model.parts["restorer"].parameters())
    assert all(value.grad is not None for value in model.parts["segmenter"].parameters())


def test_every_method_that_is_trained_is_of_a_kind_tried_here():
    modules = {method_of(key).module for key in CHANGED}
    assert {method.module for method in METHODS if method.trains} - modules <= {"asc_net", "ensemble"}, "with tests of their own"
