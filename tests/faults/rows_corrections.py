"""Faults of corrections by hand, and of what is noted of lesions."""

from __future__ import annotations

import json

import numpy as np

from faults.rows_gui import Desk, settle
from faults.table import Kit, row


def _volumes(panel: object) -> list[float]:
    return sorted(row.lesion.volume_ml for row in panel.table.lesions if row.kept)  # type: ignore[attr-defined]


@row(140)
def a_correction_is_undone_after_the_numbers_changed(kit: Kit) -> None:
    """A correction is undone after a threshold gave other numbers: voxels would join another lesion, or a rejected one be forgotten."""
    desk = Desk(kit)
    panel = desk.panel()
    desk.run(panel)
    before, section = _volumes(panel), panel.lesions

    def there_and_back() -> None:
        for threshold in (0.3, 0.5):
            panel.threshold.slider.setValue(threshold)
            settle(desk, panel)

    def select(*rows: int) -> None:
        panel.table.clearSelection()
        flags = panel.table.selectionModel().SelectionFlag
        for n in rows:
            panel.table.selectionModel().select(panel.table.model().index(n, 0), flags.Select | flags.Rows)

    for name, rows, act in (
        ("reject", (0,), lambda: section.keep(panel.table.lesions[0].lesion, False)),
        ("merge", (0, 1), section.merge),
    ):
        select(*rows)
        act()
        settle(desk, panel)
        changed, origins = _volumes(panel), panel.controller.shown.state.origins
        there_and_back()
        section.undo()
        settle(desk, panel)
        assert np.allclose(_volumes(panel), before) and all(row.kept for row in panel.table.lesions), name
        section.redo()
        settle(desk, panel)
        assert np.allclose(_volumes(panel), changed) and len(_volumes(panel)) == 1, name
        assert panel.controller.shown.state.origins == origins, name
        section.undo()
        settle(desk, panel)
        panel.controller.discard()
        settle(desk, panel)
        assert np.allclose(_volumes(panel), before) and not panel.controller.shown.state.corrected, name


@row(141)
def what_was_erased_comes_back_around_itself(kit: Kit) -> None:
    """A lower threshold grows a shell around what was erased, takes another lesion with it, or drops what was left of a lesion."""
    desk = Desk(kit)
    panel = desk.panel()
    desk.run(panel)
    tumours, score = panel.controller.shown.tumours, panel.controller.shown.result.score
    whole = np.argwhere(tumours.data == 1)
    gone = tuple(whole[whole[:, 2] > np.median(whole[:, 2])].T)
    tumours.data_setitem(gone, 0)
    settle(desk, panel)
    left = tumours.data == 1
    for threshold in (0.4, 0.2, 0.05):
        panel.threshold.slider.setValue(threshold)
        settle(desk, panel)
        now = tumours.data
        assert not now[gone].any() and now[left].all(), "what was erased stays away, and what was left is there"
        grown = np.argwhere((now > 0) & ~left)
        far = [np.square((grown - place) * (2.5, 0.8, 0.8)).sum(axis=1) for place in np.argwhere(left)]
        near = [np.square((grown - place) * (2.5, 0.8, 0.8)).sum(axis=1) for place in np.stack(gone, axis=1)]
        other = now[tuple(grown.T)] != now[left][0]
        assert ((np.min(far, axis=0) <= np.min(near, axis=0)) | other).all(), "no shell around what was erased"
        assert len(np.unique(now)) == 3, "the other lesion is there"
    hot = np.nonzero(left & (score >= 200))
    tumours.data_setitem(hot, 0)
    settle(desk, panel)
    rest = tumours.data[left].astype(bool)
    panel.threshold.slider.setValue(0.06)
    settle(desk, panel)
    assert panel.controller.shown.settings.threshold == 0.06 and not panel.messages.details
    assert rest.any() and np.array_equal(tumours.data[left].astype(bool), rest), "though its highest score was erased"


@row(142)
def a_note_sits_on_another_lesion(kit: Kit) -> None:
    """Comment or target mark of a lesion move to another one when numbers change, or are lost with a run or a session."""
    from napari_liver_anomaly.io import write

    desk = Desk(kit)
    panel = desk.panel()
    desk.run(panel)
    second = panel.table.lesions[1]
    panel.lesions.comment(second.lesion, "vessel")
    panel.lesions.aim(second.lesion, True)
    panel.lesions.keep(panel.table.lesions[0].lesion, False)
    settle(desk, panel)
    for threshold in (0.5, 0.3, 0.45):
        panel.threshold.slider.setValue(threshold)
        settle(desk, panel)
        (kept,) = (row for row in panel.table.lesions if row.kept)
        assert (kept.comment, kept.target, kept.anchor) == ("vessel", True, second.anchor)
        assert [row.comment for row in panel.table.lesions if not row.kept] == [""]
    desk.run(panel)
    settle(desk, panel)
    assert {row.anchor: row.comment for row in panel.table.lesions}[second.anchor] == "vessel"
    write(panel.controller.shown.now(), kit.folder)
    told = json.loads((kit.folder / "report.json").read_text(encoding="utf-8"))
    assert [one["comment"] for one in told["lesions"]] == ["vessel"] and len(told["rejected"]) == 1
    assert told["target_lesions"] == [told["lesions"][0]["number"]] and told["target_sum_mm"] == told["lesions"][0]["long_mm"]


@row(143)
def a_lesion_looks_like_one_that_the_program_found(kit: Kit) -> None:
    """A lesion that somebody drew or corrected is told as the program's own at another threshold or after another run, or the other way round."""
    desk = Desk(kit)
    panel = desk.panel()
    desk.run(panel)
    tumours = panel.controller.shown.tumours
    tumours.data_setitem(tuple(np.array([n]) for n in (2, 20, 30)), 9)
    inside = tuple(axis[:1] for axis in np.nonzero(tumours.data == 2))
    tumours.data_setitem(inside, 0)
    settle(desk, panel)
    for threshold in (0.5, 0.2, 0.6):
        panel.threshold.slider.setValue(threshold)
        settle(desk, panel)
        told = {row.origin for row in panel.table.lesions}
        by_origin = {row.origin: row.lesion.volume_ml for row in panel.table.lesions}
        assert told == {"automatic", "corrected", "manual"} and by_origin["automatic"] == max(by_origin.values()), threshold
    desk.run(panel)
    settle(desk, panel)
    result = panel.controller.shown.now()
    assert sorted(result.origin(lesion) for lesion in result.lesions) == ["automatic", "corrected", "manual"]
    panel.controller.discard()
    settle(desk, panel)
    assert {row.origin for row in panel.table.lesions} == {"automatic"}
