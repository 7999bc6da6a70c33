"""The process that reads damaged files: takes an order as JSON on its standard input, gives a line of JSON now and then.

A clock that needs no Python ends it when one file takes too long, and the system ends it when memory runs out of bounds; the parent sees at which
input that was, in the file whose name it gave.
"""

from __future__ import annotations

import faulthandler
import json
import os
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .mutations import damage
from .oracle import REFUSED, Bench, Outcome, peak_mb

if TYPE_CHECKING:
    from .golden import Golden
    from .mutations import Edit

HANG_S = 20.0
ROOM_BYTES = 2**31  # of address space beyond what is in use when all libraries are loaded
EVERY_S = 1.0
INSIDE = 0.6  # share of inputs in which what is packed is damaged, where something is packed


def draw(bench: Bench, seed: int, index: int) -> tuple[Golden, bool, list[Edit]]:
    """Decide one input; the same numbers give the same input."""
    rng = random.Random(f"{seed}:{index}")
    golden = bench.goldens[bench.turns[index % len(bench.turns)]]
    inside = bool(golden.inner) and rng.random() < INSIDE
    data = golden.inner if inside else bench.sound[golden.name]
    header, text = (golden.inner_header, golden.inner_text) if inside else (golden.header, golden.text)
    return golden, inside, damage(rng, golden, data, header, text, bench.sound)


def least(bench: Bench, golden: Golden, inside: bool, edits: list[Edit], how: str) -> list[Edit]:
    """Leave out edits without which the same escape is seen."""
    for edit in list(edits):
        fewer = [other for other in edits if other is not edit]
        if fewer and bench.checked(golden, inside, fewer).how == how:
            edits = fewer
    return edits


def record(golden: Golden, inside: bool, edits: list[Edit], outcome: Outcome) -> dict[str, Any]:
    """Write down an escape so that it can be tried again."""
    return {
        "golden": golden.name,
        "inside": inside,
        "edits": edits,
        "how": outcome.how,
        "where": outcome.where,
        "detail": outcome.detail,
    }


def main() -> None:
    """Read damaged files until the time is over or all are done."""
    order = json.load(sys.stdin)
    bench = Bench(Path(order["folder"]), order["only"])
    if not bench.turns:
        sys.exit(f"there is no kind of file called {order['only']}")
    _limit()
    until = time.monotonic() + order["seconds"]
    place = os.open(order["place"], os.O_WRONLY | os.O_CREAT)
    counts: Counter[str] = Counter()
    slowest, said = (0.0, -1), time.monotonic()
    shares = [0.0, 0.0]
    index = order["first"]
    while index < order["end"] and time.monotonic() < until:
        os.pwrite(place, index.to_bytes(8, "little"), 0)
        golden, inside, edits = draw(bench, order["seed"], index)
        faulthandler.dump_traceback_later(HANG_S, exit=True)
        start = time.perf_counter()
        outcome = bench.checked(golden, inside, edits)
        slowest = max(slowest, (time.perf_counter() - start, index))
        shares = list(map(max, shares, bench.shares))
        counts[f"{golden.name} {outcome.how} {outcome.code if outcome.how == REFUSED else ''}".strip()] += 1
        if outcome.escaped:
            _tell(escape=record(golden, inside, least(bench, golden, inside, edits, outcome.how), outcome) | {"index": index})
        index += order["step"]
        if time.monotonic() - said > EVERY_S:
            _tell(counts=counts, slowest=slowest, shares=shares, peak_mb=peak_mb(), next=index)
            counts, said = Counter(), time.monotonic()
    faulthandler.cancel_dump_traceback_later()
    _tell(counts=counts, slowest=slowest, shares=shares, peak_mb=peak_mb(), next=index, done=True)


def _tell(**said: Any) -> None:
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()


def _limit() -> None:
    """Bound the address space, where the system can."""
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as stream:
            used = int(stream.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError):
        return
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM_BYTES, resource.getrlimit(resource.RLIMIT_AS)[1]))


if __name__ == "__main__":
    main()
