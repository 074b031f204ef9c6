"""The trace of one request, in the two ways in which the SDK sends traces.

``trace_lifecycle = static`` collects a transaction and sends it at its end;
``stream`` sends each span when it ends. Both begin with the incoming trace
headers and end with the response's status. Everything here runs in the
request's own context.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.sdk.failures import log_failure
from sentry_paste.wsgi.naming import CUSTOM, URL

# https://develop.sentry.dev/sdk/telemetry/traces/span-operations/ and .../trace-origin/
OPERATION = "http.server"
ORIGIN = "auto.http.wsgi"


class Begin(NamedTuple):
    """What a trace begins with.

    Attributes:
        strings: the snapshot of the environ.
        environ: for a ``traces_sampler``, which gets it as ``wsgi_environ``; it is not kept.
        name: of the transaction, until a framework knows a better one.
        source: of the name.
        sampled_by: the client by whose options the trace is sampled, None for the one that is active.
        begun: when, by ``time.perf_counter_ns``.
        sample_rand: the random number that decides, None where the SDK is to choose it.
    """

    strings: dict[str, str]
    environ: dict[str, Any]
    name: str
    source: str
    sampled_by: Any
    begun: int
    sample_rand: float | None


class Trace(Protocol):
    """What a request does with its trace."""

    def record_status(self, status: int) -> None:
        """Note the response's status, for events that are captured from now on too.

        Args:
            status: HTTP status code.
        """

    def rename(self, name: str, source: str) -> None:
        """Give the trace a better name than it began with, unless an integration has.

        Args:
            name: a rule's of the ini, which wins in any case, or a framework's.
            source: of the name.
        """

    def cut(self) -> None:
        """End the trace before the response has ended, and mark it."""

    def finish(self, error: BaseException | None) -> None:
        """End the trace.

        Args:
            error: what the app raised, None where it did not.
        """

    def leave(self) -> None:
        """Let go of the current scope, now that the trace has ended."""


def continue_without_transaction(begin: Begin) -> None:
    """Join the caller's trace, or begin one, with no transaction of our own.

    Events get the trace and the name all the same.

    Args:
        begin: what the trace begins with.
    """
    scope = sentry_sdk.get_isolation_scope()
    sdk.begin_trace(scope, begin.strings)
    # On the isolation scope: a framework's own name wins, whether it is set there or on the current scope.
    scope.set_transaction_name(begin.name, source=begin.source)


@contextmanager
def _sampled_by(client: Any) -> Iterator[None]:
    """Have the SDK decide by another client's options: it looks at the current scope first."""
    if client is None:
        yield
        return
    with sdk.bound(sentry_sdk.get_current_scope(), client):
        yield


class TransactionTrace:
    """A transaction, ``trace_lifecycle = static``.

    Args:
        begin: what the trace begins with.
    """

    __slots__ = ("_name", "_transaction")

    def __init__(self, begin: Begin) -> None:
        self._name = begin.name
        scope = sentry_sdk.get_isolation_scope()
        sdk.begin_trace(scope, {})
        transaction = scope.continue_trace(
            sdk.trace_headers(begin.strings),
            op=OPERATION,
            name=begin.name,
            source=begin.source,
            origin=ORIGIN,
        )
        sdk.backdate(transaction, begin.begun, begin.sample_rand)
        with _sampled_by(begin.sampled_by):
            self._transaction = sentry_sdk.start_transaction(
                transaction, custom_sampling_context={"wsgi_environ": begin.environ}
            )
        self._transaction.__enter__()

    def record_status(self, status: int) -> None:
        """Note the response's status, for events that are captured from now on too.

        Args:
            status: HTTP status code.
        """
        self._transaction.set_http_status(status)

    def rename(self, name: str, source: str) -> None:
        """Give the transaction a better name than it began with, unless an integration has.

        Args:
            name: a rule's of the ini, which wins in any case, or a framework's.
            source: of the name.
        """
        transaction: Any = self._transaction  # a NoOpSpan has neither, and takes both
        if source == CUSTOM or (
            getattr(transaction, "source", None) == URL and transaction.name == self._name
        ):
            transaction.name, transaction.source = name, source

    def cut(self) -> None:
        """End the transaction before the response has ended, and mark it."""
        self._transaction.set_data("sentry_paste.cut", True)
        self._transaction.set_status("deadline_exceeded")
        self.finish(None)

    def finish(self, error: BaseException | None) -> None:
        """End the transaction, which sends it where it is sampled.

        Args:
            error: what the app raised, None where it did not.
        """
        self._transaction.__exit__(None if error is None else type(error), error, None)

    def leave(self) -> None:
        """Let go of the current scope: the transaction may have begun while another was current."""
        sdk.leave_span(self._transaction)


class SpanTrace:
    """A streamed span, ``trace_lifecycle = stream``.

    Args:
        begin: what the trace begins with.
        address: the client's, None where it is not known.
    """

    __slots__ = ("_name", "_span")

    def __init__(self, begin: Begin, address: str | None) -> None:
        self._name = begin.name
        sentry_sdk.traces.continue_trace(sdk.trace_headers(begin.strings))
        sdk.set_sampling_context(begin.environ)
        with _sampled_by(begin.sampled_by):
            self._span = sentry_sdk.traces.start_span(
                name=begin.name,
                attributes={
                    _SOURCE: begin.source,
                    "sentry.origin": ORIGIN,
                    "sentry.op": OPERATION,
                },
                parent_span=None,
            )
        sdk.mark_server_span(sentry_sdk.get_current_scope(), self._span)
        if self._span.sampled:
            try:
                self._add_attributes(begin, address)
            except Exception:  # text that no server should have passed on; the span is worth more than they
                log_failure("a span has not all of its attributes")

    def _add_attributes(self, begin: Begin, address: str | None) -> None:
        attributes = sdk.request_attributes(begin.strings)
        # The SDK takes the address that the client itself has put into a header.
        if "client.address" in attributes:
            attributes["client.address"] = address or ""
        self._span.set_attributes(attributes)

    def record_status(self, status: int) -> None:
        """Note the response's status, for events that are captured from now on too.

        Args:
            status: HTTP status code.
        """
        self._span.status = "error" if status >= 400 else "ok"
        self._span.set_attribute("http.response.status_code", status)

    def rename(self, name: str, source: str) -> None:
        """Give the span a better name than it began with, unless an integration has.

        Args:
            name: a rule's of the ini, which wins in any case, or a framework's.
            source: of the name.
        """
        if source == CUSTOM or (
            self._span.get_attributes().get(_SOURCE) == URL and self._span.name == self._name
        ):
            self._span.name = name
            self._span.set_attribute(_SOURCE, source)

    def cut(self) -> None:
        """End the span before the response has ended, and mark it."""
        self._span.set_attribute("sentry_paste.cut", True)
        self._span.status = "error"
        self.finish(None)

    def finish(self, error: BaseException | None) -> None:
        """End the span, which sends it where it is sampled.

        Args:
            error: what the app raised, None where it did not.
        """
        self._span.__exit__(None if error is None else type(error), error, None)
        # The scope holds the span, and the span the scope.
        sdk.mark_server_span(sentry_sdk.get_current_scope(), None)

    def leave(self) -> None:
        """Let go of the current scope, as the span has done when it ended."""


_SOURCE = "sentry.segment.name.source"


#: The key of the environ.
TRACE_META_KEY = "sentry.trace_meta"


class TraceMeta:
    """The ``<meta>`` tags by which a browser's SDK continues the trace of the request that made its page.

    Made when a template shows it, and of whatever is the current trace then:
    https://docs.sentry.io/platforms/python/tracing/distributed-tracing/custom-trace-propagation/. Templates
    that escape what they show ask for ``__html__``, as Mako's, Jinja2's and Chameleon's do.
    """

    __slots__ = ()

    def __str__(self) -> str:
        try:
            return sentry_sdk.get_current_scope().trace_propagation_meta()
        except Exception:  # a page is worth more than its trace
            return ""

    __html__ = __str__

    def __repr__(self) -> str:
        # For the variables of frames, which are looked at when an error is captured.
        return "<the trace's meta tags>"


#: The same for all requests: what it shows is that of the context in which it is shown.
TRACE_META = TraceMeta()
