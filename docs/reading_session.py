"""Walk through a whole reading session on the built-in sample, or a study of your own, in a real window, with a picture of each step.

A radiologist opens a study, looks at it in three planes, finds the liver and mends its outline, segments, goes through the findings, rejects one,
corrects an edge, adds one by hand, measures, compares with last year, exports to the archive, closes, and reopens tomorrow.

``python docs/reading_session.py --out FOLDER [--study FOLDER]``; without a screen, ``xvfb-run -a -s "-screen 0 1600x1000x24"`` before it.
``tests/gui/test_reading_session.py`` takes the same walk. Each step ends the program when what it should have done is not seen.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import Qt

from napari_liver_anomaly.gui.demo import open_window, wait_until
from napari_liver_anomaly.gui.layers import Role
from napari_liver_anomaly.gui.lesion_model import COMMENT, KEEP, TARGET
from napari_liver_anomaly.io import read
from napari_liver_anomaly.io.dicom_study import write_study
from napari_liver_anomaly.io.earlier_reading import Place
from napari_liver_anomaly.io.session import ENDING, Session, write_session
from napari_liver_anomaly.phantom import PhantomSettings, make_phantom

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_liver_anomaly.gui.tumour_panel import TumourPanel

SOFT_TISSUE = "Soft tissue"
EARLIER_COUNT = 3  # tumours of the sample a year ago
STROKE_PX = 4  # half the width of a stroke by hand


class Reading:
    """A reader at the window."""

    def __init__(self, viewer: Any, panel: TumourPanel, folder: Path, take: Callable[[str], None]) -> None:
        self.viewer, self.panel, self.folder, self.take = viewer, panel, folder, take
        self.lesions_before: list[tuple[Any, ...]] = []

    def walk(self) -> None:
        """Take all steps, in their order."""
        looking = (self.open_study, self.look, self.three_planes, self.find_liver, self.mend_liver, self.segment)
        finding = (self.next_finding, self.reject, self.correct, self.add_by_hand, self.measure, self.compare)
        steps = (*looking, *finding, self.export, self.save, self.reopen)
        for number, step in enumerate(steps, 1):
            step()
            self.settle()
            self.take(f"{number:02}-{step.__name__.replace('_', '-')}")

    def settle(self) -> None:
        """Wait until nothing is in progress."""
        panel = self.panel
        wait_until(lambda: not (panel.busy or panel.controller.busy or panel.exports.writing.busy), at_least_s=0.3)

    def open_study(self) -> None:
        """Drop the folder of a DICOM study."""
        self.panel.open([self.folder / "study"])
        wait_until(lambda: self.panel.inputs.scan.layer is not None)

    def look(self) -> None:
        """Choose a window, then the liver's again."""
        self.panel.look.windows.picked.emit(SOFT_TISSUE)
        require(tuple(self.panel.inputs.scan.layer.contrast_limits) != self.liver_window(), "the window is another")
        self.panel.look.windows.picked.emit("Liver")

    def liver_window(self) -> tuple[float, float]:
        """Limits of the liver's window."""
        from napari_liver_anomaly.gui.window_presets import limits_hu

        return limits_hu("Liver")

    def three_planes(self) -> None:
        """Look at three planes side by side, and go back to one."""
        self.panel.look.views.planes_wanted.emit(True)
        wait_until(lambda: [view.axis for view in self.panel.look.planes.side.views] == [1, 2], at_least_s=0.5)
        self.take("03-three-planes-open")
        self.panel.look.views.planes_wanted.emit(False)

    def find_liver(self) -> None:
        """Have the liver found."""
        self.panel.find_liver()
        wait_until(lambda: self.panel.inputs.liver.layer is not None and not self.panel.busy)

    def mend_liver(self) -> None:
        """Erase a little of the liver's outline with the brush."""
        liver = self.panel.inputs.liver.layer
        inside = liver.data.any(axis=(1, 2)).nonzero()[0]
        middle = int(inside[len(inside) // 2])
        row, column = (int(axis[0]) for axis in np.nonzero(liver.data[middle]))
        before = int(liver.data.sum())
        liver.data_setitem(square(middle, row, column), 0)
        require(int(liver.data.sum()) < before, "a piece of the liver is gone")
        self.viewer.dims.set_point(0, liver.data_to_world((middle, 0, 0))[0])

    def segment(self) -> None:
        """Press the button."""
        self.panel.segment()
        wait_until(lambda: self.panel.controller.shown is not None and not self.panel.busy)
        require(len(self.shown.lesions) >= 2, "there are lesions")

    @property
    def shown(self) -> Any:
        """The result on screen."""
        return self.panel.controller.shown

    def rows(self) -> list[tuple[Any, ...]]:
        """Say what the table says of the lesions."""
        return [(row.lesion, row.kept, row.target, row.comment, row.origin) for row in self.shown.rows()]

    def tick(self, row: int, column: int, state: Qt.CheckState) -> None:
        """Tick or untick a cell."""
        table = self.panel.table.model()
        table.setData(table.index(row, column), state, Qt.ItemDataRole.CheckStateRole)
        self.settle()

    def next_finding(self) -> None:
        """Go to the next finding by key."""
        before = self.viewer.dims.point
        self.panel.table.step(1)
        self.panel.table.step(1)
        require(self.viewer.dims.point != before, "the view went to another lesion")

    def reject(self) -> None:
        """Leave the last finding out."""
        last = len(self.shown.rows()) - 1
        self.tick(last, KEEP, Qt.CheckState.Unchecked)
        require(not self.shown.rows()[last].kept, "it is rejected")

    def correct(self) -> None:
        """Erase some of the largest lesion's edge."""
        lesion = max(self.shown.lesions, key=lambda lesion: lesion.volume_ml)
        before = lesion.volume_ml
        self.panel.lesions.turn_to(lesion)
        z, y, x = (int(axis[0]) for axis in np.nonzero(self.shown.tumours.data == lesion.number))
        self.shown.tumours.data_setitem(square(z, y, x), 0)
        self.settle()
        after = next(one.volume_ml for one in self.shown.lesions if one.number == lesion.number)
        require(after < before, "it is smaller")

    def add_by_hand(self) -> None:
        """Paint a lesion where none was found."""
        count, liver = len(self.shown.lesions), self.panel.inputs.liver.layer
        z, y, x = free_place(liver.data > 0, self.shown.tumours.data > 0)
        self.viewer.dims.set_point(0, liver.data_to_world((z, 0, 0))[0])
        self.shown.tumours.data_setitem(square(z, y, x), int(self.shown.tumours.data.max()) + 1)
        self.settle()
        require(len(self.shown.lesions) == count + 1, "there is one more")

    def measure(self) -> None:
        """Make the two largest target lesions, and write to one."""
        for row in range(2):
            self.tick(row, TARGET, Qt.CheckState.Checked)
        table = self.panel.table.model()
        table.setData(table.index(0, COMMENT), "new since the last scan?", Qt.ItemDataRole.EditRole)
        require(sum(row.target for row in self.shown.rows()) == 2, "two are targets")

    def compare(self) -> None:
        """Compare with last year's session."""
        self.panel.follow_ups.open()
        self.panel.follow_ups.compare(Place(self.folder / f"last-year{ENDING}"))
        wait_until(lambda: self.panel.follow_ups.section.found is not None)
        require(any(row.then and row.now for row in self.panel.follow_ups.section.found.rows), "one is followed")

    def export(self) -> None:
        """Export masks, measures, a DICOM segmentation and a report."""
        ticks = {name: self.panel.exports.choice.ticks[name] for name in ("dicom_seg", "report")}
        for tick in ticks.values():  # some archives strip slices of what a segmentation needs; it is then not offered
            tick.setChecked(tick.isEnabled())
        self.panel.exports.write(self.folder / "results")
        wait_until(lambda: not self.panel.exports.writing.busy and "Writing" not in self.panel.messages.text)
        require((self.folder / "results" / "report.json").exists(), f"all is written: {self.panel.messages.text}")
        there = {path.name for path in (self.folder / "results").iterdir()}
        wanted = {"report.pdf", "report.html", "lesions.csv", "tumours.nii.gz"} | (
            {"segmentation.dcm"} if ticks["dicom_seg"].isEnabled() else set()
        )
        require(wanted <= there, "all files are there")

    def save(self) -> None:
        """Save the session."""
        self.panel.sessions.save(self.folder / f"today{ENDING}")
        wait_until(lambda: (self.folder / f"today{ENDING}").exists())
        self.lesions_before = self.rows()

    def reopen(self) -> None:
        """Close everything, and open the session again."""
        if (dialog := self.panel.follow_ups._dialog) is not None:
            dialog.close()
        self.viewer.layers.clear()
        self.settle()
        self.panel.sessions.open(self.folder / f"today{ENDING}")
        wait_until(lambda: self.shown is not None or "Opening" not in self.panel.messages.text, at_least_s=1.0)
        self.settle()
        require(self.shown is not None, f"the session opens: {self.panel.messages.text}")
        require(self.rows() == self.lesions_before, "the table is as it was")
        require(bool(self.shown.layers[Role.TUMOURS].data.any()), "the lesions are on screen")


def require(true: bool, what: str) -> None:
    """End the walk when something is not as it should be."""
    if not true:
        raise SystemExit(f"The walk ends here: it is not so that {what}.")


def square(z: int, y: int, x: int) -> tuple[np.ndarray, ...]:
    """Give the voxels of a stroke on one slice."""
    side = range(-STROKE_PX, STROKE_PX)
    grid = np.meshgrid([z], [y + step for step in side], [x + step for step in side], indexing="ij")
    return tuple(axis.ravel() for axis in grid)


def free_place(liver: np.ndarray, lesions: np.ndarray) -> tuple[int, int, int]:
    """Find the place in the liver that is farthest from its edge and from lesions."""
    from scipy.ndimage import distance_transform_edt

    far = distance_transform_edt(liver & ~lesions)
    z, y, x = np.unravel_index(far.argmax(), far.shape)
    return int(z), int(y), int(x)


def prepare(folder: Path, study: Path | None = None) -> None:
    """Write the study of today, and the session of a year ago: the same patient with fewer tumours; of a study of your own, the same scan."""
    from napari_liver_anomaly.inference import segment
    from napari_liver_anomaly.liver import find_liver

    if study is None:
        write_study(make_phantom().volume, folder / "study")
        earlier = make_phantom(PhantomSettings(tumour_count=EARLIER_COUNT))
        found = segment(earlier.volume, earlier.liver, unlikely="accept")
    else:
        (folder / "study").symlink_to(study.absolute(), target_is_directory=True)
        found = segment(read(study), find=find_liver, unlikely="accept")
    write_session(Session.of(found), folder / f"last-year{ENDING}")


def main() -> None:
    """Take the walk with the packaged model."""
    asked = argparse.ArgumentParser(description="Walk through a reading session, with a picture of each step.")
    asked.add_argument("--out", type=Path, required=True, help="Folder for the pictures.")
    asked.add_argument("--study", type=Path, help="Folder of a DICOM study; its pictures then show a patient.")
    given = asked.parse_args()
    out = given.out
    out.mkdir(parents=True, exist_ok=True)
    viewer, panel = open_window()
    with tempfile.TemporaryDirectory() as made:
        prepare(Path(made), given.study)
        Reading(
            viewer, panel, Path(made), lambda name: viewer.screenshot(str(out / f"{name}.png"), canvas_only=False, flash=False)
        ).walk()
    viewer.close()


if __name__ == "__main__":
    main()
