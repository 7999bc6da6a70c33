"""The cases of the comparison: every scan brought once to the slices that the models see, with its truth, and kept in one file."""

from __future__ import annotations

import hashlib
import json
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile

import numpy as np

from liver_anomaly_study.messages import make_refusal
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.cases import find_cases
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.liver.case_livers import ASK, read_case_liver
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.placing import replacing
from napari_liver_anomaly.preprocessing import HealthySlices, prepare
from napari_liver_anomaly.training.training_file import pack_case
from napari_liver_anomaly.training.training_set import LEAST_LIVER_PX, slices_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.read_options import MaskOptions
    from napari_liver_anomaly.preprocessing import PreprocessSettings
    from napari_liver_anomaly.volume import Mask, Volume

PHANTOM_PX, PHANTOM_TRAIN, PHANTOM_TEST = 144, range(201, 213), range(301, 309)
ARRAYS = ("images", "liver_mask", "truth", "healthy")


@dataclass(frozen=True, eq=False)
class Case:
    """One scan as the models see it."""

    name: str
    images: NDArray[np.float32]  # (n, H, W), 0…1, background 0
    liver_mask: NDArray[np.bool_]  # (n, H, W)
    truth: NDArray[np.bool_]  # (n, H, W), tumours
    healthy: NDArray[np.intp]  # (k, C): for each slice to train on, the slices that a network sees with it
    spacing_mm: tuple[float, float, float]  # (z, y, x)
    hu_per_unit: float  # HU between 0 and 1
    labelled: bool  # whether the tumours are known; without them a scan is only trained on

    @property
    def mark(self) -> str:
        """A hash of name and slices, which tells a case in a card without its name."""
        return hashlib.blake2b(self.name.encode() + np.ascontiguousarray(self.images).tobytes(), digest_size=16).hexdigest()


def case_of(name: str, volume: Volume, liver: Mask, tumours: Mask | None, settings: PreprocessSettings) -> Case:
    """Bring a scan to a model's slices."""
    truth = tumours.voxels if tumours is not None else np.zeros(liver.voxels.shape, bool)
    scan = pack_case(volume.voxels, liver.voxels, truth, volume.geometry.spacing_mm, scan=volume.identity, name=name)
    hu, liver_mask, _ = scan.whole()
    seen = prepare(hu, liver_mask, scan.spacing_mm, settings)
    healthy = np.zeros((0, settings.planes), np.intp)
    if scan.healthy.any():
        stacks = _stacks(lambda: slices_of([scan], settings))
        healthy = np.asarray(stacks, np.intp).reshape(-1, settings.planes)
    lesions = seen.frame.mask_to_network(truth) & seen.liver_mask
    spacing_mm = (settings.plane_mm or scan.spacing_mm[0], settings.pixel_mm, settings.pixel_mm)
    return Case(name, seen.images, seen.liver_mask, lesions, healthy, spacing_mm, settings.hu_per_unit, tumours is not None)


def _stacks(slices: Callable[[], HealthySlices]) -> Sequence[tuple[int, ...]]:
    """Healthy slices of one scan, which may have none."""
    try:
        return slices().stacks or ()
    except Refusal:
        return ()


def patients(
    folder: str | Path, settings: PreprocessSettings, cache: str | Path, masks: MaskOptions = ASK, *,
    tell: Callable[[Iterable[Finding]], object] | None = None, job: Job | None = None,
) -> list[Case]:  # fmt: skip
    """Read the cases of a folder (``NAME_ct``, ``NAME_liver`` and, where known, ``NAME_tumour``), or what was kept of them.

    Liver masks are judged and asked about as everywhere; ``masks`` answers for all of them, and ``tell`` takes what is doubtful about each.
    """
    job = job or Job()

    def made() -> Iterator[Case]:
        cases = find_cases(folder)
        for number, case in enumerate(cases):
            job.at("Reading the scans", number, len(cases))
            volume = read(case.ct)
            tumours = read_mask(case.tumours, volume, may_be_empty=True) if case.tumours else None
            liver = read_case_liver(case, volume, masks)
            if tell is not None:
                tell(liver.findings)
            yield case_of(case.name, volume, liver, tumours, settings)

    return _kept(Path(cache), settings, made, masks)


def phantoms(settings: PreprocessSettings, cache: str | Path, job: Job | None = None) -> list[Case]:
    """Make digital abdomens, healthy ones to train on and others with tumours of a family that no recipe draws, or take those kept."""
    job = job or Job()

    def made() -> Iterator[Case]:
        kinds = [("train", seed) for seed in PHANTOM_TRAIN] + [("test", seed) for seed in PHANTOM_TEST]
        for number, (kind, seed) in enumerate(kinds):
            job.at("Making digital abdomens", number, len(kinds))
            sample = make_phantom(PhantomSettings(seed=seed, size_px=PHANTOM_PX, tumours=kind == "test"))
            yield case_of(f"{kind}-{seed}", sample.volume, sample.liver, sample.tumours, settings)

    return _kept(Path(cache), settings, made)


def _kept(path: Path, settings: PreprocessSettings, made: Callable[[], Iterable[Case]], masks: MaskOptions = ASK) -> list[Case]:
    """Take cases from a file, or make them and write it."""
    labels = {"liver_label": masks.liver_label} if masks.liver_label != ASK.liver_label else {}
    about = json.dumps(settings.to_dict() | labels, sort_keys=True)
    if path.exists() and (there := _read(path, about, settings.hu_per_unit)) is not None:
        return there
    cases = list(made())
    arrays = {f"{array}_{n}": getattr(one, array) for n, one in enumerate(cases) for array in ARRAYS}
    names = [{"name": one.name, "spacing_mm": one.spacing_mm, "labelled": one.labelled} for one in cases]
    header = json.dumps({"settings": about, "cases": names})
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside, open(beside, "wb") as file:
        np.savez_compressed(file, header=np.array(header), **arrays)
    return cases


def _read(path: Path, about: str, hu_per_unit: float) -> list[Case] | None:
    """Read kept cases; None where they were prepared in another way, refused where the file is cut short."""
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:  # by name, numpy leaves a broken one open
            header = json.loads(str(file["header"]))
            if header["settings"] != about:
                return None
            return [
                Case(
                    one["name"], file[f"images_{n}"], file[f"liver_mask_{n}"], file[f"truth_{n}"], file[f"healthy_{n}"],
                    tuple(one["spacing_mm"]), hu_per_unit, one["labelled"],
                )
                for n, one in enumerate(header["cases"])
            ]  # fmt: skip
    except (ValueError, LookupError, TypeError, EOFError, BadZipFile, zlib.error):
        raise make_refusal("figures-damaged", file=path.name) from None


def healthy_slices(cases: Iterable[Case]) -> HealthySlices:
    """Put the healthy slices of several cases, all prepared alike, together to train on; refused when there is none."""
    images: list[NDArray[np.float32]] = []
    liver_masks: list[NDArray[np.bool_]] = []
    stacks: list[tuple[int, ...]] = []
    unlabelled: list[tuple[int, ...]] = []
    spacing_mm, hu_per_unit = (4.0, 2.5, 2.5), 300.0
    for one in cases:
        reach = one.healthy.shape[1] // 2
        around = np.arange(len(one.images))[:, None] + np.arange(-reach, reach + 1)
        large = np.count_nonzero(one.liver_mask, axis=(1, 2)) >= LEAST_LIVER_PX
        unlabelled += [tuple(seen) for seen in (np.clip(around, 0, len(one.images) - 1)[large] + len(images)).tolist()]
        stacks += [tuple(int(z) + len(images) for z in seen) for seen in one.healthy]
        images.extend(one.images)
        liver_masks.extend(one.liver_mask)
        spacing_mm, hu_per_unit = one.spacing_mm, one.hu_per_unit
    if not stacks:
        raise make_refusal("healthy-none")
    return HealthySlices(images, liver_masks, hu_per_unit, stacks, spacing_mm, unlabelled=unlabelled)
