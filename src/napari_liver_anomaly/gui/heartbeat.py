"""How long a window does not answer."""

from __future__ import annotations

import statistics
import time
from typing import Any

from qtpy.QtCore import QTimer

BEAT_S = 0.05


class Heart:
    """Notes how late each beat of a timer in the window's thread is: the time for which the window did not answer."""

    def __init__(self) -> None:
        self.late_s: list[float] = []
        self.busy_s: list[float] = []  # the same, but no more than the process worked meanwhile: other programs may hold it up
        self._last, self._worked = time.perf_counter(), time.process_time()
        self._timer = QTimer()
        self._timer.setInterval(round(1000 * BEAT_S))
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def stop(self) -> None:
        """Beat no longer."""
        self._timer.stop()

    def latest(self) -> dict[str, Any]:
        """Give the latest beat since this was last asked, in the place of a median; the least is the usual one."""
        late_s, busy_s, self.late_s, self.busy_s = self.late_s or [0.0], self.busy_s or [0.0], [], []
        worst = {"median_s": max(late_s), "least_s": statistics.median(late_s), "most_s": max(late_s)}
        return worst | {"processor_s": max(busy_s), "rounds": len(late_s)}

    def _beat(self) -> None:
        now, worked = time.perf_counter(), time.process_time()
        self.late_s.append(max(now - self._last - BEAT_S, 0.0))
        self.busy_s.append(min(self.late_s[-1], worked - self._worked))
        self._last, self._worked = now, worked
