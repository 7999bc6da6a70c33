"""Recipes that move pieces of a liver: interpolation, seamless cloning, cutting and pasting."""

from __future__ import annotations

import time

import numpy as np
import pytest
from scipy.ndimage import binary_erosion, gaussian_filter

from napari_liver_anomaly.synthesis import RECIPES, CutPaste
from napari_liver_anomaly.synthesis.base import Donor
from napari_liver_anomaly.synthesis.cutpaste import rectangle
from napari_liver_anomaly.synthesis.fpi import FPI
from napari_liver_anomaly.synthesis.nsa import NSA
from napari_liver_anomaly.synthesis.patches import moved, place, side_px, window
from napari_liver_anomaly.synthesis.pii import PII
from napari_liver_anomaly.synthesis.poisson import cloned

PATCHED = ("fpi", "pii", "cutpaste", "nsa")


def liver(seed: int, height: int = 110, width: int = 130, smooth: float = 3) -> tuple[np.ndarray, np.ndarray]:
    """A slice with the structure of vessels, 0 outside the organ; another seed has other structure and a slightly other outline."""
    y, x = np.ogrid[:height, :width]
    liver_mask = ((y - height / 2 - seed) / (0.36 * height)) ** 2 + ((x - width / 2 + seed) / (0.4 * width)) ** 2 < 1
    rng = np.random.default_rng(seed)
    image = 0.5 + gaussian_filter(rng.normal(size=liver_mask.shape), smooth) * 0.8 + rng.normal(0, 0.02, liver_mask.shape)
    return np.where(liver_mask, np.clip(image, 0.02, 1), 0).astype(np.float32), liver_mask


A, ORGAN = liver(1)
B, OTHER = liver(2)
DONOR = Donor(B, OTHER)


def blends(recipe, count=40):
    return [recipe.blend(A, ORGAN, DONOR, 300, np.random.default_rng(seed)) for seed in range(count)]


def test_the_degree_of_an_interpolation_is_its_share_and_the_values_lie_between():
    shares, low, high = [], np.minimum(A, B), np.maximum(A, B)
    for drawn in blends(FPI(p_empty=0)):
        levels = np.unique(drawn.degree)
        assert levels.size == 2 and levels[0] == 0
        shares.append(alpha := float(levels[1]))
        assert np.array_equal(drawn.mask, drawn.degree > 0)
        assert (np.abs(A - B)[drawn.mask] > 1e-3).all()
        assert (drawn.image >= low - 1e-6)[drawn.mask].all() and (drawn.image <= high + 1e-6)[drawn.mask].all()
        assert np.allclose((drawn.image - A)[drawn.mask], alpha * (B - A)[drawn.mask], atol=1e-5)
        assert np.array_equal(drawn.image[~drawn.mask], A[~drawn.mask])
    assert 0.05 <= min(shares) < 0.25 and 0.75 < max(shares) <= 0.95


def test_slices_that_agree_have_no_target():
    same = A.copy()
    same[:, :65] += np.float32(0.05) * ORGAN[:, :65]
    for drawn in (FPI(p_empty=0).blend(A, ORGAN, Donor(same, ORGAN), 300, np.random.default_rng(seed)) for seed in range(20)):
        assert drawn.label and not drawn.target[:, 65:].any()
    assert not FPI(p_empty=0).blend(A, ORGAN, Donor(A, ORGAN), 300, np.random.default_rng(0)).label


@pytest.mark.parametrize("recipe", [FPI(), PII()])
def test_the_slices_may_change_places_when_the_shares_do(recipe):
    both = ORGAN & OTHER
    one, marked = recipe.mixed(A, B, both, 0.3, A[ORGAN])
    swapped, also = recipe.mixed(B, A, both, 0.7, B[OTHER])
    if isinstance(recipe, PII):  # the border is the first slice's: with a common border the blends are one
        frame = both & ~binary_erosion(both)
        common = np.where(frame, A, B)
        one, marked = recipe.mixed(A, common, both, 0.3, np.array([0.0, 1.0], np.float32))
        swapped, also = recipe.mixed(common, A, both, 0.7, np.array([0.0, 1.0], np.float32))
    assert np.allclose(one[marked & also], swapped[marked & also], atol=1e-5)
    assert (marked & also).sum() > 0.9 * both.sum() - 400


@pytest.mark.parametrize("recipe", [FPI(p_empty=0), PII(p_empty=0)])
def test_squares_are_measured_by_the_organ_not_by_the_frame(recipe):
    wide = [np.pad(array, 80) for array in (A, ORGAN, B, OTHER)]
    for frame in ((A, ORGAN, B, OTHER), wide):
        sides = []
        for seed in range(30):
            drawn = recipe.blend(frame[0], frame[1], Donor(*frame[2:]), 300, np.random.default_rng(seed))
            rows = np.flatnonzero(drawn.mask.any(axis=1))
            sides.append((np.ptp(rows) + 1) / side_px(ORGAN))
        assert 0.2 < max(sides) <= 0.45
        assert min(sides) < 0.2


def test_a_clone_keeps_the_border_and_meets_it_without_a_seam():
    step, drops = [], []
    brighter = Donor(np.where(OTHER, B + 1, 0).astype(np.float32), OTHER)  # no pixel is alike, so the square has no holes
    for seed in range(25):
        hard = FPI(p_empty=0, alpha_low=0.9).blend(A, ORGAN, brighter, 300, np.random.default_rng(seed))
        soft = PII(p_empty=0, alpha_low=0.9).blend(A, ORGAN, brighter, 300, np.random.default_rng(seed))
        square = hard.mask
        rim = square & ~binary_erosion(square)
        assert np.array_equal(soft.image[rim], A[rim]), "the border pixels are not the slice's own"
        assert np.array_equal(soft.image[~square], A[~square])
        assert soft.image[ORGAN].min() >= A[ORGAN].min() and soft.image.max() <= A[ORGAN].max()
        next_to = binary_erosion(square) & ~binary_erosion(square, iterations=2)
        step.append(np.abs(soft.image - A)[next_to].mean())
        drops.append(np.abs(hard.image - A)[next_to].mean())
    assert np.mean(drops) > 0.8
    assert np.mean(step) < 0.05 * np.mean(drops)


def test_no_weight_of_the_other_slice_gives_the_slice_itself():
    region = ORGAN & OTHER
    assert np.array_equal(cloned(A, B, region, 1, 0), A)
    faint = np.abs(cloned(A, B, region, 1 - 1e-4, 1e-4) - A)
    assert 0 < faint.max() < 2e-3


def test_a_clone_has_the_stronger_gradients():
    """A slice without structure takes on the other's, but for the level: the Laplacians are equal; one with structure keeps it beside a flat one."""
    flat = np.full(A.shape, np.float32(0.5))
    taken = cloned(flat, B, ORGAN & OTHER)
    inner = binary_erosion(ORGAN & OTHER)

    def laplacian(f):
        return sum(np.roll(f, shift, axis) for shift in (1, -1) for axis in (0, 1)) - 4 * f

    assert np.allclose(laplacian(taken.astype(float))[inner], laplacian(B.astype(float))[inner], atol=1e-5)
    assert np.allclose(cloned(A, flat, ORGAN), A, atol=1e-6)
    assert np.array_equal(cloned(A, B, np.zeros_like(ORGAN)), A)


def test_a_clone_of_eighty_pixels_is_quick():
    region, times = np.ones((80, 80), dtype=bool), []
    for _ in range(5):
        start = time.thread_time()
        cloned(A[:80, :80], B[:80, :80], region, 0.5, 0.5)
        times.append(time.thread_time() - start)
    assert min(times) < 0.04


@pytest.mark.parametrize("name", ["fpi", "pii", "nsa"])
def test_background_of_the_other_slice_is_never_pasted(name):
    half = Donor(np.where(np.arange(130) < 60, B, 0).astype(np.float32), OTHER & (np.arange(130) < 60))
    for seed in range(20):
        drawn = RECIPES[name](p_empty=0).blend(A, ORGAN, half, 300, np.random.default_rng(seed))
        assert drawn.label and drawn.image[ORGAN].min() > 0.15
        assert name == "nsa" or not drawn.mask[:, 60:].any()
        none = Donor(np.zeros_like(B), np.zeros_like(OTHER))
        assert not RECIPES[name](p_empty=0).blend(A, ORGAN, none, 300, np.random.default_rng(seed)).label


@pytest.mark.parametrize("recipe", [FPI(p_empty=0), PII(p_empty=0), NSA(p_empty=0), CutPaste(p_empty=0, jitter=0, kind="scar")])
def test_flat_livers_hold_nothing_that_differs(recipe):
    """Only the edges of the livers have structure, and no piece takes any of it along: neither turned nor resized."""
    flat, other = (np.where(liver_mask, np.float32(0.5), 0).astype(np.float32) for liver_mask in (ORGAN, OTHER))
    if isinstance(recipe, NSA):
        flat[55, 65] = (
            0.1  # kept by the mixed gradients as it is; without it, clipping to the organ's range would hide what is pasted
        )
    for seed in range(2):
        rng = np.random.default_rng(seed)
        drawn = recipe.draw(flat, ORGAN, 300, rng)
        if not isinstance(recipe, CutPaste):
            drawn = recipe.blend(flat, ORGAN, Donor(other, OTHER), 300, rng)
        assert not drawn.label


def test_a_piece_is_copied_pixel_by_pixel_where_it_is_neither_turned_nor_resized():
    where = (slice(30, 51), slice(40, 61))
    piece = moved(DONOR, np.array([50, 60]), np.array([40, 50]), where)
    assert np.allclose(piece.image, B[40:61, 50:71]) and np.array_equal(piece.liver_mask, OTHER[40:61, 50:71])
    larger = moved(DONOR, np.array([50, 60]), np.array([40, 50]), where, scale=2)
    assert np.allclose(larger.image[::2, ::2], B[45:56, 55:66])
    turned = moved(DONOR, np.array([50, 60]), np.array([40, 50]), where, degrees=90)
    assert np.allclose(turned.image, np.rot90(B[40:61, 50:71]), atol=1e-5)


def test_places_are_spread_over_the_organ_and_alike_on_neighbours():
    drawn = np.array([place(ORGAN, np.random.default_rng(seed)) for seed in range(300)])
    assert ORGAN[tuple(drawn.T)].all()
    assert np.allclose(drawn.mean(axis=0), np.argwhere(ORGAN).mean(axis=0), atol=6)
    neighbour = binary_erosion(ORGAN)
    near = np.array([place(neighbour, np.random.default_rng(seed)) for seed in range(300)])
    assert np.median(np.abs(drawn - near)) <= 1
    thin = np.eye(90, dtype=bool)
    assert all(thin[tuple(place(thin, np.random.default_rng(seed)))] for seed in range(20))
    assert window(np.array([1, 48]), (0.3, 5), (40, 50)) == (slice(0, 4), slice(43, 50))


@pytest.mark.parametrize("kind", ["patch", "scar", "any"])
def test_a_pasted_piece_has_the_size_asked_for(kind):
    recipe, rng = CutPaste(kind=kind), np.random.default_rng(0)
    height, width, turn = np.array([recipe.piece(256, rng) for _ in range(800)]).T
    scar = turn != 0
    assert scar.mean() == pytest.approx({"patch": 0, "scar": 1, "any": 0.5}[kind], abs=0.06)
    if scar.any():
        assert 10 <= height[scar].min() and height[scar].max() <= 25
        assert 2 <= width[scar].min() and width[scar].max() <= 16
        assert np.abs(turn).max() <= 45
    if (~scar).any():
        area, ratio = (height * width)[~scar] / 256**2, np.log((height / width)[~scar])
        assert 0.02 <= area.min() < 0.03 and 0.14 < area.max() <= 0.15
        assert np.abs(ratio).max() <= np.log(1 / 0.3) + 1e-9 and ratio.mean() == pytest.approx(0, abs=0.15)
    pixels = rectangle(np.arange(-40, 41)[:, None], np.arange(-40, 41)[None], 31, 21, 30)
    assert pixels.sum() == pytest.approx(31 * 21, rel=0.03)


def test_a_piece_with_less_than_a_quarter_of_liver_is_not_pasted():
    """Threads of one pixel in every eight fill an eighth of any rectangle; of one in every two, half."""
    for step, wanted in ((8, False), (2, True)):
        liver_mask = np.zeros((160, 160), dtype=bool)
        liver_mask[8:-8, 8:-8:step] = True
        image = np.where(liver_mask, np.random.default_rng(0).uniform(0.2, 0.9, liver_mask.shape), 0).astype(np.float32)
        drawn = [
            CutPaste(kind="patch", p_empty=0).draw(image, liver_mask, 300, np.random.default_rng(seed)).label
            for seed in range(12)
        ]
        free = [
            CutPaste(kind="patch", p_empty=0, min_liver_fraction=0)
            .draw(image, liver_mask, 300, np.random.default_rng(seed))
            .label
            for seed in range(12)
        ]
        assert all(free) and all(drawn) is wanted and any(drawn) is wanted


def test_a_pasted_rectangle_is_a_copy_within_the_jitter():
    values = np.unique(A[ORGAN])
    for seed in range(15):
        drawn = CutPaste(kind="patch", jitter=0, p_empty=0).draw(A, ORGAN, 300, np.random.default_rng(seed))
        pasted = drawn.image[drawn.mask]
        near = values[np.clip(np.searchsorted(values, pasted), 0, values.size - 1)]
        assert np.abs(near - pasted).max() < 1e-3
        assert (np.abs(drawn.image - A)[drawn.mask] > 1e-3).all()
        jittered = CutPaste(kind="patch", jitter=0.1, p_empty=0).draw(A, ORGAN, 300, np.random.default_rng(seed))
        assert np.abs(jittered.image[ORGAN].mean() - A[ORGAN].mean()) < 0.1 * A[ORGAN].mean()


def test_natural_anomalies_say_more_where_more_has_changed():
    recipe = NSA(p_empty=0)
    changes, degrees = [], []
    for drawn in blends(recipe, 25):
        assert 0 < drawn.degree[drawn.mask].min() and drawn.degree.max() <= 1
        assert np.array_equal(drawn.image != A, drawn.mask)
        assert drawn.image[ORGAN].min() >= A[ORGAN].min() and drawn.image.max() <= A[ORGAN].max()
        changes.append(np.abs(drawn.image - A)[drawn.mask])
        degrees.append(drawn.degree[drawn.mask])
    change, degree = np.concatenate(changes), np.concatenate(degrees)
    assert degree[change > np.quantile(change, 0.9)].mean() > degree[change < np.quantile(change, 0.5)].mean() + 0.3
    flat, mask = np.full((9, 9), np.float32(10 / 300)), np.ones((9, 9), dtype=bool)
    assert recipe.degree(flat, mask, 300) == pytest.approx(0.5)
    assert recipe.degree(-flat * 1.3, mask, 300) == pytest.approx(1 / (1 + np.exp(-1)), abs=1e-4)


def test_natural_anomalies_are_several_pieces_at_times():
    from scipy.ndimage import label

    one, many = ([label(d.mask, np.ones((3, 3)))[0] for d in blends(NSA(p_empty=0, patches=n))] for n in (1, 3))
    area = [np.mean([(found > 0).mean() for found in group]) for group in (one, many)]
    assert area[1] > 1.4 * area[0]


@pytest.mark.parametrize("name", PATCHED)
def test_share_left_healthy_is_the_setting(name):
    rng = np.random.default_rng(1)
    labels = [RECIPES[name](p_empty=0.3).draw(A, ORGAN, 300, rng).label for _ in range(120)]
    assert 0.18 < 1 - np.mean(labels) < 0.42
    assert all(RECIPES[name](p_empty=0).draw(A, ORGAN, 300, rng).label for _ in range(20))


def test_a_small_share_of_poisson_blending_leaves_the_slice_and_a_large_one_takes_the_other():
    """Gradients are weighed 1 − share and share: near 0 the patch is the slice itself, near 1 it has the other's shape."""
    rng = np.random.default_rng(0)
    image, other = (gaussian_filter(rng.standard_normal((24, 24)), 2).astype(np.float32) for _ in range(2))
    shared, wide = np.ones((24, 24), bool), np.array([-9.0, 9.0], np.float32)
    nearly, _ = PII().mixed(image, other, shared, 0.02, wide)
    mostly, _ = PII().mixed(image, other, shared, 0.98, wide)
    inside = (slice(4, -4), slice(4, -4))
    alike = [
        np.corrcoef(patch[inside].ravel(), whole[inside].ravel())[0, 1] for patch, whole in ((nearly, image), (mostly, other))
    ]
    assert alike[0] > 0.99
    assert alike[1] > 0.5 + np.corrcoef(image[inside].ravel(), other[inside].ravel())[0, 1]


def test_jitter_changes_brightness_and_contrast_of_a_pasted_piece():
    """Without jitter every pasted value comes from the slice; with it hardly any does."""
    rng = np.random.default_rng(0)
    image, liver_mask = rng.uniform(0.3, 0.7, (64, 64)).astype(np.float32), np.ones((64, 64), bool)
    kept = {}
    for jitter in (0.0, 0.3):
        recipe = CutPaste(kind="patch", jitter=jitter, p_empty=0)
        samples = [recipe.draw(image, liver_mask, 300, np.random.default_rng(seed)) for seed in range(6)]
        pasted = np.concatenate([sample.image[sample.mask] for sample in samples])
        kept[jitter] = np.mean(np.abs(pasted[:, None] - np.unique(image)[None]).min(axis=1) < 1e-7)
    assert kept[0.0] > 0.95
    assert kept[0.3] < 0.2
