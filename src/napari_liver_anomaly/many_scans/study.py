"""One scan of many: it is read, segmented and kept as a session; what is refused or asked stops that scan only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.errors import Question, Refusal
from napari_liver_anomaly.io.read_options import ASK_ALL
from napari_liver_anomaly.io.session import ENDING, Session, known_settings, read_about, read_session, write_session
from napari_liver_anomaly.job import Job
from napari_liver_anomaly.many_scans.picture import picture_of
from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.segmentation import AUTO_SETTINGS, SegmentSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from napari_liver_anomaly.errors import Finding
    from napari_liver_anomaly.io.read_options import ReadOptions
    from napari_liver_anomaly.result import Result
    from napari_liver_anomaly.volume import Volume

MOST_STUDIES = 1_000_000


class State(StrEnum):
    """How far a study is."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    ASKS = "asks"
    REFUSED = "refused"


@dataclass(frozen=True, eq=False, kw_only=True)
class Study:
    """One scan of many.

    Attributes
    ----------
    path : Path
        File or folder of the scan.
    state : State
        How far it is.
    finding : Finding or None
        Why it was refused, or what it asks.
    lesions : int
        Number of lesions found.
    tumour_ml, liver_ml : float
        Their volume, and that of the liver, in ml.
    scan : str
        Identity of the scan.
    session : Path or None
        Where the result is kept.
    picture : ndarray, (y, x, 3) uint8, or None
        The slice of the largest lesion, or the middle of the liver.
    again : bool
        Whether it was found done: same scan, model and settings.
    """

    path: Path
    state: State = State.WAITING
    finding: Finding | None = None
    lesions: int = 0
    tumour_ml: float = 0.0
    liver_ml: float = 0.0
    scan: str = ""
    session: Path | None = None
    picture: NDArray[np.uint8] | None = None
    again: bool = False

    @property
    def summary(self) -> str:
        """Say in a sentence how it is, or what was found."""
        if self.finding is not None:
            return f"{self.finding.what} {self.finding.meaning}"
        if self.state is State.DONE:
            return (
                f"{self.lesions} lesion{'s' * (self.lesions != 1)}, {self.tumour_ml:.1f} ml" if self.lesions else "nothing found"
            )
        return "in progress" if self.state is State.RUNNING else str(self.state)


def studies_in(folder: str | Path) -> tuple[Path, ...]:
    """List the studies of a folder: scan files, and folders below it, each of one study; the folder itself, where it holds slices.

    Parameters
    ----------
    folder : path-like
        A folder of studies; a file is one study.

    Returns
    -------
    tuple of Path
        Sorted by name.

    Raises
    ------
    Refusal
        When the folder cannot be listed, or holds nothing that may be a study.
    """
    from napari_liver_anomaly.io import ENDINGS, can_read

    folder = Path(folder)
    if folder.is_file():
        return (folder,)
    try:
        inside = sorted(one for one in folder.iterdir() if not one.name.startswith("."))[:MOST_STUDIES]
    except OSError as error:
        raise make_refusal("file-unreadable", reason=error.strerror or type(error).__name__) from None
    whole = tuple(ending for ending in ENDINGS if ending != ".dcm")
    loose = [one for one in inside if one.is_file() and not one.name.lower().endswith(whole) and can_read(one)]
    files = [one for one in inside if one.is_file() and one.name.lower().endswith(whole)]
    folders = [one for one in inside if one.is_dir()]
    found = ([folder] if loose else []) + sorted(files + folders)
    if not found:
        raise make_refusal("no-studies")
    return tuple(found)


def segment_study(
    path: str | Path, folder: str | Path, model: Any = "standard", settings: SegmentSettings | None = None, *,
    answers: ReadOptions = ASK_ALL, device: str = "auto", job: Job | None = None, segment: Callable[..., Any] | None = None,
    also: Callable[[Result], object] | None = None,
) -> Study:  # fmt: skip
    """Read and segment one scan, and keep the result as a session; one that is there for the same scan, model and settings counts.

    Parameters
    ----------
    path : path-like
        File or folder of the scan.
    folder : path-like
        Where sessions are kept.
    model : str, path-like or object
        As :func:`~napari_liver_anomaly.inference.segment` takes it.
    settings : SegmentSettings, optional
        As there.
    answers : ReadOptions, optional
        Answers to what reading may ask, the same for every scan.
    device : str
        ``"auto"``, ``"cpu"`` or ``"cuda"``.
    job : Job, optional
        Progress and cancel.
    segment : callable, optional
        In the place of :func:`~napari_liver_anomaly.inference.segment`.
    also : callable, optional
        Called with the result before the session is kept, which is what tells that a scan is done.

    Returns
    -------
    Study
        Done, refused, or with a question. What is no fault of the scan, as a full disk, is told in the same way.

    Raises
    ------
    Cancelled
        When the job was cancelled.
    """
    from napari_liver_anomaly.io import read

    path, job, settings = Path(path), job or Job(), settings or AUTO_SETTINGS
    study = Study(path=path)
    try:
        job.at("Reading the scan", 0, 1)
        volume = read(path, answers, job=job)
        place = Path(folder) / f"{volume.identity}{ENDING}"
        if (earlier := _done(place, model, settings)) is not None:
            return _told(study, volume, earlier, place, again=True)
        result = (segment or _segment())(volume, None, model, settings, device=device, job=job)
        if also is not None:
            also(result)
        session = Session.of(result, path, answers=answers)
        job.at("Keeping the session", 0, 1)
        write_session(session, place)
        return _told(study, volume, session, place)
    except Refusal as refusal:
        state = State.ASKS if isinstance(refusal, Question) else State.REFUSED
        return replace(study, state=state, finding=refusal.finding)


def segment_all(
    paths: Sequence[str | Path], folder: str | Path, model: Any = "standard", settings: SegmentSettings | None = None, *,
    told: Callable[[int, Study], object] = lambda number, study: None, job: Job | None = None, **more: Any,
) -> tuple[Study, ...]:  # fmt: skip
    """Segment many scans one after another; started again, it goes on where it was.

    Parameters
    ----------
    paths : sequence of path-like
        Their files or folders, as :func:`studies_in` lists them.
    folder, model, settings
        As for :func:`segment_study`.
    told : callable
        Called with number and study when one begins and when it ends.
    job : Job, optional
        Progress and cancel.
    **more
        As for :func:`segment_study`.

    Returns
    -------
    tuple of Study
        One for each path.

    Raises
    ------
    Cancelled
        When the job was cancelled; what was done before is kept.
    """
    found = []
    for number, path in enumerate(paths):
        told(number, Study(path=Path(path), state=State.RUNNING))
        found.append(segment_study(path, folder, model, settings, job=job, **more))
        told(number, found[-1])
    return tuple(found)


def _segment() -> Callable[..., Any]:
    from napari_liver_anomaly.inference import segment

    return segment


def _done(place: Path, model: Any, settings: SegmentSettings) -> Session | None:
    """Give the session of an earlier run, if that was with the same model and settings; a damaged one does not count."""
    if not place.is_file():
        return None
    try:
        run = read_about(place)["run"]
        kept = known_settings(SegmentSettings, run["settings"])
        wanted = replace(settings, threshold=kept.threshold) if settings.auto_threshold else settings
        if replace(kept, batch=wanted.batch) != wanted or run["model_hash"] != _hash_of(model):
            return None
        return read_session(place)
    except Refusal:
        return None


def _hash_of(model: Any) -> str:
    """Say which weights a model has: the checksum that its results carry."""
    if not isinstance(model, (str, Path)):
        return str(getattr(model, "hash", ""))
    from napari_liver_anomaly.models import load

    return str(getattr(load(model), "hash", ""))


def _told(study: Study, volume: Volume, session: Session, place: Path, *, again: bool = False) -> Study:
    rows = [row for row in session.rows if row.get("kept", True)]
    return replace(
        study, state=State.DONE, lesions=len(rows), tumour_ml=sum(float(row.get("volume_ml") or 0) for row in rows),
        liver_ml=session.liver.ml, scan=session.scan, session=place, picture=picture_of(volume, session), again=again,
    )  # fmt: skip
