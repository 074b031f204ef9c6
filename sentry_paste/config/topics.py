"""What each option is about, and the order in which options are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


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
            *("ignore_paths", "ignore_exceptions", "ignore_loggers", "failed_status_codes"),
            *("http_methods_to_capture", "trace_ignore_status_codes", "max_transaction_duration"),
            *("auto_session_tracking", "capture_start_response_errors"),
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
