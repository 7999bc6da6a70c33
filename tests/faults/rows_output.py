"""Rows about the machine and the disk: what it cannot run or write is said before the work, and never taken for a result."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from faults.stubs import FullCard, Grey, fake_card, small_scan
from faults.table import row
from faults.witness import names_in, refused
from napari_liver_anomaly import placing
from napari_liver_anomaly.cli import ASKED, DONE, REFUSED, STOPPED, main, program
from napari_liver_anomaly.errors import Question
from napari_liver_anomaly.evaluation import evaluate as measuring
from napari_liver_anomaly.evaluation.cross_validation import require_measured
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.io import results, write_case, write_image, write_labels
from napari_liver_anomaly.io.results import require_results_place
from napari_liver_anomaly.memory import Ladder, too_little
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    from pathlib import Path

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


def sample_of(folder: Path) -> list[str]:
    """A small scan with its masks as files, as words of a command."""
    volume, liver = small_scan()
    scan = write_image(volume.voxels, volume.geometry, folder / "scan.nii.gz")
    return [str(scan), "--liver", str(write_labels(liver.voxels, volume.geometry, folder / "liver.nii.gz")), "--device", "cpu"]


@row(89)
def what_cannot_be_written_is_said_before_the_work(kit: Kit) -> None:
    """A place that cannot be written to, too long a name, no right, no room, an input in the way: known only after the work, the result lost."""
    words = sample_of(kit.folder)
    a_file, a_folder = kit.folder / "file", kit.folder / "folder"
    a_file.write_bytes(b"a file")
    a_folder.mkdir()
    long = "x" * 300

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("the work began")

    for name in ("napari_liver_anomaly.io.read", "napari_liver_anomaly.models.load", "napari_liver_anomaly.phantom.make_phantom"):
        kit.patch.setattr(name, never)
    kit.patch.setattr("napari_liver_anomaly.training.training_file.pack_training_set", never)
    kit.patch.setattr("napari_liver_anomaly.evaluation.evaluate.evaluate", never)
    into_folders = (["segment", *words], ["synthesise", *words], ["phantom"])
    into_files = (
        ["prepare", str(a_folder)],
        ["train", "--healthy", str(a_folder)],
        ["evaluate", "--data", str(a_folder)],
        ["liver", words[0]],
    )
    bad = [
        *((verb, place, "Not a directory") for verb in into_folders for place in (a_file, a_file / "below")),
        *((verb, a_folder / place, "File name too long") for verb in into_folders for place in (long, f"{long}/below")),
    ]
    for verb in into_files:
        ending = {"liver": ".nii.gz", "train": ".safetensors"}.get(verb[0], ".npz")
        (a_folder / f"it{ending}").mkdir(exist_ok=True)
        bad += [
            (verb, a_folder / f"it{ending}", "Is a directory"), (verb, a_file / f"a{ending}", "Not a directory"),
            (verb, a_folder / f"{long}{ending}", "File name too long"),
        ]  # fmt: skip
    bad.append((into_files[1], a_folder / f"{'y' * 240}.safetensors", "File name too long"))  # what is kept of a stopped training
    for verb, place, reason in bad:
        assert main([*verb, "--out", str(place)]) == REFUSED, (verb, place)
        said = kit.output.readouterr().err
        assert f"cannot be: {reason}." in said and "The work was not begun" in said, (verb, place, said)
    assert main(["liver", words[0], "--out", str(a_folder / "liver.png")]) == REFUSED
    assert "liver.png" in kit.output.readouterr().err
    assert main(["liver", words[0], "--out", words[0]]) == REFUSED and "were read" in kit.output.readouterr().err
    (kit.folder / "score.nii.gz").write_bytes(b"a scan of this name")
    assert main(["segment", str(kit.folder / "score.nii.gz"), "--out", str(kit.folder)]) == REFUSED
    assert "were read" in kit.output.readouterr().err
    assert names_in(a_folder) == ["it.nii.gz", "it.npz", "it.safetensors"] and a_file.read_bytes() == b"a file", (
        "nothing is left of the trial"
    )

    kit.patch.setattr(placing.shutil, "disk_usage", lambda path: SimpleNamespace(free=999))
    with refused("no room", "out-unfit") as caught:
        require_results_place(kit.folder / "new" / "results", needed=1000)
    assert "No space left" in caught.finding.what and not (kit.folder / "new").exists()
    kit.patch.undo()
    closed = kit.folder / "closed"
    closed.mkdir(mode=0o500)
    if not os.access(closed, os.W_OK):
        with refused("no right", "out-unfit"):
            require_results_place(closed / "results")

    def no_right(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(kit.folder))

    kit.patch.setattr(placing.os, "open", no_right)
    with refused("no right", "out-unfit") as caught:
        require_results_place(kit.folder / "new")
    assert "Permission denied" in caught.finding.what and str(kit.folder) not in str(caught.finding)


INTERRUPTED = """
import os, sys, time
from napari_liver_anomaly import placing
real, calls = os.replace, []
def slow(source, target):
    calls.append(target)
    print("put", flush=True)
    time.sleep(0.1)
    real(source, target)
placing.os.replace = slow
from napari_liver_anomaly.cli import main
sys.exit(main(sys.argv[1:]))
"""


def whose(folder: Path, seeds: dict[int, dict[str, bytes]]) -> set[int]:
    """Whose files are in a folder, by their bytes."""
    return {
        seed
        for seed, files in seeds.items()
        for name in names_in(folder)
        if not name.startswith(".") and (folder / name).read_bytes() == files[name]
    }


@row(90)
def files_of_two_runs_are_never_mixed(kit: Kit) -> None:
    """Stopped or killed while files take their places, or two runs end in one folder: the score of one beside the mask of the other."""
    words, seeds = ["synthesise", *sample_of(kit.folder), "--recipe", "noise-stretch"], {}
    for seed in (7, 8):
        assert main([*words, "--seed", str(seed), "--out", str(kit.folder / str(seed))]) == DONE
        seeds[seed] = {name: (kit.folder / str(seed) / name).read_bytes() for name in names_in(kit.folder / str(seed))}
    assert all(seeds[7][name] != seeds[8][name] for name in seeds[7]) and len(seeds[7]) == 2
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        out = kit.folder / f"stopped-{number}"
        shutil.copytree(kit.folder / "7", out)
        run = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, *words, "--seed", "8", "--out", str(out)], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        assert run.stdout is not None and run.stdout.readline() == "put\n"
        run.send_signal(number)
        said = run.communicate(timeout=60)[1]
        assert whose(out, seeds) in ({7}, {8}, set()), (number, names_in(out))
        if number != signal.SIGKILL:
            assert run.returncode == STOPPED and "the results were written before that" in said, said
            assert whose(out, seeds) == {8} and len(names_in(out)) == 2, "all or none, and nothing left beside"
        left = [out / name for name in names_in(out) if name.startswith(".")]
        for path in left:
            os.utime(path, (1, 1))
        assert bool(left) == (number == signal.SIGKILL)
        assert main([*words, "--seed", "7", "--out", str(out)]) == DONE
        assert whose(out, seeds) == {7} and len(names_in(out)) == 2, "the next run sweeps what a killed one left"
    kit.output.readouterr()

    held = kit.folder / "7" / f".writing-{'0' * 16}.nii.gz"
    held.write_bytes(b"half of another run's")
    os.utime(held, (1, 1))
    if fcntl is not None:
        with open(held, "rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            assert main([*words, "--seed", "7", "--out", str(kit.folder / "7")]) == DONE
            assert held.exists(), "its writer is alive"
    assert main([*words, "--seed", "7", "--out", str(kit.folder / "7")]) == DONE and not held.exists()

    # Two runs that find the folder free and end at the same time: one has it, the other is asked.
    volume, liver = small_scan()
    result, folder = segment(volume, liver, Grey(), device="cpu"), kit.folder / "raced"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    write = results.write_together

    def late(*rest: Any, **more: Any) -> Any:
        kit.patch.setattr(results, "write_together", write)
        results.write(result, folder)
        return write(*rest, **more)

    kit.patch.setattr(results, "write_together", late)
    with refused("the second of two", "folder-used"):
        results.write(result, folder)
    assert not [name for name in names_in(folder) if name.startswith(".")] and (folder / "notes.txt").exists()


@row(91)
def one_folder_holds_one_run(kit: Kit) -> None:
    """A second run into a used folder: another patient's results are overwritten, or an earlier model's restoration stays beside the new results."""
    volume, liver = small_scan()
    result, out = segment(volume, liver, Grey(), device="cpu"), kit.folder / "out"
    results.write(result, out)
    (out / "notes.txt").write_text("mine", encoding="utf-8")
    assert {"restored.nii.gz", "residual.nii.gz"} <= set(names_in(out))
    before = {name: (out / name).read_bytes() for name in names_in(out)}
    other = dataclasses.replace(result, restored=None, residual=None, model="other")
    with refused("a used folder", "folder-used", kind=Question) as caught:
        results.write(other, out)
    assert [answer.flag for answer in caught.finding.answers] == ["--replace"]
    assert {name: (out / name).read_bytes() for name in names_in(out)} == before
    words = ["segment", *sample_of(kit.folder), "--model", "phantom-only", "--out", str(out)]
    assert main(words) == ASKED and "--replace" in kit.output.readouterr().err
    assert {name: (out / name).read_bytes() for name in names_in(out)} == before
    results.write(other, out, replace=True)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["model"] == "other" and set(names_in(out)) == {*report["files"], "notes.txt"}, "nothing of the first run stays"
    assert main([*words, "--replace"]) == DONE
    assert set(names_in(out)) == {*json.loads((out / "report.json").read_text(encoding="utf-8"))["files"], "notes.txt"}


class Full(io.StringIO):
    """A log on a disk that is full."""

    def write(self, text: str) -> int:
        raise OSError(28, "No space left on device")


class Piped(io.StringIO):
    """A pipe whose reader has gone: what is written is held, and lost when it is passed on."""

    def flush(self) -> None:
        raise BrokenPipeError(32, "Broken pipe")


@row(92)
def after_the_results_nothing_says_that_there_are_none(kit: Kit) -> None:
    """A full log disk, a closed terminal, a pipe whose reader went, or a stop after the results were written: they would be said to be lost."""
    words = ["segment", *sample_of(kit.folder), "--model", "phantom-only"]
    for name, out, err in (
        ("full", Full(), io.StringIO()),
        ("gone", Piped(), io.StringIO()),
        ("closed", None, None),
        ("all full", Full(), Full()),
    ):
        folder = kit.folder / name
        with kit.patch.context() as patch:
            patch.setattr(sys, "stdout", out)
            patch.setattr(sys, "stderr", err)
            assert main([*words, "--out", str(folder)]) == DONE, name
        assert (folder / "report.json").exists(), name
        if name == "full":
            assert "the results are written" in err.getvalue() and "No result" not in err.getvalue()
    with kit.patch.context() as patch:
        patch.setattr(sys, "stdout", Full())
        assert main(["models"]) == REFUSED
    assert "nothing could be printed (No space left on device)" in kit.output.readouterr().err

    def stopped(*_: Any) -> None:
        raise KeyboardInterrupt

    with kit.patch.context() as patch:
        patch.setattr("napari_liver_anomaly.cli.segment.say", stopped)
        assert main([*words, "--out", str(kit.folder / "late")]) == STOPPED
    assert "the results were written before that" in kit.output.readouterr().err
    with kit.patch.context() as patch:  # in the first second, while modules are loaded
        patch.setattr(program, "parser_of", stopped)
        assert main(words) == STOPPED
    assert "stopped; no result was written" in kit.output.readouterr().err


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
