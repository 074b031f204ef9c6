"""Put streamed spans together to transactions: one for each request, with the spans below it.

A streamed span is sent when it ends, so the spans of a request may be in several
envelopes: early ones before its segment, and late ones after it. The result has the form of
https://develop.sentry.dev/sdk/data-model/event-payloads/transaction/.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from sentry_paste.spool import fields

# By HTTP status: https://develop.sentry.dev/sdk/data-model/event-payloads/contexts/#trace-context.
_STATUSES = {
    400: "invalid_argument",
    401: "unauthenticated",
    403: "permission_denied",
    404: "not_found",
    409: "already_exists",
    413: "failed_precondition",
    429: "resource_exhausted",
    499: "cancelled",
    501: "unimplemented",
    503: "unavailable",
    504: "deadline_exceeded",
}


# The fields of a request by their attributes.
_REQUEST = {"url": "url.full", "method": "http.request.method", "query_string": "http.query"}

# The fields of a user by their attributes.
_USER = {"id": "user.id", "username": "user.name", "email": "user.email", "ip_address": "user.ip_address"}


class Request(NamedTuple):
    """A request as a list shows it: a transaction, or a segment of streamed spans.

    Attributes:
        id: span id of the transaction or the segment.
        trace_id: id of its trace, or empty.
        name: name of the transaction or the segment.
        status: HTTP status code and Sentry's word for how it ended, each if it is known.
        duration: in seconds; None if only other spans of it are there.
    """

    id: str
    trace_id: str
    name: str
    status: str
    duration: float | None


def requests(payloads: Iterable[tuple[str, Any]]) -> list[Request]:
    """Return the requests that an envelope has spans of.

    Args:
        payloads: types and decoded payloads of its items.
    """
    payloads = list(payloads)
    streamed = [payload for type_, payload in payloads if type_ == "span"]
    ended = [payload for type_, payload in payloads if type_ == "transaction" and isinstance(payload, dict)]
    ended += transactions(streamed)
    return [
        *(_request(event, duration(event)) for event in ended),
        *(_request(event, None) for event in unfinished(streamed)),
    ]


def _request(event: Mapping[str, Any], took: float | None) -> Request:
    contexts = fields.mapping(event.get("contexts"))
    trace = fields.mapping(contexts.get("trace"))
    code = fields.mapping(contexts.get("response")).get("status_code")
    return Request(
        id=fields.text(trace.get("span_id")),
        trace_id=fields.text(trace.get("trace_id")),
        name=fields.text(event.get("transaction")),
        status=" ".join(filter(None, (fields.text(code), fields.text(trace.get("status"))))),
        duration=took,
    )


def duration(event: Mapping[str, Any]) -> float | None:
    """Return the duration of a transaction in seconds, None if its times are missing.

    Args:
        event: payload of the transaction.
    """
    begin, end = fields.time(event.get("start_timestamp")), fields.time(event.get("timestamp"))
    return None if begin is None or end is None else (end - begin).total_seconds()


def transactions(payloads: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the transactions that streamed spans make, in the order in which they have ended.

    Spans whose segment is missing make none.

    Args:
        payloads: decoded items of the type ``span``, of any number of envelopes.
    """
    segments, below = _by_segment(payloads)
    return [_transaction(span, below.get(fields.text(span.get("span_id")), [])) for span in segments]


def unfinished(payloads: Iterable[Any]) -> list[dict[str, Any]]:
    """Return transactions in place of the segments that are missing, from the other spans of each.

    A segment is missing if its request is still running, or if it was lost, sent or removed. The transaction
    has no status, and lasts as long as the spans that are there.

    Args:
        payloads: decoded items of the type ``span``, of any number of envelopes.
    """
    segments, below = _by_segment(payloads)
    there = {fields.text(span.get("span_id")) for span in segments}
    return [_without_segment(identity, spans) for identity, spans in below.items() if identity not in there]


def ids(payloads: Iterable[Any]) -> set[str]:
    """Return the ids of the segments that spans are, or belong to.

    Args:
        payloads: decoded items of the type ``span``.
    """
    segments, below = _by_segment(payloads)
    return {*below, *(fields.text(span.get("span_id")) for span in segments)} - {""}


def of_segments(payload: Any, wanted: Collection[str]) -> dict[str, Any]:
    """Return a payload with only the spans of some segments.

    Args:
        payload: decoded item of the type ``span``.
        wanted: ids of the segments.
    """
    return {"items": [span for span in _spans([payload]) if segment_of(span) in wanted]}


def segment_of(span: Mapping[str, Any]) -> str:
    """Return the id of a span's segment, which may be the span itself; empty if it is unknown.

    Args:
        span: a streamed span.
    """
    is_segment = span.get("is_segment") is True
    return fields.text(span.get("span_id")) if is_segment else attribute(span, "sentry.segment.id")


def _by_segment(payloads: Iterable[Any]) -> tuple[list[dict[str, Any]], dict[str, list[dict[str, Any]]]]:
    """Return the segments, and the other spans by the id of their segment."""
    segments: list[dict[str, Any]] = []
    below: dict[str, list[dict[str, Any]]] = {}
    for span in _spans(payloads):
        if span.get("is_segment") is True:
            segments.append(span)
        else:
            below.setdefault(segment_of(span), []).append(span)
    return segments, below


def _spans(payloads: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for payload in payloads:
        yield from fields.items(fields.mapping(payload).get("items"))


def _without_segment(identity: str, spans: list[dict[str, Any]]) -> dict[str, Any]:
    first = spans[0]
    begins = [time for span in spans if (time := fields.time(span.get("start_timestamp")))]
    ends = [time for span in spans if (time := fields.time(span.get("end_timestamp")))]
    return {
        "type": "transaction",
        "transaction": attribute(first, "sentry.segment.name") or fields.text(first.get("name")),
        "contexts": {"trace": {"trace_id": first.get("trace_id"), "span_id": identity}},
        "start_timestamp": min(begins).timestamp() if begins else None,
        "timestamp": max(ends).timestamp() if ends else None,
        "release": attribute(first, "sentry.release"),
        "environment": attribute(first, "sentry.environment"),
        "spans": [_span(span) for span in spans],
    }


def _transaction(segment: Mapping[str, Any], spans: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    data = attributes(segment)
    trace = {
        **{name: segment[name] for name in ("trace_id", "span_id", "parent_span_id") if name in segment},
        "op": fields.text(data.get("sentry.op")),
        "origin": fields.text(data.get("sentry.origin")),
        "status": status(fields.text(segment.get("status")), data),
        "data": data,
    }
    request = {key: data[name] for key, name in _REQUEST.items() if name in data}
    if "url" in request:
        request["url"] = fields.text(request["url"]).partition("?")[0]
    user = {key: data[name] for key, name in _USER.items() if name in data}
    code = data.get("http.response.status_code")
    return {
        "type": "transaction",
        "transaction": fields.text(segment.get("name")),
        "transaction_info": {"source": fields.text(data.get("sentry.segment.name.source"))},
        "contexts": {"trace": trace, **({"response": {"status_code": code}} if code is not None else {})},
        "start_timestamp": segment.get("start_timestamp"),
        "timestamp": segment.get("end_timestamp"),
        "release": data.get("sentry.release"),
        "environment": data.get("sentry.environment"),
        **({"user": user} if user else {}),
        **({"request": request} if request else {}),
        "spans": [_span(span) for span in spans],
    }


def _span(span: Mapping[str, Any]) -> dict[str, Any]:
    data = attributes(span)
    return {
        **{name: span[name] for name in ("trace_id", "span_id", "parent_span_id") if name in span},
        "op": fields.text(data.get("sentry.op")),
        "origin": fields.text(data.get("sentry.origin")),
        "description": fields.text(span.get("name")),
        "status": fields.text(span.get("status")),
        "start_timestamp": span.get("start_timestamp"),
        "timestamp": span.get("end_timestamp"),
        "data": data,
    }


def attributes(span: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a streamed span as plain values.

    Args:
        span: a streamed span.
    """
    found = fields.mapping(span.get("attributes"))
    return {name: fields.mapping(given).get("value") for name, given in found.items()}


def attribute(span: Mapping[str, Any], name: str) -> str:
    """Return an attribute of a streamed span as text, empty if it has none.

    Args:
        span: a streamed span.
        name: of the attribute.
    """
    return fields.text(fields.mapping(fields.mapping(span.get("attributes")).get(name)).get("value"))


def status(given: str, data: Mapping[str, Any]) -> str:
    """Return the status of a transaction, which says more than that of a segment.

    Args:
        given: status of the segment, ``ok`` or ``error``.
        data: attributes of the segment, as plain values.
    """
    code = data.get("http.response.status_code")
    if data.get("sentry_paste.cut") is True:
        return "deadline_exceeded"
    if given != "error":
        return given
    if not isinstance(code, int) or code < 400:
        return "internal_error"
    return _STATUSES.get(code, "internal_error" if code >= 500 else "invalid_argument")
