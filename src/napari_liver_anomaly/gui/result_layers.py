"""A result on screen: its four layers, and its lesions as they are now."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.gui.colour_bars import read_as_score
from napari_liver_anomaly.gui.label_colours import colours_of
from napari_liver_anomaly.gui.layers import HU_RANGE, KEY, RED, YELLOW, Role, Tag, add, find, free_name, outlined
from napari_liver_anomaly.gui.lesion_listing import list_lesions, middle_of, with_notes
from napari_liver_anomaly.gui.lesion_rows import LesionNotes, LesionRow, features_of, peak_of
from napari_liver_anomaly.gui.lesion_state import NONE, LesionState, how, is_plain, result_of
from napari_liver_anomaly.gui.note_history import notes_of, remember
from napari_liver_anomaly.gui.prepared_result import PreparedResult
from napari_liver_anomaly.gui.residual_look import BLANK_HU, colours
from napari_liver_anomaly.gui.turning import turn_view

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from napari.layers import Labels, Layer
    from numpy.typing import NDArray

    from napari_liver_anomaly.gui.decisions import Decisions
    from napari_liver_anomaly.lesions import Lesion
    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.segmentation import SegmentSettings
    from napari_liver_anomaly.sparse_labels import SparseLabels

RESULT = f"{KEY} result"  # in the metadata of its layers, so that a panel that is opened later finds it
RESIDUAL_HU = 60
HEAT = ((0, 0, 0, 0), (0.35, 0.05, 0.45, 0.35), (0.85, 0.25, 0.25, 0.7), (1, 0.65, 0.1, 0.9), (1, 1, 0.6, 1))


class ResultLayers:
    """The layers of one result. What is shown, tabled and exported is its ``state``."""

    def __init__(self, viewer: Any, result: Result, place: dict[str, Any], name: str, state: LesionState | None = None) -> None:
        self.viewer, self.result, self.name = viewer, result, name
        self.prepared = PreparedResult(result)
        self.state = state or LesionState.of(result)
        self.layers: dict[Role, Layer] = {}
        self.edited: Callable[[bool], object] = lambda sure: None  # told when the labels changed, surely or perhaps
        self.edits = 0  # how often that was
        self.place = place
        self.left_out: dict[Lesion, NDArray[np.int64]] = {}  # lesions that the user unticked, and their voxels
        self.notes = LesionNotes()
        self.kept: tuple[Decisions, LesionNotes, SegmentSettings] | None = None  # in the session that is kept by itself
        self.other: dict[str, Any] = {}  # what its session says and this version does not know
        self._deleted: Any = None  # labels of a layer that the user deleted before its edits were taken over
        self._muted, self.marked = False, 0  # and the number of the lesion that has a colour of its own

    def __deepcopy__(self, _memo: object) -> ResultLayers:
        return self  # a copy of a layer belongs to the same result

    @property
    def scan(self) -> str:
        """Identity of the scan."""
        return self.result.volume.identity

    @property
    def settings(self) -> SegmentSettings:
        """How the lesions were cut."""
        return self.state.settings

    @property
    def by_user(self) -> tuple[Decisions, LesionNotes, SegmentSettings]:
        """What the user made of the result, by hand and by how it is cut."""
        return self.state.decided, self.notes.copy(), how(self.settings)

    @property
    def lesions(self) -> tuple[Lesion, ...]:
        """The lesions, as tabled."""
        return self.state.lesions

    @property
    def tumours(self) -> Labels | None:
        """The tumours on screen; None when the user deleted them."""
        return self.layers.get(Role.TUMOURS)

    @property
    def data(self) -> Any:
        """The labels on screen, with what the user may have changed since; None when the layer is gone and nothing was."""
        return self.tumours.data if self.tumours is not None else self._deleted

    def show(self, window: tuple[float, float], earlier: ResultLayers | None = None) -> Iterator[None]:
        """Put the layers up, or their new contents into the layers of an earlier run on the same scan."""
        from napari.utils.colormaps import Colormap

        result = self.result
        if result.restored is not None and result.residual is not None:
            look = {"colormap": "gray", "contrast_limits": window, "visible": False}
            self._image(Role.RESTORED, result.restored, look).contrast_limits_range = HU_RANGE
            yield
            look = {
                "colormap": colours((-RESIDUAL_HU, RESIDUAL_HU), BLANK_HU),
                "contrast_limits": (-RESIDUAL_HU, RESIDUAL_HU),
                "visible": False,
                "opacity": 0.8,
            }
            self._image(Role.RESIDUAL, result.residual, look).contrast_limits_range = (-300, 300)
            yield
        look = {"colormap": Colormap(HEAT, name="anomaly heat"), "contrast_limits": (0, 255), "visible": False, "opacity": 0.7}
        self._image(Role.SCORE, result.score, look)
        yield
        if earlier is not None and earlier.tumours is not None:
            tumours = earlier.tumours
            earlier.let_go()
            self._watch(tumours)
        yield
        self._renew(result.labels if not self.state.corrected else self.state.labels.dense())
        self.take(self.state)
        yield
        if result.restored is None:  # what an earlier run with another model restored would be taken for this one's
            for layer in filter(None, (find(self.viewer, role, self.scan) for role in (Role.RESTORED, Role.RESIDUAL))):
                yield
                self.viewer.layers.remove(layer)

    def put(self, state: LesionState, changes: SparseLabels) -> None:
        """Show lesions that were cut, in a layer of their own again where the user deleted it."""
        if self.tumours is None:
            self._renew(state.labels.dense())
            self.take(state)
        else:
            self.renumber(state, changes)

    def _renew(self, labels: NDArray[np.uint16]) -> None:
        """Show all labels anew."""
        self._muted = True
        if self.tumours is None:
            tag = Tag(Role.TUMOURS, self.scan, self.result.volume.geometry)
            look = outlined(free_name(self.viewer, f"{self.name} {Role.TUMOURS}"), RED, tag)
            self._watch(add(self.viewer, (labels, look | self.place, "labels")))
        else:
            self.tumours.data = labels
        self._muted = False

    def renumber(self, state: LesionState, changes: SparseLabels) -> None:
        """Write only the voxels whose number is another now. The layer keeps its array and what it can undo."""
        if self.tumours is not None and is_plain(self.tumours.data):
            if changes.where.size:
                self._muted = True
                np.put(self.tumours.data, changes.where, changes.values)
                self.tumours.refresh(extent=False)
                self._muted = False
        elif self.tumours is not None:
            wanted, layer = state.labels.dense(), self.tumours
            where = np.nonzero(layer.data != wanted)
            if where[0].size:
                self._muted = True
                if np.can_cast(np.min_scalar_type(int(wanted.max())), layer.data.dtype):
                    layer.data[where] = wanted[where]
                    layer.refresh()
                else:
                    layer.data = wanted
                self._muted = False
        self.take(state)

    def take(self, state: LesionState) -> None:
        """Know these lesions to be those on screen."""
        self.state, self._deleted = state, None
        self._mirror()

    def rows(self) -> list[LesionRow]:
        """List the lesions as the table shows them; those that were left out come last, until somebody paints there again."""
        rows = list_lesions(self.state, self.data, self.result.score, self.left_out, self.notes)
        return [replace(row, place=self.result.volume.place_of(row.slice)) for row in rows]

    def comment(self, lesion: Lesion, text: str) -> None:
        """Note something of a lesion."""
        before = self.notes.copy()
        if (where := self.voxels_of(lesion)).size:
            self.notes.write(where, peak_of(where, self.result.score)[0], text)
            self._noted(before)

    def aim(self, lesion: Lesion, *, on: bool) -> None:
        """Make a lesion a target lesion, or no longer."""
        before = self.notes.copy()
        if (where := self.voxels_of(lesion)).size:
            anchor = peak_of(where, self.result.score)[0]
            seen = [row.anchor for row in self.rows() if row.target and row.kept and row.anchor != anchor]
            self.notes.targets = seen + [anchor] * on  # one that is not there now gives up its place
            self._noted(before)

    def _noted(self, before: LesionNotes) -> None:
        """Make what was noted a step that can be undone."""
        if self.tumours is not None and self.notes != before:
            self._muted = True
            remember(self.tumours, before, self.notes)
            self._muted = False
        self._mirror()

    def undo(self, *, again: bool = False) -> None:
        """Take the last correction or note back, or make it again."""
        if self.tumours is not None:
            (self.tumours.redo if again else self.tumours.undo)()
            self._look()  # a layer that is hidden does not tell it

    def _mirror(self) -> None:
        """Say in the layer's features what the table says."""
        if self.tumours is not None:
            self.tumours.features = features_of(self.rows())

    def turn_to(self, lesion: Lesion) -> None:
        """Turn to the slice on which a lesion was measured, and put it in the middle of the view."""
        layer, where = self.tumours or self.layers.get(Role.SCORE), self.voxels_of(lesion)
        if layer is not None and len(where):  # a lesion of the threshold before may be gone while its row is still there
            turn_view(self.viewer, layer, middle_of(where, self.state.labels.shape))

    def mark(self, lesion: Lesion | None) -> None:
        """Outline one lesion in a colour of its own, and let the brush draw with its number."""
        tumours = self.tumours
        number = lesion.number if lesion in self.state.lesions else 0
        if tumours is None or number == self.marked:
            return
        self.marked = number
        tumours.colormap = colours_of(RED, {number: YELLOW} if number else {})
        if number:
            tumours.selected_label = number

    def largest(self) -> Lesion | None:
        """Find the largest lesion; None when there is none, or when one is on the slice on screen."""
        layer, lesions = self.tumours, self.state.lesions
        if layer is None or not lesions:
            return None
        z = round(layer.world_to_data(self.viewer.dims.point)[-3])
        dims = self.viewer.dims
        axial = dims.ndisplay == 2 and dims.order[-3] == dims.ndim - 3
        seen = not axial or any(lesion.first_slice <= z <= lesion.last_slice for lesion in lesions)
        return None if seen else max(lesions, key=lambda lesion: lesion.volume_ml)

    def voxels_of(self, lesion: Lesion) -> NDArray[np.int64]:
        """Voxels of a lesion, also of one that was left out."""
        left_out = self.left_out.get(lesion)
        return self.state.parts.get(lesion.number, NONE) if left_out is None else left_out

    def forget(self, layer: Layer) -> None:
        """Note that a layer was deleted."""
        for role, held in list(self.layers.items()):
            if held is layer:
                if role is Role.TUMOURS:
                    self._deleted = layer.data
                    self._unwatch(layer)
                    self.edits += 1
                    self.edited(True)
                layer.metadata.pop(RESULT, None)
                del self.layers[role]

    def let_go(self) -> None:
        """Leave the layers to the result of another run."""
        if self.tumours is not None:
            self._unwatch(self.tumours)
        self.layers.clear()

    def now(self) -> Result:
        """Give the result as it is now."""
        return with_notes(
            result_of(self.result, self.state), list_lesions(self.state, None, self.result.score, self.left_out, self.notes)
        )

    def _image(self, role: Role, data: NDArray[Any], look: dict[str, Any]) -> Layer:
        layer = find(self.viewer, role, self.scan)
        if layer is None or tuple(layer.data.shape) != data.shape:
            tag = Tag(role, self.scan, self.result.volume.geometry)
            kwargs = {"name": free_name(self.viewer, f"{self.name} {role}"), "metadata": {KEY: tag}, "interpolation2d": "nearest"}
            layer = add(self.viewer, (data, kwargs | look | self.place, "image"))
            if role is Role.SCORE:
                read_as_score(layer)
        else:
            layer.data = data
        self.layers[role] = layer
        layer.metadata[RESULT] = self
        return layer

    def _watch(self, tumours: Labels) -> None:
        self.layers[Role.TUMOURS] = tumours
        tumours.metadata[RESULT] = self
        tumours.events.paint.connect(self._edit)
        tumours.events.data.connect(self._edit)
        tumours.events.set_data.connect(self._look)

    def _unwatch(self, tumours: Layer) -> None:
        tumours.events.paint.disconnect(self._edit)
        tumours.events.data.disconnect(self._edit)
        tumours.events.set_data.disconnect(self._look)

    def _edit(self, _event: object = None) -> None:
        if not self._muted:
            self.edits += 1
            self.edited(True)

    def _look(self, _event: object = None) -> None:
        """Undo, redo and scripts tell only that the slice was drawn again; so does every turn to another slice."""
        if not self._muted:
            self._follow_notes()
            self.edited(False)

    def _follow_notes(self) -> None:
        """Take over what was undone in the notes, or done again."""
        if self.tumours is not None and (notes := notes_of(self.tumours, self.notes)) is not self.notes:
            self.notes = notes.copy()
            self._mirror()


def results_in(viewer: Any) -> list[ResultLayers]:
    """Find the results whose layers a viewer shows, the latest last."""
    found = {}
    for layer in viewer.layers:
        shown = layer.metadata.get(RESULT)
        if isinstance(shown, ResultLayers) and layer in shown.layers.values():
            found[shown.scan] = shown
    return list(found.values())
