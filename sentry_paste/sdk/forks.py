"""What a client has to forget in a process that was forked, and the SDK does not.

The SDK's threads begin again in a child, with the parent's queue, the parent's counts, and locks that may
have been held by a thread that is not there: the child sends what the parent sends too, or waits for ever.
Checked with sentry-sdk 2.18.0 and 2.75.0. ``Batcher`` (and ``Monitor`` from 2.7x on) see to it themselves.
"""

from __future__ import annotations

import os
import weakref
from threading import Lock
from typing import Any, Protocol

from sentry_paste.sdk.failures import warn
from sentry_paste.sdk.transports import begin_transport_again


def begin_again(client: Any) -> None:
    """Have a client begin again, without what its parent has counted and queued.

    ``session_flusher`` is made as by the client; the monitor's ``_thread_lock`` is held while its thread is
    started. Missing: there is nothing to forget.

    Args:
        client: of the parent's, in its child.
    """
    flusher = getattr(client, "session_flusher", None)
    if flusher is not None:
        client.session_flusher = type(flusher)(flusher.capture_func, flusher.flush_interval)
    monitor: Any = getattr(client, "monitor", None)
    if hasattr(monitor, "_thread_lock"):
        monitor._thread_lock = Lock()
    begin_transport_again(client.transport)


class Renewable(Protocol):
    """What can begin again."""

    def begin_again(self) -> None:
        """Forget what is the parent's: its queues, its connections, the locks that its threads may hold."""


_renewed: weakref.WeakSet[Renewable] = weakref.WeakSet()


def renew_when_forked(found: Renewable) -> None:
    """Have something begin again in each child of this process, as long as it is there.

    Args:
        found: that can be referred to weakly.
    """
    _renewed.add(found)


def _after_fork() -> None:
    for found in list(_renewed):
        try:
            found.begin_again()
        except Exception:  # the fork is the app's, which goes on without this if need be
            warn("Sentry failed in a forked process: what it captures may be lost", exc_info=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
