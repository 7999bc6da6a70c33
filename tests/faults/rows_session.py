"""Faults of sessions, follow-up and many scans."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from builders import ct, nifti_file
from faults.rows_given import LIVER, abdomen, saved
from faults.table import Kit, row
from faults.witness import refused, searched
from napari_liver_anomaly.errors import Question
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.io import Session, read_session, write_session
from napari_liver_anomaly.io.earlier_reading import Place, read_reading
from napari_liver_anomaly.io.read_options import EarlierOptions
from napari_liver_anomaly.volume import Mask, Volume

if TYPE_CHECKING:
    from pathlib import Path

    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.sparse_labels import SparseLabels


def _result() -> Result:
    hu = np.full((24, 20, 8), 100, np.int16)
    hu[8:12, 9:13, 3:6] = 40
    return searched(Volume.from_array(hu, np.diag([-2.0, -2.0, 3.0, 1.0])))


@row(135)
def a_session_is_opened_on_another_scan(kit: Kit) -> None:
    """A session meets another scan than its own, by one voxel or by its place: its lesions would lie over another patient."""
    result, path = _result(), kit.folder / "a.liver-session"
    write_session(Session.of(result, kit.folder / "scan.nii.gz"), path)
    session = read_session(path)
    volume = result.volume
    assert session.result(session.volume(Volume(volume.voxels.copy(), volume.geometry))).lesions == result.lesions
    changed, affine = volume.voxels.copy(), volume.geometry.source_affine.copy()
    changed[-1, -1, -1] -= 1
    affine[0, 3] += 1
    others = {
        "voxel": Volume(changed, volume.geometry), "place": Volume(volume.voxels, Geometry(volume.geometry.source_shape, affine)),
        "size": Volume(volume.voxels[:-1], Geometry((24, 20, 7), volume.geometry.source_affine)), "none": None,
    }  # fmt: skip
    for name, other in others.items():
        with refused(name, "session-scan-changed"):
            session.volume(other)


@row(136)
def a_session_file_is_damaged_or_prepared(kit: Kit) -> None:
    """A session is cut short, damaged or prepared: half a reading would be shown, code run, or memory filled."""
    path, other = kit.folder / "a.liver-session", kit.folder / "b.liver-session"
    session = Session.of(_result(), rows=({"kept": True},))
    write_session(session, path)
    sound = path.read_bytes()

    def same_or_refused(what: object, block: bytes) -> bool:
        other.write_bytes(block)
        try:
            found = read_session(other)
        except Exception as error:
            assert type(error).__module__.startswith("napari_liver_anomaly"), (what, error)
            return False
        write_session(found, other)
        assert other.read_bytes() == sound, what
        return True

    assert same_or_refused("sound", sound)
    for place in range(0, len(sound), max(1, len(sound) // 300)):
        same_or_refused(place, sound[:place] + bytes([sound[place] ^ 0x55]) + sound[place + 1 :])
    for length in (0, 1, 22, len(sound) // 2, len(sound) - 23, len(sound) - 1):
        assert not same_or_refused(length, sound[:length]), length

    def prepared(name: str, **members: Any) -> None:
        """Write the session with some members put in the place of its own."""
        with zipfile.ZipFile(path) as file:
            blocks = {one: file.read(one) for one in file.namelist()} | members
        with zipfile.ZipFile(other, "w", zipfile.ZIP_DEFLATED) as file:
            for member, block in blocks.items():
                if block is not None:
                    file.writestr(member, block)
        with refused(name, "session-newer" if name == "later" else "session-unreadable"):
            read_session(other)

    about = json.loads(zipfile.ZipFile(path).read("session.json"))
    grid = session.geometry.shape
    where = np.array([0, 5], np.int64)
    for name, array in {
        "shape": np.zeros((2, *grid[1:]), np.uint8), "kind": np.zeros(grid, np.uint16), "turned": np.zeros(grid, np.uint8, order="F"),
    }.items():  # fmt: skip
        prepared(name, **{"score.npy": _npy(array)})
    for name, places in {"falling": where[::-1], "outside": where + 10**9, "before": where - 1, "twice": where * 0}.items():
        prepared(name, **{"lesions_where.npy": _npy(places), "lesions_values.npy": _npy(np.ones(2, np.uint16))})
    prepared("pickle", **{"score.npy": _npy(np.array([_Trap()], object))})
    prepared("longer", **{"score.npy": _npy(session.score) + bytes(10**6)})
    prepared("missing", **{"score.npy": None})
    for name, text in {
        "number": json.dumps(about | {"left_out": "x"}), "infinite": json.dumps(about | {"view": {"zoom": float("inf")}}),
        "deep": "[" * 200_000, "list": "[]", "later": json.dumps(about | {"format": 2}), "threshold": json.dumps(
            about | {"settings": about["settings"] | {"threshold": 7}}
        ),
        "huge": json.dumps(about | {"scan": about["scan"] | {"source_shape": [1, 2, 3]}}),
    }.items():  # fmt: skip
        prepared(name, **{"session.json": text})
    assert not _Trap.sprung


@row(138)
def lesions_of_two_times_are_mixed_up(kit: Kit) -> None:
    """Lesions of two times are matched by number, called gone where nobody looked, or compared between livers that do not fit."""
    from napari_liver_anomaly.follow_up import Reading, follow_up
    from napari_liver_anomaly.sparse_labels import SparseLabels

    grid = np.indices((50, 40, 36))
    liver = ((grid - np.array([25, 20, 18])[:, None, None, None]) / np.array([22, 16, 15])[:, None, None, None]) ** 2
    voxels = (liver.sum(axis=0) < 1) & ~((grid[0] > 30) & (grid[1] > 22) & (grid[2] < 16))
    affine = np.diag([-3.0, -3.0, 4.0, 1.0])

    def reading(mask: np.ndarray, *boxes: tuple[int, int, int, int]) -> Reading:
        labels = np.zeros(mask.shape, np.uint16)
        for number, (x, y, z, size) in enumerate(boxes, 1):
            labels[x : x + size, y : y + size, z : z + size] = number
        made = Mask.from_array(mask, affine)
        return Reading(liver=made, lesions=SparseLabels.of(made.geometry.to_canonical(labels)))

    low, high = (20, 18, 8, 4), (22, 16, 24, 5)
    then, now = reading(voxels, low, high), reading(voxels, high, low)
    assert {(row.then, row.now) for row in follow_up(then, now).rows} == {((1,), (2,)), ((2,), (1,))}, "by place, not by number"
    without = voxels.copy()
    without[20:29, 14:23, 22:31] = False  # the mask leaves out where a lesion was
    found = follow_up(then, reading(without, low))
    assert {row.then: row.state for row in found.rows} == {(1,): "followed", (2,): "not searched now"}
    found = follow_up(reading(without, low), then)
    assert {row.now: row.state for row in found.rows} == {(1,): "followed", (2,): "not searched then"}
    half = voxels & (grid[0] < 25)
    assert [finding.code for finding in follow_up(then, reading(half)).findings] == ["alignment-poor"]


@row(165)
def last_times_liver_counts_as_a_lesion(kit: Kit) -> None:
    """A mask of last time holds the liver beside its lesions, or all organs: the liver would be followed as a lesion."""
    _, _, organs = abdomen(kit.folder)
    liver = organs == LIVER
    inside = np.cumsum(liver).reshape(liver.shape)
    small, large = liver & (inside < liver.sum() / 10), liver & (inside > liver.sum() / 3)
    masks = {
        "liver": liver, "both": liver + small.astype(np.uint8), "organs": np.where(small, 90, organs), "all": liver, "numbered": small + 2 * (
            liver & (inside > liver.sum() * 0.9)
        ), "large": large,
    }  # fmt: skip
    for name, voxels in masks.items():
        saved(kit.folder / f"{name}.nii.gz", np.asarray(voxels, np.uint8))

    def read_back(lesions: str, **answers: str) -> SparseLabels:
        files = (kit.folder / f"{name}.nii.gz" for name in (lesions, "ct", "liver"))
        return read_reading(Place(*files, EarlierOptions(**answers))).lesions

    for name in ("both", "organs", "all", "large"):
        with pytest.raises(Question) as asked:
            read_back(name)
        assert asked.value.finding.code == "lesions-fill-liver" and asked.value.finding.answers, name
    for name, label in (("both", "2"), ("organs", "90")):
        assert np.array_equal(read_back(name, lesion_label=label).where, read_back("numbered", lesion_label="1").where), name
    assert len(list(read_back("numbered").parts())) == 2, "lesions that have a number each are not asked about"
    with pytest.raises(Question):
        read_back("all", lesion_label="2")  # as the file of the other time has it: the one label that there is here is the liver
    assert read_back("large", lesion_label="all").where.size == large.sum(), "a tumour may fill most of a liver"


@row(139)
def one_scan_of_many_stops_the_rest(kit: Kit) -> None:
    """One of many scans is refused, asks or is stopped: the rest would not run, be done twice, or keep what another model found."""
    from napari_liver_anomaly.errors import Cancelled
    from napari_liver_anomaly.many_scans import segment_all
    from napari_liver_anomaly.segmentation import SegmentSettings

    paths, stop = [], [False]
    for name in ("a", "b"):
        hu = ct(40, 40, 8)
        hu[20, 20, 4] += ord(name)
        paths.append(nifti_file(kit.folder / f"{name}.nii.gz", hu, np.diag([-10.0, -10.0, 10.0, 1.0])))
    broken = kit.folder / "broken.nii.gz"
    broken.write_bytes(b"no scan")
    ran: list[str] = []

    def segment(volume: Volume, liver: None, model: object, settings: SegmentSettings, **_: object) -> Result:
        if stop[0] and ran:
            raise Cancelled
        ran.append(volume.identity)
        return replace(searched(volume), settings=settings, model_hash="")

    def go(settings: SegmentSettings, *, order: list[Path]) -> list[tuple[str, bool]]:
        ran.clear()
        more = {"model": object(), "settings": settings, "segment": segment}
        studies = segment_all(order, kit.folder / "out", **more)  # type: ignore[arg-type]
        return [(str(study.state), study.again) for study in studies]

    first, other = SegmentSettings(threshold=0.5), SegmentSettings(threshold=0.4)
    stop[0] = True
    try:
        go(first, order=[paths[0], broken, paths[1]])
    except Cancelled:
        pass
    assert len(ran) == 1 and len(list((kit.folder / "out").iterdir())) == 1, "what was done before is kept"
    stop[0] = False
    assert go(first, order=[broken, *paths]) == [("refused", False), ("done", True), ("done", False)] and len(ran) == 1
    assert go(first, order=paths) == [("done", True)] * 2 and not ran
    assert go(other, order=paths) == [("done", False)] * 2 and len(ran) == 2, "other settings, other results"
    for path in (kit.folder / "out").iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    assert go(other, order=paths) == [("done", False)] * 2, "a damaged session does not count"


class _Trap:
    """Something that runs code when it is unpickled."""

    sprung: list[int] = []  # noqa: RUF012

    def __reduce__(self) -> tuple[Any, ...]:
        return _Trap.sprung.append, (1,)


def _npy(array: np.ndarray) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


@row(137)
def sessions_are_kept_that_nobody_wants(kit: Kit) -> None:
    """Sessions name scans, which may name patients: one is kept though it was switched off, outlives "forget", or takes another's file along."""
    from napari_liver_anomaly.io.kept_sessions import KeepSettings, forget_all, keep, keep_settings, kept_sessions

    folder: Path = kit.folder / "kept"
    settings, session = KeepSettings(folder=str(folder), most=2), Session.of(_result(), kit.folder / "Doe_Jane.nii.gz")
    assert keep(session, replace(settings, keep_sessions=False)) is None and not folder.exists()
    kit.patch.setenv("LIVER_ANOMALY_SESSIONS", "off")
    assert not keep_settings().keep_sessions
    paths = [keep(replace(session, scan=f"{n:016x}"), settings) for n in range(4)]
    assert all(path is not None and "Doe" not in path.name for path in paths)
    assert folder.stat().st_mode & 0o077 == 0, "for the user alone"
    assert len(kept_sessions(settings)) == 2
    for name in ("mine.liver-session", "notes.txt", "0123456789abcdef.liver-session.bak"):
        (folder / name).write_bytes(b"")
    assert forget_all(settings) == 2
    assert sorted(path.name for path in folder.iterdir()) == [
        "0123456789abcdef.liver-session.bak", "mine.liver-session", "notes.txt",
    ]  # fmt: skip
