"""The only module that touches names which the Sentry SDK does not document.

Each has the reason for its use and what happens where it is missing. Checked
with sentry-sdk 2.18.0 (the oldest supported) and 2.75.0; the tests run on both.
"""

from __future__ import annotations

import inspect
import os
import pkgutil
import random
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from copy import copy
from datetime import datetime, timezone
from functools import lru_cache
from types import TracebackType
from typing import Any, cast

import sentry_sdk
from sentry_sdk.consts import VERSION
from sentry_sdk.integrations import Integration, dedupe
from sentry_sdk.scope import Scope, ScopeType
from sentry_sdk.serializer import serialize
from sentry_sdk.session import Session
from sentry_sdk.transport import Transport
from sentry_sdk.utils import BadDsn, Dsn, event_from_exception

try:
    # PyramidIntegration and its kin wrap the app in the SDK's WSGI middleware unless this is set: without
    # it each request makes a second transaction. Missing: an own variable, and the second transaction.
    from sentry_sdk.integrations.wsgi import _wsgi_middleware_applied as wsgi_middleware_applied
except ImportError:  # pragma: no cover
    wsgi_middleware_applied = ContextVar("sentry_wsgi_middleware_applied")

try:
    # The SDK's own choice of headers that are not sent without PII, in either way of configuring it
    # (send_default_pii, data_collection). Missing: no headers at all are sent.
    from sentry_sdk.integrations._wsgi_common import _filter_headers as _sdk_filter_headers
except ImportError:  # pragma: no cover
    _sdk_filter_headers = None  # type: ignore[assignment]

try:
    # The attributes of a streamed span's request, as the SDK's middleware sends them.
    # Missing (an SDK without streamed spans): none.
    from sentry_sdk.integrations.wsgi import _get_request_attributes as _sdk_request_attributes
except ImportError:
    _sdk_request_attributes = None  # type: ignore[assignment]

try:
    # Name, version and packages of the SDK, as it puts them into each event.
    # Missing: the SDK puts them there itself, and its serialiser goes through them.
    from sentry_sdk.client import SDK_INFO
except ImportError:  # pragma: no cover
    SDK_INFO = None  # type: ignore[assignment]

try:
    # Whether spans are streamed is more than one option (trace_lifecycle, _experiments).
    # Missing (an SDK without streamed spans): they are not.
    from sentry_sdk.tracing_utils import has_span_streaming_enabled as _sdk_streams_spans
except ImportError:
    _sdk_streams_spans = None  # type: ignore[assignment]

try:
    # data_collection replaces send_default_pii step by step; which of them holds is the SDK's to say.
    # Missing (an SDK without data_collection): send_default_pii holds.
    from sentry_sdk.utils import has_data_collection_enabled as _sdk_collects
except ImportError:
    _sdk_collects = None  # type: ignore[assignment]

# What the SDK reads of an environ to continue a trace (sentry_sdk.tracing_utils.PropagationContext).
_TRACE_HEADERS = ("HTTP_SENTRY_TRACE", "HTTP_BAGGAGE", "HTTP_TRACEPARENT", "HTTP_TRACESTATE")

__all__ = ["VERSION", "wsgi_middleware_applied"]


def client_options() -> Iterator[tuple[str, str, Any]]:
    """Yield name, annotation as source, and default of every option of ``sentry_sdk.init``.

    ``ClientConstructor`` is what the SDK types its ``init`` with; it stands in ``sentry_sdk.consts`` in
    every 2.x version. Older ones have type comments in place of annotations: those are empty.
    """
    from sentry_sdk.consts import ClientConstructor

    for parameter in list(inspect.signature(ClientConstructor.__init__).parameters.values())[1:]:
        annotation = parameter.annotation
        yield parameter.name, annotation if isinstance(annotation, str) else "", parameter.default


def dsn_fault(text: str) -> str:
    """Return what the SDK has against a DSN, an empty text if nothing.

    Args:
        text: the DSN.
    """
    try:
        Dsn(text)
    except (BadDsn, ValueError) as error:
        return str(error)
    return ""


def is_transport(found: Any) -> bool:
    """Tell whether an object is what the SDK's option ``transport`` takes: a transport, a class, a function.

    Args:
        found: what a dotted name led to.
    """
    return isinstance(found, Transport) or callable(found)


def integration_class(found: Any) -> type[Integration]:
    """Return the class of an integration that was given as a class or as an instance.

    Args:
        found: what a dotted name led to.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(found, Integration):
        return type(found)
    if isinstance(found, type) and issubclass(found, Integration):
        return found
    raise ValueError("is no integration of sentry_sdk")


@lru_cache(maxsize=1)
def integration_modules() -> frozenset[str]:
    """Return the names of the SDK's modules of integrations, none of which is imported for it."""
    import sentry_sdk.integrations

    modules = pkgutil.iter_modules(sentry_sdk.integrations.__path__)
    return frozenset(module.name for module in modules if not module.name.startswith("_"))


def integration_of_module(module: Any, name: str) -> type[Integration]:
    """Return the integration that one of the SDK's modules is there for.

    Args:
        module: of ``sentry_sdk.integrations``.
        name: of the module, which is the integration's identifier too, but for a few.

    Raises:
        ValueError: the module has none.
    """
    classes: list[type[Integration]] = [
        found
        for found in list(vars(module).values())
        if issubclass(type(found), type) and issubclass(found, Integration) and found is not Integration
    ]
    own = [found for found in classes if found.__module__.startswith(module.__name__)] or classes
    for found in own:
        if found.identifier == name:
            return found
    if len(own) != 1:
        raise ValueError("the module has no integration of its name")
    return own[0]


def traces(options: Mapping[str, Any]) -> bool:
    """Tell whether a client traces at all.

    The rule is the SDK's ``has_tracing_enabled``, in public terms.

    Args:
        options: of the client.
    """
    return options.get("enable_tracing") is not False and (
        options.get("traces_sample_rate") is not None or options.get("traces_sampler") is not None
    )


def streams_spans(options: Mapping[str, Any]) -> bool:
    """Tell whether a client sends spans one by one (``trace_lifecycle = stream``).

    Args:
        options: of the client.
    """
    return bool(_sdk_streams_spans is not None and _sdk_streams_spans(cast("dict[str, Any]", options)))


def sends_user_info(options: Mapping[str, Any]) -> bool:
    """Tell whether a client may send who the user is: addresses and names.

    Args:
        options: of the client.
    """
    if _sdk_collects is not None and _sdk_collects(cast("dict[str, Any]", options)):
        return bool(options["data_collection"]["user_info"])
    return bool(options.get("send_default_pii"))


def filter_headers(headers: dict[str, str]) -> dict[str, Any]:
    """Return the headers as the current client may send them.

    Args:
        headers: by their names as HTTP has them.
    """
    return {} if _sdk_filter_headers is None else dict(_sdk_filter_headers(headers))


def filter_query(query: str, options: Mapping[str, Any]) -> str | None:
    """Return the query string as a client may send it.

    Only ``data_collection`` has a say in it; the SDK sends it whole otherwise.

    Args:
        query: without the question mark.
        options: of the client.
    """
    if _sdk_collects is None or not _sdk_collects(cast("dict[str, Any]", options)):
        return query
    # As old as data_collection itself, and used by the SDK's middleware in the same way.
    from sentry_sdk.data_collection import _apply_data_collection_filtering_to_query_string as apply

    return apply(query_string=query, behaviour=options["data_collection"]["url_query_params"])


def request_attributes(environ: dict[str, str]) -> dict[str, Any]:
    """Return what a streamed span says of its request.

    Args:
        environ: the strings of a WSGI environ.
    """
    return {} if _sdk_request_attributes is None else _sdk_request_attributes(environ)


def exception_event(
    error: BaseException, traceback: TracebackType | None, client: Any, mechanism: dict[str, Any]
) -> tuple[Any, Any]:
    """Return the event and the hint for an exception.

    ``event_from_exception`` is what every integration uses; ``capture_exception`` takes no mechanism.

    Args:
        error: the exception.
        traceback: where its stack trace is to begin.
        client: the client that will capture it.
        mechanism: how it was caught, https://develop.sentry.dev/sdk/data-model/event-payloads/exception/.
    """
    return event_from_exception(
        (type(error), error, traceback), client_options=client.options, mechanism=mechanism
    )


class Serialized(dict[str, Any]):
    """A mapping that the SDK's serialiser need not go through, as long as nobody has changed it.

    ``__sentry_repr__`` is what the serialiser asks a class for, and takes as it is. Missing: it goes through
    this as through any mapping, with the same result.

    Args:
        plain: texts, and lists of texts or of mappings of texts; it is copied.
    """

    __slots__ = ("_copy",)

    def __init__(self, plain: dict[str, Any]) -> None:
        super().__init__({key: _copied(value) for key, value in plain.items()})
        self._copy = {key: _copied(value) for key, value in plain.items()}

    def __sentry_repr__(self) -> Any:
        """Return what is to be sent, which shares nothing with what event processors have seen."""
        if self == self._copy:
            return self._copy
        return serialize(dict(self))


def _copied(value: Any) -> Any:
    if type(value) is not list:
        return value
    return [entry.copy() if type(entry) is dict else entry for entry in value]


def add_sdk_info(event: dict[str, Any], client: Any) -> None:
    """Say in an event which SDK it is from, as ``Client._prepare_event`` does where nobody has.

    A third of what the serialiser goes through in a transaction is this, the same each time.
    Missing: the SDK says it.

    Args:
        event: about to be captured.
        client: that captures it.
    """
    # Shortened texts are the serialiser's affair.
    if SDK_INFO is not None and (client.options.get("max_value_length") or 1024) >= 1024:
        integrations = sorted(client.integrations)
        event.setdefault("sdk", Serialized({**SDK_INFO, "integrations": integrations}))


def bind_client(scope: Scope, client: Any) -> None:
    """Have a scope capture with a client.

    ``Scope.set_client`` writes the client's attributes into the global scope each time (2.75 does), which is
    not for every request to do.

    Args:
        scope: of a request, or of a piece of code.
        client: for it.
    """
    scope.client = client


@contextmanager
def bound(scope: Scope, client: Any) -> Iterator[None]:
    """Have a scope capture with a client for a while.

    Args:
        scope: the current one, which the SDK looks at first.
        client: for it.
    """
    before = getattr(scope, "client", None)  # 2.18 has scopes that never had one
    scope.client = client
    try:
        yield
    finally:
        scope.client = before  # type: ignore[assignment]


_SCOPE_SLOTS = tuple(getattr(Scope, "__slots__", ()))

try:
    # Which scopes the server's context has, without making any.
    # Missing: the scopes of a request are forked at once.
    from sentry_sdk.scope import _current_scope, _isolation_scope
except ImportError:  # pragma: no cover
    _current_scope = _isolation_scope = None


class RequestScope(Scope):
    """A scope that knows its request, as do its forks, in whatever thread."""

    __slots__ = ("_is_isolation", "_parent", "_request")

    _is_isolation: bool
    _parent: Any
    _request: Any

    def __copy__(self) -> Any:
        forked: Any = super().__copy__()
        forked._request, forked._parent, forked._is_isolation = self._request, None, self._is_isolation
        return forked


class UnusedScope(RequestScope):
    """A scope that is forked from the server's when it is first asked for something, or told something.

    Scopes keep all that they have in slots; one that is not set is looked for by ``__getattr__``.
    """

    __slots__ = ()

    def __copy__(self) -> Any:
        _fill(self)  # the fork is of the class that this has
        return copy(self)

    def __getattr__(self, name: str) -> Any:
        if name in RequestScope.__slots__:
            raise AttributeError(name)
        _fill(self)
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _fill(self)
        setattr(self, name, value)


@lru_cache(maxsize=2)
def _pristine(is_isolation: bool) -> Scope:
    """Return what a scope is where the server has none; it is forked and never used itself."""
    return Scope(ty=ScopeType.ISOLATION if is_isolation else ScopeType.CURRENT)


def _fill(scope: Any) -> None:
    """Have the request open its scopes; one that is first used when the request is over is filled alone."""
    request = scope._request
    request.open()
    if type(scope) is UnusedScope:
        with request.lock:
            if type(scope) is UnusedScope:
                made = _fork(scope)
                if scope._is_isolation:
                    request.add_to(made)
                _take_over(scope, made)


def _fork(unused: Any) -> Scope:
    """Return a fork of what an unused scope is to be a fork of."""
    made = (unused._parent or _pristine(unused._is_isolation)).fork()
    if unused.client is not None:
        made.client = unused.client
    return made


def _take_over(scope: Any, made: Scope) -> None:
    """Give an unused scope all that another has; who uses it meanwhile waits for what is missing."""
    for name in _SCOPE_SLOTS:
        try:
            object.__setattr__(scope, name, getattr(made, name))
        except AttributeError:  # 2.18 has forks without a client
            continue
    object.__setattr__(scope, "__class__", RequestScope)
    scope._parent = None
    if not scope._is_isolation:
        # A streamed span holds itself and this scope, and would hold the request.
        scope._request = None


def open_scopes(isolation: Any, current: Any, function: Callable[[], Any]) -> None:
    """Fill unused scopes with what a function makes of forks of the server's.

    It runs in a context in which the forks are the current scopes, whoever has asked and in whatever context:
    a thread of the app's, say. Nobody sees the scopes half filled.

    Args:
        isolation: unused.
        current: unused.
        function: takes nothing.
    """
    forks = (_fork(isolation), _fork(current))

    def inside() -> None:
        Scope.set_isolation_scope(forks[0])
        Scope.set_current_scope(forks[1])
        function()

    try:
        copy_context().run(inside)
    finally:
        for scope, made in zip((isolation, current), forks):
            _take_over(scope, made)


def leave_span(span: Any) -> None:
    """Have the current scope be without a span that is over.

    Args:
        span: that began while other scopes were current.
    """
    scope = sentry_sdk.get_current_scope()
    if scope.span is span:
        scope.span = None


def enter_scopes(request: Any) -> tuple[Any, Any] | None:
    """Give a request scopes of its own, in its own context; return them if they wait until they are used.

    Args:
        request: has the ``client`` that captures, opens what belongs to it with ``open()``, and says with
            ``opens_at_once`` whether they are to be used at once.
    """
    wsgi_middleware_applied.set(True)
    if request.opens_at_once or not has_unused_scopes():
        isolation, current = sentry_sdk.get_isolation_scope().fork(), sentry_sdk.get_current_scope().fork()
        bind_client(isolation, request.client)
        Scope.set_isolation_scope(isolation)
        Scope.set_current_scope(current)
        return None
    unused_isolation = _unused(request, _isolation_scope.get(), request.client, is_isolation=True)
    unused_current = _unused(request, _current_scope.get(), None, is_isolation=False)
    _isolation_scope.set(unused_isolation)
    _current_scope.set(unused_current)
    return unused_isolation, unused_current


def _unused(
    request: Any,
    parent: Any,
    client: Any,
    is_isolation: bool,
    new: Any = object.__new__,
    put: Any = object.__setattr__,
) -> Any:
    scope = new(UnusedScope)
    put(scope, "_request", request)
    put(scope, "_parent", parent)
    put(scope, "_is_isolation", is_isolation)
    # get_client() asks for it, and is asked all the time.
    put(scope, "client", client or getattr(parent, "client", None))
    return scope


@lru_cache(maxsize=1)
def has_unused_scopes() -> bool:
    """Tell whether scopes of this SDK can wait until they are used: all that they have is in slots."""
    return bool(_SCOPE_SLOTS) and _current_scope is not None and not hasattr(Scope(), "__dict__")


def request_data() -> Any:
    """Return what events of the current request are given, None outside of requests."""
    scope = sentry_sdk.get_isolation_scope()
    if not isinstance(scope, RequestScope) or scope._request is None:
        return None
    scope._request.open()
    return scope._request.data


def note_inner_request(environ: Mapping[str, Any]) -> None:
    """Tell the current request that there is another within it.

    Args:
        environ: of the other.
    """
    scope = _isolation_scope.get() if _isolation_scope is not None else None
    if isinstance(scope, RequestScope) and scope._request is not None:
        scope._request.note_inner(environ)


def is_untracked(isolation: Any) -> bool:
    """Tell whether ``stop_auto_session_tracking()`` was called on what an unused scope is to be a fork of.

    Args:
        isolation: the unused scope.
    """
    return getattr(isolation._parent, "_force_auto_session_tracking", None) is False


def start_monitor(client: Any) -> None:
    """Have the SDK's monitor run before scopes of a request wait to be used.

    It starts a thread the first time that it is asked, holding a lock; the thread is given forks of the
    current scopes; and a request that opens then asks the monitor. Missing: there is none to wait for.

    Args:
        client: that traces.
    """
    monitor = getattr(client, "monitor", None)
    if monitor is not None:
        _ = monitor.downsample_factor


def wall_clock(begun: int) -> float:
    """Return the time at which something began, in seconds since 1970.

    Args:
        begun: by ``time.perf_counter_ns``.
    """
    return time.time() - (time.perf_counter_ns() - begun) / 1e9


def start_session(scope: Scope, begun: int) -> None:
    """Start the session of a request as of the time at which that began.

    ``Session.started`` decides the minute that a session is counted in. Missing: it is the minute of now.

    Args:
        scope: the isolation scope.
        begun: by ``time.perf_counter_ns``.
    """
    scope.start_session(session_mode="request")
    session = getattr(scope, "_session", None)
    if session is not None:
        session.started = datetime.fromtimestamp(wall_clock(begun), timezone.utc)


class HealthySession(Session):
    """A session that is counted again and again, and works out once what it is counted by."""

    #: What the SDK counts in, and the counter of this one; None while it has not.
    counter: tuple[Any, dict[str, Any]] | None = None

    def get_json_attrs(self, with_user_info: bool | None = True) -> Any:  # noqa: ARG002 - it has no user
        """Return release and environment."""
        found = self.__dict__.get("_attrs")
        if found is None:
            found = self._attrs = super().get_json_attrs(with_user_info=False)
        return found

    @property
    def truncated_started(self) -> datetime:
        """Return the minute, which it was given."""
        return self.started


def count_session(client: Any, session: HealthySession) -> None:
    """Count a healthy session, once more where the SDK has counted it lately.

    The first of a minute, of a process, and after each flush goes the SDK's own way, which finds or makes the
    counter and sees to the thread that sends it. ``pending_aggregates`` and its lock are the flusher's.
    Missing: all go that way.

    Args:
        client: that sends it.
        session: of the minute.
    """
    flusher: Any = getattr(client, "session_flusher", None)
    counter = session.counter
    if counter is not None and counter[0] is getattr(flusher, "pending_aggregates", None):
        with flusher._aggregate_lock:
            if counter[0] is flusher.pending_aggregates and flusher._thread_for_pid == os.getpid():
                counter[1]["exited"] += 1
                return
    client.capture_session(session)
    try:
        counters = flusher.pending_aggregates
        key = tuple(sorted(session.get_json_attrs().items()))
        session.counter = (counters, counters[key][session.started])
    except (AttributeError, KeyError):
        session.counter = None


def healthy_session(options: Mapping[str, Any], started: float) -> Session:
    """Return a session of a request that went well, to be counted any number of times.

    Args:
        options: of the client.
        started: seconds since 1970, a full minute.
    """
    session = HealthySession(
        release=options.get("release"),
        environment=options.get("environment"),
        session_mode="request",
        started=datetime.fromtimestamp(started, timezone.utc),
    )
    session.close()
    return session


def can_begin_late(options: Mapping[str, Any]) -> bool:
    """Tell whether a transaction can be made after it began: nothing else begins with it, or decides on it.

    Args:
        options: of a client that traces.
    """
    experiments = options.get("_experiments") or {}
    profiles = ("profiles_sample_rate", "profiles_sampler", "profile_session_sample_rate")
    return (
        _HAS_SAMPLE_RAND
        and not streams_spans(options)
        and not callable(options.get("traces_sampler"))
        and not any(options.get(name) or experiments.get(name) for name in profiles)
        and not experiments.get("continuous_profiling_auto_start")
    )


# The random number by which a transaction is sampled, in SDKs that have it: six digits.
_HAS_SAMPLE_RAND = "_sample_rand" in getattr(sentry_sdk.tracing.Transaction, "__slots__", ())


def new_sample_rand() -> float:
    """Return a random number as the SDK samples by, six digits."""
    return int(random.random() * 1_000_000) / 1_000_000  # noqa: S311


def discards(client: Any, options: Mapping[str, Any], sample_rand: float) -> bool:
    """Tell whether the SDK would not sample a transaction.

    The rule is that of ``Transaction._set_initial_sampling_decision``. Options that are no number are for the
    SDK to complain of.

    Args:
        client: that would send it.
        options: by which it is sampled.
        sample_rand: from 0 to 1.
    """
    rate = options.get("traces_sample_rate")
    return isinstance(rate, (int, float)) and sample_rand >= float(rate) / 2 ** _downsample_factor(client)


def count_discarded(client: Any) -> None:
    """Count a transaction that was not sampled as lost, as ``Transaction.finish`` does.

    Args:
        client: that would have sent it.
    """
    if client.transport is not None:
        reason = "backpressure" if _downsample_factor(client) > 0 else "sample_rate"
        client.transport.record_lost_event(reason, data_category="transaction")
        client.transport.record_lost_event(reason, data_category="span")


def _downsample_factor(client: Any) -> int:
    monitor = getattr(client, "monitor", None)
    return int(monitor.downsample_factor) if monitor is not None else 0


def backdate(transaction: Any, begun: int, sample_rand: float | None) -> None:
    """Have a transaction that was just made begin when its request began, sampled by the number chosen then.

    Args:
        transaction: not started yet.
        begun: by ``time.perf_counter_ns``.
        sample_rand: None for the transaction's own.
    """
    if hasattr(transaction, "_start_timestamp_monotonic_ns"):
        transaction.start_timestamp = datetime.fromtimestamp(wall_clock(begun), timezone.utc)
        transaction._start_timestamp_monotonic_ns = begun
    if sample_rand is not None and _HAS_SAMPLE_RAND:
        transaction._sample_rand = type(transaction._sample_rand)(str(sample_rand))
        baggage = getattr(transaction, "_baggage", None)
        if baggage is not None:
            baggage.sentry_items["sample_rand"] = f"{sample_rand:.6f}"


def begin_trace(scope: Scope, strings: Mapping[str, str]) -> None:
    """Continue the caller's trace, or begin one, without a transaction.

    The new one comes before what the headers say: an SDK that finds no trace in them keeps what the scope
    has (2.18 does), and that is what it was forked with, the same for all requests of a thread.

    Args:
        scope: of the request.
        strings: the texts of a WSGI environ.
    """
    scope.set_new_propagation_context()
    headers = trace_headers(strings)
    if headers:
        scope.generate_propagation_context(headers)


def trace_headers(strings: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that the SDK continues a trace by.

    Args:
        strings: the texts of a WSGI environ.
    """
    return {name: strings[name] for name in _TRACE_HEADERS if name in strings}


def set_sampling_context(environ: dict[str, Any]) -> None:
    """Give the environ to the ``traces_sampler`` of a streamed span.

    Args:
        environ: of the request.
    """
    Scope.set_custom_sampling_context({"wsgi_environ": environ})


def has_attributes(options: Mapping[str, Any]) -> bool:
    """Tell whether a client sends what takes its attributes from the scope: log items, streamed spans.

    Args:
        options: of the client.
    """
    return hasattr(Scope, "set_attribute") and (bool(options.get("enable_logs")) or streams_spans(options))


def ignore_own_logger(name: str) -> None:
    """Keep a logger of ours out of events, breadcrumbs and log items.

    What it tells is that capturing fails: to capture that would fail again, and so on.

    Args:
        name: of the logger.
    """
    from sentry_sdk.integrations import logging

    logging.ignore_logger(name)
    ignore_for_logs = getattr(logging, "ignore_logger_for_sentry_logs", None)  # where log items have a list
    if ignore_for_logs is not None:
        ignore_for_logs(name)


def process_every_event(processor: Callable[[Any, Any], Any]) -> None:
    """Have a function see every event of every client, also outside of requests.

    Args:
        processor: takes event and hint, returns the event, or None to drop it.
    """
    from sentry_sdk.scope import add_global_event_processor

    add_global_event_processor(processor)


def remember_error(client: Any, error: BaseException) -> None:
    """Have the SDK take an error for reported, in the context that this is called in.

    ``DedupeIntegration`` drops an event whose exception is the one it saw last; what it sees in a
    request's context it does not know outside of it. Missing: a server that logs what the app raised
    makes a second event.

    Args:
        client: the one that would report it again.
        error: the exception.
    """
    seen = last_seen(client)
    if seen is None:
        return
    try:
        # An SDK that knows weak references there, which keep no frames alive; built-in exceptions have none.
        seen.set(weakref.ref(error) if hasattr(dedupe, "weakref") else error)
    except TypeError:
        seen.set(error)


def forget_error(client: Any) -> None:
    """Undo ``remember_error``: the same object raised in another request is another error.

    It also lets go of the frames that the error holds: in a request's own context they hold the context.

    Args:
        client: as it was given there.
    """
    seen = last_seen(client)
    if seen is not None and seen.get(None) is not None:
        seen.set(None)


def last_seen(client: Any) -> ContextVar[Any] | None:
    """Return what ``DedupeIntegration`` remembers of a client's last error, None where it is off.

    Args:
        client: that captures.
    """
    return getattr(client.get_integration("dedupe"), "_last_seen", None)


def tracks_sessions(scope: Scope, options: Mapping[str, Any]) -> bool:
    """Tell whether a request of this scope is to be a session.

    The SDK drops sessions without a release when they end: they need not begin. The attribute is what
    ``scope.stop_auto_session_tracking()`` sets. Missing: the option alone decides.

    Args:
        scope: the isolation scope.
        options: of the client.
    """
    if not options.get("release") or getattr(scope, "_force_auto_session_tracking", None) is False:
        return False
    return bool(options.get("auto_session_tracking"))


def mark_server_span(scope: Scope, span: Any) -> None:
    """Tell integrations which streamed span is the request's, to put the route on it.

    ``PyramidIntegration`` reads it there. Missing: the span has no ``http.route``.

    Args:
        scope: the current scope.
        span: the streamed span.
    """
    if hasattr(scope, "_server_segment_span"):
        scope._server_segment_span = span


def active_client() -> Any:
    """Return the client that captures now, or None."""
    client = sentry_sdk.get_client()
    return client if client.is_active() else None


def active_integrations(client: Any) -> list[str]:
    """Return the names of the integrations that a client has on.

    ``Client.integrations`` is set by every 2.x version. Missing: none are named.

    Args:
        client: of the SDK.
    """
    return sorted(getattr(client, "integrations", None) or {})


def dsn_address(text: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a DSN.

    Args:
        text: a DSN that ``dsn_fault`` has nothing against.
    """
    dsn = Dsn(text)
    return dsn.scheme, dsn.host, dsn.port


def watch_transport(transport: Any, answered: Callable[[Any], None], lost: Callable[[str], None]) -> bool:
    """Have what a transport gets as answers, and what it loses, told; return whether answers can be.

    ``_request`` of the HTTP transports returns urllib3's or httpcore's response; the SDK has no hook for
    it. Missing, or a coroutine function: answers are not told.

    Args:
        transport: of a client.
        answered: called in the transport's thread with each response, or with the exception in its place.
        lost: called with the reason for everything that is dropped before it is sent.
    """
    record = transport.record_lost_event

    def record_lost_event(reason: str, *args: Any, **kwargs: Any) -> Any:
        lost(reason)
        return record(reason, *args, **kwargs)

    transport.record_lost_event = record_lost_event
    request = getattr(transport, "_request", None)
    if request is None or inspect.iscoroutinefunction(request):
        return False

    def watched(*args: Any, **kwargs: Any) -> Any:
        try:
            response = request(*args, **kwargs)
        except Exception as error:
            answered(error)
            raise
        answered(response)
        return response

    transport._request = watched
    return True


def event_processors() -> Iterator[Any]:
    """Yield the objects whose methods are event processors of the scopes that are active now.

    ``Scope._event_processors`` is what ``add_event_processor`` appends to, and what a fork copies.
    Missing: none.
    """
    for scope in (sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()):
        for processor in getattr(scope, "_event_processors", ()):
            yield getattr(processor, "__self__", None)


def set_by_app() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the tags, contexts and user that ``set_tag`` and its kin have put onto the active scopes.

    An event has those of its own and of event processors too, and does not tell which is which. The
    attributes are as old as the scopes of 2.0. Missing: none.
    """
    tags: dict[str, Any] = {}
    contexts: dict[str, Any] = {}
    user: dict[str, Any] = {}
    for scope in (
        sentry_sdk.get_global_scope(),
        sentry_sdk.get_isolation_scope(),
        sentry_sdk.get_current_scope(),
    ):
        tags.update(getattr(scope, "_tags", None) or {})
        contexts.update(getattr(scope, "_contexts", None) or {})
        user.update(getattr(scope, "_user", None) or {})
    return tags, contexts, user


def with_options(client: Any, **options: Any) -> Any:
    """Return a view of a client that has some other options and shares all the rest.

    For as long as it is bound to a scope, the SDK decides by those options. It is made without the client's
    own ``__init__`` or ``__setstate__``, which would set up transport and integrations again.

    Args:
        client: the client.
        options: what differs.
    """
    view = object.__new__(type(client))
    view.__dict__.update(client.__dict__)
    view.options = {**client.options, **options}
    return view
