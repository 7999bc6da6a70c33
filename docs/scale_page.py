"""Write the measured parts of ``docs/scale.md`` between their marks: ``python docs/scale_page.py``.

Figures of many small scans come from ``liver-anomaly bench --part cohort --scans 1000 --model hu --json docs/evidence/cohort.json``, those of one
whole CT from the part ``scan`` of ``docs/evidence/performance.json``.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from napari_liver_anomaly.bench import tables_of

DOCS = Path(__file__).parent
PAGE, ONE, MANY = DOCS / "scale.md", DOCS / "evidence" / "performance.json", DOCS / "evidence" / "cohort.json"
SCANS, CORES = 100_000, (1, 8, 32, 128)
PRICE = 0.05  # of a core for an hour, in any currency: an example, not measured
HOUR_S, MB, TB = 3600, 1e6, 1e12


def estimate(scan: dict[str, Any]) -> str:
    """Work out what many CTs cost, from what one took by one thread."""
    seconds = scan["all"] + scan["load"]
    hours = SCANS * seconds / HOUR_S
    rows = [
        f"| {cores} | {hours / cores:,.1f} h | {cores * scan['file_bytes'] / seconds / MB:,.1f} MB/s | "
        f"{cores * scan['peak_bytes'] / 1e9:,.1f} GB |"
        for cores in CORES
    ]
    stored = {name: SCANS * scan[f"{name}_bytes"] / TB for name in ("file", "written", "session")}
    return "\n".join([
        f"One CT of 512 × 512 × 100 takes {seconds:.1f} s of one core and at most {scan['peak_bytes'] / MB:,.0f} MB; so {SCANS:,} take "
        f"**{hours:,.0f} core hours**. At {PRICE} an hour, which is an example, they cost {hours * PRICE:,.0f}.\n",
        "| cores, one thread each | time | read from shared storage | memory |",
        "|---|---|---|---|",
        *rows,
        f"\nStorage: {stored['file']:.1f} TB of scans (NIfTI, packed), {stored['written']:.1f} TB of images and reports "
        f"(none with `--no-images`), {stored['session']:.2f} TB of sessions.",
    ])  # fmt: skip


def page() -> str:
    """Make the page: what stands between the marks is made anew, the rest stays."""
    text = PAGE.read_text(encoding="utf-8")
    parts = {"estimate": estimate(json.loads(ONE.read_text(encoding="utf-8"))["scan"])}
    if MANY.exists():
        parts["cohort"] = tables_of(json.loads(MANY.read_text(encoding="utf-8"))).strip()
    for name, made in parts.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text = mark.sub(lambda found, made=made: f"{found[1]}{made}\n{found[2]}", text)
    return text


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
