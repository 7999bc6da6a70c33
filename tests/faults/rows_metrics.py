"""Rows about figures: distances in mm, empty and missing masks, and scans on both sides of a split."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from builders import refusal_of
from faults.table import row
from napari_liver_anomaly.cli import main
from napari_liver_anomaly.errors import InvalidNumbers, Question, Refusal, UnfitModel
from napari_liver_anomaly.evaluation.evaluate import evaluate
from napari_liver_anomaly.evaluation.tables import method_table
from napari_liver_anomaly.io import write_case
from napari_liver_anomaly.lesions import diameters
from napari_liver_anomaly.metrics import Mean, dice
from napari_liver_anomaly.metrics.surface_distance import Surfaces, surface_of
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from faults.table import Kit
    from napari_liver_anomaly.phantom import Sample

    Three = tuple[float, float, float]


def brute_surface(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Voxels with an open face, one by one."""
    found = []
    for index in np.argwhere(mask):
        for axis in range(3):
            for step in (-1, 1):
                near = index.copy()
                near[axis] += step
                if not 0 <= near[axis] < mask.shape[axis] or not mask[tuple(near)]:
                    found.append(tuple(index))
    return np.array(sorted(set(found)), float).reshape(-1, 3)


def brute(prediction: NDArray[np.bool_], truth: NDArray[np.bool_], spacing: Three) -> SimpleNamespace:
    """Every distance between two surfaces, n times m of them."""
    one, other = brute_surface(prediction) * spacing, brute_surface(truth) * spacing
    apart = np.sqrt(((one[:, None] - other[None]) ** 2).sum(axis=2))
    there, back = apart.min(axis=1), apart.min(axis=0)
    both = np.concatenate([there, back])
    return SimpleNamespace(
        mean=both.mean(), most=both.max(), most95=max(np.percentile(there, 95), np.percentile(back, 95)),
        within=lambda mm: (both <= mm + 1e-9).mean(),
    )  # fmt: skip


def cube(shape: tuple[int, ...], first: Sequence[int], sizes: Sequence[int]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, a + n) for a, n in zip(first, sizes, strict=True))] = True
    return mask


@row(36)
def distances_are_in_mm_on_any_grid_and_at_the_edge(kit: Kit) -> None:
    """Metrics in voxels, wrong for anisotropic voxels or at the border of the scan."""
    for xyz in ((1.0, 1.0, 5.0), (0.7, 0.7, 2.5)):
        spacing = xyz[::-1]
        for axis, mm in enumerate(spacing):
            apart = round(10 / mm)  # voxels; from face to face the surfaces' middles lie this many steps apart
            shape, first = [14, 14, 14], [5, 5, 5]
            shape[axis] = 2 * 3 + 2 * apart
            first[axis] = 1
            second = list(first)
            second[axis] += apart
            one, other = cube(tuple(shape), first, (3, 3, 3)), cube(tuple(shape), second, (3, 3, 3))
            found, checked = Surfaces.of(one, other, spacing), brute(one, other, spacing)
            words = f"spacing {xyz}, apart along axis {axis}"
            assert found.hausdorff_mm == pytest.approx(apart * mm), words  # every voxel's twin lies so far away, none farther
            assert found.hausdorff_mm == pytest.approx(checked.most, rel=1e-12), words
            assert found.hausdorff95_mm == pytest.approx(checked.most95, rel=1e-12), words
            assert found.mean_mm == pytest.approx(checked.mean, rel=1e-12), words
            for tolerance in (0.0, 3.0, apart * mm):
                assert found.dice_at(tolerance) == pytest.approx(checked.within(tolerance)), words
            turned = Surfaces.of(other, one, spacing)
            assert (turned.mean_mm, turned.hausdorff95_mm) == pytest.approx((found.mean_mm, found.hausdorff95_mm)), words
            double = Surfaces.of(one, other, (2 * spacing[0], 2 * spacing[1], 2 * spacing[2]))
            assert double.mean_mm == pytest.approx(2 * found.mean_mm), words
    rng = np.random.default_rng(0)
    for shape in ((6, 7, 8), (3, 9, 5)):  # objects that touch every side
        prediction, truth = rng.random(shape) < 0.5, rng.random(shape) < 0.3
        spacing = (5.0, 0.7, 1.1)
        assert np.array_equal(np.argwhere(surface_of(prediction)), brute_surface(prediction)), shape
        found, checked = Surfaces.of(prediction, truth, spacing), brute(prediction, truth, spacing)
        assert found.mean_mm == pytest.approx(checked.mean, rel=1e-12), shape
        assert found.hausdorff_mm == pytest.approx(checked.most, rel=1e-12), shape
        assert found.hausdorff95_mm == pytest.approx(checked.most95, rel=1e-12), shape
    whole = np.ones((4, 5, 6), bool)  # the edge of the scan is a surface, too: a full block is not without one
    assert np.count_nonzero(surface_of(whole)) == 4 * 5 * 6 - 2 * 3 * 4
    moved = np.zeros((4, 5, 6), bool)
    moved[:, :, 1:] = True
    assert Surfaces.of(whole, moved, (1.0, 1.0, 2.0)).hausdorff_mm == 2.0
    same = Surfaces.of(whole, whole, (1.0, 1.0, 1.0))
    assert (same.mean_mm, same.hausdorff_mm, same.dice_at(0)) == (0.0, 0.0, 1.0)
    nothing = np.zeros_like(whole)
    for prediction, truth in ((nothing, whole), (whole, nothing)):
        lost = Surfaces.of(prediction, truth, (1.0, 1.0, 1.0))
        assert math.isinf(lost.mean_mm) and math.isinf(lost.hausdorff_mm) and math.isinf(lost.hausdorff95_mm)
        assert lost.dice_at(5) == 0, "what is missing gets the worst score"
    none = Surfaces.of(nothing, nothing, (1.0, 1.0, 1.0))
    assert all(math.isnan(value) for value in (none.mean_mm, none.hausdorff_mm, none.hausdorff95_mm, none.dice_at(1)))
    disc = np.ones((1, 6), bool)  # six pixels of 0.7 by 2.5 mm in a row: measured from edge to edge
    long_mm, _ = diameters(disc, np.array([[2.5, 0], [0, 0.7], [0, 0]]))
    assert long_mm == pytest.approx(np.hypot(2.5, 5 * 0.7))  # from above the first to below the last, between middles of edges
    long_mm, _ = diameters(np.ones((1, 10), bool), np.array([[0.7, 0], [0, 2.5], [0, 0]]))
    assert long_mm == pytest.approx(10 * 2.5)


class Knowing:
    """A trained model that knows the truth of every scan: right, silent, turned round, or failing."""

    name = key = "knowing"
    hash = "00"

    def __init__(self, samples: Sequence[Sample], card: dict[str, Any] | None = None, **faults: str) -> None:
        self.truths = {s.volume.identity: s.tumours.voxels for s in samples}
        self.card = ModelCard.from_dict({"synthetic": {"held_out_family": {"threshold": 0.5}}} if card is None else card)
        self.faults = {samples[ord(name) - ord("a")].volume.identity: fault for name, fault in faults.items()}

    def score_volume(self, volume: Any, liver: Any) -> NDArray[np.uint8]:
        fault = self.faults.get(volume.identity, "")
        if fault == "nan":
            raise refusal_of(
                InvalidNumbers, "score-invalid", "The model produced invalid numbers; no mask was made.", "Nothing.", "Again."
            )
        truth = self.truths[volume.identity] & (fault != "silent")
        high, low = (10, 60) if fault == "turned" else (200, 20)
        return np.where(liver.voxels, np.where(truth, high, low), 0).astype(np.uint8)


def small(seed: int, *, tumours: bool = True) -> Sample:
    return make_phantom(PhantomSettings(slices=10, size_px=64, seed=seed, tumours=tumours))


def cases(folder: Path, samples: Sequence[Sample]) -> Path:
    for name, sample in zip("abcdefgh", samples, strict=False):
        write_case(sample.volume, sample.liver, sample.tumours, folder, name)
    return folder


@row(37)
def every_case_is_listed_and_what_is_missing_scores_worst(kit: Kit) -> None:
    """Empty masks, missing predictions, or NaN dropped from a mean."""
    nothing, some = np.zeros((3, 4, 5), bool), np.ones((3, 4, 5), bool)
    assert math.isnan(dice(nothing, nothing)) and dice(nothing, some) == 0 and dice(some, nothing) == 0
    mean = Mean.over([1.0, math.nan, 0.0])
    assert (mean.mean, mean.n, mean.of) == (0.5, 2, 3)
    assert math.isnan(Mean.over([math.nan]).mean), "a mean over nothing is no number, least of all 0 or 1"

    samples = [*(small(seed) for seed in (1, 2, 3)), small(4, tumours=False), small(5)]
    folder = cases(kit.folder / "cases", samples)
    (folder / "e_tumour.nii.gz").unlink()
    found = evaluate(folder, Knowing(samples, b="silent", c="nan"))
    listed = {case["case"]: case["methods"]["knowing"] for case in found["cases"]}
    assert sorted(listed) == ["a", "b", "c", "d"]
    assert [(entry["case"], entry["why"]) for entry in found["left_out"]] == [("e", "no tumour mask")]
    assert listed["a"]["dice"] > 0.9
    assert listed["b"]["dice"] == 0 and listed["b"]["lesions"]["found"] == 0, "an empty mask where there is tumour"
    assert listed["c"]["dice"] == 0 and "invalid numbers" in listed["c"]["failed"], "no answer is the worst answer"
    assert listed["c"]["lesions"]["of"] > 0
    assert listed["d"]["dice"] is None and listed["d"]["lesions"]["of"] == 0, "both empty: no figure, and no perfect one"
    summary = found["summary"]["knowing"]["all"]
    case_mean = summary["dice"]["case_mean"]
    assert (case_mean["n"], case_mean["of"]) == (3, 5), "three of five scans have a Dice"
    assert case_mean["mean"] == pytest.approx(listed["a"]["dice"] / 3, abs=1e-5), "the missing answers count as 0"
    assert summary["not_measured"] == 1
    assert "4 of 5 scans were measured." in found["notes"]
    assert any("gave no result on c" in note for note in found["notes"])

    def means(value: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
        if not isinstance(value, dict):
            return []
        here = [(path, value)] if "mean" in value else []
        return here + [entry for key, item in value.items() for entry in means(item, f"{path}.{key}")]

    said = means(found["summary"])
    assert len(said) >= 10
    for path, entry in said:
        assert {"n", "of"} <= entry.keys(), f"{path} does not say n of m"
    cells = method_table(found, ["knowing"]).splitlines()[2].split(" | ")
    assert [cells[k].endswith(f" of {n})") for k, n in ((2, 5), (5, 5), (8, 5))] == [True] * 3, cells
    assert "(3 of 5)" in cells[2]
    json.dumps(found, allow_nan=False)


@row(38)
def test_scans_stay_out_of_training_and_thresholds_out_of_the_test(kit: Kit) -> None:
    """The threshold is tuned on the test set, a patient is on both sides of a split, or scores are inverted."""
    samples = [small(seed) for seed in (1, 2)]
    folder = cases(kit.folder / "cases", samples)
    label_free = {"synthetic": {"held_out_family": {"threshold": 0.4}}}
    for entry in ({"scan": samples[1].volume.identity, "name": ""}, {"scan": "ff", "name": "b"}):
        both = label_free | {"data": {"scans": [{"scan": "11", "name": ""}, entry]}}
        with pytest.raises(Question, match="was trained on the scan of b") as asked:
            evaluate(folder, Knowing(samples, both))
        assert [answer.flag for answer in asked.value.finding.answers] == ["--seen mark"]
        marked = evaluate(folder, Knowing(samples, both), seen="mark")
        assert [case["seen_in_training"] for case in marked["cases"]] == [False, True]
        assert marked["summary"]["knowing"]["not_seen_in_training"]["scans"] == 1
    apart = label_free | {"data": {"scans": [{"scan": "11", "name": "z"}]}}
    assert len(evaluate(folder, Knowing(samples, apart))["cases"]) == 2

    kit.patch.setattr("napari_liver_anomaly.models.load", lambda name: Knowing(samples, both))
    out = kit.folder / "scores.json"
    words = ["evaluate", "--data", str(folder), "--out", str(out)]
    assert main(words) == 4 and not out.exists()
    assert "--seen mark" in kit.output.readouterr().err
    assert main([*words, "--seen", "mark"]) == 0 and out.exists()

    turned = evaluate(folder, Knowing(samples, a="turned", b="turned"))
    assert turned["summary"]["knowing"]["all"]["auroc_in_liver"]["pooled"] < 0.5
    assert any("AUROC" in note and "turned round" in note for note in turned["notes"])
    assert not any("turned round" in note for note in evaluate(folder, Knowing(samples))["notes"])

    wrong: tuple[dict[str, Any], ...] = (
        {}, {"synthetic": {}}, {"synthetic": []}, {"synthetic": {"held_out_family": {}}}, {"synthetic": {"held_out_family": {"threshold": None}}},
        {"synthetic": {"held_out_family": {"threshold": 7}}}, {"synthetic": [label_free["synthetic"], {}]},
    )  # fmt: skip
    for card in wrong:
        with pytest.raises(UnfitModel, match="names no threshold"):
            evaluate(folder, Knowing(samples, card))
    assert issubclass(UnfitModel, Refusal)
    one_patient_in_two_folds(kit, folder)


def one_patient_in_two_folds(kit: Kit, folder: Path) -> None:
    """A copy of a scan under another name in the training set, and a model that has seen its own fold."""
    from napari_liver_anomaly.evaluation import cross_validation
    from napari_liver_anomaly.evaluation.cross_validation import cross_validate
    from napari_liver_anomaly.models.two_stage import CONFIGS
    from napari_liver_anomaly.training.training_file import pack_training_set

    scans = pack_training_set(folder, keep_names=True)
    copy = SimpleNamespace(**{name: getattr(scans[0], name) for name in ("scan", "healthy", "liver")}, name="copy of a")
    learned: list[list[str]] = []

    def fit(others: Sequence[Any], *_: Any, **__: Any) -> None:
        learned.append([scan.name for scan in others])
        raise refusal_of(Refusal, "enough", "Enough was seen.", "Nothing more is needed.", "Go on.")

    kit.patch.setattr(cross_validation, "fit_and_save", fit)
    with pytest.raises(Refusal, match="Enough"):
        cross_validate([*scans, copy], folder, [["a"], ["b"]], CONFIGS["compact"], models=kit.folder / "models")
    assert learned == [["b"]], "neither the scan of the fold nor a copy of it is learned from"
    with pytest.raises(Refusal, match="named twice"):
        cross_validate(scans, folder, [["a", "b"], ["a"]], CONFIGS["compact"], models=kit.folder / "models")
    leaky = SimpleNamespace(
        name="m", key="two-stage", hash="0", seed=0, has_restorer=True,
        card=ModelCard(data={"scans": [{"scan": scans[0].scan, "name": ""}]}),
        score_volume=lambda volume, liver: np.zeros(volume.voxels.shape, np.uint8),
    )  # fmt: skip
    kit.patch.setattr(cross_validation, "fit_and_save", lambda *_, **__: None)
    kit.patch.setattr(cross_validation.TwoStage, "load", lambda path: leaky)
    with pytest.raises(Refusal, match="was in the training set of its own fold"):
        cross_validate(scans, folder, [["a"]], CONFIGS["compact"], models=kit.folder / "models")
