"""A configuration as plain data: one shape, and both shapes of cards of earlier versions."""

from __future__ import annotations

import pytest

from napari_liver_anomaly.errors import WrongSetting
from napari_liver_anomaly.models.config import ModelConfig
from napari_liver_anomaly.models.random_shape import RandomShapeOptions
from napari_liver_anomaly.models.registry import config_of
from napari_liver_anomaly.models.two_stage import TwoStageOptions

FORMER = {"restorer_steps": "restorer_updates", "segmenter_steps": "segmenter_updates", "cosine_decay": "fall"}


def former(config, **parts):
    """Plain data as earlier versions wrote it: other names, and what ``parts`` says instead of the options."""
    values = config.to_dict()
    schedule = {FORMER.get(name, name): value for name, value in values["schedule"].items()}
    schedule["segmenter_fall"] = schedule.pop("segmenter_cosine_decay")
    return {"prepare": values["preprocess"], "recipe": values["recipe"], "schedule": schedule} | parts


def test_parts_of_a_two_stage_model_stood_beside_the_others():
    config = config_of("standard")
    options = config.to_dict()["options"]
    segmenter = {"organ" if name == "liver_mask" else name: value for name, value in options["segmenter"].items()}
    values = former(config, restorer=options["restorer"], segmenter=segmenter)
    assert ModelConfig.from_dict(values, TwoStageOptions) == config
    with pytest.raises(WrongSetting):
        ModelConfig.from_dict(values | {"more": {}}, TwoStageOptions)


def test_options_of_other_methods_had_the_name_of_today():
    config = config_of("random-shape", 20)
    values = former(config, options={"width": 8, "dice_share": 0.5})
    found = ModelConfig.from_dict(values, RandomShapeOptions, "random-shape")
    assert found == config and found.method == config.method == "random-shape"
