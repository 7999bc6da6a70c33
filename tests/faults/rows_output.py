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
import tracemalloc
from itertools import product
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

import napari_liver_anomaly
from faults.stubs import FullCard, Grey, fake_card, small_scan
from faults.table import row
from faults.witness import names_in, refused
from napari_liver_anomaly import checkpoint, placing, storage
from napari_liver_anomaly.cli import ASKED, DONE, REFUSED, STOPPED, main, program
from napari_liver_anomaly.errors import Question
from napari_liver_anomaly.evaluation import case_measuring
from napari_liver_anomaly.evaluation import evaluate as measuring
from napari_liver_anomaly.evaluation.case_measuring import NotRun
from napari_liver_anomaly.evaluation.cross_validation import require_measured
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.inference import needed_bytes, segment
from napari_liver_anomaly.io import results, write_case, write_image, write_labels
from napari_liver_anomaly.io.cases import find_cases
from napari_liver_anomaly.io.results import require_results_place
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.liver import find_liver, finder
from napari_liver_anomaly.memory import Ladder, too_little
from napari_liver_anomaly.messages import make_finding
from napari_liver_anomaly.models.rules import DarkRule
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.volume import Mask, Volume

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

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
        kit.patch.setattr(case_measuring, "segment", fails_on_the_second)
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

    kit.patch.setattr(case_measuring, "segment", never)
    with refused("no case can be run", "cases-none-run"):
        measuring.evaluate(cases, DarkRule(), device="cpu")
    with refused("no case of a fold can be run", "cases-none-run"):
        require_measured([], [measuring.why_left_out("a", NotRun("Why."))])


def sample_of(folder: Path) -> list[str]:
    """A small scan with its masks as files, as words of a command."""
    volume, liver = small_scan()
    scan = write_image(volume.voxels, volume.geometry, folder / "scan.nii.gz")
    mask = write_labels(liver.voxels, volume.geometry, folder / "liver.nii.gz")
    small = ("--given-liver", "accept", "--voxel-size", "accept")  # a liver in a picture of six centimetres
    return [str(scan), "--liver", str(mask), *small, "--device", "cpu"]


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
        assert f"cannot be written: {reason}." in said and "The work was not begun" in said, (verb, place, said)
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


WEIGHTS = Path(napari_liver_anomaly.__file__).parent / "weights"
INTERRUPTED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background run would ignore it
import napari_liver_anomaly
from napari_liver_anomaly import checkpoint, placing, storage
replace, exchange, at_once = os.replace, placing._exchange, sys.argv.pop(1) == "at once"
def slow(source, target, put):
    print("put", flush=True)
    sys.stdin.readline()  # until the signal was sent
    return put(source, target)
placing.os.replace = lambda source, target: slow(source, target, replace)
placing._exchange = (lambda source, target: slow(source, target, exchange)) if at_once else lambda source, target: False
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
    for number, way in product((signal.SIGINT, signal.SIGTERM, signal.SIGKILL), ("at once", "one by one")):
        out = kit.folder / f"stopped-{number}-{way}" / "out"
        out.parent.mkdir()
        shutil.copytree(kit.folder / "7", out)
        run = subprocess.Popen(
            [sys.executable, "-c", INTERRUPTED, way, *words, "--seed", "8", "--out", str(out)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
        )  # fmt: skip
        assert run.stdout is not None and run.stdout.readline() == "put\n"
        run.send_signal(number)
        said = run.communicate("\n" * 20, timeout=60)[1]
        assert whose(out, seeds) in ({7}, {8}) if way == "at once" else whose(out, seeds) in ({7}, {8}, set()), (number, way)
        assert way != "at once" or len([name for name in names_in(out) if not name.startswith(".")]) == 2, "all of them"
        if number != signal.SIGKILL:
            assert run.returncode == STOPPED and "the results were written before that" in said, said
            assert whose(out, seeds) == {8} and len(names_in(out)) == 2, "all or none, and nothing left beside"
        left = [folder / name for folder in (out, out.parent) for name in names_in(folder) if name.startswith(".")]
        for path in left:
            os.utime(path, (1, 1))
        assert bool(left) == (number == signal.SIGKILL)
        assert main([*words, "--seed", "7", "--out", str(out)]) == DONE
        assert whose(out, seeds) == {7} and len(names_in(out)) == 2, "the next run sweeps what a killed one left"
        assert names_in(out.parent) == ["out"]
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

    # A folder that a program works in, or that holds other files, stays the same folder.
    here = kit.folder / "here"
    here.mkdir()
    with kit.patch.context() as patch:
        patch.chdir(here)
        for seed in ("7", "8"):
            assert main([*words, "--seed", seed, "--out", "."]) == DONE
            assert whose(Path(), seeds) == {int(seed)} and len(names_in(here)) == 2

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
    assert main(words) == ASKED and "--replace" in (said := kit.output.readouterr().err) and "holds results of" in said
    assert {name: (out / name).read_bytes() for name in names_in(out)} == before
    results.write(other, out, replace=True)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["model"] == "other" and set(names_in(out)) == {*report["files"], "notes.txt"}, "nothing of the first run stays"
    assert main([*words, "--replace"]) == DONE
    assert set(names_in(out)) == {*json.loads((out / "report.json").read_text(encoding="utf-8"))["files"], "notes.txt"}
    (out / "report.json").unlink()  # it comes last: a run was killed before
    assert main(words) == ASKED and "holds part of the results of an earlier run" in kit.output.readouterr().err


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

    # Groups inside groups, as schedulers and containers make them: the least of all that are above counts.
    for version, line in (("", "0::/user.slice/job_7/step_0"), ("memory", "4:cpu,memory:/user.slice/job_7/step_0")):
        mount = kit.folder / f"groups{version}"
        (mount / "user.slice" / "job_7" / "step_0").mkdir(parents=True)
        (kit.folder / "own").write_text(f"9:name=systemd:/\n{line}\n", encoding="utf-8")
        kit.patch.setattr(storage, "OWN_GROUPS", str(kit.folder / "own"))
        kit.patch.setattr(storage, "GROUPS", ((version, str(mount), "max", "current", "inactive_file"),))
        kit.patch.setattr(storage, "_free_here", lambda: 8 * 10**9)
        assert storage.free_memory() > 4 * 10**9
        for number, place in enumerate(("", "user.slice/job_7", "user.slice/job_7/step_0", "user.slice")):
            (mount / place / "max").write_text(f"{4_000_000 - number * 500_000}\n", encoding="utf-8")
            (mount / place / "current").write_text("1000000\n", encoding="utf-8")
            assert storage.free_memory() == 3_000_000 - number * 500_000, (version, place)

    # Under a limit that is too small to load what computes, the system would end the program without a word.
    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("the work began")

    with kit.patch.context() as patch:
        patch.setattr("napari_liver_anomaly.io.read", never)
        patch.setattr(storage, "_free_memory", lambda: 150 * 10**6)
        assert main(["segment", *sample_of(kit.folder), "--out", str(kit.folder / "out")]) == REFUSED
        assert "Not enough memory: needs 200.0 MB, 150.0 MB are free" in kit.output.readouterr().err

    # A small file can be a large room: 24 cm of air in voxels of 20 mm, and four metres of it.
    kit.patch.setattr(storage, "_free_memory", lambda: 10**9)
    wide = Volume(
        np.full((200, 200, 200), -1000, np.int16), Geometry((200, 200, 200), np.diag([-20.0, -20.0, 20.0, 1.0])), "wide"
    )
    with refused("20 mm", "memory-out"):
        find_liver(wide, device="cpu")
    assert finder.needed_bytes((300, 512, 512), (1.0, 0.8, 0.8)) < 10**9, "a usual scan is not refused"

    # What the result holds counts, however small the liver.
    class Free(Grey):
        pixel_bytes = 1

    shape = (100, 512, 512)
    inside = np.zeros(shape, bool)
    inside[50:52, 250:260, 250:260] = True
    geometry = Geometry(shape[::-1], np.diag([-0.8, -0.8, 2.0, 1.0]))
    large = Volume(np.zeros(shape, np.int16), geometry, "large")
    assert needed_bytes(large, Mask(inside, geometry, large.identity), Free(), 1) >= 3 * inside.size


@row(94)
def weights_name_no_case_unasked(kit: Kit) -> None:
    """Names of cases, which may be patients', stand in the card or in the command of a liver finder or a model of the comparison."""
    from napari_liver_anomaly.checkpoint import read_card
    from napari_liver_anomaly.liver import train_liver as training

    cases = kit.folder / "cases"
    for seed, name in enumerate(("MUSTERMANN", "ERIKA", "OTTO")):
        sample = make_phantom(PhantomSettings(seed=seed, size_px=64, slices=12, tumours=False))
        write_case(sample.volume, sample.liver, sample.tumours, cases, name)
    made = training.training_cases
    kit.patch.setattr(training, "training_cases", lambda chosen, job, **rest: made(chosen, job, (), **rest))
    short = ["--coarse-steps", "1", "--fine-steps", "1", "--coarse-batch", "1", "--fine-batch", "1", "--without", "OTTO"]
    first, second, named = (kit.folder / f"{name}.safetensors" for name in ("first", "second", "named"))
    words = ["train-liver", "--data", str(cases), "--given-liver", "accept", *short]
    assert main([*words, "--keep-names", "--out", str(named)]) == DONE
    assert main([*words, "--out", str(first)]) == DONE
    assert main([*words, "--start", str(named), "--out", str(second)]) == DONE
    for name in (b"MUSTERMANN", b"ERIKA", b"OTTO"):
        assert name in named.read_bytes()
        assert name not in first.read_bytes() and name not in second.read_bytes(), name
    card = read_card(first)
    assert [sorted(one) for one in card["data"]["scans"]] == [["scan"], ["scan"]] and "CASE1" in card["command"]
    assert {one["scan"] for one in card["data"]["scans"]} == {
        one.scan for one in made([case for case in find_cases(cases) if case.name != "OTTO"], Job(), ())
    }


@row(95)
def a_header_of_weights_is_bounded(kit: Kit) -> None:
    """Weights whose header is 60 MB of empty lists: parsed whole, seconds and gigabytes before anything is judged."""
    for name, size in (("header", 1_100_000), ("header", 60_000_000), ("card", 1_100_000)):
        lists = b"[]," * (size // 3)
        head = b'{"__metadata__":{"card":"{}"},"x":[' + lists + b"[]]}"
        if name == "card":
            head = json.dumps({"__metadata__": {"card": '{"x":[' + lists.decode() + "[]]}"}}).encode()
        path = kit.folder / "bomb.safetensors"
        path.write_bytes(len(head).to_bytes(8, "little") + head)
        tracemalloc.start()
        for use in (checkpoint.read_card, checkpoint.open_weights):
            with refused((name, size, use), "model-damaged"):
                use(path)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2_000_000, "nothing of it was read"
    largest = max(int.from_bytes(path.read_bytes()[:8], "little") for path in WEIGHTS.rglob("*.safetensors"))
    assert 8 * largest < checkpoint.LARGEST_HEADER, "ours fit in with room"


@row(96)
def text_of_a_card_is_text(kit: Kit) -> None:
    """Escape signs and line ends in a card, a key or a file name steer the terminal; one odd card ends the list of all models."""
    card, weights = checkpoint.read_card(WEIGHTS / "hu.safetensors"), checkpoint.open_weights(WEIGHTS / "hu.safetensors").tensors
    kit.patch.setenv("LIVER_ANOMALY_MODELS", str(kit.folder))
    evil = "\x1b[2J\x1b]0;owned\x07Certified\x9b32m\u202ecba\nstandard (default): approved"
    checkpoint.save(kit.folder / "aaa.safetensors", weights, {**card, "title": evil})
    odd: dict[str, Any] = {
        "parameters": "many",
        "key": ["a"],
        "members": 5,
        "data": [],
        "networks": "x",
        "settings": 5,
        "title": {"a": "b"},
    }
    for key, value in odd.items():
        checkpoint.save(kit.folder / f"odd-{key}.safetensors", weights, {**card, key: value})
    assert main(["models"]) == DONE
    said = kit.output.readouterr().out
    assert not any(sign in said for sign in "\x1b\x07\x9b\u202e") and "Certified" in said
    assert not [line for line in said.splitlines() if line.startswith("standard (default): approved")]
    for key in odd:
        assert f"odd-{key} (installed)" in said, key
    assert "standard (default): " in said and f"Models of your own: {len(odd) + 1}" in said
    main(["info", "--model", "aaa"])
    assert not any(sign in kit.output.readouterr().out for sign in "\x1b\x07\x9b\u202e")
    finding = make_finding("model-missing", file=f"{evil}.safetensors")
    assert finding.what.isprintable() and "Certified" in finding.what
    assert main(["segment", "none.nii.gz", "--model", evil, "--out", str(kit.folder / "out")]) == REFUSED
    assert not any(sign in kit.output.readouterr().err for sign in "\x1b\x07\x9b\u202e")


WORKER = """
import multiprocessing, os, sys, time
from concurrent.futures import ProcessPoolExecutor
from liver_anomaly_study.comparison import end_with_parent

def work(seconds):
    print(os.getpid(), flush=True)
    time.sleep(seconds)

if __name__ == "__main__":
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent) as workers:
        workers.submit(work, 600).result()
"""


@row(97)
def nothing_is_left_behind_or_left_out(kit: Kit) -> None:
    """Workers outlive a program that was killed; a file of the comparison cut short is its fault; `python -OO` ends a run in the middle."""
    script = kit.folder / "worker.py"
    script.write_text(WORKER, encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True, env=environment)
    assert run.stdout is not None
    assert int(run.stdout.readline()) > 0
    run.kill()
    run.communicate(timeout=60)  # ends when the worker has ended, which holds the other end of the pipe

    from liver_anomaly_study.cases import _kept
    from liver_anomaly_study.record import read_figures

    for text in ("", '{"seeds": [1, 2', "[]", '{"other": 1}'):
        (kit.folder / "run.json").write_text(text, encoding="utf-8")
        with refused(text, "figures-damaged"):
            read_figures(kit.folder / "run.json", "seeds")
    (kit.folder / "cases.npz").write_bytes(b"PK\x03\x04 cut short")
    with refused("kept cases", "figures-damaged"):
        _kept(kit.folder / "cases.npz", Grey.preprocess, list)

    program = [sys.executable, "-OO", "-m", "napari_liver_anomaly"]
    out = kit.folder / "out"
    done = subprocess.run(
        [*program, "segment", *sample_of(kit.folder), "--out", str(out)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == REFUSED and "without -OO" in done.stderr and not out.exists(), done.stderr
    program[1] = "-O"
    words = [*program, "segment", *sample_of(kit.folder), "--model", "phantom-only", "--out", str(out)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == DONE and (out / "report.json").exists(), done.stderr
    done = subprocess.run(
        [sys.executable, "-OO", *program[2:], "segment", "--help"], capture_output=True, text=True, env=environment
    )
    assert done.returncode == DONE and "--threshold" in done.stdout, done.stderr
