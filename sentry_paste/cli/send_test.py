"""Send one error and one transaction, and tell what becomes of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.cli import network
from sentry_paste.cli.check.advice import sends
from sentry_paste.cli.check.report import first_sentry, read_settings
from sentry_paste.cli.check.static import read_structure
from sentry_paste.cli.check.structure import IniError
from sentry_paste.cli.terminal import clean, wrapped
from sentry_paste.client.registry import registry
from sentry_paste.config import Settings
from sentry_paste.spool.files import Spool

#: What tells the test from what an app reports: a tag of its event and of its transaction.
TEST_TAG = "sentry_paste.test"
NAME = "sentry-paste send-test"

#: How long an answer may take, seconds.
ANSWER_SECONDS = 15.0

# Nothing in the ini is to keep the test from being sent, but for the user's own hooks; and nothing but
# the test is to be sent.
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

# Reasons of the SDK's, https://develop.sentry.dev/sdk/telemetry/client-reports/.
_LOST = {
    "backpressure": "the SDK holds back, because it cannot keep up",
    "before_send": "before_send, or before_send_transaction, drops it",
    "event_processor": "an integration, or ignore_spans, drops it",
    "ignored": "an option tells the SDK to ignore it",
    "queue_overflow": "the queue is full: transport_queue_size",
    "ratelimit_backoff": "the server has just asked to be sent nothing for a while",
    "sample_rate": "sampling drops it",
}


class SentryPasteTest(Exception):  # noqa: N818 - its name is the title in Sentry
    """The error that is sent."""


@dataclass(frozen=True)
class Outcome:
    """What became of one item.

    Attributes:
        what: ``error``, ``transaction`` or ``span``.
        id: of the event, or of the span's trace; empty where there is none.
        accepted: whether it arrived.
        text: what happened, and what that means.
    """

    what: str
    id: str
    accepted: bool
    text: str


@dataclass(frozen=True)
class Sent:
    """A test.

    Attributes:
        destination: where it went, without credentials.
        outcomes: what became of each item, in order.
    """

    destination: str
    outcomes: tuple[Outcome, ...]


def send_test(
    path: str,
    name: str = "main",
    variables: Mapping[str, str] | None = None,
    seconds: float = ANSWER_SECONDS,
) -> Sent:
    """Send an error and a transaction with the options of an ini's first filter.

    Args:
        path: of the ini.
        name: of the app.
        variables: what the command line adds to ``[DEFAULT]``.
        seconds: how long to wait for each answer.

    Raises:
        IniError: the ini cannot be read, has no filter of ours, or names nowhere to send to.
        ConfigError: the filter's options are wrong.
    """
    settings = read_settings(first_sentry(read_structure(path, name, variables)))
    if not sends(settings):
        raise IniError(f"{settings.source}: dsn has no value, and there is no spool_dir: nowhere to send to")
    before = registry.clients()
    with network.quiet():
        try:
            client = registry.client_for(_test_settings(settings))
            if client is None:
                raise IniError("Sentry does not start; sentry-paste check tells why")
            return Sent(_destination(settings), tuple(_Sender(client, settings, seconds).send()))
        finally:
            registry.reset(keep=before)


def _test_settings(settings: Settings) -> Settings:
    known = {name: value for name, value in _TEST_OPTIONS.items() if name in sdk_options()}
    has_dsn = bool(settings.sdk.get("dsn"))
    return dataclasses.replace(
        settings,
        sdk={**settings.sdk, **known},
        # With a DSN, the question is what the server says.
        spool_dir=None if has_dsn else settings.spool_dir,
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
    """Sends each item, and waits for what becomes of it.

    Args:
        client: with the options of the test.
        settings: of the filter.
        seconds: how long to wait for each answer.
    """

    def __init__(self, client: Any, settings: Settings, seconds: float) -> None:
        self._client = client
        self._settings = settings
        self._seconds = seconds
        self._answers: list[Any] = []
        self._lost: list[str] = []
        self._is_watched = sdk.watch_transport(client.transport, self._answers.append, self._lost.append)

    def send(self) -> Iterator[Outcome]:
        """Send the error, then the transaction, and yield what became of each."""
        yield self._outcome("error", _capture_error)
        if sdk.streams_spans(self._client.options):
            yield self._outcome("span", _capture_span)
        else:
            yield self._outcome("transaction", _capture_transaction)

    def _outcome(self, what: str, capture: Callable[[], str | None]) -> Outcome:
        self._answers.clear()
        self._lost.clear()
        with sentry_sdk.isolation_scope(), sentry_sdk.new_scope() as scope:
            scope.set_client(self._client)
            scope.set_tag(TEST_TAG, "true")
            identity = capture() or ""
            self._client.flush(timeout=self._seconds)
        accepted, text = self._judge(identity)
        return Outcome(what, identity, accepted, text)

    def _judge(self, identity: str) -> tuple[bool, str]:
        if self._answers:
            return network.answer_text(self._answers[0], _destination(self._settings).partition(" ")[0])
        if self._lost:
            return False, f"not sent: {_LOST.get(self._lost[0], self._lost[0])}"
        if not identity:
            return (
                False,
                "not sent: an option tells the SDK to ignore it (ignore_exceptions, ignore_errors ...)",
            )
        if self._is_watched:
            return False, f"no answer within {self._seconds:g} s; does a firewall stand between?"
        if self._settings.spool_dir and not self._settings.sdk.get("transport"):
            return _kept(Spool(self._settings.spool_dir), identity)
        return True, "handed to the transport of the ini, which does not say what becomes of it"


def _kept(spool: Spool, identity: str) -> tuple[bool, str]:
    try:
        found = spool.find(identity)
    except OSError:
        found = None
    return found is not None, f"kept as {found.path}" if found else "not kept: the spool cannot be written"


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
    with sentry_sdk.traces.start_span(name=NAME, attributes={"sentry.op": "test", TEST_TAG: True}) as span:
        with sentry_sdk.traces.start_span(name="a span of the test"):
            pass
        return str(span.trace_id)


def sent_text(sent: Sent) -> str:
    """Return what became of a test for reading.

    Args:
        sent: the test.
    """
    return "\n".join(_sent(sent))


def _sent(sent: Sent) -> Iterator[str]:
    yield f"To {clean(sent.destination)}"
    for outcome in sent.outcomes:
        yield ""
        yield f"  {outcome.what} {outcome.id}".rstrip()
        yield from wrapped(clean(outcome.text), "    ")
    if all(outcome.accepted for outcome in sent.outcomes):
        yield ""
        yield f"The error is called {SentryPasteTest.__name__}, the {sent.outcomes[-1].what} {NAME}."
