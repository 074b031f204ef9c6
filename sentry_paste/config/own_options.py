"""The filter's own options."""

from __future__ import annotations

from sentry_paste.config import kinds, references, texts
from sentry_paste.config.kinds import Option, duration

_KINDS = ("error", "feedback", "checkin", "session", "transaction", "profile", "span", "log", "metric")


def _spool_items(text: str) -> frozenset[str]:
    found = {name.lower() for name in texts.split_names(text)}
    unknown = sorted(found - {*_KINDS, "all", "none"})
    if unknown or ("none" in found and len(found) > 1):
        raise ValueError(f"knows no kind {unknown[0]!r}" if unknown else "none goes with no other")
    return frozenset(_KINDS) if "all" in found else frozenset(found - {"none"})


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise ValueError("has to be more than 0")
    return number


#: What ``redact_patterns`` takes, as ``redaction.patterns`` calls it.
PATTERNS = ("email", "credit_card", "iban", "jwt", "phone")
SPOOL_ITEMS = kinds.Kind("kinds", f"all, none, or some of: {', '.join(_KINDS)}", _spool_items)
POSITIVE_NUMBER = kinds.Kind("number", "a number, more than 0", _positive)

OWN_OPTIONS = (
    Option(
        "dsn_file",
        kinds.PATH,
        help="A file that holds the DSN, for secrets that are mounted as files. In place of dsn.",
    ),
    Option(
        "integration.NAME.ARGUMENT",
        kinds.TEXT,
        help="An argument of an integration, typed as its signature says: integration.logging.event_level = "
        "WARNING. It turns the integration on.",
    ),
    Option(
        "tags",
        kinds.TAGS,
        help="Tags of all events, lines of name: value, or one of them as tags.NAME. What the app sets wins.",
    ),
    Option("tags.NAME", kinds.TEXT, help="A tag of all events: tags.region = eu."),
    Option(
        "contexts.NAME.KEY",
        kinds.TEXT,
        help="An entry of a context of all events: contexts.deployment.rack = 12. What the app sets wins.",
    ),
    Option(
        "ignore_exceptions",
        references.EXCEPTIONS,
        default=(),
        default_text="none",
        help="Exceptions that are not reported, subclasses included: dotted names, names of built-in ones, or "
        "other class names without a module.",
    ),
    Option(
        "ignore_loggers",
        kinds.NAMES,
        default=(),
        default_text="none",
        help="Loggers whose records are neither events nor breadcrumbs; globs are allowed. In the whole process.",
    ),
    Option(
        "spool_dir",
        kinds.PATH,
        help="Directory where envelopes are kept as files until Sentry has them, or while no DSN is set; "
        "relative to the ini.",
    ),
    Option(
        "spool_items",
        SPOOL_ITEMS,
        default=frozenset({"error", "feedback", "checkin", "session"}),
        help="Kinds of envelopes that are in the spool before they are sent, of sessions the crashed ones. "
        "The others are put there where sending fails, where the queue is full and where the process ends.",
    ),
    Option(
        "spool_max_size",
        kinds.SIZE,
        default=100_000_000,
        default_text="100 MB",
        help="How large the spool may grow before files are dropped: the oldest first, errors last.",
    ),
    Option(
        "spool_max_age",
        duration("days"),
        default=30 * 86400.0,
        default_text="30 days",
        help="How old a file of the spool may grow before it is dropped.",
    ),
    Option(
        "spool_rate",
        POSITIVE_NUMBER,
        default=100.0,
        default_text="100",
        help="How many envelopes of the spool a process sends in a second, at most.",
    ),
    Option(
        "spool_fsync",
        kinds.BOOLEAN,
        default=False,
        help="Whether a file of the spool is on the disk itself before the app goes on: for power failures.",
    ),
    Option(
        "http_methods_to_capture",
        kinds.METHODS,
        # HEAD and OPTIONS are left out as in the SDK's middleware: they are seldom what one measures.
        default=frozenset({"CONNECT", "DELETE", "GET", "PATCH", "POST", "PUT", "TRACE"}),
        help="Methods whose requests are transactions; errors are reported whatever the method.",
    ),
    Option(
        "ignore_paths",
        kinds.GLOBS,
        default=(),
        default_text="none",
        help="Paths whose requests are neither transactions nor sessions nor profiles; their errors are reported.",
    ),
    Option(
        "traces_sample_rates",
        kinds.GLOB_RATES,
        default=(),
        default_text="none",
        help="Sample rates by path, a glob and a rate on each line; the first that matches holds, else "
        "traces_sample_rate.",
    ),
    Option(
        "transaction_names",
        kinds.GLOB_NAMES,
        default=(),
        default_text="none",
        help="Names of transactions by path, a glob and a name on each line; the first that matches holds.",
    ),
    Option(
        "trusted_proxy_count",
        kinds.COUNT,
        default=0,
        help="How many proxies of yours stand before the server. Their forwarding headers decide the client's "
        "address and the URL.",
    ),
    Option(
        "failed_status_codes",
        kinds.STATUS_CODES,
        default=frozenset(),
        default_text="none",
        help="Statuses that make an event where the request reported no error: 500-599.",
    ),
    Option(
        "capture_start_response_errors",
        kinds.BOOLEAN,
        default=True,
        help="Whether an error that the app hands to start_response as exc_info, with a status of 500 or more, is reported, as handled.",
    ),
    Option(
        "max_transaction_duration",
        duration("seconds"),
        default=300.0,
        default_text="5 min",
        help="How long a streamed response is measured; its transaction ends then, the stream goes on.",
    ),
    Option(
        "redact_headers",
        kinds.NAMES,
        default=(),
        default_text="none",
        help="Headers whose values do not leave without send_default_pii, beside the usual ones: names or globs.",
    ),
    Option(
        "keep_headers",
        kinds.NAMES,
        default=(),
        default_text="none",
        help="Headers whose values may leave although their names sound secret: names or globs.",
    ),
    Option(
        "redact_params",
        kinds.NAMES,
        default=(),
        default_text="none",
        help="Query parameters and form fields whose values do not leave without send_default_pii, beside the "
        "usual ones: names or globs.",
    ),
    Option(
        "redact_environ",
        kinds.NAMES,
        default=(),
        default_text="none",
        help="Keys of the WSGI environ whose values do not leave without send_default_pii, beside the usual "
        "ones: names or globs.",
    ),
    Option(
        "redact_patterns",
        kinds.choices(PATTERNS),
        default=frozenset(),
        default_text="none",
        help="What is replaced by its shape in everything that is sent, with send_default_pii too: "
        f"{', '.join(PATTERNS)}.",
    ),
    Option(
        "event_id_header",
        kinds.HEADER_NAME,
        help="A response header, X-Sentry-ID say, that carries the event's id where a request with an error is "
        "answered with a status of 400 or more.",
    ),
    Option(
        "error_page",
        kinds.BOOLEAN_OR_PATH,
        default=False,
        help="Whether to answer a crash with a page, or the path of a template for it. Else the server answers.",
    ),
    Option(
        "user_feedback",
        kinds.BOOLEAN,
        default=False,
        help="Whether the error page has the user asked what happened, by Sentry's crash-report dialog.",
    ),
)
