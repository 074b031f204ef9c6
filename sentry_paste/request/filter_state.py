"""The state that all requests of one filter share: settings in their fastest form, and cached decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from sentry_paste import sdk
from sentry_paste.client.guarded import GuardedClient
from sentry_paste.client.held import holding
from sentry_paste.client.registry import secret_names
from sentry_paste.config import Settings
from sentry_paste.redaction import Patterns, Redaction
from sentry_paste.redaction.recent import Recent
from sentry_paste.request.error_page import ErrorPage
from sentry_paste.request.inbox_links import InboxLinks
from sentry_paste.request.keep import KeepRules
from sentry_paste.wsgi.environ import native, path_of
from sentry_paste.wsgi.path_rules import PathRules
from sentry_paste.wsgi.real_types import is_real, text_of
from sentry_paste.wsgi.w3c import decision_in_baggage, outgoing, trace_and_parent


class ClientFacts(NamedTuple):
    """Facts about a client that are the same for all requests.

    Attributes:
        client: that captures.
        traces: whether it traces at all.
        streams: whether it traces with streamed spans.
        begins_at_once: whether a trace has to begin at once, because it cannot be backdated later.
        tracks_sessions: whether requests are sessions.
        last_seen: the last error that its deduplication remembers, None without deduplication.
        defers_views: whether what its ``PyramidIntegration`` does for each view can wait.
    """

    client: Any
    traces: bool
    streams: bool
    begins_at_once: bool
    tracks_sessions: bool
    last_seen: Any
    defers_views: bool


class Sampling(NamedTuple):
    """What is known of a trace's sampling before the trace exists.

    Attributes:
        may_be_sent: whether the trace has to exist, as it is sampled or the SDK decides.
        is_discarded: whether it counts as lost, as its random number is above the rate.
        sample_rand: the random number that decides, None if the caller or the SDK has one.
    """

    may_be_sent: bool
    is_discarded: bool
    sample_rand: float | None


_NO_TRACE = Sampling(False, False, None)
_CALLER_DECIDES = Sampling(True, False, None)


def _is_production(environment: Any) -> bool:
    """Return whether an environment is production, which is what Sentry takes a missing one for."""
    return not environment or str(environment).lower().startswith("prod")


class FilterState:
    """The settings of a filter, in the form in which a request reads them.

    Args:
        settings: of the filter.
        client: that captures, None for the client that is active in the request.

    Attributes:
        last_facts: about the client of the last request.
        inbox: links to what the inbox shows, for development.
        keep: which requests are sent though sampling has not chosen them, None for none.
        recent: what redaction has worked out for recent requests.
    """

    __slots__ = (
        "_healthy",
        "_hooked",
        "_objects",
        "_rates",
        "_views_by_rate",
        "client",
        "dropped_statuses",
        "error_page",
        "ignored",
        "inbox",
        "keep",
        "last_facts",
        "names",
        "patterns",
        "recent",
        "secret_names",
        "settings",
    )

    def __init__(self, settings: Settings, client: Any) -> None:
        self.settings = settings
        self.client = client
        dsn = client.options.get("dsn") if client is not None else None
        self.inbox = InboxLinks(settings)
        is_development = client is not None and not _is_production(client.options.get("environment"))
        page_inbox = self.inbox if is_development else None
        self.error_page = ErrorPage(settings, dsn, page_inbox) if settings.error_page else None
        self.ignored = PathRules([(glob, True) for glob in settings.ignore_paths])
        self.names: PathRules[str] = PathRules(settings.transaction_names)
        self.keep = KeepRules(settings.traces_keep) if settings.traces_keep else None
        self._rates: PathRules[float] = PathRules(settings.traces_sample_rates)
        self._views_by_rate: dict[tuple[Any, float], Any] = {}
        self._hooked: tuple[Any, Any, Any] = (None, None, None)
        # The client, the beginning and end of a minute, and the healthy session that is counted in it.
        self._healthy: tuple[Any, float, float, Any] = (None, 0.0, 0.0, None)
        # The keys of the environ whose values are not text, from the first request.
        self._objects: tuple[str, ...] | None = None
        self.last_facts = ClientFacts(None, False, False, False, False, None, False)
        self.secret_names = (
            client.redaction.names if isinstance(client, GuardedClient) else secret_names(settings)
        )
        self.recent = Recent()
        self.patterns = Patterns(settings.redact_patterns)
        self.dropped_statuses = sdk.dropped_statuses(settings.sdk)

    def again(self, settings: Settings, client: Any) -> FilterState:
        """Return the state with settings that were read again; requests that have this one keep it.

        Args:
            settings: which differ from these only in what is reloadable.
            client: that captures.
        """
        # The template of the page is not read again, and the inbox is mounted where it was.
        found = FilterState(replace(settings, error_page=False), client)
        found.settings, found.error_page, found.inbox = settings, self.error_page, self.inbox
        return found

    def is_ignored(self, path: str) -> bool:
        """Return whether requests of a path are not measured.

        Args:
            path: decoded, the script's name included.
        """
        return bool(self.ignored) and self.ignored.find(path) is not None

    def is_measured(self, client: Any, strings: Mapping[str, str]) -> bool:
        """Return whether a request has a trace, sampled or not.

        Args:
            client: that captures.
            strings: the texts of a WSGI environ.
        """
        return sdk.traces(client.options) and self._is_captured_method(strings)

    def _is_captured_method(self, strings: Mapping[str, Any]) -> bool:
        method = strings.get("REQUEST_METHOD", "")
        return type(method) is str and method.upper() in self.settings.http_methods_to_capture

    def facts(self, client: Any) -> ClientFacts:
        """Return the facts about a client that is not the one of the last request.

        Args:
            client: that captures.
        """
        if isinstance(client, GuardedClient):
            client.start_delivery()
            client.warn_of_another()
        options = client.options
        traces = sdk.traces(options)
        self.last_facts = ClientFacts(
            client,
            traces,
            traces and sdk.streams_spans(options),
            traces and not sdk.can_begin_late(options),
            bool(options.get("release") and options.get("auto_session_tracking")),
            sdk.last_seen(client),
            sdk.watch_pyramid_views(self.with_redaction(client)),
        )
        return self.last_facts

    def sampling(self, client: Any, strings: Mapping[str, str]) -> Sampling:
        """Return what is known of a trace's sampling before the trace exists.

        Args:
            client: that captures, and traces.
            strings: the texts of a WSGI environ.
        """
        if not self._is_captured_method(strings) or (self.ignored and self.is_ignored(path_of(strings))):
            return _NO_TRACE
        headers, is_w3c = self.trace_headers(strings)
        if headers and not is_w3c:
            return _CALLER_DECIDES
        # Services that continue the same trace decide alike.
        sample_rand = sdk.sample_rand_of(headers) if is_w3c else sdk.new_sample_rand()
        sampled_by = self.client_for(client, path_of(strings)) if self._rates else None
        is_discarded = sdk.discards(client, (sampled_by or client).options, sample_rand)
        return Sampling(not is_discarded, is_discarded, sample_rand)

    def trace_headers(self, strings: Mapping[str, str]) -> tuple[dict[str, str], bool]:
        """Return the headers from which the SDK continues a trace, and whether they are made of the W3C's.

        Args:
            strings: the texts of a WSGI environ.
        """
        continued = self.settings.trace_continuation
        if "HTTP_SENTRY_TRACE" in strings:
            return (sdk.trace_headers(strings), False) if "sentry" in continued else ({}, False)
        if "HTTP_TRACEPARENT" in strings and "w3c" in continued:
            found = trace_and_parent(native(text_of(strings["HTTP_TRACEPARENT"]) or ""))
            if found is not None:
                return self._continue_w3c(*found, text_of(strings.get("HTTP_BAGGAGE")) or "")
        return {}, False

    def _continue_w3c(self, trace: str, parent: str, baggage: str) -> tuple[dict[str, str], bool]:
        sentry_trace = f"{trace}-{parent}"
        if "sentry" in self.settings.trace_continuation and "sentry-trace_id" in baggage:
            decision = decision_in_baggage(native(baggage), trace)
            if decision is not None:
                return {"HTTP_SENTRY_TRACE": sentry_trace + decision, "HTTP_BAGGAGE": baggage}, False
        return {"HTTP_SENTRY_TRACE": sentry_trace}, True

    def count_unopened(
        self, facts: ClientFacts, strings: dict[str, Any], unused: Any, begun: int, is_discarded: bool
    ) -> None:
        """Count a request that has not used its scopes, and release the objects of its environ.

        Args:
            facts: about the client that captures.
            strings: a copy of the environ; values that are not text are removed from it.
            unused: the isolation scope.
            begun: the request's start, by ``time.perf_counter_ns``.
            is_discarded: whether it has a trace, which was not sampled.
        """
        # The keys are the same in every request of a server.
        if self._objects is None:
            self._objects = tuple(key for key, value in strings.items() if not is_real(value, str))
        for key in self._objects:
            strings.pop(key, None)
        if is_discarded:
            sdk.count_discarded(facts.client)
        if (
            facts.tracks_sessions
            and not (self.ignored and self.is_ignored(path_of(strings)))
            and not sdk.is_untracked(unused)
        ):
            sdk.count_session(facts.client, self._healthy_session(facts.client, begun))

    def _healthy_session(self, client: Any, begun: int) -> Any:
        """Return the session that is counted for each request without errors of a minute."""
        of, since, until, session = self._healthy
        if of is not client or not since <= begun < until:
            started = sdk.wall_clock(begun)
            since = begun - started % 60 * 1e9
            session = sdk.healthy_session(client.options, started - started % 60)
            self._healthy = (client, since, since + 60e9, session)
        return session

    def with_redaction(self, client: Any) -> Any:
        """Return a view of the app's active client that has redaction, and holds the errors of requests.

        Args:
            client: that is active.
        """
        if isinstance(client, GuardedClient):
            return client
        # Its transport may be replaced, as by tests.
        if self._hooked[0] is not client or self._hooked[1] is not client.transport:
            hooked = self._hooked_options(client)
            view = holding(sdk.with_options(client, **hooked) if hooked else client)
            if self.settings.propagate_traceparent:
                sdk.add_to_outgoing_calls(view, outgoing)
            self._hooked = (client, client.transport, view)
        return self._hooked[2]

    def _hooked_options(self, client: Any) -> dict[str, Any]:
        """Return the options of the app's client with redaction, none if nothing is to be redacted."""
        options = sdk.options_in_requests(client.options, self.settings.sdk)
        if sdk.sends_user_info(options) and not self.patterns:
            return {}
        redaction = Redaction(self.secret_names, self.patterns)
        redaction.use_options(options)
        return redaction.with_hooks(options)

    def client_for(self, client: Any, path: str) -> Any | None:
        """Return the client whose options decide on sampling for a path, None if the path has no rate.

        It is the same client with another ``traces_sample_rate``. Everything else about the decision is left
        to the SDK: the caller's decision is kept, and a ``traces_sampler`` takes precedence.

        Args:
            client: that captures.
            path: decoded, the script's name included.
        """
        rate = self._rates.find(path) if self._rates else None
        if rate is None or callable(client.options.get("traces_sampler")):
            return None
        return self.sampling_at(client, rate)

    def sampling_at(self, client: Any, rate: float) -> Any:
        """Return a view of a client that samples at another rate, whatever a ``traces_sampler`` says.

        Args:
            client: that captures.
            rate: from 0 to 1.
        """
        found = self._views_by_rate.get((client, rate))
        if found is None:
            options = {"traces_sample_rate": rate, "traces_sampler": None}
            found = self._views_by_rate[client, rate] = sdk.with_options(client, **options)
        return found
