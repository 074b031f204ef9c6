"""Green threads of gevent and eventlet: a request's have its scopes, and the SDK's must not block."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from contextvars import Context
from typing import Any

import sentry_sdk.sessions
from sentry_sdk.scope import use_isolation_scope, use_scope

from sentry_paste.sdk.failures import log_failure
from sentry_paste.sdk.scopes import enter_forks, request_scopes

# The thread of the SDK's monitor calls ``time.sleep`` in every 2.x version, the one that sends sessions up to
# 2.32. So do the profilers' threads, but only the ini turns those on.
_SLEEPING = ("enable_backpressure_handling",) + (
    ("auto_session_tracking",) if hasattr(sentry_sdk.sessions, "time") else ()
)
_PROFILING = ("profiles_sample_rate", "profiles_sampler", "profile_session_sample_rate")


def sleep_blocks_process() -> bool:
    """Return whether a thread that sleeps blocks the whole process.

    Swift lets eventlet replace threads but not ``time.sleep``. Then every thread is a greenlet in the same
    real thread, and that thread sleeps. gevent can be configured in the same way. Neither is imported here:
    without an import nothing is replaced.
    """
    eventlet, gevent = sys.modules.get("eventlet.patcher"), sys.modules.get("gevent.monkey")
    if eventlet is not None and eventlet.is_monkey_patched("thread"):
        return not eventlet.is_monkey_patched("time")
    if gevent is not None and gevent.is_module_patched("threading"):
        return not gevent.is_module_patched("time")
    return False


def sleeping_options() -> tuple[str, ...]:
    """Return the options, on by default, whose threads call ``time.sleep``."""
    return _SLEEPING


def hanging_options(options: Mapping[str, Any]) -> Iterator[str]:
    """Yield the options that are on and whose threads call ``time.sleep``.

    Args:
        options: of a client, those that are set.
    """
    yield from (name for name in (*_SLEEPING, *_PROFILING) if options.get(name))


# The functions that replace theirs.
_replacements: set[Any] = set()


def carry_scopes() -> None:
    """Run what a request starts in green threads in forks of its scopes, as the SDK does for threads.

    This covers greenlets of gevent and eventlet, and their pools of real threads. Neither is imported here,
    and modules that are imported later are left alone. Further calls do nothing.
    """
    try:
        _carry_scopes()
    except Exception:  # a version whose classes cannot be changed: the app starts all the same
        log_failure("what a request starts in green threads is reported without it")


def _carry_scopes() -> None:
    gevent, pool = _imported("gevent.greenlet", "Greenlet"), _imported("gevent.threadpool", "ThreadPool")
    if hasattr(gevent, "add_spawn_callback"):
        gevent.add_spawn_callback(_attach_scopes)
    _replace(pool, "spawn", _spawning)
    # Eventlet has no callback for new greenlets.
    _replace(_imported("eventlet.greenthread", "GreenThread"), "__init__", _beginning)
    _replace(sys.modules.get("eventlet.greenthread"), "_spawn_n", _spawning_raw)
    _replace(sys.modules.get("eventlet.tpool"), "execute", _executing)


def _imported(module: str, name: str) -> Any:
    return getattr(sys.modules.get(module), name, None)


def _replace(holder: Any, name: str, wrapped: Callable[[Any], Any]) -> None:
    function = None if holder is None else getattr(holder, name, None)
    if function is not None and function not in _replacements:
        replacement = functools.wraps(function)(wrapped(function))
        _replacements.add(replacement)
        setattr(holder, name, replacement)


def _attach_scopes(green: Any) -> None:
    """Set the scopes of a greenlet that has not started.

    Args:
        green: with the context in which it will run as ``gr_context``, None for an empty one.
    """
    try:
        scopes = request_scopes()
        if scopes is not None:
            context = green.gr_context
            if context is None:
                green.gr_context = context = Context()
            context.run(enter_forks, *scopes)
    except Exception:  # noqa: S110
        # It has started, or greenlet is older than 1.0: it runs without scopes.
        pass


def _in_scopes(function: Any) -> Any:
    """Return a function that runs in forks of the request's scopes.

    Args:
        function: of the app; outside of requests it is returned as it is.
    """
    try:
        scopes = request_scopes()
    except Exception:
        scopes = None
    if scopes is None:
        return function
    isolation, current = scopes

    def call(*args: Any, **kwargs: Any) -> Any:
        with use_isolation_scope(isolation), use_scope(current):
            return function(*args, **kwargs)

    return call


def _with_scopes(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the arguments of a call that starts a function, with the function in the request's scopes.

    Args:
        args: the function, if it is passed by position, and its own arguments. Passed by name it is left
            alone: the name may be an argument of the function's.
    """
    return (_in_scopes(args[0]), *args[1:]) if args else args


# What these are given by name is for the app's function, whatever it is called; so they have no names for it.
def _spawning(spawn: Any) -> Any:
    return lambda pool, /, *args, **kwargs: spawn(pool, *_with_scopes(args), **kwargs)


def _executing(execute: Any) -> Any:
    return lambda *args, **kwargs: execute(*_with_scopes(args), **kwargs)


def _beginning(init: Any) -> Any:
    def begin(self: Any, /, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        _attach_scopes(self)

    return begin


def _spawning_raw(spawn: Any) -> Any:
    def begin(*args: Any, **kwargs: Any) -> Any:
        timer, green = spawn(*args, **kwargs)
        _attach_scopes(green)
        return timer, green

    return begin
