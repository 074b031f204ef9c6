"""The SDK's HTTP transports: report the outcome of each envelope, and reset them after a fork.

Checked with sentry-sdk 2.18.0 and 2.75.0. If ``_send_envelope``, ``_request`` or ``_worker`` are missing,
``transport_class`` returns None: the SDK sends the envelopes, without a spool, and a warning is logged.
"""

from __future__ import annotations

import inspect
import socket
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import Context
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from sentry_sdk import transport as sdk_transport
from sentry_sdk.envelope import Envelope
from sentry_sdk.scope import Scope
from sentry_sdk.transport import HttpTransport, Transport
from sentry_sdk.utils import Dsn
from sentry_sdk.worker import BackgroundWorker
from urllib3 import PoolManager

from sentry_paste.sdk.answers import Attempt, is_sentrys, retry_after
from sentry_paste.sdk.events import encode
from sentry_paste.sdk.http import compress_at_once, request_directly
from sentry_paste.sdk.options import with_options
from sentry_paste.sdk.scopes import bind_client

_NEEDED = ("_send_envelope", "_request", "_check_disabled", "record_lost_event", "_make_pool")
# The longest time that an answer of 429 may ask to wait, in seconds, if it is not Sentry's own rate limit: a
# proxy's, or a mistake, must not silence a process for a day. Sentry's ``X-Sentry-Rate-Limits`` is obeyed
# however long.
_LONGEST_LIMIT = 600.0
_BASE: Any = getattr(sdk_transport, "BaseHttpTransport", None)
# The connection pools of the processes from which this one was forked.
_parents: list[Any] = []


def transport_class(options: Mapping[str, Any], connections: int = 1) -> Any:
    """Return a subclass of the SDK's transport class that reports the outcome of each envelope.

    Return None if the SDK would use a transport that is not like its HTTP transport: a function, an instance,
    an asynchronous one.

    Args:
        options: of a client that is to be created.
        connections: how many threads will send at the same time at most.
    """
    given, experiments = options.get("transport"), options.get("_experiments") or {}
    if given is None:
        if experiments.get("transport_async"):
            return None
        http2 = getattr(sdk_transport, "Http2Transport", None)
        is_http2 = experiments.get("transport_http2") and getattr(sdk_transport, "HTTP2_ENABLED", True)
        given = http2 if is_http2 and http2 is not None else HttpTransport
    if not isinstance(given, type) or _BASE is None or not issubclass(given, _BASE):
        return None
    if not all(hasattr(given, name) for name in _NEEDED):
        return None
    return type("ReportingTransport", (_ReportingTransport, given), {"connections": connections})


class _Request:
    """A request that is being sent.

    Attributes:
        connection: urllib3's connection, None before it is known.
        sent: when all of the request was sent, by ``time.monotonic``; None before that.
    """

    def __init__(self) -> None:
        self.connection: Any = None
        self.sent: float | None = None

    def abort(self) -> None:
        """End the connection, so that the thread that waits for the answer has an error."""
        sock = getattr(self.connection, "sock", None)
        if sock is not None:
            with suppress(Exception):  # it may have ended, or be one of a proxy library's
                sock.shutdown(socket.SHUT_RDWR)


def _watched_pool(pool: Any, current: Callable[[], _Request | None]) -> Any:
    """Return a class of urllib3's pools whose connections make themselves known to the current request.

    Args:
        pool: class of a pool.
        current: returns the request of this thread.
    """

    class Connection(pool.ConnectionCls):  # type: ignore[misc]
        def request(self, *args: Any, **kwargs: Any) -> Any:
            request = current()
            if request is not None:
                request.connection, request.sent = self, None
            result = super().request(*args, **kwargs)
            if request is not None:
                request.sent = time.monotonic()
            return result

        def send_watched(self, message: bytes) -> None:
            """Send a request that is complete, as ``sdk.http`` does."""
            request = current()
            if request is not None:
                request.connection, request.sent = self, None
            self.sock.sendall(message)
            if request is not None:
                request.sent = time.monotonic()

    return type(pool.__name__, (pool,), {"ConnectionCls": Connection})


class _ReportingTransport:
    """A mixin before a transport class of the SDK.

    Args:
        options: of the client, all of them.
    """

    # Of the SDK's class.
    options: dict[str, Any]
    parsed_dsn: Dsn
    _worker: Any
    _discarded_events: Any
    _disabled_until: dict[Any, datetime]
    _send_envelope: Callable[[Envelope], None]
    _check_disabled: Callable[[str], bool]

    connections = 1

    def __init__(self, options: dict[str, Any]) -> None:
        self._begin_here()
        super().__init__(options)  # type: ignore[call-arg]

    def _begin_here(self) -> None:
        self._here = threading.local()
        # Reentrant: the garbage collector may run while it is held, and a destructor may log an error.
        self._counting = threading.RLock()
        # The requests that wait for an answer.
        self._waiting: dict[int, _Request] = {}

    def attempt(self, envelope: Envelope) -> Attempt:
        """Send an envelope in this thread, and return the outcome.

        Args:
            envelope: it is not changed.
        """
        attempt = self._here.attempt = Attempt()
        try:
            self._send_envelope(envelope)
        except Exception as error:
            attempt.error = error
        finally:
            self._here.attempt = None
        if not attempt.delivered and attempt.reported:
            # The envelope contained the counts of earlier losses, which did not arrive either.
            with self._counting:
                for key, count in attempt.reported.items():
                    self._discarded_events[key] += count
        return attempt

    def _fetch_pending_client_report(self, *args: Any, **kwargs: Any) -> Any:
        attempt: Attempt | None = getattr(self._here, "attempt", None)
        with self._counting:
            before = self._discarded_events
            report = super()._fetch_pending_client_report(*args, **kwargs)  # type: ignore[misc]
            if attempt is not None and self._discarded_events is not before:
                attempt.reported = before
        return report

    def _request(self, *args: Any, **kwargs: Any) -> Any:
        attempt: Attempt | None = getattr(self._here, "attempt", None)
        request = self._here.request = _Request()
        self._waiting[id(request)] = request
        try:
            response = super()._request(*args, **kwargs)  # type: ignore[misc]
        finally:
            del self._waiting[id(request)]
            self._here.request = None
        if attempt is not None:
            attempt.status = int(response.status)
            attempt.retry_after = self._seconds(response)
            if 200 <= attempt.status < 300:
                attempt.is_sentrys = is_sentrys(response)
            elif 300 <= attempt.status < 400:
                attempt.redirect = self._redirect(response)
        return response

    def _make_pool(self, *args: Any, **kwargs: Any) -> Any:
        pool = super()._make_pool(*args, **kwargs)  # type: ignore[misc]
        if isinstance(pool, PoolManager):
            # Whoever answers instead of Sentry is not to receive the envelope, or have it taken for delivered
            # because a GET has succeeded elsewhere. httpcore's pools do not follow redirects.
            pool.request = partial(pool.request, redirect=False)  # type: ignore[method-assign]
            request_directly(pool, follows_redirects=False)
            # One more, because the SDK's own thread sends next to at least one of the spool. urllib3 logs a
            # warning for each connection that its pool cannot keep.
            pool.connection_pool_kw.setdefault("maxsize", self.connections + 1)
            # Not by a method: while a pool exists, urllib3 keeps what its idle connections refer to, so the
            # transport, which has the pool, would never be collected.
            current = partial(getattr, self._here, "request", None)
            pool.pool_classes_by_scheme = {
                scheme: _watched_pool(found, current) for scheme, found in pool.pool_classes_by_scheme.items()
            }
        return pool

    def kill(self) -> None:
        """End the SDK's thread, and close the connections that wait for another request."""
        super().kill()  # type: ignore[misc]
        pool = getattr(self, "_pool", None)
        if isinstance(pool, PoolManager):
            for key in pool.pools.keys():  # noqa: SIM118 - it is no mapping that can be iterated over
                found = pool.pools.get(key)
                if found is not None:
                    found.close()
            pool.clear()

    def abort_overdue(self, seconds: float) -> None:
        """End the requests whose answers take too long in all; the SDK limits the time between two bytes.

        Args:
            seconds: that an answer may take.
        """
        for request in self._waiting_for(seconds):
            request.abort()

    def is_sending(self) -> bool:
        """Return whether a request is being sent or waits for its answer."""
        return bool(self._waiting)

    def count_stuck(self, seconds: float) -> int:
        """Return how many requests wait for their answers.

        Args:
            seconds: for at least so long.
        """
        return len(self._waiting_for(seconds))

    def _waiting_for(self, seconds: float) -> list[_Request]:
        latest = time.monotonic() - seconds
        return [
            request
            for request in list(self._waiting.values())
            if request.sent is not None and request.sent < latest
        ]

    def _update_rate_limits(self, response: Any) -> None:
        super()._update_rate_limits(response)  # type: ignore[misc]
        latest = datetime.now(timezone.utc) + timedelta(seconds=_LONGEST_LIMIT)
        until = self._disabled_until.get(None)
        is_sentrys = self._get_header_value(response, "x-sentry-rate-limits")  # type: ignore[attr-defined]
        if not is_sentrys and until is not None:
            self._disabled_until[None] = min(until, latest)

    def _redirect(self, response: Any) -> str:
        """Return scheme and host of a redirect; the rest of the address may be a secret."""
        try:
            found = urlsplit(self._get_header_value(response, "Location") or "")  # type: ignore[attr-defined]
            return f"{found.scheme}://{found.netloc.rpartition('@')[2]}" if found.netloc else "its own host"
        except Exception:  # a server may send anything
            return "an invalid address"

    def _seconds(self, response: Any) -> float:
        try:
            text = self._get_header_value(response, "Retry-After")  # type: ignore[attr-defined]
            return retry_after(text)
        except Exception:  # a server may send anything
            return 0.0

    def record_lost_event(self, *args: Any, **kwargs: Any) -> None:
        """Count a loss, or leave that to the caller of ``attempt``."""
        attempt: Attempt | None = getattr(self._here, "attempt", None)
        if attempt is not None:
            attempt.lost.append((args, kwargs))
        else:
            with self._counting:
                super().record_lost_event(*args, **kwargs)  # type: ignore[misc]

    def count_lost(self, attempt: Attempt) -> None:
        """Count the losses that the SDK has recorded during an attempt.

        Args:
            attempt: after which the envelope is dropped.
        """
        for args, kwargs in attempt.lost:
            self.record_lost_event(*args, **kwargs)

    def submit(self, function: Callable[[], Any]) -> bool:
        """Queue a function for the SDK's own thread; return False if the queue is full.

        Args:
            function: takes no arguments.
        """
        return bool(self._worker.submit(function))

    def work(self, is_needed: Callable[[], bool]) -> None:
        """Call queued functions next to the SDK's own thread, until none is left.

        ``_worker._queue`` is the SDK's copy of ``queue.Queue``. Missing: the SDK's thread is alone.

        Args:
            is_needed: returns whether to go on.
        """
        queue = getattr(self._worker, "_queue", None)
        while queue is not None and is_needed():
            try:
                function = queue.get(block=False)
            except Exception:  # the SDK's own class for an empty queue
                return
            try:
                if not callable(function):  # the sign for the SDK's thread to end
                    queue.put_nowait(function)
                    return
                function()
            except Exception:  # as in the SDK's thread, which goes on; or its queue is full
                return
            finally:
                queue.task_done()

    def is_busy(self) -> bool:
        """Return whether envelopes are queued."""
        queue = getattr(self._worker, "_queue", None)
        return queue is not None and not queue.empty()

    def limited_for(self, category: str) -> float:
        """Return for how many seconds a category is rate-limited, 0 if it is not.

        Args:
            category: ``error``, ``transaction`` and so on.
        """
        if not self._check_disabled(category):
            return 0.0
        now = datetime.now(timezone.utc)
        until = [self._disabled_until.get(name) for name in (category, None)]
        return max([(time - now).total_seconds() for time in until if time is not None], default=1.0)

    def reset_after_fork(self) -> None:
        """Reset the transport in a forked process."""
        self._begin_here()
        reset_transport_after_fork(self)


def reset_transport_after_fork(transport: Any) -> None:
    """Reset a transport of the SDK in a forked process: drop what belongs to the parent.

    That is its queue, its connections and its counts of lost events, which the parent will report. Other
    transports are left as they are, also the asynchronous one, whose loop belongs to the app.

    Args:
        transport: of a client, None if it has none.
    """
    if _BASE is None or not isinstance(transport, _BASE):
        return
    found: Any = transport
    create = getattr(found, "_create_worker", None)
    size = found.options.get("transport_queue_size", 100)
    found._worker = create(found.options) if create is not None else BackgroundWorker(queue_size=size)
    found._discarded_events = defaultdict(int)
    # Kept, though never used: when a pool is collected, urllib3 takes a lock, which a thread of the parent
    # may have held. This runs in the fork itself, which would then never return to the app.
    _parents.append(found._pool)
    found._pool = found._make_pool()
    if not isinstance(transport, _ReportingTransport):
        request_directly(found._pool)


def host_and_project(transport: Transport) -> tuple[str, str]:
    """Return host and path, and the project, to which a transport sends.

    Args:
        transport: with a DSN.
    """
    dsn = transport.parsed_dsn
    assert dsn is not None  # noqa: S101
    return f"{dsn.netloc}{dsn.path}", str(dsn.project_id)


def watch_transport(transport: Any, answered: Callable[[Any], None], lost: Callable[[str], None]) -> bool:
    """Call functions with the responses and losses of a transport; return whether it has responses.

    ``_request`` of the HTTP transports returns urllib3's or httpcore's response, for which the SDK has no
    hook. Missing, or a coroutine function: ``answered`` is not called.

    Args:
        transport: of a client.
        answered: called in the transport's thread with each response, or with the exception instead.
        lost: called with the reason for everything that is dropped before it is sent.
    """
    record = transport.record_lost_event

    def record_lost_event(reason: str, *args: Any, **kwargs: Any) -> Any:
        lost(reason)
        return record(reason, *args, **kwargs)

    transport.record_lost_event = record_lost_event
    request = getattr(transport, "_request", None)
    if request is None or inspect.iscoroutinefunction(request):
        return False

    def watched(*args: Any, **kwargs: Any) -> Any:
        try:
            response = request(*args, **kwargs)
        except Exception as error:
            answered(error)
            raise
        answered(response)
        return response

    transport._request = watched
    return True


def upload_uninstrumented(client: Any, transport: Any) -> None:
    """Let a transport of the SDK upload outside of the app's traces.

    The thread that uploads has the scopes of the request that has started it (ThreadingIntegration), and the
    SDK does not recognise its own uploads if the DSN has a port: each upload of streamed spans would be
    another span of that request, which has to be uploaded, and so on. Here it has a context of its own, and a
    view of the client that has no integrations and so instruments nothing.

    Args:
        client: that was just created.
        transport: which sends its envelopes. Without ``_send_envelope``, or with a coroutine function, it is
            not changed.
    """
    send = getattr(transport, "_send_envelope", None)
    if send is None or inspect.iscoroutinefunction(send):
        return
    uninstrumented = with_options(client)
    uninstrumented.integrations = {}
    compress_at_once(transport)
    if not isinstance(transport, _ReportingTransport):
        request_directly(getattr(transport, "_pool", None))

    def upload(envelope: Envelope) -> None:
        bind_client(Scope.get_current_scope(), uninstrumented)
        encode(envelope)
        send(envelope)

    transport._send_envelope = lambda envelope: Context().run(upload, envelope)


def drop_if_full(client: Any, event: Mapping[str, Any]) -> bool:
    """Count a transaction as lost if the queue of a client's transport is full; return whether it was.

    The SDK finds that out last, once it has prepared and serialised the event. ``_worker.full`` is not
    documented. Missing, another transport than the SDK's own, a transaction with a profile, or Spotlight: the
    SDK decides.

    Args:
        client: that captures the event.
        event: a transaction, as the SDK has made it.
    """
    transport = client.transport
    spans: Any = event.get("spans")
    full = getattr(getattr(transport, "_worker", None), "full", None)
    if full is None or type(transport).capture_envelope is not HttpTransport.capture_envelope:
        return False
    is_usual = type(spans) is list and event.keys().isdisjoint(("profile", "_dropped_spans"))
    if not is_usual or getattr(client, "spotlight", None) is not None or not full():
        return False
    transport.on_dropped_event("full_queue")
    transport.record_lost_event("queue_overflow", data_category="transaction")
    transport.record_lost_event("queue_overflow", data_category="span", quantity=len(spans) + 1)
    return True
