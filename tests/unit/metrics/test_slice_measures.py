"""What is kept of a case is plain, small and quick, and pools to the figures of all voxels together."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from sklearn import metrics as judge

from napari_liver_anomaly.errors import InvalidNumbers
from napari_liver_anomaly.metrics import dice, find_lesions, measure_slices, open_then_close_slices, plain, pool

SPACING = (3.0, 1.5, 1.5)


def case(seed, tumour=True, shape=(12, 48, 50)):
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal(shape), (1, 3, 3))
    liver_mask = np.zeros(shape, bool)
    liver_mask[1:-1, 5:-5, 5:-5] = True
    truth = (field > np.quantile(field, 0.93)) & tumour
    noise = gaussian_filter(rng.standard_normal(shape), (0.5, 1.5, 1.5))
    score = np.clip(0.35 + 0.25 * truth + 0.5 * noise + 0.1 * rng.random(shape), 0, 1)
    return (np.floor(score * 4095) / 4096).astype(np.float32), truth, liver_mask


@pytest.fixture(scope="module")
def cases():
    return [case(1), case(2), case(3, tumour=False), case(4)]


@pytest.fixture(scope="module")
def kept(cases):
    return [measure_slices(*one, SPACING) for one in cases]


def test_a_case_is_plain_data(cases, kept):
    (score, truth, liver_mask), found = cases[0], kept[0]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    prediction, inside = (score >= 0.5) & liver_mask, truth & liver_mask
    assert found["dice"] == dice(prediction, inside) and found["counts"]["fn"] == (inside & ~prediction).sum()
    assert found["counts"]["tp"] == (prediction & inside).sum() and found["counts"]["fp"] == (prediction & ~inside).sum()
    assert found["missed_outside"] == (truth & ~liver_mask).sum() > 0
    assert found["slice_dice"] == [dice(g, t) for g, t in zip(prediction, inside, strict=True) if t.any()]
    assert len(found["slice_truths"]) == 10 == len(found["slice_scores"]["maximum"])
    assert found["slice_truths"] == [int(t.any()) for t in inside[1:-1]]
    assert found["slice_scores"]["maximum"] == pytest.approx(
        [s[o].max() for s, o in zip(score[1:-1], liver_mask[1:-1], strict=True)]
    )
    lesions = find_lesions(prediction, inside, SPACING)
    assert {size: tuple(pair) for size, pair in found["lesions"]["found"].items()} == lesions.by_size()
    assert found["lesions"]["false"] == lesions.false > 0 and found["curve"][4]["false_lesions"] == lesions.false
    tidy = open_then_close_slices(prediction, 5) & liver_mask
    assert found["post_processed"]["dice"] == dice(tidy, inside) != found["dice"]
    assert found["voxels"] == liver_mask.sum() == sum(sum(found["ranking"][side][1]) for side in ("lesion", "other"))


def test_a_scan_without_tumour_keeps_its_false_calls_and_no_dice(kept):
    healthy = kept[2]
    assert healthy["dice"] is None and healthy["slice_dice"] == [] and healthy["counts"]["fp"] > 0
    assert healthy["empty_slices"]["of"] == 10 and sum(healthy["slice_truths"]) == 0


def test_cases_pool_to_the_figures_of_all_voxels(cases, kept):
    found = pool(kept)
    score, truth = (np.concatenate([one[part][one[2]] for one in cases]) for part in (0, 1))
    assert found["dice"]["pooled"] == pytest.approx(dice(score >= 0.5, truth), abs=1e-6)
    assert found["average_precision"]["pooled"] == pytest.approx(judge.average_precision_score(truth, score), abs=1e-6)
    assert found["average_precision"]["prevalence"] == pytest.approx(truth.mean(), abs=1e-6)
    assert found["auroc_in_liver"]["pooled"] == pytest.approx(judge.roc_auc_score(truth, score), abs=1e-6)
    best = max((dice(score >= level, truth), level) for level in np.unique(score))
    assert found["best_dice"]["pooled"] == pytest.approx(best[0], abs=1e-6) and found["best_dice"]["oracle"] is True
    assert found["best_dice"]["threshold"] == pytest.approx(best[1], abs=1e-6)
    assert found["best_dice"]["pooled"] >= found["dice"]["pooled"]
    for name in ("best_dice", "average_precision", "auroc_in_liver"):
        low, high = found[name]["between"]
        assert low <= found[name]["pooled"] <= high
    ones = [one["dice"] for one in kept if one["dice"] is not None]
    mean = found["dice"]["case_mean"]
    assert (mean["n"], mean["of"]) == (3, 4) and mean["mean"] == pytest.approx(np.mean(ones), abs=1e-6)
    assert mean["sd"] == pytest.approx(np.std(ones, ddof=1), abs=1e-6)
    outside = sum(int((one[1] & ~one[2]).sum()) for one in cases)
    tp, wrong = (sum(one["counts"][k] for one in kept for k in keys) for keys in (("tp",), ("fp", "fn")))
    assert found["dice_whole_scan"]["pooled"] == pytest.approx(2 * tp / (2 * tp + wrong + outside), abs=1e-6)


def test_slices_pool_too(cases, kept):
    found = pool(kept)
    pairs = [((s >= 0.5) & o, t & o) for one in cases for s, t, o in zip(*one, strict=True) if o.any()]
    with_truth = [dice(prediction, truth) for prediction, truth in pairs if truth.any()]
    every = [dice(prediction, truth) if truth.any() else float(not prediction.any()) for prediction, truth in pairs]
    assert found["dice"]["slice_mean"]["mean"] == pytest.approx(np.mean(with_truth), abs=1e-6)
    assert (found["dice"]["slice_mean"]["n"], found["dice"]["slice_mean"]["of"]) == (len(with_truth), 40)
    assert found["dice"]["slice_mean_with_empty"]["mean"] == pytest.approx(np.mean(every), abs=1e-6)
    marks = [truth.any() for _, truth in pairs]
    tops = [s[o].max() for one in cases for s, _, o in zip(*one, strict=True) if o.any()]
    assert found["of_slices"]["maximum"]["auroc"] == pytest.approx(judge.roc_auc_score(marks, tops), abs=1e-6)
    assert found["of_slices"]["prevalence"] == pytest.approx(np.mean(marks), abs=1e-6)
    assert set(found["of_slices"]) == {"prevalence", "maximum", "average", "maximum_of_means", "top_hundredth"}
    assert found["of_cases"]["smoothed_average"]["auroc"] is not None


def test_lesions_pool_by_size(kept):
    found = pool(kept)["lesions"]
    assert found["of"] == sum(pair[1] for one in kept for pair in one["lesions"]["found"].values()) > 3
    assert found["false_per_scan"]["mean"] == pytest.approx(np.mean([one["lesions"]["false"] for one in kept]))
    curve = pool(kept)["froc"]
    assert curve["sensitivity"]["all"][4] == pytest.approx(found["found"] / found["of"], abs=1e-6)
    assert curve["false_per_scan"][4] == found["false_per_scan"]["mean"]


def test_one_case_is_its_own_mean_and_order_does_not_matter(kept):
    alone = pool(kept[:1])
    assert alone["dice"]["pooled"] == alone["dice"]["case_mean"]["mean"] == pytest.approx(kept[0]["dice"], abs=1e-6)
    assert alone["auroc_in_liver"]["pooled"] == alone["auroc_in_liver"]["case_mean"]["mean"]
    assert pool(json.loads(json.dumps(kept[::-1]))) == pool(kept)
    lost = pool(kept, not_measured=2)
    assert lost["dice"]["case_mean"]["of"] == 6 and lost["lesions"]["false_per_scan"]["of"] == 6
    assert pool([], 3) == {"scans": 0, "not_measured": 3}
    json.dumps(pool(kept[2:3]), allow_nan=False)


def test_perfect_disjoint_and_empty(cases):
    _, truth, liver_mask = cases[0]
    perfect = measure_slices(truth.astype(np.float32), truth, liver_mask, SPACING)
    assert perfect["dice"] == 1 and perfect["lesions"]["false"] == 0
    assert pool([perfect])["average_precision"]["pooled"] == pool([perfect])["auroc_in_liver"]["pooled"] == 1
    for wrong in (~truth, truth & False):
        found = measure_slices(wrong.astype(np.float32), truth, liver_mask, SPACING)
        assert found["dice"] == 0 and set(found["slice_dice"]) == {0.0} and found["counts"]["tp"] == 0
    assert pool([found])["average_precision"]["pooled"] == pytest.approx(pool([found])["average_precision"]["prevalence"])
    nowhere = measure_slices(truth.astype(np.float32), truth, liver_mask & False, SPACING)
    assert nowhere["dice"] is None and nowhere["missed_outside"] == truth.sum()
    assert pool([nowhere, perfect])["auroc_in_liver"]["pooled"] == 1 and json.dumps(pool([nowhere]), allow_nan=False)


def test_cutting_to_the_organ_changes_nothing(cases, kept):
    score, truth, liver_mask = cases[0]
    wide = [np.pad(part, ((0, 3), (20, 4), (7, 30))) for part in (score, truth, liver_mask)]
    wide[0][~wide[2]] = np.nan  # what lies outside is not looked at
    assert plain(measure_slices(*wide, SPACING), 9) == plain(kept[0], 9)


def test_bad_scores_are_refused(cases):
    score, truth, liver_mask = cases[0]
    with pytest.raises(TypeError):
        measure_slices(score.astype(np.float16), truth, liver_mask, SPACING)
    broken = score.copy()
    broken[5, 20, 20] = np.nan
    with pytest.raises(InvalidNumbers):
        measure_slices(broken, truth, liver_mask, SPACING)


def test_a_case_takes_less_than_half_a_second():
    large, took = case(7, shape=(60, 100, 110)), []
    for _ in range(3):
        start = time.process_time()
        found = measure_slices(*large, SPACING)
        took.append(time.process_time() - start)
    assert min(took) < 0.5
    assert len(json.dumps(found)) < 200_000
