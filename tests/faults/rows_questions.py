"""The row about questions: each of the catalogue is asked by the command line, and each option that it names leads on."""

from __future__ import annotations

import ast
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import napari_liver_anomaly
from builders import PLAIN_AFFINE, SECONDARY_CAPTURE, ct, dicom_series, nifti_file
from faults import scenes
from faults.rows_dicom import second
from faults.rows_given import LIVER, abdomen, saved
from faults.table import row
from faults.witness import organ_of
from napari_liver_anomaly import liver
from napari_liver_anomaly.cli import ASKED, DONE, REFUSED, main
from napari_liver_anomaly.errors import Level
from napari_liver_anomaly.io import write_case, write_image
from napari_liver_anomaly.messages import CATALOGUE
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.table import Kit

    Scene = Callable[
        [Path], list[object]
    ]  # makes files in an empty folder, and gives the words of a command that asks about them

IN_THE_PANEL = {"layer-not-hu"}  # asked about a layer of the viewer, where no command line is
IN_A_FOLDER = {"case-liver-question"}  # the question of a case, passed on for the whole folder: row F105 answers it
OPTION = re.compile(r"^  (--\S.*?)(?:  +\S.*)?$", re.MULTILINE)


def offering() -> set[str]:
    """Codes of the messages that name an option to read on with, wherever they are made."""
    found = set()
    for path in Path(napari_liver_anomaly.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            made = (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in {"make_finding", "make_refusal"}
            )
            if made and len(node.args) > 1 and isinstance(node.args[0], ast.Constant):
                found.add(node.args[0].value)
    return found


def told(said: str) -> set[str]:
    """Codes of the messages whose three sentences stand in what was said."""
    found = set()
    for code in offering() | {code for code, message in CATALOGUE.messages.items() if message.level is Level.ASK}:
        message = CATALOGUE.messages[code]
        pattern = re.sub(r"\\\{[^}]*\}", ".*", re.escape(" ".join((message.what, message.meaning, message.action))))
        if re.search(f": {pattern}$", said, re.MULTILINE):
            found.add(code)
    return found


# ------------------------------------------------------------------------------------------------------------ files that make it ask


def of_series(**knobs: object) -> Scene:
    """A series of 11 slices."""
    return lambda folder: ["liver", dicom_series(folder / "case", **knobs)]  # type: ignore[arg-type]


def of_file(**knobs: object) -> Scene:
    """A NIfTI file of 11 slices."""
    return lambda folder: ["liver", nifti_file(folder / "case.nii", **knobs)]  # type: ignore[arg-type]


def two_series(folder: Path) -> list[object]:
    return ["liver", second(dicom_series(folder / "case"), ct()[..., :7], series="1.2.3.9")]


def two_phases(folder: Path) -> list[object]:
    case = dicom_series(folder / "case")
    second(case, ct() + 40, AcquisitionNumber=2)
    return ["liver", case]


def lost_slices(folder: Path) -> list[object]:
    case = dicom_series(folder / "case")
    (case / "slice10.dcm").write_bytes(b"")
    return ["liver", case]


def links(folder: Path) -> list[object]:
    (folder / "case").mkdir()
    for path in dicom_series(folder / "elsewhere").iterdir():
        (folder / "case" / path.name).symlink_to(path)
    return ["liver", folder / "case"]


def lost_size(folder: Path) -> list[object]:
    _, hu, _ = abdomen(folder)
    return ["liver", saved(folder / "lost.nii", hu, np.eye(4))]


def organs(folder: Path) -> list[object]:
    """A mask of three organs."""
    _, _, labels = abdomen(folder)
    mask = saved(folder / "organs.nii.gz", labels)
    return ["segment", folder / "ct.nii.gz", "--liver", mask, "--model", "layers"]


def spleen(folder: Path) -> list[object]:
    """A mask that marks the mirror image of the liver."""
    _, _, labels = abdomen(folder)
    mask = saved(folder / "mirrored.nii.gz", (labels[::-1] == LIVER).astype(np.uint8))
    return ["segment", folder / "ct.nii.gz", "--liver", mask, "--model", "layers"]


def used(folder: Path) -> list[object]:
    """A folder that holds the results of a run."""
    words = ["segment", *spleen(folder)[1:], "--given-liver", "accept"]
    assert main([*map(str, words), "--device", "cpu", "--out", str(folder / "out")]) == DONE
    return words


def feet_first(folder: Path) -> list[object]:
    """A body whose file says that its feet are its head."""
    volume = scenes.upside_down(make_phantom(PhantomSettings(seed=11, size_px=64, slices=16)))
    return ["liver", write_image(volume.voxels, volume.geometry, folder / "ct.nii.gz")]


def seen_in_training(folder: Path) -> list[object]:
    """A model that is to be measured on the scan it was trained on."""
    sample = make_phantom(PhantomSettings(seed=2, size_px=64, slices=12))
    write_case(sample.volume, sample.liver, sample.tumours, folder / "cases", "a")
    short = ["--restorer-steps", "1", "--segmenter-steps", "1", "--segmenter-epochs", "0", "--batch", "1"]
    model = folder / "own.safetensors"
    assert main(["train", "--healthy", str(folder / "cases"), *short, "--out", str(model)]) == DONE
    return ["evaluate", "--data", folder / "cases", "--model", model]


def liver_as_lesion(folder: Path) -> list[object]:
    """Liver and tumour of last time in one mask."""
    _, _, labels = abdomen(folder)
    liver = labels == LIVER
    tumour = liver & (np.cumsum(liver).reshape(liver.shape) < liver.sum() / 10)
    both = saved(folder / "both.nii.gz", liver.astype(np.uint8) + tumour)
    only, mask = saved(folder / "only.nii.gz", tumour.astype(np.uint8)), saved(folder / "liver.nii.gz", liver.astype(np.uint8))
    scans = [word for name in ("then", "now") for word in (f"--{name}-scan", folder / "ct.nii.gz", f"--{name}-liver", mask)]
    return ["follow-up", both, only, *scans]


OTHER_SIDE, OTHER_SIZE, ASKEW = np.diag([0.7, -0.8, 2.0, 1.0]), np.diag([-0.7, -0.8, 2.5, 1.0]), PLAIN_AFFINE.copy()
ASKEW[1, 2] = 0.6
SCENES: dict[str, Scene] = {
    "several-series": two_series, "slices-repeated": two_phases, "slices-lost": lost_slices, "dicom-links": links,
    "secondary-capture": of_series(tags={"SOPClassUID": SECONDARY_CAPTURE, "ImageType": ["DERIVED", "SECONDARY", "AXIAL"]}),
    "rescale-unsaid": of_series(signed=True, remove=["RescaleSlope", "RescaleIntercept"]),
    "series-not-hu": of_series(tags={"RescaleType": "MGML"}),
    "series-projected": of_series(tags={"ImageType": ["DERIVED", "SECONDARY", "AXIAL", "MIP"]}),
    "values-inverted": of_series(tags={"PhotometricInterpretation": "MONOCHROME1"}),
    "slices-tilted": of_series(tilt_deg=15), "slices-uneven": of_series(shift={4: (0, 0, 0.5)}), "slices-missing": of_series(drop=[5]),
    "distance-changes": of_series(shift={k: (0, 0, 2.0 * (k - 5)) for k in range(6, 11)}),
    "many-volumes": of_file(values=np.stack([ct(), ct() + 1], axis=-1)), "geometry-sheared": of_file(affine=ASKEW),
    "orientation-disagrees": of_file(qform=OTHER_SIDE), "spacing-disagrees": of_file(qform=OTHER_SIZE),
    "orientation-unknown": of_file(codes=(0, 0)), "values-not-hu": of_file(values=np.abs(ct())),
    "voxel-size-doubtful": lost_size, "mask-labels": organs, "given-liver-unlikely": spleen, "liver-unlikely": feet_first,
    "brightness-uneven": of_file(values=np.where(ct() > -900, 80 + 20 * (np.arange(11) % 2), -1000).astype(np.int16)),
    "folder-used": used, "split-leaks": seen_in_training, "lesions-fill-liver": liver_as_lesion,
}  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------------------- the walk


@row(86)
def every_question_names_an_option_that_leads_on(kit: Kit) -> None:
    """A question of the command line names no option, or one that does not lead on: nobody could go on."""
    questions = {code for code, message in CATALOGUE.messages.items() if message.level is Level.ASK}
    assert set(SCENES) | IN_THE_PANEL | IN_A_FOLDER == questions | offering(), "a question that nobody can provoke is no question"
    find = liver.find_liver
    for code, make in SCENES.items():
        folder = kit.folder / code
        folder.mkdir()
        words = [str(word) for word in make(folder)]
        kit.output.readouterr()
        out = {"liver": "liver.nii.gz", "segment": "out", "evaluate": "scores.json", "follow-up": "table.csv"}[words[0]]
        device = [] if words[0] == "follow-up" else ["--device", "cpu"]
        words += [*device, "--out", str(folder / out)]
        # Scans of eleven slices hold no liver: what they ask comes before, and a box stands in for what is found.
        kit.patch.setattr(liver, "find_liver", find if code == "liver-unlikely" else lambda volume, **_: organ_of(volume))
        before = seen(folder)
        ended, asked, options = ask(kit, words)
        assert (ended, asked) == (ASKED if code in questions else REFUSED, {code}), (code, ended, asked)
        assert options and seen(folder) == before, f"{code}: nothing is written"
        for option in options:
            walked(kit, [*words, *shlex.split(option)], code)
            if code != "folder-used" and (folder / out).is_file():
                (folder / out).unlink()
            words = words if "--replace" in words or words[0] != "segment" else [*words, "--replace"]


def walked(kit: Kit, words: list[str], first: str) -> None:
    """Answer whatever is asked after a question, until the work is done; nothing is asked twice."""
    before = {first}
    while True:
        ended, asked, options = ask(kit, words)
        if ended == DONE:
            return
        assert options and not asked & before, f"{first}: {words[5:]} led to {ended}, {asked or 'no question'}"
        before |= asked
        words = [*words, *shlex.split(options[0])]


def ask(kit: Kit, words: list[str]) -> tuple[int, set[str], list[str]]:
    """Run a command; how it ended, which questions it asked, and which options it named."""
    ended = main(words)
    said = kit.output.readouterr().err
    return ended, told(said) if ended != DONE else set(), OPTION.findall(said) if ended != DONE else []


def seen(folder: Path) -> dict[str, bytes]:
    """Every file of a folder."""
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
