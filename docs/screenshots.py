"""Walk through the built-in sample in a real window and take the pictures of the documentation.

Run it from the repository: ``python docs/screenshots.py`` (without a screen: ``xvfb-run -a -s "-screen 0 1600x1000x24" python docs/screenshots.py``).
``--only questions`` takes those of one part alone. The sample is made by code, so no picture shows a patient.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nibabel
import numpy as np
import pydicom
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPainter
from qtpy.QtPdf import QPdfDocument

from napari_liver_anomaly.gui.anomaly_panel import AnomalyPanel
from napari_liver_anomaly.gui.demo import open_window, ready, require_no_error, show_largest, wait_until
from napari_liver_anomaly.gui.fold import Fold
from napari_liver_anomaly.gui.follow_up_section import Place
from napari_liver_anomaly.gui.layers import Role
from napari_liver_anomaly.gui.many_scans_panel import ManyScansPanel
from napari_liver_anomaly.inference import segment
from napari_liver_anomaly.io import Session, write_image, write_session
from napari_liver_anomaly.io.dicom_study import write_study
from napari_liver_anomaly.io.session import ENDING
from napari_liver_anomaly.many_scans import State
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from napari_liver_anomaly.gui.tumour_panel import TumourPanel
    from napari_liver_anomaly.volume import Volume

IMAGES = Path(__file__).parent / "images"


PARTS = ("questions", "tumours", "look", "study", "later", "many", "anomalies")
CT_IMAGE = "1.2.840.10008.5.1.4.1.1.2"
PIXEL_HU = 1024  # the scanner's zero
SEEN_SEED = 3  # of anomalies that are partly found
EARLIER_COUNT = 3  # tumours of the sample a year ago
PAGE_PX_PER_POINT = 1.3


def walk(folder: Path, panel: TumourPanel | None = None, parts: Sequence[str] = PARTS) -> None:
    """Take the pictures.

    Parameters
    ----------
    folder : Path
        Where to.
    panel : TumourPanel, optional
        A panel that stands for the product's, for a trial without a model.
    parts : sequence of str
        Which of them.
    """
    folder.mkdir(parents=True, exist_ok=True)
    viewer, panel = open_window() if panel is None else (panel.viewer, panel)

    def take(name: str) -> None:
        wait_until(lambda: not panel.controller.busy, at_least_s=0.8)
        require_no_error()
        viewer.screenshot(str(folder / f"{name}.png"), canvas_only=False, flash=False)

    if "questions" in parts:
        with tempfile.TemporaryDirectory() as made:
            questions(Path(made), panel, take)
        viewer.layers.clear()
    if "tumours" in parts:
        tumours(viewer, panel, take)
        viewer.layers.clear()
    if "look" in parts:
        look(viewer, panel, take, folder)
        viewer.layers.clear()
    if "study" in parts:
        with tempfile.TemporaryDirectory() as made:
            study(Path(made), panel, take)
        viewer.layers.clear()
    if "later" in parts:
        with tempfile.TemporaryDirectory() as made:
            later(Path(made), panel, folder)
        viewer.layers.clear()
    if "many" in parts:
        with tempfile.TemporaryDirectory() as made:
            many(Path(made), viewer, panel, take)
    viewer.window.remove_dock_widget(panel)
    if "anomalies" in parts:
        anomalies(viewer, take)
    viewer.close()


def questions(folder: Path, panel: TumourPanel, take: Callable[[str], None]) -> None:
    """Open scans that leave something open."""
    volume = make_phantom(PhantomSettings(tumours=True)).volume
    series = folder / "study"
    write_series(volume, series, 2, "Liver, arterial phase", every=2, second=0)
    write_series(volume, series, 3, "Liver, portal venous phase", every=1, second=38)
    write_series(volume, series, 4, "Blood flow", every=4, second=55, calibrated=False)
    ask(panel, series)
    take("series")
    panel.scans.question.press("Open")
    wait_until(lambda: panel.inputs.scan.layer is not None and not panel.scans.reading.busy, at_least_s=0.5)
    panel.messages.clear()
    ask(panel, write_two_positions(volume, folder / "phantom.nii.gz"))
    take("question")
    panel.scans.question.press("Leave it")


def ask(panel: TumourPanel, path: Path) -> None:
    """Open something, and wait for the question."""
    panel.open([path])
    wait_until(lambda: bool(panel.scans.question.text or panel.messages.text))
    if not panel.scans.question.text:
        raise SystemExit(panel.messages.text)


def write_two_positions(volume: Volume, path: Path) -> Path:
    """Write a NIfTI file whose two positions disagree about left and right."""
    affine = volume.geometry.source_affine
    image = nibabel.Nifti1Image(volume.geometry.to_source(volume.voxels), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine @ np.diag([-1.0, 1, 1, 1]), code=1)
    nibabel.save(image, path)
    return path


def write_series(
    volume: Volume, folder: Path, number: int, description: str, every: int, second: int, calibrated: bool = True
) -> None:
    """Write a DICOM series, one file a slice, from the head to the feet, of every so many slices one; perhaps without calibration."""
    folder.mkdir(exist_ok=True)
    z_mm, y_mm, x_mm = volume.geometry.spacing_mm
    series = generate_uid(entropy_srcs=["series", str(number)])
    study = generate_uid(entropy_srcs=["study"])
    for n, z in enumerate(range(0, len(volume.voxels), every)):
        data = pydicom.Dataset()
        data.SOPClassUID, data.SOPInstanceUID = UID(CT_IMAGE), generate_uid(entropy_srcs=[str(number), str(n)])
        data.StudyInstanceUID, data.SeriesInstanceUID, data.FrameOfReferenceUID = study, series, study
        data.Modality, data.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
        data.SeriesNumber, data.SeriesDescription, data.InstanceNumber, data.AcquisitionNumber = number, description, n + 1, 1
        data.AcquisitionTime, data.ContrastBolusAgent, data.ConvolutionKernel = f"1200{second:02}", "made up", "B30f"
        data.SliceThickness, data.PixelSpacing = z_mm * every, [y_mm, x_mm]
        data.ImageOrientationPatient, data.ImagePositionPatient = [1, 0, 0, 0, 1, 0], [0, 0, -z * z_mm]
        if calibrated:
            data.RescaleSlope, data.RescaleIntercept = 1, -PIXEL_HU
        data.Rows, data.Columns = volume.voxels.shape[1:]
        data.SamplesPerPixel, data.PhotometricInterpretation, data.PixelRepresentation = 1, "MONOCHROME2", 0
        data.BitsAllocated, data.BitsStored, data.HighBit = 16, 16, 15
        data.PixelData = np.clip(volume.voxels[z] + PIXEL_HU, 0, None).astype("<u2").tobytes()
        data.file_meta = pydicom.dataset.FileMetaDataset()
        data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        data.save_as(folder / f"{number}-{n:03}.dcm", enforce_file_format=True)


def tumours(viewer: Any, panel: TumourPanel, take: Callable[[str], None]) -> None:
    """Search the sample, and look at what was found."""
    panel.scans.open_sample()
    wait_until(lambda: ready(panel) and not panel.scans.reading.busy, at_least_s=0.5)
    search(panel)
    panel.messages.clear()
    show_largest(panel)
    zoom(viewer)
    take("panel")

    panel.threshold.slider.setSliderDown(True)
    panel.threshold.slider.setValue(0.2)
    take("threshold")
    panel.threshold.slider.setValue(0.5)
    panel.threshold.slider.setSliderDown(False)
    wait_until(lambda: not panel.controller.preview.on)

    switch(panel, Role.RESIDUAL, on=True)
    take("residual")
    switch(panel, Role.RESIDUAL, on=False)
    switch(panel, Role.SCORE, on=True)
    take("score")


def look(viewer: Any, panel: TumourPanel, take: Callable[[str], None], folder: Path) -> None:
    """Look at the sample in three planes and in space, and at the page of settings."""
    panel.scans.open_sample()
    wait_until(lambda: ready(panel) and not panel.scans.reading.busy, at_least_s=0.5)
    search(panel)
    panel.messages.clear()
    show_largest(panel)
    panel.look.views.planes.click()
    scene = [layer for layer in viewer.layers if layer.visible]
    wait_until(lambda: all(set(scene) <= set(view.twins.twins) for view in panel.look.planes.side.views), at_least_s=1.0)
    take("planes")
    panel.look.views.planes.click()
    panel.look.views.space.click()
    take("space")
    panel.look.views.space.click()
    page = panel.open_settings()
    wait_until(lambda: page.isVisible(), at_least_s=0.5)
    page.grab().save(str(folder / "settings.png"))
    page.close()


def search(panel: TumourPanel) -> None:
    """Press the button and wait for the result."""
    panel.segment()
    wait_until(lambda: panel.controller.shown is not None or bool(panel.messages.text))
    if panel.controller.shown is None:
        raise SystemExit(panel.messages.text)
    wait_until(lambda: bool(panel.runbar.text.text()) and panel.runbar.button.isEnabled())


def switch(panel: TumourPanel, role: Role, *, on: bool) -> None:
    """Switch an overlay on or off."""
    panel.look.overlays.rows[role][0].setChecked(on)


def study(folder: Path, panel: TumourPanel, take: Callable[[str], None]) -> None:
    """Open the sample as a DICOM series, and search it; the liver is found first."""
    write_study(make_phantom().volume, folder / "dicom")
    panel.open([folder / "dicom"])
    wait_until(lambda: panel.inputs.scan.layer is not None and not panel.scans.reading.busy, at_least_s=0.5)
    take("study")
    search(panel)
    show_largest(panel)
    take("study-found")


def later(made: Path, panel: TumourPanel, folder: Path) -> None:
    """Export the reading of the sample with a report, and compare it with that of a year before, when there were fewer tumours."""
    earlier = make_phantom(PhantomSettings(tumour_count=EARLIER_COUNT))
    write_session(Session.of(segment(earlier.volume, earlier.liver, unlikely="accept")), made / f"last-year{ENDING}")
    panel.scans.open_sample()
    wait_until(lambda: ready(panel) and not panel.scans.reading.busy, at_least_s=0.5)
    search(panel)
    panel.exports.choice.ticks["report"].setChecked(True)
    panel.exports.write(made / "results")
    wait_until(lambda: not panel.exports.writing.busy and (made / "results" / "report.pdf").exists())
    paper = QPdfDocument(panel)
    paper.load(str(made / "results" / "report.pdf"))
    printed = paper.render(0, (paper.pagePointSize(0) * PAGE_PX_PER_POINT).toSize())
    page = QImage(printed.size(), QImage.Format.Format_RGB888)
    page.fill(Qt.GlobalColor.white)
    painter = QPainter(page)
    painter.drawImage(0, 0, printed)
    painter.end()
    page.save(str(folder / "report.png"))
    panel.follow_ups.open()
    panel.follow_ups.compare(Place(made / f"last-year{ENDING}"))
    wait_until(lambda: panel.follow_ups.section.found is not None, at_least_s=0.5)
    dialog = panel.follow_ups.section.window()
    dialog.grab().save(str(folder / "follow-up.png"))
    dialog.close()


def many(made: Path, viewer: Any, reading: TumourPanel, take: Callable[[str], None]) -> None:
    """Search a folder of studies, one of which leaves something open."""
    studies = made / "studies"
    studies.mkdir()
    for number in range(1, 4):
        volume = make_phantom(PhantomSettings(tumours=number < 3, seed=number)).volume
        write_image(volume.voxels, volume.geometry, studies / f"phantom-{number}.nii.gz")
    write_two_positions(volume, studies / "phantom-4.nii.gz")
    panel = ManyScansPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Many scans (Liver Anomaly)", area="right")
    panel.put_in(made / "results")
    panel.add(studies)
    wait_until(lambda: len(panel.studies) == 4)
    panel.start()
    wait_until(lambda: all(study.state not in (State.WAITING, State.RUNNING) for study in panel.studies), at_least_s=0.5)
    panel.open(0)
    wait_until(lambda: reading.controller.shown is not None and not reading.busy)
    show_largest(reading)
    panel.bring_forward()
    take("many-scans")
    viewer.window.remove_dock_widget(panel)
    viewer.layers.clear()


def zoom(viewer: Any) -> None:
    """Fill the view with the patient."""
    viewer.scene.camera.zoom *= 1.25


def anomalies(viewer: Any, take: Callable[[str], None]) -> None:
    """Show the second panel on the healthy sample."""
    viewer.open_sample("napari-liver-anomaly", "phantom-healthy")
    panel = AnomalyPanel(viewer)
    viewer.window.add_dock_widget(panel, name="Synthetic anomalies (Liver Anomaly)", area="right")
    liver = viewer.layers["phantom liver"]
    viewer.dims.set_point(0, liver.data_to_world((liver.data.sum(axis=(1, 2)).argmax(), 0, 0))[0])
    for seed in range(50):
        panel.recipe.seed.setValue(seed)
        wait_until(lambda: not panel.latest.busy, at_least_s=0.3)
        if panel.said.text().startswith("Anomaly of"):
            break
    take("anomalies")
    panel.recipe.seed.setValue(SEEN_SEED)
    panel.check.runbar.button.click()
    wait_until(lambda: not panel.check.busy)
    wait_until(lambda: True, at_least_s=0.5)
    take("seen")
    for fold in panel.findChildren(Fold):
        fold.open(fold.body.isAncestorOf(panel.card))
    panel.card.runbar.button.click()
    wait_until(lambda: not panel.card.measuring.busy)
    wait_until(lambda: True, at_least_s=0.5)
    take("limit")


if __name__ == "__main__":
    asked = argparse.ArgumentParser(description="Take the pictures of the documentation.")
    asked.add_argument("--out", type=Path, default=IMAGES, help="Folder for the pictures.")
    asked.add_argument("--only", choices=PARTS, help="Take the pictures of one part.")
    given = asked.parse_args()
    walk(given.out, parts=(given.only,) if given.only else PARTS)
