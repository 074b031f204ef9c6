"""Scopes of requests, which wait until they are used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar, copy_context
from copy import copy
from functools import lru_cache
from operator import attrgetter
from typing import Any

import sentry_sdk
from sentry_sdk.scope import Scope, ScopeType

try:
    # PyramidIntegration and its kin wrap the app in the SDK's WSGI middleware unless this is set: without
    # it each request makes a second transaction. Missing: an own variable, and the second transaction.
    from sentry_sdk.integrations.wsgi import _wsgi_middleware_applied
except ImportError:  # pragma: no cover
    _wsgi_middleware_applied = ContextVar("sentry_wsgi_middleware_applied")

wsgi_middleware_applied = _wsgi_middleware_applied


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
        if name == "_server_segment_span":
            # PyramidIntegration asks in each request. Where spans are streamed the request is opened at once.
            return None
        _fill(self)
        return getattr(self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        _fill(self)
        setattr(self, name, value)

    # What integrations of frameworks do in each request, and what only an event needs.

    def set_transaction_name(self, name: str, source: str | None = None) -> None:
        """Note the name until the scope is filled."""
        _defer_or_do(self, "set_transaction_name", name, source)

    def add_event_processor(self, func: Any) -> None:
        """Note the processor until the scope is filled."""
        _defer_or_do(self, "add_event_processor", func)


def _defer_or_do(scope: Any, method: str, *args: Any) -> None:
    request = scope._request
    with request.lock if request is not None else nullcontext():
        if type(scope) is UnusedScope:
            # Not the scope itself, which refers to the request.
            request.deferred.append((scope._is_isolation, method, args))
            return
    getattr(scope, method)(*args)


def _do_deferred(request: Any, made: Any, is_isolation: bool) -> None:
    """Do to a fork what was to be done to the unused scope whose place it takes."""
    for of_isolation, method, args in request.deferred:
        if of_isolation == is_isolation:
            getattr(made, method)(*args)


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
                _do_deferred(request, made, scope._is_isolation)
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
        try:
            function()
        finally:
            for made, is_isolation in zip(forks, (True, False)):
                _do_deferred(request, made, is_isolation)

    request = isolation._request
    try:
        copy_context().run(inside)
    finally:
        for scope, made in zip((isolation, current), forks):
            _take_over(scope, made)


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
    isolation, current = _isolation_scope.get(), _current_scope.get()
    unused_isolation = _unused(request, _as_of_now(isolation, True), request.client, is_isolation=True)
    client = getattr(current, "client", None)
    unused_current = _unused(request, _as_of_now(current, False), client, is_isolation=False)
    _isolation_scope.set(unused_isolation)
    _current_scope.set(unused_current)
    return unused_isolation, unused_current


def _as_of_now(scope: Any, is_isolation: bool) -> Any:
    """Return what a request's scope is to be a fork of, None where the server's tells nothing.

    By the time at which it is asked for, the server's may tell of another request.
    """
    if scope is None:
        return None
    try:
        if _told_by(scope) == _told_by_none(is_isolation):
            return None
    except AttributeError:  # a scope of another kind
        pass
    return scope.fork()


# All that a scope can be told. A request has a trace of its own, and its client is given.
_told_by = attrgetter(*(set(_SCOPE_SLOTS) - {"_propagation_context", "_type", "client"} or {"__class__"}))


@lru_cache(maxsize=2)
def _told_by_none(is_isolation: bool) -> Any:
    return _told_by(_pristine(is_isolation))


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
    """Return whether scopes of this SDK can wait until they are used: all that they have is in slots."""
    return bool(_SCOPE_SLOTS) and _current_scope is not None and not hasattr(Scope(), "__dict__")


def request_data() -> Any:
    """Return what events of the current request are given, None outside of requests."""
    scope = sentry_sdk.get_isolation_scope()
    if not isinstance(scope, RequestScope) or scope._request is None:
        return None
    scope._request.open()
    return scope._request.data


# Whether this is what a request has started.
_is_started: ContextVar[bool] = ContextVar("sentry_paste_is_started", default=False)


def enter_forks(isolation: Scope, current: Scope) -> None:
    """Set the scopes of what a request has started, in a context of its own.

    Args:
        isolation: a fork of the request's.
        current: the same.
    """
    Scope.set_isolation_scope(isolation)
    Scope.set_current_scope(current)
    _is_started.set(True)


def request_scopes() -> tuple[Scope, Scope] | None:
    """Return forks of the current request's scopes, for what it starts; None outside of requests."""
    if not (wsgi_middleware_applied.get(False) or _is_started.get() or _current_request() is not None):
        return None
    isolation, current = sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()
    forks = isolation.fork(), current.fork()
    for scope, fork in zip((isolation, current), forks):
        # 2.18 has forks without a client.
        bind_client(fork, getattr(scope, "client", None))
    return forks


def record_inner_request(environ: Mapping[str, Any]) -> None:
    """Tell the current request that there is another within it.

    Args:
        environ: of the other.
    """
    request = _current_request()
    if request is not None:
        request.record_inner(environ)


def record_user(user: Mapping[str, str]) -> None:
    """Tell the current request who is signed in.

    Args:
        user: ``username`` and ``userid``.
    """
    request = _current_request()
    if request is not None:
        request.record_user(user)


def _current_request() -> Any:
    scope = _isolation_scope.get() if _isolation_scope is not None else None
    return scope._request if isinstance(scope, RequestScope) else None
