"""Rows about the machine and the disk: what it cannot run or write is said before the work, and never taken for a result."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from faults.stubs import FullCard, Grey, fake_card, small_scan
from faults.table import row
from faults.witness import refused
from napari_liver_anomaly.cli import REFUSED, main
from napari_liver_anomaly.evaluation import evaluate as measuring
from napari_liver_anomaly.evaluation.cross_validation import require_measured
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.io import write_case
from napari_liver_anomaly.memory import Ladder, too_little
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

if TYPE_CHECKING:
    from faults.table import Kit


@row(88)
def a_fault_of_the_machine_is_no_answer_of_the_model(kit: Kit) -> None:
    """Memory or the graphics card are missing while a model is measured: the case would count as Dice 0."""
    cases = kit.folder / "cases"
    for seed, name in enumerate("abc"):
        sample = make_phantom(PhantomSettings(seed=seed, size_px=64, slices=12))
        write_case(sample.volume, sample.liver, sample.tumours, cases, name)
    report = kit.folder / "report.json"
    words = ["evaluate", "--data", str(cases), "--model", "phantom-only", "--seen", "mark", "--out", str(report)]
    if not torch.cuda.is_available():
        assert main([*words, "--device", "cuda"]) == REFUSED
        assert "No usable graphics card" in kit.output.readouterr().err and not report.exists()

    runs: list[Any] = []
    for error in (too_little(0), MemoryError(), FullCard("CUDA out of memory.")):

        def fails_on_the_second(volume: Any, *rest: Any, error: BaseException = error, **more: Any) -> Any:
            runs.append(volume.identity)
            if runs.count(runs[0]) and len(set(runs)) == 2:
                raise error
            return segment(volume, *rest, **more)

        runs.clear()
        kit.patch.setattr(measuring, "segment", fails_on_the_second)
        assert main([*words, "--device", "cpu"]) == REFUSED, "a script must not take the report for a complete one"
        said = kit.output.readouterr().err
        assert "could not run b; the figures are over 2 of 3 cases" in said and "The report is written" in said
        found = json.loads(report.read_text(encoding="utf-8"))
        assert [one["case"] for one in found["cases"]] == ["a", "c"]
        (left_out,) = found["left_out"]
        assert left_out["case"] == "b" and left_out["not_run"] is True and "Not enough memory" in left_out["why"]
        for subsets in found["summary"].values():
            assert subsets["all"]["scans"] == 2 and subsets["all"]["not_measured"] == 1
            assert subsets["all"]["dice"]["case_mean"]["of"] == 3
        assert any("could not be run on this machine" in note for note in found["notes"])
        report.unlink()

    def never(*_: Any, **__: Any) -> Any:
        raise too_little(0)

    kit.patch.setattr(measuring, "segment", never)
    with refused("no case can be run", "cases-none-run"):
        measuring.evaluate(cases, DarkRule(), device="cpu")
    with refused("no case of a fold can be run", "cases-none-run"):
        require_measured([], [measuring.why_left_out("a", measuring.NotRun("Why."))])


class FullAtOnce(Grey):
    """Its weights do not fit beside what is on the card already."""

    def to(self, device: torch.device) -> Grey:
        if device.type == "cuda":
            raise FullCard("CUDA out of memory. Tried to allocate 2.00 MiB")
        return super().to(device)


@row(93)
def limits_of_memory_are_seen_before_they_end_the_program(kit: Kit) -> None:
    """Memory: a card that is full already, limits of nested groups, a run that fits but cannot be written, voxels of 20 mm."""
    volume, liver = small_scan()
    plain = segment(volume, liver, Grey(), device="cpu")
    fake_card(kit)
    fallen = segment(volume, liver, FullAtOnce(), device="cuda")
    assert fallen.device == "cpu" and "GPU memory full" in fallen.ran_on
    assert np.array_equal(fallen.score, plain.score) and np.array_equal(fallen.labels, plain.labels)
    ladder = Ladder(torch.device("cuda"), 8)
    ladder.settle(FullAtOnce())
    assert (ladder.device.type, ladder.batch) == ("cpu", 8), "fewer slices at once make no room for weights"
