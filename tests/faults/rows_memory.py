"""Rows about what a run needs: memory is foreseen for every verb that works on scans, and room on the disk before the work."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING

from faults.table import row
from liver_anomaly_study import comparison
from liver_anomaly_study.cli import main as study
from napari_liver_anomaly import liver, placing
from napari_liver_anomaly.cli import DONE, REFUSED, main
from napari_liver_anomaly.io import write_case
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

if TYPE_CHECKING:
    from collections.abc import Iterator

    from faults.table import Kit

# The highest peak that the estimates of a verb foresaw, and the one there was, above what was taken when it was first asked.
FORESEEN = """
import importlib, sys
for name in ("inference", "liver.finder", "synthesis.apply", "training.training_file", "training.fit", "evaluation.case_measuring"):
    importlib.import_module("napari_liver_anomaly." + name)
import nibabel, scipy.ndimage, skimage.transform
from napari_liver_anomaly import memory
from napari_liver_anomaly.cli import main

def status(word):
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(word)) * 1024

real, taken, foreseen = memory.require_memory, [], []

def require_memory(needed):
    real(needed)
    if not taken:
        open("/proc/self/clear_refs", "w").write("5")
    taken.append(status("VmRSS:"))
    foreseen.append(taken[-1] + needed)

for module in list(sys.modules.values()):
    if getattr(module, "require_memory", None) is real:
        module.require_memory = require_memory
code = main(sys.argv[1:])
print("\\nforeseen", max(foreseen) - taken[0], "took", status("VmHWM:") - taken[0])
sys.exit(code)
"""


@row(121)
def what_every_verb_needs_is_foreseen(kit: Kit) -> None:
    """A verb needs more memory than was foreseen, writing included, and is ended in the middle; or is refused though there is room."""
    if sys.platform != "linux":
        return  # other systems do not count memory so
    sample = make_phantom(PhantomSettings(size_px=256, slices=96))
    write_case(sample.volume, sample.liver, sample.tumours, kit.folder / "cases", "a")
    scan, mask = str(kit.folder / "cases" / "a_ct.nii.gz"), str(kit.folder / "cases" / "a_liver.nii.gz")
    verbs = {
        "prepare": [str(kit.folder / "cases"), "--out", "p.npz"],
        "train": [
            "--healthy", str(kit.folder / "p.npz"), "--config", "draem", "--restorer-steps", "2", "--segmenter-steps", "2",
            "--device", "cpu", "--out", "m.safetensors",
        ],
        "liver": [scan, "--found-liver", "accept", "--device", "cpu", "--out", "l.nii.gz"],
        "segment": [scan, "--liver", mask, "--given-liver", "accept", "--device", "cpu", "--out", "s"],
    }  # fmt: skip
    for verb, words in verbs.items():
        ended = subprocess.run(
            [sys.executable, "-c", FORESEEN, verb, *words[:-1], str(kit.folder / words[-1])], capture_output=True, text=True, check=False,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )  # fmt: skip
        assert ended.returncode == DONE, (verb, ended.stderr)
        foreseen, took = map(int, ended.stdout.split()[-3::2])
        assert took <= foreseen <= 2 * took, f"{verb}: foreseen {foreseen:,} bytes, took {took:,}"


@row(122)
def room_on_the_disk_is_looked_for_before_the_work(kit: Kit) -> None:
    """No room on the disk for what a verb writes: known only after the work."""
    sample = make_phantom(PhantomSettings(seed=3, size_px=64, slices=16))
    write_case(sample.volume, sample.liver, sample.tumours, kit.folder, "a")
    begun: list[str] = []
    kit.patch.setattr(liver, "find_liver", lambda *_, **__: begun.append("found"))
    kit.patch.setattr("napari_liver_anomaly.synthesis.apply.synthesise", lambda *_, **__: begun.append("drawn"))
    kit.patch.setattr(placing.shutil, "disk_usage", lambda path: SimpleNamespace(free=60))
    given = ["--liver", str(kit.folder / "a_liver.nii.gz"), "--given-liver", "accept"]
    for verb, words in {"liver": [], "synthesise": given, "segment": given}.items():
        out = kit.folder / ("out.nii.gz" if verb == "liver" else "out")
        assert main([verb, str(kit.folder / "a_ct.nii.gz"), *words, "--out", str(out)]) == REFUSED, verb
        said = kit.output.readouterr().err
        assert "No space left" in said and "was not begun" in said and not begun and not out.exists(), (verb, said)


@row(159)
def trainings_and_measurements_look_for_room_before_the_work(kit: Kit) -> None:
    """No room on the disk for a training, its unfinished state, a packed set or figures; or no memory for its slices: known after hours."""
    cases, packed = kit.folder / "cases", kit.folder / "p.npz"
    sample = make_phantom(PhantomSettings(seed=3, size_px=64, slices=16))
    write_case(sample.volume, sample.liver, sample.tumours, cases, "a")
    given = ["--given-liver", "accept"]
    assert main(["prepare", str(cases), *given, "--out", str(packed)]) == DONE
    begun: list[str] = []
    for place in (
        "training.fit.slices_of",
        "liver.train_liver.read",
        "evaluation.case_measuring.read",
        "io.read",
    ):  # io last: imports keep it
        kit.patch.setattr(f"napari_liver_anomaly.{place}", lambda *_, **__: begun.append("begun"))
    kit.patch.setattr(comparison, "run_one", lambda *_: begun.append("trained"))
    with room_of(kit, 60):
        verbs = {
            "prepare": [str(cases), *given],
            "evaluate": ["--data", str(cases), "--model", "draem", "--seen", "mark", *given],
            "train": ["--healthy", str(packed), "--config", "draem"],
            "train-liver": ["--data", str(cases), *given],
        }
        for verb, words in verbs.items():
            out = kit.folder / f"out{ {'prepare': '.npz', 'evaluate': '.json'}.get(verb, '.safetensors') }"
            assert main([verb, *words, "--out", str(out)]) == REFUSED, verb
            said = kit.output.readouterr().err
            assert "No space left" in said and "was not begun" in said and not begun and not out.exists(), (verb, said)
        words = ["run", "--dataset", "phantom", "--only", "draem", "--out", str(kit.folder / "study")]
        assert study(words) == REFUSED and "No space left" in kit.output.readouterr().err and not begun
    kit.patch.setattr("napari_liver_anomaly.storage._free_memory", lambda: 10**8)
    words = ["--healthy", str(packed), "--config", "draem", "--device", "cpu", "--out", str(kit.folder / "m.safetensors")]
    assert main(["train", *words]) == REFUSED and "Not enough memory" in kit.output.readouterr().err and not begun


@contextmanager
def room_of(kit: Kit, free: int) -> Iterator[None]:
    """Let the disk have so many bytes left."""
    with kit.patch.context() as patch:
        patch.setattr(placing.shutil, "disk_usage", lambda path: SimpleNamespace(free=free))
        yield
