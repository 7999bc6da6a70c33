"""Points to work at come from the card of the chosen model, are said with what they give, and are not shown where the card has none."""

from __future__ import annotations

import pytest

from napari_liver_anomaly.gui.operating_points import AS_SET
from napari_liver_anomaly.models.card import THESE_WEIGHTS, Metrics

POINTS = [
    {"name": "specific", "threshold": 0.98, "sensitivity": 0.61, "false_per_scan": 0.4},
    {"name": "sensitive", "threshold": 0.6, "sensitivity": 0.83, "false_per_scan": 3.9},
]


def metrics(of=THESE_WEIGHTS, points=POINTS, subset="all"):
    return {"of": of, "method": "m", "summary": {"m": {subset: {"lesions": {"operating_points": points}}}}}


@pytest.fixture
def panel(make_panel, viewer, sample):
    cards = {"first": {"metrics": metrics()}, "second": {}, "third": {"metrics": metrics(of="")}}
    return make_panel(viewer, sample, names=tuple(cards), card=cards.get)


def test_a_point_says_what_it_gives_and_sets_the_score(panel, run, qtbot):
    points = panel.model.points
    assert points.isVisibleTo(panel.model) and points.currentText() == AS_SET
    words = [points.itemText(n) for n in range(points.count())]
    assert words[1:] == [
        "Specific: detects 61 % of lesions, 0.4 false per scan", "Sensitive: detects 83 % of lesions, 3.9 false per scan",
    ]  # fmt: skip
    run(panel)
    for index, score in ((1, 0.98), (2, 0.6)):
        points.setCurrentIndex(index)
        points.activated.emit(index)
        qtbot.waitUntil(lambda: not panel.controller.busy, timeout=60_000)
        assert panel.controller.shown.settings.min_peak_score == pytest.approx(score)
    panel.model.rows.fields["min_peak_score"].value = 0.7
    assert points.currentText() == AS_SET
    panel.model.rows.fields["min_peak_score"].value = 0.6
    assert points.currentIndex() == 2


@pytest.mark.parametrize("name", ["second", "third"])
def test_a_model_without_figures_of_its_own_has_no_points(panel, name):
    panel.model.model.setCurrentIndex(panel.model.model.findText(name))
    assert not panel.model.points.isVisibleTo(panel.model)
    panel.model.model.setCurrentIndex(0)
    assert panel.model.points.isVisibleTo(panel.model)


def test_only_what_was_measured_on_unseen_scans_and_makes_sense_counts():
    seen = metrics()["summary"]["m"]["all"] | {"x": 1}
    summary = {"m": {"all": seen, "not_seen_in_training": {"lesions": {"operating_points": POINTS[:1]}}}}
    assert [point.name for point in Metrics(of=THESE_WEIGHTS, method="m", summary=summary).operating_points()] == ["specific"]
    for wrong in ([{"name": "x"}], 3, [POINTS[0] | {"sensitivity": "much"}], [POINTS[0] | {"threshold": 2}]):
        assert Metrics(of=THESE_WEIGHTS, method="m", summary=metrics(points=wrong)["summary"]).operating_points() == ()
