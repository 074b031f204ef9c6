"""``sentry-paste send-test``: send one error and one transaction or streamed span, and show the answers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.cli import network
from sentry_paste.cli.check.advice import has_transport
from sentry_paste.cli.check.report import first_sentry, read_settings
from sentry_paste.cli.check.static import read_structure
from sentry_paste.cli.check.structure import IniError
from sentry_paste.cli.terminal import wrapped
from sentry_paste.client.registry import registry
from sentry_paste.config import Settings
from sentry_paste.config.errors import printable
from sentry_paste.spool.files import Spool
from sentry_paste.spool.names import SpoolFile
from sentry_paste.spool.reading import read_bytes

#: A tag of the test's event and transaction, which distinguishes them from those of the app.
TEST_TAG = "sentry_paste.test"
NAME = "sentry-paste send-test"

#: How long to wait for an answer, seconds.
ANSWER_SECONDS = 15.0

# Nothing in the ini but the user's own hooks may keep the test from being sent, and nothing but the test
# may be sent.
_TEST_OPTIONS: Mapping[str, Any] = {
    "debug": False,
    "enable_tracing": None,
    "error_sampler": None,
    "profile_session_sample_rate": None,
    "profiles_sample_rate": None,
    "profiles_sampler": None,
    "sample_rate": 1.0,
    "send_client_reports": False,
    "traces_sample_rate": 1.0,
    "traces_sampler": None,
}

# The category of each item in rate limits, https://develop.sentry.dev/sdk/expected-features/rate-limiting/.
_CATEGORIES = {"error": "error", "transaction": "transaction", "span": "span"}
# A server whose quota is used up takes more after a minute or an hour. One that stores no transactions says
# with each answer that it wants none for a day.
_NEVER_SECONDS = 6 * 3600.0

# The SDK's reasons for discarding an event, https://develop.sentry.dev/sdk/telemetry/client-reports/.
_DISCARDED = {
    "backpressure": "the SDK holds back, because it cannot keep up",
    "before_send": "before_send, or before_send_transaction, drops it",
    "event_processor": "an integration, or ignore_spans, drops it",
    "ignored": "an option tells the SDK to ignore it (ignore_spans)",
    "queue_overflow": "the queue is full (transport_queue_size)",
    "ratelimit_backoff": "the server has just asked the SDK to send nothing for a while",
    "sample_rate": "sampling drops it",
}


class SentryPasteTest(Exception):  # noqa: N818 - its name is the title in Sentry
    """The error that is sent."""


@dataclass(frozen=True)
class Outcome:
    """The outcome for one item.

    Attributes:
        item: ``error``, ``transaction`` or ``span``.
        id: id of the event, or of the span's trace; empty if there is none.
        accepted: whether it arrived.
        text: what happened, and what that means.
        unwanted: whether the server takes no items of this kind, which is no fault of the set-up.
    """

    item: str
    id: str
    accepted: bool
    text: str
    unwanted: bool = False


@dataclass(frozen=True)
class SendTestResult:
    """The result of a test.

    Attributes:
        destination: where it was sent, without credentials.
        outcomes: the outcome for each item, in order.
    """

    destination: str
    outcomes: tuple[Outcome, ...]

    @property
    def is_fine(self) -> bool:
        """Whether the server has accepted all that it takes: the error at least."""
        return any(outcome.accepted for outcome in self.outcomes) and all(
            outcome.accepted or outcome.unwanted for outcome in self.outcomes
        )


def send_test(
    path: str,
    name: str = "main",
    variables: Mapping[str, str] | None = None,
    seconds: float = ANSWER_SECONDS,
) -> SendTestResult:
    """Send an error and a transaction, or a streamed span, with the options of an ini's outermost filter.

    Args:
        path: path of the ini.
        name: name of the app.
        variables: variables that the command line adds to ``[DEFAULT]``.
        seconds: how long to wait for each answer.

    Raises:
        IniError: the ini cannot be read, has no filter of ours, or nowhere to send to.
        ConfigError: the filter's options are wrong.
    """
    structure = read_structure(path, name, variables)
    if structure.problems:
        raise IniError("\n".join(map(str, structure.problems)))
    settings = read_settings(first_sentry(structure))
    if not has_transport(settings):
        raise IniError(f"{settings.source}: dsn has no value, and there is no spool_dir: nowhere to send to")
    before = registry.clients()
    with network.quiet():
        try:
            client = registry.client_for(_test_settings(settings))
            if client is None:
                raise IniError("Sentry does not start; sentry-paste check shows why")
            return SendTestResult(_destination(settings), tuple(_Sender(client, settings, seconds).send()))
        finally:
            registry.reset(keep=before)


def _test_settings(settings: Settings) -> Settings:
    known = {name: value for name, value in _TEST_OPTIONS.items() if name in sdk_options()}
    has_dsn = bool(settings.sdk.get("dsn"))
    return dataclasses.replace(
        settings,
        sdk={**settings.sdk, **known},
        # With a DSN the test is about the server's answer, which a spool would hide.
        spool_dir=None if has_dsn else settings.spool_dir,
        ignore_messages=(),
        error_sample_rates=(),
        error_budget=(),
        client_key=(NAME, settings.client_key),
    )


def sdk_options() -> frozenset[str]:
    """Return the names of the options that the installed SDK has."""
    return frozenset(name for name, _, _ in sdk.client_options())


def _destination(settings: Settings) -> str:
    dsn = settings.sdk.get("dsn")
    if dsn:
        scheme, host, port = sdk.dsn_address(dsn)
        return f"{host}:{port} ({scheme})"
    return str(settings.spool_dir or "the transport of the ini")


class _Sender:
    """Sends each item, and waits for its outcome.

    Args:
        client: client with the options of the test.
        settings: settings of the filter.
        seconds: how long to wait for each answer.
    """

    def __init__(self, client: Any, settings: Settings, seconds: float) -> None:
        self._client = client
        self._settings = settings
        self._seconds = seconds
        self._answers: list[Any] = []
        self._limits: dict[str, float] = {}
        self._discarded: list[str] = []
        self._is_watched = sdk.watch_transport(client.transport, self._answers.append, self._discarded.append)

    def send(self) -> Iterator[Outcome]:
        """Send the error, then the transaction, and yield the outcome of each."""
        yield self._outcome("error", _capture_error)
        if sdk.streams_spans(self._client.options):
            yield self._outcome("span", _capture_span)
        else:
            yield self._outcome("transaction", _capture_transaction)

    def _outcome(self, item: str, capture: Callable[[], str | None]) -> Outcome:
        self._answers.clear()
        self._discarded.clear()
        with sentry_sdk.isolation_scope(), sentry_sdk.new_scope() as scope:
            scope.set_client(self._client)
            scope.set_tag(TEST_TAG, "true")
            identity = capture() or ""
            self._client.flush(timeout=self._seconds)
        for answer in self._answers:
            self._limits.update(network.rate_limits(answer))
        if self._is_unwanted(item):
            return Outcome(item, identity, False, self._unwanted_text(item), unwanted=True)
        accepted, text = self._judge(item, identity)
        return Outcome(item, identity, accepted, text)

    def _is_unwanted(self, item: str) -> bool:
        """Return whether the server has said for long that it takes none, but takes errors."""
        refused = not self._answers or not network.answer_text(self._answers[0])[0]
        others = item != "error" and self._limits.get("error", 0.0) < _NEVER_SECONDS
        return refused and others and self._limits.get(_CATEGORIES[item], 0.0) >= _NEVER_SECONDS

    def _unwanted_text(self, item: str) -> str:
        hours = self._limits[_CATEGORIES[item]] / 3600
        text = f"the server takes errors but no {item}s: it has asked for none for {hours:g} hours"
        rates = (self._settings.sdk.get("traces_sample_rate"), self._settings.sdk.get("traces_sampler"))
        if any(rates) or self._settings.traces_sample_rates:
            return f"{text}; set traces_sample_rate = 0, so that none are made"
        return text

    def _judge(self, item: str, identity: str) -> tuple[bool, str]:
        if self._answers:
            return network.answer_text(self._answers[0], _destination(self._settings).partition(" ")[0])
        if self._discarded:
            return False, f"not sent: {_DISCARDED.get(self._discarded[0], self._discarded[0])}"
        if not identity:
            return (
                False,
                "not sent: an option tells the SDK to ignore it (ignore_exceptions, ignore_errors ...)",
            )
        if self._is_watched:
            return False, f"no answer within {self._seconds:g} s; is there a firewall in between?"
        if self._settings.spool_dir and not self._settings.sdk.get("transport"):
            return _saved(Spool(self._settings.spool_dir), item, identity)
        return True, "passed to the transport of the ini, which does not report the outcome"


def _saved(spool: Spool, item: str, identity: str) -> tuple[bool, str]:
    try:
        found = _file_of_trace(spool, identity) if item == "span" else spool.find(identity)
    except OSError:
        found = None
    return found is not None, f"saved as {found.path}" if found else "not saved: the spool cannot be written"


def _file_of_trace(spool: Spool, trace_id: str) -> SpoolFile | None:
    """Return the newest file with spans of a trace; an envelope of spans has no id of its own."""
    files = spool.files("span")
    return next((file for file in files if trace_id.encode() in read_bytes(file)), None)


def _capture_error() -> str | None:
    try:
        raise SentryPasteTest("This error is a test of sentry-paste send-test; nothing is wrong")
    except SentryPasteTest as error:
        sentry_sdk.get_isolation_scope().set_transaction_name(NAME)
        return sentry_sdk.capture_exception(error)


def _capture_transaction() -> str | None:
    transaction = sentry_sdk.start_transaction(op="test", name=NAME, source="custom", sampled=True)
    with transaction.start_child(op="test", name="a span of the test"):
        pass
    return transaction.finish()


def _capture_span() -> str | None:
    # The SDK leaves tags out of spans.
    tags = {**getattr(sentry_sdk.get_client(), "tags", {}), TEST_TAG: "true"}
    attributes = {**tags, "sentry.op": "test", "sentry.segment.name.source": "custom"}
    with sentry_sdk.traces.start_span(name=NAME, attributes=attributes, parent_span=None) as span:
        with sentry_sdk.traces.start_span(name="a span of the test", attributes={"sentry.op": "test"}):
            pass
        return str(span.trace_id)


def result_text(result: SendTestResult) -> str:
    """Return the result of a test as text.

    Args:
        result: the result.
    """
    return "\n".join(_lines(result))


def result_json(result: SendTestResult) -> str:
    """Return the result of a test as JSON.

    Args:
        result: the result.
    """
    found = {"ok": result.is_fine, **dataclasses.asdict(result)}
    return json.dumps(found, indent=2)


def _lines(result: SendTestResult) -> Iterator[str]:
    yield f"To {printable(result.destination)}"
    for outcome in result.outcomes:
        yield ""
        yield f"  {outcome.item} {outcome.id}".rstrip()
        yield from wrapped(printable(outcome.text), "    ")
    if result.is_fine:
        names = {"error": f"the error {SentryPasteTest.__name__}"}
        found = [
            names.get(outcome.item, f"the {outcome.item} {NAME}")
            for outcome in result.outcomes
            if outcome.accepted
        ]
        yield ""
        yield f"Look for {' and '.join(found)}."
