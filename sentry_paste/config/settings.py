"""What the options say, typed, checked and frozen."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Origin:
    """Where an option's value comes from.

    Attributes:
        place: in words: ``[filter:sentry]``, ``[DEFAULT]``, ``command line``, ``environment`` and so on.
        line: the line in the file, None where that is not known.
        text: the value as it was given, variables replaced, without credentials.
    """

    place: str
    line: int | None
    text: str


@dataclass(frozen=True)
class Settings:
    """The options of one filter.

    Attributes:
        sdk: options for ``sentry_sdk.Client``, those that were given.
        origins: where each option that is given comes from, by the name that it has here.
        hidden: options of the section that PasteDeploy hides, by the name that they have there.
        source: the file and section, or what else gave the options.
        absent: what is not installed, by the option that names it; only where that is no mistake.
        client_key: equal for settings that can share a client, and for no others.
        tags: of all events.
        contexts: of all events, by name and key.
        ignore_loggers: loggers, or globs for them, whose records are not reported.
        spool_dir: directory for envelope files, absolute; None for no spool.
        spool_items: kinds of envelopes that are written before they are sent.
        spool_max_size: bytes.
        spool_max_age: seconds.
        spool_rate: files a second.
        spool_fsync: whether files are synchronised with the disk.
        http_methods_to_capture: methods, in upper case, whose requests are transactions.
        ignore_paths: globs of paths that are not measured.
        traces_sample_rates: pairs of glob and rate; the first that matches holds.
        transaction_names: pairs of glob and name; the first that matches holds.
        trusted_proxy_count: how many proxies are the user's own.
        failed_status_codes: statuses that make an event.
        capture_start_response_errors: whether ``exc_info`` of ``start_response`` is reported.
        max_transaction_duration: seconds.
        redact_headers: names or globs of secret headers, beside the usual ones.
        keep_headers: names or globs of headers that are no secrets.
        redact_params: names or globs of secret query parameters and form fields, beside the usual ones.
        redact_environ: names or globs of secret keys of the environ, beside the usual ones.
        redact_patterns: what is replaced by its shape, by the names of ``redaction.patterns``.
        event_id_header: header of error responses, None for none.
        error_page: whether a crash is answered with a page, or the path of its template.
        user_feedback: whether that page has Sentry's crash-report dialog.
    """

    sdk: Mapping[str, Any]
    origins: Mapping[str, Origin]
    hidden: Sequence[str]
    source: str
    absent: Mapping[str, tuple[str, ...]]
    client_key: Hashable
    tags: Mapping[str, str]
    contexts: Mapping[str, Mapping[str, Any]]
    ignore_loggers: Sequence[str]
    spool_dir: str | None
    spool_items: frozenset[str]
    spool_max_size: int
    spool_max_age: float
    spool_rate: float
    spool_fsync: bool
    http_methods_to_capture: frozenset[str]
    ignore_paths: Sequence[str]
    traces_sample_rates: Sequence[tuple[str, float]]
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
