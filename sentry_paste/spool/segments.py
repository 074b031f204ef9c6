"""Put streamed spans together to transactions: one for each request, with the spans below it.

A streamed span is sent when it ends, so the spans of a request may be in several
envelopes. The result has the form of
https://develop.sentry.dev/sdk/data-model/event-payloads/transaction/.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

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


# The fields of a user by their attributes.
_USER = {"id": "user.id", "username": "user.name", "email": "user.email", "ip_address": "user.ip_address"}


def transactions(payloads: Iterable[Any]) -> list[dict[str, Any]]:
    """Return the transactions that streamed spans make, in the order in which they have ended.

    Spans whose segment is missing make none.

    Args:
        payloads: decoded items of the type ``span``, of any number of envelopes.
    """
    spans = [span for payload in payloads for span in fields.items(fields.mapping(payload).get("items"))]
    below: dict[str, list[dict[str, Any]]] = {}
    for span in spans:
        if span.get("is_segment") is not True:
            below.setdefault(_attribute(span, "sentry.segment.id"), []).append(span)
    return [
        _transaction(span, below.get(fields.text(span.get("span_id")), []))
        for span in spans
        if span.get("is_segment") is True
    ]


def _transaction(segment: Mapping[str, Any], spans: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    data = dict(_attributes(segment))
    trace = {
        **{name: segment[name] for name in ("trace_id", "span_id", "parent_span_id") if name in segment},
        "op": fields.text(data.get("sentry.op")),
        "origin": fields.text(data.get("sentry.origin")),
        "status": _status(segment, data),
        "data": data,
    }
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
        "spans": [_span(span) for span in spans],
    }


def _span(span: Mapping[str, Any]) -> dict[str, Any]:
    data = dict(_attributes(span))
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


def _attributes(span: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, attribute in fields.mapping(span.get("attributes")).items():
        yield name, fields.mapping(attribute).get("value")


def _attribute(span: Mapping[str, Any], name: str) -> str:
    return fields.text(fields.mapping(fields.mapping(span.get("attributes")).get(name)).get("value"))


def _status(segment: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """Return the status of a transaction, which says more than that of a segment: ``ok`` or ``error``."""
    status, code = fields.text(segment.get("status")), data.get("http.response.status_code")
    if data.get("sentry_paste.cut") is True:
        return "deadline_exceeded"
    if status != "error":
        return status
    if not isinstance(code, int) or code < 400:
        return "internal_error"
    return _STATUSES.get(code, "internal_error" if code >= 500 else "invalid_argument")
