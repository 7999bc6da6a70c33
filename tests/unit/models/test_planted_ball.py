"""A ball 60 HU darker than the liver is ranked above it by every reconstruction, after a training of seconds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from builders import healthy_slices
from napari_liver_anomaly.models.config import SIDE_PX
from napari_liver_anomaly.models.registry import build, config_of
from napari_liver_anomaly.training.fit import train

pytestmark = pytest.mark.slow
DARKER_HU, BUDGET, RATE = 60, 160, {"vq-vae": 1e-3}
KEYS = {  # with what makes each small
    "context-ae": {}, "vae": {}, "vae-restoration": {"restoration_steps": 10}, "ce-vae": {}, "ce-vae-gradient": {}, "gmvae-dense": {},
    "gmvae-dense-restoration": {"restoration_steps": 10}, "gmvae-spatial": {}, "gmvae-spatial-restoration": {"restoration_steps": 10},
    "f-anogan": {"moves": 1}, "anovaegan": {"moves": 1}, "constrained-ae": {}, "constrained-aae": {"moves": 2},
    "vq-vae": {"restorations": 2, "width": 16},
}  # fmt: skip


@pytest.mark.parametrize("key", KEYS)
def test_a_planted_ball_is_ranked_above_the_liver(key):
    config, data = config_of(key, BUDGET), healthy_slices()
    schedule = replace(config.schedule, batch=4, crop_px=SIDE_PX, learning_rate=RATE.get(key, 3e-3))
    model = build(replace(config, options=replace(config.options, **{"width": 8} | KEYS[key]), schedule=schedule))
    train(model, data)
    images, liver_mask = np.stack(data.images[:4]), np.stack(data.liver_masks[:4])
    y, x = np.ogrid[:SIDE_PX, :SIDE_PX]
    ball = np.broadcast_to((y - 32) ** 2 + (x - 28) ** 2 < 5**2, images.shape)
    darker = np.where(ball, np.maximum(images - DARKER_HU / data.hu_per_unit, 0.02), images)
    score = model.predict(darker[:, None].astype(np.float32), liver_mask).score
    assert roc_auc_score(ball[liver_mask], score[liver_mask]) > 0.85
    # and it is the ball, not the place, that is ranked
    before = model.predict(images[:, None], liver_mask).score
    assert score[ball].mean() > 1.3 * before[ball].mean()
