"""Spotlight, Sentry's development viewer, without its upload in the app's requests.

A client of the SDK's uploads in the thread that captures: the request waits for it, the upload is a span of
the app's own transaction, and carries the app's trace on. Here it is done by a worker, in a context of its
own, by a view of the client that has no integrations and so instruments nothing.

``Client.spotlight`` is None or has ``capture_envelope``, with 2.18.0 as with 2.75.0. ``close()`` and
``flush()`` of the SDK pass over a client that has Spotlight and no DSN: ``_flush_components`` and
``_close_components`` (2.75) or ``session_flusher`` (2.18) are called here. Missing: what they hold goes when
their own time comes.
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

# A page of a development server with all that belongs to it; what is more than that is not shown.
_QUEUE = 1000


class BackgroundSpotlight:
    """Uploads what a client captures to Spotlight, one envelope after another, in a thread.

    Args:
        sender: the SDK's, which uploads at once.
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
        """Where it uploads to; the SDK's middleware for Django asks for it."""
        return str(self._sender.url)

    def capture_envelope(self, envelope: Envelope) -> None:
        """Have an envelope uploaded.

        Args:
            envelope: what the client captured.
        """
        if self._process != os.getpid():
            self._begin()  # what is queued is the parent's to upload
        # The first one starts the thread, which ThreadingIntegration gives the scopes that are current then.
        Context().run(self._worker.submit, partial(Context().run, self._upload, envelope))

    def _upload(self, envelope: Envelope) -> None:
        bind_client(Scope.get_current_scope(), self._uninstrumented)
        self._sender.capture_envelope(envelope)

    def flush(self, timeout: float) -> None:
        """Wait until all is uploaded.

        Args:
            timeout: seconds, at most.
        """
        if self._process == os.getpid():
            self._worker.flush(timeout)

    def kill(self) -> None:
        """End the thread; it begins again with the next envelope."""
        self._worker.kill()


def upload_in_background(client: Any) -> None:
    """Have a client upload to Spotlight in the background, where it does so at all.

    Args:
        client: that was just made.
    """
    sender = getattr(client, "spotlight", None)
    if sender is not None:
        client.spotlight = BackgroundSpotlight(sender, client)


def flush_spotlight(client: Any, timeout: float | None) -> None:
    """Wait until a client has uploaded to Spotlight all that it captured.

    Args:
        client: without Spotlight there is nothing to wait for.
        timeout: seconds, those of the client's ``shutdown_timeout`` where None.
    """
    spotlight = client.spotlight
    if isinstance(spotlight, BackgroundSpotlight):
        if client.transport is None:
            _each_component(client, "flush")
        spotlight.flush(client.options["shutdown_timeout"] if timeout is None else timeout)


def close_spotlight(client: Any) -> None:
    """End the threads of a client that has Spotlight and no DSN, which the SDK's ``close()`` passes over.

    Args:
        client: flushed before.
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
