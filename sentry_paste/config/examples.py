"""A line of ini for each option, as the reference shows it: a value that somebody might really set."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

_HOOK = "myapp.sentry"

#: The value in an option's example, by its name; all of the line where users choose a part of the name.
EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "_experiments": "_experiments.max_spans = 500",
        "add_full_stack": "true",
        "attach_stacktrace": "true",
        "auto_enabling_integrations": "false",
        "auto_session_tracking": "false",
        "before_breadcrumb": f"{_HOOK}:without_health_checks",
        "before_send": f"{_HOOK}:scrub",
        "before_send_log": f"{_HOOK}:scrub_log",
        "before_send_metric": f"{_HOOK}:scrub_metric",
        "before_send_span": f"{_HOOK}:rename_span",
        "before_send_transaction": f"{_HOOK}:rename",
        "ca_certs": "%(here)s/ca.pem",
        "capture_start_response_errors": "false",
        "cert_file": "%(here)s/client.pem",
        "contexts.NAME.KEY": "contexts.deployment.rack = 12",
        "custom_repr": f"{_HOOK}:short_repr",
        "data_collection": "data_collection.url_query_params.mode = off",
        "db_query_source_threshold_ms": "250 ms",
        "debug": "true",
        "default_integrations": "false",
        "disabled_integrations": "pyramid threading",
        "dist": "arm64",
        "dsn": "${SENTRY_DSN}",
        "dsn_file": "/run/secrets/sentry_dsn",
        "enable_backpressure_handling": "false",
        "enable_db_query_source": "false",
        "enable_http_request_source": "false",
        "enable_logs": "true",
        "enable_metrics": "false",
        "enable_tracing": "true",
        "environment": "production",
        "error_budget": "50 per hour\n500 per hour in all",
        "error_page": "true",
        "error_sample_rates": "myapp.errors:QuotaError  0.01\nLookupError  0.5",
        "error_sampler": f"{_HOOK}:error_rate",
        "event_id_header": "X-Sentry-ID",
        "event_scrubber": "event_scrubber.denylist = card_number, iban",
        "expected_exceptions": "TimeoutError, myapp.errors:QuotaError",
        "failed_status_codes": "500-599",
        "fingerprint_without_ids": "true",
        "fingerprints": "TimeoutError -> timeout\nmodule myapp.db.* -> {{ default }}, database",
        "functions_to_trace": "myapp.prices.total",
        "http_methods_to_capture": "GET POST",
        "http_proxy": "http://proxy.example:3128",
        "http_request_source_threshold_ms": "250 ms",
        "https_proxy": "http://proxy.example:3128",
        "ignore_errors": "KeyError",
        "ignore_exceptions": "KeyError, zipfile:BadZipFile",
        "ignore_loggers": "waitress.queue",
        "ignore_messages": "Connection reset by *\nre:^Task \\d+ was revoked$",
        "ignore_paths": "/health*, /static/*",
        "ignore_spans": "/^redis/",
        "in_app_exclude": "myapp.vendored",
        "in_app_include": "myapp, mylib",
        "include_local_variables": "false",
        "include_source_context": "false",
        "instrumenter": "otel",
        "integration.NAME.ARGUMENT": "integration.logging.event_level = WARNING",
        "integrations": "sqlalchemy",
        "keep_alive": "true",
        "keep_headers": "Idempotency-Key",
        "key_file": "%(here)s/client.key",
        "levels": "TimeoutError         warning\nlogger myapp.jobs.*  info",
        "max_breadcrumbs": "50",
        "max_request_body_size": "never",
        "max_stack_frames": "50",
        "max_transaction_duration": "10 min",
        "max_value_length": "2000",
        "org_id": "42",
        "profile_lifecycle": "trace",
        "profile_session_sample_rate": "0.1",
        "profiler_mode": "gevent",
        "profiles_sample_rate": "0.1",
        "profiles_sampler": f"{_HOOK}:profile_rate",
        "project_root": "%(here)s",
        "propagate_traces": "false",
        "proxy_headers": "proxy_headers.Proxy-Authorization = ${PROXY_AUTHORIZATION}",
        "redact_environ": "myapp.tenant",
        "redact_headers": "X-Tenant, X-Internal-*",
        "redact_params": "basket, state",
        "redact_patterns": "email credit_card iban",
        "release": "dist:myapp",
        "reload": "true",
        "sample_rate": "0.5",
        "send_client_reports": "false",
        "send_default_pii": "true",
        "server_name": "web-1",
        "shutdown_timeout": "5 s",
        "socket_options": "SOL_SOCKET SO_KEEPALIVE 1",
        "spool_connections": "16",
        "spool_dir": "%(here)s/var/sentry",
        "spool_fsync": "500 ms",
        "spool_items": "all",
        "spool_max_age": "7 days",
        "spool_max_size": "500 MB",
        "spool_min_free": "2 GB",
        "spool_rate": "20",
        "spotlight": "true",
        "stream_gen_ai_spans": "false",
        "strict_trace_continuation": "true",
        "tags": "region: eu\ntier: web",
        "tags.NAME": "tags.region = eu",
        "trace_ignore_status_codes": "404, 300-399",
        "trace_lifecycle": "stream",
        "trace_propagation_targets": "^https://api\\.example/",
        "trace_continuation": "sentry",
        "trace_response": "server-timing",
        "propagate_traceparent": "true",
        "traces_keep": "slower than 2 s\nstatus 500-599\n/api/* status 404 at 0.1",
        "traces_keep_over_caller": "true",
        "traces_keep_spans": "true",
        "traces_sample_rate": "0.1",
        "traces_sample_rates": "/api/private/*  0\n/api/*          1",
        "traces_sampler": f"{_HOOK}:rate",
        "transaction_names": "/users/*/edit  Edit a user\n/users/*       A user",
        "transport": f"{_HOOK}:Transport",
        "transport_queue_size": "1000",
        "trusted_proxy_count": "1",
        "user_feedback": "true",
    }
)


def example(name: str, default: str = "") -> str:
    """Return the lines of an ini that set an option, as an example.

    Args:
        name: of the option.
        default: the value where there is no example: that of an option of a newer SDK.
    """
    value = EXAMPLES.get(name, default)
    if " = " in value:
        return value
    if "\n" in value:
        return "\n    ".join([f"{name} =", *value.splitlines()])
    return f"{name} = {value}".rstrip()
