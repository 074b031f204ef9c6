"""The only module that touches names which the Sentry SDK does not document.

Each has the reason for its use and what happens where it is missing. Checked
with sentry-sdk 2.18.0 (the oldest supported) and 2.75.0; the tests run on both.
"""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from types import TracebackType
from typing import Any, cast

import sentry_sdk
from sentry_sdk.consts import VERSION
from sentry_sdk.integrations import Integration
from sentry_sdk.scope import Scope
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
    """Tell whether an object is what the SDK's option ``transport`` takes.

    Args:
        found: an object, or a class.
    """
    return isinstance(found, Transport) or (isinstance(found, type) and issubclass(found, Transport))


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


def remember_error(client: Any, error: BaseException) -> None:
    """Have the SDK take an error for reported, in the context that this is called in.

    ``DedupeIntegration`` drops an event whose exception is the one it saw last; what it sees in a
    request's context it does not know outside of it. Missing: a server that logs what the app raised
    makes a second event.

    Args:
        client: the one that would report it again.
        error: the exception.
    """
    last_seen = _last_seen(client)
    if last_seen is not None:
        last_seen.set(error)


def forget_error(client: Any) -> None:
    """Undo ``remember_error``: the same object raised in another request is another error.

    It also lets go of the frames that the error holds.

    Args:
        client: as it was given there.
    """
    last_seen = _last_seen(client)
    if last_seen is not None and last_seen.get(None) is not None:
        last_seen.set(None)


def _last_seen(client: Any) -> ContextVar[Any] | None:
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
