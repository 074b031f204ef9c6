"""The filter's own options."""

from __future__ import annotations

from paste.deploy.converters import asbool

from sentry_paste.config import kinds, references, texts
from sentry_paste.config.error_budget import ERROR_BUDGET
from sentry_paste.config.error_rules import CLASS_LEVELS, CLASS_RATES, FINGERPRINTS, MESSAGES
from sentry_paste.config.keep_rules import KEEP_RULES
from sentry_paste.config.kinds import Option, duration

#: The version after the last one that is released.
UNRELEASED = "the version after 1.0"

_CONTINUATIONS = ("sentry", "w3c")
_KINDS = ("error", "feedback", "checkin", "session", "transaction", "profile", "span", "log", "metric")


def _spool_items(text: str) -> frozenset[str]:
    found = {name.lower() for name in texts.split_names(text)}
    unknown = sorted(found - {*_KINDS, "all", "none"})
    if unknown or ("none" in found and len(found) > 1):
        raise ValueError(f"unknown kind {unknown[0]!r}" if unknown else "none excludes all others")
    return frozenset(_KINDS) if "all" in found else frozenset(found - {"none"})


def _positive(text: str) -> float:
    number = float(text)
    if not 0 < number < 1e6:
        raise ValueError("must be more than 0")
    return number


def _connections(text: str) -> int:
    count = int(text)
    if not 1 <= count <= 100:
        raise ValueError
    return count


def _fsync(text: str) -> bool | float:
    try:
        return bool(asbool(text))
    except ValueError:
        pass
    value = texts.duration(text, "seconds", "seconds")
    if not 0.01 <= value <= 3600:
        raise ValueError("expected 10 ms to 1 hour")
    return value


def _reload(text: str) -> bool | str:
    return ON_COMMAND if text.lower() == ON_COMMAND else bool(asbool(text))


#: The value of ``reload`` with which only ``sentry-paste reload`` has the ini read again.
ON_COMMAND = "command"
#: What ``redact_patterns`` takes, as ``redaction.patterns`` calls it.
PATTERNS = ("email", "credit_card", "iban", "jwt", "phone")
SPOOL_ITEMS = kinds.Kind("kinds", f"all, none, or any of: {', '.join(_KINDS)}", _spool_items)
FSYNC = kinds.Kind("boolean or time", "true, false or a time such as 500 ms", _fsync)
CONNECTIONS = kinds.Kind("number", "a whole number from 1 to 100", _connections)
POSITIVE_NUMBER = kinds.Kind("number", "a number, more than 0", _positive)

RELOAD = kinds.Kind("boolean or word", "true, false or command", _reload)

OWN_OPTIONS = (
    Option(
        "dsn_file",
        kinds.PATH,
        help="A file that contains the DSN, for secrets that are mounted as files. Use it instead of dsn.",
    ),
    Option(
        "integration.NAME.ARGUMENT",
        kinds.TEXT,
        help="An argument for an integration: integration.logging.event_level = WARNING. Its type comes from the "
        "integration's signature. Setting an argument turns the integration on.",
    ),
    Option(
        "tags",
        kinds.TAGS,
        help="Tags for all events, one name: value on each line; tags.NAME sets a single one. Tags that the app "
        "sets take precedence.",
        reloadable=True,
    ),
    Option("tags.NAME", kinds.TEXT, help="A tag for all events: tags.region = eu.", reloadable=True),
    Option(
        "contexts.NAME.KEY",
        kinds.TEXT,
        help="A value in a context of all events: contexts.deployment.rack = 12. Values that the app sets take "
        "precedence.",
        reloadable=True,
    ),
    Option(
        "ignore_exceptions",
        references.EXCEPTIONS,
        default=(),
        default_text="none",
        help="Exceptions that are not reported, including their subclasses: dotted names, names of built-in "
        "exceptions, or other class names without a module.",
        reloadable=True,
    ),
    Option(
        "ignore_loggers",
        kinds.NAMES,
        default=(),
        default_text="none",
        help="Loggers whose records become neither events nor breadcrumbs, in the whole process; globs are allowed.",
        reloadable=True,
    ),
    Option(
        "ignore_messages",
        MESSAGES,
        default=(),
        default_text="none",
        help="Messages, logged or captured, and texts of exceptions that are not reported: a glob on each line, for "
        "the whole text, or re: and a regular expression that is searched in it.",
        since=UNRELEASED,
        reloadable=True,
    ),
    Option(
        "expected_exceptions",
        references.EXCEPTIONS,
        default=(),
        default_text="none",
        help="Exceptions that are reported as handled, whatever becomes of them, including their subclasses: the "
        "request's session and trace have not failed. Names as in ignore_exceptions.",
        since=UNRELEASED,
        reloadable=True,
    ),
    Option(
        "error_sample_rates",
        CLASS_RATES,
        default=(),
        default_text="none",
        help="Which part of the errors of a class is sent: a class, named as in ignore_exceptions, and a rate on each "
        "line. The first match applies; other errors have sample_rate. What is not sent is counted.",
        since=UNRELEASED,
        reloadable=True,
    ),
    Option(
        "error_budget",
        ERROR_BUDGET,
        default=(),
        default_text="none",
        help="How many errors are sent: 50 per hour of each kind, 500 per hour in all, or both, a line each, per minute, "
        "hour or day. What is beyond is counted, and the next event of the kind reports how many there were. The "
        "first error of a kind and of a release is always sent.",
        since=UNRELEASED,
        reloadable=True,
    ),
    Option(
        "levels",
        CLASS_LEVELS,
        default=(),
        default_text="none",
        help="Levels of events: a class of exceptions, or logger and the name of one or a glob, and debug, info, "
        "warning, error or fatal on each line. The first match applies. A level that the app sets on a scope takes "
        "precedence.",
        since=UNRELEASED,
        reloadable=True,
    ),
    Option(
        "fingerprints",
        FINGERPRINTS,
        default=(),
        default_text="none",
        help="How events are grouped: on each line a class of exceptions, or message, transaction or module and a "
        "glob, then -> and the parts of the fingerprint, separated by commas; {{ default }} is Sentry's own grouping, "
        "{{ message_without_ids }} the message with <id> in place of each id, number and address. The first match "
        "applies. A fingerprint that the app sets takes precedence.",
        since=UNRELEASED,
        reloadable=True,
    ),
    Option(
        "fingerprint_without_ids",
        kinds.BOOLEAN,
        default=False,
        help="Whether messages that were logged or captured without a stack trace are grouped without the ids, "
        "numbers and addresses in them, where no rule of fingerprints matches.",
        since=UNRELEASED,
        reloadable=True,
    ),
    Option(
        "reload",
        RELOAD,
        default=False,
        help="Whether rates, rules and lists are read again while the app runs: with true when the ini has changed, "
        "which is looked at before a request, at most every 5 seconds; with command only when sentry-paste reload "
        "says so. The reference says of each option whether it is one of them.",
        since=UNRELEASED,
    ),
    Option(
        "spool_dir",
        kinds.PATH,
        help="The directory where envelopes are kept as files until Sentry has received them, or while no DSN is "
        "set; relative to the ini.",
    ),
    Option(
        "spool_items",
        SPOOL_ITEMS,
        default=frozenset({"error", "feedback", "checkin", "session"}),
        help="The kinds of envelopes that are written to the spool before they are sent; of sessions, only the "
        "crashed ones; transaction includes streamed spans. The others are written when sending fails, when the "
        "queue is full and when the process ends.",
    ),
    Option(
        "spool_max_size",
        kinds.SIZE,
        default=100_000_000,
        default_text="100 MB",
        help="How large the spool may grow before files are dropped: first large ones and those of the kind that has "
        "most, errors after everything else.",
    ),
    Option(
        "spool_max_age",
        duration("days"),
        default=30 * 86400.0,
        default_text="30 days",
        help="How old a file in the spool may become before it is dropped, after at least one attempt to send it.",
    ),
    Option(
        "spool_rate",
        POSITIVE_NUMBER,
        default=100.0,
        default_text="100",
        help="How many envelopes a process sends from the spool in a second, at most.",
    ),
    Option(
        "spool_connections",
        CONNECTIONS,
        default=8,
        help="How many envelopes a process sends at the same time, at most, whether from the spool or just captured. "
        "It starts with one, and adds more only while envelopes wait and Sentry answers in time.",
        since=UNRELEASED,
    ),
    Option(
        "spool_min_free",
        kinds.SIZE,
        default_text="5 % of the disk or 500 MB, the smaller",
        help="How much of the disk stays free: the spool writes nothing while there is less, as on a full disk.",
        since=UNRELEASED,
    ),
    Option(
        "spool_fsync",
        FSYNC,
        default=False,
        help="Whether to wait until a file of the spool is on the disk itself before the app goes on, so that it "
        "survives a power failure. With a time, such as 500 ms, it is there after that time, and the app does not "
        "wait.",
    ),
    Option(
        "http_methods_to_capture",
        kinds.METHODS,
        # Without HEAD and OPTIONS, as in the SDK's own WSGI middleware.
        default=frozenset({"CONNECT", "DELETE", "GET", "PATCH", "POST", "PUT", "TRACE"}),
        help="Methods whose requests become transactions; errors are reported whatever the method.",
        reloadable=True,
    ),
    Option(
        "ignore_paths",
        kinds.GLOBS,
        default=(),
        default_text="none",
        help="Paths whose requests are not measured: they have no transactions, sessions or profiles. Their errors "
        "are reported.",
        reloadable=True,
    ),
    Option(
        "traces_sample_rates",
        kinds.GLOB_RATES,
        default=(),
        default_text="none",
        help="Sample rates by path: a glob and a rate on each line. The first match applies; other paths have "
        "traces_sample_rate.",
        reloadable=True,
    ),
    Option(
        "traces_keep",
        KEEP_RULES,
        default=(),
        default_text="none",
        help="Requests whose traces are sent even if sampling has not chosen them, decided when they end: a rule on "
        "each line. A rule is slower than 2 s, status 500-599 or errors; a path may precede it, and a rate may "
        "follow: /api/* status 404 at 0.1.",
        since=UNRELEASED,
        reloadable=True,
    ),
    Option(
        "traces_keep_spans",
        kinds.BOOLEAN,
        default=False,
        help="Whether the spans of all requests are recorded, so that those that traces_keep keeps have them. Not "
        "for streamed spans.",
        since=UNRELEASED,
        reloadable=True,
    ),
    Option(
        "traces_keep_over_caller",
        kinds.BOOLEAN,
        default=False,
        help="Whether traces_keep also keeps requests that a calling service has decided not to sample.",
        since=UNRELEASED,
        reloadable=True,
    ),
    Option(
        "transaction_names",
        kinds.GLOB_NAMES,
        default=(),
        default_text="none",
        help="Names of transactions by path: a glob and a name on each line. The first match applies.",
        reloadable=True,
    ),
    Option(
        "trace_continuation",
        kinds.choices(_CONTINUATIONS),
        default=frozenset(_CONTINUATIONS),
        default_text="sentry, w3c",
        help="Which headers of a caller continue its trace: sentry-trace, and the W3C's traceparent where that "
        "is missing. With none, each request begins a trace of its own.",
        since=UNRELEASED,
        reloadable=True,
    ),
    Option(
        "trace_response",
        kinds.choices(("server-timing", "traceresponse")),
        default=frozenset(),
        default_text="none",
        help="Headers that give each response its trace: Server-Timing, from which Sentry's SDK in the browser "
        "continues it, and the W3C's traceresponse. Responses that shared caches may keep have none.",
        since=UNRELEASED,
        reloadable=True,
    ),
    Option(
        "propagate_traceparent",
        kinds.BOOLEAN,
        default=False,
        help="Whether calls to other services have the trace in the W3C's traceparent too, which those with "
        "OpenTelemetry continue. trace_propagation_targets says which calls.",
        since=UNRELEASED,
    ),
    Option(
        "trusted_proxy_count",
        kinds.COUNT,
        default=0,
        help="How many of your own proxies are in front of the server. Their forwarding headers determine the "
        "client's address and the URL.",
    ),
    Option(
        "failed_status_codes",
        kinds.STATUS_CODES,
        default=frozenset(),
        default_text="none",
        help="Response statuses that are reported as an event if the request has reported no error: 500-599.",
        reloadable=True,
    ),
    Option(
        "capture_start_response_errors",
        kinds.BOOLEAN,
        default=True,
        help="Whether to report, as handled, an error that the app passes to start_response as exc_info with a "
        "status of 500 or more.",
        reloadable=True,
    ),
    Option(
        "max_transaction_duration",
        duration("seconds"),
        default=300.0,
        default_text="5 min",
        help="How long a streamed response is measured. Then its transaction ends; the response goes on.",
        reloadable=True,
    ),
    Option(
        "redact_headers",
        kinds.NAMES,
        default=(),
        default_text="none",
        help="Headers whose values are not sent without send_default_pii, in addition to the usual ones: names or "
        "globs.",
    ),
    Option(
        "keep_headers",
        kinds.NAMES,
        default=(),
        default_text="none",
        help="Headers whose values are sent although their names sound secret: names or globs.",
    ),
    Option(
        "redact_params",
        kinds.NAMES,
        default=(),
        default_text="none",
        help="Query parameters and form fields whose values are not sent without send_default_pii, in addition to "
        "the usual ones: names or globs.",
    ),
    Option(
        "redact_environ",
        kinds.NAMES,
        default=(),
        default_text="none",
        help="Keys of the WSGI environ whose values are not sent without send_default_pii, in addition to the "
        "usual ones: names or globs.",
    ),
    Option(
        "redact_patterns",
        kinds.choices(PATTERNS),
        default=frozenset(),
        default_text="none",
        help="What is replaced by its shape in everything that is sent, also with send_default_pii: "
        f"{', '.join(PATTERNS)}.",
        since=UNRELEASED,
    ),
    Option(
        "event_id_header",
        kinds.HEADER_NAME,
        help="A response header, such as X-Sentry-ID, that contains the event's id when a request with an error "
        "is answered with a status of 400 or more.",
        reloadable=True,
    ),
    Option(
        "error_page",
        kinds.BOOLEAN_OR_PATH,
        default=False,
        help="Whether to answer a crash with a page, or the template for it: a path, or PACKAGE:PATH. Otherwise "
        "the server answers.",
    ),
    Option(
        "user_feedback",
        kinds.BOOLEAN,
        default=False,
        help="Whether the error page asks the user what happened, with Sentry's crash-report dialog.",
    ),
)
