"""The W3C's headers in outgoing calls, next to Sentry's own.

No sentry-sdk up to 2.75.0 and 3.0.0b2 sends them. If a newer one has the option that Sentry's SDKs for other
languages have, that is set. Otherwise: the SDK's integrations add to a call what
``Scope.iter_trace_propagation_headers`` yields, once they have looked at ``trace_propagation_targets``.
Missing: the headers are not sent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from http.client import HTTPConnection
from typing import Any

from sentry_sdk.scope import Scope

from sentry_paste.sdk.failures import log_failure
from sentry_paste.sdk.options import client_options
from sentry_paste.sdk.scopes import current_request

#: Makes headers of the value of ``sentry-trace`` and the texts of the current request's environ.
Headers = Callable[[str, Mapping[str, Any]], Iterable[tuple[str, str]]]

_OPTION = "propagate_traceparent"
_NAMES = ("traceparent", "tracestate")
# Attributes of a client, and of a connection.
_HEADERS = "_sentry_paste_headers"
_LINES = "_sentry_paste_lines"

_is_for_page: ContextVar[bool] = ContextVar("sentry_paste_is_for_page", default=False)


def add_to_outgoing_calls(client: Any, headers: Headers) -> None:
    """Add headers to the calls for which a client propagates its trace.

    Args:
        client: that captures; its views add them too.
        headers: makes them; no other names than the W3C's.
    """
    if any(name == _OPTION for name, _, _ in client_options()):
        client.options[_OPTION] = True
        return
    setattr(client, _HEADERS, headers)
    _patch()


@lru_cache(maxsize=1)
def _patch() -> None:
    _replace(Scope, "iter_trace_propagation_headers", _with_more)
    _replace(Scope, "trace_propagation_meta", _without_more)
    _replace(HTTPConnection, "putheader", _once)


def _replace(cls: Any, name: str, replacement: Callable[[Any], Any]) -> None:
    original = getattr(cls, name, None)
    # Another thread may have been here in the meantime.
    if original is not None and original.__module__ != __name__:
        setattr(cls, name, replacement(original))


def _with_more(original: Any) -> Any:
    def iter_trace_propagation_headers(self: Any, *args: Any, **kwargs: Any) -> Iterator[tuple[str, str]]:
        found = original(self, *args, **kwargs)
        headers = getattr(self.get_client(), _HEADERS, None)
        return found if headers is None or _is_for_page.get() else _with(headers, found)

    return iter_trace_propagation_headers


def _with(headers: Headers, found: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    trace = None
    for name, value in found:
        if name == "sentry-trace":
            trace = value
        yield name, value
    if trace is None:
        return
    try:
        request = current_request()
        more = list(headers(trace, {} if request is None else request.strings))
    except Exception:
        log_failure("a call is made without the W3C's headers")
        return
    for name, value in more:
        yield name, _Added(value)


def _without_more(original: Any) -> Any:
    """Leave them out of ``<meta>`` tags, which are for Sentry's SDK in the browser, and not escaped."""

    def trace_propagation_meta(self: Any, *args: Any, **kwargs: Any) -> Any:
        token = _is_for_page.set(True)
        try:
            return original(self, *args, **kwargs)
        finally:
            _is_for_page.reset(token)

    return trace_propagation_meta


class _Added(str):
    """The value of a header that was added here, and not by the app."""

    __slots__ = ()

    def __reduce__(self) -> Any:
        # Queues of tasks pickle them, for workers that may not have this package.
        return str, (str(self),)


def _once(original: Any) -> Any:
    """Leave out what was added to a call that has such headers of the app's own.

    The SDK adds its headers to a connection before the app's, or after them, and does not look whether they
    are there. Two ``traceparent`` headers count as none. ``_buffer`` has the lines of the request. Missing:
    both are sent.
    """

    def putheader(self: Any, header: Any, *values: Any) -> None:
        name = _lower(header)
        lines = getattr(self, "_buffer", None) if name in _NAMES else None
        if type(lines) is not list:
            original(self, header, *values)
            return
        added = vars(self).setdefault(_LINES, [])
        if not (values and isinstance(values[0], _Added)):
            lines[:] = [line for line in lines if line not in added]
            original(self, header, *values)
            return
        if name == "traceparent":  # the first of a request; the connection may have made others
            added.clear()
        if not any(_lower(line).startswith(_NAMES) and line not in added for line in lines):
            original(self, header, *values)
            added.append(lines[-1])

    return putheader


def _lower(header: Any) -> str:
    text = header.decode("latin-1") if isinstance(header, bytes) else header
    return text.lower() if isinstance(text, str) else ""
