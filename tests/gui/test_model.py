"""The choice of the model: a line on what it is, from its card."""

from __future__ import annotations

import pytest

from napari_liver_anomaly.errors import UnfitModel
from napari_liver_anomaly.gui.look import OneLine
from napari_liver_anomaly.gui.model import FROM_FILE
from napari_liver_anomaly.gui.searching import Engine, title

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


def test_a_long_line_is_cut_to_the_width(qtbot):
    line = OneLine()
    qtbot.addWidget(line)
    line.resize(140, 20)
    line.say("word " * 50)
    line.show()
    assert line.text().endswith("…") and len(line.text()) < 50
    line.resize(3000, 20)
    assert line.text() == line.toolTip() == "word " * 50


def test_while_a_file_is_looked_for_the_line_stays(model):
    choose(model, FROM_FILE)
    assert model.caption.toolTip() == TITLES["first"]


def test_a_model_that_cannot_be_read_says_nothing(tmp_path):
    def refuse(name):
        raise UnfitModel("x", "Damaged.", "Wrong.", "Fetch it again.")

    assert title(Engine(card=refuse), "first") == ""
    assert title(Engine(), str(tmp_path / "missing.safetensors")) == title(Engine(), None) == ""


def test_a_card_of_a_file_is_read(tmp_path):
    from napari_liver_anomaly.checkpoint import save

    save(tmp_path / "mine.safetensors", {}, {"title": "Mine"})
    assert title(Engine(), str(tmp_path / "mine.safetensors")) == "Mine"
