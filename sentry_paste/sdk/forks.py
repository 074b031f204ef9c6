"""Reset clients in forked processes, where the SDK does not do it.

In a child, the SDK's threads start again with the parent's queue, the parent's counts, and locks that may be
held by a thread that does not exist there: the child sends everything a second time, or waits for ever.
Checked with sentry-sdk 2.18.0 and 2.75.0. ``Batcher`` (and ``Monitor`` since 2.7x) reset themselves.
"""

from __future__ import annotations

import os
import weakref
from threading import Lock
from typing import Any, Protocol

from sentry_paste.sdk.failures import warn
from sentry_paste.sdk.scopes import settle_trace_of_request
from sentry_paste.sdk.threads import start_threads_outside_of_requests
from sentry_paste.sdk.transports import reset_transport_after_fork


def reset_after_fork(client: Any) -> None:
    """Reset a client: drop what the parent has counted and queued.

    ``session_flusher`` is created as the client does it; the monitor's ``_thread_lock`` is held while its
    thread is started. Missing: there is nothing to reset.

    Args:
        client: of the parent, in its child.
    """
    flusher = getattr(client, "session_flusher", None)
    if flusher is not None:
        client.session_flusher = type(flusher)(flusher.capture_func, flusher.flush_interval)
    monitor: Any = getattr(client, "monitor", None)
    if hasattr(monitor, "_thread_lock"):
        monitor._thread_lock = Lock()
    reset_transport_after_fork(client.transport)
    start_threads_outside_of_requests(client)


def share_sessions(client: Any, view: Any) -> None:
    """Let a view of a client count sessions where the client counts them since it was reset.

    Args:
        client: that was reset.
        view: of the client.
    """
    view.session_flusher = getattr(client, "session_flusher", None)


class Resettable(Protocol):
    """An object that can be reset in a forked process."""

    def reset_after_fork(self) -> None:
        """Drop what belongs to the parent: queues, connections, locks that its threads may hold."""


_registered: weakref.WeakSet[Resettable] = weakref.WeakSet()


def reset_when_forked(found: Resettable) -> None:
    """Reset an object in each child of this process, as long as the object exists.

    Args:
        found: the object, to which weak references are possible.
    """
    _registered.add(found)


def _after_fork() -> None:
    for found in list(_registered):
        try:
            found.reset_after_fork()
        except Exception:  # the app has forked, and goes on without Sentry if need be
            warn("Sentry failed in a forked process: what it captures may be lost", exc_info=True)


def _before_fork() -> None:
    """Settle the trace of the request that forks: parent and child have the same."""
    try:
        settle_trace_of_request()
    except Exception:  # the app forks, with Sentry or without
        warn("Sentry failed before a fork: the child may have another trace", exc_info=True)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)
