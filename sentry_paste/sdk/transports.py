"""What is not documented of the SDK's HTTP transports, and is needed to know what became of an envelope.

Checked with sentry-sdk 2.18.0 and 2.75.0. An SDK in which ``_send_envelope``, ``_request`` or ``_worker`` are
missing has no transport that ``transport_class`` finds fit: envelopes go as the SDK sends them, without a
spool, which is warned of.
"""

from __future__ import annotations

import inspect
import math
import threading
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

from sentry_sdk import transport as sdk_transport
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import HttpTransport, Transport
from sentry_sdk.utils import Dsn
from sentry_sdk.worker import BackgroundWorker

_NEEDED = ("_send_envelope", "_request", "_check_disabled", "record_lost_event", "_make_pool")
# Seconds that a server may ask to wait, at most.
_LONGEST_WAIT = 86400.0
_BASE: Any = getattr(sdk_transport, "BaseHttpTransport", None)
# The connections of the processes that this one was forked from.
_parents: list[Any] = []


@dataclass
class Attempt:
    """What became of an envelope.

    Attributes:
        status: that the server answered with, 0 where there was no answer.
        retry_after: seconds that the server asks to wait, 0 where it does not.
        error: what was raised in place of an answer.
        is_over: whether it ended; the SDK sends nothing of an envelope whose items are all rate-limited.
        lost: what the SDK has counted as lost meanwhile; it is counted only with ``count_lost``.
    """

    status: int = 0
    retry_after: float = 0.0
    error: Exception | None = None
    lost: list[tuple[tuple[Any, ...], dict[str, Any]]] = field(default_factory=list)

    @property
    def delivered(self) -> bool:
        """Whether Sentry has it."""
        return 200 <= self.status < 300

    @property
    def may_be_repeated(self) -> bool:
        """Whether it may be taken later: no answer, 429, and what servers and proxies say of themselves.

        What they will never do (501, 505) is final.
        """
        if self.status == 0:
            return self.error is not None
        return self.status in (408, 429) or (self.status >= 500 and self.status not in (501, 505))

    @property
    def withheld(self) -> bool:
        """Whether it was not sent, for a rate limit."""
        return self.status == 0 and self.error is None


def transport_class(options: Mapping[str, Any]) -> Any:
    """Return the class of transport that the SDK would take, made to tell what becomes of envelopes.

    None where it would take one that is not like its HTTP transport: a function, an instance, an
    asynchronous one.

    Args:
        options: of a client that is to be made.
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
    return type("TellingTransport", (_Telling, given), {})


class _Telling:
    """What is put before a transport class of the SDK's.

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

    def __init__(self, options: dict[str, Any]) -> None:
        self._here = threading.local()
        super().__init__(options)  # type: ignore[call-arg]

    def attempt(self, envelope: Envelope) -> Attempt:
        """Send an envelope in this thread, and return what became of it.

        Args:
            envelope: it is not changed.
        """
        attempt = self._here.attempt = Attempt()
        reported = getattr(self, "_discarded_events", None)
        try:
            self._send_envelope(envelope)
        except Exception as error:
            attempt.error = error
        finally:
            self._here.attempt = None
        if not attempt.delivered and reported and self._discarded_events is not reported:
            # What was lost before went with this envelope, and did not arrive either.
            for key, count in reported.items():
                self._discarded_events[key] += count
        return attempt

    def _request(self, *args: Any, **kwargs: Any) -> Any:
        response = super()._request(*args, **kwargs)  # type: ignore[misc]
        attempt: Attempt | None = getattr(self._here, "attempt", None)
        if attempt is not None:
            attempt.status = int(response.status)
            attempt.retry_after = self._seconds(response)
        return response

    def _seconds(self, response: Any) -> float:
        try:
            text = self._get_header_value(response, "Retry-After")  # type: ignore[attr-defined]
            return _retry_after(text)
        except Exception:  # what a server says is not to be trusted to be anything
            return 0.0

    def record_lost_event(self, *args: Any, **kwargs: Any) -> None:
        """Count what is lost, or leave it to whoever tries to send it."""
        attempt: Attempt | None = getattr(self._here, "attempt", None)
        if attempt is not None:
            attempt.lost.append((args, kwargs))
        else:
            super().record_lost_event(*args, **kwargs)  # type: ignore[misc]

    def count_lost(self, attempt: Attempt) -> None:
        """Count as lost what the SDK has counted during an attempt.

        Args:
            attempt: after which the envelope is not kept.
        """
        for args, kwargs in attempt.lost:
            self.record_lost_event(*args, **kwargs)

    def submit(self, function: Callable[[], Any]) -> bool:
        """Have a function called in the SDK's own thread; return whether there is room for it.

        Args:
            function: takes nothing.
        """
        return bool(self._worker.submit(function))

    def is_busy(self) -> bool:
        """Return whether something waits to be sent."""
        queue = getattr(self._worker, "_queue", None)
        return queue is not None and not queue.empty()

    def limited_for(self, category: str) -> float:
        """Return for how many seconds the server takes nothing of a category, 0 if it does.

        Args:
            category: ``error``, ``transaction`` and so on.
        """
        if not self._check_disabled(category):
            return 0.0
        now = datetime.now(timezone.utc)
        until = [self._disabled_until.get(name) for name in (category, None)]
        return max([(time - now).total_seconds() for time in until if time is not None], default=1.0)

    def begin_again(self) -> None:
        """Begin again in a process that was forked."""
        begin_transport_again(self)
        self._here = threading.local()


def begin_transport_again(transport: Any) -> None:
    """Have a transport of the SDK's forget, in a process that was forked, what is its parent's.

    That is its queue, its connections and what it has counted as lost, which the parent will tell. A
    transport of another kind is left as it is, the asynchronous one too: its loop is the app's.

    Args:
        transport: of a client; None where it has none.
    """
    if _BASE is None or not isinstance(transport, _BASE):
        return
    found: Any = transport
    create = getattr(found, "_create_worker", None)
    size = found.options.get("transport_queue_size", 100)
    found._worker = create(found.options) if create is not None else BackgroundWorker(queue_size=size)
    found._discarded_events = defaultdict(int)
    # Kept, and not used: where a pool is collected urllib3 takes a lock, which a thread of the parent may
    # have held. This is called in the fork, which would never return to the app.
    _parents.append(found._pool)
    found._pool = found._make_pool()


def _retry_after(text: str | None) -> float:
    """Return the seconds of a ``Retry-After`` header (RFC 9110, section 10.2.3), a number or a date."""
    if not text:
        return 0.0
    try:
        seconds = float(text)
    except ValueError:
        seconds = (parsedate_to_datetime(text) - datetime.now(timezone.utc)).total_seconds()
    # "nan" and "inf" are numbers too, and no thread can wait for long enough.
    return min(max(seconds, 0.0), _LONGEST_WAIT) if not math.isnan(seconds) else 0.0


def host_and_project(transport: Transport) -> tuple[str, str]:
    """Return where a transport sends to.

    Args:
        transport: with a DSN.
    """
    dsn = transport.parsed_dsn
    assert dsn is not None  # noqa: S101
    return f"{dsn.netloc}{dsn.path}", str(dsn.project_id)


def dialog_address(text: str) -> str:
    """Return the address of the script of Sentry's crash-report dialog; the event's id is to be added.

    It is that of the browser SDK's ``showReportDialog``. The DSN in it is without a secret.

    Args:
        text: a DSN that ``dsn_fault`` has nothing against.
    """
    dsn = Dsn(text)
    public = f"{dsn.scheme}://{dsn.public_key}@{dsn.netloc}{dsn.path}{dsn.project_id}"
    return f"{dsn.scheme}://{dsn.netloc}{dsn.path}api/embed/error-page/?dsn={quote(public, safe='')}"


def dsn_address(text: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a DSN.

    Args:
        text: a DSN that ``dsn_fault`` has nothing against.
    """
    dsn = Dsn(text)
    return dsn.scheme, dsn.host, dsn.port


def watch_transport(transport: Any, answered: Callable[[Any], None], lost: Callable[[str], None]) -> bool:
    """Have what a transport gets as answers, and what it loses, told; return whether answers can be.

    ``_request`` of the HTTP transports returns urllib3's or httpcore's response; the SDK has no hook for
    it. Missing, or a coroutine function: answers are not told.

    Args:
        transport: of a client.
        answered: called in the transport's thread with each response, or with the exception in its place.
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


def clean_span_headers(client: Any, clean: Callable[[dict[str, Any], set[Any]], dict[str, Any]]) -> None:
    """Have a function see the header ``trace`` of a client's envelopes of streamed spans.

    It is made of the segment, or came with the request's baggage, and goes past every hook.
    Checked with sentry-sdk 2.75.0. ``span_batcher._capture_func`` takes each envelope. Missing: no spans are
    streamed.

    Args:
        client: one that streams spans, or not.
        clean: takes the header and the names of the spans, and returns what it may say.
    """
    batcher = getattr(client, "span_batcher", None)
    capture = getattr(batcher, "_capture_func", None)
    if batcher is None or capture is None:
        return

    def capture_cleaned(envelope: Any) -> Any:
        trace = envelope.headers.get("trace")
        if trace is not None:
            try:
                envelope.headers["trace"] = clean(trace, _names_of_spans(envelope))
            except Exception:  # of no shape that there is: spans are worth more than their header
                del envelope.headers["trace"]
        return capture(envelope)

    batcher._capture_func = capture_cleaned


def _names_of_spans(envelope: Any) -> set[Any]:
    """Return the names of the spans of an envelope, which redaction has seen."""
    names = set()
    for item in envelope.items:
        for span in (getattr(item.payload, "json", None) or {}).get("items") or ():
            names.add(span.get("name"))
    return names
