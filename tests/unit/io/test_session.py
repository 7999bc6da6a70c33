"""A session is what it was when it was saved, bit for bit; what is no session, or not that of the scan, is refused."""

from __future__ import annotations

import json
import os
import zipfile
from dataclasses import fields, replace
from typing import TYPE_CHECKING, get_args

import numpy as np
import pytest

from faults.witness import searched
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.io import Session, read_session, write_session
from napari_liver_anomaly.io.kept_sessions import KeepSettings, forget_all, keep, kept_sessions, place_of
from napari_liver_anomaly.io.read_options import ReadOptions
from napari_liver_anomaly.lesions import Lesion
from napari_liver_anomaly.messages import make_finding
from napari_liver_anomaly.result import LiverFrom
from napari_liver_anomaly.sparse_labels import SparseLabels
from napari_liver_anomaly.volume import Volume

if TYPE_CHECKING:
    from pathlib import Path

    from napari_liver_anomaly.result import Result


@pytest.fixture(scope="module")
def result() -> Result:
    return _result()


def _result() -> Result:
    affine = np.array([[-1.7, 0.1, 0, 3], [0, -1.5, 0, 5], [0, 0, 2.5, 7], [0, 0, 0, 1]])
    rng = np.random.default_rng(3)
    hu = rng.normal(100, 10, (40, 32, 12)).round().astype(np.int16)
    hu[8:14, 9:15, 3:6] = 40
    found = searched(Volume.from_array(hu, affine))
    residual = np.where(found.labels > 0, -60, 0).astype(np.int16)
    probability = np.where(found.liver.voxels, 200, 3).astype(np.uint8)
    return replace(
        found, residual=residual, restored=found.volume.voxels - residual, findings=(make_finding("liver-at-edge"),), model_hash="ab",
        liver=replace(found.liver, probability=probability, found=True, findings=(make_finding("liver-automatic"),)), left_out=2,
        healthy_scores={0.01: 0.5, 0.001: 1},
    )  # fmt: skip


def same(one: object, other: object) -> None:
    """Every field is the same: arrays to the bit, with their kind."""
    for field in fields(one):  # type: ignore[arg-type]
        a, b = getattr(one, field.name), getattr(other, field.name)
        if isinstance(a, np.ndarray):
            assert a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes(), field.name
        elif hasattr(a, "__dataclass_fields__") and not isinstance(a, Lesion):
            same(a, b)
        else:
            assert a == b, field.name


def test_a_result_comes_back_bit_for_bit(result: Result, tmp_path: Path) -> None:
    path = tmp_path / "a.liver-session"
    write_session(Session.of(result, tmp_path / "scan.nii.gz", answers=ReadOptions(series=3)), path)
    session = read_session(path)
    assert session.path == tmp_path / "scan.nii.gz" and session.answers.series == 3 and session.voxels is None
    same(session.result(session.volume(result.volume)), result)


@pytest.mark.parametrize("said", [None, "much", [[0.01]], [["a", 0.5]], [[0.01, 7]], [[0, 0.5]], [[True, 0.5]], [0.5]])
def test_scores_of_healthy_livers_are_numbers_or_not_there(result: Result, said: object) -> None:
    session = Session.of(result)
    odd = replace(session, run={**session.run, "healthy_scores": said})
    assert odd.result(result.volume).healthy_scores == {}


@pytest.mark.parametrize("where_from", get_args(LiverFrom))
def test_a_liver_from_anywhere_comes_back(result: Result, tmp_path: Path, where_from: LiverFrom) -> None:
    write_session(Session.of(replace(result, liver_from=where_from)), tmp_path / "one.liver-session")
    session = read_session(tmp_path / "one.liver-session")
    assert session.result(session.volume()).liver_from == where_from


def test_all_that_is_kept_comes_back(result: Result, tmp_path: Path) -> None:
    some = SparseLabels(result.labels.shape, np.array([0, 7, 99]), np.array([0, 1, 2], np.uint16))
    session = Session.of(
        result, corrected_liver=~result.liver.voxels, by_hand=some, uncorrected=some, rejected=some, left_out=4, saved="2026-01-01",
        settings=replace(result.settings, threshold=0.25), view={"zoom": 1.5}, other={"of a later version": [1, {"a": None}]},
        rows=({"number": 1, "kept": False, "comment": "né <b>à</b> voir"},),
    )  # fmt: skip
    write_session(session, tmp_path / "a.liver-session")
    found = read_session(tmp_path / "a.liver-session")
    write_session(found, tmp_path / "b.liver-session")
    assert (tmp_path / "a.liver-session").read_bytes() == (tmp_path / "b.liver-session").read_bytes()
    assert found.other == session.other and found.rows == session.rows and found.view == session.view
    assert found.by_hand is not None and found.by_hand.same_as(some) and found.settings.threshold == 0.25
    assert found.corrected_liver is not None and np.array_equal(found.corrected_liver, ~result.liver.voxels)
    assert found.volume().identity == result.volume.identity, "a scan without a file is kept itself"


def test_another_scan_is_refused(result: Result, tmp_path: Path) -> None:
    write_session(Session.of(result, tmp_path / "scan.nii.gz"), tmp_path / "a.liver-session")
    voxels = result.volume.voxels.copy()
    voxels[0, 0, 0] += 1
    with pytest.raises(Refusal) as caught:
        read_session(tmp_path / "a.liver-session").volume(Volume(voxels, result.volume.geometry))
    assert caught.value.finding.code == "session-scan-changed"


def test_nothing_of_the_file_names_the_scan_but_its_place(result: Result, tmp_path: Path) -> None:
    named = replace(result, volume=replace(result.volume, name="Doe^Jane"))
    write_session(Session.of(named), tmp_path / "a.liver-session")
    with zipfile.ZipFile(tmp_path / "a.liver-session") as file:
        assert b"Doe" not in b"".join(file.read(name) for name in file.namelist())
        assert json.loads(file.read("session.json"))["scan"]["path"] == ""


def test_sessions_are_kept_by_number_and_room_and_forgotten(result: Result, tmp_path: Path) -> None:
    settings = KeepSettings(folder=str(tmp_path / "kept"), most=2)
    (tmp_path / "kept").mkdir()
    mine = tmp_path / "kept" / "my own.liver-session"
    mine.write_bytes(b"")
    (tmp_path / "kept" / ("f" * 16 + ".liver-session")).symlink_to(mine)
    paths = []
    for n in range(3):
        session = replace(Session.of(result), scan=f"{n:016x}")
        paths.append(keep(session, settings))
        os.utime(paths[-1], (n + 1, n + 1))
    assert keep(replace(Session.of(result), scan=f"{2:016x}"), settings) == place_of(f"{2:016x}", settings)
    assert [kept.path for kept in kept_sessions(settings)] == [paths[2], paths[1]], "the latest first, the oldest gone"
    assert [kept.title for kept in kept_sessions(settings)] == ["Scan without a file"] * 2
    assert forget_all(settings) == 2 and mine.exists() and kept_sessions(settings) == ()
    assert keep(Session.of(result), replace(settings, keep_sessions=False)) is None and not list((tmp_path / "kept").glob("0*"))


def test_room_is_bounded(result: Result, tmp_path: Path) -> None:
    settings = KeepSettings(folder=str(tmp_path), most_mb=10)
    noise = np.random.default_rng(0).integers(0, 2**62, 1_200_000).tobytes().hex()[:14_000_000]
    for n in range(3):
        path = keep(replace(Session.of(result), scan=f"{n:016x}", rows=({"x": noise},)), settings)
        os.utime(path, (n + 1, n + 1))
    assert [one.path.name[:16] for one in kept_sessions(settings)] == [f"{2:016x}"]


def test_what_the_user_set_is_kept_and_damage_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_liver_anomaly import preferences

    monkeypatch.setattr(preferences, "path", lambda: tmp_path / "set" / "preferences.json")
    assert preferences.preferred(KeepSettings) == KeepSettings()
    preferences.prefer(KeepSettings(keep_sessions=False, most=7))
    preferences.prefer(ReadOptions(series=2))
    assert preferences.preferred(KeepSettings) == KeepSettings(keep_sessions=False, most=7)
    (tmp_path / "set" / "preferences.json").write_text(
        '{"KeepSettings": {"keep_sessions": 3, "most": 9, "later": 1}, "Later": 5}'
    )
    assert preferences.preferred(KeepSettings) == KeepSettings(most=9), "what is out of range is as it begins"
    preferences.prefer(KeepSettings())
    assert json.loads((tmp_path / "set" / "preferences.json").read_text())["Later"] == 5
    for damage in ("[" * 100_000, "{", "[]", "\0"):
        (tmp_path / "set" / "preferences.json").write_text(damage)
        assert preferences.preferred(KeepSettings) == KeepSettings()
