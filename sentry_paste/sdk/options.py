"""Options of a client: what the SDK knows of them and does not say, and which of them hold."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, cast

import sentry_sdk
from sentry_sdk.integrations import Integration
from sentry_sdk.transport import Transport
from sentry_sdk.utils import BadDsn, Dsn

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
    """Return whether an object is one that the SDK option ``transport`` takes: a transport, a class, a function.

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
    """Return whether a client traces at all.

    The rule is the SDK's ``has_tracing_enabled``, in public terms.

    Args:
        options: of the client.
    """
    return options.get("enable_tracing") is not False and (
        options.get("traces_sample_rate") is not None or options.get("traces_sampler") is not None
    )


def streams_spans(options: Mapping[str, Any]) -> bool:
    """Return whether a client sends spans one by one (``trace_lifecycle = stream``).

    Args:
        options: of the client.
    """
    return bool(_sdk_streams_spans is not None and _sdk_streams_spans(cast("dict[str, Any]", options)))


def sends_user_info(options: Mapping[str, Any]) -> bool:
    """Return whether a client may send who the user is: addresses and names.

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
