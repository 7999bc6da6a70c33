"""Rows about runs: numbers, scans without a liver, seams, repetition, memory, panel and command line, training that goes on, no screen."""

from __future__ import annotations

import gc
import hashlib
import json
import os
import subprocess
import sys
import weakref
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from builders import refusal_of
from faults import scenes
from faults.stubs import FullCard, Grey, fake_card, small_scan, tiny_preset
from faults.table import row
from napari_liver_anomaly import cli, inference, storage
from napari_liver_anomaly.cli import main
from napari_liver_anomaly.errors import Cancelled, InvalidNumbers, Level, OutOfMemory, Question, Refusal
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.inference import needed_bytes, segment
from napari_liver_anomaly.io import write_image
from napari_liver_anomaly.io.results import report
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.lesions import level_of
from napari_liver_anomaly.liver import find_liver
from napari_liver_anomaly.liver.finder import Finder
from napari_liver_anomaly.liver_findings import about_the_edge
from napari_liver_anomaly.models.networks.liver_net import LiverNet
from napari_liver_anomaly.models.two_stage import TwoStage
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.segmentation import AUTO_SETTINGS, SegmentSettings
from napari_liver_anomaly.settings import options
from napari_liver_anomaly.training.fit import train
from napari_liver_anomaly.volume import Mask, Volume

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from faults.table import Kit
    from napari_liver_anomaly.phantom import Sample

SRC = Path(inference.__file__).parents[1]


@cache
def body() -> Sample:
    """A small phantom whose liver is found."""
    return make_phantom(PhantomSettings(seed=11, size_px=64, slices=16))


def certain(liver: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """What a finder gives that has no doubt."""
    return liver, np.where(liver, np.uint8(255), np.uint8(0))


def files(folder: Path, volume: Volume, liver: Mask) -> list[str]:
    """Write a scan and its liver; give the words for the command line."""
    folder.mkdir(parents=True, exist_ok=True)
    write_image(volume.voxels, volume.geometry, folder / "ct.nii.gz")
    write_image(liver.voxels.astype(np.uint8), volume.geometry, folder / "liver.nii.gz")
    small = ["--voxel-size", "accept", "--given-liver", "accept"]  # a scan of a few slices is no body
    return [str(folder / "ct.nii.gz"), "--liver", str(folder / "liver.nii.gz"), *small, "--device", "cpu"]


def child(
    code: str, *words: str, env: dict[str, str] | None = None, leave_out: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Run Python in a fresh interpreter that knows the package and nothing of this one."""
    clean = {name: value for name, value in os.environ.items() if name not in leave_out}
    paths = {"PYTHONPATH": os.pathsep.join([str(SRC), str(Path(__file__).parents[1])])}
    return subprocess.run(
        [sys.executable, "-c", code, *words],
        env=clean | paths | (env or {}),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


# ---------------------------------------------------------------------------------------------------------------- invalid numbers


@row(16)
def invalid_numbers_never_become_an_empty_mask(kit: Kit) -> None:
    """NaN or infinity from a network, which compare as false and would look like 'no tumour'."""
    volume, liver = small_scan()

    class Broken(Grey):
        """Wrong in one tile only: the batch that holds the slice ``at``, counted over the run."""

        def __init__(self, part: str, spoil: Callable[[NDArray[Any]], NDArray[Any]], at: int) -> None:
            super().__init__()
            self.part, self.spoil, self.at = part, spoil, at

        def predict(self, images: NDArray[np.float32], liver_mask: NDArray[np.bool_]) -> Any:
            first = sum(count for _, count in self.batches)
            found = super().predict(images, liver_mask)
            if first <= self.at < first + len(images):
                setattr(found, self.part, self.spoil(getattr(found, self.part)))
            return found

    def one(value: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
        def spoil(array: NDArray[Any]) -> NDArray[Any]:
            array[0, 5, 5] = value
            return array

        return spoil

    def overflowing(array: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(over="ignore"):
            return (array.astype(np.float32) * 200000).astype(np.float16)  # above 65504 there is only infinity

    def softmax_in_half(array: NDArray[Any]) -> NDArray[Any]:
        with np.errstate(over="ignore", invalid="ignore"):
            high = np.exp((array * 40).astype(np.float16))
            return high / (high + np.float16(1))  # infinity over infinity

    spoilers: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
        "one NaN": one(np.nan), "one infinity": one(np.inf), "one minus infinity": one(-np.inf), "all NaN": lambda a: np.full_like(a, np.nan),
        "overflow in half precision": overflowing, "softmax in half precision": softmax_in_half,
    }  # fmt: skip
    out_of_range: dict[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
        "256 would wrap to 0": one(256 / 255),
        "below 0": one(-0.5),
    }
    for part in ("score", "restored"):
        for words, spoil in (spoilers | (out_of_range if part == "score" else {})).items():
            for at in (0, 3, 6):
                with pytest.raises(InvalidNumbers, match="The model produced invalid numbers; no mask was made"):
                    segment(volume, liver, Broken(part, spoil, at), SegmentSettings(batch=2), device="cpu")
                    pytest.fail(f"{part}: {words} in the tile of slice {at}")
    kit.patch.setattr("napari_liver_anomaly.models.load", lambda name: Broken("score", one(np.nan), 3))
    out = kit.folder / "out"
    assert main(["segment", *files(kit.folder, volume, liver), "--out", str(out)]) == 3
    assert "invalid numbers" in kit.output.readouterr().err and not out.exists()

    forward = LiverNet.forward
    for axes, name in ((3, "coarse"), (2, "fine")):
        for value in (float("nan"), float("inf")):

            def spoilt(self: LiverNet, image: Any, axes: int = axes, value: float = value) -> Any:
                answer = forward(self, image)
                if self.settings.axes == axes:
                    answer.view(-1)[answer.numel() // 2] = value
                return answer

            if value != value:
                kit.patch.setattr(LiverNet, "forward", spoilt)
                with pytest.raises(InvalidNumbers, match="invalid numbers"):
                    find_liver(body().volume, device="cpu")
                    pytest.fail(f"NaN from the {name} network of the liver finder")
            kit.patch.setattr(LiverNet, "forward", lambda self, image: forward(self, image) * float("nan"))
            with pytest.raises(InvalidNumbers):
                find_liver(body().volume, device="cpu")  # never "no liver was found"
            kit.patch.setattr(LiverNet, "forward", forward)


# ------------------------------------------------------------------------------------------------------- outside the model's world


@row(27)
def a_scan_that_shows_no_liver_gets_no_silent_mask(kit: Kit) -> None:
    """A head, a thorax, air, a body upside down, noise or a magnetic resonance scan."""
    told = {}
    strange = {name: make() for name, make in scenes.NO_LIVER.items()}
    strange |= {"upside down": scenes.upside_down(body()), "magnetic resonance": scenes.like_mr(body())}
    for name, volume in strange.items():
        with pytest.raises(Refusal) as refused:
            find_liver(volume, device="cpu")
            pytest.fail(f"{name}: a liver was found without a word")
        told[name] = refused.value.finding.code
        assert told[name] in ("liver-not-found", "liver-unlikely"), name
        if told[name] == "liver-unlikely":
            assert isinstance(refused.value, Question) and "does not look like a liver" in str(refused.value), name
            assert [answer.flag for answer in refused.value.finding.answers] == ["--found-liver accept"], name
    assert told["air"] == told["noise"] == "liver-not-found"
    liver = find_liver(body().volume, device="cpu")
    findings = liver.findings
    assert liver.ml > 0 and not findings, "and a liver is found without a question"
    left = Volume(np.ascontiguousarray(body().volume.voxels[:, :, ::-1]), body().volume.geometry)
    with pytest.raises(Refusal):  # mirrored: the liver would lie on the left
        find_liver(left, device="cpu")
    bounds(kit)

    def found(self: Finder, volume: Volume, job: Job) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
        return certain(np.roll(body().liver.voxels, 25, axis=2))  # on the wrong side of the body

    kit.patch.setattr(Finder, "find", found)
    kit.patch.setattr("napari_liver_anomaly.models.load", lambda name: Grey())
    scan = files(kit.folder, body().volume, body().liver)[0]
    out = kit.folder / "out"
    words = ["segment", scan, "--device", "cpu", "--out", str(out)]
    assert main(words) == 4 and not out.exists()
    said = kit.output.readouterr().err
    assert "does not look like a liver" in said and "--found-liver accept" in said
    assert main([*words, "--found-liver", "accept"]) == 0
    stored = json.loads((out / "report.json").read_text())["findings"]
    assert [(finding["code"], finding["level"]) for finding in stored if finding["code"] == "liver-unlikely-accepted"] == [
        ("liver-unlikely-accepted", "note")
    ]


def bounds(kit: Kit) -> None:
    """Each bound of the plausibility alone, on blocks whose figures are known."""
    from napari_liver_anomaly.liver.plausibility import oddities

    def block(voxels: int, hu: float = 100, spread: float = 5, shift: int = -12, slices: slice = slice(5, 35)) -> list[str]:
        voxels_, mask = np.full((40, 60, 60), -200, np.int16), np.zeros((40, 60, 60), bool)
        mask[slices, 20 : 20 + voxels, 30 + shift : 30 + shift + voxels] = True
        voxels_[mask] = np.random.default_rng(0).normal(hu, spread, np.count_nonzero(mask)).clip(-1000, 3000)
        voxels_[:, 5:55, 5:55][~mask[:, 5:55, 5:55]] = 0
        volume = Volume(voxels_, Geometry((60, 60, 40), np.diag([-5.0, -5.0, -5.0, 1.0])))
        return oddities(volume, Mask(mask, volume.geometry, volume.identity))

    assert block(15) == []
    assert any("measures" in words for words in block(5)), "too small"
    assert any("measures" in words for words in block(36, shift=-24)), "too large"
    assert any("middle value" in words for words in block(15, hu=-30)), "as dark as fat"
    assert any("middle value" in words for words in block(15, hu=250)), "as bright as contrast medium"
    assert any("right side" in words for words in block(15, shift=4)), "on the left"


# ---------------------------------------------------------------------------------------------------------- the edge of the scan


@row(28)
def a_liver_that_is_cut_off_is_told(kit: Kit) -> None:
    """The liver is cut off by the field of view, and its volume would be taken for the whole."""
    hu, liver_mask = np.pad(body().volume.voxels, 2, mode="edge"), np.pad(body().liver.voxels, 2)
    at = np.argwhere(liver_mask)
    low, high, middle = at.min(axis=0), at.max(axis=0) + 1, np.median(at, axis=0).astype(int)
    everything = [slice(None)] * 3

    def cropped(box: list[slice]) -> tuple[Volume, Mask]:
        voxels = np.ascontiguousarray(hu[tuple(box)])
        volume = Volume(voxels, Geometry(voxels.shape[::-1], body().volume.geometry.source_affine))
        return volume, Mask(np.ascontiguousarray(liver_mask[tuple(box)]), volume.geometry, volume.identity, judged=True)

    def codes(findings: Any) -> list[str]:
        return [finding if isinstance(finding, str) else finding.code for finding in findings]

    kit.patch.setattr("napari_liver_anomaly.models.load", lambda name: Grey())
    kit.patch.setattr("napari_liver_anomaly.liver.plausibility.likely", lambda volume, liver, unlikely: ())
    kit.patch.setattr("napari_liver_anomaly.liver.plausibility.likely_given", lambda volume, liver, unlikely: ())
    through, beside = {}, {"whole": everything}
    for axis, side in enumerate(("head", "front", "right")):
        opposite = ("feet", "back", "left")[axis]
        for name, cuts in ((side, (middle, low, low - 1)), (opposite, (middle, high, high + 1))):
            for words, cut in zip(("through", "touching", "beside"), cuts, strict=True):
                box = list(everything)
                box[axis] = slice(int(cut[axis]), None) if name == side else slice(None, int(cut[axis]))
                (beside if words == "beside" else through)[f"{name}, {words}"] = box
    assert len(through) == 12 and len(beside) == 7
    for name, box in (through | beside).items():
        volume, liver = cropped(box)
        touches, found = name in through, about_the_edge(liver)
        assert codes(found) == ["liver-at-edge"] * touches, name
        if touches:
            assert found[0].level is Level.NOTE and not found[0].answers, name
            assert "touches the edge" in found[0].what and "volumes are lower limits" in found[0].meaning, name
        result = segment(volume, liver, Grey(), device="cpu")
        assert codes(result.findings) == codes(found), name
        kit.patch.setattr(Finder, "find", lambda self, volume, job, liver=liver: certain(liver.voxels.copy()))
        assert codes(find_liver(volume, device="cpu").findings) == codes(found), name
        if name.endswith("touching"):
            continue
        for way in ("given", "found"):
            out = kit.folder / f"{name}-{way}"
            words = files(kit.folder / name, volume, liver)
            words = words if way == "given" else [words[0], *words[3:]]
            assert main(["segment", *words, "--out", str(out)]) == 0, (name, way)
            said = kit.output.readouterr().err
            assert said.count("volumes are lower limits") == int(touches), f"{name}, {way}: said {said!r}"
            assert said.count("note:") == int(touches), f"{name}, {way}: said {said!r}"
            stored = json.loads((out / "report.json").read_text())["findings"]
            told = [(f["code"], f["level"], f["meaning"]) for f in stored if f["code"] == "liver-at-edge"]
            assert told == [("liver-at-edge", "note", found[0].meaning) for _ in range(touches)], (name, way)


# ----------------------------------------------------------------------------------------------------------- nothing found, or not run


@row(29)
def nothing_found_cancelled_and_refused_are_three_outcomes(kit: Kit) -> None:
    """'No tumour' cannot be told from 'not run'."""
    volume, liver = small_scan(dark=False)
    healthy = segment(volume, liver, Grey(), device="cpu")
    ml = 7 * 40 * 48 * 0.9 * 0.8 * 2.5 / 1000
    assert healthy.summary == f"Searched {ml:,.0f} ml of liver, threshold 0.50: nothing found."
    assert report(healthy)["summary"] == healthy.summary and report(healthy)["number_of_lesions"] == 0
    large = replace(healthy, settings=SegmentSettings(threshold=0.35))
    assert "threshold 0.35" in large.summary
    ill = segment(*small_scan(), Grey(), device="cpu")
    assert "nothing found" not in ill.summary and "1 lesion" in ill.summary

    method: list[Grey] = [Grey()]
    kit.patch.setattr("napari_liver_anomaly.models.load", lambda name: method[0])
    words = ["segment", *files(kit.folder, volume, liver)]

    def run(name: str) -> tuple[int, str, str, bool]:
        code = main([*words, "--out", str(kit.folder / name)])
        said = kit.output.readouterr()
        return code, said.out, said.err, (kit.folder / name / "report.json").exists()

    code, out, err, there = run("nothing")
    assert (code, there) == (0, True) and healthy.summary in out
    written = json.loads((kit.folder / "nothing" / "report.json").read_text())
    assert (written["summary"], written["tumour_ml"]) == (healthy.summary, 0)

    def broken(images: NDArray[Any], device: Any) -> None:
        raise refusal_of(
            InvalidNumbers,
            "score-invalid",
            "The model produced invalid numbers; no mask was made.",
            "Nothing is known.",
            "Again.",
        )

    method[0] = Grey(broken)
    code, out, err, there = run("refused")
    assert (code, out, there) == (3, "", False) and "no mask was made" in err and "nothing found" not in err

    def interrupt(images: NDArray[Any], device: Any) -> None:
        raise KeyboardInterrupt

    method[0] = Grey(interrupt)
    code, out, err, there = run("interrupted")
    assert (code, out, there) == (130, "", False) and "stopped; no result was written" in err
    method[0] = Grey()
    show = cli.program._Bar.show

    def stop(self: Any, progress: Any) -> None:
        if progress.phase == "Searching the liver":
            raise Cancelled("Stopped.")
        show(self, progress)

    kit.patch.setattr(cli.program._Bar, "show", stop)
    code, out, err, there = run("cancelled")
    assert (code, out, there) == (130, "", False) and "stopped; no result was written" in err
    job = Job()
    job.cancel()
    with pytest.raises(Cancelled):
        segment(volume, liver, Grey(), job=job)


# ------------------------------------------------------------------------------------------------------------ seams and repetition


def inside_room(volume: Volume, liver: Mask, room: int, shift: tuple[int, int, int] = (0, 0, 0)) -> tuple[Volume, Mask]:
    """The same scan in the middle of a larger one, moved by whole voxels."""
    voxels = np.roll(np.pad(volume.voxels, room, constant_values=-80), shift, (0, 1, 2))
    mask = np.roll(np.pad(liver.voxels, room), shift, (0, 1, 2))
    geometry = Geometry(voxels.shape[::-1], volume.geometry.source_affine)
    made = Volume(voxels, geometry)
    return made, Mask(mask, geometry, made.identity, judged=True)


@row(30)
def no_seams_and_no_edges(kit: Kit) -> None:
    """The result depends on tiles, their order, the extent of the scan, or a shift by one voxel."""
    from scipy.ndimage import binary_erosion

    volume, liver = small_scan()
    core = binary_erosion(liver.voxels, np.ones((3, 9, 9), bool))
    deep = np.zeros_like(core)
    deep[3:8] = core[3:8]

    class Identity(Grey):
        def predict(self, images: NDArray[np.float32], liver_mask: NDArray[np.bool_]) -> Any:
            return SimpleNamespace(
                score=liver_mask.astype(np.float32) * np.float32(0.6), restored=images[:, images.shape[1] // 2].copy()
            )

    tiny = TwoStage(tiny_preset(), seed=1)
    with torch.no_grad():  # untrained weights say nothing: let them say something at every place
        tiny.segmenter.head.weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(0))
    for batch in (1, 2, 3, 7, 50):
        same = segment(volume, liver, Identity(), SegmentSettings(batch=batch), device="cpu")
        assert not same.residual.any(), "what is restored as it was leaves no residual, to the last HU"
        assert np.array_equal(same.restored, volume.voxels)
        assert np.unique(same.score[core]).tolist() == [round(0.6 * 255)], f"a constant score has no seam, batch {batch}"
        assert same.score[~liver.voxels].max() == 0
        found, alone = (segment(volume, liver, Grey(), SegmentSettings(batch=b), device="cpu") for b in (batch, 1))
        assert np.array_equal(found.score, alone.score) and np.array_equal(found.residual, alone.residual), f"batch {batch}"
        one, other = (segment(volume, liver, tiny, SegmentSettings(batch=b), device="cpu") for b in (batch, 4))
        # Libraries choose other sums for other batches, so a network's last digits differ: by one grey level and 1 HU at most.
        assert np.abs(one.score.astype(int) - other.score).max() <= 1, f"batch {batch}"
        assert np.abs(one.residual.astype(int) - other.residual).max() <= 1, f"batch {batch}"
    assert np.ptp(one.score[liver.voxels].astype(int)) > 20, "the network says more than one thing"
    for method in (Grey(), tiny):
        wide = segment(*inside_room(volume, liver, 14), method, device="cpu")
        wider = segment(*inside_room(volume, liver, 23), method, device="cpu")
        middle = (slice(9, -9),) * 3
        for name in ("score", "labels", "residual"):
            assert np.array_equal(getattr(wide, name), getattr(wider, name)[middle]), (
                f"{name} depends on the room around the liver"
            )
        for axis in range(3):
            shift = (int(axis == 0), int(axis == 1), int(axis == 2))
            moved = segment(*inside_room(volume, liver, 14, shift), method, device="cpu")
            for name in ("score", "labels", "residual"):
                assert np.array_equal(np.roll(getattr(wide, name), shift, (0, 1, 2)), getattr(moved, name)), (
                    f"{name} moved by one voxel {shift}"
                )


@row(31)
def the_same_scan_gives_the_same_answer(kit: Kit) -> None:
    """The same input gives another result: by chance, by the number of threads, by what ran before."""
    model = TwoStage(tiny_preset(), seed=1)
    with torch.no_grad():
        model.segmenter.head.weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(0))
    scan, other = small_scan(), small_scan(dark=False)
    threads = torch.get_num_threads()

    def run(count: int, pair: tuple[Volume, Mask] = scan) -> Any:
        torch.set_num_threads(count)
        return segment(*pair, model, device="cpu")

    def bits(result: Any) -> tuple[bytes, bytes, bytes]:
        return result.score.tobytes(), result.labels.tobytes(), result.residual.tobytes()

    kit.patch.setattr("napari_liver_anomaly.liver.finder.FINE_PASSES", 1)
    try:
        results = {}
        for count in (1, 2):
            first, second = run(count), run(count, other)
            torch.manual_seed(count)  # what else drew numbers in the same program
            np.random.seed(count)
            again, before = run(count, other), run(count)
            assert bits(first) == bits(before) and bits(second) == bits(again), f"{count} threads: twice, and in another order"
            results[count] = first
        one, two = results[1], results[2]
        assert np.abs(one.score.astype(int) - two.score).max() <= 1, "threads change the last digit of a sum: one grey level"
        assert np.abs(one.residual.astype(int) - two.residual).max() <= 1
        changed, level = (one.labels > 0) != (two.labels > 0), level_of(0.5)
        at_the_cut = (np.maximum(one.score, two.score) == level) & (np.minimum(one.score, two.score) == level - 1)
        assert not (changed & ~at_the_cut).any(), "labels change at the threshold only"
        livers = []
        for count in (1, 1, 2):
            torch.set_num_threads(count)
            livers.append(find_liver(body().volume, device="cpu").voxels)
        assert np.array_equal(livers[0], livers[1])
        assert np.count_nonzero(livers[0] != livers[2]) <= 1e-3 * np.count_nonzero(livers[0])
    finally:
        torch.set_num_threads(threads)


# -------------------------------------------------------------------------------------------------------------------------- memory


def full_on(*devices: str, above: int = 0) -> Callable[[NDArray[Any], torch.device], None]:
    """Run out of memory on some devices, for more than so many slices."""

    def fault(images: NDArray[Any], device: torch.device) -> None:
        if device.type in devices and len(images) > above:
            raise (
                FullCard("CUDA out of memory. Tried to allocate 2.00 GiB")
                if device.type == "cuda"
                else FullCard("can't allocate memory")
            )

    return fault


@row(32)
def a_fall_to_the_cpu_is_told(kit: Kit) -> None:
    """Silent fallback to the CPU, or a graphics card that was requested and is missing."""
    volume, liver = small_scan()
    words = ["segment", *files(kit.folder, volume, liver)[:-2], "--device", "cuda"]
    kit.patch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Refusal, match="No usable graphics card"):
        segment(volume, liver, Grey(), device="cuda")
    kit.patch.setattr("napari_liver_anomaly.models.load", lambda name: Grey(full_on("cuda")))
    assert main([*words, "--out", str(kit.folder / "none")]) == 3
    assert "No usable graphics card" in kit.output.readouterr().err and not (kit.folder / "none").exists()
    hidden = segment(volume, liver, Grey(), device="auto")
    assert (hidden.device, hidden.ran_on) == ("cpu", "Ran on CPU.")
    fake_card(kit)
    note = "Ran on CPU (GPU memory full)"
    for batch in (1, 8):
        fallen = segment(volume, liver, Grey(full_on("cuda")), SegmentSettings(batch=batch), device="auto")
        assert (fallen.device, note in fallen.ran_on) == ("cpu", True), f"batch {batch}: {fallen.ran_on}"
        assert note in report(fallen)["ran_on"]
    assert main([*words, "--out", str(kit.folder / "out")]) == 0
    assert note in kit.output.readouterr().out
    assert note in json.loads((kit.folder / "out" / "report.json").read_text())["ran_on"]
    halved = segment(volume, liver, Grey(full_on("cuda", above=2)), device="cuda")
    assert halved.ran_on == "Ran on the graphics card with 2 slices at a time, because memory ran out."

    class Find:
        def __call__(self, finder: Finder, volume: Volume, job: Job) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
            full_on("cuda")(np.zeros(1), finder.device)
            return certain(body().liver.voxels)

    kit.patch.setattr(Finder, "find", lambda self, volume, job: Find()(self, volume, job))
    kit.patch.setattr(LiverNet, "to", lambda self, device: self)
    findings = find_liver(body().volume, device="cuda").findings
    assert [(f.level, f.what) for f in findings] == [(Level.NOTE, "The liver was found on the CPU (GPU memory full).")]


@row(49)
def memory_that_runs_out_leads_down_step_by_step(kit: Kit) -> None:
    """Graphics memory is full half-way: smaller batches, then the CPU, then a message; no memory is leaked."""
    volume, liver = small_scan()
    plain = segment(volume, liver, Grey(), device="cpu")
    assert plain.labels.any() and plain.residual is not None and plain.residual.any(), "there is something to compare"
    fake_card(kit)
    method = Grey(full_on("cuda"))
    fallen = segment(volume, liver, method, replace(AUTO_SETTINGS, batch=8), device="cuda")
    assert method.batches[:5] == [("cuda", 7), ("cuda", 4), ("cuda", 2), ("cuda", 1), ("cpu", 1)], "8 → 4 → 2 → 1 → CPU"
    assert method.device.type == "cpu"
    for name in ("score", "labels", "residual", "restored"):
        assert np.array_equal(getattr(fallen, name), getattr(plain, name)), f"{name} is the CPU's, bit for bit"

    calls = [0]

    def later(images: NDArray[Any], device: torch.device) -> None:  # half of the slices are done when it runs out
        calls[0] += 1
        if device.type == "cuda" and calls[0] > 2:
            raise FullCard("CUDA out of memory")

    half = segment(volume, liver, Grey(later), replace(AUTO_SETTINGS, batch=2), device="cuda")
    assert calls[0] > 3 and np.array_equal(half.score, plain.score) and np.array_equal(half.labels, plain.labels)

    kept: list[weakref.ref[Any]] = []
    prepare, free = inference.prepare, [10**12]

    def watched(*words: Any, **more: Any) -> Any:
        made = prepare(*words, **more)
        kept.append(weakref.ref(made.images))
        return made

    def everywhere(images: NDArray[Any], device: torch.device) -> None:
        large = np.zeros((64, 64))  # what a network had made so far
        kept.extend((weakref.ref(images), weakref.ref(large)))
        free[0] = 4 * 10**6
        full_on("cuda", "cpu")(images, device)

    kit.patch.setattr(inference, "prepare", watched)
    kit.patch.setattr(storage, "_free_memory", lambda: free[0])
    gc.collect()
    gc.disable()
    try:
        with pytest.raises(OutOfMemory) as refused:
            segment(volume, liver, Grey(everywhere), SegmentSettings(batch=8), device="cuda")
        assert len(kept) == 1 + 2 * 5
        assert not [ref for ref in kept if ref() is not None], "the refusal is still held, and nothing of the run is"
    finally:
        gc.enable()
    needed = needed_bytes(volume, liver, Grey(), 1)
    assert f"Not enough memory: needs {storage.size_words(needed)}, 4.0 MB are free." in str(refused.value)
    error: BaseException | None = refused.value
    while error is not None:
        assert not isinstance(error, RuntimeError)
        error = error.__cause__ or error.__context__
    free[0] = 10**12
    assert np.array_equal(segment(volume, liver, Grey(), device="cpu").labels, plain.labels), "a second run works"
    with pytest.raises(FullCard, match="shape"):
        segment(volume, liver, Grey(lambda images, device: (_ for _ in ()).throw(FullCard("shape mismatch"))), device="cpu")

    class Full(Finder):
        def find(self, volume: Volume, job: Job) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
            raise MemoryError

    kit.patch.setattr(Finder, "find", Full.find)
    kit.patch.setattr(LiverNet, "to", lambda self, device: self)
    with pytest.raises(OutOfMemory, match="Not enough memory"):
        find_liver(body().volume, device="cpu")


LIMITED = """
import sys
import numpy as np
from napari_liver_anomaly.cli import main
from napari_liver_anomaly.inference import needed_bytes, segment
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.models import load
from napari_liver_anomaly.errors import OutOfMemory
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.volume import Mask, Volume

def status(word):
    return next(int(line.split()[1]) for line in open('/proc/self/status') if line.startswith(word)) * 1024

def scan(size, slices):
    hu = np.full((slices, size, size), 60, np.int16)
    z, y, x = np.ogrid[-1:1:slices * 1j, -1:1:size * 1j, -1:1:size * 1j]
    volume = Volume(hu, Geometry((size, size, slices), np.diag([-0.7, -0.7, -3.0, 1.0])))
    return volume, Mask(z**2 + y**2 + x**2 < 0.1, volume.geometry, volume.identity, judged=True)

model = load('phantom-only')
pair = scan(512, 24)
needed = needed_bytes(*pair, model, 2)
open('/proc/self/clear_refs', 'w').write('5')
before = status('VmRSS:')
segment(*pair, model, SegmentSettings(batch=2), device='cpu')
took = status('VmHWM:') - before
print('needed', needed, 'took', took)
del pair

import resource
large = scan(512, 60)
resource.setrlimit(resource.RLIMIT_AS, (status('VmSize:') + 64 * 10**6,) * 2)
try:
    segment(*large, model, SegmentSettings(batch=2), device='cpu')
except OutOfMemory as refused:
    print(refused)
    sys.exit(3)
"""


@row(50)
def memory_is_foreseen(kit: Kit) -> None:
    """Main memory is too small: reported before the work begins."""
    volume, liver = small_scan()
    needed = needed_bytes(volume, liver, Grey(), 1)
    assert needed_bytes(volume, liver, Grey(), 7) > needed
    wide, around = inside_room(volume, liver, 20)
    assert needed_bytes(wide, around, Grey(), 1) > needed, "a larger scan needs more, though its liver is the same"
    free = [needed]
    kit.patch.setattr(storage, "_free_memory", lambda: free[0])
    segment(volume, liver, Grey(), SegmentSettings(batch=1), device="cpu")
    begun: list[str] = []
    kit.patch.setattr(inference, "prepare", lambda *_, **__: begun.append("prepared"))
    rule = SimpleNamespace(name="rule", score_volume=lambda volume, liver: begun.append("scored"))
    for method in (Grey(), rule):
        free[0] = needed_bytes(volume, liver, method, 1) - 1
        with pytest.raises(OutOfMemory) as refused:
            segment(volume, liver, method, device="cpu")
        sizes = storage.size_words(free[0] + 1), storage.size_words(free[0])
        assert f"needs {sizes[0]}, {sizes[1]} are free" in str(refused.value)
        assert not begun, "before anything heavy"
    kit.patch.setattr(storage, "_free_memory", lambda: 4 * 10**9)
    kit.patch.setattr(inference, "needed_bytes", lambda *_: 6 * 10**9)
    kit.patch.setattr("napari_liver_anomaly.models.load", lambda name: Grey())
    assert main(["segment", *files(kit.folder, volume, liver), "--out", str(kit.folder / "out")]) == 3
    assert "needs 6.0 GB, 4.0 GB are free" in kit.output.readouterr().err and not (kit.folder / "out").exists() and not begun
    kit.patch.undo()
    if sys.platform != "linux":
        return  # other systems have no limit of address space, nor count memory so
    ended = child(LIMITED)
    assert ended.returncode == 3, ended.stderr
    words = ended.stdout.split()
    foreseen, took = int(words[1]), int(words[3])
    assert took <= foreseen <= 4 * took, f"foreseen {foreseen:,} bytes, took {took:,}"
    assert "Not enough memory: needs" in ended.stdout and "are free" in ended.stdout
    assert "Traceback" not in ended.stderr


# ----------------------------------------------------------------------------------------------------------------- panel and command line


@row(35)
def window_and_command_line_give_the_same_mask(kit: Kit) -> None:
    """Panel and command line differ, by a default or by an option that one of them ignores."""
    from napari.layers import Image, Labels

    from napari_liver_anomaly.gui import threshold_slider as slider
    from napari_liver_anomaly.gui.layer_snapshot import snapshot_of
    from napari_liver_anomaly.gui.layers import liver_layer, scan_layer
    from napari_liver_anomaly.gui.worker import Engine, segment_layers
    from napari_liver_anomaly.io import read, read_mask
    from napari_liver_anomaly.io.read_options import ReadOptions

    scan, liver = small_scan()
    voxels = scan.voxels.copy()
    voxels[5:8, 12:18, 12:18] = 52  # a small, pale lesion beside the large, dark one
    voxels[5:8, 36:44, 12:20] = 80  # and one that is below the usual threshold
    scan = Volume(voxels, scan.geometry)
    words = files(kit.folder, scan, Mask(liver.voxels, liver.geometry))
    volume = read(words[0], ReadOptions(voxel_size="accept"))
    mask = read_mask(words[2], volume, "liver mask")
    layers = [kind(data, **look) for kind, (data, look, _) in ((Image, scan_layer(volume)), (Labels, liver_layer(mask, volume)))]
    pictures = [snapshot_of(layer) for layer in layers]
    made: list[Grey] = []

    def load(name: str) -> Grey:
        made.append(Grey())
        return made[-1]

    kit.patch.setattr("napari_liver_anomaly.models.load", load)
    begins, make_panel = slider.AUTO, kit.request.getfixturevalue("make_panel")
    kit.patch.setattr(slider, "AUTO", begins)  # the fixture's panels begin otherwise
    panel = make_panel(kit.request.getfixturevalue("viewer"))
    rows = panel.model.rows.fields
    other: dict[str, tuple[Any, list[str], Callable[[], object]]] = {
        "threshold": (0.9, ["--threshold", "0.9"], lambda: panel.threshold.slider.setValue(0.9)),
        "auto_threshold": (False, ["--no-auto-threshold"], lambda: panel.threshold.auto.setChecked(False)),
        "min_peak_score": (0.3, ["--min-peak-score", "0.3"], lambda: setattr(rows["min_peak_score"], "value", 0.3)),
        "min_lesion_mm3": (400.0, ["--min-lesion-mm3", "400"], lambda: setattr(rows["min_lesion_mm3"], "value", 400)),
        "min_liver_probability": (
            0.2,
            ["--min-liver-probability", "0.2"],
            lambda: setattr(rows["min_liver_probability"], "value", 0.2),
        ),
        "batch": (3, ["--batch", "3"], lambda: setattr(rows["batch"], "value", 3)),
    }
    assert other.keys() == {option.name for option in options(SegmentSettings)}, "a new field wants a value here"
    assert set(rows) == set(other) - {"threshold", "auto_threshold"}, "a field has no row in the panel"
    first = panel._settings()
    every = [word for option in options(first) for word in spoken(option.flag, option.default)]
    runs = {
        "": (first, []), "all said": (first, every), "both": (replace(first, threshold=0.9), ["--threshold", "0.9", "--auto-threshold"]),
    }  # fmt: skip
    for name, (value, flags, turn) in other.items():
        turn()
        runs[name] = panel._settings(), flags
        assert getattr(runs[name][0], name) == value, f"{name}: the panel does not give what it shows"
        changes = {name, "auto_threshold"} if name == "threshold" else {name}  # a threshold that is said switches Auto off
        assert {n for n in other if getattr(runs[name][0], n) != getattr(first, n)} == changes, (name, runs[name][0], first)
        panel.threshold.show_threshold(first.threshold, auto=first.auto_threshold)
        for row_name, field in rows.items():
            field.value = getattr(first, row_name)
        assert panel._settings() == first
    assert AUTO_SETTINGS.auto_threshold and replace(first, threshold=AUTO_SETTINGS.threshold) == AUTO_SETTINGS, "both begin alike"

    hashes, cuts = {}, {}
    for name, (settings, flags) in runs.items():
        found = segment_layers(Engine(), *pictures, "any", settings, "cpu", Job()).result
        out = kit.folder / f"out-{name}"
        assert main(["segment", *words, *flags, "--out", str(out)]) == 0, name
        written = volume.geometry.to_source(read_mask(out / "tumours.nii.gz", volume, may_be_empty=True).voxels)
        ours = volume.geometry.to_source(found.labels > 0)
        hashes[name] = [hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest() for array in (ours, written)]
        assert hashes[name][0] == hashes[name][1], f"{name or 'nothing'} changed: panel and command line differ"
        stored, cuts[name] = json.loads((out / "report.json").read_text()), found.settings.threshold
        assert stored["settings"] == found.settings.to_dict() and stored["scan"] == found.volume.identity, name
        assert stored["number_of_lesions"] == len(found.lesions) > 0, name
        assert made[-1].batches == made[-2].batches, name
    assert [count for _, count in made[-1].batches] == [3, 3, 1], "the batch that was said is the one that ran"
    assert hashes["all said"] == hashes["both"] == hashes[""] and cuts["both"] == cuts[""], "Auto that is said wins"
    assert cuts["threshold"] == 0.9 and cuts["auto_threshold"] == pytest.approx(0.5, abs=0.01) and cuts[""] not in (0.9, 0.5)
    changed = {name for name in other if hashes[name] != hashes[""]}
    assert changed == set(other) - {"batch", "min_liver_probability"}, (
        "each option does something; not the batch, nor how sure a liver is that was given"
    )

    share = np.full(mask.voxels.shape, 255, np.uint8)
    share[5:8, 36:44, 12:20] = share[5:8, 12:18, 12:18] = 100  # the finder doubts the two smaller lesions
    unsure = Mask(mask.voxels, mask.geometry, mask.scan, share, found=True)
    kit.patch.setattr("napari_liver_anomaly.liver.find_liver", lambda *_, **__: unsure)
    counts = {}
    for name, flags in {
        "found": [],
        "sure-0": ["--min-liver-probability", "0"],
        "sure-1": ["--min-liver-probability", "1"],
    }.items():
        settings, out = (
            replace(first, min_liver_probability=float(flags[1]) if flags else first.min_liver_probability),
            kit.folder / f"out-{name}",
        )
        result = segment_layers(Engine(), pictures[0], None, "any", settings, "cpu", Job()).result
        assert main(["segment", words[0], "--voxel-size", "accept", "--device", "cpu", *flags, "--out", str(out)]) == 0, name
        written = read_mask(out / "tumours.nii.gz", volume, may_be_empty=True).voxels
        assert np.array_equal(written, result.labels > 0), f"{name}: panel and command line differ in a found liver"
        stored = json.loads((out / "report.json").read_text())
        assert stored["pieces_left_out"] == result.left_out and stored["liver_from"] == result.liver_from == "found", name
        assert ("pieces-left-out" in {told["code"] for told in stored["findings"]}) == (result.left_out > 0), name
        counts[name] = len(result.lesions), result.left_out
        if name == "sure-0":
            whole = volume.geometry.to_source(written)
            assert hashlib.sha256(np.ascontiguousarray(whole).tobytes()).hexdigest() == hashes[""][0], "0 keeps every piece"
    assert counts["sure-0"][0] == counts["found"][0] + counts["found"][1] > counts["found"][0] > 0, counts
    assert counts["sure-1"][0] < counts["found"][0] and sum(counts["sure-1"]) == counts["sure-0"][0], counts


def spoken(flag: str, value: Any) -> list[str]:
    """A flag of the command line that gives a value."""
    if isinstance(value, bool):
        return [flag if value else f"--no-{flag[2:]}"]
    return [flag, str(value)]


# ------------------------------------------------------------------------------------------------------------- training that goes on


@row(52)
def a_training_that_was_stopped_ends_as_if_it_had_not_been(kit: Kit) -> None:
    """Resumed training differs from uninterrupted training."""
    from napari_liver_anomaly.liver.liver_schedule import LiverSchedule
    from napari_liver_anomaly.liver.sampling import LiverCase
    from napari_liver_anomaly.liver.train_liver import train_finder
    from napari_liver_anomaly.training.training_file import pack_case
    from napari_liver_anomaly.training.training_set import slices_of

    sample, preset = make_phantom(PhantomSettings(seed=2, size_px=64, slices=12, tumours=False)), tiny_preset()
    spacing = sample.volume.geometry.spacing_mm
    data = slices_of([pack_case(sample.volume.voxels, sample.liver.voxels, None, spacing, scan="1")], preset.preprocess)

    def trained(state: Path | None = None, job: Job | None = None, seed: int = 5) -> dict[str, torch.Tensor]:
        model = TwoStage(preset, seed=seed)
        train(model, data, state=state, job=job)
        return {name: value.clone() for name, value in model.tensors().items()}

    def stopping(at: tuple[int, int]) -> Job:
        """Stop at an update of a stage."""
        stages = ("Training the restorer", "Training the segmenter")

        def look(progress: Any) -> None:
            if progress.phase.startswith(stages[at[0]]) and progress.done >= at[1]:
                job.cancel()

        job = Job(report=look)
        return job

    whole = trained()
    assert any(not torch.equal(value, trained(seed=6)[name]) for name, value in whole.items())
    # Stopped once in each stage; and stopped after every single update, each time going on from where it was.
    every = [(stage, update) for stage in (0, 1) for update in range(3)]
    for number, stops in enumerate(([(0, 1)], [(1, 1)], every)):
        state = kit.folder / f"state-{number}"
        for stop in stops:
            with pytest.raises(Cancelled):
                trained(state, stopping(stop))
        again = trained(state)
        for name, value in whole.items():
            assert torch.equal(value, again[name]), f"{name} after stops at {stops}"

    # The liver finder trains on the same loop: it goes on where it was stopped, and ends in the same weights.
    small, plan = body(), LiverSchedule(coarse_steps=2, fine_steps=3, coarse_batch=1, fine_batch=1)
    cases, steps = [LiverCase.of("a", small.volume, small.liver)], []

    def finder(job: Job, state: Path | None = None) -> list[torch.Tensor]:
        made, _ = train_finder(cases, plan, seed=3, job=job, state=state)
        return [value.clone() for net in (made.coarse, made.fine) for value in net.state_dict().values()]

    first = finder(Job())
    job = Job(report=lambda progress: job.cancel() if "slices" in progress.phase and progress.done == 1 else None)
    with pytest.raises(Cancelled):
        finder(job, kit.folder / "finder")
    again = finder(
        Job(report=lambda progress: steps.append((progress.phase.split(" · ")[1], progress.done))), kit.folder / "finder"
    )
    assert all(torch.equal(one, other) for one, other in zip(first, again, strict=True))
    assert steps == [("blocks", 2), ("slices", 2), ("slices", 3)], "only what was left was trained"


# ------------------------------------------------------------------------------------------------------------------------ no screen

BARE = """
import sys

BLOCKED = {"napari", "qtpy", "superqt", "magicgui", "vispy", "app_model", "PyQt5", "PyQt6", "PySide2", "PySide6"}

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
import napari_liver_anomaly as la
from napari_liver_anomaly.cli import main
from napari_liver_anomaly.models.rules import DarkRule

scan, liver, out = sys.argv[1:4]
volume = la.read(scan)
mask = la.read_mask(liver, volume)
result = la.segment(volume, mask, DarkRule())
print(len(la.write(result, out + "/library")), result.ran_on)
codes = [
    main(["segment", scan, "--liver", liver, "--given-liver", "accept", "--model", "phantom-only", "--out", out + "/line"]),
    main(["segment", scan, "--liver", liver, "--given-liver", "accept", "--device", "cuda", "--out", out + "/cuda"]),
    main(["info"]),
    main(["demo"]),
]
print("codes", codes)
assert not BLOCKED & set(sys.modules)
"""


@row(66)
def without_screen_card_or_viewer_the_work_can_be_done(kit: Kit) -> None:
    """No screen, no graphics card, no napari: library and command line work, and the viewer says what is missing."""
    words = files(kit.folder, body().volume, body().liver)
    no_screen = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "QT_QPA_PLATFORM")
    ended = child(BARE, words[0], words[2], str(kit.folder), env={"CUDA_VISIBLE_DEVICES": ""}, leave_out=no_screen)
    assert ended.returncode == 0, ended.stderr
    assert "codes [0, 3, 0, 3]" in ended.stdout
    assert "Traceback" not in ended.stderr
    assert "napari is not installed" in ended.stderr and "napari-liver-anomaly[app]" in ended.stderr
    assert "No usable graphics card" in ended.stderr
    for where in ("library", "line"):
        assert json.loads((kit.folder / where / "report.json").read_text())["device"] == "cpu", where
        assert (kit.folder / where / "tumours.nii.gz").exists(), where

    for name in no_screen:  # napari is there, but no window can open: Qt would end the program without a word
        kit.patch.delenv(name, raising=False)
    kit.patch.setattr(sys, "platform", "linux")
    assert main(["demo"]) == 3
    assert "There is no screen" in kit.output.readouterr().err
    kit.patch.setenv("QT_QPA_PLATFORM", "offscreen")

    def no_binding(screenshot: Any = None) -> None:
        raise ImportError("No Qt bindings could be found")

    kit.patch.setattr("napari_liver_anomaly.gui.demo.open_window", no_binding)
    assert main(["demo"]) == 3
    said = kit.output.readouterr().err
    assert "not complete" in said and "napari-liver-anomaly[app]" in said
