"""Whether pseudo anomalies look like tumours to a restorer.

References
----------
Zhang, Deng, Li 2023, figure 1 (C).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from liver_anomaly_study.figures.anomalies import changed
from liver_anomaly_study.figures.slice_selection import tumour_free_slices, tumour_slices
from liver_anomaly_study.messages import make_refusal

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from liver_anomaly_study.figures.subject import Subject

KINDS = {"normal": "tab:blue", "pseudo anomaly": "tab:orange", "tumour": "tab:red"}
MOST = 150


def draw_embedding(subject: Subject) -> tuple[Any, dict[str, Any]]:
    """Embed normal, tumour and pseudo-anomalous slices by the restorer's bottleneck features of their liver."""
    try:
        from sklearn.manifold import TSNE
        from sklearn.metrics import silhouette_score
        from sklearn.preprocessing import StandardScaler
    except ModuleNotFoundError:
        raise make_refusal("scikit-learn-missing") from None
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
    fractions = {name: dict(zip(names, np.round(row, 3).tolist(), strict=True)) for name, row in zip(names, nearest, strict=True)}
    counts = dict(zip(names, np.bincount(kinds, minlength=len(names)).tolist(), strict=True))
    return figure, {"slices": counts, "silhouette": pairs, "nearest": fractions}


def _features(subject: Subject) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp]]:
    """Pool the restorer's bottleneck over the liver: features (n, C), kinds and scans (n,), as many of each kind."""
    model = subject.model("two-stage")
    held_out = subject.held_out(model)
    tumour_free, with_tumour = tumour_free_slices(held_out), tumour_slices(held_out)
    rng = np.random.default_rng(0)
    tumour_free = [tumour_free[number] for number in rng.permutation(len(tumour_free))]
    count = min(len(tumour_free) // 2, len(with_tumour), MOST)
    with_tumour = [with_tumour[number] for number in rng.permutation(len(with_tumour))[:count]]
    scan_of = {one.name: number for number, one in enumerate(held_out)}
    found, kinds, scans = [], [], []
    for kind, chosen in enumerate((tumour_free[:count], tumour_free[count : 2 * count], with_tumour)):
        for case, z in chosen:
            image = changed(model.config.recipe, case, z, rng)[0] if kind == 1 else case.images[z]
            found.append(bottleneck(model.restorer, image, case.liver_mask[z]))
            kinds.append(kind)
            scans.append(scan_of[case.name])
    return np.stack(found), np.array(kinds), np.array(scans)


def bottleneck(restorer: Any, image: NDArray[np.float32], liver_mask: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Average the bottleneck of a restorer over the liver."""
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
    """Give, for each kind (rows), the fractions of kinds among the nearest slices of other scans."""
    apart = np.linalg.norm(features[:, None] - features[None], axis=2)
    apart[scans[:, None] == scans[None]] = np.inf
    found = kinds[apart.argmin(axis=1)]
    counts = np.array([np.bincount(found[kinds == kind], minlength=count) for kind in range(count)], float)
    fractions: NDArray[np.float64] = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    return fractions


def caption_of_embedding(numbers: dict[str, Any]) -> str:
    """Say what the embedding shows."""
    pairs = ", ".join(f"{name} {value:.2f}" for name, value in numbers["silhouette"].items())
    tumour = numbers["nearest"]["tumour"]
    return (
        f"Bottleneck features of the restorer, averaged over the liver, of {numbers['slices']['tumour']} slices of each kind from "
        "held-out scans, embedded by t-SNE (seed 0). Distances in the plot mean little; the figures are computed on the "
        f"features themselves. Silhouette (1: two kinds are separate, 0: they overlap): {pairs}. The nearest neighbour of a "
        f"slice with tumour, in another scan, has a tumour in {tumour['tumour']:.0%}, a pseudo anomaly in "
        f"{tumour['pseudo anomaly']:.0%} and neither in {tumour['normal']:.0%} of slices (about a third each by chance)."
    )
