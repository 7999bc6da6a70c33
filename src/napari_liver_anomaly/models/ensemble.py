"""Several models together: the mean of their scores and of their restorations, each also on the mirrored slice.

Models that see a scan at different scales go together, too: each scale is the mean of its members, and their scores meet on the scan's grid, where
``inference.segment`` averages them. Coarse slices show a large lesion whole; fine ones draw its outline and hold small ones.

References
----------
B. Lakshminarayanan, A. Pritzel, C. Blundell, "Simple and scalable predictive uncertainty estimation using deep ensembles", NeurIPS 2017. The
segmenter's training is short on purpose, so single models scatter; their mean does much less.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from napari_liver_anomaly import checkpoint
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models.base import Prediction, narrowed, widened
from napari_liver_anomaly.models.card import ModelCard
from napari_liver_anomaly.models.two_stage import TwoStage, predict_together

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

    from napari_liver_anomaly.preprocessing import PreprocessSettings

KEY = "ensemble"


def _same(one: torch.nn.Module, other: torch.nn.Module) -> bool:
    """Whether two networks of one kind hold the same weights."""
    return all((a == b).all() for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def _below(value: object, end: int) -> bool:
    """Whether something from a card is a whole number, 0…end-1; 0.0 and False are none."""
    return type(value) is int and value in range(end)


class Ensemble:
    """Two-stage models, of one scale or several.

    Parameters
    ----------
    members : sequence of TwoStage
        At least one. Those with the same preparation make one of the :attr:`scales`.
    mirror : bool
        Score every slice also mirrored left to right, and take the mean.
    shown : int
        The last so many members give their restoration only, for the eye, and have no say in the score.

    Raises
    ------
    UnfitModel
        When no member is left that scores.
    """

    key = KEY

    def __init__(self, members: Sequence[TwoStage], *, mirror: bool = True, shown: int = 0) -> None:
        if shown not in range(len(members)):
            raise make_refusal("ensemble-empty")
        self.members = tuple(members)
        # Seeds of a segmenter usually share their restorer: it is then kept and run once.
        for place, member in enumerate(self.members):
            same = (
                m
                for m in self.members[:place]
                if m.config.options.restorer == member.config.options.restorer and _same(m.restorer, member.restorer)
            )
            member.restorer = next(same, member).restorer
        self.mirror = mirror
        self.scorers = self.members[: len(self.members) - shown]
        self.name = "untrained"
        self.hash = ""
        self.card = ModelCard()

    @property
    def scales(self) -> tuple[Ensemble, ...]:
        """The members by how they see a scan, each group an ensemble of its own; the first member's comes first.

        A group whose members only show restorations has no score to give; it is left out.
        """
        found = []
        for preprocess in dict.fromkeys(member.preprocess for member in self.members):
            scorers = [member for member in self.scorers if member.preprocess == preprocess]
            shown = [member for member in self.members[len(self.scorers) :] if member.preprocess == preprocess]
            if scorers:
                found.append(Ensemble([*scorers, *shown], mirror=self.mirror, shown=len(shown)))
        return tuple(found)

    @property
    def preprocess(self) -> PreprocessSettings:
        """How a scan becomes slices for these models; with several scales, for the first of them."""
        return self.members[0].preprocess

    @property
    def has_restorer(self) -> bool:
        """Whether a healthy image is made."""
        return any(member.has_restorer for member in self.members)

    @property
    def pixel_bytes(self) -> int:
        """Bytes of working memory for each pixel of the slices seen at once; the members run one after another, restorations are kept."""
        return max(member.pixel_bytes for member in self.members) + 8 * len(self.members) * (1 + self.mirror)

    @property
    def parameters(self) -> int:
        """Number of weights in the networks in use; a shared restorer counts once."""
        used = [network for member in self.scorers for network in member.networks.values()]
        used += [member.restorer for member in self.members[len(self.scorers) :]]
        networks = {id(network): network for network in used}
        return sum(p.numel() for network in networks.values() for p in network.parameters())

    def to(self, device: torch.device) -> Ensemble:
        """Move all networks to a device."""
        for member in self.members:
            member.to(device)
        return self

    def predict(self, images: NDArray[np.float32], liver_mask: NDArray[np.bool_]) -> Prediction:
        """Score a batch of slices."""
        if any(member.preprocess != self.preprocess for member in self.members):
            raise make_refusal("ensemble-mixed")
        found = predict_together(self.members, images, liver_mask, self.scorers)
        if self.mirror:
            flipped, mirrored = np.ascontiguousarray(images[..., ::-1]), np.ascontiguousarray(liver_mask[..., ::-1])
            turned = predict_together(self.members, flipped, mirrored, self.scorers)
            found += [
                Prediction(one.score[..., ::-1], None if one.restored is None else one.restored[..., ::-1]) for one in turned
            ]
        restored = [one.restored for one in found if one.restored is not None]
        places = [place for place in range(len(found)) if place % len(self.members) < len(self.scorers)]
        score = np.asarray(np.mean([found[place].score for place in places], axis=0, dtype=np.float32))
        return Prediction(score, np.mean(restored, axis=0, dtype=np.float32) if restored else None)

    def save(self, path: str | Path, card: ModelCard | None = None) -> str:
        """Write all weights that are used, in half precision, and their card."""
        tensors, members, restorers = {}, [], [member.restorer for member in self.members]
        for number, member in enumerate(self.members):
            owner = restorers.index(member.restorer)
            members.append({"settings": member.config.to_dict(), "seed": member.seed, "restorer_of": owner})
            for name, value in member.tensors().items():
                unused = owner != number if name.startswith("restorer.") else number >= len(self.scorers)
                if not unused:
                    tensors[f"{number}.{name}"] = narrowed(value)
        shown = len(self.members) - len(self.scorers)
        whole = replace(card or ModelCard(), key=KEY, members=members, mirror=self.mirror, shown=shown)
        return checkpoint.save(path, tensors, whole.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> Ensemble:
        """Read weights and check that they fit their card."""
        return cls.from_weights(checkpoint.open_weights(path))

    @classmethod
    def from_weights(cls, weights: checkpoint.Weights) -> Ensemble:
        """Build the ensemble of a file that was opened."""
        card, tensors, file = weights.card, weights.tensors, weights.path.name
        abouts = card.get("members") if card.get("key") == KEY else None
        shown = card.get("shown", 0)
        if not isinstance(abouts, list) or not isinstance(card.get("mirror"), bool) or not _below(shown, max(len(abouts), 1)):
            raise make_refusal("model-card", file=file)
        parts: list[dict[str, torch.Tensor]] = [{} for _ in abouts]
        for name, value in tensors.items():
            number, _, rest = name.partition(".")
            place = int(number) if number.isdecimal() and int(number) < len(parts) else 0
            parts[place][rest] = widened(value)
        for place in range(len(parts) - shown, len(parts)):  # members that are only shown; earlier versions kept their segmenters
            parts[place] = {name: value for name, value in parts[place].items() if name.startswith("restorer.")}
        for place, about in enumerate(abouts):
            owner = about.get("restorer_of", place) if isinstance(about, dict) else place
            if _below(owner, place):
                parts[place] |= {name: value for name, value in parts[owner].items() if name.startswith("restorer.")}
        model = cls(
            [
                TwoStage.rebuilt(about, part, file, without="segmenter" if place >= len(parts) - shown else "")
                for place, (about, part) in enumerate(zip(abouts, parts, strict=True))
            ],
            mirror=card["mirror"],
            shown=shown,
        )
        model.name, model.hash = weights.path.stem, weights.hash
        model.card = ModelCard.from_dict(card, weights.checksum)
        return model
