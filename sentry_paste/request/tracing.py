"""The trace of one request, as a transaction or as streamed spans, and its meta tags for templates.

``trace_lifecycle = static`` collects a transaction and sends it at its end;
``stream`` sends each span when it ends. Both begin with the incoming trace headers
and end with the response's status. Everything here runs in the request's own
context.
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

# The attribute with the source of a streamed span's name.
_SOURCE = "sentry.segment.name.source"


class TraceStart(NamedTuple):
    """The data with which a trace begins.

    Attributes:
        strings: the snapshot of the environ.
        environ: for a ``traces_sampler``, as ``wsgi_environ``; it is not kept.
        name: of the transaction, until a framework has a better one.
        source: of the name.
        sampled_by: the client whose options decide on sampling, None for the active one.
        begun: its start, by ``time.perf_counter_ns``.
        sample_rand: the random number that decides on sampling, None if the SDK chooses it.
        headers: of the caller, from which the trace goes on.
        is_head: whether the caller does not report to Sentry, so that this service decides for the trace.
    """

    strings: dict[str, str]
    environ: dict[str, Any]
    name: str
    source: str
    sampled_by: Any
    begun: int
    sample_rand: float | None
    headers: dict[str, str]
    is_head: bool


class Trace(Protocol):
    """The interface of a request's trace."""

    def record_status(self, status: int) -> None:
        """Record the response's status, also for events that are captured later.

        Args:
            status: HTTP status code.
        """

    def rename(self, name: str, source: str) -> None:
        """Give the trace a better name than it began with, unless an integration has.

        Args:
            name: from a rule in the ini, which always takes precedence, or from a framework.
            source: of the name.
        """

    def record_user(self, name: str) -> None:
        """Record who is signed in.

        Args:
            name: of the user.
        """

    def keep(self, client: Any, rate: float, over_caller: bool) -> bool:
        """Have the trace sent at a rate; return whether it would not have been sent otherwise.

        Args:
            client: that sends it, with this rate.
            rate: from 0 to 1.
            over_caller: whether to send it also if the caller has decided otherwise.
        """

    def mark(self, name: str, value: str) -> None:
        """Add something to what is known of the request.

        Args:
            name: of an attribute.
            value: of the attribute.
        """

    def pardon(self) -> None:
        """Record that the request has not failed, whatever its status."""

    def cut(self) -> None:
        """End the trace before the response has ended, and mark it."""

    def finish(self, error: BaseException | None) -> None:
        """End the trace.

        Args:
            error: that the app has raised, None if it has not.
        """

    def drop(self) -> None:
        """End the trace without sending it."""

    def leave(self) -> None:
        """Detach the ended trace from the current scope."""


def continue_without_transaction(begin: TraceStart) -> None:
    """Continue the caller's trace, or begin one, without a transaction.

    Events have the trace and the name nevertheless.

    Args:
        begin: the data with which the trace begins.
    """
    scope = sentry_sdk.get_isolation_scope()
    sdk.begin_trace(scope, begin.headers)
    if sdk.streams_spans(sentry_sdk.get_client().options):
        sdk.stream_no_spans(sentry_sdk.get_current_scope(), scope)
    # On the isolation scope, so that a framework's name wins if it is set there or on the current scope.
    scope.set_transaction_name(begin.name, source=begin.source)


@contextmanager
def _sampled_by(client: Any) -> Iterator[None]:
    """Let another client's options decide on sampling: the SDK looks at the current scope first."""
    if client is None:
        yield
        return
    with sdk.bound(sentry_sdk.get_current_scope(), client):
        yield


class TransactionTrace:
    """A transaction, ``trace_lifecycle = static``.

    Args:
        begin: the data with which the trace begins.
        keeps_spans: whether its spans are recorded even if it is not sampled.
    """

    __slots__ = ("_name", "_transaction")

    def __init__(self, begin: TraceStart, keeps_spans: bool = False) -> None:
        self._name = begin.name
        scope = sentry_sdk.get_isolation_scope()
        sdk.begin_trace(scope, {})
        transaction = scope.continue_trace(
            begin.headers,
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
        if begin.is_head:
            sdk.become_head(self._transaction)
        if keeps_spans:
            sdk.record_spans(self._transaction, sentry_sdk.get_client())
        self._transaction.__enter__()

    def record_status(self, status: int) -> None:
        """Record the response's status, also for events that are captured later.

        Args:
            status: HTTP status code.
        """
        self._transaction.set_http_status(status)

    def rename(self, name: str, source: str) -> None:
        """Give the transaction a better name than it began with, unless an integration has.

        Args:
            name: from a rule in the ini, which always takes precedence, or from a framework.
            source: of the name.
        """
        transaction: Any = self._transaction  # a NoOpSpan has neither attribute, and accepts both
        if source == CUSTOM or (
            getattr(transaction, "source", None) == URL and transaction.name == self._name
        ):
            transaction.name, transaction.source = name, source

    def record_user(self, name: str) -> None:
        """Do nothing: the event processor adds the user to transactions."""

    def keep(self, client: Any, rate: float, over_caller: bool) -> bool:
        """Have the transaction sent at a rate; return whether it would not have been sent otherwise.

        Args:
            client: that sends it.
            rate: from 0 to 1.
            over_caller: whether to send it also if the caller has decided otherwise.
        """
        return sdk.keep_transaction(self._transaction, client, rate, over_caller)

    def mark(self, name: str, value: str) -> None:
        """Add something to what is known of the request.

        Args:
            name: of an attribute.
            value: of the attribute.
        """
        self._transaction.set_data(name, value)

    def pardon(self) -> None:
        """Record that the request has not failed, whatever its status."""
        self._transaction.set_status("ok")

    def cut(self) -> None:
        """End the transaction before the response has ended, and mark it."""
        self._transaction.set_data("sentry_paste.cut", True)
        self._transaction.set_status("deadline_exceeded")
        self.finish(None)

    def finish(self, error: BaseException | None) -> None:
        """End the transaction, which sends it if it is sampled.

        Args:
            error: that the app has raised, None if it has not.
        """
        sdk.forget_spans(self._transaction)
        self._transaction.__exit__(None if error is None else type(error), error, None)

    def drop(self) -> None:
        """Do nothing: the SDK itself drops transactions by their status, when they end."""

    def leave(self) -> None:
        """Detach the transaction from the current scope, as it may have begun while another was current."""
        sdk.leave_span(self._transaction)


def _attributes(begin: TraceStart) -> dict[str, Any]:
    return {_SOURCE: begin.source, "sentry.origin": ORIGIN, "sentry.op": OPERATION}


class SpanTrace:
    """A streamed span, ``trace_lifecycle = stream``.

    Args:
        begin: the data with which the trace begins.
        address: of the client, None if it is not known.
    """

    __slots__ = ("_begin", "_name", "_span")

    def __init__(self, begin: TraceStart, address: str | None) -> None:
        self._name = begin.name
        # To begin again, if the span is not sampled and a rule has it sent.
        self._begin: tuple[TraceStart, str | None] | None = None
        attributes = _attributes(begin)
        with _sampled_by(begin.sampled_by):
            self._span = sdk.start_request_span(
                begin.name, attributes, begin.headers, begin.environ, begin.begun, begin.sample_rand
            )
        if begin.is_head:
            sdk.become_head(self._span)
        sdk.mark_server_span(sentry_sdk.get_current_scope(), self._span)
        if self._span.sampled:
            self._describe(begin, address)
        else:
            self._begin = begin._replace(environ={}), address

    def _describe(self, begin: TraceStart, address: str | None) -> None:
        try:
            self._add_attributes(begin, address)
        except Exception:  # text that no server should pass on; the span is sent without attributes
            log_failure("a span lacks some of its attributes")

    def _add_attributes(self, begin: TraceStart, address: str | None) -> None:
        attributes = sdk.request_attributes(begin.strings)
        # The SDK uses an address from a header, which the client can forge.
        if "client.address" in attributes:
            attributes["client.address"] = address or ""
        self._span.set_attributes(attributes)

    def record_status(self, status: int) -> None:
        """Record the response's status, also for events that are captured later.

        Args:
            status: HTTP status code.
        """
        self._span.status = "error" if status >= 400 else "ok"
        self._span.set_attribute("http.response.status_code", status)

    def rename(self, name: str, source: str) -> None:
        """Give the span a better name than it began with, unless an integration has.

        Args:
            name: from a rule in the ini, which always takes precedence, or from a framework.
            source: of the name.
        """
        if source == CUSTOM or (
            self._span.get_attributes().get(_SOURCE) == URL and self._span.name == self._name
        ):
            self._span.name = name
            self._span.set_attribute(_SOURCE, source)

    def record_user(self, name: str) -> None:
        """Record who is signed in.

        Args:
            name: of the user.
        """
        self._span.set_attribute("user.name", name)

    def keep(self, client: Any, rate: float, over_caller: bool) -> bool:
        """Have the span sent at a rate; return whether it would not have been sent otherwise.

        Args:
            client: that sends it, with this rate.
            rate: from 0 to 1.
            over_caller: whether to send it also if the caller has decided otherwise.
        """
        attributes = {} if self._begin is None else _attributes(self._begin[0])
        begun = 0 if self._begin is None else self._begin[0].begun
        found = sdk.keep_segment(self._span, client, rate, over_caller, attributes, begun)
        if found is None or self._begin is None:
            return False
        self._span = found
        sdk.mark_server_span(sentry_sdk.get_current_scope(), found)
        self._describe(*self._begin)
        return True

    def mark(self, name: str, value: str) -> None:
        """Add something to what is known of the request.

        Args:
            name: of an attribute.
            value: of the attribute.
        """
        self._span.set_attribute(name, value)

    def pardon(self) -> None:
        """Record that the request has not failed, whatever its status."""
        self._span.status = "ok"

    def cut(self) -> None:
        """End the span before the response has ended, and mark it."""
        self._span.set_attribute("sentry_paste.cut", True)
        self._span.status = "error"
        self.finish(None)

    def finish(self, error: BaseException | None) -> None:
        """End the span, which sends it if it is sampled.

        Args:
            error: that the app has raised, None if it has not.
        """
        if self._span.sampled:
            self._add_tags()
        self._span.__exit__(None if error is None else type(error), error, None)
        # Break the reference cycle between the scope and the span.
        sdk.mark_server_span(sentry_sdk.get_current_scope(), None)

    def _add_tags(self) -> None:
        """Add the tags of the ini and of the app, which a transaction has but the SDK leaves out of spans."""
        tags, _, _ = sdk.set_by_app()
        found = {**getattr(sentry_sdk.get_client(), "tags", {}), **tags}
        for name in found.keys() - self._span.get_attributes().keys():
            self._span.set_attribute(name, sdk.plain_value(found[name]))

    def drop(self) -> None:
        """End the span without sending it or the spans below it."""
        sdk.drop_trace(sentry_sdk.get_client(), self._span)
        sdk.mark_server_span(sentry_sdk.get_current_scope(), None)

    def leave(self) -> None:
        """Detach the span from the current scope, as it may have begun while another was current."""
        sdk.leave_span(self._span)


#: The key of the meta tags in the environ.
TRACE_META_KEY = "sentry.trace_meta"


class TraceMeta:
    """The ``<meta>`` tags with which a browser's SDK continues the trace of the request that made its page.

    They are created when a template renders them, from the current trace:
    https://docs.sentry.io/platforms/python/tracing/distributed-tracing/custom-trace-propagation/. Template
    languages that escape values, such as Mako, Jinja2 and Chameleon, call ``__html__``.
    """

    __slots__ = ()

    def __str__(self) -> str:
        try:
            return sentry_sdk.get_current_scope().trace_propagation_meta()
        except Exception:  # the page is rendered without them
            return ""

    __html__ = __str__

    def __repr__(self) -> str:
        # For local variables in stack traces.
        return "<the trace's meta tags>"


#: One object for all requests: it renders the trace of the current context.
TRACE_META = TraceMeta()
