"""Sessions of requests, and a fast way to count healthy ones."""

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

# Python 3.12 starts no thread at the end of a process, when the sessions of the last minute are sent. They
# would be lost if the sending thread did not run already.
_STARTS_NO_THREAD_AT_THE_END = sys.version_info[:2] == (3, 12)


def is_untracked(isolation: Any) -> bool:
    """Return whether ``stop_auto_session_tracking()`` was called on the parent of an unused scope.

    Args:
        isolation: the unused scope.
    """
    return getattr(isolation._parent, "_force_auto_session_tracking", None) is False


def wall_clock(begun: int) -> float:
    """Convert a time to seconds since 1970.

    Args:
        begun: a time by ``time.perf_counter_ns``.
    """
    return time.time() - (time.perf_counter_ns() - begun) / 1e9


def leave_session(scope: Scope) -> None:
    """Detach a scope from the session of the request of which it is a fork: that request ends it.

    A request that a thread or greenlet of another serves has forks of its scopes, and ``_session`` is the
    other's. Missing: nothing to detach.

    Args:
        scope: the isolation scope.
    """
    if getattr(scope, "_session", None) is not None:
        scope._session = None


def start_session(scope: Scope, begun: int) -> None:
    """Start the session of a request, backdated to the request's start.

    ``Session.started`` decides in which minute a session is counted. Missing: the current minute.

    Args:
        scope: the isolation scope.
        begun: the request's start, by ``time.perf_counter_ns``.
    """
    scope.start_session(session_mode="request")
    session = getattr(scope, "_session", None)
    if session is not None:
        session.started = datetime.fromtimestamp(wall_clock(begun), timezone.utc)


def end_session(client: Any, crashes: bool | None = None, dropped: int = 0) -> None:
    """End the session of the current isolation scope.

    The SDK's session follows the events as they are captured, and has no way to take that back. ``_session``
    is the scope's. Missing: it stays as the SDK has it.

    Args:
        client: that sends it.
        crashes: whether the request turned out to have crashed, None if the SDK's session is right.
        dropped: how many of the errors that the SDK has counted turned out to be none.
    """
    isolation = sentry_sdk.get_isolation_scope()
    session = getattr(isolation, "_session", None)
    if crashes is not None and session is not None:
        session.update(errors=max(session.errors - dropped, 0))
        if crashes and session.errors:
            session.update(status="crashed")
        elif not crashes and session.status == "crashed":
            session.update(status="ok")
    isolation.end_session()
    _ensure_worker(client)


def _ensure_worker(client: Any) -> None:
    """Start the transport's thread if it could not be started when it is needed.

    That is only done while a session waits; then ``_thread_for_pid`` is this process. Missing: the first
    envelope starts the thread.
    """
    if _STARTS_NO_THREAD_AT_THE_END:
        flusher, transport = getattr(client, "session_flusher", None), getattr(client, "transport", None)
        worker = getattr(transport, "_worker", None)
        waits = getattr(flusher, "_thread_for_pid", None) == os.getpid()
        if waits and worker is not None and not worker.is_alive:
            worker.start()


class HealthySession(Session):
    """A session that is counted many times, and computes its key only once."""

    #: The SDK's counters, and this session's counter among them; None until the SDK has counted it.
    counter: tuple[Any, dict[str, Any]] | None = None
    #: The process to which ``pending`` belongs.
    pid: int | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: One entry for each session that the next request has to count.
        self.pending: deque[None] = deque()

    def get_json_attrs(self, with_user_info: bool | None = True) -> Any:  # noqa: ARG002 - it has no user
        """Return release and environment."""
        found = self.__dict__.get("_attrs")
        if found is None:
            found = self._attrs = super().get_json_attrs(with_user_info=False)
        return found

    @property
    def truncated_started(self) -> datetime:
        """Return the minute: ``started`` is a full one."""
        return self.started

    def take_pending(self) -> int:
        """Return how many sessions are pending, and remove them."""
        count = 0
        while self.pending:
            try:
                self.pending.pop()
            except IndexError:  # another thread was faster
                break
            count += 1
        return count


class _CountingFlush:
    """A flusher's ``flush`` that first counts the pending sessions.

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
            for _ in range(session.take_pending()):
                self._flusher.add_session(session)
        self._flush()
        # A request of the previous minute may still add to its session. Each filter has its own sessions.
        newest = max((session.started for session in sessions), default=None)
        for session in sessions:
            if newest is not None and newest - session.started > timedelta(minutes=1) and not session.pending:
                with suppress(ValueError):  # another flush was faster
                    self.sessions.remove(session)


def count_session(client: Any, session: HealthySession) -> None:
    """Count a healthy session; increment its counter if the SDK has counted it recently.

    The first one of a minute, of a process and after each flush is counted by the SDK, which finds or creates
    the counter and starts the thread that sends it. ``pending_aggregates`` and its lock belong to the
    flusher. Missing: the SDK counts all of them.

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
        # Not blocking: with eight threads that wait for the lock in each request, throughput was a third of
        # that of a single thread.
        if not flusher._aggregate_lock.acquire(blocking=False):
            session.pending.append(None)
            return
        try:
            if counter[0] is flusher.pending_aggregates:
                counter[1]["exited"] += 1 + session.take_pending()
                return
        finally:
            flusher._aggregate_lock.release()
    if session.pid != pid:
        session.pending.clear()  # the parent counts them
        session.pid = pid
    client.capture_session(session)
    _ensure_worker(client)
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
    """Return the session of a request without errors, to be counted any number of times.

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

    The SDK drops sessions without a release when they end, so these are not started.
    ``scope.stop_auto_session_tracking()`` sets the attribute. Missing: only the option decides.

    Args:
        scope: the isolation scope.
        options: of the client.
    """
    if not options.get("release") or getattr(scope, "_force_auto_session_tracking", None) is False:
        return False
    return bool(options.get("auto_session_tracking"))
