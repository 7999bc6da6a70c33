"""Whether pseudo anomalies look like tumours to a restorer.

References
----------
Zhang, Deng, Li 2023, figure 1 (C).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.figures.anomalies import changed
from liver_anomaly_study.figures.choosing import quiet_slices, tumour_slices
from napari_liver_anomaly.errors import Refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liver_anomaly_study.figures.subject import Subject

KINDS = {"normal": "tab:blue", "pseudo anomaly": "tab:orange", "tumour": "tab:red"}
MOST = 150


def draw_embedding(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Lay out normal, tumour and pseudo-anomalous slices by what the restorer's narrowest layer says of their liver.

    Parameters
    ----------
    subject : Subject
        With the two-stage system.

    Returns
    -------
    tuple
        Figure, and numbers: slices of each kind; ``silhouette`` of two kinds at a time; ``nearest``, for each kind, how often the nearest slice of
        another scan is of which kind.

    Raises
    ------
    Refusal
        When scikit-learn is not installed.
    """
    try:
        from sklearn.manifold import TSNE
        from sklearn.metrics import silhouette_score
        from sklearn.preprocessing import StandardScaler
    except ModuleNotFoundError:
        raise Refusal(
            "figure-left-out", "scikit-learn is not installed.", "The figure was left out.",
            "Install napari-liver-anomaly[study].",
        ) from None  # fmt: skip
    from matplotlib.figure import Figure

    features, kinds, scans = _features(subject)
    features = StandardScaler().fit_transform(features)
    names = list(KINDS)
    placed = TSNE(random_state=0, init="pca", perplexity=min(30.0, (len(features) - 1) / 3)).fit_transform(features)
    figure: Any = Figure(figsize=(6.4, 4.6), layout="constrained")
    axes = figure.subplots()
    for number, (name, colour) in enumerate(KINDS.items()):
        x, y = placed[kinds == number].T
        axes.scatter(x, y, s=14, color=colour, alpha=0.75, linewidths=0, label=name)
    axes.set(xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2")
    axes.legend(fontsize=8)
    pairs = {}
    for one, other in ((0, 2), (1, 2), (0, 1)):
        chosen = np.isin(kinds, (one, other))
        pairs[f"{names[one]} and {names[other]}"] = round(float(silhouette_score(features[chosen], kinds[chosen])), 3)
    nearest = nearest_kinds(features, kinds, scans, len(names))
    shares = {name: dict(zip(names, np.round(row, 3).tolist(), strict=True)) for name, row in zip(names, nearest, strict=True)}
    counts = dict(zip(names, np.bincount(kinds, minlength=len(names)).tolist(), strict=True))
    return figure, {"slices": counts, "silhouette": pairs, "nearest": shares}


def _features(subject: Subject) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """Pool the restorer's narrowest layer over the liver: features (n, C), kinds and scans (n,), as many of each kind."""
    system = subject.system("two-stage")
    unseen = subject.unseen(system)
    quiet, ill = quiet_slices(unseen), tumour_slices(unseen)
    chance = np.random.default_rng(0)
    quiet = [quiet[place] for place in chance.permutation(len(quiet))]
    count = min(len(quiet) // 2, len(ill), MOST)
    ill = [ill[place] for place in chance.permutation(len(ill))[:count]]
    number = {one.name: place for place, one in enumerate(unseen)}
    found, kinds, scans = [], [], []
    for kind, chosen in enumerate((quiet[:count], quiet[count : 2 * count], ill)):
        for liver, z in chosen:
            image = changed(system.plan.recipe, liver, z, chance)[0] if kind == 1 else liver.images[z]
            found.append(bottleneck(system.restorer, image, liver.liver_mask[z]))
            kinds.append(kind)
            scans.append(number[liver.name])
    return np.stack(found), np.array(kinds), np.array(scans)


def bottleneck(restorer: Any, image: NDArray[np.float32], liver_mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Average the narrowest layer of a restorer over the liver.

    Parameters
    ----------
    restorer : Restorer
        A U-Net.
    image : ndarray, (H, W) float32
        0…1; sides divisible by 2 to the power of its depth.
    liver_mask : ndarray, (H, W) bool
        Not empty.

    Returns
    -------
    ndarray, (C,) float32
        One number for each channel.
    """
    import torch
    from torch.nn import functional

    kept: list[torch.Tensor] = []
    hook = restorer.down[-1].register_forward_hook(lambda _block, _seen, made: kept.append(made))
    try:
        with torch.inference_mode():
            restorer(torch.from_numpy(image[None, None]))
    finally:
        hook.remove()
    height, width = kept[0].shape[2:]
    weight = functional.adaptive_avg_pool2d(torch.from_numpy(liver_mask[None, None].astype(np.float32)), (height, width))
    pooled: NDArray[np.float32] = ((kept[0] * weight).sum(dim=(0, 2, 3)) / weight.sum()).numpy()
    return pooled


def nearest_kinds(
    features: NDArray[np.float32], kinds: NDArray[np.intp], scans: NDArray[np.intp], count: int
) -> NDArray[np.float64]:
    """Count of which kind the nearest slice of another scan is.

    Parameters
    ----------
    features : ndarray, (n, C)
        One row for each slice.
    kinds, scans : ndarray of int, (n,)
        Of what kind and from which scan it is; two scans at least.
    count : int
        How many kinds there are.

    Returns
    -------
    ndarray, (count, count)
        For each kind (rows) the shares of kinds among the nearest; rows add to 1.
    """
    apart = np.linalg.norm(features[:, None] - features[None], axis=2)
    apart[scans[:, None] == scans[None]] = np.inf
    found = kinds[apart.argmin(axis=1)]
    counts = np.array([np.bincount(found[kinds == kind], minlength=count) for kind in range(count)], float)
    shares: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return shares


def words_of_embedding(numbers: dict[str, Any]) -> str:
    """Say what the embedding shows.

    Parameters
    ----------
    numbers : dict
        From :func:`draw_embedding`.

    Returns
    -------
    str
        Sentences.
    """
    pairs = ", ".join(f"{name} {value:.2f}" for name, value in numbers["silhouette"].items())
    tumour = numbers["nearest"]["tumour"]
    return (
        f"The restorer's narrowest layer, averaged over the liver, of {numbers['slices']['tumour']} slices of each kind from "
        "scans that it did not learn "
        "from, laid out by t-SNE (seed 0). Distances in the picture mean little; the figures are of the features themselves. "
        f"Silhouette (1: two kinds lie apart, 0: they lie in each other): {pairs}. The nearest slice of another scan to a "
        "slice with tumour is "
        f"one with tumour in {tumour['tumour']:.0%}, a pseudo anomaly in {tumour['pseudo anomaly']:.0%}, normal in "
        f"{tumour['normal']:.0%} "
        "(by chance about a third each)."
    )
