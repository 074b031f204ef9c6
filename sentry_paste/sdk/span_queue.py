"""Streamed spans in the SDK's queue: they are cleaned together, and encoded, when they are sent."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from sentry_paste.sdk.failures import log_failure

try:
    from sentry_sdk.utils import serialize_attribute as _sdk_serialize_attribute
except ImportError:  # pragma: no cover - missing: no spans are streamed, or the SDK encodes them
    _sdk_serialize_attribute = None  # type: ignore[assignment]

_serialize_attribute: Any = _sdk_serialize_attribute

# The key of a span's request while the span is queued.
_REQUEST = "sentry_paste.request"
# How long one flush waits for another, in seconds.
_LONGEST_TURN = 5.0


def clean_spans_in_envelopes(
    client: Any, hook: Any, request: Callable[[], Any], clean: Callable[[Any, list[Any]], None]
) -> None:
    """Clean a client's streamed spans when they are sent, in place of its hook ``before_send_span``.

    The spans of a request are then cleaned together, in a third of the time. And the SDK makes a span and all
    its attributes again from what the hook returns, even if nothing has changed. Checked with sentry-sdk
    2.75.0 and 3.0.0b2. ``span_batcher.add`` is called with each span where it was captured,
    ``span_batcher._to_transport_format`` and then ``_capture_func`` in ``_flush``. Missing, or replaced by an
    app that has a hook as well: the hook stays.

    Args:
        client: that streams spans, or not.
        hook: the client's hook now, which does the same for one span.
        request: returns what is known of the current request, None outside of requests.
        clean: takes that, and spans of the request, which it changes.
    """
    batcher = getattr(client, "span_batcher", None)
    names = ("add", "_capture_func", "_to_transport_format", "_flush")
    needed: list[Any] = [getattr(batcher, name, None) for name in names]
    if batcher is None or not all(map(callable, needed)):
        return
    holders = [client.options, client.options.get("_experiments") or {}]
    hooked = [holder for holder in holders if holder.get("before_send_span") is not None]
    if [holder["before_send_span"] for holder in hooked] != [hook]:
        return
    hooked[0]["before_send_span"] = None
    add, capture, to_transport_format, flush = needed
    in_transport_format = _encoder(to_transport_format)
    turns = _Turns()

    def add_with_request(span: Any) -> Any:
        span[_REQUEST] = request()
        return add(span)

    def capture_cleaned(envelope: Any) -> Any:
        try:
            for payload in [item.payload.json for item in envelope.items]:
                _clean_by_request(payload["items"], clean)
                payload["items"] = in_transport_format(payload["items"])
        except Exception:  # of an unknown shape: what is not clean is not sent
            log_failure("spans are not sent")
            return None
        return capture(envelope)

    def flush_in_turn(*args: Any, **kwargs: Any) -> Any:
        return turns.take(partial(flush, *args, **kwargs))

    batcher.add = add_with_request
    # Whoever flushes waits for spans that another thread has taken and still cleans.
    batcher._flush = flush_in_turn
    # Once they are clean.
    batcher._to_transport_format = lambda span: span
    batcher._capture_func = capture_cleaned


# Attributes of these types are equal only if they are the same: minus zero equals zero.
_SHARED = frozenset({str, int, bool})
_SAMPLE: dict[str, Any] = {
    "trace_id": "1",
    "span_id": "1",
    "parent_span_id": "1",
    "name": "a",
    "status": "ok",
    "is_segment": True,
    "start_timestamp": 1.0,
    "end_timestamp": 1.0,
    "_segment_span": None,
    "attributes": {"a": "b", "c": [1], "d": 1.0, "e": True, "f": 1},
}
_BARE: dict[str, Any] = {**_SAMPLE, "attributes": {}}


def _encoder(to_transport_format: Callable[[Any], Any]) -> Callable[[list[Any]], list[Any]]:
    """Return a function that encodes spans as the SDK does: together if that has the same result."""
    try:
        is_same = all(_together([span]) == [to_transport_format(span)] for span in (_SAMPLE, _BARE))
    except Exception:  # of an unknown shape
        is_same = False
    return _together if is_same else lambda spans: [to_transport_format(span) for span in spans]


class _Attributes(dict[Any, Any]):
    """Encoded attributes by type and value: most are the same in all spans of a trace."""

    __slots__ = ()

    def __missing__(self, key: tuple[type, Any]) -> Any:
        found = self[key] = _serialize_attribute(key[1])
        return found


def _together(spans: list[Any]) -> list[Any]:
    """Return spans as the SDK encodes them."""
    known = _Attributes()
    encoded = []
    for span in spans:
        copied = span.copy()
        copied.pop("_segment_span", None)
        attributes = copied.pop("attributes", None)
        if attributes:
            copied["attributes"] = {
                # Copies: a transport may change one.
                name: known[kind, value].copy()
                if (kind := type(value)) in _SHARED
                else _serialize_attribute(value)
                for name, value in attributes.items()
            }
        encoded.append(copied)
    return encoded


class _Turns:
    """Lets threads take turns; a forked process has turns of its own, whatever the parent's threads do."""

    def __init__(self) -> None:
        self._of = os.getpid(), threading.RLock()

    def take(self, function: Callable[[], Any]) -> Any:
        """Call a function once no other thread does, or has done so for too long, as on a disk that hangs."""
        if self._of[0] != os.getpid():
            self._of = os.getpid(), threading.RLock()
        lock = self._of[1]
        is_taken = lock.acquire(timeout=_LONGEST_TURN)
        try:
            return function()
        finally:
            if is_taken:
                lock.release()


def _clean_by_request(spans: list[Any], clean: Callable[[Any, list[Any]], None]) -> None:
    by_request: dict[int, tuple[Any, list[Any]]] = {}
    for span in spans:
        # Without one, it was not queued by ``add``.
        request = span.pop(_REQUEST)
        by_request.setdefault(id(request), (request, []))[1].append(span)
    for request, listed in by_request.values():
        segments = [span.pop("_segment_span", None) for span in listed]
        clean(request, listed)
        for span, segment in zip(listed, segments):
            span["_segment_span"] = segment


class CheckedText(str):
    """A text of a caller's sampling context that has been searched for the secrets of the request."""

    __slots__ = ()


def clean_span_headers(
    client: Any,
    clean: Callable[[dict[str, Any], set[Any]], dict[str, Any]],
    check: Callable[[dict[str, Any]], dict[str, str]],
) -> None:
    """Clean the header ``trace`` of a client's envelopes of streamed spans with functions.

    The header comes from the segment or from the request's baggage, and no hook sees it. Checked with
    sentry-sdk 2.75.0 and 3.0.0b2. ``span_batcher._capture_func`` is called with each envelope, by a thread
    that knows no request; ``span_batcher.add`` with the segment, in its request. Missing: no spans are
    streamed.

    Args:
        client: that streams spans, or not.
        clean: takes the header and the names of the spans, and returns the header to send; what was checked
            are ``CheckedText``.
        check: takes the sampling context of the current request's segment, and returns the texts in it that
            come from the caller, without secrets.
    """
    batcher = getattr(client, "span_batcher", None)
    capture = getattr(batcher, "_capture_func", None)
    if batcher is None or capture is None:
        return
    add = batcher.add

    def add_checked(span: Any) -> Any:
        if span.get("is_segment"):
            baggage = getattr(span.get("_segment_span"), "_baggage", None)
            items = getattr(baggage, "sentry_items", None)
            if items:
                try:
                    items.update({name: CheckedText(text) for name, text in check(items).items()})
                except Exception:  # of an unknown shape: the spans are sent without these texts
                    log_failure("a trace is sent without its caller's facts")
        return add(span)

    batcher.add = add_checked

    def capture_cleaned(envelope: Any) -> Any:
        trace = envelope.headers.get("trace")
        if trace is not None:
            try:
                envelope.headers["trace"] = clean(trace, _names_of_spans(envelope))
            except Exception:  # of an unknown shape: the spans are sent without it
                del envelope.headers["trace"]
        return capture(envelope)

    batcher._capture_func = capture_cleaned


def _names_of_spans(envelope: Any) -> set[Any]:
    """Return the names of the spans in an envelope, which redaction has cleaned."""
    names = set()
    for item in envelope.items:
        for span in (getattr(item.payload, "json", None) or {}).get("items") or ():
            names.add(span.get("name"))
    return names
