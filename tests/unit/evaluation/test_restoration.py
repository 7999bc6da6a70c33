"""A restoration is measured where it should change something, and where it should not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from builders import searched
from napari_liver_anomaly.evaluation.evaluate import evaluate
from napari_liver_anomaly.evaluation.restoration import restoration_of, restoration_table, summarise_restoration
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.io import write_case
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.registry import build, config_of
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.volume import Mask, Volume

SHAPE, LIVER_HU, DARK_HU = (10, 60, 60), 100, 60
TUMOUR = (slice(3, 8), slice(20, 32), slice(20, 32))  # 12 mm wide and 10 mm high


def scan(**restored):
    """A liver with a dark block and a small one, and what a restorer makes of it."""
    volume = Volume(np.full(SHAPE, LIVER_HU, np.int16), Geometry(SHAPE[::-1], np.diag([-1.0, -1.0, 2.0, 1.0])), "scan")
    truth = np.zeros(SHAPE, bool)
    truth[TUMOUR] = True
    truth[8, 50, 50] = True
    hu = np.where(truth, DARK_HU, LIVER_HU).astype(np.int16)
    hu[:, :, 55:] += 20  # vessels, which stay
    volume = replace(volume, voxels=hu)
    liver = Mask(np.ones(SHAPE, bool), volume.geometry, volume.identity)
    healed = np.where(truth, restored.get("tumour", LIVER_HU), hu).astype(np.int16)
    healed[:, :, :5] += np.int16(restored.get("healthy", 0))
    result = searched(volume, liver=liver, restored=healed, residual=hu - healed)
    return result, Mask(truth, volume.geometry, volume.identity)


def test_a_restorer_that_takes_lesions_away_and_leaves_the_rest_alone():
    found = restoration_of(*scan())
    assert found["contrast_before_hu"] == DARK_HU - LIVER_HU and found["contrast_after_hu"] == 0 and found["lesions"] == 1
    assert found["tumour_residual_hu"] == DARK_HU - LIVER_HU and found["healthy_residual_hu"] == 0
    assert found["healthy_change_hu"] == 0 == found["healthy_far"] and found["auroc_dark"] == 1.0


def test_one_that_does_half_and_brightens_a_twelfth_of_the_healthy_liver():
    found = restoration_of(*scan(tumour=80, healthy=30))
    assert found["contrast_after_hu"] == -20 and found["tumour_residual_hu"] == -20
    share = found["healthy_far"]
    assert 5 / 60 < share < 6 / 60, "five columns of sixty, without what lies at the tumour"
    told = found["healthy_change_hu"], -found["healthy_residual_hu"]
    assert told == pytest.approx((30 * share, 30 * share), rel=1e-4)
    assert 0.88 < found["auroc_dark"] < 0.93, "darker by 30 in the healthy columns, by 20 in the tumour"


def test_a_scan_without_tumour_and_one_without_a_restored_scan():
    result, truth = scan()
    none = restoration_of(result, replace(truth, voxels=np.zeros(SHAPE, bool)))
    assert none["auroc_dark"] is None and none["contrast_before_hu"] is None and none["lesions"] == 0
    assert none["healthy_change_hu"] > 0, "what was tumour is healthy now"
    with pytest.raises(ValueError, match="no restored scan"):
        restoration_of(replace(result, restored=None, residual=None), truth)
    both = summarise_restoration([restoration_of(result, truth), none])
    assert both["auroc_dark"]["n"] == 1 and both["auroc_dark"]["of"] == 2 and both["lesions"] == 1
    table = restoration_table({"summary": {"a": {"all": {"restoration": both}}, "b": {"all": {}}}}, ("a", "b"))
    assert "| a | " in table and "| b | " not in table and "−" not in table
    assert restoration_table({"summary": {"b": {"all": {}}}}, ("b",)) == ""


def test_an_evaluation_has_it_where_there_is_a_restorer(tmp_path):
    sample = make_phantom(PhantomSettings(slices=12, size_px=64))
    write_case(sample.volume, sample.liver, sample.tumours, tmp_path, "a")
    model = build(config_of("compact"), 0)
    model.card = ModelCard(validation={"held_out_family": {"threshold": 0.5}})
    found = evaluate(tmp_path, model)
    about = found["summary"][model.name]["all"]["restoration"]
    assert about["healthy_change_hu"]["n"] == 1 and "restoration" not in found["summary"]["dark-rule"]["all"]
    assert found["cases"][0]["methods"][model.name]["restoration"]["lesions"] == about["lesions"] > 0
