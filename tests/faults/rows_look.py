"""Rows about how a scan is seen: sides, places and planes."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from faults.table import row
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.volume import Volume

if TYPE_CHECKING:
    from faults.table import Kit

SHAPE, STEPS_MM, ORIGIN_MM = (5, 6, 7), (0.7, 0.9, 2.5), (-31.5, 12.25, 700.0)
LETTERS = "RAH", "LPF"  # of the patient's axes, along and against them
QUARTERS = [(order, signs) for order in itertools.permutations(range(3)) for signs in itertools.product((1, -1), repeat=3)]


def scan(order: tuple[int, ...], signs: tuple[int, ...], *, oriented: bool = True) -> Volume:
    """A scan whose source axes run any way; the value of each voxel is its own number in the source."""
    affine = np.eye(4)
    affine[:3, :3] = np.eye(3)[:, list(order)] * np.array(signs) * STEPS_MM
    affine[:3, 3] = ORIGIN_MM
    geometry = Geometry(SHAPE, affine, oriented)
    numbers = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    return Volume(geometry.to_canonical(numbers), geometry, "turned")


def seen(viewer: Any, layer: Any) -> np.ndarray:
    """The numbers on the canvas, from its top left corner."""
    dims = viewer.dims
    along, down, right = dims.order
    step = round(layer.world_to_data(dims.point)[along])
    picture = np.take(layer.data, step, axis=along)
    picture = picture if down < right else picture.T
    vertical, horizontal = viewer.scene.camera.orientation2d
    return picture[:: 1 if vertical == "down" else -1, :: 1 if horizontal == "right" else -1]


def place_of(volume: Volume, number: int) -> np.ndarray:
    """Where in the patient a voxel lies, by its number in the source and the source's own affine."""
    return volume.geometry.source_affine[:3] @ (*np.unravel_index(number, SHAPE), 1)


def side(volume: Volume, start: int, end: int) -> str:
    """The patient's side to which a step from one voxel to another leads."""
    way = place_of(volume, end) - place_of(volume, start)
    axis = int(np.abs(way).argmax())
    return LETTERS[int(way[axis] < 0)][axis]


@row(145)
def sides_and_places_of_the_patient_are_those_of_the_voxels_on_screen(kit: Kit) -> None:
    """R and L, or the place of a slice, stand at the wrong side: in another order of axes, a flipped view, a scan that says no sides."""
    from napari.components import ViewerModel

    from napari_liver_anomaly.gui.layers import add, scan_layer
    from napari_liver_anomaly.gui.patient_marks import CORNER, EDGES, UNKNOWN, PatientMarks

    kit.request.getfixturevalue("qapp")
    viewer = ViewerModel()
    marks = PatientMarks(kit.request.getfixturevalue("qapp"), viewer)
    for order, signs in QUARTERS:
        viewer.layers.clear()
        volume = scan(order, signs)
        layer = add(viewer, scan_layer(volume))
        marks.follow(layer)
        for axes, flips in itertools.product(
            itertools.permutations(range(3)), [("down", "right"), ("up", "right"), ("down", "left")]
        ):
            viewer.dims.order, viewer.scene.camera.orientation2d = axes, flips
            viewer.dims.set_point(range(3), layer.data_to_world((1, 2, 3)))
            picture = seen(viewer, layer)
            told = {name: marks.texts[name].text for name in EDGES}
            assert told["right"] == side(volume, picture[0, 0], picture[0, -1]) and told["left"] == side(
                volume, picture[0, -1], picture[0, 0]
            )
            assert told["bottom"] == side(volume, picture[0, 0], picture[-1, 0]) and told["top"] == side(
                volume, picture[-1, 0], picture[0, 0]
            )
            place = place_of(volume, picture[0, 0])
            _, where, _, _ = marks.texts[CORNER].text.splitlines()
            axis, against = next((text.index(where[0]), bool(n)) for n, text in enumerate(LETTERS) if where[0] in text)
            assert abs(float(where[2:-3]) - (-place[axis] if against else place[axis])) < 0.06
    layer.rotate = (0, 0, 180)
    assert [marks.texts[name].text for name in EDGES] != list(told.values()), "a layer that is turned has its sides elsewhere"
    viewer.layers.clear()
    for unsure in (
        add(viewer, scan_layer(scan(*QUARTERS[0], oriented=False))),
        viewer.add_image(np.zeros(SHAPE[::-1]), name="foreign"),
    ):
        marks.follow(unsure)
        assert UNKNOWN in marks.texts[CORNER].text and not any(marks.texts[name].visible for name in EDGES)
    viewer.dims.ndisplay = 3
    assert not any(text.visible for text in marks.texts.values())


@row(146)
def every_view_shows_the_same_voxels(kit: Kit) -> None:
    """One of three views shows voxels that are no longer, or not yet, those of the scan or of the corrected lesions."""
    from napari.components import ViewerModel

    from napari_liver_anomaly.gui.layers import add, liver_layer, scan_layer
    from napari_liver_anomaly.gui.twin_layers import TwinLayers

    bot, sample = (kit.request.getfixturevalue(name) for name in ("qtbot", "sample"))
    source, target = ViewerModel(), ViewerModel()
    scan_shown, drawn = add(source, scan_layer(sample.volume)), add(source, liver_layer(sample.liver, sample.volume))
    twins = TwinLayers(kit.request.getfixturevalue("qapp"), source, target)
    bot.waitUntil(lambda: len(target.layers) == 2, timeout=60_000)
    target.dims.order = (1, 0, 2)
    target.dims.set_point(range(3), source.dims.point)

    def same() -> bool:
        return not twins._later.isActive() and all(
            np.array_equal(twin._slice.image.raw, np.take(layer.data, target.dims.current_step[1], axis=1))
            for layer, twin in twins.twins.items()
        )

    y = target.dims.current_step[1]
    strokes = [
        lambda: drawn.data_setitem((np.array([2, 3]), np.array([y, y]), np.array([4, 5])), 1),
        lambda: drawn.undo(),
        lambda: drawn.redo(),
        lambda: drawn.fill((2, y, 4), 3),
        lambda: setattr(drawn, "data", drawn.data[:, ::-1].copy()),
        lambda: setattr(scan_shown, "data", scan_shown.data[::-1].copy()),
        lambda: (drawn.data.__setitem__((slice(None), y), 1), drawn.refresh()),
        lambda: (setattr(drawn, "visible", False), drawn.undo(), setattr(drawn, "visible", True)),
    ]
    for n, stroke in enumerate(strokes):
        stroke()
        bot.waitUntil(same, timeout=60_000)
        assert same(), f"after stroke {n}"
    twins.stop()
