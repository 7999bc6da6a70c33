"""What the packaged model misses, on digital phantoms: ``python docs/failures.py`` makes the picture and the table of the model card.

One lesion at a time is inserted into healthy phantoms that no training has seen, and the whole scan is searched with the packaged settings.
No picture shows a patient.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure

import napari_liver_anomaly as nla
from napari_liver_anomaly.detection.inserted_lesions import Ball, HealthyTissue, insert
from napari_liver_anomaly.metrics.overlap import dice

if TYPE_CHECKING:
    from napari_liver_anomaly.phantom import Sample

PAGE = Path(__file__).parent / "model-card.md"
PICTURE = Path(__file__).parent / "images" / "evidence" / "failures.png"
PHANTOMS = (901, 902, 903)  # their seeds
SIZE_PX, SLICES = 512, 96
HALF_MM = 55.0  # of a picture, from its middle
EDGE, DEEP = "at the liver's edge", "in the middle of the liver"


@dataclass(frozen=True)
class Case:
    """A lesion: its diameter in mm, how much darker than the liver it is in HU, and where it lies."""

    diameter_mm: float
    darker_hu: float
    where: str = ""

    @property
    def size(self) -> str:
        """Size and contrast, for a reader."""
        return f"{self.diameter_mm:.0f} mm, {abs(self.darker_hu):.0f} HU {'darker' if self.darker_hu > 0 else 'brighter'}"


CASES = (
    Case(6, 30), Case(8, 30), Case(10, 15), Case(20, 10), Case(30, 6), Case(20, 30),
    Case(70, 30, DEEP), Case(25, 30, EDGE), Case(25, -25),
)  # fmt: skip
LESION = Case(20, 30)  # that is inserted into livers of other kinds
LIVERS = {  # mean HU of the liver, or None for its own, and SD of a texture of nodules in HU
    "as the phantom's": (None, 0), "fatty, 30 HU": (30, 0), "very bright, 145 HU": (145, 0),
    "nodules of 5 mm, SD 5 HU": (None, 5), "nodules of 5 mm, SD 10 HU": (None, 10),
}  # fmt: skip
NODULE_MM = 5.0


def main() -> None:
    """Search all, draw, and write the tables."""
    figure = Figure(figsize=(9, 9.6), layout="constrained")
    places = figure.subplots(3, 3).ravel()
    rows, false = [], []
    healthy = {}
    for seed in PHANTOMS:
        sample = nla.make_phantom(nla.PhantomSettings(seed=seed, tumours=False, size_px=SIZE_PX, slices=SLICES))
        result = nla.segment(sample.volume, sample.liver)
        healthy[seed] = (sample, HealthyTissue(sample.volume, sample.liver, result.labels > 0))
        false.append(f"{len(result.lesions)} ({sum(lesion.volume_ml for lesion in result.lesions):.1f} ml)")
    for case, axes in zip(CASES, places, strict=True):
        found = [searched(case, *healthy[seed], seed) for seed in PHANTOMS]
        covered, overlap = [share for share, _, _ in found], [one for _, one, _ in found]
        rows.append(
            f"| {case.size}{', ' * bool(case.where)}{case.where} | {sum(share >= 0.5 for share in covered)} of {len(found)} | "
            f"{', '.join(f'{share:.2f}' for share in covered)} | {np.mean(overlap):.2f} ± {np.std(overlap, ddof=1):.2f} |"
        )
        print(rows[-1], flush=True)
        draw(axes, case, covered[0], *found[0][2])
    PICTURE.parent.mkdir(exist_ok=True)
    figure.savefig(PICTURE, dpi=100)
    model = result.model_hash[:12]
    text = "\n".join([
        f"![Nine lesions in a phantom: their true outline, and what the packaged model finds]({PICTURE.relative_to(PAGE.parent)})\n",
        f"*Inserted into the first of three healthy phantoms; turquoise the truth, red what the packaged `standard` ({model}) finds.*\n",
        "| inserted | covered to half or more | share covered, phantom by phantom | Dice, mean ± SD |", "|---|---|---|---|", *rows, "",
        f"In the three phantoms without a lesion the model marks {', '.join(false)}.\n", *other_livers(healthy),
    ])  # fmt: skip
    page = PAGE.read_text(encoding="utf-8")
    mark = re.compile(r"(<!-- failures -->\n).*?(<!-- end -->)", re.DOTALL)
    PAGE.write_text(mark.sub(lambda parts: f"{parts[1]}\n{text}\n{parts[2]}", page), encoding="utf-8")


def other_livers(healthy: dict[int, tuple[Sample, HealthyTissue]]) -> list[str]:
    """Search livers of other kinds, without a lesion and with one, and give the table."""
    rows = [
        "The same phantoms with the liver moved to another HU, or with a texture of nodules: marks without a lesion, and one inserted.\n",
        f"| liver | marks without a lesion, phantom by phantom | {LESION.size}: share covered | Dice, mean ± SD |",
        "|---|---|---|---|",
    ]
    for kind, (level, texture) in LIVERS.items():
        marks, found = [], []
        for seed, (sample, tissue) in healthy.items():
            changed = of_kind(sample, level, texture, seed)
            marks.append(str(len(nla.segment(changed.volume, changed.liver).lesions)))
            found.append(searched(LESION, changed, tissue, seed)[:2])
        share, overlap = zip(*found, strict=True)
        rows.append(
            f"| {kind} | {', '.join(marks)} | {', '.join(f'{one:.2f}' for one in share)} | {np.mean(overlap):.2f} ± {np.std(overlap, ddof=1):.2f} |"
        )
        print(rows[-1], flush=True)
    return rows


def of_kind(sample: Sample, level: float | None, texture: float, seed: int) -> Sample:
    """Move a phantom's liver to another level, or give it a texture of nodules."""
    from scipy.ndimage import gaussian_filter

    voxels, liver = sample.volume.voxels.astype(np.float32), sample.liver.voxels
    if level is not None:
        voxels += liver * (level - np.median(voxels[liver]))
    if texture:
        sigma = [NODULE_MM / 2.355 / mm for mm in sample.volume.geometry.spacing_mm]
        nodules = gaussian_filter(np.random.default_rng(seed).standard_normal(voxels.shape, dtype=np.float32), sigma)
        voxels += liver * nodules * (texture / nodules.std())
    volume = replace(sample.volume, voxels=np.rint(voxels).astype(np.int16))
    return replace(sample, volume=volume, liver=replace(sample.liver, scan=volume.identity))


def searched(
    case: Case, sample: Sample, tissue: HealthyTissue, seed: int
) -> tuple[float, float, tuple[np.ndarray, np.ndarray, np.ndarray, float]]:
    """Insert a lesion and search the scan: the share that is covered, Dice of what touches it, and the slices for the picture."""
    centre = place(case, sample, tissue, seed)
    voxels, pieces = insert(sample.volume, [Ball(case.diameter_mm, case.darker_hu, centre)])
    truth = (pieces > 0) & sample.liver.voxels
    volume = replace(sample.volume, voxels=voxels)
    result = nla.segment(volume, replace(sample.liver, scan=volume.identity))
    touching = np.setdiff1d(np.unique(result.labels[truth]), 0)
    mine = np.isin(result.labels, touching)
    z, y, x = centre
    spacing = sample.volume.geometry.spacing_mm
    half = [round(HALF_MM / mm) for mm in spacing[1:]]
    window = (slice(max(y - half[0], 0), y + half[0]), slice(max(x - half[1], 0), x + half[1]))
    cut = (voxels[z][window], truth[z][window], result.labels[z][window] > 0, spacing[1])
    return float(result.labels[truth].astype(bool).mean()), dice(mine, truth), cut


def place(case: Case, sample: Sample, tissue: HealthyTissue, seed: int) -> tuple[int, int, int]:
    """Choose where a lesion lies: by chance in healthy tissue, at its deepest point, or with its middle 3 mm under the surface."""
    from scipy.ndimage import distance_transform_edt

    if not case.where:
        found = tissue.place(case.diameter_mm, [], np.random.default_rng(seed))
        if found is None:
            raise RuntimeError("The phantom has no room for it.")
        return found
    depth = distance_transform_edt(sample.liver.voxels, sample.volume.geometry.spacing_mm)
    if case.where == DEEP:
        return tuple(int(n) for n in np.unravel_index(depth.argmax(), depth.shape))
    shell = np.argwhere((depth > 2) & (depth < 4))
    middle = shell[np.abs(shell[:, 0] - np.median(shell[:, 0])) < 5]
    return tuple(int(n) for n in np.random.default_rng(seed).choice(middle))


def draw(axes: Any, case: Case, share: float, hu: np.ndarray, truth: np.ndarray, found: np.ndarray, mm: float) -> None:
    """Draw one lesion with its true outline and with what was found."""
    reach = [0, hu.shape[1] * mm, hu.shape[0] * mm, 0]
    axes.imshow(hu, cmap="gray", vmin=15, vmax=165, extent=reach)
    across, down = (np.arange(n) * mm + mm / 2 for n in hu.shape[::-1])
    for mask, colour in ((truth, "#2dd4bf"), (found, "#ff4d4d")):
        if mask.any():
            axes.contour(across, down, mask, levels=[0.5], colors=[colour], linewidths=1.4)
    where = f"{case.where}, " if case.where else ""
    axes.set_title(f"{case.size}\n{where}{100 * share:.0f} % covered", fontsize=9)
    axes.set_axis_off()


if __name__ == "__main__":
    main()
