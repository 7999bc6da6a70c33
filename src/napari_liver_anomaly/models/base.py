"""The base class of every model: its networks, its stages of training, and predict, save and load."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import torch

from napari_liver_anomaly import checkpoint
from napari_liver_anomaly.errors import WrongSetting
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.config import ModelConfig
from napari_liver_anomaly.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor, nn

    from napari_liver_anomaly.models.stage import Stage, TrainingData
    from napari_liver_anomaly.preprocessing import PreprocessSettings

LAYERS = 14  # of full size and width that a network holds at once, copies of the libraries included


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of a batch of slices.

    Attributes
    ----------
    score : ndarray, (B, H, W) float32
        Anomaly score, 0…1, 0 outside the liver.
    restored : ndarray, (B, H, W) float32, or None
        The healthy image; None for a model without a restorer.
    """

    score: NDArray[np.float32]
    restored: NDArray[np.float32] | None


class Model(ABC):
    """A trained model.

    Parameters
    ----------
    config : ModelConfig
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

    def __init__(self, config: ModelConfig, seed: int = 0) -> None:
        self.config = config
        self.seed = seed
        self.name = "untrained"
        self.hash = ""
        self.card = ModelCard()
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
    def preprocess(self) -> PreprocessSettings:
        """How a scan becomes slices for this model."""
        return self.config.preprocess

    @property
    def parameters(self) -> int:
        """Number of weights in the networks."""
        return sum(p.numel() for net in self.networks.values() for p in net.parameters())

    @property
    def pixel_bytes(self) -> int:
        """Bytes of working memory for each pixel of the slices seen at once: numbers of 4 bytes in the widest layers."""
        widest = max(
            (p.shape[0] for net in self.networks.values() for p in net.parameters() if p.dim() == 4 and p.shape[1] <= self.preprocess.planes + 3),
            default=1,
        )  # fmt: skip
        return 4 * (4 * self.preprocess.planes + LAYERS * widest)

    def to(self, device: torch.device) -> Self:
        """Move the networks to a device.

        Parameters
        ----------
        device : torch.device
            ``cpu`` or ``cuda``.

        Returns
        -------
        Model
            This model.
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
            0…1, made with this model's :attr:`preprocess`: the slice to score in the middle of its neighbours.
        liver_mask : ndarray, (B, H, W) bool
            Where the liver is.

        Returns
        -------
        Prediction
            On the CPU. A slice's score does not depend on the others in the batch.
        """
        height, width = images.shape[2:]
        rows, columns = (_starts(size, self.side_px) for size in (height, width))
        padding = (0, self._padded(width) - width, 0, self._padded(height) - height)
        x = torch.nn.functional.pad(torch.from_numpy(np.ascontiguousarray(images)), padding)
        x = x.to(device=self.device, memory_format=torch.channels_last)
        inside = torch.nn.functional.pad(torch.from_numpy(liver_mask[:, None].astype(np.float32)), padding).to(self.device)
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

    def save(self, path: str | Path, card: ModelCard | None = None, *, half: bool = False) -> str:
        """Write the weights and their card.

        Parameters
        ----------
        path : path-like
            Ends in ``.safetensors``.
        card : ModelCard, optional
            Data, figures, versions; key, method, settings and seed are added here.
        half : bool
            Keep 16 bits of every number: half the size, and scores that differ in the third digit or so.

        Returns
        -------
        str
            SHA-256 of the file.
        """
        kept = {name: narrowed(value) if half else value for name, value in self.tensors().items()}
        whole = replace(
            card or ModelCard(), key=self.key, method=self.config.method, settings=self.config.to_dict(), seed=self.seed
        )
        return checkpoint.save(path, kept, whole.to_dict())

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
            When the card is of another kind of model or version, or a tensor is missing, extra or of another shape.
        """
        return cls.from_weights(checkpoint.open_weights(path))

    @classmethod
    def from_weights(cls, weights: checkpoint.Weights) -> Self:
        """Build the model of a file that was opened.

        Parameters
        ----------
        weights : Weights
            Card and tensors.

        Returns
        -------
        Model
            Ready to predict.

        Raises
        ------
        UnfitModel
            When the card is of another kind of model or version, or a tensor is missing, extra or of another shape.
        """
        card = ModelCard.from_dict(weights.card, weights.checksum)
        whole = {name: widened(value) for name, value in weights.tensors.items()}
        model = cls.rebuilt(weights.card if card.key == cls.key else {}, whole, weights.path.name, method=card.method)
        model.name, model.card, model.hash = weights.path.stem, card, weights.hash
        return model

    @classmethod
    def rebuilt(
        cls, about: dict[str, Any], tensors: dict[str, Tensor], file: str, *, without: str = "", method: str = ""
    ) -> Self:
        """Build a model from what a card says of it and from its tensors.

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
        method : str
            Key in the list of methods.

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
            config, seed = ModelConfig.from_dict(about["settings"], cls.options_class, method), int(about["seed"])
            if not 0 <= seed < 2**63:
                raise ValueError("seed")
            with torch.device("meta"):  # sizes alone: a false card must not cost the memory of the networks that it claims
                empty = cls(config)
        except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, WrongSetting) as error:
            raise make_refusal("model-card", file=file) from error
        wanted = {
            name: (value.shape, value.dtype)
            for name, value in empty.tensors().items()
            if not without or not name.startswith(f"{without}.")
        }
        there = {name: (value.shape, value.dtype) for name, value in tensors.items()}
        odd = sorted(name for name in wanted.keys() | there.keys() if wanted.get(name) != there.get(name))
        if odd:
            raise make_refusal("model-tensors", count=len(odd), file=file, first=odd[0][:60])
        model = cls(config, seed=seed)
        for part, network in model.networks.items():
            if part == without:
                continue
            network.load_state_dict(
                {name.removeprefix(f"{part}."): value for name, value in tensors.items() if name.startswith(f"{part}.")}
            )
        return model


def narrowed(tensor: Tensor) -> Tensor:
    """Turn numbers to half precision, to be kept; whole numbers stay as they are."""
    return tensor.half() if tensor.is_floating_point() else tensor


def widened(tensor: Tensor) -> Tensor:
    """Bring numbers that were kept in half precision back to single."""
    return tensor.float() if tensor.dtype == torch.float16 else tensor


def _starts(size: int, side: int) -> Sequence[int]:
    """Where squares of a side begin so that they cover a length, each sharing at least a quarter with the next."""
    if not side or size <= side:
        return (0,)
    count = 1 + -(-(size - side) * 4 // (side * 3))
    return [round(step * (size - side) / (count - 1)) for step in range(count)]
