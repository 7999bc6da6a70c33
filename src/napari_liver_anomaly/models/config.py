"""Everything that decides what a model is: how it sees a scan, what it is trained on, how long, and the options of its method."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Self

from napari_liver_anomaly.preprocessing import PreprocessSettings
from napari_liver_anomaly.settings import Settings, setting
from napari_liver_anomaly.synthesis import RECIPES, NoiseStretch, Recipe

SIDE_PX = 64
PAPER_MM = 400 / 256  # pixel of the paper's slices: a usual field of view in 256 pixels
# Every method of the comparison sees the same slices: the liver's box at 2.5 mm, HU around its median; trained on squares of 64 pixels in it.
FRAME = PreprocessSettings(geometry="liver", pixel_mm=2.5, plane_mm=4, window_low_hu=-45, window_high_hu=160)


@dataclass(frozen=True, kw_only=True, slots=True)
class Schedule(Settings):
    """How long and on what each network is trained."""

    restorer_epochs: int = setting(
        200, unit="epochs", low=0, high=10000, help="Passes over the healthy slices to train the restorer."
    )
    restorer_steps: int = setting(
        0, unit="steps", low=0, high=10**7, help="Above 0: steps of the restorer, instead of epochs.", was="restorer_updates"
    )
    segmenter_epochs: int = setting(
        1, unit="epochs", low=0, high=10000, help="Passes to train the segmenter with the restorer frozen."
    )
    segmenter_steps: int = setting(
        200, unit="steps", low=0, high=10**7, help="The segmenter gets at least this many steps.", was="segmenter_updates"
    )
    batch: int = setting(8, unit="slices", low=1, high=1024, help="Slices in one step.")
    learning_rate: float = setting(1e-4, low=1e-7, high=1, help="Step size of Adam.")
    cosine_decay: bool = setting(False, help="Let the restorer's step size decay to nothing along a cosine.", was="fall")
    segmenter_cosine_decay: bool = setting(False, help="The same for the segmenter.", was="segmenter_fall")
    segmenter_loss: Literal["focal", "overlap", "lesion"] = setting(
        "focal",
        help="Loss of the segmenter: focal as in the paper, cross-entropy with soft Dice, or these two with the soft Dice of each lesion.",
    )
    segmenter_averaging: float = setting(
        0.0,
        low=0,
        high=0.9999,
        added=True,
        help="Above 0, the segmenter ends with a running mean of its weights, of which each step keeps this part.",
    )
    anomaly_weight: float = setting(0.0, low=0, high=100, help="Extra weight of anomalous pixels while the restorer is trained.")
    crop_px: int = setting(0, unit="px", low=0, high=1024, help="Side of a random crop around the liver; 0 takes whole slices.")
    augment: bool = setting(False, help="Flip slices and turn them by up to 10°.")
    by_area: bool = setting(
        False, help="Draw slices with a chance that grows with the root of their liver area, instead of each in turn."
    )
    jitter: bool = setting(
        False,
        help="Also vary size, contrast, noise, sharpness and the outline of the liver mask, as between scanners and readers.",
    )
    vary_tissue: bool = setting(
        False, added=True, help="Also vary phase, nodular texture and thickness of slices, as between patients and protocols."
    )
    p_lookalike: float = setting(
        0.0, low=0, high=1, added=True, help="Fraction of samples with healthy tissue drawn in that looks like a lesion."
    )

    unlabelled: bool = setting(
        False,
        added=True,
        help="Show any slice of the training scans, tumours included and unlabelled, in place of synthetic anomalies.",
    )

    def restorer_length(self, slices: int) -> int:
        """Count the steps of stage 1.

        Parameters
        ----------
        slices : int
            Healthy slices there are.

        Returns
        -------
        int
            Steps.
        """
        return self.restorer_steps or self.restorer_epochs * -(-slices // self.batch)

    def segmenter_length(self, slices: int) -> int:
        """Count the steps of stage 2: the epochs, and never fewer than the least number of steps.

        Parameters
        ----------
        slices : int
            Healthy slices there are.

        Returns
        -------
        int
            Steps.
        """
        return max(self.segmenter_steps, self.segmenter_epochs * -(-slices // self.batch))


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """What a model is.

    Attributes
    ----------
    options : Settings
        Of its method: sizes of the networks, switches of losses. Their class says which method it is.
    recipe : Recipe
        The synthetic anomalies that it is trained on.
    schedule : Schedule
        How long it is trained, and on what part of each slice.
    preprocess : PreprocessSettings
        How a scan becomes slices.
    method : str
        Key in the list of methods, where it is one of these; empty for a configuration of one's own. Two configurations that differ in this only
        are equal.
    """

    options: Any
    recipe: Recipe
    schedule: Schedule = field(default_factory=Schedule)
    preprocess: PreprocessSettings = FRAME
    method: str = field(default="", compare=False)

    @property
    def steps(self) -> int:
        """Steps in all: what a model gets that trains in one stage."""
        return self.schedule.restorer_steps + self.schedule.segmenter_steps

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a model card.

        Returns
        -------
        dict
            Ready for JSON: preprocessing, options, recipe with its name, schedule.
        """
        name = next(key for key, kind in RECIPES.items() if type(self.recipe) is kind)
        return {
            "preprocess": self.preprocess.to_dict(), "options": self.options.to_dict(),
            "recipe": {"name": name, "settings": self.recipe.to_dict()}, "schedule": self.schedule.to_dict(),
        }  # fmt: skip

    @classmethod
    def from_dict(cls, values: dict[str, Any], options: type[Settings], method: str = "") -> Self:
        """Rebuild a configuration from a model card.

        Parameters
        ----------
        values : dict
            As given by :meth:`to_dict`, or as cards of earlier versions hold it.
        options : type of Settings
            Class of the method's options.
        method : str
            Key in the list of methods, or empty.

        Returns
        -------
        ModelConfig
            The same configuration.
        """
        parts = {"preprocess" if name == "prepare" else name: part for name, part in values.items()}
        own = {name: part for name, part in parts.items() if name not in ("preprocess", "recipe", "schedule")}
        return cls(
            preprocess=PreprocessSettings.from_dict(parts["preprocess"]), options=options.from_dict(own.get("options", own)),
            recipe=RECIPES[parts["recipe"]["name"]].from_dict(parts["recipe"]["settings"]),
            schedule=Schedule.from_dict(parts["schedule"]), method=method,
        )  # fmt: skip


def schedule_for(budget: int, **changes: Any) -> Schedule:
    """Make the schedule that all methods of the comparison share: batches of 8 squares of 64 pixels, step size decaying from 1e-3.

    Seven steps in ten of the budget are for the first stage of a method with two. ``changes`` are the fields that are part of a method's idea.
    """
    first = budget * 7 // 10
    same = {"batch": 8, "learning_rate": 1e-3, "cosine_decay": True, "segmenter_cosine_decay": True, "crop_px": SIDE_PX}
    return Schedule(**{**same, "restorer_steps": first, "segmenter_steps": budget - first, **changes})


def pseudo_anomalies() -> NoiseStretch:
    """Give the paper's pseudo anomalies for the common slices: blur and rounding are as wide in mm as on the paper's own."""
    scale = PAPER_MM / FRAME.pixel_mm
    return NoiseStretch(sigma_px=15 * scale, round_px=2 * round(9 * scale / 2) + 1)
