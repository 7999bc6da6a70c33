"""What every system of the comparison must hold, tried on tiny livers. A new system is one more key in ``KEYS``."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from builders import healthy_slices
from napari_liver_anomaly import checkpoint
from napari_liver_anomaly.errors import Cancelled
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.config import SIDE_PX, ModelConfig
from napari_liver_anomaly.models.methods import METHODS, MODULES, method_of
from napari_liver_anomaly.models.registry import class_of, config_of
from napari_liver_anomaly.training.fit import train

if TYPE_CHECKING:
    from pathlib import Path

    from napari_liver_anomaly.models.base import Model
    from napari_liver_anomaly.preprocessing import HealthySlices

KEYS = [
    "draem",
    "cell-tp-unet",
    "ae-spatial",
    "ae-dense",
    "dae",
    "random-shape",
    "random-shape-fpi",
    "asc-net",
    "cycle-continuous",
    "context-ae",
    "vae",
    "vae-restoration",
    "ce-vae-gradient",
    "gmvae-dense-restoration",
    "gmvae-spatial",
    "f-anogan",
    "anovaegan",
    "constrained-ae",
    "constrained-aae",
    "vq-vae",
    "pii",
]
SHORT = {  # so that every loss falls in few updates, and a restoration in a few steps
    "asc-net": {"cycles_one": 1, "cycles_two": 0, "discriminator_rate": 1e-3},
    "vae-restoration": {"restoration_steps": 2},
    "gmvae-dense-restoration": {"restoration_steps": 2},
    "vq-vae": {"restorations": 2},
}
CRITICS_WORD = {"f-anogan": {"state.stage1.safetensors"}}  # a loss that goes up while the critic learns; see test_adversarial.py
FILES = sorted({method_of(key).module for key in KEYS})
BUDGET = 12
STOP_AT = 10  # of two stages, in the second one
SIZES = [(41, 67), (120, 100)]


@dataclass
class Trained:
    """A system after a few updates, what it learned from, and the losses of each stage."""

    key: str
    system: Model
    data: HealthySlices
    figures: dict[str, Any]
    losses: dict[str, list[float]]

    def slices(self) -> tuple[np.ndarray, np.ndarray]:
        return np.stack(self.data.images[:4])[:, None], np.stack(self.data.liver_masks[:4])


def kind_of(file: str) -> type[Model]:
    return class_of(next(key for key, module in MODULES.items() if module == file))


def untrained(key: str) -> Model:
    """The system as it is in the comparison, but for few filters, small batches, and small slices where it can see them."""
    plan, kind = config_of(key, BUDGET), kind_of(method_of(key).module)
    plan = dataclasses.replace(plan, options=dataclasses.replace(plan.options, width=4, **SHORT.get(key, {})))
    side = kind(plan).side_px or 64
    return kind(dataclasses.replace(plan, schedule=dataclasses.replace(plan.schedule, batch=4, crop_px=side)), seed=3)


def state_of(folder: Path) -> dict[str, list[float]]:
    return {path.name: checkpoint.read_card(path)["state"]["losses"] for path in sorted(folder.glob("state.*"))}


@pytest.fixture(scope="module", params=KEYS)
def trained(request, tmp_path_factory) -> Trained:
    folder, data, system = tmp_path_factory.mktemp(request.param), healthy_slices(), untrained(request.param)
    figures = train(system, data, state=folder / "state")
    return Trained(request.param, system, data, figures, state_of(folder))


def test_every_loss_falls(trained):
    assert trained.losses
    for stage, losses in trained.losses.items():
        if stage in CRITICS_WORD.get(trained.key, ()):
            continue
        third = max(1, len(losses) // 3)
        assert np.mean(losses[-third:]) < np.mean(losses[:third]), stage
    assert sum(figures["steps"] for name, figures in trained.figures.items() if name != "slices") == BUDGET


@pytest.mark.parametrize("size", SIZES)
def test_a_map_of_any_size_is_a_score_in_the_liver_and_nothing_outside(trained, size):
    image = np.random.default_rng(0).random((2, 1, *size)).astype(np.float32)
    liver_mask = np.zeros((2, *size), dtype=bool)
    liver_mask[:, 5:-6, 5:-8] = True
    found = trained.system.predict(image * liver_mask[:, None], liver_mask)
    assert found.score.shape == liver_mask.shape
    assert found.score.dtype == np.float32
    assert np.isfinite(found.score).all()
    assert 0 <= found.score.min() <= found.score.max() <= 1
    assert not found.score[~liver_mask].any()
    assert len(np.unique(found.score[liver_mask])) > 10
    assert (found.restored is not None) == trained.system.has_restorer
    if found.restored is not None:
        assert found.restored.shape == liver_mask.shape
        assert np.isfinite(found.restored).all()


def test_the_same_slice_gets_the_same_bits(trained):
    first, second = trained.system.predict(*trained.slices()), trained.system.predict(*trained.slices())
    assert np.array_equal(first.score, second.score)


def test_a_slice_does_not_depend_on_its_batch(trained):
    images, liver_mask = trained.slices()
    together, alone = trained.system.predict(images, liver_mask), trained.system.predict(images[2:3], liver_mask[2:3])
    np.testing.assert_allclose(together.score[2], alone.score[0], atol=1e-5)
    if together.restored is not None:
        np.testing.assert_allclose(together.restored[2], alone.restored[0], atol=1e-5)


def test_saved_and_loaded_it_says_the_same(trained, tmp_path):
    digest = trained.system.save(tmp_path / "kept.safetensors", ModelCard(training=trained.figures))
    again = type(trained.system).load(tmp_path / "kept.safetensors")
    for name, value in trained.system.tensors().items():
        assert torch.equal(value, again.tensors()[name]), name
    assert (again.config, again.seed, again.hash) == (trained.system.config, trained.system.seed, digest)
    assert np.array_equal(trained.system.predict(*trained.slices()).score, again.predict(*trained.slices()).score)


def test_a_training_that_was_stopped_ends_in_the_same_bits(trained, tmp_path, request):
    """Dropout and noise are drawn anew for each update, whether or not the ones before it ran in the same process."""
    key = request.node.callspec.params["trained"]
    job, seen = Job(), set()

    def stop(progress):
        if progress.done < progress.total:
            seen.add((progress.phase.split(" · ")[0], progress.done))
        if len(seen) == STOP_AT:
            job.cancel()

    job.report = stop
    with pytest.raises(Cancelled):
        train(untrained(key), trained.data, state=tmp_path / "state", job=job)
    assert sum(map(len, state_of(tmp_path).values())) == STOP_AT
    torch.manual_seed(12345)  # chance of another process
    again = untrained(key)
    train(again, trained.data, state=tmp_path / "state")
    for name, value in trained.system.tensors().items():
        assert torch.equal(value, again.tensors()[name]), name


@pytest.mark.parametrize("file", FILES)
def test_plans_are_those_of_the_list_and_survive_storage(file):
    kind, entries = kind_of(file), [entry for entry in METHODS if entry.module == file]
    assert set(import_module(f"napari_liver_anomaly.models.{file}").configs(1000)) == {entry.key for entry in entries}
    for entry in entries:
        plan = config_of(entry.key, 1000)
        assert (plan.steps, plan.schedule.crop_px, plan.schedule.learning_rate) == (1000, SIDE_PX, 1e-3)
        assert (
            ModelConfig.from_dict(json.loads(json.dumps(plan.to_dict())), kind.options_class) == plan and plan.method == entry.key
        )
        assert kind(plan).has_restorer is entry.restores
