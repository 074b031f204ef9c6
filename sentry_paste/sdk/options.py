"""Options of a client: their types, their validation, and which of them take precedence."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlsplit

import sentry_sdk
from sentry_sdk.consts import VERSION
from sentry_sdk.integrations import Integration
from sentry_sdk.transport import Transport
from sentry_sdk.utils import BadDsn, Dsn

from sentry_paste.sdk.changes import changes
from sentry_paste.sdk.major import adapter

try:
    # The attributes of a streamed span's request, as the SDK's middleware sends them.
    # Missing (an SDK without streamed spans): none.
    from sentry_sdk.integrations.wsgi import _get_request_attributes as _sdk_request_attributes
except ImportError:
    _sdk_request_attributes = None  # type: ignore[assignment]


try:
    # Metrics with tags, which newer SDKs do not have any more. They are sent unless an app turns them off
    # (``enable_metrics``, an experiment), and have a hook, ``before_emit_metric``.
    from sentry_sdk.metrics import MetricsAggregator as _MetricsAggregator  # type: ignore[attr-defined]
except ImportError:
    _MetricsAggregator = None

#: Whether there are such metrics.
HAS_TAGGED_METRICS = _MetricsAggregator is not None
DEFAULTS, GONE_OPTIONS = adapter.DEFAULTS, adapter.GONE_OPTIONS
streams_spans, sends_user_info = adapter.streams_spans, adapter.sends_user_info
_INSTALLED = (int(VERSION.split(".")[0]), int(VERSION.split(".")[1]))
filter_headers, filters_query = adapter.filter_headers, adapter.filters_query


def client_options() -> Iterator[tuple[str, str, Any]]:
    """Yield name, annotation as source, and default of every option of ``sentry_sdk.init``.

    Options that the installed major version has dropped are included, as inis go on using them.

    The SDK types its ``init`` with ``ClientConstructor``, which is in ``sentry_sdk.consts`` in every 2.x
    version. Older ones have type comments instead of annotations, which are empty here.
    """
    from sentry_sdk.consts import ClientConstructor

    for parameter in list(inspect.signature(ClientConstructor.__init__).parameters.values())[1:]:
        annotation = parameter.annotation
        default = DEFAULTS.get(parameter.name, parameter.default)
        yield parameter.name, annotation if isinstance(annotation, str) else "", default
    for name, gone in GONE_OPTIONS.items():
        yield name, gone.annotation, gone.default


def notes_on_options(given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the options that have no effect, or another one, with the installed SDK, and what is so.

    Args:
        given: the options that are set, by name, with their values.

    Returns:
        The option's name, and the end of a sentence that begins with it.
    """
    yield from changes(_INSTALLED, given)
    if VERSION == "2.68.0" and given.get("enable_logs"):
        # https://github.com/getsentry/sentry-python/issues/7237
        yield "enable_logs", "is ignored by sentry-sdk 2.68.0; install 2.68.1 or newer"


def note_on_argument(integration: str, argument: str) -> str:
    """Return what has become of an argument of an integration, empty if the installed SDK may have it.

    Args:
        integration: its name.
        argument: name of the argument.

    Returns:
        The end of a sentence that begins with the option's name.
    """
    return adapter.GONE_ARGUMENTS.get((integration, argument), "")


# The newest versions with which all tests have passed.
_TESTED = {2: 75, 3: 0}


def note_on_version() -> str:
    """Return that the installed SDK is newer than all that were tested, an empty string if it is not."""
    major, minor = _INSTALLED
    if minor <= _TESTED.get(major, -1):
        return ""
    newest = max(_TESTED)
    return f"sentry-sdk {VERSION} is newer than {newest}.{_TESTED[newest]}, the newest that was tested"


def current_module(name: str) -> str:
    """Return the module that stands in for one that the installed SDK has no longer, else the same name.

    Args:
        name: of a module.
    """
    return adapter.MOVED_MODULES.get(name, name)


def dsn_fault(text: str) -> str:
    """Return what is wrong with a DSN, an empty string if the SDK takes it.

    Args:
        text: the DSN.
    """
    try:
        Dsn(text)
    except (BadDsn, ValueError):
        # The messages of urllib and of the SDK quote what may be a part of the secret.
        key_has_delimiter = re.search(r"[/?#][^@]*@", text.partition("://")[2]) is not None
        hint = "; in a key, write / as %2F, ? as %3F and # as %23" if key_has_delimiter else ""
        return _fault_of_part(text) + hint
    return ""


def _fault_of_part(text: str) -> str:
    try:
        parts = urlsplit(text)
    except ValueError:
        return "Invalid host"
    if parts.scheme not in ("http", "https"):
        return "Unsupported scheme, expected https:// or http://"
    if parts.hostname is None:
        return "Missing host"
    try:
        parts.port  # noqa: B018
    except ValueError:
        return "Invalid port"
    return "Invalid project" if parts.username else "Missing public key"


def dialog_address(text: str) -> str:
    """Return the URL of the script of Sentry's crash-report dialog, to which the event's id has to be added.

    The browser SDK's ``showReportDialog`` uses the same one. It contains the DSN without a secret.

    Args:
        text: a valid DSN.
    """
    dsn = Dsn(text)
    public = f"{dsn.scheme}://{dsn.public_key}@{dsn.netloc}{dsn.path}{dsn.project_id}"
    return f"{dsn.scheme}://{dsn.netloc}{dsn.path}api/embed/error-page/?dsn={quote(public, safe='')}"


def dsn_address(text: str) -> tuple[str, str, int]:
    """Return scheme, host and port of a DSN.

    Args:
        text: a valid DSN.
    """
    dsn = Dsn(text)
    return dsn.scheme, dsn.host, dsn.port


def is_transport(found: Any) -> bool:
    """Return whether an object can be the SDK option ``transport``: a transport, a class, a function.

    Args:
        found: the object that a dotted name refers to.
    """
    return isinstance(found, Transport) or callable(found)


def integration_class(found: Any) -> type[Integration]:
    """Return the class of an integration that was given as a class or as an instance.

    Args:
        found: the object that a dotted name refers to.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(found, Integration):
        return type(found)
    if isinstance(found, type) and issubclass(found, Integration):
        return adapter.integration_class(found)
    raise ValueError("is not an integration of sentry_sdk")


@lru_cache(maxsize=1)
def integration_modules() -> frozenset[str]:
    """Return the names of the SDK's integration modules, without importing them."""
    import sentry_sdk.integrations

    modules = pkgutil.iter_modules(sentry_sdk.integrations.__path__)
    return frozenset(module.name for module in modules if not module.name.startswith("_"))


def integration_of_module(module: Any, name: str) -> type[Integration]:
    """Return the integration that a module of the SDK defines.

    Args:
        module: of ``sentry_sdk.integrations``.
        name: of the module, usually also the integration's identifier.

    Raises:
        ValueError: the module has no such integration.
    """
    classes: list[type[Integration]] = [
        found
        for found in list(vars(module).values())
        if issubclass(type(found), type) and issubclass(found, Integration) and found is not Integration
    ]
    own = [found for found in classes if found.__module__.startswith(module.__name__)] or classes
    for found in own:
        if found.identifier == name:
            return adapter.integration_class(found)
    if len(own) != 1:
        raise ValueError("the module has no integration with its name")
    return adapter.integration_class(own[0])


def traces(options: Mapping[str, Any]) -> bool:
    """Return whether a client traces at all.

    The rule is the SDK's ``has_tracing_enabled``, in public terms.

    Args:
        options: of the client.
    """
    return options.get("enable_tracing") is not False and (
        options.get("traces_sample_rate") is not None or options.get("traces_sampler") is not None
    )


def filter_query(query: str, options: Mapping[str, Any]) -> str | None:
    """Return the query string as a client may send it.

    Only ``data_collection`` affects it; otherwise the SDK sends it unchanged.

    Args:
        query: without the question mark.
        options: of the client.
    """
    if not filters_query(options):
        return query
    # It exists since data_collection itself does, and the SDK's middleware uses it in the same way.
    from sentry_sdk.data_collection import _apply_data_collection_filtering_to_query_string as apply

    return apply(query_string=query, behaviour=options["data_collection"]["url_query_params"])


def request_attributes(environ: dict[str, str]) -> dict[str, Any]:
    """Return the attributes that a streamed span has of its request.

    Args:
        environ: the strings of a WSGI environ.
    """
    return {} if _sdk_request_attributes is None else _sdk_request_attributes(environ)


def active_client() -> Any:
    """Return the active client, or None."""
    client = sentry_sdk.get_client()
    return client if client.is_active() else None


def active_integrations(client: Any) -> list[str]:
    """Return the names of a client's active integrations.

    Every 2.x version has ``Client.integrations``. Missing: none.

    Args:
        client: of the SDK.
    """
    return sorted(getattr(client, "integrations", None) or {})


def with_options(client: Any, **options: Any) -> Any:
    """Return a view of a client that has some other options and shares everything else.

    While it is bound to a scope, the SDK uses those options. It is created without the client's ``__init__``
    and ``__setstate__``, which would set up transport and integrations again.

    Args:
        client: the client.
        options: those that differ.
    """
    view = object.__new__(type(client))
    view.__dict__.update(client.__dict__)
    view.options = {**client.options, **options}
    view.__dict__.setdefault(_ORIGIN, client)
    return view


def with_reloaded(client: Any, options: Mapping[str, Any], names: Collection[str]) -> Any:
    """Return a view of a client in which some options are as they are in an ini by now.

    The SDK reads these at each event or trace (``RELOADABLE``, and the hooks that the ini's rules are made
    into), from the client that captures. So what has begun with the client itself ends with its options.

    Args:
        client: that was created.
        options: of the ini, as they would be given to a client.
        names: of the options that differ.
    """
    defaults = {name: default for name, _, default in client_options()}
    found = {name: options.get(name, defaults.get(name)) for name in names}
    if (
        "traces_sample_rate" in found
        and found["traces_sample_rate"] is None
        and options.get("enable_tracing")
    ):
        found["traces_sample_rate"] = 1.0  # as in the client's own __init__
    return with_options(client, **found)


def replace_client(old: Any, new: Any) -> None:
    """Let threads that belong to no request capture with another view of the client that they have.

    Not ``Scope.set_client``, which would set the attributes of the global scope again.

    Args:
        old: the client, or a view of it.
        new: the view.
    """
    scope = sentry_sdk.get_global_scope()
    if scope.client is old:
        scope.client = new


def origin(client: Any) -> Any:
    """Return the client that a view was made of, or the client itself.

    Args:
        client: any.
    """
    return vars(client).get(_ORIGIN, client)


_ORIGIN = "_sentry_paste_origin"
