"""The trace of one request, in the two ways in which the SDK sends traces.

``trace_lifecycle = static`` collects a transaction and sends it at its end;
``stream`` sends each span when it ends. Both begin with the incoming trace
headers and end with the response's status. Everything here runs in the
request's own context.
"""

from __future__ import annotations

import logging
from typing import Any, Protocol

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.request import address_of

log = logging.getLogger("sentry_paste")

# https://develop.sentry.dev/sdk/telemetry/traces/span-operations/ and .../trace-origin/
OPERATION = "http.server"
ORIGIN = "auto.http.wsgi"


class Trace(Protocol):
    """What a request does with its trace."""

    def note_status(self, status: int) -> None:
        """Note the response's status, for events that are captured from now on too.

        Args:
            status: HTTP status code.
        """

    def finish(self, error: BaseException | None) -> None:
        """End the trace.

        Args:
            error: what the app raised, None where it did not.
        """


def continue_without_transaction(strings: dict[str, str], name: str) -> None:
    """Join the caller's trace, or begin one, with no transaction of our own.

    Events get the trace and the name all the same.

    Args:
        strings: the snapshot of the environ.
        name: of the transaction that events are to tell.
    """
    scope = sentry_sdk.get_isolation_scope()
    sdk.begin_trace(scope, strings)
    # On the isolation scope: a framework's own name wins, whether it is set there or on the current scope.
    scope.set_transaction_name(name, source="url")


class TransactionTrace:
    """A transaction, ``trace_lifecycle = static``.

    Args:
        strings: the snapshot of the environ.
        name: of the transaction, until a framework knows a better one.
        environ: for a ``traces_sampler``, which gets it as ``wsgi_environ``; it is not kept.
    """

    __slots__ = ("_transaction",)

    def __init__(self, strings: dict[str, str], name: str, environ: dict[str, Any]) -> None:
        scope = sentry_sdk.get_isolation_scope()
        sdk.begin_trace(scope, {})
        transaction = scope.continue_trace(
            sdk.trace_headers(strings), op=OPERATION, name=name, source="url", origin=ORIGIN
        )
        self._transaction = sentry_sdk.start_transaction(
            transaction, custom_sampling_context={"wsgi_environ": environ}
        )
        self._transaction.__enter__()

    def note_status(self, status: int) -> None:
        """Note the response's status, for events that are captured from now on too.

        Args:
            status: HTTP status code.
        """
        self._transaction.set_http_status(status)

    def finish(self, error: BaseException | None) -> None:
        """End the transaction, which sends it where it is sampled.

        Args:
            error: what the app raised, None where it did not.
        """
        self._transaction.__exit__(None if error is None else type(error), error, None)


class SpanTrace:
    """A streamed span, ``trace_lifecycle = stream``.

    Args:
        strings: the snapshot of the environ.
        name: of the segment, until a framework knows a better one.
        environ: for a ``traces_sampler``.
    """

    __slots__ = ("_span",)

    def __init__(self, strings: dict[str, str], name: str, environ: dict[str, Any]) -> None:
        sentry_sdk.traces.continue_trace(sdk.trace_headers(strings))
        sdk.set_sampling_context(environ)
        self._span = sentry_sdk.traces.start_span(
            name=name,
            attributes={
                "sentry.segment.name.source": "url",
                "sentry.origin": ORIGIN,
                "sentry.op": OPERATION,
            },
            parent_span=None,
        )
        sdk.mark_server_span(sentry_sdk.get_current_scope(), self._span)
        if self._span.sampled:
            try:
                self._add_attributes(strings)
            except Exception:  # text that no server should have passed on; the span is worth more than they
                log.warning("Sentry failed: a span has not all of its attributes", exc_info=True)

    def _add_attributes(self, strings: dict[str, str]) -> None:
        attributes = sdk.request_attributes(strings)
        # The SDK takes the address that the client itself has put into a header.
        if "client.address" in attributes:
            attributes["client.address"] = address_of(strings) or ""
        self._span.set_attributes(attributes)

    def note_status(self, status: int) -> None:
        """Note the response's status, for events that are captured from now on too.

        Args:
            status: HTTP status code.
        """
        self._span.status = "error" if status >= 400 else "ok"
        self._span.set_attribute("http.response.status_code", status)

    def finish(self, error: BaseException | None) -> None:
        """End the span, which sends it where it is sampled.

        Args:
            error: what the app raised, None where it did not.
        """
        self._span.__exit__(None if error is None else type(error), error, None)
        # The scope holds the span, and the span the scope.
        sdk.mark_server_span(sentry_sdk.get_current_scope(), None)
