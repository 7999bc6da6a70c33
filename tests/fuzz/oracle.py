"""One damaged file, read as a user's file is read, and what came of it.

**Right** is one of two things. A *refusal* or a question, in words that hold no path and no name; when the question has answers, the first is given
and the file is read again, and a question that its own answer does not settle is an escape. Or a *result* that is

- equal to that of the sound file, voxels and positions, where a checksum covers every byte that was changed;
- the sound file's, but for the voxels whose bytes were overwritten, where nothing but plain voxels was changed;
- else, since a header may be changed into another that is sound: finite positions, voxels of 0.05 to 20 mm, 16-bit whole numbers, and no more voxels
  than the file can hold; a mask on the scan's grid; weights that fit their card; packed livers whose boxes lie in their scans; a report whose tables
  can be made.

Everything else is an **escape**: another exception, a warning or a line in a log, other voxels, more bytes read or more computing than the bounds of
:mod:`.work` allow for files of this size, more than 500 MB.
"""

from __future__ import annotations

import logging
import traceback
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_liver_anomaly.errors import Question, Refusal
from napari_liver_anomaly.evaluation.tables import case_table, method_table, read_report, seeds_line
from napari_liver_anomaly.io import read, read_mask
from napari_liver_anomaly.io.read_options import ASK_ALL
from napari_liver_anomaly.liver.finder import Finder
from napari_liver_anomaly.models import load
from napari_liver_anomaly.training.training_file import read_training_set
from napari_liver_anomaly.volume import Mask, Volume

from .golden import CANARY, goldens
from .mutations import changed
from .work import measured

if TYPE_CHECKING:
    from collections.abc import Callable

    from napari_liver_anomaly.errors import Finding

    from .golden import Golden
    from .mutations import Edit

RIGHT, REFUSED = "right", "refused"
MEASURED = 3  # times, before it is said that a file makes too much work
GROWTH_MB = 500.0
MOST_QUESTIONS = 6
SMALLEST_MM, LARGEST_MM = 0.049, 20.01
INFLATES = 1040  # deflate packs at most so many bytes into one
LONGEST_SENTENCE = 600
HERE = "napari_liver_anomaly"


class Escape(Exception):
    """Something that should not have come of a file."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of one file."""

    how: str
    code: str = ""
    where: str = ""
    detail: str = ""

    @property
    def escaped(self) -> bool:
        """Whether this is a fault of the program."""
        return self.how not in (RIGHT, REFUSED)


class Bench:
    """Sound files in a folder, one after another of which is damaged and read."""

    def __init__(self, folder: Path, only: str = "") -> None:
        self.goldens = goldens()
        self.turns = [
            name for name, golden in self.goldens.items() if name.startswith(only) for _ in range(1 if golden.slow else 2)
        ]
        self.sound = {name: golden.files[golden.target] for name, golden in self.goldens.items()}
        self.folder = folder
        self.log = _Log()
        self.shares = (0.0, 0.0)  # of the bounds of work, by the last file
        self._expected: dict[str, Any] = {}
        for name, golden in self.goldens.items():
            (folder / name).mkdir()
            for file, data in golden.files.items():
                (folder / name / file).write_bytes(data)
        for golden in self.goldens.values():
            try:
                self._expected[golden.name] = self._read(golden)
            except Refusal:  # a kind of file that is not read yet
                self._expected[golden.name] = None

    def damaged(self, golden: Golden, inside: bool, edits: list[Edit]) -> bytes:
        """Make the damaged file."""
        return (
            golden.pack(changed(golden.inner, edits, self.sound))
            if inside
            else changed(self.sound[golden.name], edits, self.sound)
        )

    def checked(self, golden: Golden, inside: bool, edits: list[Edit]) -> Outcome:
        """Damage a file, read it, and check the outcome."""
        data = self.damaged(golden, inside, edits)
        (self.folder / golden.name / golden.target).write_bytes(data)
        size = len(data) + sum(len(other) for name, other in golden.files.items() if name != golden.target)
        self.log.lines.clear()
        before = peak_mb()
        with measured() as work:
            outcome = self._outcome(golden, inside, edits, data)
        growth = peak_mb() - before
        for _ in range(MEASURED - 1):
            if work.excessive(size):
                with measured() as again:
                    self._outcome(golden, inside, edits, data)
                work = work.least(again)
        self.shares = work.shares(size)
        if not outcome.escaped and self.log.lines:
            outcome = Outcome(how="logged", detail=self.log.lines[0])
        if not outcome.escaped and work.excessive(size):
            outcome = Outcome(how="work", detail=work.words(size))
        if not outcome.escaped and growth > GROWTH_MB:
            outcome = Outcome(how="memory", detail=f"{growth:.0f} MB")
        return outcome

    def _outcome(self, golden: Golden, inside: bool, edits: list[Edit], data: bytes) -> Outcome:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                result = self._read(golden)
            _require_right(result, self._expected[golden.name], golden, inside, edits, data)
        except Refusal as refusal:
            try:
                self._require_plain(refusal.finding)
            except Escape as escape:
                return Outcome(how="words", code=refusal.finding.code, detail=str(escape))
            return Outcome(how=REFUSED, code=refusal.finding.code)
        except Escape as escape:
            how, _, detail = str(escape).partition(": ")
            return Outcome(how=how, detail=detail)
        except Warning as warning:
            return Outcome(how="warning", where=_where(warning), detail=f"{type(warning).__name__}: {warning}")
        except Exception as error:
            return Outcome(how=type(error).__name__, where=_where(error), detail=str(error)[:300])
        return Outcome(how=RIGHT)

    def _read(self, golden: Golden) -> Any:
        path = self.folder / golden.name / golden.opened
        if golden.kind == "scan":
            return _scan(path)
        if golden.kind == "mask":
            return read_mask(path, read(path.parent / "scan.nii"), may_be_empty=True)
        if golden.kind == "labels":
            return _labels(path, read(path.parent / "scan.nii"))
        if golden.kind == "report":
            report = read_report(path)
            return method_table(report) + seeds_line(report) + case_table(report, list(report["summary"])[:1])
        loaders: dict[str, Callable[[Path], object]] = {"model": load, "liver": Finder.load, "healthy": read_training_set}
        return loaders[golden.kind](path)

    def _require_plain(self, finding: Finding) -> None:
        """Three sentences, and no path or name in them."""
        for sentence in (finding.what, finding.meaning, finding.action):
            if not sentence.strip() or len(sentence) > LONGEST_SENTENCE or not sentence.isprintable():
                raise Escape(f"not a plain sentence: {sentence[:100]!r}")
            if CANARY in sentence or str(self.folder) in sentence:
                raise Escape("a name or path is given away")


class _Log(logging.Handler):
    """Collects what other libraries write into logs, which may quote a header, names included."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []
        logging.getLogger().addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name}: {record.getMessage()[:200]}")


def peak_mb() -> float:
    """Tell the most memory that this process has had."""
    try:
        import resource
        import sys
    except ImportError:
        return 0.0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def _scan(path: Path) -> Volume:
    """Read a scan; each question is answered with its first answer."""
    answers = ASK_ALL
    for _ in range(MOST_QUESTIONS):
        try:
            return read(path, answers)
        except Question as question:
            if not question.finding.answers:
                raise
            given = answers.with_answer(question.finding.answers[0])
            if given == answers:
                raise Escape(f"unsettled: {question.finding.code}") from None
            answers = given
    raise Escape("unsettled: too many questions")


def _labels(path: Path, scan: Volume) -> Mask:
    """Read a mask of several labels; asked which of them is the liver, the first answer is given."""
    try:
        return read_mask(path, scan)
    except Question as question:
        if not question.finding.answers:
            raise
        answer = question.finding.answers[0]
    try:
        return read_mask(path, scan, labels=str(answer.value))
    except Question as question:
        raise Escape(f"unsettled: {question.finding.code}") from None


def _require_right(result: Any, expected: Any, golden: Golden, inside: bool, edits: list[Edit], data: bytes) -> None:
    """Hold a result against the three meanings of "right" above."""
    overwritten = _overwritten(edits, golden.inner_data if inside else golden.data)
    sealed = golden.sealed and not inside and all(verb != "take" for verb, *_ in edits)
    if isinstance(result, (Volume, Mask)):
        _require_sane(result, len(data) + sum(map(len, golden.files.values())), packed=bool(golden.inner))
        if expected is not None and (sealed or overwritten is not None):
            _require_same(result, expected, overwritten or 0)
    elif golden.kind == "healthy":
        for one in result:
            one.whole()
    elif golden.kind == "model" and result.parameters <= 0:
        raise Escape("weights: none")


def _overwritten(edits: list[Edit], place: tuple[int, int]) -> int | None:
    """How many bytes of plain voxels were overwritten; None when anything else was changed."""
    plain = all(
        verb == "put" and place[0] <= rest[0] and rest[0] + rest[1] <= place[1] and len(rest[2]) * rest[3] == 2 * rest[1]
        for verb, *rest in edits
    )
    return sum(edit[2] for edit in edits) if plain else None


def _require_sane(result: Volume | Mask, size: int, packed: bool) -> None:
    geometry = result.geometry
    if not np.isfinite(geometry.affine).all() or not all(SMALLEST_MM <= mm <= LARGEST_MM for mm in geometry.spacing_mm):
        raise Escape(f"geometry: {geometry}")
    if result.voxels.shape != geometry.shape or result.voxels.dtype != (np.int16 if isinstance(result, Volume) else np.bool_):
        raise Escape(f"voxels: {result.voxels.shape} {result.voxels.dtype}")
    if result.voxels.size > size * (INFLATES if packed else 1):
        raise Escape(f"voxels: {result.voxels.size} from {size} bytes")


def _require_same(result: Volume | Mask, expected: Volume | Mask, overwritten: int) -> None:
    if result.voxels.shape != expected.voxels.shape or not np.array_equal(result.geometry.affine, expected.geometry.affine):
        raise Escape("geometry: changed by voxels alone")
    if (count := int(np.count_nonzero(result.voxels != expected.voxels))) > overwritten:
        raise Escape(f"voxels: {count} differ, {overwritten} bytes were overwritten")


def _where(error: BaseException) -> str:
    """Deepest line of the package that an exception passed, without the fuzzer itself."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if HERE in Path(frame.filename).parts and "fuzz" not in Path(frame.filename).parts
    ]
    return f"{'/'.join(Path(frames[-1].filename).parts[-2:])}:{frames[-1].name}" if frames else ""
