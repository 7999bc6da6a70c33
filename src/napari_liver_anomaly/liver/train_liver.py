"""Train a liver finder, its coarse network and then its fine one, and write it with its card."""

from __future__ import annotations

from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from napari_liver_anomaly.device import is_first
from napari_liver_anomaly.io import read
from napari_liver_anomaly.io.cases import find_cases
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.liver.case_livers import ASK, read_case_liver
from napari_liver_anomaly.liver.finder import Finder
from napari_liver_anomaly.liver.liver_schedule import LiverSchedule
from napari_liver_anomaly.liver.sampling import LiverBatch, LiverCase, coarse_sample, fine_sample, liver_set
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.models.card import CROSS_VALIDATION, Metrics, ModelCard, card_of
from napari_liver_anomaly.models.stage import Stage
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.placing import require_place
from napari_liver_anomaly.processes import together, totals
from napari_liver_anomaly.storage import hash_of
from napari_liver_anomaly.training.loop import train_stage
from napari_liver_anomaly.training.training_need import STATE_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from torch import Tensor, nn

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.cases import Case
    from napari_liver_anomaly.io.read_options import MaskOptions

TITLE = "Liver finder: a coarse network at 10 mm, a fine one at 2.5 mm."
PHANTOM_SEEDS = (101, 102, 103)
PHANTOM_WEIGHT = 1 / 3


def train_liver(
    folder: str | Path,
    path: str | Path,
    *,
    without: Sequence[str] = (),
    start: str | Path | None = None,
    schedule: LiverSchedule | None = None,
    seed: int = 0,
    about: str = "",
    command: str = "",
    metrics: dict[str, Any] | None = None,
    keep_names: bool = False,
    masks: MaskOptions = ASK,
    tell: Callable[[Iterable[Finding]], object] | None = None,
    job: Job | None = None,
) -> dict[str, Any]:
    """Train a liver finder on a folder of cases, ``NAME_ct`` and ``NAME_liver`` files, and write its weights and card.

    The card knows the scans by their hashes, so that no finder is measured on what it was trained on; ``keep_names`` keeps the names of the files,
    for data sets whose names are no patients'. ``start`` is a liver finder to go on from; what it was trained on is kept in the new card. A training
    that was stopped goes on. ``masks`` answers what the liver masks ask, for all of them; ``tell`` takes what is doubtful about each.
    """
    job = job or Job()
    cases = {case.name: case for case in find_cases(folder)}
    require_cases(list(without), cases, "--without")
    kept = [case for name, case in cases.items() if name not in without]
    if not kept:
        raise make_refusal("no-cases-left")
    require_place(path, needed=Finder().parameters * STATE_BYTES)
    data = training_cases(kept, job, masks=masks, tell=tell, named=keep_names)
    return train_and_write(data, path, schedule or LiverSchedule(), seed, about, command, metrics, job, start, keep_names)


def require_cases(names: Sequence[str], cases: dict[str, Case], option: str) -> None:
    """Refuse names that are unknown or stand twice."""
    odd = sorted({name for name in names if name not in cases or names.count(name) > 1})
    if odd:
        raise make_refusal("case-unknown", cases=", ".join(odd), option=option)


def training_cases(
    cases: Sequence[Case], job: Job, phantoms: Sequence[int] = PHANTOM_SEEDS, *, masks: MaskOptions = ASK,
    tell: Callable[[Iterable[Finding]], object] | None = None, named: bool = True,
) -> list[LiverCase]:  # fmt: skip
    """Read cases, and build phantoms of these seeds, to train on."""
    made: list[LiverCase] = []
    total = len(cases) + len(phantoms)
    for number, case in enumerate(cases, start=1):
        job.at("Reading the scans", len(made), total)
        volume = read(case.ct)
        liver = read_case_liver(case, volume, masks, "" if named else f"case {number} of {len(cases)}")
        if tell is not None:
            tell(liver.findings)
        made.append(LiverCase.of(case.name, volume, liver))
    for seed in phantoms:
        job.at("Reading the scans", len(made), total)
        sample = make_phantom(PhantomSettings(seed=seed, size_px=144))
        made.append(LiverCase.of(f"phantom {seed}", sample.volume, sample.liver, PHANTOM_WEIGHT))
    return made


def train_and_write(
    cases: list[LiverCase], path: str | Path, schedule: LiverSchedule, seed: int, about: str, command: str,
    metrics: dict[str, Any] | None, job: Job, start: str | Path | None = None, keep_names: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Train on cases and write weights and card; what was kept of an unfinished training goes then."""
    path = Path(path)
    states = path.with_name(f"{path.stem}.unfinished")
    former = ModelCard.read(start) if start else None
    with together(torch.device("cpu")):
        finder, figures = train_finder(cases, schedule, seed=seed, job=job, start=start, state=states)
    data = {
        "scans": [
            {"scan": one.scan} | ({"name": one.name} if keep_names else {})
            for one in cases
            if not one.name.startswith("phantom ")
        ],
        "phantom_seeds": [int(one.name.split()[1]) for one in cases if one.name.startswith("phantom ")],
        "about": about,
    }
    measured = (metrics or {}).get("schedule")
    same = measured is not None and LiverSchedule.from_dict(measured) == schedule
    card = card_of(
        finder, data, training=figures, title=TITLE, seed=seed, schedule=schedule.to_dict(), command=command,
        started_from=started_from(former, keep_names) if former else {},
        metrics=Metrics(of=CROSS_VALIDATION if same else "", summary=metrics.get("summary", {})) if metrics else None,
    )  # fmt: skip
    if not is_first():
        return card.to_dict()
    finder.save(path, card)
    for state in path.parent.glob(f"{escape(states.name)}.stage*.safetensors"):
        state.unlink(missing_ok=True)
    return card.to_dict()


def started_from(former: ModelCard, keep_names: bool) -> dict[str, Any]:
    """Say what a finder that was gone on from was trained on."""
    data = former.data if keep_names else without_names(former.data)
    return {"data": data, "schedule": former.schedule, "seed": former.seed}


def without_names(data: dict[str, Any]) -> dict[str, Any]:
    """Give what a card says of the data without the names of cases, which earlier versions wrote unasked."""
    listed = data.get("scans")
    kept = (
        [{"scan": one["scan"]} for one in listed if isinstance(one, dict) and "scan" in one] if isinstance(listed, list) else []
    )
    return {**data, "scans": kept} | (
        {"scans_without_hash": len(listed) - len(kept)} if isinstance(listed, list) and len(kept) < len(listed) else {}
    )


def train_finder(
    cases: Sequence[LiverCase],
    schedule: LiverSchedule,
    *,
    seed: int,
    job: Job,
    start: str | Path | None = None,
    state: Path | None = None,
) -> tuple[Finder, dict[str, Any]]:
    """Train a new liver finder, or go on from one; ``state`` begins the names of the files that keep an unfinished training."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        finder = Finder.load(start) if start else Finder()
    started_from = hash_of(start) if start else ""
    figures: dict[str, Any] = {}
    for stage, draw, batch in (
        (_stage("blocks", 1, finder.coarse, schedule.coarse_steps), coarse_sample, schedule.coarse_batch),
        (_stage("slices", 2, finder.fine, schedule.fine_steps), fine_sample, schedule.fine_batch),
    ):
        data = liver_set(cases, draw, batch, started_from, schedule.p_bulging)
        kept = Path(f"{state}.stage{stage.number}.safetensors") if state else None
        figures[f"stage_{stage.number}"] = train_stage(
            stage, data, schedule.learning_rate, seed=seed, device=finder.device, state=kept, job=job
        )
    return finder, figures


def _stage(what: str, number: int, network: nn.Module, steps: int) -> Stage:
    """Training of one network: the step size rises for a twentieth of the time, then falls; a running mean of the weights is what is kept."""

    def loss(batch: LiverBatch) -> Tensor:
        return liver_loss(network(batch.image), batch.liver)

    return Stage(
        name=f"Training the liver finder · {what}", number=number, network=network, loss=loss, steps=steps, cosine_decay=True,
        warm_up=max(1, steps // 20), adam={"weight_decay": 1e-4, "decoupled_weight_decay": True}, largest_gradient=1.0, averaging=0.98,
    )  # fmt: skip


def liver_loss(logits: Tensor, liver: Tensor) -> Tensor:
    """Cross-entropy plus one minus Dice over the whole batch, given logits and how much of each voxel is liver, (B, 1, …)."""
    logits = logits.float()  # sums over a batch need more digits than bfloat16 has
    probability = logits.sigmoid()
    both, found, there = totals((probability * liver).sum(), probability.sum(), liver.sum())
    overlap = (2 * both + 1) / (found + there + 1)
    return functional.binary_cross_entropy_with_logits(logits, liver) + 1 - overlap
