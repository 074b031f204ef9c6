"""What is opened for a request in the SDK: its scopes, its session, its trace.

Nothing of it is opened before somebody asks for something of the request's scopes:
the app, an integration, an error. Then it is opened as of the time at which the
request began. A request in which nobody asks is settled after its last byte:
most often all that is to be told of it is one more healthy session.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from threading import RLock
from typing import Any
from uuid import uuid4

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.redaction.names import RECORDED_USER
from sentry_paste.request.event_processor import FAILED_STATUS, RequestData
from sentry_paste.request.filter_state import ClientFacts, FilterState
from sentry_paste.request.tracing import (
    Begin,
    SpanTrace,
    Trace,
    TransactionTrace,
    continue_without_transaction,
)
from sentry_paste.sdk.failures import log_failure
from sentry_paste.wsgi.environ import address_of, host_of, native, path_of, snapshot
from sentry_paste.wsgi.forwarded import Forwarded
from sentry_paste.wsgi.naming import CUSTOM, FRAMEWORK_KEYS, URL, default_name, framework_name


class EventIds:
    """The ids of one request. To be asked in the request's context.

    Attributes:
        promised: that the response has told, or is going to, of an event that is captured later; None where
            there is none.
    """

    __slots__ = ("_before", "_is_taken", "promised")

    def __init__(self) -> None:
        self._before: str | None = None
        self._is_taken = False
        self.promised: str | None = None

    def begin(self) -> None:
        """Note which event was the last before the request's own."""
        self._before = sentry_sdk.last_event_id()

    def last(self) -> str | None:
        """Return the id of the request's last event, None where it has none."""
        found = sentry_sdk.last_event_id()
        return found if found != self._before else None

    def promise(self) -> str:
        """Return the id that was promised, one that is promised now where none was."""
        self.promised = self.promised or uuid4().hex
        return self.promised

    def promise_next(self) -> str:
        """Return the id that the next error is to have, whatever was promised before."""
        self.promised, self._is_taken = uuid4().hex, False
        return self.promised

    def take(self) -> str | None:
        """Return the id that was promised, for the first error that is captured after that."""
        identity = None if self._is_taken else self.promised
        self._is_taken = identity is not None or self._is_taken
        return identity


_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})


class RequestScopes:
    """The scopes, the session and the trace of one request.

    It has no reference to the request's context, which has one to the scopes, and they to this.

    Args:
        filter_state: what all requests of the filter share.
        facts: of the client that captures.
        environ: as the server made it.

    Attributes:
        client: that captures.
        strings: of the environ as the server made it, with what else is in it until something is open.
        data: what events of the request are given, None while nothing is open.
        deferred: what is to be done to the scopes once they are used.
        status: of the response, None while it is not known.
    """

    __slots__ = (
        "_begun",
        "_environ",
        "_facts",
        "_filter_state",
        "_headers",
        "_ids",
        "_inner",
        "_is_discarded",
        "_name_left",
        "_sample_rand",
        "_settled",
        "_to_be_sent",
        "_trace",
        "_unused",
        "client",
        "data",
        "deferred",
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
        self._name_left: tuple[str, str] | None = None
        self._headers: Any = None
        self._inner: list[dict[str, str]] = []
        self._trace: Trace | None = None
        self._sample_rand: float | None = None
        self._settled = False
        self._to_be_sent: bool | None = None
        self._is_discarded = False
        # Made when somebody asks for one: most requests have no events.
        self._ids: EventIds | None = None
        # The isolation and the current scope, while they wait; they have a reference to this.
        self._unused: tuple[Any, Any] | None = None
        self.lock = RLock()
        self.opens_at_once = facts.begins_at_once
        # A client of the app's is left as it is: the request is given a view of it that has the hooks.
        is_ours = filter_state.client is not None
        self.client = facts.client if is_ours else filter_state.redacting(facts.client)
        # All of it: to pick the texts takes longer than all else here, and most requests need few of them.
        self.strings: dict[str, Any] = environ.copy()
        self.data: RequestData | None = None
        self.deferred: list[Any] = []
        self.status: Any = None

    def enter(self) -> None:
        """Set the scopes of the context that this is called in."""
        self._unused = sdk.enter_scopes(self)
        if self._unused is None:
            self.open()

    def open(self) -> None:
        """Open what is not open yet; the request's scopes call it when they are asked for something."""
        if self.data is not None and self._unused is None:
            return
        with self.lock:
            if self.data is not None:
                return  # another thread was faster, or this one is at it
            try:
                self._make_data()
                if self._unused is None:
                    if not self._settled:
                        self._open()
                else:
                    sdk.open_scopes(*self._unused, self._open)
            except Exception:
                log_failure("a request is half reported")
            finally:
                self._unused = None

    def _make_data(self) -> None:
        filter_state = self._filter_state
        strings = self.strings = snapshot(self.strings)
        rule = filter_state.names.find(path_of(strings)) if filter_state.names else None
        self.data = RequestData(strings, self._environ, rule, filter_state, self._name_left)
        self.data.response_headers, self.data.inner = self._headers, self._inner

    def add_to(self, isolation: Any) -> None:
        """Have events of a scope that is first used when the request is over know the request.

        Args:
            isolation: a fork that is to take its place.
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
        ignored = filter_state.is_ignored(path)
        if not ignored and not self._settled and sdk.tracks_sessions(isolation, client.options):
            sdk.start_session(isolation, self._begun)
        if sdk.has_attributes(client.options):
            add_attributes(isolation, strings, client.options, data.forwarded())
        begin = Begin(
            strings,
            self._environ or {},
            rule or default_name(strings, path),
            URL if rule is None else CUSTOM,
            filter_state.client_for(self._facts.client, path),
            self._begun,
            self._sample_rand,
        )
        try:
            if not ignored and not self._settled and filter_state.is_measured(client, strings):
                self._trace = self._begin_trace(begin, data)
                if self.status is not None:
                    self._trace.record_status(self.status)
            else:
                continue_without_transaction(begin)
        except Exception:  # a traces_sampler that raises; a header that the SDK cannot read
            log_failure("a request has no transaction")
            isolation.set_transaction_name(begin.name, source=begin.source)

    def _begin_trace(self, begin: Begin, data: RequestData) -> Trace:
        if sdk.streams_spans(self.client.options):
            return SpanTrace(begin, address_of(begin.strings, data.forwarded()))
        return TransactionTrace(begin)

    def record_start(self, status: int | None, headers: Any) -> None:
        """Note that the response starts, and how.

        Args:
            status: HTTP status code, None where the app gave none.
            headers: of the response.
        """
        self.status, self._headers = status, headers
        environ = self._environ
        # While the app is at its work: some frameworks forget the name when they return.
        if environ is not None and not environ.keys().isdisjoint(FRAMEWORK_KEYS):
            self._name_left = framework_name(environ) or self._name_left
        if self.data is not None:
            self.data.started(headers, self._name_left)
            if self._trace is not None and status is not None:
                self._trace.record_status(status)

    def ids(self) -> EventIds:
        """Return the ids of the request's events."""
        with self.lock:  # a thread of the app's may be opening the request
            if self._ids is None:
                self._ids = EventIds()
            return self._ids

    def event_id(self, status: int | None) -> str | None:
        """Return the id of the request's last error, or of the one that its status is going to be.

        To be asked in the request's context.

        Args:
            status: of the response, None where it is not known.
        """
        ids = self.ids()
        found = ids.last() if self.data is not None else None
        if found is None and status in self._filter_state.settings.failed_status_codes:
            return ids.promise()
        return found or ids.promised

    def record_inner(self, environ: Mapping[str, Any]) -> None:
        """Note a request within this one: its secrets are this one's.

        Args:
            environ: of the other.
        """
        self._inner.append(snapshot(environ))

    def record_user(self, user: Mapping[str, str]) -> None:
        """Note who is signed in, where a framework says so before it is in the environ.

        Args:
            user: ``username`` and ``userid``.
        """
        if self._environ is not None:
            self._environ[RECORDED_USER] = user

    def begin_sampled(self) -> None:
        """Open a request whose transaction is to be sent, and decide for the others that theirs is not."""
        if self.data is None and self._to_be_sent is None:
            self._to_be_sent = self._is_to_be_sent()
            if self._to_be_sent:
                self.open()

    def cut(self) -> None:
        """End the trace of a response that takes longer than is measured."""
        self.open()
        trace, self._trace = self._trace, None
        if trace is not None:
            self._rename(trace)
            trace.cut()
            trace.leave()

    def _rename(self, trace: Trace) -> None:
        name = self.data.better_name() if self.data is not None else None
        if name is not None:
            trace.rename(*name)

    def settle(self, error: BaseException | None) -> None:
        """Tell what is to be told of the request, now that it is over.

        Args:
            error: what the app raised, None where it did not.
        """
        try:
            self.open()
            self._settle(error)
        finally:
            self._settled = True
            self._trace = self._environ = None

    def settle_unopened(self) -> bool:
        """Tell what is to be told of a request that nobody has asked anything of; return whether that is all.

        In the server's context: the SDK may start a thread, which in the request's would open its scopes.
        """
        with self.lock:
            unused = self._unused
            if (
                self.data is not None
                or unused is None
                or self.status in self._filter_state.settings.failed_status_codes
            ):
                return False
            if self._is_to_be_sent() if self._to_be_sent is None else self._to_be_sent:
                return False
            self._settled, self._environ, self._unused = True, None, None
        self._filter_state.drop_objects(self.strings)
        if self._is_discarded:
            sdk.count_discarded(self._facts.client)
        if self._counts_as_session(unused[0]):
            self._filter_state.count_healthy_session(self._facts.client, self._begun)
        return True

    def _is_to_be_sent(self) -> bool:
        """Return whether there is a transaction to send, as far as that can be told before it is made."""
        filter_state, client = self._filter_state, self._facts.client
        if not self._facts.traces or self._is_ignored() or not filter_state.is_measured(client, self.strings):
            return False
        self._sample_rand = filter_state.sample_rand(self.strings)
        self._is_discarded = self._sample_rand is not None and filter_state.discards(
            client, self.strings, self._sample_rand
        )
        return not self._is_discarded

    def _counts_as_session(self, isolation: Any) -> bool:
        return self._facts.tracks_sessions and not self._is_ignored() and not sdk.is_untracked(isolation)

    def _is_ignored(self) -> bool:
        return bool(self._filter_state.ignored) and self._filter_state.is_ignored(path_of(self.strings))

    def _settle(self, error: BaseException | None) -> None:
        try:
            if (
                self.data is not None
                and self.status in self._filter_state.settings.failed_status_codes
                and not self.data.reported
            ):
                self._capture_status(self.status)
            if self._trace is not None:
                self._rename(self._trace)
                self._trace.finish(error)
                self._trace.leave()
        finally:
            if self.data is not None:
                self.data.close()
            sdk.end_session(self.client)
            sdk.forget_error(self.client)

    def _capture_status(self, status: int) -> None:
        """Report a status that is an error by itself; the transaction's name completes the fingerprint."""
        promised = self.ids().promised
        sentry_sdk.capture_event(
            {
                "message": f"HTTP status {status}",
                "level": "error" if status >= 500 else "warning",
                "fingerprint": [FAILED_STATUS, str(status)],
                **({"event_id": promised} if promised is not None else {}),
            }
        )


def add_attributes(
    scope: Any, strings: Mapping[str, str], options: Mapping[str, Any], forwarded: Forwarded
) -> None:
    """Add to a scope what log items and streamed spans say of the request, as the SDK's middleware does.

    Args:
        scope: of the request.
        strings: the snapshot of the environ.
        options: of the client.
        forwarded: what trusted proxies say.
    """
    agent = strings.get("HTTP_USER_AGENT")
    if agent:
        scope.set_attribute("user_agent.original", native(agent))
    client = address_of(strings, forwarded)
    host = host_of(strings, forwarded)
    scope.set_attribute(
        "sentry.is_localhost",
        client in _LOCAL_HOSTS or host in _LOCAL_HOSTS or host.rpartition(":")[0] in _LOCAL_HOSTS,
    )
    if client and sdk.sends_user_info(options):
        scope.set_attribute("user.ip_address", client)
