"""Recipes as transforms of MONAI and TorchIO, with the real packages."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from napari_liver_anomaly import adapters
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.synthesis import RECIPES

# Both packages warn of what others will drop one day.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def scan():
    sample = make_phantom(PhantomSettings(tumours=False, slices=24, size_px=96))
    hu, liver = (sample.volume.geometry.to_source(array)[None] for array in (sample.volume.voxels, sample.liver.voxels))
    return (
        torch.from_numpy(hu.astype(np.float32)),
        torch.from_numpy(liver.astype(np.float32)),
        sample.volume.geometry.source_affine,
    )


def holds(hu, liver, changed, mask):
    hu, liver, changed, mask = (np.asarray(tensor) for tensor in (hu, liver, changed, mask))
    assert changed.shape == mask.shape == hu.shape and set(np.unique(mask)) == {0, 1}
    assert not (mask.astype(bool) & (liver == 0)).any(), "inside the liver"
    assert (changed[mask > 0] != hu[mask > 0]).mean() > 0.5 and np.array_equal(changed[liver == 0], hu[liver == 0])
    return changed


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_as_a_monai_dictionary_transform(scan, name):
    transforms, data = pytest.importorskip("monai.transforms"), pytest.importorskip("monai.data")
    hu, liver, affine = scan
    given = {"image": data.MetaTensor(hu, affine=torch.from_numpy(affine)), "liver": data.MetaTensor(liver), "other": 3}
    transform = adapters.monai_transform(RECIPES[name]())
    assert isinstance(transform, transforms.MapTransform) and isinstance(transform, transforms.Randomizable)
    chain = transforms.Compose([transform, transforms.RandFlipd(["image", "liver", "anomaly"], prob=0)])
    for seed in range(8):
        made = chain.set_random_state(seed)(given)
        if made["anomaly"].any():
            break
    changed = holds(hu, liver, made["image"], made["anomaly"])
    assert made["other"] == 3 and np.array_equal(given["image"], hu), "what was given stays as it was"
    assert torch.equal(made["image"].affine, given["image"].affine)
    assert np.array_equal(chain.set_random_state(seed)(given)["image"], changed), "same state, same anomalies"


def test_probability_zero_draws_nothing(scan):
    pytest.importorskip("monai.transforms")
    hu, liver, _ = scan
    made = adapters.monai_transform(RECIPES["nodules"](), prob=0)({"image": hu, "liver": liver})
    assert torch.equal(made["image"], hu) and not made["anomaly"].any()


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_as_a_torchio_transform(scan, name):
    torchio = pytest.importorskip("torchio")
    hu, liver, affine = scan
    subject = torchio.Subject(
        image=torchio.ScalarImage(tensor=hu, affine=affine), liver=torchio.LabelMap(tensor=liver, affine=affine)
    )
    transform = torchio.Compose([adapters.torchio_transform(RECIPES[name]())])
    for seed in range(8):
        torch.manual_seed(seed)
        made = transform(subject)
        if made["anomaly"].data.any():
            break
    changed = holds(hu, liver, made["image"].data, made["anomaly"].data)
    assert isinstance(made["anomaly"], torchio.LabelMap) and np.allclose(made["anomaly"].affine, affine)
    assert torch.equal(subject["image"].data, hu)
    torch.manual_seed(seed)
    assert np.array_equal(transform(subject)["image"].data, changed)
