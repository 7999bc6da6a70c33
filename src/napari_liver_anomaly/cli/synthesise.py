"""The verb that draws synthetic anomalies into a scan."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.cli.scan import LiverScanVerb
from napari_liver_anomaly.cli.verb import say, show
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.placing import require_place
from napari_liver_anomaly.settings import REQUIRED, setting

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job


@dataclass(frozen=True, kw_only=True, slots=True)
class SynthesiseVerb(LiverScanVerb):
    """Put synthetic anomalies on a scan."""

    recipe: str = setting("nodules", help="Family of anomalies; 'liver-anomaly info' lists them.")
    seed: int = setting(0, low=0, help="Decides every random choice.")
    out: Path = setting(REQUIRED, help="Folder for the results.")

    def places(self) -> dict[Path, bool]:
        """Name the folder that is written."""
        return {self.out: True}

    def run(self, job: Job) -> None:
        """Write a scan with synthetic anomalies, and where they are."""
        from napari_liver_anomaly.io.nifti_writing import image_writer, least_bytes, write_together
        from napari_liver_anomaly.synthesis import RECIPES
        from napari_liver_anomaly.synthesis.apply import synthesise

        if self.recipe not in RECIPES:
            raise make_refusal("recipe-unknown", recipe=self.recipe, choices=", ".join(RECIPES))
        volume = self.read(job)
        require_place(self.out, folder=True, needed=least_bytes(volume.voxels.size, scans=1, masks=1))
        liver = self.given_liver(volume) or self.find_liver(volume, device=self.device, job=job)
        show((*volume.findings, *liver.findings))
        anomalous, mask = synthesise(volume, liver, RECIPES[self.recipe](), self.seed, job)
        images = {"anomalous": anomalous.voxels, "anomalies": mask.voxels}
        write_together(
            {self.out / f"{name}.nii.gz": image_writer(voxels, volume.geometry) for name, voxels in images.items()}, self.inputs
        )
        say(f"Wrote anomalous.nii.gz and anomalies.nii.gz ({mask.ml:.1f} ml of synthetic anomalies).")
