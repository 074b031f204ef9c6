"""Help for tests: inspect what would have been sent.

::

    import pytest
    from paste.deploy import loadapp
    from webtest import TestApp

    from sentry_paste.testing import capture_envelopes

    def test_crash_is_reported():
        with capture_envelopes() as captured:
            app = TestApp(loadapp("config:/srv/app/test.ini"))
            with pytest.raises(ZeroDivisionError):
                app.get("/crash")
        error = captured.exceptions.one(type="ZeroDivisionError")
        assert error.transaction == "GET /crash"
        assert not error.handled
        assert captured.transactions == []

The fixture ``sentry_captured`` of ``sentry_paste.pytest_plugin`` is the same for a whole test.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from sentry_paste import sdk
from sentry_paste.client.registry import registry
from sentry_paste.spool import segments
from sentry_paste.testing import records
from sentry_paste.testing.records import (
    CapturedException,
    CapturedLog,
    CapturedSpan,
    CapturedTransaction,
    Records,
)

__all__ = [
    "CapturedEnvelopes",
    "CapturedException",
    "CapturedLog",
    "CapturedSpan",
    "CapturedTransaction",
    "MemoryTransport",
    "NoFilterWarning",
    "Records",
    "capture_envelopes",
]


_NO_FILTER = (
    "no filter of sentry_paste took part, so nothing could be captured: load the app within the block, or in "
    "the test that asks for sentry_captured; without a DSN, a filter that was loaded before is not there"
)


class NoFilterWarning(UserWarning):
    """Nothing could be captured: no filter of sentry_paste and no other client of the SDK was there."""


class CapturedEnvelopes(list[Envelope]):
    """The captured envelopes in order, with access to their contents."""

    def payloads(self, *types: str) -> list[Any]:
        """Return the decoded payloads of all items of some types, in order.

        Args:
            types: item types, ``event``, ``transaction``, ``sessions``, ``span``, ``log`` and so on.
        """
        return [
            json.loads(item.get_bytes()) for envelope in self for item in envelope.items if item.type in types
        ]

    @property
    def errors(self) -> list[Any]:
        """Return the events: errors, and messages of any level."""
        return self.payloads("event")

    @property
    def exceptions(self) -> Records[CapturedException]:
        """Return the exceptions that were reported, in order."""
        return Records(records.exceptions(self.errors))

    @property
    def transactions(self) -> Records[CapturedTransaction]:
        """Return the transactions; streamed spans are sent first, and put together to transactions."""
        for client in _clients():
            sdk.flush_spans(client)
        found = [*self.payloads("transaction"), *segments.transactions(self.payloads("span"))]
        return Records(map(CapturedTransaction, found))

    @property
    def spans(self) -> Records[CapturedSpan]:
        """Return the spans in all transactions, and those whose transaction has not ended."""
        unfinished = map(CapturedTransaction, segments.unfinished(self.payloads("span")))
        return Records(
            span for transaction in (*self.transactions, *unfinished) for span in transaction.spans
        )

    @property
    def logs(self) -> Records[CapturedLog]:
        """Return the log items; those that the SDK holds back are sent first."""
        for client in _clients():
            sdk.flush_logs(client)
        return Records(records.logs(self.payloads("log")))

    @property
    def sessions(self) -> list[Any]:
        """Return the session counts; the SDK sends them once a minute and when the block ends."""
        return [
            aggregate for payload in self.payloads("sessions") for aggregate in payload.get("aggregates", [])
        ]


def _clients() -> list[Any]:
    """Return the clients of all filters, and the active one."""
    clients: list[Any] = list(registry.clients())
    active = sentry_sdk.get_client()
    return clients if not active.is_active() or active in clients else [*clients, active]


class MemoryTransport(Transport):
    """Keep envelopes in a list.

    Args:
        envelopes: the list.
    """

    def __init__(self, envelopes: CapturedEnvelopes) -> None:
        super().__init__()
        self.envelopes = envelopes

    def capture_envelope(self, envelope: Envelope) -> None:
        """Keep the envelope.

        Args:
            envelope: what the SDK captured.
        """
        self.envelopes.append(envelope)


@contextmanager
def capture_envelopes(*, warn: bool = True) -> Iterator[CapturedEnvelopes]:
    """Capture all that would be sent while the block runs; nothing leaves the process.

    Apps that are loaded in the block need no DSN in their ini. Existing clients, including the active one,
    send to the list until the block ends; clients that were created in it are closed then. Use it in one
    thread at a time.

    Args:
        warn: whether to warn with ``NoFilterWarning`` if nothing could be captured: without a DSN, a filter
            that was loaded before the block is not there at all.
    """
    captured = CapturedEnvelopes()
    transport = MemoryTransport(captured)
    before = _clients()
    # Views are made of the clients that they are views of, also while the block runs.
    before += [made for made in map(sdk.origin, before) if made not in before]
    transports = [client.transport for client in before]
    registry.transport = transport
    for client in before:
        client.transport = transport
    is_failing = True
    try:
        yield captured
        is_failing = False
    finally:
        took_part = bool(_clients())
        registry.transport = None
        for client in registry.clients():
            client.flush()
        registry.reset(keep=before)
        for client, own in zip(before, transports):
            client.transport = own
        for client in registry.clients():
            client.transport = sdk.origin(client).transport
        if warn and not took_part:
            # Where warnings are errors, the failure of the test is still what to see.
            with suppress(NoFilterWarning) if is_failing else nullcontext():
                warnings.warn(_NO_FILTER, NoFilterWarning, stacklevel=3)
