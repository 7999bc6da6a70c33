"""What every trained model of this folder is: networks, a plan of how they are trained, and the verbs predict, save and load."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch

from napari_liver_anomaly import checkpoint
from napari_liver_anomaly.errors import WrongSetting
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models.config import Schedule
from napari_liver_anomaly.preprocessing import PreprocessSettings
from napari_liver_anomaly.settings import Settings
from napari_liver_anomaly.storage import hash_of
from napari_liver_anomaly.synthesis import RECIPES, NoiseStretch, Recipe

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from napari_liver_anomaly.models.stage import Stage, TrainingData

LAYERS = 14  # of full size and width that a network holds at once, copies of the libraries included
SIDE_PX = 64
PAPER_MM = 400 / 256  # pixel of the paper's slices: a usual field of view in 256 pixels
# Every system of the comparison sees the same slices: the liver's box at 2.5 mm, HU around its median; they learn from squares of 64 pixels in it.
FRAME = PreprocessSettings(geometry="liver", pixel_mm=2.5, plane_mm=4, window_low_hu=-45, window_high_hu=160)


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a system says of a batch of slices.

    Attributes
    ----------
    score : ndarray, (B, H, W) float32
        Anomaly score, 0…1, 0 outside the organ.
    restored : ndarray, (B, H, W) float32, or None
        The healthy image; None for a system without a restorer.
    """

    score: NDArray[np.float32]
    restored: NDArray[np.float32] | None


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything that decides what a system is: how it sees a scan, what it learns from, how long, and its own options."""

    options: Settings
    recipe: Recipe
    schedule: Schedule
    prepare: PreprocessSettings = FRAME

    @property
    def steps(self) -> int:
        """Steps in all: what a model gets that trains in one stage."""
        return self.schedule.restorer_steps + self.schedule.segmenter_steps

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a model's card.

        Returns
        -------
        dict
            One entry for each part; the recipe also says its name.
        """
        name = next(key for key, kind in RECIPES.items() if type(self.recipe) is kind)
        return {
            "prepare": self.prepare.to_dict(), "options": self.options.to_dict(),
            "recipe": {"name": name, "settings": self.recipe.to_dict()}, "schedule": self.schedule.to_dict(),
        }  # fmt: skip


def schedule_for(budget: int, **changes: Any) -> Schedule:
    """Make the schedule that all systems of the comparison share.

    Parameters
    ----------
    budget : int
        Updates in all. Seven in ten are for the first stage of a system with two.
    **changes
        Fields of :class:`Schedule` that are part of a system's idea.

    Returns
    -------
    Schedule
        Batches of 8 squares of 64 pixels, step size falling from 1e-3.
    """
    first = budget * 7 // 10
    same = {"batch": 8, "learning_rate": 1e-3, "cosine_decay": True, "segmenter_cosine_decay": True, "crop_px": SIDE_PX}
    return Schedule(**{**same, "restorer_steps": first, "segmenter_steps": budget - first, **changes})


def pseudo_anomalies() -> NoiseStretch:
    """Give the paper's pseudo anomalies for the common slices: blur and rounding are as wide in mm as on the paper's own.

    Returns
    -------
    NoiseStretch
        A recipe.
    """
    scale = PAPER_MM / FRAME.pixel_mm
    return NoiseStretch(sigma_px=15 * scale, round_px=2 * round(9 * scale / 2) + 1)


class Model(ABC):
    """A trained system.

    Parameters
    ----------
    plan : Plan
        What it is.
    seed : int
        Decides the first weights and every batch.

    Attributes
    ----------
    side_px : int
        Networks with a dense layer see squares of this side: larger slices are covered by several. 0: any size.
    """

    key: ClassVar[str] = ""
    options_class: ClassVar[type[Settings]] = Settings
    side_px: int = 0

    def __init__(self, plan: Any, seed: int = 0) -> None:
        self.plan = plan
        self.seed = seed
        self.name = "untrained"
        self.hash = ""
        self.card: dict[str, Any] = {}
        self.device = torch.device("cpu")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            # This layout of the tensors is quicker for convolutions, on a CPU as on a graphics card.
            self.parts = {name: net.eval().to(memory_format=torch.channels_last) for name, net in self.build().items()}  # type: ignore[call-overload]

    @abstractmethod
    def build(self) -> dict[str, nn.Module]:
        """Make the networks, untrained.

        Returns
        -------
        dict
            Name to network.
        """

    @abstractmethod
    def stages(self, data: TrainingData) -> Iterator[Stage]:
        """Say how the networks are trained, stage after stage; what stands after the last stage is done when all are trained.

        Parameters
        ----------
        data : TrainingData
            What is trained on; for the length of an epoch, and for what is measured before or after training, such as a cut.

        Yields
        ------
        Stage
            Each is trained to its end before the next one is asked for.
        """

    @abstractmethod
    def predict_batch(self, image: Tensor, liver_mask: Tensor) -> tuple[Tensor, Tensor | None]:
        """Score a batch on the device.

        Parameters
        ----------
        image : Tensor, (B, C, H, W)
            0…1.
        liver_mask : Tensor, (B, 1, H, W)
            1 in the liver.

        Returns
        -------
        tuple of Tensor
            Score (B, H, W), 0…1, and the healthy image (B, H, W) or None.
        """

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks in use, by name."""
        return self.parts

    @property
    def has_restorer(self) -> bool:
        """Whether a healthy image is made."""
        return False

    @property
    def prepare(self) -> PreprocessSettings:
        """How a scan becomes slices for this system."""
        prepare: PreprocessSettings = self.plan.prepare
        return prepare

    @property
    def parameters(self) -> int:
        """Number of weights in the networks."""
        return sum(p.numel() for net in self.networks.values() for p in net.parameters())

    @property
    def pixel_bytes(self) -> int:
        """Bytes of working memory for each pixel of the slices seen at once: numbers of 4 bytes in the widest layers."""
        widest = max(
            (p.shape[0] for net in self.networks.values() for p in net.parameters() if p.dim() == 4 and p.shape[1] <= self.prepare.planes + 3),
            default=1,
        )  # fmt: skip
        return 4 * (4 * self.prepare.planes + LAYERS * widest)

    def to(self, device: torch.device) -> Self:
        """Move the networks to a device.

        Parameters
        ----------
        device : torch.device
            ``cpu`` or ``cuda``.

        Returns
        -------
        Model
            This system.
        """
        for network in self.networks.values():
            network.to(device)
        self.device = device
        return self

    @torch.inference_mode()
    def predict(self, images: NDArray[np.float32], liver_mask: NDArray[np.bool_]) -> Prediction:
        """Score a batch of slices.

        Parameters
        ----------
        images : ndarray, (B, C, H, W) float32
            0…1, made with this system's :attr:`prepare`: the slice to score in the middle of its neighbours.
        liver_mask : ndarray, (B, H, W) bool
            Where the liver is.

        Returns
        -------
        Prediction
            On the CPU. A slice's score does not depend on the others in the batch.
        """
        height, width = images.shape[2:]
        rows, columns = (_starts(size, self.side_px) for size in (height, width))
        room = (0, self._padded(width) - width, 0, self._padded(height) - height)
        x = torch.nn.functional.pad(torch.from_numpy(np.ascontiguousarray(images)), room)
        x = x.to(device=self.device, memory_format=torch.channels_last)
        inside = torch.nn.functional.pad(torch.from_numpy(liver_mask[:, None].astype(np.float32)), room).to(self.device)
        sums = [
            torch.zeros((len(images), *x.shape[2:]), device=self.device) for _ in range(3)
        ]  # score, healthy image, times seen
        restores = False
        for row in rows:
            for column in columns:
                part = (slice(row, row + self.side_px), slice(column, column + self.side_px)) if self.side_px else ()
                score, restored = self.predict_batch(x[(..., *part)], inside[(..., *part)])
                restores = restored is not None
                for total, one in zip(sums, (score, restored, torch.ones_like(score)), strict=True):
                    if one is not None:
                        total[(..., *part)] += one.float()
        score, healthy = (total / sums[2] for total in sums[:2])
        cut = (score.clamp(0, 1) * inside[:, 0])[:, :height, :width].cpu().numpy()
        return Prediction(cut.astype(np.float32), healthy[:, :height, :width].cpu().numpy() if restores else None)

    def _padded(self, size: int) -> int:
        """Pixels a side is filled up to: a multiple of 32, or at least the side that the networks see."""
        return max(size, self.side_px) if self.side_px else size + -size % 32

    def save(self, path: str | Path, card: dict[str, Any], *, half: bool = False) -> str:
        """Write the weights and their card.

        Parameters
        ----------
        path : path-like
            Ends in ``.safetensors``.
        card : dict
            Data, figures, versions; key, settings and seed are added here.
        half : bool
            Keep 16 bits of every number: half the size, and scores that differ in the third digit or so.

        Returns
        -------
        str
            SHA-256 of the file.
        """
        kept = {name: narrowed(value) if half else value for name, value in self.tensors().items()}
        return checkpoint.save(path, kept, {"key": self.key, "settings": self.plan.to_dict(), "seed": self.seed, **card})

    def tensors(self) -> dict[str, Tensor]:
        """Give the weights of the networks.

        Returns
        -------
        dict
            Name to tensor, each name beginning with that of its network.
        """
        return {f"{part}.{name}": value for part, net in self.networks.items() for name, value in net.state_dict().items()}

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read weights and check that they fit their card.

        Parameters
        ----------
        path : path-like
            Written by :meth:`save`.

        Returns
        -------
        Model
            Ready to score.

        Raises
        ------
        UnfitModel
            When the card is of another system or version, or a tensor is missing, extra or of another shape.
        """
        card, path = checkpoint.read_card(path), Path(path)
        whole = {name: widened(value) for name, value in checkpoint.read_tensors(path).items()}
        model = cls.rebuilt(card if card.get("key") == cls.key else {}, whole, path.name)
        model.name, model.card, model.hash = path.stem, card, hash_of(path)
        return model

    @classmethod
    def rebuilt(cls, about: dict[str, Any], tensors: dict[str, Tensor], file: str, *, without: str = "") -> Self:
        """Build a system from what a card says of it and from its tensors.

        Parameters
        ----------
        about : dict
            ``settings`` and ``seed``.
        tensors : dict
            As given by :meth:`tensors`.
        file : str
            Name of the file, for messages.
        without : str
            Name of a network that is not in the file, because it will not be used.

        Returns
        -------
        Model
            Ready to score.

        Raises
        ------
        UnfitModel
            When they do not fit each other or this version.
        """
        try:
            plan, seed = cls.plan_from(about["settings"]), int(about["seed"])
            if not 0 <= seed < 2**63:
                raise ValueError("seed")
            with torch.device("meta"):  # sizes alone: a false card must not cost the memory of the networks that it claims
                planned = cls(plan)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, WrongSetting) as error:
            raise make_refusal("model-card", file=file) from error
        wanted = {
            name: (value.shape, value.dtype)
            for name, value in planned.tensors().items()
            if not without or not name.startswith(f"{without}.")
        }
        there = {name: (value.shape, value.dtype) for name, value in tensors.items()}
        odd = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
        if odd:
            raise make_refusal("model-tensors", count=len(odd), file=file, first=odd[0][:60])
        model = cls(plan, seed=seed)
        for part, network in model.networks.items():
            if part == without:
                continue
            network.load_state_dict(
                {name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")}
            )
        return model

    @classmethod
    def plan_from(cls, settings: dict[str, Any]) -> Any:
        """Rebuild a plan from a card.

        Parameters
        ----------
        settings : dict
            As given by the plan's ``to_dict``.

        Returns
        -------
        Plan
            The same plan.
        """
        recipe = settings["recipe"]
        return Plan(
            prepare=PreprocessSettings.from_dict(settings["prepare"]), options=cls.options_class.from_dict(settings["options"]),
            recipe=RECIPES[recipe["name"]].from_dict(recipe["settings"]), schedule=Schedule.from_dict(settings["schedule"]),
        )  # fmt: skip


def narrowed(tensor: Tensor) -> Tensor:
    """Turn numbers to half precision, to be kept; whole numbers stay as they are.

    Parameters
    ----------
    tensor : Tensor
        Any kind.

    Returns
    -------
    Tensor
        The same, but float16 where there were fractions.
    """
    return tensor.half() if tensor.is_floating_point() else tensor


def widened(tensor: Tensor) -> Tensor:
    """Bring numbers that were kept in half precision back to single.

    Parameters
    ----------
    tensor : Tensor
        Any kind.

    Returns
    -------
    Tensor
        The same, but float32 for float16.
    """
    return tensor.float() if tensor.dtype == torch.float16 else tensor


def _starts(size: int, side: int) -> Sequence[int]:
    """Where squares of a side begin so that they cover a length, each sharing at least a quarter with the next."""
    if not side or size <= side:
        return (0,)
    count = 1 + -(-(size - side) * 4 // (side * 3))
    return [round(step * (size - side) / (count - 1)) for step in range(count)]
