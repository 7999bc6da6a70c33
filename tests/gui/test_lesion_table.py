"""The table of lesions: it sorts, finds its row again, goes on by keys, and what is noted of a lesion outlives every threshold."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QGuiApplication

from gui.test_threshold import settle
from napari_liver_anomaly.gui.lesion_model import COMMENT, NAMES, TARGET
from napari_liver_anomaly.gui.lesion_rows import PICK_TARGETS
from napari_liver_anomaly.gui.lesion_section import ENOUGH_TARGETS, NEXT


@pytest.fixture
def done(panel, run):
    run(panel)
    return panel


def tick(panel, row, column, on):
    model = panel.table.model()
    state = Qt.CheckState.Checked if on else Qt.CheckState.Unchecked
    model.setData(model.index(row, column), state, Qt.ItemDataRole.CheckStateRole)


def column(panel, name):
    model = panel.table.model()
    return [model.data(model.index(row, NAMES.index(name))) for row in range(model.rowCount())]


def test_it_sorts_by_number_not_by_text(done):
    rows = done.table.lesions
    for name, key in (
        ("HU", lambda row: row.lesion.mean_hu),
        ("ml", lambda row: row.lesion.volume_ml),
        ("Slice", lambda row: row.slice),
    ):
        for order, falling in ((Qt.SortOrder.AscendingOrder, False), (Qt.SortOrder.DescendingOrder, True)):
            done.table.sortByColumn(NAMES.index(name), order)
            assert [key(row) for row in done.table.lesions] == sorted(map(key, rows), reverse=falling), name


def test_the_tool_tip_of_a_slice_says_where_it_lies(done, viewer):
    model, (row, *_) = done.table.model(), done.table.lesions
    tip = model.data(model.index(0, NAMES.index("Slice")), Qt.ItemDataRole.ToolTipRole)
    mm = -2.5 * row.slice  # the slices of this scan lie 2.5 mm apart, the first at the scanner's zero
    assert tip.startswith(f"F {abs(mm):.1f} mm. Counted from 0 at the head: slice {row.slice}.")


def test_keys_go_from_lesion_to_lesion_and_pass_those_left_out(done, viewer, qtbot):
    done.table.step(1)
    first, second = (row.lesion for row in done.table.lesions)
    tumours = viewer.layers["case tumours"]
    assert [row.lesion for row in done.table.chosen] == [first]
    qtbot.waitUntil(lambda: tumours.selected_label == first.number, timeout=30_000)
    done.table.step(1)
    z = round(viewer.layers["case"].world_to_data(viewer.dims.point)[0])
    assert z == done.table.lesions[1].slice
    qtbot.waitUntil(lambda: tumours.selected_label == second.number, timeout=30_000)
    done.table.step(1)
    assert [row.lesion for row in done.table.chosen] == [second], "there is no third"
    colour = tumours.colormap.color_dict
    assert tuple(colour[second.number]) != tuple(colour[None]), "it is marked"
    done.lesions.keep(first, False)
    settle(qtbot, done)
    done.table.step(-1)
    assert [row.kept for row in done.table.chosen] == [True]
    (act,) = (bound for keys, bound in viewer.keymap.items() if str(keys) == NEXT)
    act(viewer)


def test_a_step_selects_one_lesion_also_while_a_key_is_held(done, qtbot):
    done.table.step(1)
    qtbot.keyPress(done.table, Qt.Key.Key_F5, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.keyboardModifiers() == Qt.KeyboardModifier.ControlModifier
    done.table.step(1)
    qtbot.keyRelease(done.table, Qt.Key.Key_F5)
    assert [row.lesion for row in done.table.chosen] == [done.table.lesions[1].lesion]


def test_the_row_stays_chosen_when_the_numbers_change(done, viewer, qtbot):
    done.table.step(1)
    (before,) = done.table.chosen
    qtbot.waitUntil(lambda: bool(done.controller.shown.marked), timeout=30_000)
    point = viewer.dims.point
    done.threshold.slider.setValue(0.3)
    settle(qtbot, done)
    (after,) = done.table.chosen
    assert viewer.layers["case tumours"].selected_label == after.lesion.number
    assert after.anchor == before.anchor and after.lesion != before.lesion and viewer.dims.point == point, "the view stays"


def test_a_comment_outlives_threshold_run_and_rejection(done, viewer, run, qtbot):
    model = done.table.model()
    model.setData(model.index(1, COMMENT), "  seen\nin May ")
    assert column(done, "Comment") == ["", "seen in May"]
    assert viewer.layers["case tumours"].features["comment"].tolist()[1:] == ["", "seen in May"]
    for value in (0.3, 0.4):
        done.threshold.slider.setValue(value)
        settle(qtbot, done)
        assert column(done, "Comment") == ["", "seen in May"]
    run(done)
    assert sorted(column(done, "Comment")) == ["", "seen in May"]
    done.lesions.keep(done.table.lesions[1].lesion, False)
    settle(qtbot, done)
    assert column(done, "Comment") == ["", "seen in May"] and not done.table.lesions[1].kept
    model.setData(model.index(1, COMMENT), "")
    assert column(done, "Comment") == ["", ""]


def test_comments_and_targets_are_undone_in_one_order_with_corrections(done, viewer, qtbot):
    tumours, model = viewer.layers["case tumours"], done.table.model()

    def now():
        settle(qtbot, done)
        return column(done, "Comment")[0], sum(row.target for row in done.table.lesions), int((tumours.data > 0).sum())

    states = [now()]
    edge = np.argwhere(tumours.data == 1)[0]
    for act in (
        lambda: model.setData(model.index(0, COMMENT), "cyst?"),
        lambda: tumours.data_setitem(tuple(axis[None] for axis in edge), 0),
        lambda: tick(done, 0, TARGET, True),
        lambda: model.setData(model.index(0, COMMENT), "cyst"),
    ):
        act()
        states.append(now())
    assert len(set(states)) == 5
    for wanted in states[3::-1]:
        done.lesions.undo()
        assert now() == wanted
    assert tumours.features["comment"].tolist()[1] == "", "features say the same"
    for wanted in states[1:]:
        done.lesions.redo()
        assert now() == wanted
    tumours.undo()  # by napari's own key, in the layer
    assert now() == states[3]
    tumours.visible = False
    done.lesions.undo()
    assert now() == states[2], "also while the layer is hidden"
    tumours.visible = True
    model.setData(model.index(0, COMMENT), "other")
    last = now()
    done.lesions.redo()
    assert now() == last, "what was undone before a new note is gone"


def test_a_note_is_undone_after_another_run_as_corrections_are(done, run, qtbot):
    model = done.table.model()
    model.setData(model.index(0, COMMENT), "seen")
    run(done)
    for act, wanted in ((done.lesions.undo, ["", ""]), (done.lesions.redo, ["", "seen"])):
        act()
        settle(qtbot, done)
        assert sorted(column(done, "Comment")) == wanted


def test_two_targets_at_most_are_added(done, viewer, qtbot):
    total = done.lesions.total
    assert total.text() == PICK_TARGETS
    tick(done, 0, TARGET, True)
    tick(done, 1, TARGET, True)
    longest = [row.lesion.long_mm for row in done.table.lesions]
    assert total.text().startswith(f"Targets: {sum(longest):.0f} mm, sum of the long diameters")
    assert ("not measurable" in total.text()) == (min(longest) < 10)
    # A third one is not taken, and that is said.
    viewer.layers["case tumours"].data_setitem(tuple(np.array([n]) for n in (2, 20, 30)), 9)
    settle(qtbot, done)
    assert len(done.table.lesions) == 3
    tick(done, 2, TARGET, True)
    assert done.messages.text == ENOUGH_TARGETS and [row.target for row in done.table.lesions] == [True, True, False]
    done.threshold.slider.setValue(0.3)
    settle(qtbot, done)
    rows = done.table.lesions
    assert sum(row.target for row in rows) == 2
    assert f"{sum(row.lesion.long_mm for row in rows if row.target):.0f} mm" in total.text()
    done.lesions.keep(next(row.lesion for row in rows if row.target), False)
    settle(qtbot, done)
    assert total.text().startswith("Target: "), "what is left out is not added"


def test_a_target_that_is_not_there_gives_up_its_place(done, viewer, qtbot):
    """Two targets, one is rejected, another one takes its place: taken in again it is no third."""
    viewer.layers["case tumours"].data_setitem(tuple(np.array([n]) for n in (2, 20, 30)), 9)
    settle(qtbot, done)
    first, second, third = (row.lesion for row in done.table.lesions)
    for lesion in (first, second):
        done.lesions.aim(lesion, True)
    done.lesions.keep(second, False)
    settle(qtbot, done)
    done.lesions.aim(next(row.lesion for row in done.table.lesions if row.lesion.volume_ml == third.volume_ml), True)
    done.lesions.keep(second, True)
    settle(qtbot, done)
    assert len(done.table.lesions) == 3 and [row.lesion.volume_ml for row in done.table.lesions if row.target] == [
        first.volume_ml, third.volume_ml,
    ]  # fmt: skip
