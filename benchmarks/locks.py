"""Requests of many threads in this process, and their waiting for locks: ``benchmarks.threads`` runs it.

Nothing of the SDK may be imported before locks are replaced: its modules import the names from ``threading``.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

KINDS: dict[str, dict[str, Any]] = {"errors only": {}, "sampled": {"traces_sample_rate": 1.0}}

#: Seconds that one measurement takes.
LENGTH = 0.4


class TimedLock:
    """A lock that records the time spent waiting for all locks of its kind.

    Args:
        lock: the lock that it wraps.
    """

    __slots__ = ("_lock",)

    #: Seconds; a list, because its ``append`` needs no lock.
    waits: list[float] = []  # noqa: RUF012

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Acquire as a lock does.

        Args:
            blocking: as of a lock.
            timeout: as of a lock.
        """
        if self._lock.acquire(False):
            return True
        if not blocking:
            return False
        begun = time.perf_counter()
        acquired: bool = self._lock.acquire(True, timeout)
        self.waits.append(time.perf_counter() - begun)
        return acquired

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_exc_info: object) -> None:
        self._lock.release()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lock, name)


def time_locks() -> None:
    """Make all locks created from now on record the time spent waiting for them."""
    plain, reentrant = threading.Lock, threading.RLock
    threading.Lock = lambda: TimedLock(plain())  # type: ignore
    threading.RLock = lambda: TimedLock(reentrant())  # type: ignore


def measured(middleware: str, kind: str, number: int) -> dict[str, float]:
    """Return throughput and share of waiting, in this process.

    Args:
        middleware: bare, filter or SDK.
        kind: of ``KINDS``.
        number: of threads.
    """
    from benchmarks import work

    app = {"bare": work.bare, **work.MIDDLEWARES}[middleware](work.answer, **KINDS[kind])
    counts = [0] * number
    begin, end = threading.Event(), threading.Event()

    def ask(index: int) -> None:
        begin.wait()
        while not end.is_set():
            work.request(app)
            counts[index] += 1

    running = [threading.Thread(target=ask, args=(index,)) for index in range(number)]
    for thread in running:
        thread.start()
    for _ in range(200):
        work.request(app)
    TimedLock.waits.clear()
    begun = time.perf_counter()
    begin.set()
    time.sleep(LENGTH)
    taken, done, waited = time.perf_counter() - begun, sum(counts), sum(TimedLock.waits)
    end.set()
    for thread in running:
        thread.join()
    return {"rate": done / taken, "waiting": waited / (taken * number) * 100}


if __name__ == "__main__":
    if sys.argv[4:] == ["locks"]:
        time_locks()
    print(json.dumps(measured(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
