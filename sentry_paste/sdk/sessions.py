"""Sessions of requests."""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any

import sentry_sdk
from sentry_sdk.scope import Scope
from sentry_sdk.session import Session

# Python 3.12 starts no thread at the end of a process, where sessions are sent that wait for their minute:
# they would be lost where the thread that sends does not run yet.
_STARTS_NO_THREAD_AT_THE_END = sys.version_info[:2] == (3, 12)


def is_untracked(isolation: Any) -> bool:
    """Return whether ``stop_auto_session_tracking()`` was called on what an unused scope is to be a fork of.

    Args:
        isolation: the unused scope.
    """
    return getattr(isolation._parent, "_force_auto_session_tracking", None) is False


def wall_clock(begun: int) -> float:
    """Return the time at which something began, in seconds since 1970.

    Args:
        begun: by ``time.perf_counter_ns``.
    """
    return time.time() - (time.perf_counter_ns() - begun) / 1e9


def start_session(scope: Scope, begun: int) -> None:
    """Start the session of a request as of the time at which that began.

    ``Session.started`` decides the minute that a session is counted in. Missing: it is the minute of now.

    Args:
        scope: the isolation scope.
        begun: by ``time.perf_counter_ns``.
    """
    scope.start_session(session_mode="request")
    session = getattr(scope, "_session", None)
    if session is not None:
        session.started = datetime.fromtimestamp(wall_clock(begun), timezone.utc)


def end_session(client: Any) -> None:
    """End the session of the current isolation scope.

    Args:
        client: that sends it.
    """
    sentry_sdk.get_isolation_scope().end_session()
    _see_to_sending(client)


def _see_to_sending(client: Any) -> None:
    """Have the transport's thread run where it could not be started when it is needed.

    Only where a session waits, whose thread the SDK has started: ``_thread_for_pid`` tells. Missing: the
    first envelope starts it.
    """
    if _STARTS_NO_THREAD_AT_THE_END:
        flusher, transport = getattr(client, "session_flusher", None), getattr(client, "transport", None)
        worker = getattr(transport, "_worker", None)
        waits = getattr(flusher, "_thread_for_pid", None) == os.getpid()
        if waits and worker is not None and not worker.is_alive:
            worker.start()


class HealthySession(Session):
    """A session that is counted again and again, and works out once what it is counted by."""

    #: What the SDK counts in, and the counter of this one; None while it has not.
    counter: tuple[Any, dict[str, Any]] | None = None
    #: The process that ``left`` is of.
    pid: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: One entry for each that is to be counted by whoever counts next.
        self.left: deque[None] = deque()

    def get_json_attrs(self, with_user_info: bool | None = True) -> Any:  # noqa: ARG002 - it has no user
        """Return release and environment."""
        found = self.__dict__.get("_attrs")
        if found is None:
            found = self._attrs = super().get_json_attrs(with_user_info=False)
        return found

    @property
    def truncated_started(self) -> datetime:
        """Return the minute, which it was given."""
        return self.started

    def take_left(self) -> int:
        """Return how many are left to be counted, and forget them."""
        count = 0
        while self.left:
            try:
                self.left.pop()
            except IndexError:  # another thread was faster
                break
            count += 1
        return count


class _CountingFlush:
    """A flusher's ``flush`` that first counts what was left to be counted.

    Args:
        flusher: of the SDK.
    """

    def __init__(self, flusher: Any) -> None:
        self._flusher = flusher
        self._flush = flusher.flush
        self.sessions: list[HealthySession] = []

    def __call__(self) -> None:
        sessions = list(self.sessions)
        for session in sessions:
            for _ in range(session.take_left()):
                self._flusher.add_session(session)
        self._flush()
        # One of the minute before may be left something while this runs. Each filter has its own.
        newest = max((session.started for session in sessions), default=None)
        for session in sessions:
            if newest is not None and newest - session.started > timedelta(minutes=1) and not session.left:
                with suppress(ValueError):  # another flush was faster
                    self.sessions.remove(session)


def count_session(client: Any, session: HealthySession) -> None:
    """Count a healthy session, once more where the SDK has counted it lately.

    The first of a minute, of a process, and after each flush goes the SDK's own way, which finds or makes the
    counter and sees to the thread that sends it. ``pending_aggregates`` and its lock are the flusher's.
    Missing: all go that way.

    Args:
        client: that sends it.
        session: of the minute.
    """
    flusher: Any = getattr(client, "session_flusher", None)
    counter, pid = session.counter, os.getpid()
    if (
        counter is not None
        and counter[0] is getattr(flusher, "pending_aggregates", None)
        and flusher._thread_for_pid == pid
    ):
        # Threads that wait for it in each request hold each other up: eight did a third of what one did.
        if not flusher._aggregate_lock.acquire(blocking=False):
            session.left.append(None)
            return
        try:
            if counter[0] is flusher.pending_aggregates:
                counter[1]["exited"] += 1 + session.take_left()
                return
        finally:
            flusher._aggregate_lock.release()
    if session.pid != pid:
        session.left.clear()  # the parent's
        session.pid = pid
    client.capture_session(session)
    _see_to_sending(client)
    try:
        counters = flusher.pending_aggregates
        key = tuple(sorted(session.get_json_attrs().items()))
        session.counter = (counters, counters[key][session.started])
        with flusher._thread_lock:
            if not isinstance(flusher.flush, _CountingFlush):
                flusher.flush = _CountingFlush(flusher)
        if session not in flusher.flush.sessions:
            flusher.flush.sessions.append(session)
    except (AttributeError, KeyError):
        session.counter = None


def healthy_session(options: Mapping[str, Any], started: float) -> Session:
    """Return a session of a request that went well, to be counted any number of times.

    Args:
        options: of the client.
        started: seconds since 1970, a full minute.
    """
    session = HealthySession(
        release=options.get("release"),
        environment=options.get("environment"),
        session_mode="request",
        started=datetime.fromtimestamp(started, timezone.utc),
    )
    session.close()
    return session


def tracks_sessions(scope: Scope, options: Mapping[str, Any]) -> bool:
    """Return whether a request of this scope is to be a session.

    The SDK drops sessions without a release when they end: they need not begin. The attribute is what
    ``scope.stop_auto_session_tracking()`` sets. Missing: the option alone decides.

    Args:
        scope: the isolation scope.
        options: of the client.
    """
    if not options.get("release") or getattr(scope, "_force_auto_session_tracking", None) is False:
        return False
    return bool(options.get("auto_session_tracking"))
