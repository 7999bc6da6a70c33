"""The figures of several runs as one: a long run is made in pieces, each with a seed of its own."""

from __future__ import annotations

from collections import Counter
from typing import Any

COUNTS = ("inputs", "right", "refused", "escapes")
OF_A_RUN = (
    "only", "seed", "jobs", "inputs", "escapes", "seconds", "inputs_per_s", "slowest_input", "slowest_input_s", "peak_memory_mb", "versions",
)  # fmt: skip
SHARES = ("share_of_read_bytes", "share_of_cpu_s")


def added(before: dict[str, Any] | None, now: dict[str, Any]) -> dict[str, Any]:
    """Add the figures of a run to those of earlier ones, each of which is still told with its seed and the versions it ran with."""
    earlier = before or {"kinds": {}, "refusals": {}, "escaped": [], "runs": [], "most_work": dict.fromkeys(SHARES, 0.0)}
    kinds = {
        name: {key: sum(one["kinds"].get(name, {}).get(key, 0) for one in (earlier, now)) for key in COUNTS}
        for name in sorted({**earlier["kinds"], **now["kinds"]})
    }
    return {
        **{key: earlier.get(key, 0) + now[key] for key in COUNTS},
        "seconds": round(earlier.get("seconds", 0) + now["seconds"], 1),
        "most_work": now["most_work"] | {share: max(one["most_work"][share] for one in (earlier, now)) for share in SHARES},
        "kinds": kinds,
        "refusals": dict((Counter(earlier["refusals"]) + Counter(now["refusals"])).most_common()),
        "escaped": earlier["escaped"] + now["escaped"],
        "runs": [*earlier["runs"], {key: now[key] for key in OF_A_RUN}],
    }
