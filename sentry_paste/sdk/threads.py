"""Threads of the SDK, which belong to no request, and what they hold back.

The SDK starts them when they are first needed, which is usually in a request. ``ThreadingIntegration`` gives
them forks of the current scopes: whatever they log would be part of that request for ever. Here they start in
an empty context. (``transports.upload_uninstrumented`` keeps their uploads out of traces.)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextvars import Context
from typing import Any

# The parts of a client that have a thread, the method that starts it if there is none, and the attribute with
# the process in which there is one. Missing: it is started as the SDK does it.
_STARTING = (
    ("session_flusher", "_ensure_running", "_thread_for_pid"),
    ("log_batcher", "_ensure_thread", "_flusher_pid"),
    ("metrics_batcher", "_ensure_thread", "_flusher_pid"),
    ("span_batcher", "_ensure_thread", "_flusher_pid"),
)


def start_threads_outside_of_requests(client: Any) -> None:
    """Let a client's threads start in a context of their own.

    Args:
        client: that was just created, or reset in a forked process.
    """
    for name, method, process in _STARTING:
        _start_outside(getattr(client, name, None), method, process)
    # Of a spool's transport it is the SDK's that has a worker, whose start() is only called without a thread.
    transport = getattr(client.transport, "inner", client.transport)
    _start_outside(getattr(transport, "_worker", None), "start", None)


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
        Context().run(lambda: monitor.downsample_factor)


def flush_spans(client: Any) -> None:
    """Send the streamed spans that a client holds back.

    Args:
        client: that may have a ``span_batcher``. Missing: it streams no spans.
    """
    _flush(getattr(client, "span_batcher", None))


def flush_logs(client: Any) -> None:
    """Send the log items that a client holds back.

    Args:
        client: that may have a ``log_batcher``. Missing: it sends no logs.
    """
    _flush(getattr(client, "log_batcher", None))


def _flush(batcher: Any) -> None:
    if batcher is not None:
        batcher.flush()


def _start_outside(part: Any, method: str, process: str | None) -> None:
    start: Callable[[], Any] | None = getattr(part, method, None)
    if start is None or getattr(start, "_is_outside", False):
        return

    def start_outside() -> Any:
        started = Context().run(start)
        # It is called in each request: without this function, until the process forks.
        if process is not None and getattr(part, process, None) == os.getpid():
            vars(part).pop(method, None)
        return started

    start_outside._is_outside = True  # type: ignore[attr-defined]
    setattr(part, method, start_outside)
