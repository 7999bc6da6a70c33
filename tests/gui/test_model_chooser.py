"""The choice of the model: a line on what it is and one on how good, from its card alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from builders import refusal_of
from napari_liver_anomaly.errors import UnfitModel
from napari_liver_anomaly.gui.layers import Role, tag_of
from napari_liver_anomaly.gui.model_chooser import FROM_FILE, NO_HEALTHY_IMAGE, ModelSummary, summary_of
from napari_liver_anomaly.gui.style import one_line, say

TITLES = {"first": "Five networks, 64 healthy livers.", "second": "A small one, for a laptop."}


@pytest.fixture
def model(make_panel, viewer):
    return make_panel(viewer, names=("first", "second", "third"), card=lambda name: {"title": TITLES.get(name)}).model


def choose(model, name):
    model.model.setCurrentIndex(model.model.findText(name))


def test_the_chosen_model_says_what_it_is(model):
    assert model.caption.toolTip() == TITLES["first"] and model.caption.isVisibleTo(model)
    choose(model, "second")
    assert model.caption.toolTip() == TITLES["second"]
    choose(model, "third")
    assert not model.caption.toolTip() and not model.caption.isVisibleTo(model)


def test_a_long_line_does_not_widen_the_panel_and_is_told_whole(qtbot):
    line = one_line()
    qtbot.addWidget(line)
    say(line, "word " * 50)
    assert line.minimumSizeHint().width() < 60 and line.toolTip() == "word " * 50
    say(line, "")
    assert not line.isVisibleTo(None)


def test_while_a_file_is_looked_for_the_line_stays(model):
    choose(model, FROM_FILE)
    assert model.caption.toolTip() == TITLES["first"]


def test_a_model_that_cannot_be_used_says_why_in_a_sentence(tmp_path):
    def refuse(name):
        raise refusal_of(UnfitModel, "x", "This is damaged.", "Wrong.", "Fetch it again.")

    assert summary_of("first", refuse).line == "Cannot be used: This is damaged."
    assert "missing.safetensors" in summary_of(str(tmp_path / "missing.safetensors")).line
    assert summary_of(None) == ModelSummary()


def test_a_card_of_a_file_is_read(tmp_path):
    from napari_liver_anomaly.checkpoint import save

    save(tmp_path / "mine.safetensors", {}, {"title": "Mine"})
    assert summary_of(str(tmp_path / "mine.safetensors")) == ModelSummary(line="Mine")


MEASURED = {"not_seen_in_training": {"dice": {"case_mean": {"mean": 0.547, "sd": 0.342, "n": 12, "of": 15}}}}


def figure_of(card):
    return summary_of("x", lambda _: card).figure


@pytest.mark.parametrize(
    "schedule", [{"restorer_steps": 700, "segmenter_steps": 0}, {"restorer_steps": 0, "segmenter_steps": 700}]
)
@pytest.mark.parametrize("system", ["draem", "hu"])
def test_a_model_of_ones_own_shows_no_figure_of_ours(system, schedule):
    """Not even one that was trained as long as a system of the comparison."""
    assert figure_of({"system": system, "settings": {"schedule": schedule}, "metrics": {}}) == ""


def test_a_figure_is_that_of_the_models_own_card():
    metrics = {"of": "cross-validation of the same configuration, 2 folds", "method": "direct", "summary": {"direct": MEASURED}}
    assert figure_of({"metrics": metrics}) == "Dice 0.55 ± 0.34 on 12 patients in cross-validation by its makers."
    assert figure_of({"metrics": metrics | {"of": "0" * 64}}) == "", "measured on other weights"


def test_the_standard_model_shows_its_own_figure_and_the_other_packaged_ones_none():
    from napari_liver_anomaly.models import names

    figures = {name: summary_of(name).figure for name in names()}
    assert "cross-validation" in figures.pop("standard")
    assert not any(figures.values())


@pytest.fixture
def cards():
    return {"both": {"title": "Restores."}, "score": {"title": "Does not.", "system": "hu"}}


def offered(panel):
    return [role for role, (tick, _) in panel.look.overlays.rows.items() if tick.isVisibleTo(panel.look.overlays)]


def test_a_model_without_a_healthy_image_says_so_and_shows_none(make_panel, viewer, sample, method, run, cards):
    """Also after a run that had one: what that restored is not taken for the new model's."""
    found = method.__call__
    panel = make_panel(
        viewer,
        sample,
        names=tuple(cards),
        card=cards.get,
        segment=lambda *args, **kw: (
            found(*args, **kw) if args[2] == "both" else replace(found(*args, **kw), restored=None, residual=None)
        ),
    )
    assert len(offered(panel)) == 4
    run(panel)
    panel.model.model.setCurrentIndex(1)
    assert len(offered(panel)) == 4, "the result on screen has them"
    assert panel.model.note.toolTip() == NO_HEALTHY_IMAGE
    run(panel)
    assert offered(panel) == [Role.TUMOURS, Role.SCORE]
    roles = [tag_of(layer).role for layer in viewer.layers]
    assert roles.count(Role.SCORE) == roles.count(Role.TUMOURS) == 1
    assert Role.RESTORED not in roles and Role.RESIDUAL not in roles
    assert panel.controller.shown is not None and not panel.messages.text
    panel.model.model.setCurrentIndex(0)
    run(panel)
    assert len(offered(panel)) == 4 and panel.look.overlays.rows[Role.RESIDUAL][0].isEnabled()


def test_before_a_run_the_chosen_model_says_which_overlays_there_will_be(make_panel, viewer, cards):
    panel = make_panel(viewer, names=("score", "both"), card=cards.get)
    assert offered(panel) == [Role.TUMOURS, Role.SCORE]
    panel.model.model.setCurrentIndex(1)
    assert len(offered(panel)) == 4 and not panel.model.note.isVisibleTo(panel.model)


def test_the_list_is_brought_up_to_date_when_it_is_opened(make_panel, viewer, cards, tmp_path):
    names = ["both"]
    model = make_panel(viewer, card=lambda name: cards.get(name, {"title": name})).model
    model._names = lambda: names
    model.list_again()
    model.add_file(tmp_path / "file.safetensors")
    names.append("score")
    model.model.showPopup()
    model.model.hidePopup()
    listed = [model.model.itemText(place) for place in range(model.model.count())]
    assert listed == ["both", "score", "file.safetensors", FROM_FILE]
    assert model.name == str(tmp_path / "file.safetensors")
    choose(model, "score")
    names.remove("score")
    model.list_again()
    assert model.name == "both" and model.caption.toolTip() == "Restores."


def test_what_a_card_says_at_length_is_cut():
    said = summary_of("x", card=lambda name: {"format": 1, "key": "dae", "title": "long " * 100_000})
    assert len(said.line) == 200 and said.line.startswith("long long") and said.line.endswith("…")
