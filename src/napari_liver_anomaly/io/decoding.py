"""The child process of :mod:`.pixels`: takes paths on its standard input, gives stored values on its standard output.

A native decoder may crash on a damaged slice; here it takes only this process with it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from napari_liver_anomaly.io.pixels import decoded


def main() -> None:
    """Decode file after file until one fails; the parent sees that the rest is missing."""
    with os.fdopen(os.dup(1), "wb") as answer:
        os.dup2(2, 1)  # what a decoder prints must not land among the voxels
        for name, frames in json.load(sys.stdin):
            count = 0
            for stored in decoded(Path(name), frames):
                if stored.ndim != 2 or stored.dtype.kind not in "iu":
                    return
                told = {"kind": stored.dtype.newbyteorder("=").str, "rows": stored.shape[0], "columns": stored.shape[1]}
                answer.write(json.dumps(told).encode() + b"\n")
                answer.write(stored.astype(told["kind"], copy=False).tobytes())
                count += 1
            if count < len(frames):
                return


if __name__ == "__main__":
    main()
