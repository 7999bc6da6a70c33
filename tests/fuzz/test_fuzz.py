"""Damaged files by the thousand: what once escaped stays fixed, the oracle notices every kind of escape, and a crash or hang is recorded."""

from __future__ import annotations

import json
import random
import struct
import subprocess
from pathlib import Path

import numpy as np
import pytest

import fuzz as fuzzing
from builders import refusal_of
from fuzz import fuzz, keep, oracle, replay, work
from fuzz.__main__ import FuzzVerb
from fuzz.mutations import changed, damage
from fuzz.oracle import Bench
from fuzz.worker import draw, least
from napari_liver_anomaly.errors import Question, UnreadableFile
from napari_liver_anomaly.job import Job

ESCAPES = Path(__file__).with_name("fuzz_escapes.json")
FRAMES = "dicom-frames"  # many slices in one file: may be refused as such


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    return Bench(tmp_path_factory.mktemp("bench"))


def test_what_once_escaped_is_refused_or_right(tmp_path):
    records = json.loads(ESCAPES.read_text(encoding="utf-8"))
    assert len(records) > 20
    found = [(record, outcome) for record, outcome in replay(records, tmp_path) if outcome.escaped]
    assert not found, found[:3]


def test_sound_files_are_right_small_and_the_same_every_time(bench):
    for name, golden in bench.goldens.items():
        assert max(map(len, golden.files.values())) < 64_000, name
        assert not golden.inner or golden.pack(golden.inner) == golden.files[golden.target], name
        if name != FRAMES:
            assert bench.checked(golden, False, []).how == "right", name
    again = oracle.goldens()
    assert {name: golden.files for name, golden in again.items()} == {
        name: golden.files for name, golden in bench.goldens.items()
    }


def test_an_input_can_be_drawn_again_and_survives_json(bench):
    for index in range(200):
        golden, inside, edits = draw(bench, 7, index)
        assert draw(bench, 7, index) == (golden, inside, edits)
        assert bench.damaged(golden, inside, json.loads(json.dumps(edits))) == bench.damaged(golden, inside, edits)
    assert {draw(bench, 7, index)[0].name for index in range(200)} == set(bench.goldens)


def test_edits_do_what_they_say():
    others = {"x": b"abcdef"}
    assert changed(b"0123", [["put", 1, 2, "41", 3]], {}) == b"0AAA3"
    assert changed(b"0123", [["cut", 2], ["copy", 0, 2, 1, 0]], {}) == b"0011"
    assert changed(b"0123", [["take", "x", 1, 2, 1, 1]], others) == b"0bc23"


@pytest.mark.parametrize("data", [b"", b"\0", b"x = 1\n", b"no line and no number"])
def test_damage_can_be_thought_of_for_anything(bench, data):
    rng = random.Random(1)
    for _ in range(300):
        edits = damage(rng, bench.goldens["nrrd"], data, len(data), True, bench.sound)
        assert 1 <= len(edits) <= 4


# The oracle: each kind of escape is noticed.


def flip(bench, name, place, inside=False):
    golden = bench.goldens[name]
    data = golden.inner if inside else bench.sound[name]
    return golden, inside, [["put", place, 1, bytes([data[place] ^ 1]).hex(), 1]]


def seen(patch, bench, name, change, place=500):
    patch.setattr(oracle, "read", change(oracle.read))
    return bench.checked(*flip(bench, name, place)).how


def raising(error):
    def change(read):
        def broken(*args):
            raise error

        return broken

    return change


def other_voxels(read):
    def broken(*args):
        volume = read(*args)
        voxels = volume.voxels.copy()
        voxels[1, 2:4, 3] += 7
        return type(volume)(voxels, volume.geometry)

    return broken


def test_another_exception_is_seen(monkeypatch, bench):
    assert seen(monkeypatch, bench, "nifti1", raising(IndexError("x"))) == "IndexError"


def test_a_warning_is_seen(monkeypatch, bench):
    def change(read):
        def broken(*args):
            np.float64(1) / np.float64(0)
            return read(*args)

        return broken

    assert seen(monkeypatch, bench, "nifti1", change) == "warning"


def test_a_line_in_a_log_is_seen(monkeypatch, bench):
    import logging

    def change(read):
        def broken(*args):
            logging.getLogger("pydicom").warning("Invalid value for PatientName")
            return read(*args)

        return broken

    assert seen(monkeypatch, bench, "nifti1", change) == "logged"


def test_a_name_or_a_path_in_a_message_is_seen(monkeypatch, bench):
    for what in ("The scan of CANARY is bad.", f"{bench.folder}/x is bad.", "", "Line\nbreak."):
        with monkeypatch.context() as patch:
            assert (
                seen(patch, bench, "nifti1", raising(refusal_of(UnreadableFile, "file-damaged", what, "It is.", "Do.")))
                == "words"
            ), what


def test_a_question_that_its_answer_does_not_settle_is_seen(monkeypatch, bench):
    from napari_liver_anomaly.errors import Answer

    answer = Answer(words="Yes", option="values", value="hounsfield")
    assert (
        seen(monkeypatch, bench, "nifti1", raising(refusal_of(Question, "values-not-hu", "A.", "B.", "C.", (answer,))))
        == "unsettled"
    )


def test_a_question_about_labels_that_its_answer_does_not_settle_is_seen(monkeypatch, bench):
    ask = oracle.read_mask
    monkeypatch.setattr(oracle, "read_mask", lambda path, scan, labels="ask": ask(path, scan))
    assert bench.checked(bench.goldens["labels"], False, []).how == "unsettled"


def test_other_voxels_are_seen(monkeypatch, bench):
    assert seen(monkeypatch, bench, "nifti1", other_voxels) == "voxels"  # one byte was changed, and more than one voxel differs
    monkeypatch.undo()
    assert seen(monkeypatch, bench, "nifti1-gz", other_voxels, place=4) == "voxels"  # a byte that no checksum covers


def test_other_positions_are_seen(monkeypatch, bench):
    def change(read):
        def broken(*args):
            volume = read(*args)
            affine = np.array(volume.geometry.source_affine)
            affine[0, 3] += 1
            return type(volume)(volume.voxels, type(volume.geometry)(volume.geometry.source_shape, affine))

        return broken

    assert seen(monkeypatch, bench, "nifti1", change) == "geometry"


def test_absurd_voxel_sizes_are_seen(monkeypatch, bench):
    """Through a reader that forgot its check."""
    golden = bench.goldens["mha"]
    at = golden.files[golden.target].index(b"0.7 0.8 2")
    monkeypatch.setattr("napari_liver_anomaly.io.header_checks._spacing", lambda affine: None)
    assert bench.checked(golden, False, [["put", at, 3, b"1e5".hex(), 1]]).how == "geometry"


REPEATED = [["put", 356, 0, "07", 100_000]]  # a large file of which little is said


def again_for_each(step):
    """A reader that reads the whole file again for each piece of it."""

    def change(read):
        def broken(path, *args):
            for _ in range(0, path.stat().st_size, step):
                path.read_bytes()
            return read(path, *args)

        return broken

    return change


@pytest.mark.skipif(not work.read_bytes(), reason="this system does not count what is read")
@pytest.mark.parametrize(("step", "how"), [(1000, "work"), (60_000, "refused")])
def test_bytes_read_are_bounded_by_the_size_of_the_file(monkeypatch, bench, step, how):
    monkeypatch.setattr(oracle, "read", again_for_each(step)(oracle.read))
    assert bench.checked(bench.goldens["nifti1"], False, REPEATED).how == how


@pytest.mark.parametrize(("power", "how"), [(1, "refused"), (2, "work")])
def test_computing_is_bounded_by_the_size_of_the_file(monkeypatch, bench, power, how):
    """A reader of 1 µs a byte, and one whose work grows with the square; on a clock of its own, not the machine's."""
    passed = [0.0]
    monkeypatch.setattr(work.time, "process_time", lambda: passed[0])

    def change(read):
        def broken(path, *args):
            passed[0] += 1e-6 * path.stat().st_size ** power
            return read(path, *args)

        return broken

    monkeypatch.setattr(oracle, "read", change(oracle.read))
    assert bench.checked(bench.goldens["nifti1"], False, REPEATED).how == how


def test_a_pause_that_does_not_come_again_is_no_work(monkeypatch, bench):
    clock = iter([0.0, 60.0])
    monkeypatch.setattr(work.time, "process_time", lambda: next(clock, 60.0))
    assert bench.checked(*flip(bench, "nifti1", 500)).how == "right"
    assert bench.shares[1] == 0


def test_much_memory_is_seen(monkeypatch, bench):
    monkeypatch.setattr(oracle, "GROWTH_MB", -1.0)
    assert bench.checked(*flip(bench, "nifti1", 500)).how == "memory"


def test_an_escape_is_made_as_small_as_it_can_be_and_kept_once(monkeypatch, bench, tmp_path):
    golden = bench.goldens["nifti1"]
    monkeypatch.setattr("napari_liver_anomaly.io.nifti._not_nifti", lambda: IndexError("x"))
    edits = [["put", 500, 1, "07", 1], ["put", 0, 4, "00", 4], ["put", 600, 1, "07", 1]]
    assert bench.checked(golden, False, edits).how == "IndexError"
    small = least(bench, golden, False, edits, "IndexError")
    assert small == [["put", 0, 4, "00", 4]]
    escape = {"golden": "nifti1", "inside": False, "edits": small, "how": "IndexError", "where": "x", "detail": "", "index": 1}
    assert keep([escape] * 5, tmp_path) == 3
    assert keep([escape], tmp_path) == 0
    assert "index" not in json.loads((tmp_path / "fuzz_escapes.json").read_text())[0]


# Processes.

STUB = """
import json, os, sys
order = json.load(sys.stdin)
place = os.open(order["place"], os.O_WRONLY | os.O_CREAT)
for index in range(order["first"], order["end"], order["step"]):
    os.pwrite(place, index.to_bytes(8, "little"), 0)
    if index == 3: os.kill(os.getpid(), 11)
    if index == 5: sys.exit("Timeout (0:00:20)!")
    print(json.dumps({"counts": {"nifti1 right": 1}, "slowest": [0.1, index], "peak_mb": 1.0, "next": index + 1}), flush=True)
print(json.dumps({"counts": {}, "slowest": [0.1, 0], "peak_mb": 1.0, "next": 8, "done": True}), flush=True)
"""


def test_after_a_crash_or_a_hang_the_work_goes_on(monkeypatch):
    monkeypatch.setattr(fuzzing, "CHILD", [fuzzing.CHILD[0], "-c", STUB])
    found = fuzz(inputs=8)
    assert [(one["how"], one["index"]) for one in found["escaped"]] == [("crash", 3), ("hang", 5)]
    assert found["inputs"] == 6
    assert found["kinds"] == {"nifti1": {"inputs": 6, "right": 6, "refused": 0, "escapes": 0}}


def test_a_process_that_cannot_begin_is_an_escape(monkeypatch):
    monkeypatch.setattr(fuzzing, "CHILD", [fuzzing.CHILD[0], "-c", "import sys; sys.exit('no')"])
    found = fuzz(inputs=8)
    assert (found["inputs"], found["escapes"], found["escaped"][0]["detail"].strip()) == (0, 1, "no")


def test_a_kind_of_file_that_is_not_there_is_told():
    assert "no kind of file called tiff" in fuzz(inputs=8, only="tiff")["escaped"][0]["detail"]


def test_the_documented_command_runs_from_the_root_of_the_repository():
    words = [fuzzing.CHILD[0], "-m", "tests.fuzz", "--inputs", "6", "--seed", "3"]
    done = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "6 damaged files" in done.stdout + done.stderr


def test_a_long_run_is_made_in_pieces(tmp_path):
    path = tmp_path / "figures.json"
    for seed in (3, 4):
        FuzzVerb(inputs=20, seed=seed, only="mask", out=path).run(Job())
    found = json.loads(path.read_text())
    assert (found["inputs"], found["right"] + found["refused"], found["escapes"]) == (40, 40, 0)
    assert [(run["seed"], run["inputs"], run["only"]) for run in found["runs"]] == [(3, 20, "mask"), (4, 20, "mask")]
    assert set(found["kinds"]) == {"mask", "mask-gz"}
    assert sum(found["refusals"].values()) == found["refused"] > 0
    assert 0 < found["most_work"]["share_of_cpu_s"] < 1


def test_a_true_process_reads(tmp_path):
    found = fuzz(inputs=60, seed=3)
    assert found["inputs"] == 60
    assert found["escapes"] == 0, found["escaped"]
    assert found["right"] + found["refused"] == 60
    assert sum(found["refusals"].values()) == found["refused"]
    assert found["inputs_per_s"] > 0
    assert set(found["versions"]) >= {"numpy", "nibabel", "pydicom", "torch"}


# Numbers that break parsers, at their places in a NIfTI header: whatever they are, no exception and no absurd volume.


def test_every_place_of_a_header_with_numbers_that_break_parsers(bench):
    golden = bench.goldens["nifti1"]
    values = [struct.pack("<h", -1), struct.pack("<h", 32767), struct.pack("<f", float("nan")), struct.pack("<f", 1e30), bytes(4)]
    found = []
    for at in range(0, 348, 2):
        for value in values:
            edits = [["put", at, len(value), value.hex(), 1]]
            outcome = bench.checked(golden, False, edits)
            found += [(edits, outcome)] if outcome.escaped else []
    assert not found, found[:3]
