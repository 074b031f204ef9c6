"""The settings of a filter: its options, typed, checked and frozen."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sentry_paste.config.error_budget import Budget
from sentry_paste.config.error_rules import FingerprintRule, LevelRule
from sentry_paste.config.keep_rules import KeepRule


@dataclass(frozen=True)
class Origin:
    """Where an option's value comes from.

    Attributes:
        place: in words, such as ``[filter:sentry]``, ``[DEFAULT]``, ``command line`` or ``environment``.
        line: the line in the file, None if that is not known.
        text: the value as it was written, with variables replaced and credentials masked.
    """

    place: str
    line: int | None
    text: str


@dataclass(frozen=True)
class Settings:
    """The options of one filter.

    Attributes:
        sdk: the options for ``sentry_sdk.Client`` that are set.
        origins: where each option that is set comes from, by its current name.
        hidden: options of the section that PasteDeploy hides, by their names in the ini.
        source: the file and section, or another source of the options.
        ini: path of the file that was loaded, empty if the options come from no file.
        absent: packages that are not installed, by the option that names them; only if that is allowed.
        client_key: equal only for settings that can share a client.
        tags: for all events.
        contexts: for all events, by name and key.
        ignore_loggers: loggers, or globs for loggers, whose records are not reported.
        ignore_messages: globs of messages that are not reported, or ``re:`` and a regular expression.
        expected_exceptions: classes of exceptions, or names of such, that do not fail a request.
        error_sample_rates: pairs of a class, or the name of one, and a rate; the first match applies.
        error_budget: how many errors are sent in a period, of each kind and in all; at most one of both.
        levels: rules for events that have another level; the first match applies.
        fingerprints: rules for the grouping of events; the first match applies.
        fingerprint_without_ids: whether messages are grouped without the ids in them.
        spool_dir: directory for envelope files, absolute; None for no spool.
        spool_items: kinds of envelopes that are written before they are sent.
        spool_max_size: bytes.
        spool_max_age: seconds.
        spool_rate: files a second.
        spool_connections: envelopes sent at the same time.
        spool_min_free: bytes of the disk that stay free; None for 5 % or 500 MB.
        spool_fsync: whether files are synchronised with the disk, or after how many seconds.
        http_methods_to_capture: methods, in upper case, whose requests become transactions.
        ignore_paths: globs of paths that are not measured.
        traces_sample_rates: pairs of glob and rate; the first match applies.
        trace_continuation: from which headers traces go on, ``sentry`` and ``w3c``.
        trace_response: names, in lower case, of headers of responses that have the trace.
        propagate_traceparent: whether outgoing calls have the W3C's headers too.
        traces_keep: rules for requests that are sent though sampling has not chosen them.
        traces_keep_spans: whether the spans of all requests are recorded for that.
        traces_keep_over_caller: whether the rules also apply where the caller has decided otherwise.
        transaction_names: pairs of glob and name; the first match applies.
        trusted_proxy_count: how many proxies are the user's own.
        failed_status_codes: statuses that are reported as events.
        capture_start_response_errors: whether ``exc_info`` of ``start_response`` is reported.
        max_transaction_duration: seconds.
        redact_headers: names or globs of secret headers, in addition to the usual ones.
        keep_headers: names or globs of headers that are not secret.
        redact_params: names or globs of secret query parameters and form fields, likewise.
        redact_environ: names or globs of secret keys of the environ, likewise.
        redact_patterns: names, from ``redaction.patterns``, of what is replaced by its shape.
        event_id_header: header for the event's id in error responses, None for none.
        error_page: whether a crash is answered with a page, or the path of its template.
        user_feedback: whether that page has Sentry's crash-report dialog.
        reload: whether rules are read again while the app runs; ``command`` if only when somebody says so.
    """

    sdk: Mapping[str, Any]
    origins: Mapping[str, Origin]
    hidden: Sequence[str]
    source: str
    ini: str
    absent: Mapping[str, tuple[str, ...]]
    client_key: Hashable
    tags: Mapping[str, str]
    contexts: Mapping[str, Mapping[str, Any]]
    ignore_loggers: Sequence[str]
    ignore_messages: Sequence[str]
    expected_exceptions: Sequence[Any]
    error_sample_rates: Sequence[tuple[Any, float]]
    error_budget: Sequence[Budget]
    levels: Sequence[LevelRule]
    fingerprints: Sequence[FingerprintRule]
    fingerprint_without_ids: bool
    spool_dir: str | None
    spool_items: frozenset[str]
    spool_max_size: int
    spool_max_age: float
    spool_rate: float
    spool_connections: int
    spool_min_free: int | None
    spool_fsync: bool | float
    http_methods_to_capture: frozenset[str]
    ignore_paths: Sequence[str]
    traces_sample_rates: Sequence[tuple[str, float]]
    trace_continuation: Collection[str]
    trace_response: Collection[str]
    propagate_traceparent: bool
    traces_keep: Sequence[KeepRule]
    traces_keep_spans: bool
    traces_keep_over_caller: bool
    transaction_names: Sequence[tuple[str, str]]
    trusted_proxy_count: int
    failed_status_codes: frozenset[int]
    capture_start_response_errors: bool
    max_transaction_duration: float
    redact_headers: Sequence[str]
    keep_headers: Sequence[str]
    redact_params: Sequence[str]
    redact_environ: Sequence[str]
    redact_patterns: Collection[str]
    event_id_header: str | None
    error_page: bool | str
    user_feedback: bool
    reload: bool | str
