"""Requests whose body was dropped and never closed.

The garbage collector may come by while this very thread holds a lock of the
SDK's, which cannot be taken again: to finish a request then would be to hang.
"""

from __future__ import annotations

import sys
from collections import deque
from typing import Protocol


class Finishing(Protocol):
    """What can be finished."""

    def finish(self) -> None:
        """Finish; every call but the first does nothing."""


# Appending and popping need no lock, which the collector could meet again.
_left: deque[Finishing] = deque()


def finish_or_leave(request: Finishing) -> None:
    """Finish a request, or leave it for the next one where the thread is inside the SDK.

    Args:
        request: whose body was dropped.
    """
    frame = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(("sentry_sdk", "sentry_paste.sdk")):
            _left.append(request)
            return
        frame = frame.f_back  # type: ignore[assignment]
    request.finish()


def finish_abandoned() -> None:
    """Finish the requests that were left."""
    while _left:
        try:
            request = _left.popleft()
        except IndexError:  # another thread was faster
            return
        request.finish()
