"""Upload to Spotlight, Sentry's development viewer, outside of the app's requests.

The SDK uploads in the thread that captures: the request waits for the upload, which is a span in the app's
own transaction and continues the app's trace. Here a worker does it, in its own context, with a view of the
client that has no integrations and so instruments nothing.

``Client.spotlight`` is None or has ``capture_envelope``, in 2.18.0 and in 2.75.0. The SDK's ``close()`` and
``flush()`` skip a client that has Spotlight but no DSN, so ``_flush_components`` and ``_close_components``
(2.75) or ``session_flusher`` (2.18) are called here. Missing: their data is sent at its usual time.
"""

from __future__ import annotations

import os
from contextvars import Context
from functools import partial
from typing import Any

from sentry_sdk.envelope import Envelope
from sentry_sdk.scope import Scope
from sentry_sdk.worker import BackgroundWorker

from sentry_paste.sdk.options import with_options
from sentry_paste.sdk.scopes import bind_client

# Enough envelopes for a page of a development server with all its requests; more are dropped.
_QUEUE = 1000


class BackgroundSpotlight:
    """Uploads a client's envelopes to Spotlight, one after another, in a thread.

    Args:
        sender: of the SDK, which uploads at once.
        client: that captures.
    """

    def __init__(self, sender: Any, client: Any) -> None:
        self._sender = sender
        self._uninstrumented = with_options(client)
        self._uninstrumented.integrations = {}
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._worker = BackgroundWorker(_QUEUE)

    @property
    def url(self) -> str:
        """The URL for uploads; the SDK's Django middleware reads it."""
        return str(self._sender.url)

    def capture_envelope(self, envelope: Envelope) -> None:
        """Queue an envelope for upload.

        Args:
            envelope: that the client has captured.
        """
        if self._process != os.getpid():
            self._begin()  # the parent uploads what is queued
        # In an empty context: the first envelope starts the thread, to which ThreadingIntegration gives the
        # current scopes.
        Context().run(self._worker.submit, partial(Context().run, self._upload, envelope))

    def _upload(self, envelope: Envelope) -> None:
        bind_client(Scope.get_current_scope(), self._uninstrumented)
        self._sender.capture_envelope(envelope)

    def flush(self, timeout: float) -> None:
        """Wait until everything is uploaded.

        Args:
            timeout: seconds, at most.
        """
        if self._process == os.getpid():
            self._worker.flush(timeout)

    def kill(self) -> None:
        """End the thread; the next envelope starts it again."""
        self._worker.kill()


def upload_in_background(client: Any) -> None:
    """Let a client upload to Spotlight in the background, if it has Spotlight.

    Args:
        client: that was just created.
    """
    sender = getattr(client, "spotlight", None)
    if sender is not None:
        client.spotlight = BackgroundSpotlight(sender, client)


def flush_spotlight(client: Any, timeout: float | None) -> None:
    """Wait until a client has uploaded everything to Spotlight.

    Args:
        client: if it has no Spotlight, this does nothing.
        timeout: seconds, by default the client's ``shutdown_timeout``.
    """
    spotlight = client.spotlight
    if isinstance(spotlight, BackgroundSpotlight):
        if client.transport is None:
            _each_component(client, "flush")
        spotlight.flush(client.options["shutdown_timeout"] if timeout is None else timeout)


def close_spotlight(client: Any) -> None:
    """End the threads of a client that has Spotlight but no DSN, which the SDK's ``close()`` skips.

    Args:
        client: that was flushed before.
    """
    spotlight = client.spotlight
    if isinstance(spotlight, BackgroundSpotlight):
        if client.transport is None:
            _each_component(client, "close")
        spotlight.kill()


def _each_component(client: Any, what: str) -> None:
    components = getattr(client, f"_{what}_components", None)
    if components is not None:
        components()
    elif getattr(client, "session_flusher", None) is not None:
        client.session_flusher.flush() if what == "flush" else client.session_flusher.kill()
