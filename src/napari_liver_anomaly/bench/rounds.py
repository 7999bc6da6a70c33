"""Several pieces of work, measured in turn: round after round each of them once, so that what disturbs one disturbs all."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from napari_liver_anomaly.job import Job

ROUNDS = 5


def in_turn(
    works: Mapping[str, Callable[[], object]], job: Job, rounds: int = ROUNDS, rest: Callable[[], object] | None = None
) -> dict[str, dict[str, Any]]:
    """Give median, least and most seconds of each piece of work, and its seconds on the processor; a first round warms up and does not count.

    ``rest`` is done before each piece, beside the clock: it ends what the piece before left to be done.
    """
    wall: dict[str, list[float]] = {name: [] for name in works}
    processor: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 1):
        for place, (name, work) in enumerate(works.items()):
            job.at(f"Measuring · {name}", number * len(works) + place, (rounds + 1) * len(works))
            if rest is not None:
                rest()
            began, worked = time.perf_counter(), time.process_time()
            work()
            if number:
                wall[name].append(time.perf_counter() - began)
                processor[name].append(time.process_time() - worked)
    return {
        name: {
            "median_s": statistics.median(wall[name]), "least_s": min(wall[name]), "most_s": max(wall[name]),
            "processor_s": statistics.median(processor[name]), "rounds": rounds,
        }
        for name in works
    }  # fmt: skip
