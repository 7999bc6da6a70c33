"""Too little memory, too small a disk: a run ends with its results, or with a sentence and nothing written."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.errors import NotWritten
from napari_liver_anomaly.io import results

from .setting import FILES, Fault, names_in, results_of, run, sentence_of, words_of

if TYPE_CHECKING:
    from napari_liver_anomaly.job import Job

LIMITS_MB = (900, 1000, 1100, 1200, 1300, 1400, 1500, 1600, 1800, 2000, 2400, 3000)
GROUPS = Path("/sys/fs/cgroup/memory")  # version 1; where it is not there, or is not ours, these limits are left out
GROUP_MB = (60, 120, 180, 240, 300, 360, 420, 600)
DISK_STEPS = 60
TMPFS_KB = (16, 64, 128, 256, 1024)
OLD = "an earlier file"


def memory(folder: Path, job: Job) -> dict[str, Any]:
    """Search under limits of address space, and under limits of a control group where one can be made."""
    results_of(folder)
    made: dict[str, Any] = {"address space": _ladder(folder, LIMITS_MB, _of_address_space, job)}
    group = GROUPS / f"attack-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        return made | {"control group": "left out: none can be made here"}
    try:
        made["control group"] = _ladder(folder, GROUP_MB, lambda limit: _of_group(group, limit), job)
    finally:
        group.rmdir()
    return made


def _ladder(folder: Path, limits_mb: tuple[int, ...], within: Any, job: Job) -> dict[str, Any]:
    """Run under each limit; count the ends, and tell the least that sufficed."""
    seen: Counter[str] = Counter()
    least = 0
    for number, limit in enumerate(limits_mb):
        job.at("Limiting memory", number, len(limits_mb))
        out = folder / "limited"
        shutil.rmtree(out, ignore_errors=True)
        done = run(words_of(folder, out), within(limit))
        if done.returncode == 0:
            seen["done"] += 1
            least = least or limit
            if len(names_in(out)) != FILES:
                raise Fault(f"done at {limit} MB with {sorted(names_in(out))}")
        else:
            try:
                sentence_of(done)
            except Fault as fault:
                raise Fault(f"at {limit} MB: {fault}") from None
            seen["refused with a sentence"] += 1
            if out.exists():
                raise Fault(f"refused at {limit} MB, and left {sorted(names_in(out))}")
    return {"limits_mb": limits_mb, **seen, "least_that_sufficed_mb": least}


def _of_address_space(limit_mb: int) -> list[str]:
    return ["sh", "-c", f'ulimit -v {limit_mb * 1024}; exec "$@"', "sh"]


def _of_group(group: Path, limit_mb: int) -> list[str]:
    (group / "memory.limit_in_bytes").write_text(str(limit_mb * 2**20), encoding="ascii")
    return ["sh", "-c", f'echo $$ > {group}/cgroup.procs; exec "$@"', "sh"]


def disks(folder: Path, job: Job) -> dict[str, Any]:
    """Write results where files may only become so large, and onto disks that are too small."""
    (result, other), out = results_of(folder), folder / "full"
    results.write(other, out, replace=True)
    before, seen = _bytes_of(out), Counter[str]()
    largest = max(map(len, before.values()))
    for step in range(DISK_STEPS):
        job.at("Filling disks", step, DISK_STEPS)
        child = os.fork()
        if child == 0:
            _write_within(result, out, largest * step // DISK_STEPS)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code != 3 or _bytes_of(out) != before:
            raise Fault(f"ended with {code} where files may have {largest * step // DISK_STEPS} bytes: {sorted(names_in(out))}")
        seen["refused with a sentence, earlier files as they were"] += 1
    return {"file_limits": DISK_STEPS, **seen, "small_disks": _small_disks(folder)}


def _write_within(result: Any, out: Path, most: int) -> None:
    """Write where no file may be larger; never returns."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    try:
        results.write(result, out, replace=True)
    except NotWritten:
        os._exit(3)
    except BaseException:
        os._exit(1)
    os._exit(0)


def _bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _small_disks(folder: Path) -> dict[str, Any] | str:
    """Run on file systems of a few kB, each in a name space of its own; left out where that is not allowed."""
    place = folder / "disk"
    place.mkdir()
    seen: Counter[str] = Counter()
    for size in TMPFS_KB:
        script = (
            f'mount -t tmpfs -o size={size}k tmpfs "{place}" || exit 77; echo "{OLD}" > "{place}/old"; "$@"; code=$?; '
            f'[ "$(cat "{place}/old")" = "{OLD}" ] || exit 78; [ $code = 0 ] || [ "$(ls -A "{place}")" = old ] || exit 79; exit $code'
        )
        done = run(words_of(folder, place / "new"), ["unshare", "-m", "sh", "-c", script, "sh"])
        if done.returncode == 77 or "unshare" in done.stderr:
            return "left out: no disk can be made here"
        if done.returncode:
            sentence_of(done)
        seen["done" if done.returncode == 0 else "refused with a sentence, nothing left behind"] += 1
    return {"sizes_kb": TMPFS_KB, **seen}
