"""The verbs that list, install and describe models."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.cli.verb import Verb, say
from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE, Refusal, version
from napari_liver_anomaly.messages import one_line
from napari_liver_anomaly.settings import setting, summary_of

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job

LONGEST_TITLE = 200
LICENCE = (
    "Licence: BSD 3-Clause for the program. Models trained on patient scans are for research use only, under the terms of the data sets that "
    "their cards name (LICENSE.md beside the weights)."
)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelsVerb(Verb):
    """List the models that came with the program, and those of your own that are installed."""

    def run(self, job: Job) -> None:
        """List models with their title and size; one that cannot be used says why."""
        from napari_liver_anomaly.models import DEFAULT, names, packaged, path_of
        from napari_liver_anomaly.models.card import ModelCard
        from napari_liver_anomaly.models.locations import folder

        own = set(names()) - set(packaged())
        for name in names():
            kind = " (default)" if name == DEFAULT else " (installed)" if name in own else ""
            try:
                card = ModelCard.read(path_of(name))
                size = path_of(name).stat().st_size / 1e6
            except Refusal as refusal:
                say(f"{one_line(name)}{kind}: cannot be used. {refusal.finding.what}")
                continue
            except OSError:
                say(f"{one_line(name)}{kind}: cannot be used. Its file cannot be read.")
                continue
            title = one_line(card.name() or card.key)[:LONGEST_TITLE]
            say(f"{one_line(name)}{kind}: {title}, {card.parameters:,} parameters, {size:.1f} MB.")
        say(f"Models of your own: {len(own)}, in {folder()}.")
        say(LICENCE)
        say(NOT_A_MEDICAL_DEVICE)


@dataclass(frozen=True, kw_only=True, slots=True)
class InstallVerb(Verb):
    """Check a model of your own and copy it to where it is found by name."""

    weights: Path | None = setting(
        None, positional=True, either="which", word="MODEL", help="A .safetensors file made by 'train' or 'combine'."
    )
    remove: str | None = setting(None, either="which", word="NAME", help="Delete the installed model of this name instead.")
    as_: str = setting("", word="NAME", help="What it shall be called. Default the file's name.")
    replace: bool = setting(False, help="Take the place of an installed model of that name.")

    def run(self, job: Job) -> None:
        """Copy a model to where it is found by name, or remove one from there."""
        from napari_liver_anomaly.models.installing import install, remove

        if self.weights is None:
            remove(self.remove or "")
            return say(f"Removed {self.remove}.")
        job.at("Checking the model", 0, 1)
        name = install(self.weights, self.as_, replace=self.replace)
        say(f"Installed {name}: use it with --model {name}, or choose it in the panel.")


@dataclass(frozen=True, kw_only=True, slots=True)
class InfoVerb(Verb):
    """List models, recipes, versions and devices."""

    model: str | None = setting(None, help="Show the whole card of one model.")

    def run(self, job: Job) -> None:
        """List what there is."""
        from napari_liver_anomaly.device import card_name
        from napari_liver_anomaly.models import names, path_of
        from napari_liver_anomaly.models.card import ModelCard
        from napari_liver_anomaly.synthesis import RECIPES

        if self.model:
            return say(json.dumps(ModelCard.read(path_of(self.model)).to_dict(), indent=1, ensure_ascii=False))
        say(f"napari-liver-anomaly {version()}, torch {metadata.version('torch')}")
        say(f"graphics card: {card_name() or 'none'}; processors: {os.cpu_count()}")
        say(f"models: {', '.join(names()) or 'none'}")
        for name, recipe in RECIPES.items():
            say(f"recipe {name}: {summary_of(recipe)}")
        say(LICENCE)
        say(NOT_A_MEDICAL_DEVICE)
