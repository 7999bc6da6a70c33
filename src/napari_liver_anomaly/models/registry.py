"""From a name to a configuration, and from a configuration or a card to a model."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING

from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models.methods import BUDGET, CONFIG_NAMES, METHODS, MODULES, method_of

if TYPE_CHECKING:
    from napari_liver_anomaly.models.base import Model
    from napari_liver_anomaly.models.config import ModelConfig


def config_of(name: str, budget: int = 0) -> ModelConfig:
    """Make the configuration of a name.

    Parameters
    ----------
    name : str
        Of ``models.CONFIG_NAMES``, or the key of a method of the literature.
    budget : int
        Steps in all, for a method of the literature; 0 is the number that all of them are compared with.

    Returns
    -------
    ModelConfig
        What ``fit_and_save`` trains.

    Raises
    ------
    Refusal
        When there is no such name, or it sets the length of its stages itself and a budget was given.
    """
    if name in CONFIG_NAMES and not budget:
        from napari_liver_anomaly.models.two_stage import CONFIGS

        return CONFIGS[name]
    if name in CONFIG_NAMES and all(method.key != name for method in METHODS):
        raise make_refusal("budget-preset", preset=name)
    configs: dict[str, ModelConfig] = import_module(f"{__package__}.{method_of(name).module}").configs(budget or BUDGET)
    return replace(configs[name], method=name)


def build(config: ModelConfig, seed: int = 0) -> Model:
    """Build the untrained model of a configuration."""
    kinds = _kinds(type(config.options).__module__)  # options stand beside their model
    return next(kind for kind in kinds if kind.options_class is type(config.options))(config, seed)


def class_of(key: str) -> type[Model]:
    """Find the class of a model by what a card calls it."""
    if key not in MODULES:
        raise make_refusal("model-method", method=key[:40])
    return next(kind for kind in _kinds(f"napari_liver_anomaly.models.{MODULES[key]}") if kind.key == key)


def _kinds(module: str) -> list[type[Model]]:
    """List the models of a file."""
    from napari_liver_anomaly.models.base import Model

    return [kind for kind in vars(import_module(module)).values() if isinstance(kind, type) and issubclass(kind, Model)]
