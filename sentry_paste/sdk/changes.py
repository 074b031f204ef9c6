"""What changes between versions of the SDK: options and arguments that a major version has dropped.

Only data, which is read whichever version is installed: by the adapter, and by ``sentry-paste check --sdk``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple


class GoneOption(NamedTuple):
    """An option that sentry-sdk 3 has no longer.

    Attributes:
        default: its default in sentry-sdk 2.75.
        annotation: its type there, as source.
        note: what it does now and what to write instead, as the end of a sentence that begins with its name;
            empty if it means what it meant.
    """

    default: Any
    annotation: str
    note: str = ""


#: What sentry-sdk 3 has no longer, with the defaults of sentry-sdk 2.75.
GONE_IN_3: Mapping[str, GoneOption] = {
    "before_send_transaction": GoneOption(
        None, "", "has no effect: there are no transactions in sentry-sdk 3; write before_send_span"
    ),
    "enable_logs": GoneOption(False, "bool"),
    "enable_metrics": GoneOption(True, "bool"),
    "enable_tracing": GoneOption(None, "bool"),
    "event_scrubber": GoneOption(None, ""),
    "include_local_variables": GoneOption(True, "bool"),
    "include_source_context": GoneOption(True, "bool"),
    "instrumenter": GoneOption(
        "sentry", "str", "has no effect: sentry-sdk 3 creates its own spans; remove it"
    ),
    "profiles_sample_rate": GoneOption(
        None,
        "float",
        "is the share of processes whose requests have a profile with sentry-sdk 3; write "
        "profile_session_sample_rate, and profile_lifecycle = trace",
    ),
    "profiles_sampler": GoneOption(
        None, "", "has no effect with sentry-sdk 3; write profile_session_sample_rate"
    ),
    "propagate_traces": GoneOption(True, "bool"),
    "send_default_pii": GoneOption(None, "bool"),
    "stream_gen_ai_spans": GoneOption(
        True, "bool", "has no effect: all spans are streamed with sentry-sdk 3; remove it"
    ),
    "trace_ignore_status_codes": GoneOption(frozenset(), "AbstractSet[int]"),
}

#: The minor version of sentry-sdk 2 in which an option is new; the others are in 2.18 already.
NEW_IN: Mapping[str, int] = {
    "add_full_stack": 20,
    "before_send_log": 35,
    "before_send_metric": 44,
    "before_send_span": 67,
    "data_collection": 70,
    "enable_http_request_source": 42,
    "enable_logs": 35,
    "enable_metrics": 44,
    "http_request_source_threshold_ms": 42,
    "ignore_spans": 66,
    "max_stack_frames": 20,
    "org_id": 47,
    "profile_lifecycle": 22,
    "profile_session_sample_rate": 21,
    "stream_gen_ai_spans": 60,
    "strict_trace_continuation": 47,
    "trace_ignore_status_codes": 40,
    "trace_lifecycle": 66,
}

_STYLE = "has no effect with sentry-sdk 3, which uses the pattern of the route"
_PROMPTS = "has no effect with sentry-sdk 3; write data_collection.gen_ai.inputs and .outputs"
_GONE = "has no effect with sentry-sdk 3; remove it"

#: Arguments of integrations that sentry-sdk 3 has no longer.
GONE_ARGUMENTS_IN_3: Mapping[tuple[str, str], str] = {
    **{
        (name, "transaction_style"): _STYLE
        for name in ("aiohttp", "bottle", "django", "falcon", "flask", "quart", "starlette", "fastapi")
    },
    **{
        (name, "include_prompts"): _PROMPTS
        for name in ("anthropic", "cohere", "google_genai", "huggingface_hub", "langchain", "langgraph")
    },
    **{(name, "include_prompts"): _PROMPTS for name in ("litellm", "mcp", "openai", "pydantic_ai")},
    ("aiomysql", "record_params"): _GONE,
    ("asyncpg", "record_params"): _GONE,
    ("langchain", "max_spans"): _GONE,
    ("launchdarkly", "ld_client"): _GONE,
    ("redis", "max_data_size"): _GONE,
    ("sanic", "unsampled_statuses"): _GONE,
    ("threading", "propagate_hub"): (
        "has no effect with sentry-sdk 3; write integration.threading.propagate_scope"
    ),
}

#: Arguments of integrations that are new in sentry-sdk 3.
_NEW_ARGUMENTS_IN_3 = frozenset({("logging", "breadcrumb_level"), ("loguru", "breadcrumb_level")})


def changes(version: tuple[int, int], given: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the options that mean something else with another version of the SDK, and what.

    Args:
        version: major and minor version.
        given: the options that are set, by name, with their values.

    Returns:
        The option's name, and the end of a sentence that begins with it.
    """
    major, minor = version
    for name, value in given.items():
        family, _, key = name.partition(".")
        integration, _, argument = key.rpartition(".")
        if major >= 3:
            note = _note_of_3(name, value, integration, argument)
        elif family == "integration" and (integration, argument) in _NEW_ARGUMENTS_IN_3:
            note = "is not an argument of the integration with sentry-sdk 2"
        elif NEW_IN.get(family, 0) > minor:
            note = f"needs sentry-sdk 2.{NEW_IN[family]}"
        else:
            note = ""
        if note:
            yield name, note


def _note_of_3(name: str, value: Any, integration: str, argument: str) -> str:
    if name.startswith("integration."):
        return GONE_ARGUMENTS_IN_3.get((integration, argument), "")
    if name == "trace_lifecycle" and value == "static":
        return "= static has no effect: sentry-sdk 3 streams all spans; remove it"
    gone = GONE_IN_3.get(name)
    return gone.note if gone is not None and value not in (None, gone.default) else ""


_PROFILES = "is deprecated by sentry-sdk; write profile_session_sample_rate, and profile_lifecycle = trace"

# By option: words of the SDK's warning, and what to write.
_DEPRECATED: Mapping[str, tuple[str, str]] = {
    "enable_tracing": ("enable_tracing", "is deprecated by sentry-sdk; write traces_sample_rate = 1"),
    "profiles_sample_rate": ("profiling", _PROFILES),
    "profiles_sampler": ("profiling", _PROFILES),
    "send_default_pii": (
        "send_default_pii",
        "is deprecated by sentry-sdk; it will keep working here, also with sentry-sdk 3; data_collection is "
        "the SDK's more detailed replacement",
    ),
    "transport": (
        "Function transports",
        "is a function: sentry-sdk deprecates that; write a class",
    ),
}


def deprecations(texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield the options that the SDK's warnings are about, and what to do.

    Args:
        texts: of ``DeprecationWarning``s.

    Returns:
        The option's name, and the end of a sentence that begins with it.
    """
    found = list(texts)
    for name, (words, advice) in _DEPRECATED.items():
        if any(words in text for text in found):
            yield name, advice
