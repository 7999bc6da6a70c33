"""Rows of the fault table about damage of every kind."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from faults.table import row
from fuzz import fuzz, replay
from napari_liver_anomaly.errors import Refusal
from napari_liver_anomaly.io import ENDINGS, read

if TYPE_CHECKING:
    from faults.table import Kit

INPUTS = 500  # some five seconds, where nothing else runs
ESCAPES = Path(__file__).parents[1] / "fuzz" / "fuzz_escapes.json"
STARTS = (
    b"",
    b"\x1f\x8b\x08",
    b"\x5c\x01\0\0",
    b"NRRD0004\n",
    b"ObjectType = Image\nNDims = 3\n",
    bytes(128) + b"DICM\x02\0\0\0UL\x04\0",
)


@row(60)
def random_bytes(kit: Kit) -> None:
    """Random bytes: a refusal or a correct result, never another exception, a hang or too much memory."""
    with tempfile.TemporaryDirectory(dir=kit.folder) as folder:
        again = replay(json.loads(ESCAPES.read_text(encoding="utf-8")), Path(folder))
    assert not (found := [(record, outcome) for record, outcome in again if outcome.escaped]), found[:3]

    @settings(max_examples=100, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(start=st.sampled_from(STARTS), data=st.binary(max_size=600), ending=st.sampled_from([*ENDINGS, "", ".pt"]))
    def refused(start: bytes, data: bytes, ending: str) -> None:
        path = kit.folder / f"bytes{ending}"
        path.write_bytes(start + data)
        try:
            volume = read(path)
        except Refusal:
            return
        finally:
            path.unlink()
        raise AssertionError(f"random bytes became {volume.geometry}")

    refused()
    report = fuzz(inputs=INPUTS, seed=60)
    assert not report["escaped"], report["escaped"][:3]  # one that hangs is an escape, too
    assert report["inputs"] == INPUTS, report
