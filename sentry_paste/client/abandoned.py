"""Requests whose body was dropped without being closed.

The garbage collector may run while this thread holds a lock of the SDK. Finishing
a request then would take that lock again, and hang.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Protocol


class Finishable(Protocol):
    """A request that can be finished."""

    def finish(self) -> None:
        """Finish the request; every call but the first does nothing."""


# A deque, as it appends and pops without a lock: the collector may run in the middle of either.
_deferred: deque[Finishable] = deque()


def finish_or_defer(request: Finishable) -> None:
    """Finish a request, or defer that to the next request if this thread is inside the SDK.

    Args:
        request: whose body was dropped.
    """
    frame = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(("sentry_sdk", "sentry_paste.sdk")):
            _deferred.append(request)
            return
        frame = frame.f_back  # type: ignore[assignment]
    request.finish()


def finish_abandoned() -> None:
    """Finish the requests that were deferred."""
    while _deferred:
        try:
            request = _deferred.popleft()
        except IndexError:  # another thread was faster
            return
        request.finish()
