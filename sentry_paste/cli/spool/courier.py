"""Who brings the envelopes of a spool to Sentry: the SDK's transport, with the SDK's options for a DSN."""

from __future__ import annotations

from typing import Any

import sentry_sdk
from sentry_sdk.envelope import Envelope

from sentry_paste import sdk
from sentry_paste.cli import network
from sentry_paste.sdk.transports import host_and_project, transport_class
from sentry_paste.spool.backlog import Result
from sentry_paste.spool.delivery import DeliveringTransport
from sentry_paste.spool.names import destination_of
from sentry_paste.spool.transport import Terms

# Nothing is captured here, so that nothing but the transport is to be set up. The SDK would look for a
# release with git, and for a Spotlight to send everything to as well. What is refused is not lost: it is set
# aside, and no report is to count it.
_OPTIONS: dict[str, Any] = {
    "auto_enabling_integrations": False,
    "auto_session_tracking": False,
    "default_integrations": False,
    "enable_backpressure_handling": False,
    "release": "",
    "send_client_reports": False,
    "spotlight": False,
}


class _Idle(DeliveringTransport):
    """A transport that has started no thread, and so has none to end."""

    def __del__(self) -> None:
        # SDKs of 2.18 kill it here. That flushes, which starts a thread; as the interpreter ends, that hangs.
        pass


class Courier:
    """Sends envelopes, as the SDK does for a client with this DSN.

    Args:
        dsn: where to.
        directory: of the spool.

    Raises:
        ValueError: it is no DSN, or the SDK's transport is not one that tells what becomes of an envelope.
    """

    def __init__(self, dsn: str, directory: str) -> None:
        fault = sdk.dsn_fault(dsn)
        if fault:
            raise ValueError(f"the DSN cannot be used: {fault}")
        telling = transport_class({})
        if telling is None:
            raise ValueError("the transport of this sentry-sdk does not tell what becomes of an envelope")
        client = sentry_sdk.Client(dsn=dsn, transport=telling, **_OPTIONS)
        inner = telling(client.options)
        self._transport = _Idle(client.options, inner, Terms(directory))
        self._answer: Any = None
        sdk.watch_transport(inner, self._note, lambda _: None)
        scheme, host, port = sdk.dsn_address(dsn)
        where, self.project = host_and_project(self._transport)
        self.destination = destination_of(where, self.project)
        self.host = f"{host}:{port}"
        self.scheme = scheme

    def _note(self, answer: Any) -> None:
        self._answer = answer

    def send(self, envelope: Envelope, kind: str) -> tuple[Result, str, float, str]:
        """Send an envelope; return what became of it, why, how long to wait, and the answer in words.

        Args:
            envelope: as it is to arrive.
            kind: of its file.
        """
        self._answer = None
        result, reason, seconds = self._transport.send_again(envelope, kind)
        told = reason if self._answer is None else network.answer_text(self._answer, self.host)[1]
        return result, reason, seconds, told
