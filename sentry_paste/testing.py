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
        assert captured.errors[0]["exception"]["values"][0]["type"] == "ZeroDivisionError"
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport

from sentry_paste import sdk
from sentry_paste.client.registry import registry
from sentry_paste.spool import segments


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
    def transactions(self) -> list[Any]:
        """Return the transactions; streamed spans are sent first, and put together to transactions."""
        for client in registry.clients():
            sdk.flush_spans(client)
        return [*self.payloads("transaction"), *segments.transactions(self.payloads("span"))]

    @property
    def sessions(self) -> list[Any]:
        """Return the session counts; the SDK sends them once a minute and when the block ends."""
        return [
            aggregate for payload in self.payloads("sessions") for aggregate in payload.get("aggregates", [])
        ]


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
def capture_envelopes() -> Iterator[CapturedEnvelopes]:
    """Capture all that would be sent while the block runs; nothing leaves the process.

    Apps that are loaded in the block need no DSN in their ini. Existing clients, including the active one,
    send to the list until the block ends; clients that were created in it are closed then. Use it in one
    thread at a time.
    """
    captured = CapturedEnvelopes()
    transport = MemoryTransport(captured)
    before = list(registry.clients())
    active = sentry_sdk.get_client()
    if active.is_active() and active not in before:
        before.append(active)  # type: ignore[arg-type]  # not from this package: only its transport is replaced
    transports = [client.transport for client in before]
    registry.transport = transport
    for client in before:
        client.transport = transport
    try:
        yield captured
    finally:
        registry.transport = None
        for client in registry.clients():
            client.flush()
        registry.reset(keep=before)
        for client, own in zip(before, transports):
            client.transport = own
