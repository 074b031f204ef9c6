"""Noting what a request captures, for whoever wants to see it: the panel of Pyramid's debug toolbar.

The request's isolation scope gets a view of its client whose documented hooks
(``before_send`` and its kin) note what they return: what is sent, after redaction
and after the hooks of the ini. The client itself, and requests of which nobody
wants to know, have nothing to do with it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.client.registry import GuardedClient
from sentry_paste.debugtoolbar.captures import Captures
from sentry_paste.redaction import Redaction
from sentry_paste.request.event_processor import RequestData
from sentry_paste.sdk.failures import tell
from sentry_paste.wsgi.naming import CUSTOM, URL


class _Noting:
    """What a view of a client is of, beside the client's own class."""

    captures: Captures

    def capture_event(self, event: Any, *args: Any, **kwargs: Any) -> str | None:
        identity: str | None = super().capture_event(event, *args, **kwargs)  # type: ignore[misc]
        if identity is None:
            self.captures.note_kept_back(event.get("event_id"))
        return identity


@lru_cache(maxsize=8)
def _noting(cls: Any) -> Any:
    return type(cls.__name__, (_Noting, cls), {})


def request_data() -> RequestData | None:
    """Return what events of the current request are given, None where it does not go through a filter."""
    if not sdk.wsgi_middleware_applied.get(False):
        return None  # the scopes are those of a thread
    data = sdk.request_data()
    candidates = [data, *sdk.event_processors()]
    return next((found for found in candidates if isinstance(found, RequestData)), None)


def capture_request() -> Captures:
    """Note from now on what the current request captures, in its context and in threads that are given it.

    A request within another is part of that, and gets what is noted of it.
    """
    client: Any = sentry_sdk.get_client()
    if isinstance(client, _Noting):
        return client.captures
    captures = Captures()
    options = dict(client.options)
    experiments = dict(options.get("_experiments") or {})
    for name, note in (
        ("before_send", captures.note_event),
        ("before_send_transaction", captures.note_transaction),
        ("before_send_log", captures.note_item),
        ("before_send_span", captures.note_span),
    ):
        hook = options.get(name) or experiments.get(name)
        # An SDK that has the hook as an experiment only.
        (options if name in options else experiments)[name] = _after(hook, note)
    view = sdk.with_options(client, **{**options, "_experiments": experiments})
    cls: Any = type(client)
    view.__class__ = _noting(cls)
    view.captures = captures
    sdk.bind_client(sentry_sdk.get_isolation_scope(), view)
    return captures


def _after(hook: Any, note: Callable[[Any, Any], None]) -> Callable[[Any, Any], Any]:
    def call(found: Any, hint: Any) -> Any:
        result = hook(found, hint) if callable(hook) else found
        try:
            note(found, result)
        except Exception:  # what a hook returns may be anything
            tell("the debug toolbar does not show all")
        return result

    return call


def look_at_trace(captures: Captures, data: RequestData) -> None:
    """Note the request's trace as it is now; to be called in the request's context.

    Args:
        captures: that is to know.
        data: of the request.
    """
    client = sentry_sdk.get_client()
    captures.trace_id = (sentry_sdk.get_traceparent() or "").partition("-")[0]
    found = sdk.trace_so_far(client.options)
    if found is None:
        return
    better = data.better_name()
    if better is not None and (better[1] == CUSTOM or found["source"] == URL):
        found["name"], found["source"] = better
    # It has not gone through the hooks yet: its secrets are still in it.
    event = {"type": "transaction", "transaction": found["name"], "spans": found["spans"]}
    event = _redaction(client, data).clean_event(event, {})
    captures.note_so_far({**found, "name": event.get("transaction"), "spans": event.get("spans")})


def _redaction(client: Any, data: RequestData) -> Redaction:
    if isinstance(client, GuardedClient):
        return client.redaction
    redaction = Redaction(data.plan.secret_names, data.plan.patterns)
    redaction.made(client.options)
    return redaction
