"""The livers of the comparison: every scan brought once to the slices that the systems see, with its truth, and kept in one file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.cases import find_cases
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom
from napari_liver_anomaly.preprocessing import HealthySlices, prepare
from napari_liver_anomaly.storage import replacing
from napari_liver_anomaly.training.training_set import pack_scan, slices_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.preprocessing import PreprocessSettings
    from napari_liver_anomaly.volume import Mask, Volume

PHANTOM_PX, PHANTOM_TRAIN, PHANTOM_TEST = 144, range(201, 213), range(301, 309)


@dataclass(frozen=True, eq=False)
class Liver:
    """One scan as the systems see it.

    Attributes
    ----------
    name : str
        Name of the case.
    images : ndarray, (n, H, W) float32
        0…1, background 0.
    liver_mask, truth : ndarray, (n, H, W) bool
        Liver and tumours.
    healthy : ndarray, (k, C) int
        For each slice that may be learned from, the slices that a network sees with it.
    spacing_mm : tuple of float
        Distance (z, y, x) of slices and pixels in mm.
    hu_per_unit : float
        Hounsfield units between 0 and 1.
    labelled : bool
        Whether the truth is known; without it, a scan is only learned from.
    """

    name: str
    images: NDArray[np.float32]
    liver_mask: NDArray[np.bool_]
    truth: NDArray[np.bool_]
    healthy: NDArray[np.intp]
    spacing_mm: tuple[float, float, float]
    hu_per_unit: float
    labelled: bool


def liver_of(name: str, volume: Volume, liver: Mask, tumours: Mask | None, settings: PreprocessSettings) -> Liver:
    """Bring a scan to a system's slices.

    Parameters
    ----------
    name : str
        Name of the case.
    volume : Volume
        The scan.
    liver : Mask
        Its liver.
    tumours : Mask or None
        Its tumours, where they are known.
    settings : PreprocessSettings
        How the systems see it.

    Returns
    -------
    Liver
        Its slices.
    """
    truth = tumours.voxels if tumours is not None else np.zeros(liver.voxels.shape, bool)
    scan = pack_scan(volume.voxels, liver.voxels, truth, volume.geometry.spacing_mm, scan=volume.identity, name=name)
    hu, liver_mask, _ = scan.whole()
    seen = prepare(hu, liver_mask, scan.spacing_mm, settings)
    healthy = np.zeros((0, settings.planes), np.intp)
    if scan.healthy.any():
        stacks = _stacks(lambda: slices_of([scan], settings))
        healthy = np.asarray(stacks, np.intp).reshape(-1, settings.planes)
    lesions = seen.frame.mask_to_network(truth) & seen.liver_mask
    spacing_mm = (settings.plane_mm or scan.spacing_mm[0], settings.pixel_mm, settings.pixel_mm)
    return Liver(name, seen.images, seen.liver_mask, lesions, healthy, spacing_mm, settings.hu_per_unit, tumours is not None)


def _stacks(slices: Any) -> Sequence[tuple[int, ...]]:
    """Healthy slices of one scan, which may have none."""
    try:
        return slices().stacks or ()
    except Refusal:
        return ()


def patients(folder: str | Path, settings: PreprocessSettings, cache: str | Path, job: Job | None = None) -> list[Liver]:
    """Read the cases of a folder, or what was kept of them.

    Parameters
    ----------
    folder : path-like
        Holds ``NAME_ct``, ``NAME_liver`` and, where known, ``NAME_tumour`` files.
    settings : PreprocessSettings
        How the systems see them.
    cache : path-like
        ``.npz`` file to keep them in.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    list of Liver
        Sorted by name.

    Raises
    ------
    Refusal
        When there is no case, or one cannot be read.
    """
    job = job or Job()

    def made() -> Iterator[Liver]:
        cases = find_cases(folder)
        for number, case in enumerate(cases):
            job.at("Reading the scans", number, len(cases))
            volume, _ = read(case.ct)
            tumours = read_mask(case.tumours, volume, may_be_empty=True) if case.tumours else None
            yield liver_of(case.name, volume, read_mask(case.liver, volume), tumours, settings)

    return _kept(Path(cache), settings, made)


def phantoms(settings: PreprocessSettings, cache: str | Path, job: Job | None = None) -> list[Liver]:
    """Make the digital abdomens of the comparison, or take what was kept of them: healthy ones to learn from, others with tumours.

    Their tumours, soft ellipsoids with rim and core, are of a family that no recipe draws.

    Parameters
    ----------
    settings : PreprocessSettings
        How the systems see them.
    cache : path-like
        ``.npz`` file to keep them in.
    job : Job, optional
        Progress and cancel.

    Returns
    -------
    list of Liver
        ``train-…`` without tumours, ``test-…`` with five each.
    """
    job = job or Job()

    def made() -> Iterator[Liver]:
        kinds = [("train", seed) for seed in PHANTOM_TRAIN] + [("test", seed) for seed in PHANTOM_TEST]
        for number, (kind, seed) in enumerate(kinds):
            job.at("Making digital abdomens", number, len(kinds))
            sample = make_phantom(PhantomSettings(seed=seed, size_px=PHANTOM_PX, tumours=kind == "test"))
            yield liver_of(f"{kind}-{seed}", sample.volume, sample.liver, sample.tumours, settings)

    return _kept(Path(cache), settings, made)


def _kept(path: Path, settings: PreprocessSettings, made: Any) -> list[Liver]:
    """Take livers from a file, or make them and write it."""
    about = json.dumps(settings.to_dict(), sort_keys=True)
    if path.exists():
        with np.load(path, allow_pickle=False) as file:
            header = json.loads(str(file["header"]))
            if header["settings"] == about:
                return [
                    Liver(
                        one["name"], file[f"images_{n}"], file[f"organ_{n}"], file[f"truth_{n}"], file[f"healthy_{n}"],
                        tuple(one["spacing_mm"]), settings.hu_per_unit, one["labelled"],
                    )
                    for n, one in enumerate(header["livers"])
                ]  # fmt: skip
    livers = list(made())
    arrays: dict[str, Any] = {}
    for n, one in enumerate(livers):
        arrays |= {f"images_{n}": one.images, f"organ_{n}": one.liver_mask, f"truth_{n}": one.truth, f"healthy_{n}": one.healthy}
    names = [{"name": one.name, "spacing_mm": one.spacing_mm, "labelled": one.labelled} for one in livers]
    header = json.dumps({"settings": about, "livers": names})
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as beside, open(beside, "wb") as file:
        np.savez_compressed(file, header=np.array(header), **arrays)
    return livers


def healthy_slices(livers: Iterable[Liver]) -> HealthySlices:
    """Put the healthy slices of several livers together, to learn from.

    Parameters
    ----------
    livers : iterable of Liver
        Of one preparation; at least one healthy slice in all.

    Returns
    -------
    HealthySlices
        In order.

    Raises
    ------
    Refusal
        When there is no healthy slice.
    """
    images: list[NDArray[np.float32]] = []
    liver_masks: list[NDArray[np.bool_]] = []
    stacks: list[tuple[int, ...]] = []
    spacing_mm, hu_per_unit = (4.0, 2.5, 2.5), 300.0
    for one in livers:
        stacks += [tuple(int(place) + len(images) for place in seen) for seen in one.healthy]
        images.extend(one.images)
        liver_masks.extend(one.liver_mask)
        spacing_mm, hu_per_unit = one.spacing_mm, one.hu_per_unit
    if not stacks:
        raise Refusal(
            "healthy-none", "There is no healthy liver slice in these scans.", "Nothing can be learned from them.",
            "Add scans without tumours.",
        )  # fmt: skip
    return HealthySlices(images, liver_masks, hu_per_unit, stacks, spacing_mm)
