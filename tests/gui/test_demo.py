"""The demonstration: the sample, searched, as a picture."""

from __future__ import annotations

import pytest

from napari_liver_anomaly import phantom
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.gui import demo, tumour_panel


@pytest.fixture
def window(make_napari_viewer, make_panel, method, monkeypatch):
    small = phantom.make_phantom(phantom.PhantomSettings(slices=8, size_px=64))
    monkeypatch.setattr(phantom, "make_phantom", lambda: small)
    method.sample.score = (small.tumours.voxels * 200).astype("uint8")
    monkeypatch.setattr("napari.Viewer", lambda: make_napari_viewer(show=True))
    monkeypatch.setattr(tumour_panel, "TumourPanel", make_panel)


def test_the_picture_shows_the_result(window, tmp_path):
    demo.demo(tmp_path / "demo.png")
    assert (tmp_path / "demo.png").stat().st_size > 10_000


def test_a_search_that_fails_is_no_picture(window, method, tmp_path):
    method.at_step = lambda step: 1 / 0
    with pytest.raises(Refusal, match="could not be searched"):
        demo.demo(tmp_path / "demo.png")
    assert not (tmp_path / "demo.png").exists()
