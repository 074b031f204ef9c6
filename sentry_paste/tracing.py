"""The trace of one request, in the two ways in which the SDK sends traces.

``trace_lifecycle = static`` collects a transaction and sends it at its end;
``stream`` sends each span when it ends. Both begin with the incoming trace
headers and end with the response's status. Everything here runs in the
request's own context.
"""

from __future__ import annotations

from typing import Any, Protocol

import sentry_sdk
from sentry_sdk.scope import Scope

from sentry_paste import sdk

# https://develop.sentry.dev/sdk/telemetry/traces/span-operations/ and .../trace-origin/
OPERATION = "http.server"
ORIGIN = "auto.http.wsgi"


class Trace(Protocol):
    """What a request does with its trace."""

    def finish(self, status: int | None, error: BaseException | None) -> None:
        """End the trace.

        Args:
            status: HTTP status code, None where no response was started.
            error: what the app raised, None where it did not.
        """


# In both functions below, a new trace comes before what the headers say: an SDK that finds no trace in them
# keeps what the scope has (2.18 does), and that is what it was forked with, the same for all requests of a
# thread.


def continue_without_transaction(strings: dict[str, str], name: str) -> None:
    """Join the caller's trace, or begin one, with no transaction of our own.

    Events get the trace and the name all the same.

    Args:
        strings: the snapshot of the environ.
        name: of the transaction that events are to tell.
    """
    scope = sentry_sdk.get_isolation_scope()
    if sdk.streams_spans(sentry_sdk.get_client().options):
        sentry_sdk.traces.continue_trace(dict(_headers(strings)))
    else:
        scope.set_new_propagation_context()
        scope.generate_propagation_context(dict(_headers(strings)))
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
        scope.set_new_propagation_context()
        transaction = scope.continue_trace(
            dict(_headers(strings)), op=OPERATION, name=name, source="url", origin=ORIGIN
        )
        self._transaction = sentry_sdk.start_transaction(
            transaction, custom_sampling_context={"wsgi_environ": environ}
        )
        self._transaction.__enter__()

    def finish(self, status: int | None, error: BaseException | None) -> None:
        """End the transaction, which sends it where it is sampled.

        Args:
            status: HTTP status code, None where no response was started.
            error: what the app raised, None where it did not.
        """
        if status is not None:
            self._transaction.set_http_status(status)
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
        sentry_sdk.traces.continue_trace(dict(_headers(strings)))
        Scope.set_custom_sampling_context({"wsgi_environ": environ})
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
            self._span.set_attributes(sdk.request_attributes(strings))

    def finish(self, status: int | None, error: BaseException | None) -> None:
        """End the span, which sends it where it is sampled.

        Args:
            status: HTTP status code, None where no response was started.
            error: what the app raised, None where it did not.
        """
        if status is not None:
            self._span.status = "error" if status >= 400 else "ok"
            self._span.set_attribute("http.response.status_code", status)
        self._span.__exit__(None if error is None else type(error), error, None)


def _headers(strings: dict[str, str]) -> list[tuple[str, str]]:
    """Return the headers in the environ's spelling, which the SDK reads: it chooses what it knows."""
    return [item for item in strings.items() if item[0].startswith("HTTP_")]
