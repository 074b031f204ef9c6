"""The one table of options: name, kind, default, help.

The SDK's options come from the signature of the installed SDK, so that an
option of a newer SDK works without a release of ours. Where the signature says
too little for a kind (an old SDK has no annotations; a rate is annotated as any
other float), the tables below do.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from sentry_paste import sdk
from sentry_paste.config import kinds
from sentry_paste.config.kinds import Kind


@dataclass(frozen=True)
class Option:
    """An option of the filter.

    Attributes:
        name: as it is written in the ini.
        kind: what its text is turned into.
        default: the value where the ini does not say it.
        help: what it does, in a sentence or two; empty for the SDK's, which the SDK documents.
        is_sdk: whether it is an option of ``sentry_sdk.init``.
    """

    name: str
    kind: Kind
    default: Any
    help: str = ""
    is_sdk: bool = False


_OWN_OPTIONS = (
    Option(
        "spool_dir",
        kinds.PATH,
        None,
        "Directory where envelopes are kept as files while no DSN is set; relative to the ini.",
    ),
    Option(
        "http_methods_to_capture",
        kinds.UPPER_WORDS,
        # HEAD and OPTIONS are left out as in the SDK's middleware: they are seldom what one measures.
        frozenset({"CONNECT", "DELETE", "GET", "PATCH", "POST", "PUT", "TRACE"}),
        "Methods whose requests are transactions; errors are reported whatever the method.",
    ),
)

_SDK_KINDS: dict[str, Kind] = {
    "_experiments": kinds.OBJECT,
    "before_breadcrumb": kinds.HOOK,
    "before_send": kinds.HOOK,
    "before_send_log": kinds.HOOK,
    "before_send_metric": kinds.HOOK,
    "before_send_span": kinds.HOOK,
    "before_send_transaction": kinds.HOOK,
    "ca_certs": kinds.PATH,
    "cert_file": kinds.PATH,
    "custom_repr": kinds.HOOK,
    "data_collection": kinds.OBJECT,
    "debug": kinds.BOOLEAN,
    "disabled_integrations": kinds.INTEGRATION_CLASSES,
    "dsn": kinds.DSN,
    "enable_tracing": kinds.BOOLEAN,
    "error_sampler": kinds.HOOK,
    "event_scrubber": kinds.OBJECT,
    "functions_to_trace": kinds.FUNCTIONS,
    "ignore_errors": kinds.WORDS,
    "ignore_spans": kinds.WORDS,
    "in_app_exclude": kinds.WORDS,
    "in_app_include": kinds.WORDS,
    "integrations": kinds.INTEGRATIONS,
    "keep_alive": kinds.BOOLEAN,
    "key_file": kinds.PATH,
    "max_request_body_size": kinds.choice(["never", "small", "medium", "always"]),
    "max_stack_frames": kinds.COUNT,
    "max_value_length": kinds.COUNT,
    "profile_lifecycle": kinds.choice(["manual", "trace"]),
    "profiler_mode": kinds.choice(["thread", "gevent", "sleep", "unknown"]),
    "profiles_sampler": kinds.HOOK,
    "project_root": kinds.PATH,
    "proxy_headers": kinds.MAPPING,
    "send_default_pii": kinds.BOOLEAN,
    "shutdown_timeout": kinds.SECONDS,
    "socket_options": kinds.OBJECT,
    "spotlight": kinds.BOOLEAN_OR_URL,
    "trace_ignore_status_codes": kinds.STATUS_CODES,
    "trace_propagation_targets": kinds.WORDS,
    "traces_sampler": kinds.HOOK,
    "transport": kinds.TRANSPORT,
    "transport_queue_size": kinds.POSITIVE,
}

_KINDS_BY_ANNOTATION = {
    "bool": kinds.BOOLEAN,
    "int": kinds.COUNT,
    "float": kinds.NUMBER,
    "str": kinds.TEXT,
}


@lru_cache(maxsize=1)
def options() -> Mapping[str, Option]:
    """Return the table: every option of the filter and of the installed SDK, by name."""
    table = {option.name: option for option in _OWN_OPTIONS}
    for name, annotation, default in sdk.client_options():
        kind = _SDK_KINDS.get(name) or derive_kind(name, annotation, default)
        table[name] = Option(name, kind, default, is_sdk=True)
    return MappingProxyType(dict(sorted(table.items())))


def derive_kind(name: str, annotation: str, default: Any) -> Kind:
    """Return the kind that an SDK option's signature implies, ``OBJECT`` where it implies none.

    Args:
        name: the option's name; a float that is called a sample rate is a rate.
        annotation: source of the annotation, empty where there is none.
        default: the default, which tells the type where no annotation does.
    """
    if name.endswith("sample_rate"):
        return kinds.RATE
    kind = _kind_of_annotation(annotation)
    if kind is None and default is not None:
        kind = _KINDS_BY_ANNOTATION.get(type(default).__name__)
    if kind is None and not annotation and default is None:
        # An SDK without annotations: what has no default and is no hook is text, as release and dist are.
        kind = kinds.TEXT
    return kind or kinds.OBJECT


def _kind_of_annotation(annotation: str) -> Kind | None:
    try:
        node = ast.parse(annotation, mode="eval").body
    except SyntaxError:
        return None
    node = _without_optional(node)
    text = ast.unparse(node)
    if isinstance(node, ast.Subscript):
        outer = ast.unparse(node.value).rpartition(".")[2]
        inner = ast.unparse(node.slice)
        if outer == "Literal":
            values = ast.literal_eval(node.slice)
            return kinds.choice(values if isinstance(values, tuple) else (values,))
        if outer == "Callable":
            return kinds.HOOK
        if outer in ("List", "Sequence", "list") and inner == "str":
            return kinds.WORDS
        if outer in ("AbstractSet", "Set", "FrozenSet", "set", "frozenset") and inner == "int":
            return kinds.STATUS_CODES
        if outer in ("Dict", "Mapping", "dict") and inner in ("str, str", "(str, str)"):
            return kinds.MAPPING
    return _KINDS_BY_ANNOTATION.get(text)


def _without_optional(node: ast.expr) -> ast.expr:
    """Return X of ``Optional[X]``, ``X | None`` and ``Union[X, None]``, else the node."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _without_optional(ast.parse(node.value, mode="eval").body)
    if isinstance(node, ast.Subscript):
        outer = ast.unparse(node.value).rpartition(".")[2]
        if outer == "Optional":
            return _without_optional(node.slice)
        if outer == "Union" and isinstance(node.slice, ast.Tuple):
            members = [member for member in node.slice.elts if ast.unparse(member) != "None"]
            return _without_optional(members[0]) if len(members) == 1 else node
    if isinstance(node, ast.BinOp) and ast.unparse(node.right) == "None":
        return _without_optional(node.left)
    return node
