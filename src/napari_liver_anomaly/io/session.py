"""A reading session as one file: where the scan is and which it was, its liver, score and lesions as they are now, settings and view."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import numpy as np

from napari_liver_anomaly.errors import NOT_A_MEDICAL_DEVICE, version
from napari_liver_anomaly.geometry import Geometry
from napari_liver_anomaly.io.bundle import open_bundle, write_bundle
from napari_liver_anomaly.io.read_options import ASK_ALL, ReadOptions
from napari_liver_anomaly.lesions import Lesion, LiverScan, measure_again
from napari_liver_anomaly.messages import finding_from, make_refusal
from napari_liver_anomaly.result import LiverFrom, Result
from napari_liver_anomaly.segmentation import SegmentSettings
from napari_liver_anomaly.settings import Settings
from napari_liver_anomaly.sparse_labels import SparseLabels
from napari_liver_anomaly.storage import voxel_bytes
from napari_liver_anomaly.volume import Mask, Volume

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.bundle import Bundle

FORMAT = 1
ENDING = ".liver-session"
VOXEL_BYTES = 10  # all arrays together, for each voxel of the scan
MOST_FINDINGS = 200
ABOUT_RUN = {
    "model": str, "model_hash": str, "device": str, "ran_on": str, "timings_s": dict, "versions": dict, "liver_from": str, "left_out": int,
}  # fmt: skip
S = TypeVar("S", bound=Settings)


@dataclass(frozen=True, eq=False, kw_only=True)
class Session:
    """All that is kept of a reading.

    Attributes
    ----------
    geometry : Geometry
        Grid of the scan.
    scan : str
        Identity of the scan.
    path : Path or None
        Where the scan was read; None for one that came from no file, or was changed since: then its voxels are kept.
    answers : ReadOptions
        What was answered when it was read.
    voxels : ndarray, (z, y, x) int16, or None
        The scan itself, only when it cannot be read from a file.
    liver : Mask
        The liver that was searched.
    corrected_liver : ndarray, (z, y, x) bool, or None
        The liver as it is on screen, where the user corrected it since.
    score, residual, labels : ndarray, (z, y, x)
        As the run gave them; see :class:`~napari_liver_anomaly.result.Result`. ``residual`` may be None.
    lesions, by_hand, predicted, uncorrected, rejected : SparseLabels
        The lesions as they are now; voxels that the user decided; what of these lesions the program had found (2 where the threshold still
        counts); the lesions before the first correction; and those that were left out, numbered in the order of ``rows`` that are not kept.
        All but the first may be None.
    settings : SegmentSettings
        How the lesions of now were cut.
    left_out : int
        Pieces that this cut left out.
    run : dict
        What the result says of its run, as plain data.
    rows : tuple of dict
        Measures of the lesions of now, then of those left out; with ``"kept"``, and whatever else is known of each.
    view : dict
        Slice, camera, window and what is visible, as plain data.
    saved : str
        When, in coordinated universal time.
    other : dict
        What a later version wrote and this one does not know; it is kept.
    """

    geometry: Geometry
    scan: str
    path: Path | None
    answers: ReadOptions = ASK_ALL
    voxels: NDArray[np.int16] | None = None
    liver: Mask
    corrected_liver: NDArray[np.bool_] | None = None
    score: NDArray[np.uint8]
    residual: NDArray[np.int16] | None
    labels: NDArray[np.uint16]
    lesions: SparseLabels
    by_hand: SparseLabels | None = None
    predicted: SparseLabels | None = None
    uncorrected: SparseLabels | None = None
    rejected: SparseLabels | None = None
    settings: SegmentSettings
    left_out: int = 0
    run: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[Mapping[str, Any]] = ()
    view: Mapping[str, Any] = field(default_factory=dict)
    saved: str = ""
    other: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, result: Result, path: Path | None = None, **more: Any) -> Session:
        """Keep a result as the run gave it.

        Parameters
        ----------
        result : Result
            As :func:`~napari_liver_anomaly.inference.segment` gives it.
        path : Path, optional
            Where the scan was read; without it the scan itself is kept.
        **more
            Fields of the session that are otherwise by now, or known besides.

        Returns
        -------
        Session
            To be written.
        """
        about: dict[str, Any] = {name: getattr(result, name) for name in ABOUT_RUN}
        about |= {
            "about_model": dict(result.about_model),
            "healthy_scores": [list(pair) for pair in result.healthy_scores.items()],
            "settings": result.settings.to_dict(),
            "findings": [_plain(finding) for finding in result.findings],
        }
        now: dict[str, Any] = {
            "lesions": SparseLabels.of(result.labels), "settings": result.settings, "left_out": result.left_out,
            "rows": tuple(row_of(lesion) for lesion in result.lesions),
            "voxels": None if path is not None else result.volume.voxels,
        }  # fmt: skip
        return cls(
            geometry=result.volume.geometry, scan=result.volume.identity, path=path, liver=result.liver, score=result.score,
            residual=result.residual, labels=result.labels, run=about, **now | more,
        )  # fmt: skip

    def volume(self, scan: Volume | None = None, name: str = "scan") -> Volume:
        """Give the scan: the one that was read, when it is the very same, or the one that is kept here.

        Parameters
        ----------
        scan : Volume, optional
            The scan as it was read from :attr:`path`, or from where it lies now.
        name : str
            What a scan that is kept here is called on screen.

        Returns
        -------
        Volume
            The scan of this session.

        Raises
        ------
        WrongGrid
            When it is another scan, by one voxel or by its place.
        """
        if self.voxels is not None:
            scan = Volume(self.voxels, self.geometry, name)
        if scan is None or scan.identity != self.scan:
            raise make_refusal("session-scan-changed")
        return scan

    def result(self, volume: Volume) -> Result:
        """Give the result as the run gave it, on its scan.

        Parameters
        ----------
        volume : Volume
            As :meth:`volume` gives it.

        Returns
        -------
        Result
            Bit for bit.

        Raises
        ------
        WrongGrid
            When it is another scan.
        """
        run, liver = self.run, replace(self.liver, scan=self.scan).of(volume, "liver mask")
        return Result(
            volume=volume, liver=liver, score=self.score, residual=self.residual, labels=self.labels,
            restored=None if self.residual is None else volume.voxels - self.residual,
            lesions=measure_again(SparseLabels.of(self.labels), LiverScan(volume, liver)),
            settings=known_settings(SegmentSettings, run["settings"]), findings=_findings(run["findings"]),
            about_model=_texts(run.get("about_model")), healthy_scores=_scores(run.get("healthy_scores")), **{name: run[name] for name in ABOUT_RUN},
        )  # fmt: skip


def _texts(said: object) -> dict[str, str]:
    """Take what is text by a heading; earlier sessions say nothing of their model."""
    return {name: text for name, text in said.items() if isinstance(text, str)} if isinstance(said, dict) else {}


def _scores(pairs: object) -> dict[float, float]:
    """Take pairs of numbers, 0 to 1; earlier sessions have none."""
    found = pairs if isinstance(pairs, list) else []
    numbers = [
        pair for pair in found if isinstance(pair, list) and len(pair) == 2 and all(type(one) in (int, float) for one in pair)
    ]
    return {share: score for share, score in numbers if 0 < share < 1 and 0 <= score <= 1}


def row_of(lesion: Lesion, *, kept: bool = True) -> dict[str, Any]:
    """Say the measures of a lesion as plain data; what has no meaning is left empty."""
    measures = {name: None if value != value else value for name, value in asdict(lesion).items()}
    return measures | {"kept": kept}


def write_session(session: Session, path: str | Path) -> None:
    """Write a session into one file, whole or not at all.

    Parameters
    ----------
    session : Session
        What to keep.
    path : path-like
        A file, usually ``NAME.liver-session``. It says where the scan lies, whose name may be a patient's.

    Raises
    ------
    NotWritten
        When the disk does not take it; an earlier file is untouched.
    """
    grid = session.geometry
    about = dict(session.other) | {
        "format": FORMAT, "notice": NOT_A_MEDICAL_DEVICE, "program": version(),
        "saved": session.saved or datetime.now(UTC).isoformat(timespec="seconds"),
        "scan": {
            "path": "" if session.path is None else str(session.path.absolute()), "identity": session.scan,
            "answers": session.answers.to_dict(), "source_shape": grid.source_shape,
            "source_affine": grid.source_affine.tolist(), "oriented": grid.oriented,
        },
        "liver": {"found": session.liver.found, "judged": session.liver.judged, "findings": [_plain(finding) for finding in session.liver.findings]},
        "run": dict(session.run), "settings": session.settings.to_dict(), "left_out": session.left_out,
        "lesions": [dict(row) for row in session.rows], "view": dict(session.view),
    }  # fmt: skip
    write_bundle(path, about, _arrays(session))


def _arrays(session: Session) -> dict[str, NDArray[Any]]:
    """Name the arrays that there are; labels without their zeros are two lists."""
    dense = {
        "scan": session.voxels, "liver": session.liver.voxels, "probability": session.liver.probability,
        "corrected_liver": session.corrected_liver, "score": session.score, "residual": session.residual, "labels": session.labels,
    }  # fmt: skip
    arrays = {name: array for name, array in dense.items() if array is not None}
    for name in ("lesions", "by_hand", "predicted", "uncorrected", "rejected"):
        if (labels := getattr(session, name)) is not None:
            arrays |= {f"{name}_where": labels.where, f"{name}_values": labels.values.astype(np.uint16)}
    return arrays


def read_about(path: str | Path) -> dict[str, Any]:
    """Read what a session says, without its arrays.

    Parameters
    ----------
    path : path-like
        Written by :func:`write_session`.

    Returns
    -------
    dict
        Plain data.

    Raises
    ------
    UnreadableFile
        When it is damaged, no session, or of a later version.
    """
    with open_bundle(path) as bundle:
        return _known(bundle)


def read_session(path: str | Path) -> Session:
    """Read a session from its file.

    Parameters
    ----------
    path : path-like
        Written by :func:`write_session`.

    Returns
    -------
    Session
        The same; its scan is still to be read from where it lies, see :meth:`Session.volume`.

    Raises
    ------
    UnreadableFile
        When it is damaged, no session, or of a later version.
    """
    with open_bundle(path) as bundle:
        about = _known(bundle)
        scan, liver = about.pop("scan"), about.pop("liver")
        x, y, z = (int(n) for n in scan["source_shape"])
        voxel_bytes((x, y, z), VOXEL_BYTES)
        grid = Geometry((x, y, z), np.array(scan["source_affine"], np.float64), _kind(scan["oriented"], bool))
        dense = {"score": np.uint8, "labels": np.uint16, "liver": np.bool_}
        there = {"scan": np.int16, "probability": np.uint8, "corrected_liver": np.bool_, "residual": np.int16}
        arrays = {name: bundle.array(name, kind, grid.shape) for name, kind in dense.items()}
        arrays |= {name: bundle.array(name, kind, grid.shape) for name, kind in there.items() if name in bundle}
        there_too = ("by_hand", "predicted", "uncorrected", "rejected")
        sparse = {
            name: _sparse(bundle, name, grid) for name in ("lesions", *(one for one in there_too if f"{one}_where" in bundle))
        }
        identity = _kind(scan["identity"], str)
        mask = Mask(
            arrays.pop("liver"), grid, identity, arrays.pop("probability", None), _findings(liver["findings"]), _kind(liver["found"], bool),
            judged=_kind(liver.get("judged", False), bool),
        )  # fmt: skip
        path_of_scan = _kind(scan["path"], str)
        return Session(
            geometry=grid, scan=identity, path=Path(path_of_scan) if path_of_scan else None,
            answers=known_settings(ReadOptions, scan["answers"]), voxels=arrays.pop("scan", None), liver=mask,
            residual=arrays.pop("residual", None), settings=known_settings(SegmentSettings, about.pop("settings")),
            left_out=_kind(about.pop("left_out"), int), run=_kind(about.pop("run"), dict), view=_kind(about.pop("view"), dict),
            rows=tuple(_kind(row, dict) for row in about.pop("lesions")), saved=_kind(about.pop("saved"), str),
            other={name: value for name, value in about.items() if name not in ("format", "notice", "program")},
            **arrays, **sparse,  # type: ignore[arg-type]
        )  # fmt: skip


def _known(bundle: Bundle) -> dict[str, Any]:
    """Give the plain data of a session that this version knows."""
    about = bundle.about
    if _kind(about["format"], int) > FORMAT:
        raise make_refusal("session-newer")
    run = about["run"]
    for name, kind in ABOUT_RUN.items():
        _kind(run[name], kind)
    if run["liver_from"] not in get_args(LiverFrom):
        raise ValueError("liver_from")
    known_settings(SegmentSettings, run["settings"])
    _findings(run["findings"])
    return about


def _sparse(bundle: Bundle, name: str, grid: Geometry) -> SparseLabels:
    """Read labels of some voxels: rising, within the scan, a number for each."""
    count = math.prod(grid.shape)
    where = bundle.array(f"{name}_where", np.int64, (-count,))
    values = bundle.array(f"{name}_values", np.uint16, where.shape)
    if where.size and (where[0] < 0 or where[-1] >= count or (np.diff(where) <= 0).any()):
        raise ValueError(name)
    return SparseLabels(grid.shape, where, values)


def known_settings(kind: type[S], values: Mapping[str, Any]) -> S:
    """Take the settings that this version knows; those that are missing are as they begin."""
    base = kind().to_dict()
    return kind.from_dict(base | {name: value for name, value in values.items() if name in base})


def _kind(value: Any, kind: type[Any]) -> Any:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise TypeError(kind.__name__)
    return value


def _plain(finding: Finding) -> dict[str, Any]:
    words = {name: getattr(finding, name) for name in ("code", "what", "meaning", "action")}
    return words | {"level": str(finding.level)}


def _findings(told: Any) -> tuple[Finding, ...]:
    return tuple(finding_from(one) for one in told[:MOST_FINDINGS])
