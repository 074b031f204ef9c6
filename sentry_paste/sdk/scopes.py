"""Scopes of requests, which are not created until they are used."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar, copy_context
from copy import copy
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import sentry_sdk
from sentry_sdk.client import NonRecordingClient
from sentry_sdk.scope import Scope, ScopeType

try:
    # PyramidIntegration and similar ones wrap the app in the SDK's WSGI middleware unless this is set, and
    # each request makes a second transaction. Missing: our own variable, and the second transaction.
    from sentry_sdk.integrations.wsgi import _wsgi_middleware_applied
except ImportError:  # pragma: no cover
    _wsgi_middleware_applied = ContextVar("sentry_wsgi_middleware_applied")

wsgi_middleware_applied = _wsgi_middleware_applied


def bind_client(scope: Scope, client: Any) -> None:
    """Let a scope capture with a client.

    ``Scope.set_client`` writes the client's attributes into the global scope each time (in 2.75), which is
    too much for every request.

    Args:
        scope: of a request, or of a block of code.
        client: for the scope.
    """
    scope.client = client


@contextmanager
def bound(scope: Scope, client: Any) -> Iterator[None]:
    """Let a scope capture with a client while the block runs.

    Args:
        scope: the current one, which the SDK looks at first.
        client: for the scope.
    """
    before = getattr(scope, "client", None)  # in 2.18 a scope may never have had one
    scope.client = client
    try:
        yield
    finally:
        scope.client = before  # type: ignore[assignment]


_SCOPE_SLOTS = tuple(getattr(Scope, "__slots__", ()))


try:
    # The scopes of the server's context, which the SDK's functions would create if there are none.
    # Missing: the scopes of a request are forked at once.
    from sentry_sdk.scope import _current_scope, _isolation_scope
except ImportError:  # pragma: no cover
    _current_scope = _isolation_scope = None


class Inherited(NamedTuple):
    """What a thread has of the request that has started it.

    Attributes:
        until: when the request has ended, seconds since 1970.
        tags: of its scopes, as well as ``contexts``, ``extras`` and ``user``.
    """

    until: float
    tags: dict[str, Any]
    contexts: dict[str, Any]
    extras: dict[str, Any]
    user: dict[str, Any]


_NOTHING = Inherited(0.0, {}, {}, {}, {})


class RequestScope(Scope):
    """A scope that knows its request, as its forks do, in any thread."""

    __slots__ = ("_inherited", "_is_isolation", "_parent", "_request")

    _inherited: Inherited
    _is_isolation: bool
    _parent: Any
    _request: Any

    def __copy__(self) -> Any:
        forked: Any = super().__copy__()
        # A thread's own fork has the share of the thread.
        forked._inherited = getattr(self, "_inherited", None) or (
            # Most have nothing, such as the fork that each span makes.
            _inherited_from(self) if self._tags or self._contexts or self._extras or self._user else _NOTHING
        )
        forked._request, forked._parent, forked._is_isolation = self._request, None, self._is_isolation
        return forked


class UnusedScope(RequestScope):
    """A scope that is forked from the server's when it is first read or changed.

    Scopes store everything in slots. Reading a slot that is not set calls ``__getattr__``, which fills them.
    """

    __slots__ = ()

    def __copy__(self) -> Any:
        _fill(self)  # it changes the class, of which the fork will be
        return copy(self)

    def __getattr__(self, name: str) -> Any:
        if name in RequestScope.__slots__:
            raise AttributeError(name)
        if name == "_server_segment_span":
            # PyramidIntegration reads it in each request, to add the route.
            return _DeferredSpan(self) if self._request.has_deferred_span else None
        _fill(self)
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _fill(self)
        setattr(self, name, value)

    # Framework integrations call these in each request, but only events need the result.

    def set_transaction_name(self, name: str, source: str | None = None) -> None:
        """Defer the name until the scope is filled."""
        _defer_or_do(self, "set_transaction_name", name, source)

    def add_event_processor(self, func: Any) -> None:
        """Defer the processor until the scope is filled."""
        _defer_or_do(self, "add_event_processor", func)


class _DeferredSpan:
    """Stands in for the request's streamed span until the scope is filled.

    Args:
        scope: unused, the current one.
    """

    __slots__ = ("_scope",)

    def __init__(self, scope: UnusedScope) -> None:
        self._scope = scope

    def set_attribute(self, key: str, value: Any) -> None:
        """Defer the attribute until the scope is filled."""
        _defer_or_do(self._scope, "_server_segment_span.set_attribute", key, value)


def _defer_or_do(scope: Any, method: str, *args: Any) -> None:
    request = scope._request
    with request.lock if request is not None else nullcontext():
        if type(scope) is UnusedScope:
            # Not the scope itself, which refers to the request.
            request.deferred.append((scope._is_isolation, method, args))
            return
    _call(scope, method, args)


# Of a current scope: then the client is the isolation scope's.
_NO_CLIENTS = (type(None), NonRecordingClient)

# Bound once, as each view of Pyramid's asks.
_isolation_of_context = _isolation_scope.get if _isolation_scope is not None else lambda: None
_current_of_context = _current_scope.get if _current_scope is not None else lambda: None


def unused_request() -> Any:
    """Return the current request if its scopes are unused and its client is the current one, else None."""
    isolation, current = _isolation_of_context(), _current_of_context()
    if (
        type(isolation) is UnusedScope
        and type(current) is UnusedScope
        and type(current.client) in _NO_CLIENTS
    ):
        return isolation._request
    return None


def _do_deferred(request: Any, isolation: Any, current: Any) -> None:
    """Make the deferred calls of unused scopes on the forks that replace them.

    Args:
        request: of the scopes.
        isolation: the fork, None if only the other scope is replaced.
        current: the fork, None if only the other scope is replaced.
    """
    for of_isolation, method, args in request.deferred:
        if of_isolation is None:
            _call_within(isolation or _empty(request), current or _pristine(False).fork(), method, args)
        elif (made := isolation if of_isolation else current) is not None:
            _call(made, method, args)


def _empty(request: Any) -> Scope:
    isolation = _pristine(True).fork()
    isolation.client = request.client
    return isolation


def _call_within(isolation: Scope, current: Scope, function: Callable[..., None], args: Any) -> None:
    """Call a function in a context of its own, with other scopes."""

    def inside() -> None:
        Scope.set_isolation_scope(isolation)
        Scope.set_current_scope(current)
        function(*args)

    copy_context().run(inside)


def _call(scope: Any, method: str, args: tuple[Any, ...]) -> None:
    *path, name = method.split(".")
    for part in path:
        scope = getattr(scope, part)
    if scope is not None:  # a request that is not measured has no span
        getattr(scope, name)(*args)


@lru_cache(maxsize=2)
def _pristine(is_isolation: bool) -> Scope:
    """Return an empty scope, to be forked where the server has none; it is never used itself."""
    return Scope(ty=ScopeType.ISOLATION if is_isolation else ScopeType.CURRENT)


def _fill(scope: Any) -> None:
    """Let the request open its scopes; a scope that is first used after the request is filled alone."""
    request = scope._request
    request.open()
    if type(scope) is UnusedScope:
        with request.lock:
            if type(scope) is UnusedScope:
                made = _fork(scope)
                if scope._is_isolation:
                    request.add_to(made)
                _do_deferred(request, *((made, None) if scope._is_isolation else (None, made)))
                _take_over(scope, made)


def _fork(unused: Any) -> Scope:
    """Return the fork that replaces an unused scope."""
    made = (unused._parent or _pristine(unused._is_isolation)).fork()
    if unused.client is not None:
        made.client = unused.client
    return made


def _take_over(scope: Any, made: Scope) -> None:
    """Copy all slots of another scope to an unused one; its class changes last, when it is complete."""
    for name in _SCOPE_SLOTS:
        try:
            object.__setattr__(scope, name, getattr(made, name))
        except AttributeError:  # in 2.18 a fork may have no client
            continue
    object.__setattr__(scope, "__class__", RequestScope)
    scope._parent = None
    if not scope._is_isolation:
        # A streamed span and this scope refer to each other, and would keep the request alive.
        scope._request = None


def open_scopes(isolation: Any, current: Any, function: Callable[[], Any]) -> None:
    """Fill unused scopes from forks of the server's scopes, which a function has prepared.

    The function runs in a context in which the forks are the current scopes. The caller may be in any
    context, such as a thread of the app. No code sees the scopes half filled.

    Args:
        isolation: unused.
        current: unused.
        function: takes no arguments.
    """
    forks = (_fork(isolation), _fork(current))

    def inside() -> None:
        Scope.set_isolation_scope(forks[0])
        Scope.set_current_scope(forks[1])
        try:
            function()
        finally:
            _do_deferred(request, *forks)

    request = isolation._request
    try:
        copy_context().run(inside)
    finally:
        for scope, made in zip((isolation, current), forks):
            _take_over(scope, made)


def enter_scopes(request: Any) -> tuple[Any, Any] | None:
    """Give a request its own scopes, in its own context; return them if they wait until they are used.

    Args:
        request: has the ``client`` that captures, ``open()``, which opens its scopes, session and trace, and
            ``opens_at_once``, which is true if the scopes cannot wait.
    """
    wsgi_middleware_applied.set(True)
    if request.opens_at_once or not has_unused_scopes():
        isolation, current = sentry_sdk.get_isolation_scope().fork(), sentry_sdk.get_current_scope().fork()
        bind_client(isolation, request.client)
        Scope.set_isolation_scope(_of_request(isolation, request))
        Scope.set_current_scope(current)
        return None
    isolation, current = _isolation_scope.get(), _current_scope.get()
    unused_isolation = _unused(request, _as_of_now(isolation, True), request.client, is_isolation=True)
    client = getattr(current, "client", None)
    unused_current = _unused(request, _as_of_now(current, False), client, is_isolation=False)
    _isolation_scope.set(unused_isolation)
    _current_scope.set(unused_current)
    return unused_isolation, unused_current


def _of_request(isolation: Scope, request: Any) -> Scope:
    """Return an isolation scope that knows its request, with the slots of another one."""
    if not has_unused_scopes():
        return isolation
    scope = _unused(request, None, isolation.client, is_isolation=True)
    _take_over(scope, isolation)
    return scope  # type: ignore[no-any-return]


def _as_of_now(scope: Any, is_isolation: bool) -> Any:
    """Return a fork of the server's scope as the parent of a request's, None if the server's is empty.

    Later the server's scope may contain data of another request.
    """
    if scope is None:
        return None
    try:
        if _state_of(scope) == _default_state(is_isolation):
            return None
    except AttributeError:  # a scope of another kind
        pass
    return scope.fork()


# All data that a scope can have, except the trace and the client, which a request has of its own.
_state_of = attrgetter(*(set(_SCOPE_SLOTS) - {"_propagation_context", "_type", "client"} or {"__class__"}))


@lru_cache(maxsize=2)
def _default_state(is_isolation: bool) -> Any:
    return _state_of(_pristine(is_isolation))


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
    # Set at once, as get_client() reads it, and is called all the time.
    put(scope, "client", client or getattr(parent, "client", None))
    return scope


@lru_cache(maxsize=1)
def has_unused_scopes() -> bool:
    """Return whether scopes of this SDK can wait until they are used: all their data is in slots."""
    return bool(_SCOPE_SLOTS) and _current_scope is not None and not hasattr(Scope(), "__dict__")


def request_data() -> Any:
    """Return the event processor of the current request, None outside of requests."""
    scope = sentry_sdk.get_isolation_scope()
    if not isinstance(scope, RequestScope) or scope._request is None:
        return None
    scope._request.open()
    return scope._request.data


def enter_forks(isolation: Scope, current: Scope) -> None:
    """Set the scopes of a thread or greenlet that a request has started, in its own context.

    Args:
        isolation: a fork of the request's.
        current: a fork of the request's.
    """
    Scope.set_isolation_scope(isolation)
    Scope.set_current_scope(current)
    # gevent gives a greenlet a copy of the context. A request that is served in it is one of its own.
    wsgi_middleware_applied.set(False)


def in_thread_of_request() -> bool:
    """Return whether this context is that of a thread or greenlet that a request has started.

    ``ThreadingIntegration`` gives a thread forks of the request's scopes, but a context of its own.
    """
    return current_request() is not None and not wsgi_middleware_applied.get(False)


def inherited() -> Inherited:
    """Return what the threads that this request has started have of it, now that it ends."""
    return _inherited_from(sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope())


def _inherited_from(*scopes: Any) -> Inherited:
    found: list[dict[str, Any]] = [{}, {}, {}, {}]
    for scope in scopes:
        for values, name in zip(found, ("_tags", "_contexts", "_extras", "_user")):
            values.update(getattr(scope, name, None) or {})
    return Inherited(time.time(), *found)


def disinherit(event: Any, processor: Any, found: Inherited) -> None:
    """Remove from an event of a thread what it has of a request that has ended.

    The thread may be one of a pool, which works for other requests by now. Its own event processors, tags and
    breadcrumbs stay.

    Args:
        event: of the SDK.
        processor: of the request, which calls this; the processors that integrations have added after it are
            removed from the thread's scopes.
        found: what the thread has of the request.
    """
    # What the request has set since it has started the thread is in ``found`` only, what it has changed since
    # is in the thread's forks only.
    shares = [found]
    for scope in (sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()):
        share = getattr(scope, "_inherited", None) if isinstance(scope, RequestScope) else None
        shares.extend([share] if share is not None else [])
        processors: Any = getattr(scope, "_event_processors", None)
        if isinstance(processors, list):
            # One by one, as the SDK is iterating over the list.
            for index, each in enumerate(processors):
                if each != processor and _is_of_the_sdk(each):
                    processors[index] = _unchanged
    for name in ("request", "transaction", "transaction_info"):
        event.pop(name, None)
    kept_by_all = sentry_sdk.get_global_scope()
    for key, attribute in (("tags", "tags"), ("contexts", "contexts"), ("extra", "extras")):
        own = event.get(key)
        shared = getattr(kept_by_all, f"_{attribute}", None) or {}
        for name, value in [pair for share in shares for pair in getattr(share, attribute).items()]:
            if isinstance(own, dict) and name not in shared and name in own and own[name] == value:
                del own[name]
    if isinstance(event.get("contexts"), dict):
        event["contexts"].pop("trace", None)
    if any(event.get("user") == share.user for share in shares):
        event.pop("user", None)
    crumbs = event.get("breadcrumbs")
    if isinstance(crumbs, dict) and isinstance(crumbs.get("values"), list):
        crumbs["values"] = [crumb for crumb in crumbs["values"] if _is_after(crumb, found.until)]


def _unchanged(event: Any, _hint: Any) -> Any:
    """Return the event: in place of an event processor whose request has ended."""
    return event


def _is_of_the_sdk(processor: Any) -> bool:
    return str(getattr(processor, "__module__", "")).startswith("sentry_sdk.")


def _is_after(crumb: Any, until: float) -> bool:
    found = crumb.get("timestamp") if isinstance(crumb, dict) else None
    return isinstance(found, datetime) and found.timestamp() > until


def request_scopes() -> tuple[Scope, Scope] | None:
    """Return forks of the current request's scopes for a thread or greenlet; None outside of requests."""
    if not (wsgi_middleware_applied.get(False) or current_request() is not None):
        return None
    isolation, current = sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()
    forks = isolation.fork(), current.fork()
    for scope, fork in zip((isolation, current), forks):
        # In 2.18 a fork may have no client.
        bind_client(fork, getattr(scope, "client", None))
    return forks


def record_inner_request(environ: Mapping[str, Any]) -> None:
    """Record a request within the current one.

    Args:
        environ: of the inner request.
    """
    request = current_request()
    if request is not None:
        request.record_inner(environ)


def record_user(user: Mapping[str, str]) -> None:
    """Record who is signed in, for the current request.

    Args:
        user: ``username`` and ``userid``.
    """
    request = current_request()
    if request is not None:
        request.record_user(user)


def settle_trace_of_request() -> None:
    """Open the scopes of the current request, if there is one, and let the SDK choose the id of its trace."""
    request = current_request()
    if request is not None:
        request.open()
        # The SDK creates the id when somebody asks for it.
        sentry_sdk.get_traceparent()


def current_request() -> Any:
    """Return the request whose scopes are the current ones, None outside of requests."""
    scope: Any = _isolation_of_context()
    return scope._request if isinstance(scope, RequestScope) else None
