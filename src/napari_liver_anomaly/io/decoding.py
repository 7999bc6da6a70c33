"""The child process of :mod:`.pixels`: takes paths on its standard input, gives stored values on its standard output.

A native decoder may crash on a damaged slice; here it takes only this process with it. It may take no more memory than pictures of the
announced size need, and ends when its parent does.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from threading import Thread
from time import sleep

from napari_liver_anomaly.io.pixels import decoded

SPARE_BYTES = 2**29  # for a decoder's own code and tables
BYTES_PER_PIXEL = 64  # the hungriest decoder holds some whole pictures of 4-byte numbers
KILLED_WITH_PARENT = 1, 9  # PR_SET_PDEATHSIG, SIGKILL
LOOK_S = 1.0


def main() -> None:
    """Decode file after file until one fails; the parent sees that the rest is missing."""
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)  # what a decoder prints must not land among the voxels
        request = json.load(sys.stdin)
        _end_with(int(request["parent"]))
        _limit_memory(SPARE_BYTES + BYTES_PER_PIXEL * int(request["pixels"]))
        for name, frames, rows, columns in request["files"]:
            count = 0
            for stored in decoded(Path(name), frames, (rows, columns)):
                if stored.ndim != 2 or stored.dtype.kind not in "iu":
                    return
                told = {"kind": stored.dtype.newbyteorder("=").str, "rows": stored.shape[0], "columns": stored.shape[1]}
                answer.write(json.dumps(told).encode() + b"\n")
                answer.write(stored.astype(told["kind"], copy=False).tobytes())
                answer.flush()
                count += 1
            if count < len(frames):
                return


def _end_with(parent: int) -> None:
    """End when the parent ends: by the system where it can do that, or else by looking now and then."""
    if sys.platform == "win32":
        return
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(*KILLED_WITH_PARENT, 0, 0, 0)

    def watch() -> None:
        while os.getppid() == parent:
            sleep(LOOK_S)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


def _limit_memory(more: int) -> None:
    """Take no more memory than so many bytes beyond what is taken now, where the system keeps such limits."""
    try:
        import resource

        import pydicom.pixels  # noqa: F401 - what every decoder needs is there before the limit is

        with open("/proc/self/status", encoding="ascii") as status:
            taken = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmSize:"))
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        wanted = taken + more
        resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    except (ImportError, OSError, ValueError, StopIteration):
        return


if __name__ == "__main__":
    main()
