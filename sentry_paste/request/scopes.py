"""The SDK's scopes, session and trace of a request, which are opened when they are first used.

The app, an integration or an error may use the scopes. Then everything is opened,
with the time at which the request began. A request that never uses its scopes is
settled after its last byte: usually that only counts one more healthy session.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any
from weakref import ref

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.config.keep_rules import KeepRule
from sentry_paste.redaction import values
from sentry_paste.redaction.names import RECORDED_USER
from sentry_paste.request.attributes import add_attributes
from sentry_paste.request.event_ids import EventIds
from sentry_paste.request.event_processor import FAILED_STATUS, RequestData
from sentry_paste.request.filter_state import ClientFacts, FilterState, Sampling
from sentry_paste.request.reported_errors import swallowed_error
from sentry_paste.request.tracing import (
    TRACE_META_KEY,
    SpanTrace,
    Trace,
    TraceStart,
    TransactionTrace,
    continue_without_transaction,
)
from sentry_paste.sdk.failures import log_failure
from sentry_paste.wsgi.environ import address_of, path_of, snapshot
from sentry_paste.wsgi.naming import CUSTOM, FRAMEWORK_KEYS, URL, default_name, framework_name, traversed_by
from sentry_paste.wsgi.real_types import traceback_of


@contextmanager
def _logged(loss: str) -> Iterator[None]:
    """Log what is lost if the block fails."""
    try:
        yield
    except Exception:
        log_failure(loss)


# What marks a trace that is sent because of a rule, with the kind of rule.
_KEPT = "sentry_paste.kept"


class RequestScopes:
    """The scopes, the session and the trace of one request, which become those of the current context.

    It has no reference to the request's context: the context refers to the scopes, and they to this.

    Args:
        filter_state: shared by all requests of the filter.
        facts: about the client that captures.
        environ: as the server made it.

    Attributes:
        client: that captures.
        strings: the texts of the environ; until the request is opened, all values of the environ.
        data: the request's event processor, None until the request is opened.
        deferred: calls on the scopes that are made once they are used.
        defers_views: whether what ``PyramidIntegration`` does for each view is one of these calls.
        status: of the response, None until it is known.
    """

    __slots__ = (
        "_begun",
        "_environ",
        "_facts",
        "_filter_state",
        "_framework_name",
        "_headers",
        "_ids",
        "_inner",
        "_kept",
        "_outer",
        "_sampling",
        "_settled",
        "_trace",
        "_traversed",
        "_unused",
        "client",
        "data",
        "deferred",
        "defers_views",
        "lock",
        "opens_at_once",
        "status",
        "strings",
    )

    def __init__(self, filter_state: FilterState, facts: ClientFacts, environ: dict[str, Any]) -> None:
        self._filter_state = filter_state
        self._facts = facts
        self._environ: dict[str, Any] | None = environ
        self._begun = time.perf_counter_ns()
        self._framework_name: tuple[str, str] | None = None
        self._headers: Any = None
        self._inner: list[dict[str, str]] = []
        # The environ of the first request that Pyramid has called a view for.
        self._outer: Any = None
        self._traversed: tuple[type, str] | None = None
        self._trace: Trace | None = None
        # None until it is needed.
        self._sampling: Sampling | None = None
        self._settled = False
        # The rule because of which a trace is sent that sampling has not chosen.
        self._kept: KeepRule | None = None
        # Created when an id is needed: most requests have no events.
        self._ids: EventIds | None = None
        # The isolation and the current scope until they are used; they have a reference to this.
        self._unused: tuple[Any, Any] | None = None
        self.lock = RLock()
        self.opens_at_once = facts.begins_at_once
        # The app's own client is not changed: the request gets a view of it with redaction's hooks.
        is_ours = filter_state.client is not None
        self.client = facts.client if is_ours else filter_state.with_redaction(facts.client)
        # A copy of everything: picking the texts takes longer than the rest, and few requests need them.
        self.strings: dict[str, Any] = environ.copy()
        self.data: RequestData | None = None
        self.deferred: list[Any] = []
        self.defers_views = facts.defers_views
        self.status: Any = None
        self._unused = sdk.enter_scopes(self)
        if self._unused is None:
            self.open()

    def environ(self) -> dict[str, Any]:
        """Return the texts of the environ, and the server's objects in it unless the request is over."""
        objects = {key: value for key, value in (self._environ or {}).items() if "." in key}
        return {**objects, **self.strings}

    def open(self) -> None:
        """Open what is not open yet; the request's scopes call this when they are used."""
        if self.data is not None and self._unused is None:
            return
        with self.lock:
            if self.data is not None:
                return  # by another thread, or by an outer call in this one
            try:
                self._make_data()
                if self._unused is None:
                    if not self._settled:
                        self._open()
                else:
                    sdk.open_scopes(*self._unused, self._open)
            except Exception:
                log_failure("a request is only partly reported")
            finally:
                self._unused = None

    def _make_data(self) -> None:
        filter_state = self._filter_state
        strings = self.strings = snapshot(self.strings)
        rule = filter_state.names.find(path_of(strings)) if filter_state.names else None
        self.data = RequestData(strings, self._environ, rule, filter_state, self._framework_name, self.client)
        self.data.response_headers, self.data.inner = self._headers, self._inner
        self.data.traversed = self._traversed

    def add_to(self, isolation: Any) -> None:
        """Add the request to events of a scope that is first used after the request.

        Args:
            isolation: a fork that replaces the scope.
        """
        if self.data is not None:
            isolation.add_event_processor(self.data.process)

    def _open(self) -> None:
        filter_state, client, strings, data = self._filter_state, self.client, self.strings, self.data
        assert data is not None  # noqa: S101
        path, rule = path_of(strings), data.rule
        isolation = sentry_sdk.get_isolation_scope()
        self.ids().begin()
        isolation.clear_breadcrumbs()
        isolation.add_event_processor(data.process)
        sdk.leave_session(isolation)
        ignored = filter_state.is_ignored(path)
        if not ignored and not self._settled and sdk.tracks_sessions(isolation, client.options):
            sdk.start_session(isolation, self._begun)
        if sdk.has_attributes(client.options):
            add_attributes(isolation, strings, client.options, data.forwarded())
        begin = TraceStart(
            strings,
            self._environ or {},
            rule or default_name(strings, path),
            URL if rule is None else CUSTOM,
            self._sampled_by(path),
            self._begun,
            self._sampling.sample_rand if self._sampling is not None else None,
            *filter_state.trace_headers(strings),
        )
        is_measured = not ignored and not self._settled and filter_state.is_measured(client, strings)
        try:
            try:
                self._begin(begin, data, is_measured)
            except Exception:
                # The SDK calculates with numbers in baggage, and fails if a sample rate is infinite.
                headers = {name: text for name, text in begin.headers.items() if name != "HTTP_BAGGAGE"}
                if headers == begin.headers:
                    raise
                self._begin(begin._replace(headers=headers), data, is_measured)
        except Exception:  # a traces_sampler that raises, or a header that the SDK cannot parse
            log_failure("a request has no transaction")
            isolation.set_transaction_name(begin.name, source=begin.source)

    def _begin(self, begin: TraceStart, data: RequestData, is_measured: bool) -> None:
        if is_measured:
            self._trace = self._begin_trace(begin, data)
            if self.status is not None:
                self._trace.record_status(self.status)
        else:
            continue_without_transaction(begin)

    def _sampled_by(self, path: str) -> Any:
        """Return the client whose options decide on sampling, None for the one that captures."""
        if self._kept is not None:
            return self._filter_state.sampling_at(self._facts.client, self._kept.rate)
        return self._filter_state.client_for(self._facts.client, path)

    def _begin_trace(self, begin: TraceStart, data: RequestData) -> Trace:
        if sdk.streams_spans(self.client.options):
            return SpanTrace(begin, address_of(begin.strings, data.forwarded()))
        keeps_spans = self._filter_state.keep is not None and self._filter_state.settings.traces_keep_spans
        return TransactionTrace(begin, keeps_spans)

    def _rule_to_keep(self, error: BaseException | None) -> KeepRule | None:
        """Return the rule of the ini by which the trace of a request that ends is sent, None for none."""
        rules = self._filter_state.keep
        if rules is None:
            return None
        seconds = (time.perf_counter_ns() - self._begun) / 1e9
        has_error = error is not None or (self.data is not None and self.data.reported)
        if not rules.may_apply(seconds, self.status, has_error):
            return None
        return rules.find(path_of(self.strings), seconds, self.status, has_error)

    def _keep_unopened(self, sampling: Sampling) -> bool:
        """Return whether a request that is not open is sent although sampling has not chosen it."""
        rule, sample_rand = self._rule_to_keep(None), sampling.sample_rand
        if rule is None or sample_rand is None:
            return False
        if not sdk.is_sampled_at(self._facts.client, rule.rate, sample_rand):
            return False
        self._kept, self._sampling = rule, Sampling(True, False, sample_rand)
        return True

    def _keep(self, trace: Trace, error: BaseException | None) -> None:
        """Have a trace sent that sampling has not chosen, if a rule of the ini says so."""
        if self._kept is None:
            rule = self._rule_to_keep(error)
            if rule is None:
                return
            client = self._filter_state.sampling_at(self.client, rule.rate)
            if not trace.keep(client, rule.rate, self._filter_state.settings.traces_keep_over_caller):
                return
            self._kept = rule
            if self.status is not None:
                trace.record_status(self.status)
        trace.mark(_KEPT, self._kept.label)

    @property
    def has_deferred_span(self) -> bool:
        """Whether deferred calls may be those of a streamed span that does not exist yet."""
        return self._facts.streams

    def enters_view(self, request: Any, work: Callable[..., None] | None = None) -> bool:
        """Record that Pyramid calls a view; return whether it is one of this request, not of a subrequest.

        Args:
            request: Pyramid's.
            work: to be done when the scopes are used; it takes the route and a weak reference to Pyramid's
                request.
        """
        try:
            attributes = request.__dict__
            environ = attributes.get("environ") or request.environ
            if self._outer is None and (environ is self._environ or TRACE_META_KEY in environ):
                self._outer = environ
            if environ is not self._outer:
                return False
            route = attributes.get("matched_route")
            if work is not None:
                self.deferred.append((None, work, (route, ref(request))))
            if route is None or self._traversed is not None:
                self._set_traversed(traversed_by(attributes))
        except Exception:
            log_failure("a view of Pyramid is not known")
        return True

    def has_no_view(self) -> None:
        """Record that Pyramid has found no view."""
        self._set_traversed(None)

    def _set_traversed(self, found: tuple[type, str] | None) -> None:
        self._traversed = found
        if self.data is not None:
            self.data.traversed = found

    def raised(self, error: BaseException) -> None:
        """Record that the app has raised an error to the server.

        Args:
            error: which has been captured.
        """
        if self.data is not None:
            self.data.errors.raised(error)

    def record_start(self, status: int | None, headers: Any, is_explained: bool = False) -> None:
        """Record the start of the response.

        Args:
            status: HTTP status code, None if the app passed none.
            headers: of the response.
            is_explained: whether the app has passed the error for which it is.
        """
        if self._headers is not None:  # the answer to an error takes the place of the first one
            headers = values.with_cookies_of(self._headers, headers)
        self.status, self._headers = status, headers
        environ = self._environ
        # Now, as some frameworks forget the name when they return.
        if environ is not None and not environ.keys().isdisjoint(FRAMEWORK_KEYS):
            self._framework_name = framework_name(environ) or self._framework_name
        if status is not None and status >= 500:
            self._capture_swallowed()
        if self.data is not None:
            self.data.started(headers, self._framework_name)
            self.data.errors.answered(status, is_explained)
            if self._trace is not None and status is not None:
                self._trace.record_status(status)

    def ids(self) -> EventIds:
        """Return the ids of the request's events."""
        with self.lock:  # a thread of the app's may be opening the request
            if self._ids is None:
                self._ids = EventIds()
            return self._ids

    def event_id(self, status: int | None) -> str | None:
        """Return the id of the request's last error, or of the event that its status will be.

        It has to be called in the request's context.

        Args:
            status: of the response, None if it is not known.
        """
        if status is not None and status >= 500:
            self._capture_swallowed()
        ids = self.ids()
        found = ids.last() if self.data is not None else None
        if found is not None and self.data is not None:
            self.data.errors.answered(status)
            found = None if self.data.errors.is_dropped(found) else found
        if found is None and status in self._filter_state.settings.failed_status_codes:
            return ids.reserve()
        return found or ids.reserved

    def trace_of_response(self) -> tuple[str, str]:
        """Return the headers ``sentry-trace`` and ``baggage`` by which a caller continues the trace.

        It has to be called in the request's context.
        """
        self.open()
        return sentry_sdk.get_traceparent() or "", sentry_sdk.get_baggage() or ""

    def record_inner(self, environ: Mapping[str, Any]) -> None:
        """Record a request within this one, whose secrets are to be hidden as well.

        Args:
            environ: of the inner request.
        """
        self._inner.append(snapshot(environ))

    def record_user(self, user: Mapping[str, str]) -> None:
        """Record who is signed in, for frameworks that know it before it is in the environ.

        Args:
            user: ``username`` and ``userid``.
        """
        if self._environ is not None:
            self._environ[RECORDED_USER] = user

    def begin_sampled(self) -> None:
        """Open the request if its transaction is to be sent; decide that once."""
        if self.data is None and self._sampling is None and self._decide().may_be_sent:
            self.open()

    def _decide(self) -> Sampling:
        found = self._sampling
        if found is None:
            found = self._filter_state.sampling(self._facts.client, self.strings)
            self._sampling = found
        return found

    def cut(self) -> None:
        """End the trace of a response that takes longer than max_transaction_duration."""
        self.open()
        trace, self._trace = self._trace, None
        if trace is not None:
            self._keep(trace, None)
            self._rename(trace)
            trace.cut()
            trace.leave()

    def _rename(self, trace: Trace) -> None:
        name = self.data.better_name() if self.data is not None else None
        if name is not None:
            trace.rename(*name)

    def _record_user(self, trace: Trace) -> None:
        if self.data is not None and sdk.sends_user_info(self.client.options):
            name = self.data.user_name()
            if name:
                trace.record_user(name)

    def settle(self, error: BaseException | None) -> None:
        """Report the request now that it is over: its failed status, its trace, its session.

        Args:
            error: that the app has raised, None if it has not.
        """
        try:
            self.open()
            self._settle(error)
        finally:
            self._settled = True
            self._trace = self._environ = self._outer = None

    def settle_unopened(self) -> bool:
        """Report a request that has not used its scopes, if it need not be opened for that; return whether.

        It runs in the server's context: the SDK may start a thread, which would open the scopes in the
        request's context.
        """
        with self.lock:
            unused = self._unused
            if (
                self.data is not None
                or unused is None
                or self.status in self._filter_state.settings.failed_status_codes
            ):
                return False
            is_discarded = False
            if self._facts.traces:
                sampling = self._decide()
                if sampling.may_be_sent or (sampling.is_discarded and self._keep_unopened(sampling)):
                    return False
                is_discarded = sampling.is_discarded
            self._settled, self._environ, self._outer, self._unused = True, None, None, None
        self._filter_state.count_unopened(self._facts, self.strings, unused[0], self._begun, is_discarded)
        return True

    def _settle(self, error: BaseException | None) -> None:
        """Report what is left, part by part: one that fails costs only itself."""
        with _logged("a failed status is not reported"):
            if (
                self.data is not None
                and self.status in self._filter_state.settings.failed_status_codes
                and not self.data.reported
            ):
                self._capture_status(self.status)
        with _logged("a transaction is not reported"):
            if self._trace is not None:
                self._keep(self._trace, error)
                self._rename(self._trace)
                self._record_user(self._trace)
                if self.status in self._filter_state.dropped_statuses:
                    self._trace.drop()
                elif self._fails_as_expected():
                    self._trace.pardon()
                    self._trace.finish(None)
                else:
                    self._trace.finish(error)
                self._trace.leave()
        crashes, dropped = None, 0
        with _logged("an error is not reported"):
            if self.data is not None:
                errors = self.data.errors
                errors.end(self.status)
                crashes, dropped = errors.crashes, errors.dropped
        with _logged("the objects of a request are kept"):
            if self.data is not None:
                self.data.close(sdk.inherited())
        with _logged("a session is not reported"):
            sdk.end_session(self.client, crashes, dropped)
        sdk.forget_error(self.client)

    def _fails_as_expected(self) -> bool:
        is_failure = self.status is None or self.status >= 500
        return is_failure and self.data is not None and self.data.errors.fails_as_expected

    def _capture_swallowed(self) -> None:
        """Report the error for which a framework shows an error page, if nobody has reported it."""
        environ = self._environ
        if environ is None or self._settled:
            return
        error = swallowed_error(environ)
        if error is None:
            return
        self.open()
        if self.data is not None and self.data.errors.find(error) is None:
            mechanism = {"type": "wsgi", "handled": False}
            event, hint = sdk.exception_event(error, traceback_of(error), sentry_sdk.get_client(), mechanism)
            sentry_sdk.capture_event(event, hint=hint)

    def _capture_status(self, status: int) -> None:
        """Report a failed status; the event processor adds the transaction's name to the fingerprint."""
        reserved = self.ids().reserved
        sentry_sdk.capture_event(
            {
                "message": f"HTTP status {status}",
                "level": "error" if status >= 500 else "warning",
                "fingerprint": [FAILED_STATUS, str(status)],
                **({"event_id": reserved} if reserved is not None else {}),
            }
        )
