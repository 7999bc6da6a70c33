"""Every method there is, by name: what it is, where it comes from, and how to build, train and load it. Listing them needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from napari_liver_anomaly.models.base import Model
    from napari_liver_anomaly.models.config import ModelConfig

# Configurations of one's own that go by name; named here so that listing them needs no torch.
CONFIG_NAMES = ("standard", "direct", "compact", "paper", "paper-small")
BUDGET = 700  # steps of a method in the comparison when nothing else is said

ZHANG = "Zhang, Deng, Li, SASHIMI 2023"
DRAEM = "Zavrtanik, Kristan, Skočaj, ICCV 2021"
SHAPES = "Random-shape pseudo-outliers, EMBC 2022"


@dataclass(frozen=True, slots=True)
class Method:
    """One line of the list of methods.

    Attributes
    ----------
    key : str
        Its name on the command line and in tables.
    title : str
        What it is, in a few words.
    paper : str
        Where it comes from.
    module : str
        File in ``models/`` that holds it.
    restores : bool
        Whether it gives a healthy image.
    trains : bool
        False for a rule without training.
    """

    key: str
    title: str
    paper: str
    module: str
    restores: bool = False
    trains: bool = True


METHODS: tuple[Method, ...] = (
    Method("two-stage", "Two-stage restorer and segmenter, as in the paper", ZHANG, "two_stage", restores=True),
    Method(
        "two-stage-ours", "Two-stage, 2.5D, residual as a channel, nodules in space", f"{ZHANG}; ours", "two_stage", restores=True
    ),
    Method("direct", "Segmenter alone, 2.5D, nodules in space (the product's)", "Hu et al., CVPR 2023; ours", "two_stage"),
    Method("hu", "Segmenter alone, 2.5D, handcrafted tumours in space", "Hu et al., CVPR 2023", "two_stage"),
    Method("draem", "DRAEM: autoencoder, Perlin anomalies, joint training", DRAEM, "draem", restores=True),
    Method("cell-unet", "Ablation: U-Net", ZHANG, "draem", restores=True),
    Method("cell-pa", "Ablation: pseudo anomalies", ZHANG, "draem", restores=True),
    Method("cell-pa-unet", "Ablation: pseudo anomalies, U-Net", ZHANG, "draem", restores=True),
    Method("cell-tp", "Ablation: two phases", ZHANG, "draem", restores=True),
    Method("cell-tp-unet", "Ablation: two phases, U-Net", ZHANG, "draem", restores=True),
    Method("cell-tp-pa", "Ablation: two phases, pseudo anomalies", ZHANG, "draem", restores=True),
    Method("random-shape", "Scorer on random shapes of a paintbrush", SHAPES, "random_shape"),
    Method("random-shape-squares", "The same scorer on squares", SHAPES, "random_shape"),
    Method("random-shape-circles", "The same scorer on circles", SHAPES, "random_shape"),
    Method("random-shape-fpi", "The same scorer on foreign patches interpolated", "Tan et al., MELBA 2022", "random_shape"),
    Method(
        "random-shape-pii", "The same scorer on patches blended by Poisson's equation", "Tan et al., MICCAI 2021", "random_shape"
    ),
    Method("random-shape-cutpaste", "The same scorer on pieces cut and pasted", "Li et al., CVPR 2021", "random_shape"),
    Method("random-shape-nsa", "The same scorer on natural synthetic anomalies", "Schlüter et al., ECCV 2022", "random_shape"),
    Method("asc-net", "Adversarial selective cutting network", "Dey, Hong, MICCAI 2021", "asc_net", restores=True),
    Method(
        "cycle-continuous",
        "Image to tissue maps and back, soft maps",
        "Semantic cycle translation, adapted",
        "cycle",
        restores=True,
    ),
    Method(
        "cycle-discrete",
        "Image to tissue maps and back, hard maps",
        "Semantic cycle translation, adapted",
        "cycle",
        restores=True,
    ),
    Method("ae-spatial", "Autoencoder, latent image", "Baur et al., MedIA 2021", "autoencoders", restores=True),
    Method("ae-dense", "Autoencoder, latent vector", "Baur et al., MedIA 2021", "autoencoders", restores=True),
    Method("dae", "Denoising autoencoder", "Kascenas et al., MIDL 2022", "denoising", restores=True),
    Method(
        "layers",
        "Decomposition into a healthy layer and a tumour layer",
        "Zhang et al., layer decomposition",
        "layer_decomposition",
        restores=True,
    ),
    Method("dark-rule", "Control: darker than the liver's median", "no learning", "rules", trains=False),
    Method("local-z", "Control: darker than its surroundings", "no learning", "rules", trains=False),
)

# What a card calls its kind of model, and the file that holds it.
MODULES = {
    "two-stage": "two_stage", "draem": "draem", "random-shape": "random_shape", "asc-net": "asc_net", "cycle": "cycle",
    "ae": "autoencoders", "dae": "denoising", "layers": "layer_decomposition",
}  # fmt: skip


def method_of(key: str) -> Method:
    """Find a method by its key.

    Parameters
    ----------
    key : str
        One of :data:`METHODS`.

    Returns
    -------
    Method
        Its line.

    Raises
    ------
    Refusal
        When there is none of that name.
    """
    for method in METHODS:
        if method.key == key:
            return method
    raise make_refusal("system-unknown", name=key[:40])


def config_of(name: str, budget: int = 0) -> ModelConfig:
    """Make the configuration of a name.

    Parameters
    ----------
    name : str
        One of :data:`CONFIG_NAMES`, or the key of a method of :data:`METHODS` that is trained.
    budget : int
        Steps in all, for a method of the list; 0 takes the configuration of that name where there is one, else the usual number.

    Returns
    -------
    ModelConfig
        What :func:`build` takes.

    Raises
    ------
    Refusal
        When there is none of that name, or its length is not one number.
    """
    if name in CONFIG_NAMES and not budget:
        from napari_liver_anomaly.models.two_stage import CONFIGS

        return CONFIGS[name]
    if name in CONFIG_NAMES and all(method.key != name for method in METHODS):
        raise make_refusal("budget-preset", preset=name)
    configs: dict[str, ModelConfig] = import_module(f"{__package__}.{method_of(name).module}").configs(budget or BUDGET)
    return replace(configs[name], method=name)


def build(config: ModelConfig, seed: int = 0) -> Model:
    """Build the untrained model of a configuration.

    Parameters
    ----------
    config : ModelConfig
        As given by :func:`config_of`, or one of your own.
    seed : int
        Decides the first weights and every batch.

    Returns
    -------
    Model
        Untrained.
    """
    kinds = _kinds(type(config.options).__module__)  # options stand beside their model
    return next(kind for kind in kinds if kind.options_class is type(config.options))(config, seed)


def class_of(key: str) -> type[Model]:
    """Find the class of a model by what a card calls it.

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
        When this version knows no such model.
    """
    if key not in MODULES:
        raise make_refusal("model-method", method=key[:40])
    return next(kind for kind in _kinds(f"napari_liver_anomaly.models.{MODULES[key]}") if kind.key == key)


def _kinds(module: str) -> list[type[Model]]:
    """List the models of a file."""
    from napari_liver_anomaly.models.base import Model

    return [kind for kind in vars(import_module(module)).values() if isinstance(kind, type) and issubclass(kind, Model)]
