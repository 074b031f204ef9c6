"""The table of options: name, kind, default, help, topic, example.

Parsing, checks, the commented sample and the reference (``docs/_ext``) are all generated from it.
The SDK's options come from the signature of the installed SDK, so that options of
a newer SDK work without a new release of this package.
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Any

from sentry_paste import sdk
from sentry_paste.config import kinds, references
from sentry_paste.config.examples import example
from sentry_paste.config.kinds import Kind, Option
from sentry_paste.config.own_options import OWN_OPTIONS
from sentry_paste.config.sdk_options import SDK_DEFAULTS, SDK_HELP, SDK_KINDS


@dataclass(frozen=True)
class Topic:
    """A topic.

    Attributes:
        name: one word.
        title: its heading.
        options: names of its options, those that most people need first.
    """

    name: str
    title: str
    options: tuple[str, ...]


#: All topics, in order. The last one also has those options of a newer SDK that no topic names.
TOPICS = (
    Topic(
        "basics",
        "Basics",
        (
            *("dsn", "dsn_file", "environment", "release", "dist", "server_name"),
            *("tags", "tags.NAME", "contexts.NAME.KEY"),
            *("error_page", "user_feedback", "event_id_header"),
            *("debug", "spotlight"),
        ),
    ),
    Topic(
        "sampling",
        "Sampling and filtering",
        (
            *("sample_rate", "traces_sample_rate", "traces_sample_rates", "transaction_names"),
            *("traces_keep", "traces_keep_spans", "traces_keep_over_caller"),
            *("trace_continuation", "trace_response", "propagate_traceparent"),
            *("ignore_paths", "ignore_exceptions", "ignore_loggers", "ignore_messages"),
            *("expected_exceptions", "error_sample_rates", "error_budget", "levels"),
            *("fingerprints", "fingerprint_without_ids"),
            "failed_status_codes",
            *("http_methods_to_capture", "trace_ignore_status_codes", "max_transaction_duration"),
            *("auto_session_tracking", "capture_start_response_errors", "reload"),
            *("before_send", "before_send_transaction", "before_breadcrumb", "before_send_log"),
            *("before_send_metric", "before_send_span", "ignore_errors", "ignore_spans"),
            *("error_sampler", "traces_sampler", "enable_tracing", "enable_backpressure_handling"),
            *("profiles_sample_rate", "profiles_sampler", "profile_session_sample_rate"),
            *("profile_lifecycle", "profiler_mode"),
        ),
    ),
    Topic(
        "privacy",
        "Privacy",
        (
            *("send_default_pii", "redact_headers", "redact_params", "redact_environ", "redact_patterns"),
            *("keep_headers", "include_local_variables", "max_request_body_size", "event_scrubber"),
            *("data_collection", "include_source_context"),
        ),
    ),
    Topic(
        "delivery",
        "Delivery",
        (
            *("spool_dir", "spool_items", "spool_max_size", "spool_max_age", "spool_rate", "spool_fsync"),
            *(
                "spool_connections",
                "spool_min_free",
                "shutdown_timeout",
                "transport_queue_size",
                "send_client_reports",
                "transport",
            ),
        ),
    ),
    Topic(
        "integrations",
        "Integrations, logs and spans",
        (
            *("integrations", "disabled_integrations", "integration.NAME.ARGUMENT"),
            *("enable_logs", "enable_metrics", "max_breadcrumbs", "functions_to_trace"),
            *("enable_db_query_source", "db_query_source_threshold_ms"),
            *("enable_http_request_source", "http_request_source_threshold_ms"),
            *("default_integrations", "auto_enabling_integrations", "stream_gen_ai_spans"),
            *("trace_lifecycle", "instrumenter"),
        ),
    ),
    Topic(
        "network",
        "Network",
        (
            *("trusted_proxy_count", "http_proxy", "https_proxy", "proxy_headers"),
            *("ca_certs", "cert_file", "key_file", "keep_alive", "socket_options"),
            *("trace_propagation_targets", "propagate_traces", "strict_trace_continuation", "org_id"),
        ),
    ),
    Topic(
        "rare",
        "Rarely needed",
        (
            *("attach_stacktrace", "add_full_stack", "in_app_include", "in_app_exclude", "project_root"),
            *("max_stack_frames", "max_value_length", "custom_repr", "_experiments"),
        ),
    ),
)

#: The topic of each option, by its name.
TOPIC_OF: Mapping[str, str] = MappingProxyType(
    {name: topic.name for topic in TOPICS for name in topic.options}
)


@lru_cache(maxsize=1)
def options() -> Mapping[str, Option]:
    """Return the table: every option of the filter and of the installed SDK, by name."""
    table = {option.name: option for option in OWN_OPTIONS}
    for name, annotation, default in sdk.client_options():
        if name in table:  # a newer SDK has an option of ours
            continue
        kind = SDK_KINDS.get(name) or derive_kind(name, annotation, default)
        help_ = SDK_HELP.get(name, "An option of a newer sentry-sdk: see its documentation.")
        words = SDK_DEFAULTS.get(name, "") if default is None else ""
        is_reloadable = name in sdk.RELOADABLE
        table[name] = Option(name, kind, default, help_, words, is_sdk=True, reloadable=is_reloadable)
    last = TOPICS[-1].name
    return MappingProxyType(
        {name: replace(option, topic=TOPIC_OF.get(name, last)) for name, option in sorted(table.items())}
    )


def options_by_topic() -> Iterator[tuple[str, list[Option]]]:
    """Yield the title of each topic with its options, in the order in which they are shown."""
    order = {name: number for number, name in enumerate(TOPIC_OF)}
    for topic in TOPICS:
        found = [option for option in options().values() if option.topic == topic.name]
        yield topic.title, sorted(found, key=lambda option: order.get(option.name, len(order)))


_KINDS_BY_TYPE = {
    "bool": kinds.BOOLEAN,
    "int": kinds.COUNT,
    "float": kinds.NUMBER,
    "str": kinds.TEXT,
}
_LISTS = ("List", "Sequence", "Iterable", "Tuple", "list", "tuple")
_SETS = ("AbstractSet", "Set", "FrozenSet", "set", "frozenset")


def derive_kind(name: str, annotation: str, default: Any) -> Kind:
    """Return the kind that a signature implies, ``OBJECT`` if it implies none.

    Args:
        name: of the option; a float whose name ends in ``sample_rate`` is a rate.
        annotation: source of the annotation, empty if there is none.
        default: the default, whose type decides if there is no annotation.
    """
    if name.endswith("sample_rate"):
        return kinds.RATE
    kind = _kind_of_annotation(annotation)
    if kind is None and default is not None:
        kind = _KINDS_BY_TYPE.get(type(default).__name__)
    if kind is None and not annotation and default is None:
        # An SDK without annotations: options without a default that are not hooks are text (release, dist).
        kind = kinds.TEXT
    return kind or references.OBJECT


def _kind_of_annotation(annotation: str) -> Kind | None:
    try:
        node = _without_optional(ast.parse(annotation, mode="eval").body)
    except SyntaxError:
        return None
    if isinstance(node, ast.Subscript):
        outer = ast.unparse(node.value).rpartition(".")[2]
        inner = ast.unparse(node.slice).strip("()")
        if outer == "Literal":
            values = ast.literal_eval(node.slice)
            return kinds.choice(values if isinstance(values, tuple) else (values,))
        if outer == "Callable":
            return references.HOOK
        if outer in _LISTS and inner in ("str", "str, ..."):
            return kinds.WORDS
        if outer in _SETS and inner == "int":
            return kinds.STATUS_CODES
        if outer in ("Dict", "Mapping", "dict") and inner == "str, str":
            return kinds.MAPPING
    return _KINDS_BY_TYPE.get(ast.unparse(node))


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


_WIDTH = 100


def sample() -> str:
    """Return a complete ``[filter:sentry]`` section with every option commented out.

    It loads as it is, and with any of its options uncommented.
    """
    return "\n".join(_sample()) + "\n"


def _sample() -> Iterator[str]:
    yield f"# Every option of sentry_paste, with sentry-sdk {sdk.VERSION}. Uncomment what you need: a line"
    yield "# that begins with # and a space is a comment, one with # alone is an option with its default."
    yield ""
    yield "[filter:sentry]"
    yield "use = egg:sentry_paste"
    for title, found in options_by_topic():
        yield ""
        yield f"# {title} {'-' * (_WIDTH - len(title) - 3)}"
        for option in found:
            yield ""
            yield from textwrap.wrap(_help_of(option), _WIDTH, initial_indent="# ", subsequent_indent="# ")
            is_whole = option.name.isidentifier()  # else the user chooses a part of it
            line = f"{option.name} = {default_text(option)}" if is_whole else example(option.name)
            yield f"#{line}".rstrip()


def minimal_sample() -> str:
    """Return a ``[filter:sentry]`` section with the lines that most people need; it loads as it is."""
    return _MINIMAL


_MINIMAL = """\
# Around the app: filter-with = sentry in its section (sentry-paste check shows what fits your ini)
[filter:sentry]
use = egg:sentry_paste
dsn = ${SENTRY_DSN}
environment = production
#release = dist:myapp
traces_sample_rate = 0.1
#ignore_paths = /healthcheck
send_default_pii = false
spool_dir = %(here)s/var/sentry
"""


def _help_of(option: Option) -> str:
    return f"{option.help} Expects {option.kind.expected}."


def default_text(option: Option) -> str:
    """Return an option's default as it would be written in an ini, empty if there is no default.

    Args:
        option: of the table.
    """
    # Without a value the words say what is done then: no text of an ini has that meaning.
    if option.default_text and option.default is not None:
        return "" if option.default_text == "none" else option.default_text
    return _text(option.default)


def default_words(option: Option) -> str:
    """Return what holds where an option is not set, in reStructuredText: a value of an ini, or words.

    Args:
        option: of the table.
    """
    text = default_text(option)
    if text:
        return f"``{text}``"
    return option.default_text or "none"


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value))
    if isinstance(value, (set, frozenset)):
        return ", ".join(sorted(map(_text, value)))
    if isinstance(value, dict):
        return ""
    return str(value)
