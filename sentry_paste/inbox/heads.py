"""The request at the head of a page: its method, address, status and transaction."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sentry_paste.spool import Contents, fields, segments

# Sentry's words for how a request ended, as far as they are the client's fault, not the app's.
_REFUSED = (
    "already_exists",
    "cancelled",
    "failed_precondition",
    "invalid_argument",
    "not_found",
    "out_of_range",
    "permission_denied",
    "resource_exhausted",
    "unauthenticated",
)
_FINE = ("", "ok", "unset")

_ADDRESS = re.compile(r"(?P<site>[A-Za-z][A-Za-z0-9+.-]{0,20}://[^/?#]{0,500})(?P<path>.*)", re.DOTALL)


@dataclass(frozen=True)
class Head:
    """What is known of a request. Unknown texts are empty.

    Attributes:
        method: method.
        site: scheme and host of its URL.
        path: path and query of its URL.
        status: HTTP status code with its phrase, or Sentry's word for how it ended.
        tone: ``fine``, ``refused`` for the client's fault, ``failed`` for the app's; empty if unknown.
        transaction: name of the transaction.
    """

    method: str = ""
    site: str = ""
    path: str = ""
    status: str = ""
    tone: str = ""
    transaction: str = ""

    @property
    def url(self) -> str:
        """The whole URL."""
        return f"{self.site}{self.path}"


def head_of_error(contents: Contents, related: Iterable[Contents]) -> Head:
    """Return the request of an error or a message.

    Args:
        contents: contents of its envelope.
        related: contents of the other envelopes of its trace, one of which may have how the request ended.
    """
    event = next(
        (payload for type_, payload in contents.payloads if type_ == "event" and isinstance(payload, dict)),
        {},
    )
    own = _head(event)
    if own.status:
        return own
    for other in _transactions(related):
        found = _head(other)
        if found.status and _is_same_request(own, found):
            return _with_status(own, found.status, found.tone)
    if any(error.handled is False for error in contents.errors):
        return _with_status(own, "crashed", "failed")
    return own


def head_of_trace(files: Iterable[Contents], segment: str) -> Head:
    """Return the request of a trace.

    Args:
        files: contents of its envelopes.
        segment: span id of the transaction or segment that began it, or empty.
    """
    heads = ((_trace_of(event).get("span_id"), _head(event)) for event in _transactions(files))
    return next((head for identity, head in heads if not segment or identity == segment), Head())


def head_of_transaction(contents: Contents) -> Head:
    """Return the request of a transaction.

    Args:
        contents: contents of its envelope.
    """
    return next((_head(event) for event in _transactions([contents])), Head())


def _transactions(files: Iterable[Contents]) -> Iterator[Mapping[str, Any]]:
    for contents in files:
        streamed = []
        for type_, payload in contents.payloads:
            if type_ == "transaction" and isinstance(payload, dict):
                yield payload
            elif type_ == "span":
                streamed.append(payload)
        yield from segments.transactions(streamed)


def _is_same_request(one: Head, other: Head) -> bool:
    """Return whether two may be the same request: a trace may have requests of several services."""
    if one.path and other.path:
        return (one.method, one.url) == (other.method, other.url)
    return one.transaction == other.transaction


def _trace_of(event: Mapping[str, Any]) -> Mapping[str, Any]:
    return fields.mapping(fields.mapping(event.get("contexts")).get("trace"))


def _head(event: Mapping[str, Any]) -> Head:
    request = fields.mapping(event.get("request"))
    url, query = fields.text(request.get("url")), request.get("query_string")
    if isinstance(query, str) and query and "?" not in url:
        url = f"{url}?{query.lstrip('?')}"
    found = _ADDRESS.fullmatch(url)
    response = fields.mapping(fields.mapping(event.get("contexts")).get("response"))
    status, tone = _status(response.get("status_code"), fields.text(_trace_of(event).get("status")))
    return Head(
        method=fields.text(request.get("method"))[:20],
        site=found["site"] if found else "",
        path=(found["path"] or "/") if found else url,
        status=status,
        tone=tone,
        transaction=fields.text(event.get("transaction")),
    )


def _status(code: Any, word: str) -> tuple[str, str]:
    """Return what to show of how a request ended, and its tone."""
    if isinstance(code, str) and re.fullmatch(r"[1-5][0-9]{2}", code, re.ASCII):
        code = int(code)
    if type(code) is int and 100 <= code < 600:
        # A response that broke off has a status that says nothing of that.
        has_broken = code < 400 and word not in (*_FINE, *_REFUSED)
        tone = "failed" if code >= 500 or has_broken else "refused" if code >= 400 else "fine"
        more = f", {_words(word)}" if has_broken else ""
        try:
            return f"{code} {HTTPStatus(code).phrase}{more}", tone
        except ValueError:
            return f"{code}{more}", tone
    if word in _FINE:
        return word, "fine" if word == "ok" else ""
    return _words(word), "refused" if word in _REFUSED else "failed"


def failure(word: str) -> tuple[str, str] | None:
    """Return in words how a span failed, and its tone; None if it did not.

    Args:
        word: Sentry's word for how it ended, or empty.
    """
    shown, tone = _status(None, word)
    return (shown[:25], tone) if tone in ("refused", "failed") else None


def _words(word: str) -> str:
    return word.replace("_", " ")[:60]


def _with_status(head: Head, status: str, tone: str) -> Head:
    return Head(head.method, head.site, head.path, status, tone, head.transaction)
