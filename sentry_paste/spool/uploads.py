"""Uploads side by side: as many connections as the round trip needs, and threads for them."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextvars import Context
from queue import Empty, SimpleQueue
from typing import Generic, TypeVar

_T = TypeVar("_T")

#: Seconds after which an upload is stuck: others may pass it, whatever the width, ``MOST_STUCK`` at most.
STUCK = 5.0
MOST_STUCK = 2

# An answer is in time if it took less than this many times the fastest one, plus some seconds: compression
# and a busy processor take time as well.
_IN_TIME = 3.0
_IN_TIME_SECONDS = 0.1
# The share by which the fastest answer is forgotten with each other one, as routes change: half of it in 140
# answers. A server that is slow for a minute must not be taken for one that is far away.
_FORGET = 1.005


class Width:
    """How many uploads may be in flight, which grows only while answers come in time.

    One more for each answer that is in time, half as many after one that is late, and one after a failure: a
    server that answers slowly because it has too much to do is not pressed harder.

    Args:
        most: maximum.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._width = 1.0
        self._fastest = float("inf")
        self._halved_at = float("-inf")

    @property
    def current(self) -> int:
        """How many uploads may be in flight now."""
        return int(self._width)

    def answered(self, begun: float, took: float) -> None:
        """Take an accepted envelope into account.

        Args:
            begun: when its upload began, by ``time.monotonic``.
            took: how long it took, in seconds.
        """
        self._fastest = min(self._fastest * _FORGET, took)
        if took <= self._fastest * _IN_TIME + _IN_TIME_SECONDS:
            self._width = min(self._width + 1.0, self._most)
        elif begun >= self._halved_at:
            # Those that were in flight together are late together, and count once.
            self._width = max(self._width / 2.0, 1.0)
            self._halved_at = begun + took

    def failed(self) -> None:
        """Go back to a single upload."""
        self._width = 1.0


class Uploads(Generic[_T]):
    """Runs functions in threads, which start when all others are busy, and returns the results.

    Only one thread may use it.

    Args:
        name: name of the threads.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[Callable[[], _T] | None] = SimpleQueue()
        self._results: SimpleQueue[_T | None] = SimpleQueue()
        self._threads = 0
        self.in_flight = 0

    def start(self, job: Callable[[], _T]) -> None:
        """Run a function in a thread that has nothing to do, or in a new one.

        Args:
            job: must not raise.
        """
        if self._threads <= self.in_flight:
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            try:
                # Nothing of whoever has started the thread that starts this one belongs to it.
                Context().run(thread.start)
            except RuntimeError:  # no more threads, or the interpreter is shutting down
                if not self._threads:
                    self.in_flight += 1
                    self._results.put(job())
                    return
            else:
                self._threads += 1
        self.in_flight += 1
        self._jobs.put(job)

    def wait(self, timeout: float) -> _T | None:
        """Return the next result, or None if there is none in time or ``wake`` was called.

        Args:
            timeout: seconds to wait.
        """
        try:
            result = self._results.get(timeout=timeout)
        except Empty:
            return None
        if result is not None:
            self.in_flight -= 1
        return result

    def wake(self) -> None:
        """End the current ``wait``; any thread may call this."""
        self._results.put(None)

    def end(self) -> None:
        """End the threads, each when its function has returned."""
        for _ in range(self._threads):
            self._jobs.put(None)
        self._threads = 0

    def _run(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None:
                return
            self._results.put(job())
