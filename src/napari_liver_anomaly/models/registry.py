"""Every system there is, by name: what it is, where it comes from, and how to build, train and load it. Listing them needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from napari_liver_anomaly.models.base import Model

BUDGET = 700  # updates of a system in the comparison when nothing else is said

ZHANG = "Zhang, Deng, Li, SASHIMI 2023"
DRAEM = "Zavrtanik, Kristan, Skočaj, ICCV 2021"
SHAPES = "Random-shape pseudo-outliers, EMBC 2022"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the list of systems.

    Attributes
    ----------
    key : str
        Its name on the command line and in tables.
    title : str
        What it is, in a few words.
    paper : str
        Where it comes from.
    module : str
        File in ``methods/`` that holds it.
    restores : bool
        Whether it gives a healthy image.
    learns : bool
        False for a rule without training.
    """

    key: str
    title: str
    paper: str
    module: str
    restores: bool = False
    learns: bool = True


SYSTEMS: tuple[Entry, ...] = (
    Entry("two-stage", "Two-stage restorer and segmenter, as in the paper", ZHANG, "two_stage", restores=True),
    Entry(
        "two-stage-ours", "Two-stage, 2.5D, residual as a channel, nodules in space", f"{ZHANG}; ours", "two_stage", restores=True
    ),
    Entry("direct", "Segmenter alone, 2.5D, nodules in space (the product's)", "Hu et al., CVPR 2023; ours", "two_stage"),
    Entry("hu", "Segmenter alone, 2.5D, handcrafted tumours in space", "Hu et al., CVPR 2023", "two_stage"),
    Entry("draem", "DRAEM: autoencoder, Perlin anomalies, joint training", DRAEM, "draem", restores=True),
    Entry("cell-unet", "Ablation: U-Net", ZHANG, "draem", restores=True),
    Entry("cell-pa", "Ablation: pseudo anomalies", ZHANG, "draem", restores=True),
    Entry("cell-pa-unet", "Ablation: pseudo anomalies, U-Net", ZHANG, "draem", restores=True),
    Entry("cell-tp", "Ablation: two phases", ZHANG, "draem", restores=True),
    Entry("cell-tp-unet", "Ablation: two phases, U-Net", ZHANG, "draem", restores=True),
    Entry("cell-tp-pa", "Ablation: two phases, pseudo anomalies", ZHANG, "draem", restores=True),
    Entry("random-shape", "Scorer on random shapes of a paintbrush", SHAPES, "random_shape"),
    Entry("random-shape-squares", "The same scorer on squares", SHAPES, "random_shape"),
    Entry("random-shape-circles", "The same scorer on circles", SHAPES, "random_shape"),
    Entry("random-shape-fpi", "The same scorer on foreign patches interpolated", "Tan et al., MELBA 2022", "random_shape"),
    Entry(
        "random-shape-pii", "The same scorer on patches blended by Poisson's equation", "Tan et al., MICCAI 2021", "random_shape"
    ),
    Entry("random-shape-cutpaste", "The same scorer on pieces cut and pasted", "Li et al., CVPR 2021", "random_shape"),
    Entry("random-shape-nsa", "The same scorer on natural synthetic anomalies", "Schlüter et al., ECCV 2022", "random_shape"),
    Entry("asc-net", "Adversarial selective cutting network", "Dey, Hong, MICCAI 2021", "asc_net", restores=True),
    Entry(
        "cycle-continuous",
        "Image to tissue maps and back, soft maps",
        "Semantic cycle translation, adapted",
        "cycle",
        restores=True,
    ),
    Entry(
        "cycle-discrete",
        "Image to tissue maps and back, hard maps",
        "Semantic cycle translation, adapted",
        "cycle",
        restores=True,
    ),
    Entry("ae-spatial", "Autoencoder, latent image", "Baur et al., MedIA 2021", "autoencoders", restores=True),
    Entry("ae-dense", "Autoencoder, latent vector", "Baur et al., MedIA 2021", "autoencoders", restores=True),
    Entry("dae", "Denoising autoencoder", "Kascenas et al., MIDL 2022", "denoising", restores=True),
    Entry(
        "layers",
        "Decomposition into a healthy layer and a tumour layer",
        "Zhang et al., layer decomposition",
        "layer_decomposition",
        restores=True,
    ),
    Entry("dark-rule", "Control: darker than the liver's median", "no learning", "rules", learns=False),
    Entry("local-z", "Control: darker than its surroundings", "no learning", "rules", learns=False),
)

# What a card calls its system, and the file that holds it.
MODULES = {
    "two-stage": "two_stage", "draem": "draem", "random-shape": "random_shape", "asc-net": "asc_net", "cycle": "cycle",
    "ae": "autoencoders", "dae": "denoising", "layers": "layer_decomposition",
}  # fmt: skip


def entry_of(key: str) -> Entry:
    """Find a system by its key.

    Parameters
    ----------
    key : str
        One of :data:`SYSTEMS`.

    Returns
    -------
    Entry
        Its line.

    Raises
    ------
    Refusal
        When there is none of that name.
    """
    for entry in SYSTEMS:
        if entry.key == key:
            return entry
    raise make_refusal("system-unknown", name=key[:40])


def plan_of(key: str, budget: int) -> Any:
    """Make the plan of a system for the comparison.

    Parameters
    ----------
    key : str
        One of :data:`SYSTEMS` that learns.
    budget : int
        Updates in all.

    Returns
    -------
    Plan or Preset
        What :func:`build` takes.

    Raises
    ------
    Refusal
        When there is none of that name.
    """
    return import_module(f"napari_liver_anomaly.models.{entry_of(key).module}").plans(budget)[key]


def build(plan: Any, seed: int = 0) -> Model:
    """Build the untrained system of a plan."""
    from napari_liver_anomaly.models.base import Plan

    if not isinstance(plan, Plan):
        return class_of("two-stage")(plan, seed)
    kinds = _kinds(type(plan.options).__module__)  # options stand beside their system
    return next(kind for kind in kinds if kind.options_class is type(plan.options))(plan, seed)


def class_of(key: str) -> type[Model]:
    """Find the class of a system by what a card calls it.

    Parameters
    ----------
    key : str
        ``"two-stage"``, ``"draem"``, ….

    Returns
    -------
    type of Model
        With ``load`` and ``rebuilt``.

    Raises
    ------
    UnfitModel
        When this version knows no such system.
    """
    if key not in MODULES:
        raise make_refusal("model-method", method=key[:40])
    return next(kind for kind in _kinds(f"napari_liver_anomaly.models.{MODULES[key]}") if kind.key == key)


def _kinds(module: str) -> list[type[Model]]:
    """List the systems of a file."""
    from napari_liver_anomaly.models.base import Model

    return [kind for kind in vars(import_module(module)).values() if isinstance(kind, type) and issubclass(kind, Model)]
