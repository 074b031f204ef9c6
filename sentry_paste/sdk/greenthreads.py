"""Which threads of the SDK's must not run where threads are green and ``time.sleep`` is not."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import Any

import sentry_sdk.sessions

# The thread of the SDK's monitor sleeps by ``time.sleep`` in every 2.x version, the one that sends sessions
# up to 2.32. Those of the profilers do as well, which are on only where the ini says so.
_SLEEPING = ("enable_backpressure_handling",) + (
    ("auto_session_tracking",) if hasattr(sentry_sdk.sessions, "time") else ()
)
_PROFILING = ("profiles_sample_rate", "profiles_sampler", "profile_session_sample_rate")


def sleep_is_everyones() -> bool:
    """Tell whether a thread that sleeps keeps the whole process from its work.

    Swift has eventlet replace threads and not ``time.sleep``: a thread is a greenlet then, in one real thread
    with all others, and that thread is what sleeps. What gevent replaces can be chosen in the same way.
    Neither is imported for it: who has not imported them has replaced nothing.
    """
    eventlet, gevent = sys.modules.get("eventlet.patcher"), sys.modules.get("gevent.monkey")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return not eventlet.is_monkey_patched("time")
    if gevent is not None and gevent.is_module_patched("threading"):
        return not gevent.is_module_patched("time")
    return False


def sleeping_options() -> tuple[str, ...]:
    """Return the options, on by default, whose threads sleep by ``time.sleep``."""
    return _SLEEPING


def hanging_options(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the options that are on and whose threads sleep by ``time.sleep``.

    Args:
        options: of a client, those that were given.
    """
    yield from (name for name in (*_SLEEPING, *_PROFILING) if options.get(name))
