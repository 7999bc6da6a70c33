"""The processes that segment many scans: Dask's, on this machine or behind a scheduler."""

from __future__ import annotations

import os
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari_liver_anomaly.messages import make_refusal
from napari_liver_anomaly.storage import free_memory

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MEMORY = "memory"  # Dask's name of what a worker has and a task takes, in bytes
MAY_KILL = 0  # processes of this machine that a task may end before we hear of it
REACHED_S = 10
LOGS = ("distributed", "distributed.nanny", "distributed.scheduler", "distributed.worker")


@dataclass(frozen=True)
class Workers:
    """Processes that wait for tasks.

    Attributes
    ----------
    client : distributed.Client
        To whom tasks are given.
    count : int
        Tasks at once.
    memory : int
        Bytes that each process may take; 0 where they do not say.
    """

    client: Any
    count: int
    memory: int

    @property
    def dashboard(self) -> str:
        """Address of Dask's own pages, empty when there are none."""
        return str(self.client.dashboard_link or "")

    def ended(self, futures: Iterable[Any], seconds: float) -> list[Any]:
        """Wait a little, and give the tasks that have ended."""
        from distributed import wait
        from distributed.client import FuturesCancelledError

        futures = list(futures)
        try:
            wait(futures, timeout=seconds, return_when="FIRST_COMPLETED")
        except TimeoutError:
            return []
        except FuturesCancelledError:
            raise make_refusal("scheduler-lost") from None
        return [future for future in futures if future.done()]

    def require_alive(self) -> None:
        """Refuse to go on when the scheduler is gone."""
        if self.client.status != "running":
            raise make_refusal("scheduler-lost")

    def drop(self, futures: Iterable[Any]) -> None:
        """Take tasks back that nobody waits for any more."""
        if (left := list(futures)) and self.client.status == "running":
            self.client.cancel(left, force=True)


@contextmanager
def open_workers(workers: int, scheduler: str = "", threads: int = 0) -> Iterator[Workers]:
    """Start processes on this machine, or reach those of a scheduler; ended, or left, in the end.

    Without a number of threads, processes of this machine share its processors.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError:
        raise make_refusal(
            "dask-missing", command=f"'{sys.executable} -m pip install \"napari-liver-anomaly[cohort]\"'"
        ) from None
    threads = threads or max(1, (os.cpu_count() or 1) // workers)
    quiet = {
        "distributed.scheduler.allowed-failures": MAY_KILL,
        "distributed.nanny.pre-spawn-environ": {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "MALLOC_TRIM_THRESHOLD_": 65536},
        "distributed.logging": dict.fromkeys(LOGS, "critical"),
    }  # fmt: skip
    with ExitStack() as stack:
        if scheduler:
            try:
                client = stack.enter_context(Client(scheduler, timeout=REACHED_S))
            except (OSError, ValueError):
                raise make_refusal("scheduler-unreachable") from None
            yield _behind(client)
            return
        stack.enter_context(dask.config.set(quiet))
        share = free_memory() // workers
        cluster = stack.enter_context(
            LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                memory_limit=0,
                resources={MEMORY: share},
                dashboard_address="127.0.0.1:0",
                silence_logs=50,
            )
        )
        yield Workers(stack.enter_context(Client(cluster)), workers, share)


def _behind(client: Any) -> Workers:
    """Ask a scheduler what its workers have; the least of them bounds a scan."""
    known = client.scheduler_info(n_workers=-1)["workers"].values()
    if not known:
        raise make_refusal("scheduler-unreachable")
    memory = min(int(one.get("resources", {}).get(MEMORY, 0)) for one in known)
    return Workers(client, sum(one["nthreads"] for one in known), memory)


def gone(error: BaseException) -> bool:
    """Whether a task ended with the process that ran it."""
    from distributed import KilledWorker

    return isinstance(error, KilledWorker)


def lost(error: BaseException) -> bool:
    """Whether a task was lost with the scheduler."""
    from distributed.client import FutureCancelledError
    from distributed.comm import CommClosedError

    return isinstance(error, (FutureCancelledError, CommClosedError))
