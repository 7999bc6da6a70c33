"""What the attacks are made on: a small scan as files, results of two models on it, and the command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.io import write_case
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

if TYPE_CHECKING:
    from collections.abc import Sequence

    from napari_liver_anomaly.result import Result

ROOT = Path(__file__).parents[2]
MODELS = ("layers", "dae")  # small and quick, and both restore
FILES = 8  # of the results of a model that restores
TIME_S = 600


class Fault(Exception):
    """Something that must not be left behind, whatever happens."""


def results_of(folder: Path) -> tuple[Result, ...]:
    """Search a small phantom with two models, and write it as files for the command line."""
    sample = make_phantom(PhantomSettings(seed=5, size_px=64, slices=12))
    write_case(sample.volume, sample.liver, sample.tumours, folder, "small")
    return tuple(segment(sample.volume, sample.liver, model, device="cpu") for model in MODELS)


def words_of(folder: Path, out: Path) -> list[str]:
    """Words of the command line that search the phantom's liver."""
    scan, liver = (str(folder / f"small_{what}.nii.gz") for what in ("ct", "liver"))
    small = ["--given-liver", "accept", "--voxel-size", "accept"]
    return ["segment", scan, "--liver", liver, *small, "--model", MODELS[0], "--device", "cpu", "--out", str(out)]


def run(words: Sequence[str], before: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run the command line; ``before`` are words of a program that runs it."""
    paths = os.pathsep.join([str(ROOT / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.run(
        [*before, sys.executable, "-m", "napari_liver_anomaly", *words], env=os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=TIME_S, check=False,
    )  # fmt: skip


def sentence_of(done: subprocess.CompletedProcess[str]) -> str:
    """The sentence with which a run was refused; a fault when it ended in another way."""
    said = [line for line in done.stderr.splitlines() if line.strip() and not line.startswith("note")]
    if done.returncode not in (3, 4) or not said or "Traceback" in done.stderr:
        raise Fault(f"ended with {done.returncode}: {done.stderr[-300:]}")
    return said[-1]


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}
