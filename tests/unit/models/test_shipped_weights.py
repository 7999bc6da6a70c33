"""What each packaged model says of one small scan, kept as numbers: channels in another order, a sign or an axis turned are seen at once.

``python tests/unit/models/test_shipped_weights.py`` writes the numbers anew, after a change that is meant to change them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from napari_liver_anomaly import models
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.volume import Mask, Volume

KEPT = Path(__file__).with_name("shipped_scores.json")
WEIGHTS = sorted(path.stem for path in Path(models.__file__).parents[1].joinpath("weights").glob("*.safetensors"))
SPACING = (2.5, 0.8, 1.3)  # no two alike
SHAPE = (9, 120, 100)
ROUNDING = 0.004  # of a score, between processors and versions
ROUNDING_HU = 1.0


def scan() -> tuple[Volume, Mask, dict[str, np.ndarray]]:
    """A liver of smooth texture in a body, with a dark and a bright ball; the same numbers everywhere, without chance."""
    z, y, x = ((np.arange(n) - n / 2) * mm for n, mm in zip(SHAPE, SPACING, strict=True))
    z, y, x = z[:, None, None], y[None, :, None], x[None, None, :]
    liver = (z / 10) ** 2 + (y / 32) ** 2 + (x / 44) ** 2 < 1
    body = (y / 46) ** 2 + (x / 63) ** 2 < 1 + 0 * z
    texture = 6 * np.sin(y / 3 + z) * np.cos(x / 4 - z / 2) + 4 * np.sin(x / 1.7) * np.cos(y / 2.3)
    hu = np.where(body, np.where(liver, 105 + texture, 55 + texture / 2), -1000)
    balls = {
        "dark": (z - 1) ** 2 + (y + 8) ** 2 + (x - 18) ** 2 < 7**2,
        "bright": z**2 + (y - 10) ** 2 + (x + 20) ** 2 < 6**2,
    }
    hu = np.where(balls["dark"], hu - 55, np.where(balls["bright"], hu + 45, hu))
    volume = Volume(hu.round().astype(np.int16), Geometry(SHAPE[::-1], np.diag([-SPACING[2], -SPACING[1], -SPACING[0], 1.0])))
    return volume, Mask(liver, volume.geometry, judged=True), balls | {"elsewhere": liver & ~balls["dark"] & ~balls["bright"]}


def said(name: str) -> dict[str, Any]:
    """Mean score, restored HU in and around the balls, and scores at a few places."""
    volume, liver, parts = scan()
    result = segment(volume, liver, name, device="cpu")
    score = result.score.astype(float) / (255 if result.score.dtype == np.uint8 else 1)
    made: dict[str, Any] = {"score": {part: round(float(score[where].mean()), 4) for part, where in parts.items()}}
    made["at"] = [round(float(value), 4) for value in score[SHAPE[0] // 2, 30:91:12, 24:80:11].ravel()]
    if result.restored is not None:
        made["restored_hu"] = {part: round(float(result.restored[where].mean()), 2) for part, where in parts.items()}
        made["residual_hu"] = {part: round(float(result.residual[where].mean()), 2) for part, where in parts.items()}
    return made


def test_every_packaged_model_has_its_numbers():
    assert sorted(json.loads(KEPT.read_text(encoding="utf-8"))) == WEIGHTS


@pytest.mark.parametrize("name", WEIGHTS)
def test_a_packaged_model_says_what_it_always_said(name):
    kept, now = json.loads(KEPT.read_text(encoding="utf-8"))[name], said(name)
    assert now["score"] == pytest.approx(kept["score"], abs=ROUNDING)
    assert now["at"] == pytest.approx(kept["at"], abs=5 * ROUNDING)
    for what in ("restored_hu", "residual_hu"):
        assert now.get(what) == (pytest.approx(kept[what], abs=ROUNDING_HU) if what in kept else None)


if __name__ == "__main__":
    KEPT.write_text(json.dumps({name: said(name) for name in WEIGHTS}, indent=1) + "\n", encoding="utf-8")
