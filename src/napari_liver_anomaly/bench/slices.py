"""Scoring a liver slice: our default model beside other networks and other ways to run it, with the operations that each needs."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from napari_liver_anomaly.bench.rounds import in_turn
from napari_liver_anomaly.device import has_bf16
from napari_liver_anomaly.models import load
from napari_liver_anomaly.models.registry import build, config_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari_liver_anomaly.job import Job

BATCH = 8
LIVER_PX = (128, 160)  # slices of our default, 192 × 240 mm
NNUNET_PATCH = (128, 128, 128)  # its 3d_fullres plan for livers, at about 1 mm: one patch holds 128 mm of the scan
NNUNET_FEATURES = (32, 64, 128, 256, 320, 320)
PATCHES_AT_HALF = 3 * 3 * 3  # sliding by half a patch over a liver's 256 mm in each direction
LIVER_MM = 150  # from head to foot, about
PAPER, OURS = "paper: restorer and segmenter, 256²", "ours: packaged default"


@dataclass(frozen=True)
class Candidate:
    """What scores slices: its work, for how many slices of a liver 4 mm apart that counts, and whether operations can be counted."""

    work: Callable[[], object]
    slices: float
    countable: bool = True


def measure_slices(model: str, job: Job, rounds: int) -> dict[str, Any]:
    """Time each candidate for one slice, count its operations, and give both as parts of the paper's."""
    candidates = dict(_candidates(model))
    taken = in_turn({name: one.work for name, one in candidates.items()}, job, rounds)
    found: dict[str, dict[str, Any]] = {}
    for name, one in candidates.items():
        each = {key: taken[name][key] / one.slices for key in ("median_s", "least_s", "most_s", "processor_s")}
        operations = _operations(one.work) / one.slices if one.countable else None
        found[name] = each | {"gflop": None if operations is None else operations / 1e9, "rounds": rounds}
    for figures in found.values():
        figures["times_faster_than_paper"] = found[PAPER]["median_s"] / figures["median_s"]
    return found


def _operations(work: Callable[[], object]) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def operations_of(model: Any) -> float:
    """Count the operations of a packaged model for one liver slice of the usual size: the same on every machine."""
    return _operations(_scoring(model, LIVER_PX)) / BATCH


def _scoring(model: Any, size: tuple[int, int]) -> Callable[[], object]:
    planes = model.preprocess.planes
    images = np.random.default_rng(0).random((BATCH, planes, *size), dtype=np.float32)
    liver = np.ones((BATCH, *size), bool)
    return lambda: model.predict(images, liver)


def _candidates(model: str) -> Iterator[tuple[str, Candidate]]:
    """List what can be measured here; what is not installed is left out."""
    ours = load(model)
    scale = getattr(ours, "scales", (ours,))[0]
    yield OURS, Candidate(_scoring(scale, LIVER_PX), BATCH)
    if has_bf16(torch.device("cpu")):
        yield f"{OURS}, bfloat16", Candidate(_in_bf16(_scoring(scale, LIVER_PX)), BATCH)
    yield PAPER, Candidate(_scoring(build(config_of("paper")), (256, 256)), BATCH)
    yield "DRAEM as in the comparison", Candidate(_scoring(build(config_of("draem")), (80, 96)), BATCH)
    yield from _segmenter_alone(scale)
    yield from _nnunet()


def _in_bf16(work: Callable[[], object]) -> Callable[[], object]:
    def run() -> object:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return work()

    return run


class _Alone(torch.nn.Module):
    """The first segmenter of an ensemble, from slices to probabilities; the same for all ways to run it."""

    def __init__(self, member: Any) -> None:
        super().__init__()
        self.segmenter = member.segmenter

    def forward(self, image: torch.Tensor, liver: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.segmenter(None, image, liver)
        return torch.softmax(answer, dim=1)


def _segmenter_alone(scale: Any) -> Iterator[tuple[str, Candidate]]:
    """Run one segmenter of ours, which sees slices and liver, in every way that is installed here."""
    member = scale.scorers[0]
    alone = _Alone(member).eval()
    given = (torch.rand(BATCH, member.preprocess.planes, *LIVER_PX), torch.ones(BATCH, 1, *LIVER_PX))
    laid_out = tuple(one.to(memory_format=torch.channels_last) for one in given)
    yield "one segmenter of ours", Candidate(_run(alone, *laid_out), BATCH)
    if has_bf16(torch.device("cpu")):
        yield "one segmenter, bfloat16", Candidate(_in_bf16(_run(alone, *laid_out)), BATCH)
    if which("g++") or which("clang++"):
        yield "one segmenter, torch.compile", Candidate(_run(torch.compile(alone), *laid_out), BATCH, countable=False)
    if find_spec("openvino"):
        yield "one segmenter, OpenVINO", Candidate(_openvino(alone, given), BATCH, countable=False)
    if find_spec("onnxruntime") and find_spec("onnx"):
        yield "one segmenter, ONNX Runtime", Candidate(_onnx(alone, given), BATCH, countable=False)


def _run(network: Callable[..., object], *given: torch.Tensor) -> Callable[[], object]:
    def run() -> object:
        with torch.inference_mode():
            return network(*given)

    return run


def _openvino(network: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> Callable[[], object]:
    import openvino as ov

    settings = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "INFERENCE_PRECISION_HINT": "f32"}
    compiled = ov.compile_model(ov.convert_model(network, example_input=given), "CPU", settings)
    return lambda: compiled([one.numpy() for one in given])


def _onnx(network: torch.nn.Module, given: tuple[torch.Tensor, ...]) -> Callable[[], object]:
    import onnxruntime

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        torch.onnx.export(network, given, path, dynamo=False, input_names=["image", "liver"])
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=["CPUExecutionProvider"])
    inputs = dict(zip(("image", "liver"), (one.numpy() for one in given), strict=True))
    return lambda: session.run(None, inputs)


def _nnunet() -> Iterator[tuple[str, Candidate]]:
    """One patch of nnU-Net's 3d_fullres network with random weights, counted as its part of a liver."""
    if not find_spec("dynamic_network_architectures"):
        return
    yield (
        "nnU-Net 3d_fullres, random weights",
        Candidate(_run(nnunet(), torch.rand(1, 1, *NNUNET_PATCH)), LIVER_MM / 4 / PATCHES_AT_HALF),
    )


def nnunet() -> torch.nn.Module:
    """Make the network of nnU-Net's 3d_fullres plan for livers, untrained."""
    from dynamic_network_architectures.architectures.unet import PlainConvUNet

    network: torch.nn.Module = PlainConvUNet(
        1, len(NNUNET_FEATURES), list(NNUNET_FEATURES), torch.nn.Conv3d, 3, [1, *[2] * (len(NNUNET_FEATURES) - 1)], 2,
        3, 2, conv_bias=True, norm_op=torch.nn.InstanceNorm3d, norm_op_kwargs={"affine": True}, nonlin=torch.nn.LeakyReLU,
    )  # fmt: skip
    return network.eval()
