"""The model card: what a trained model is, what it was trained on, its results, and its intended use. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from importlib import metadata
from typing import TYPE_CHECKING, Any, Protocol, Self

from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE, Refusal, version
from napari_liver_anomaly.models.methods import METHODS, MODULES, Method

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from napari_liver_anomaly.models.config import ModelConfig

LICENCE = (
    "For research use, under the terms of the data sets that the weights were trained on (see data, about). "
    "They are not under the licence of the program, unless it is said there."
)
THESE_WEIGHTS = "these weights"
CROSS_VALIDATION = "cross-validation of the same configuration"
TITLES = {True: "Two-stage restorer and segmenter", False: "Segmenter alone"}
FORMER_NAMES = {"system": "method", "synthetic": "validation"}  # of fields, in cards of earlier versions


class Weighty(Protocol):
    """What has a number of weights."""

    @property
    def parameters(self) -> int:
        """Number of weights in use."""


@dataclass(frozen=True)
class OperatingPoint:
    """A lowest peak score of lesions to work at, and what it gives, as it was measured.

    Attributes
    ----------
    name : str
        "specific", "balanced" or "sensitive".
    min_peak_score : float
        Lesions that score nowhere as high as this are dropped, 0 to 1.
    sensitivity : float
        Part of the lesions that was detected, 0 to 1.
    false_per_scan : float
        Mean number of false lesions per scan.
    """

    name: str
    min_peak_score: float
    sensitivity: float
    false_per_scan: float


def _folds_of(report: dict[str, Any]) -> str:
    """Say that an evaluation was a cross-validation, if it was one; a fold has a model for each seed."""
    folds = report.get("folds")
    return f"{CROSS_VALIDATION}, {len({tuple(one.get('cases', ())) or n for n, one in enumerate(folds)})} folds" if folds else ""


def _with_what_was_added(config: Any, configs: Sequence[ModelConfig]) -> Any:
    """Write a configuration as this version does: a report of an earlier one lacks the settings that were added since."""
    try:
        kind = configs[0]
        return type(kind).from_dict(config, type(kind.options), kind.method).to_dict()
    except (Refusal, LookupError, TypeError, AttributeError):  # of another method, or none
        return config


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """An evaluation that belongs to the weights of a card.

    Attributes
    ----------
    of : str
        What was measured: "these weights", or "cross-validation of the same configuration" and the number of folds. Empty when nobody can tell;
        such figures are kept but never shown beside the model.
    by : str
        Who measured.
    method : str
        Which of the methods in ``summary`` the model is; the others stand beside it for comparison.
    summary : dict
        As given by ``evaluation.evaluate``: for every method and subset of the scans, the pooled figures.
    """

    of: str = ""
    by: str = "its makers"
    method: str = ""
    summary: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, values: object) -> Metrics | None:
        """Read metrics from a card; earlier versions stored the bare summary, of which nobody can tell what was measured."""
        if not isinstance(values, dict) or not values:
            return None
        if isinstance(summary := values.get("summary"), dict):
            return cls(summary=summary, **{name: _text(values.get(name)) for name in ("of", "by", "method")})
        return cls(method=str(next(iter(values))), summary=values)

    @classmethod
    def of_report(cls, report: dict[str, Any] | None, configs: Sequence[ModelConfig]) -> Metrics | None:
        """Keep the summary of an evaluation, and say what it measured of a model."""
        if not report:
            return None
        summary, own = report.get("summary", {}), [config.to_dict() for config in configs]
        mixed = [
            _with_what_was_added(one, configs) for one in report.get("fused", ())
        ]  # the configurations of a set, one member each
        if mixed and len(own) == len(mixed) and all(own.count(one) == mixed.count(one) for one in mixed):
            return cls(of=_folds_of(report), method="fused" if "fused" in summary else "fused-1", summary=summary)
        return cls(
            of=_folds_of(report) if all(one == _with_what_was_added(report.get("config"), configs) for one in own) else "",
            method="ensemble" if "ensemble" in summary else next(iter(summary), ""),
            summary=summary,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the card."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def operating_points(self) -> tuple[OperatingPoint, ...]:
        """Give the points to work at that were measured on scans unseen in training, if what was measured belongs to these weights."""
        if not (self.of == THESE_WEIGHTS or self.of.startswith(CROSS_VALIDATION)):
            return ()
        subsets: Any = self.summary.get(self.method)
        try:
            points = (subsets.get("not_seen_in_training") or subsets["all"])["lesions"]["operating_points"]
            return tuple(
                OperatingPoint(str(one["name"]), float(one["threshold"]), float(one["sensitivity"]), float(one["false_per_scan"]))
                for one in points
                if 0 <= one["threshold"] <= 1 and 0 <= one["sensitivity"] <= 1 and 0 <= one["false_per_scan"] < 1000
            )
        except (AttributeError, LookupError, TypeError, ValueError):  # none of this kind
            return ()

    def figure(self) -> str:
        """Say the mean Dice of the cases in one line, and what it was measured on."""
        subsets: Any = self.summary.get(self.method)
        try:
            mean = (subsets.get("not_seen_in_training") or subsets["all"])["dice"]["case_mean"]
            spread = f" ± {mean['sd']:.2f}" if mean.get("sd") is not None else ""
            dice = f"Dice {mean['mean']:.2f}{spread} on {mean['n']:d} patients"
        except (AttributeError, LookupError, TypeError, ValueError):  # none of this kind
            return ""
        if self.of.startswith(CROSS_VALIDATION):
            return f"{dice} in cross-validation by {self.by or 'its makers'}."
        return f"{dice}, measured on these very weights." if self.of == THESE_WEIGHTS else ""


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """What stands in the header of a weights file.

    Attributes
    ----------
    key : str
        Kind of model, which says how the file is loaded: "two-stage", "draem", …, "ensemble", "liver-finder".
    method : str
        Method of the list in ``models.registry`` that it is; empty for a configuration of one's own.
    title : str
        One line for lists of models.
    use, licence : str
        What the weights are for, and under which terms.
    data : dict
        ``scans`` (hash, name and number of healthy slices of each), ``chosen`` (how slices were chosen), ``about`` (origin and licence), ….
    training : dict, or list of dict
        For each stage: steps, first and last loss, seconds. A list for the members of an ensemble, as in ``validation`` and ``command``.
    validation : dict, or list of dict
        What ``training.validation`` measured on held-out synthesis: the thresholds that no label was needed for, and how well it restores.
    healthy : list of dict
        Of an ensemble: what ``models.healthy_scores`` measured on the healthy slices that its members were trained on.
    command : str, or list of str
        How it can be trained again.
    parameters : int
        Number of weights in use.
    versions : dict
        Of this program, torch and numpy.
    device : str
        Where it was trained.
    metrics : Metrics, optional
        An evaluation of these very weights, or a cross-validation of their configuration.
    settings : dict
        The configuration, as plain data.
    seed : int, optional
        Of the first weights and every batch.
    members : list of dict
        Of an ensemble: ``settings``, ``seed`` and ``restorer_of`` of each.
    mirror : bool, optional
        Of an ensemble: whether each slice is scored mirrored, too.
    shown : int, optional
        Of an ensemble: so many of the last members only give their restoration.
    networks, schedule, started_from : dict
        Of a liver finder: sizes of its networks, length of its training, and the finder that it went on from.
    checksum : str
        Of this card and its tensors, from the seal of the file; empty for a card that is not from a file.
    """

    key: str = ""
    method: str = ""
    title: str = ""
    use: str = f"For research. {NOT_A_MEDICAL_DEVICE}"
    licence: str = LICENCE
    data: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] | list[Any] = field(default_factory=dict)
    validation: dict[str, Any] | list[Any] = field(default_factory=dict)
    healthy: list[Any] = field(default_factory=list)
    command: str | list[Any] = ""
    parameters: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    device: str = ""
    metrics: Metrics | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    seed: int | None = None
    members: list[dict[str, Any]] = field(default_factory=list)
    mirror: bool | None = None
    shown: int | None = None
    networks: dict[str, Any] = field(default_factory=dict)
    schedule: dict[str, Any] = field(default_factory=dict)
    started_from: dict[str, Any] = field(default_factory=dict)
    checksum: str = field(default="", repr=False, compare=False)

    @classmethod
    def from_dict(cls, values: dict[str, Any], checksum: str = "") -> Self:
        """Take from plain data what a card can hold, under the names of today or of earlier versions."""
        values = {FORMER_NAMES.get(name, name): value for name, value in values.items()}
        known = {name: values[name] for name, kinds in _KINDS.items() if type(values.get(name)) in kinds}
        return cls(**known, metrics=Metrics.from_dict(values.get("metrics")), checksum=checksum)

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Read the card of a weights file."""
        from napari_liver_anomaly.checkpoint import read_sealed

        return cls.from_dict(*read_sealed(path))

    def to_dict(self) -> dict[str, Any]:
        """Plain data for the header of a file."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "checksum"}
        values["metrics"] = self.metrics.to_dict() if self.metrics else None
        return {name: value for name, value in values.items() if value is not None and value not in ("", {}, [])}

    def figure(self) -> str:
        """Say in one line how good the model is."""
        return self.metrics.figure() if self.metrics else ""

    def healthy_scores(self) -> dict[float, float]:
        """Give the scores that only small shares of healthy liver reach, by the share; empty where these weights were not measured.

        Both are 0 to 1; the liver is that of the slices that the model was trained on.
        """
        of_one = self.validation.get("healthy") if isinstance(self.validation, dict) else None
        try:
            found = {float(one["false_positive_rate"]): float(one["threshold"]) for one in self.healthy or [of_one]}
        except (LookupError, TypeError, ValueError):  # none of this kind
            return {}
        return {share: score for share, score in found.items() if 0 < share < 1 and 0 <= score <= 1}

    def known_method(self) -> Method | None:
        """Find the method of the list that the model is."""
        return next((entry for entry in METHODS if entry.key == self.method), None)

    def restores(self) -> bool:
        """Tell whether the model gives a healthy image."""
        if (method := self.known_method()) is not None:
            return method.restores
        if self.key == "ensemble" and self.members:
            return any(_restores(_part(member, "settings")) for member in self.members)
        if self.key == "two-stage":
            return _restores(self.settings)
        return self.key not in MODULES or any(entry.restores for entry in METHODS if entry.module == MODULES[self.key])

    def told(self) -> dict[str, str]:
        """Say by heading what a reader of a result should know of the model."""
        said = {
            "Kind": self.name(), "Results": self.figure(), "Trained on": _text(self.data.get("about")), "Intended use": self.use,
            "Licence": self.licence,
        }  # fmt: skip
        return {heading: words for heading, words in said.items() if words}

    def name(self) -> str:
        """Say in a few words what the model is."""
        if self.title:
            return self.title
        if (method := self.known_method()) is not None:
            return method.title
        if self.key == "ensemble":
            return f"Mean of {len(self.members)} models"
        if self.key == "two-stage":
            return TITLES[self.restores()]
        return next((entry.title for entry in METHODS if entry.key == self.key), "")


def card_of(
    model: Weighty,
    data: dict[str, Any],
    *,
    training: dict[str, Any] | list[Any],
    device: str = "",
    **said: Any,
) -> ModelCard:
    """Write down what a trained model is: the one writer of model cards."""
    versions = {"napari-liver-anomaly": version(), **{name: metadata.version(name) for name in ("torch", "numpy")}}
    where = device or str(getattr(model, "device", "cpu")).partition(":")[0]
    return ModelCard(data=data, training=training, parameters=model.parameters, versions=versions, device=where, **said)


_DICT, _TEXT, _LIST = (dict,), (str,), (list,)
_KINDS: dict[str, tuple[type, ...]] = {
    "key": _TEXT, "method": _TEXT, "title": _TEXT, "use": _TEXT, "licence": _TEXT, "data": _DICT, "training": (dict, list),
    "validation": (dict, list), "healthy": _LIST, "command": (str, list), "parameters": (int,), "versions": _DICT, "device": _TEXT, "settings": _DICT,
    "seed": (int,), "members": _LIST, "mirror": (bool,), "shown": (int,), "networks": _DICT, "schedule": _DICT, "started_from": _DICT,
}  # fmt: skip


def _restores(settings: dict[str, Any]) -> bool:
    """Whether the segmenter of these settings sees a restoration or a residual."""
    segmenter = _part(_part(settings, "options") or settings, "segmenter")  # in earlier versions beside the other parts
    return segmenter.get("restoration") is not False or segmenter.get("residual_gain") != 0


def _part(values: Any, name: str) -> dict[str, Any]:
    part = values.get(name) if isinstance(values, dict) else None
    return part if isinstance(part, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
