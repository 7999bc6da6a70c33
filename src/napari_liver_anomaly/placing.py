"""Files take their places: old or new, never half, and several that belong together never mixed with those of another run."""

from __future__ import annotations

import ctypes
import errno
import os
import re
import secrets
import shutil
import signal
import stat
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from napari_liver_anomaly.messages import make_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import FrameType

BESIDE = re.compile(r"\.writing-[0-9a-f]{16}(\..*)?")
LONGEST_ENDING = 32
OUR_OWN = {".json", ".npz", ".safetensors", ".md", ".csv"}  # what we write beside scans, and may write again
FRESH_S, KEPT_S = 2, 86400  # a leftover whose writer may be alive: for a moment; for a day where files cannot be locked
LONGEST_NAME = 255
AT_WORKING_FOLDER, EXCHANGE = -100, 2  # of renameat2(2)

placed: list[
    Path
] = []  # what has taken its place since a program emptied this list: nothing may say then that nothing was written


def require_not_an_input(path: str | Path, inputs: Iterable[str | Path]) -> None:
    """Refuse to write over a file that was read, however it is spelled or linked."""
    path = Path(path)
    for other in map(Path, inputs):
        both = os.path.exists(path) and os.path.exists(other)
        same = os.path.samefile(path, other) if both else os.path.realpath(path) == os.path.realpath(other)
        within = os.path.exists(path) and path.suffix not in OUR_OWN and _lies_in(path, other)
        if same or within:
            raise make_refusal("would-overwrite-input")


def _lies_in(path: Path, folder: Path) -> bool:
    return os.path.isdir(folder) and os.path.dirname(os.path.realpath(path)) == os.path.realpath(folder)


def require_place(path: str | Path, *, folder: bool = False, needed: int = 0) -> None:
    """Refuse, before the work, a file or folder that could not be written after it; ``needed``: bytes that there must be room for."""
    path = Path(path)
    try:
        if os.path.exists(path) and os.path.isdir(path) != folder:
            raise OSError(errno.ENOTDIR if folder else errno.EISDIR, os.strerror(errno.ENOTDIR if folder else errno.EISDIR))
        there = path if folder and os.path.exists(path) else _first_there(path)
        if any(len(os.fsencode(part)) > LONGEST_NAME for part in path.parts):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        if not os.path.isdir(there):
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        probe = _beside(there / path.name)
        os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        probe.unlink()
        if shutil.disk_usage(there).free < needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise make_refusal("out-unfit", what="folder" if folder else "file", reason=reason) from None


def _first_there(path: Path) -> Path:
    """Give the nearest folder above that is there."""
    path = Path(os.path.abspath(path))
    return next((above for above in path.parents if os.path.lexists(above)), path)


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Write a file beside its place, force it to disk, then put it in place: old or new, never half."""
    with replacing_all((path,)) as (beside,):
        yield beside


@contextmanager
def replacing_all(
    paths: Sequence[str | Path], *, stale: Sequence[str | Path] = (), require: Callable[[], None] = lambda: None
) -> Iterator[tuple[Path, ...]]:
    """Write several files that belong together: all are forced to disk before the first is put in place.

    Into a folder that is new, empty, or holds nothing but files of these names and ``stale`` ones, they go by one renaming. Where that cannot be, the
    earlier ones are taken away before the first new one comes, and the last of a set comes last: whatever ends the program, the folder never
    holds files of two runs. ``require`` is asked when no other run can put its files there any more, and may refuse.
    """
    places = [Path(path) for path in paths]
    with ExitStack() as stack:
        try:
            for folder in dict.fromkeys(place.parent for place in places):
                _sweep(folder)
            ours = {place.name for place in (*places, *map(Path, stale))}
            whole = _new_folder(places, ours, stack)
            if whole is None:
                made = [_new_file(place, stack) for place in places]
            else:
                made = [whole / place.name for place in places]
            yield tuple(made)
            for beside in made:
                with open(beside, "rb+") as stream:
                    os.fsync(stream.fileno())
            folder = places[0].parent
            with _shielded(), _locked(folder if os.path.isdir(folder) else None):
                require()
                if whole is None or not _put_folder(whole, folder, ours):
                    _put(made, places, [Path(path) for path in stale])
                placed.extend(places)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise make_refusal(
                "not-written", files=f"{places[0].name} was" if len(places) == 1 else "The files were", reason=reason
            ) from None  # the system's own words quote the path


def _beside(path: Path) -> Path:
    """Name that nobody has, in the folder of a file and with its ending."""
    return path.parent / f".writing-{secrets.token_hex(8)}{''.join(path.suffixes[-2:])[-LONGEST_ENDING:]}"


def _new_file(place: Path, stack: ExitStack) -> Path:
    """Make an empty file beside a place, held as ours until the stack ends, when it goes unless it took its place."""
    place.parent.mkdir(parents=True, exist_ok=True)
    beside = _beside(place)
    # The system takes the user's mask off these rights, so the file gets those of any new file.
    held = os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    stack.callback(beside.unlink, missing_ok=True)
    _hold(held, stack)
    return beside


def _new_folder(places: Sequence[Path], ours: set[str], stack: ExitStack) -> Path | None:
    """Make a folder beside the one that several files go into; None where that holds other files, or its neighbour is not ours."""
    folder = places[0].parent
    alone = len(places) > 1 and all(place.parent == folder for place in places)
    if not alone or os.path.islink(folder) or (os.path.lexists(folder) and not _is_replaceable(folder, ours)):
        return None
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = folder.parent / f".writing-{secrets.token_hex(8)}"
    try:
        beside.mkdir()
    except OSError:
        return None
    stack.callback(shutil.rmtree, beside, ignore_errors=True)
    if folder.is_dir():
        shutil.copymode(folder, beside)
        if _owners(folder) != _owners(beside):
            return None
    if hasattr(os, "O_DIRECTORY"):
        _hold(os.open(beside, os.O_RDONLY | os.O_DIRECTORY), stack)
    return beside


def _is_replaceable(folder: Path, ours: set[str]) -> bool:
    """Whether a folder can be another one at once: nothing else lies in it, and this program does not work in it."""
    return (
        folder.is_dir()
        and not _lies_in(Path.cwd() / "here", folder)
        and all(one.is_file() and not one.is_symlink() and one.name in ours for one in folder.iterdir())
    )


def _owners(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_uid, found.st_gid


def _put_folder(made: Path, folder: Path, ours: set[str]) -> bool:
    """Let a finished folder take the place of none, of an empty one, or of one that is used, which goes; False where that cannot be at once."""
    if os.name == "nt" and folder.is_dir():  # pragma: no cover
        if any(folder.iterdir()):
            return False
        folder.rmdir()
    if folder.is_dir() and any(folder.iterdir()):
        return _is_replaceable(folder, ours) and _exchange(made, folder)
    os.replace(made, folder)
    return True


def _exchange(one: Path, other: Path) -> bool:
    """Let two folders change places at once; False where system or disk do not know how."""
    try:
        exchange = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError, TypeError):  # not Linux, or a library before 2018
        return False
    return bool(exchange(AT_WORKING_FOLDER, os.fsencode(one), AT_WORKING_FOLDER, os.fsencode(other), EXCHANGE) == 0)


def _put(made: Sequence[Path], places: Sequence[Path], stale: Sequence[Path]) -> None:
    """Put files in place one by one; when one cannot be, or the user stops, bring back what was there."""
    if len(places) == 1 and not stale:
        os.replace(made[0], places[0])
        return
    taken: list[tuple[Path, Path]] = []
    new: list[Path] = []
    try:
        for place in reversed([*stale, *places]):  # the last of a set says what the others are: it goes first and comes last
            if os.path.lexists(place):
                taken.append((_beside(place), place))
                os.rename(place, taken[-1][0])
        for beside, place in zip(made, places, strict=True):
            os.replace(beside, place)
            new.append(place)
    finally:
        if len(new) < len(places):
            _bring_back(taken, new)
    for kept, _ in taken:
        kept.unlink(missing_ok=True)


def _bring_back(taken: Sequence[tuple[Path, Path]], new: Sequence[Path]) -> None:
    """Put the earlier files where they were, in the place of the new ones."""
    for place in new:
        place.unlink(missing_ok=True)
    for kept, place in reversed(taken):
        if os.path.lexists(kept):
            os.rename(kept, place)


@contextmanager
def _shielded() -> Iterator[None]:
    """Let files take their places before the user's stop counts; a second one counts at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def later(number: int, frame: FrameType | None) -> None:
        came.append(number)
        if len(came) > 1:
            raise KeyboardInterrupt

    before = {number: signal.signal(number, later) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
    if came:
        signal.raise_signal(came[0])


def _lock(number: int, *, wait: bool) -> bool:
    """Lock an open file or folder for this process; False where another has it, True also where the system knows no such locks."""
    try:
        import fcntl  # not on Windows
    except ImportError:
        return True
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _hold(number: int, stack: ExitStack) -> None:
    """Keep an open file locked until the stack ends."""
    stack.callback(os.close, number)
    _lock(number, wait=False)


@contextmanager
def _locked(folder: Path | None) -> Iterator[None]:
    """Keep other runs from putting files into a folder meanwhile."""
    if folder is None or not hasattr(os, "O_DIRECTORY"):
        yield
        return
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        _lock(number, wait=True)
        yield
    finally:
        os.close(number)


def _sweep(folder: Path) -> None:
    """Remove what runs that were killed left in a folder and beside it."""
    for place in (folder, folder.parent):
        try:
            left = [one for one in os.scandir(place) if BESIDE.fullmatch(one.name) and not one.is_symlink()]
        except OSError:
            continue
        if not left:
            continue
        with _locked(place):
            for one in left:
                if _abandoned(Path(one.path)):
                    _remove(Path(one.path))


def _abandoned(path: Path) -> bool:
    """Whether nobody writes to a file or folder any more: its writer keeps it locked."""
    try:
        age = time.time() - path.lstat().st_mtime
        if age < FRESH_S:
            return False
        import fcntl
    except OSError:
        return False
    except ImportError:
        return age > KEPT_S
    try:
        number = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return age > KEPT_S
    else:
        return True
    finally:
        os.close(number)


def _remove(path: Path) -> None:
    """Remove a leftover."""
    if stat.S_ISDIR(path.lstat().st_mode):
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
