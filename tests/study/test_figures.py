"""Figures of the comparison: what they show and count, what is left out, and where patients may not go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from liver_anomaly_study.cases import Case
from liver_anomaly_study.cli import main, make_parser
from liver_anomaly_study.figures import figures_page, restorations, segmentations
from liver_anomaly_study.figures.embedding import bottleneck, draw_embedding, nearest_kinds
from liver_anomaly_study.figures.panels import MARGIN_PX, Window
from liver_anomaly_study.figures.slice_selection import same_slice, tumour_free_slices
from liver_anomaly_study.figures.subject import Subject
from liver_anomaly_study.runs import RunFolder
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.models.base import Prediction
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.config import FRAME
from napari_liver_anomaly.models.methods import BUDGET
from napari_liver_anomaly.models.networks.restorer import Restorer, RestorerSettings
from napari_liver_anomaly.synthesis import Blobs

pytest.importorskip("matplotlib")


def case(name: str, seed: int) -> Case:
    """Ten slices, tumours on the even ones, all larger than what is shown at least."""
    rng = np.random.default_rng(seed)
    y, x = np.ogrid[:64, :64]
    liver_mask = np.repeat((((y - 32) / 24) ** 2 + ((x - 30) / 28) ** 2 < 1)[None], 10, axis=0)
    truth = np.zeros_like(liver_mask)
    truth[::2, 20:28, 20 : 28 + seed] = True
    images = np.where(liver_mask, rng.normal(0.5, 0.05, liver_mask.shape) - 0.2 * truth, 0).clip(0, 1).astype(np.float32)
    return Case(name, images, liver_mask, truth, np.arange(10)[:, None], (4.0, 2.5, 2.5), 200.0, True)


class Fake:
    """A model that predicts what is dark, and restores every slice to half grey."""

    name, hash, preprocess = "fake", "0" * 64, FRAME

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset
        self.card = ModelCard(data={"learned_from": ["train-1"]}, validation={"held_out_family": {"threshold": 0.3}})
        self.config = type("Plan", (), {"recipe": Blobs(p_empty=0.3)})()
        torch.manual_seed(0)
        self.restorer = Restorer(RestorerSettings(width=4)).eval()

    def predict(self, images, liver_mask):
        middle = images[:, images.shape[1] // 2]
        return Prediction(((middle < 0.4) & liver_mask).astype(np.float32), (middle + self.offset).astype(np.float32))


@pytest.fixture
def subject(tmp_path):
    made = Subject(RunFolder(tmp_path / "out", None, ()), "phantom", BUDGET, tmp_path / "record")
    made._prepared[FRAME] = [case("train-1", 0), case("test-2", 1), case("test-3", 2)]
    (tmp_path / "out" / "models").mkdir(parents=True)
    for key, offset in (("two-stage", 0.0), ("direct", 0.0), ("cell-tp-pa", 0.1)):
        run = made.run(key)
        made.folder.model(run).touch()
        made._models[run] = Fake(offset)
    return made


def test_a_window_shows_every_liver_whole_centred_and_at_one_scale():
    wide, tall = np.zeros((2, 30, 40), bool)
    wide[10:14, 5:36] = True
    tall[2:30, 30:40] = True
    window = Window.for_all([wide, tall])
    assert (window.height, window.width) == (28 + 2 * MARGIN_PX, 31 + 2 * MARGIN_PX)
    for liver_mask in (wide, tall):
        cut = window.of(liver_mask, liver_mask)
        assert cut.shape == (window.height, window.width)
        assert cut.sum() == liver_mask.sum()
        assert all(
            abs(np.flatnonzero(cut.any(axis=axis)).mean() - (size - 1) / 2) <= 1
            for axis, size in ((1, window.height), (0, window.width))
        )


def test_the_nearest_slice_is_one_of_another_scan():
    features = np.array([[0.0], [0.1], [5.0], [5.3], [0.4]], np.float32)
    kinds, scans = np.array([0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 2])
    shares = nearest_kinds(features, kinds, scans, 2)
    assert shares.tolist() == [[0, 1], [pytest.approx(1 / 3), pytest.approx(2 / 3)]]


def test_the_bottleneck_is_averaged_over_the_liver_alone():
    one = case("a", 0)
    restorer = Restorer(RestorerSettings(width=4)).eval()
    left = np.zeros_like(one.liver_mask[0])
    left[:, :8] = True
    image = one.images[1].copy()
    before = bottleneck(restorer, image, left)
    assert before.shape == (32,)
    kept = []
    restorer.down[-1].register_forward_hook(lambda _a, _b, made: kept.append(made))
    with torch.inference_mode():
        restorer(torch.from_numpy(image[None, None]))
    np.testing.assert_allclose(before, kept[0][0, :, :, 0].mean(dim=1).numpy(), rtol=1e-4, atol=1e-6)


def test_slices_from_easy_to_hard_are_those_of_held_out_cases(subject):
    _, numbers = segmentations.draw_found(subject)
    assert numbers["slices"] == 10
    easy = numbers["dice"]["two-stage"]
    assert len(easy) == 6
    assert easy == sorted(easy, reverse=True) == numbers["dice"]["direct"]
    assert easy[0] > 0.7


def test_restorations_are_measured_in_hu_on_healthy_pixels_and_against_the_true_healthy_image(subject):
    _, numbers = restorations.draw_restorations(subject)
    idle, shifted = numbers["models"]["two-stage"], numbers["models"]["cell-tp-pa"]
    assert idle == {"healthy_hu": 0.0, "inside_hu": numbers["lesion_hu"]}
    assert numbers["lesion_hu"] > 10
    assert shifted["healthy_hu"] == pytest.approx(20, abs=0.01)  # 0.1 of 200 HU
    assert shifted["inside_hu"] != idle["inside_hu"]
    said = restorations.caption_of_restorations(numbers)
    assert f"| autoencoder (`cell-tp-pa`) | 20.0 | {shifted['inside_hu']:.1f} |" in said


def test_the_embedding_counts_as_many_slices_of_each_kind(subject):
    pytest.importorskip("sklearn")
    figure, numbers = draw_embedding(subject)
    count = len(tumour_free_slices(subject.held_out(Fake()))) // 2
    assert numbers["slices"] == {"normal": count, "pseudo anomaly": count, "tumour": count}
    assert all(sum(row.values()) == pytest.approx(1, abs=0.01) for row in numbers["nearest"].values())
    again, same = draw_embedding(subject)
    assert same == numbers
    placed = [[one.get_offsets() for one in made.axes[0].collections] for made in (figure, again)]
    assert all(np.array_equal(a, b) for a, b in zip(*placed, strict=True))


def test_what_is_missing_is_left_out_with_the_command_that_makes_it(subject, tmp_path):
    page, only = tmp_path / "docs" / "figures.md", ("p2-figure-2", "p2-figure-3", "p4-figure-4")
    said = figures_page.draw_figures(subject, tmp_path / "images", page, only=only)
    assert said[0] == "p2-figure-2.png"
    assert "'liver-anomaly-study long-training --out OUT --dataset phantom'" in said[1]
    assert "'liver-anomaly-study run --out OUT --dataset phantom --only cycle-continuous'" in said[2]
    text = page.read_text(encoding="utf-8")
    assert "(../images/p2-figure-2.png)" in text
    assert text.count(figures_page.NOTHING) == len(figures_page.PAPER_FIGURES) - 1
    drawn = (tmp_path / "images" / "p2-figure-2.png").read_bytes()
    assert drawn.startswith(b"\x89PNG")
    assert len(drawn) < 150_000
    figures_page.draw_figures(subject, tmp_path / "images", page, only=("p2-figure-2",))
    assert page.read_text(encoding="utf-8") == text
    assert (tmp_path / "images" / "p2-figure-2.png").read_bytes() == drawn


def test_a_figure_that_cannot_be_drawn_again_keeps_its_place(subject, tmp_path):
    page = tmp_path / "figures.md"
    figures_page.draw_figures(subject, tmp_path, page, only=("p2-figure-2",))
    text = page.read_text(encoding="utf-8")
    subject.folder.model(subject.run("direct")).unlink()
    assert "left out" in figures_page.draw_figures(subject, tmp_path, page, only=("p2-figure-2",))[0]
    assert page.read_text(encoding="utf-8") == text


def test_every_command_of_every_figure_is_understood():
    for dataset in ("phantom", "patients"):
        for name in figures_page.PAPER_FIGURES:
            for line in figures_page.commands(name, dataset):
                make_parser().parse_args(line.split()[1:])


def test_patients_never_go_into_a_repository(subject, tmp_path):
    (tmp_path / "repository" / ".git").mkdir(parents=True)
    docs, out = tmp_path / "repository" / "docs", tmp_path / "repository" / "out"
    with pytest.raises(Refusal, match="repository"):
        figures_page.require_no_repository(docs, tmp_path / "out")
    with pytest.raises(Refusal, match="repository"):
        figures_page.require_no_repository(docs, docs / "out")
    figures_page.require_no_repository(out / "pictures", out)
    figures_page.require_no_repository(tmp_path / "elsewhere", out)
    subject.dataset = "patients"
    with pytest.raises(Refusal, match="repository"):
        figures_page.draw_figures(subject, docs, tmp_path / "figures.md")
    assert not docs.exists()


def test_the_verb_keeps_patients_in_its_own_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    rest = ["--dataset", "patients", "--record", str(tmp_path / "record"), "--only", "p4-figure-2"]
    assert main(["figures", "--out", "out", *rest]) == 0
    assert "liver-anomaly-study run --out OUT --dataset patients --only cycle-discrete --data DATA" in capsys.readouterr().out
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.*")) == [
        str(Path("out/pictures/figures.md")), str(Path("record/patients-figures.json")),
    ]  # fmt: skip


def test_an_unknown_figure_is_refused(subject, tmp_path):
    with pytest.raises(Refusal, match="no figure called 'p9'"):
        figures_page.draw_figures(subject, tmp_path, tmp_path / "figures.md", only=("p9",))


def test_a_slice_is_found_where_the_liver_was_prepared_with_more_slices():
    one = case("a", 1)
    areas = np.r_[0, 2:9, 4, 0]  # rows of liver
    liver_mask = one.liver_mask & (np.arange(64)[:, None] < 8 + 5 * areas[:, None, None])
    near = Case("a", one.images, liver_mask, one.truth, one.healthy, one.spacing_mm, one.hu_per_unit, True)
    for before, after in ((1, 1), (2, 0), (0, 0)):
        wide = [(before, after), (3, 3), (0, 0)]
        images, more, truth = (np.pad(part, wide) for part in (near.images, liver_mask, one.truth))
        other = Case("a", images, more, truth, one.healthy, one.spacing_mm, one.hu_per_unit, True)
        assert same_slice(near, 5, other) == 5 + before
        assert same_slice(other, 5 + before, near) == 5
