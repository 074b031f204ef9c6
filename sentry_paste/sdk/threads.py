"""Threads of the SDK: they belong to no request, and nothing that they do is instrumented.

The SDK starts them when they are first needed, which is usually in a request. ``ThreadingIntegration``
gives them forks of the current scopes: what they log would be of that request for ever. ``StdlibIntegration``
makes a span of each upload to a DSN with a port (getsentry/sentry-python #2185). With streamed spans that is
a trace of its own, whose upload is the next one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import Context
from typing import Any

from sentry_sdk.scope import Scope

from sentry_paste.sdk.options import with_options
from sentry_paste.sdk.scopes import bind_client

# The parts of a client that have a thread, the method that starts it if there is none, and the attribute with
# the process in which there is one. Missing: it is started as the SDK does it.
_STARTING = (
    ("session_flusher", "_ensure_running", "_thread_for_pid"),
    ("log_batcher", "_ensure_thread", "_flusher_pid"),
    ("metrics_batcher", "_ensure_thread", "_flusher_pid"),
    ("span_batcher", "_ensure_thread", "_flusher_pid"),
)


def start_threads_outside_of_requests(client: Any) -> None:
    """Let a client's threads start in a context of their own, without integrations.

    Args:
        client: that was just created, or reset in a forked process.
    """
    view = _uninstrumented(client)
    for name, method, process in _STARTING:
        _start_outside(getattr(client, name, None), method, process, view)
    # Of a spool's transport it is the SDK's that has a worker, whose start() is only called without a thread.
    transport = getattr(client.transport, "inner", client.transport)
    _start_outside(getattr(transport, "_worker", None), "start", None, view)


def start_monitor(client: Any) -> None:
    """Start the SDK's monitor, which requests that are traced use, before a request's scopes wait to be used.

    Its first use starts a thread while it holds a lock. The thread would get forks of the current scopes, and
    a request that opens for that would use the monitor, and wait for the lock. Missing: nothing to start.

    Args:
        client: that traces.
    """
    monitor = getattr(client, "monitor", None)
    # Its method is not replaced as those of others: each request asks the monitor several times, and an
    # object with a method of its own takes longer to answer.
    if monitor is not None and getattr(monitor, "_thread_for_pid", None) != os.getpid():
        Context().run(_alone, lambda: monitor.downsample_factor, _uninstrumented(client))


def _uninstrumented(client: Any) -> Any:
    view = with_options(client)
    view.integrations = {}
    return view


def _start_outside(part: Any, method: str, process: str | None, view: Any) -> None:
    start: Callable[[], Any] | None = getattr(part, method, None)
    if start is None or getattr(start, "_is_outside", False):
        return

    def start_outside() -> Any:
        started = Context().run(_alone, start, view)
        # It is called in each request: without this function, until the process forks.
        if process is not None and getattr(part, process, None) == os.getpid():
            vars(part).pop(method, None)
        return started

    start_outside._is_outside = True  # type: ignore[attr-defined]
    setattr(part, method, start_outside)


def _alone(start: Callable[[], Any], view: Any) -> Any:
    bind_client(Scope.get_current_scope(), view)
    return start()
