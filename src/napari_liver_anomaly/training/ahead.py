"""Batches are made in a second thread while the networks are at work on earlier ones, so that training does not wait for them.

A batch is a function of its step alone, so nothing depends on when it was made.
"""

from __future__ import annotations

import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Generic, Self, TypeVar

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

AHEAD = 2  # batches kept ready: they bound the memory, and even out steps that take longer

Made = TypeVar("Made")


class BatchesAhead(Generic[Made]):
    """Batches of steps in their order, as a context; ``waited_s`` is for how long none was ready. An error in making one is raised at its step."""

    def __init__(self, make: Callable[[int], Made], steps: Iterable[int]) -> None:
        self._make, self._steps = make, iter(steps)
        self._thread = ThreadPoolExecutor(1, "batches", torch.set_flush_denormal, (True,))  # that rule is each thread's own
        self._ordered: deque[Future[Made]] = deque()
        self.waited_s = 0.0

    def __enter__(self) -> Self:
        for _ in range(AHEAD):
            self._order()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def _order(self) -> None:
        """Have the next batch made, where there is one."""
        for step in self._steps:
            self._ordered.append(self._thread.submit(self._make, step))
            break

    def next(self) -> Made:
        """Give the batch of the next step."""
        self._order()
        began = time.perf_counter()
        made = self._ordered.popleft().result()
        self.waited_s += time.perf_counter() - began
        return made
