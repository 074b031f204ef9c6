"""Events: how they are created, what the SDK adds to them and remembers of them."""

from __future__ import annotations

import logging as standard_logging
import weakref
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any

import sentry_sdk
from sentry_sdk.envelope import PayloadRef
from sentry_sdk.integrations import logging
from sentry_sdk.utils import iter_event_frames

from sentry_paste.sdk.major import adapter
from sentry_paste.sdk.scopes import wsgi_middleware_applied

try:
    import orjson
except ImportError:
    orjson = None  # type: ignore[assignment,unused-ignore]

ignore_logger, last_seen = adapter.ignore_logger, adapter.last_seen


def exception_event(
    error: BaseException, traceback: TracebackType | None, client: Any, mechanism: dict[str, Any]
) -> tuple[Any, Any]:
    """Return the event and the hint for an exception.

    Every integration uses ``event_from_exception``; ``capture_exception`` takes no mechanism. The SDK reads
    attributes of the exception, such as ``message`` and ``errno``. If one of them raises, the event has the
    exception's class and its stack.

    Args:
        error: the exception.
        traceback: where its stack trace begins.
        client: the client that will capture it.
        mechanism: how it was caught, https://develop.sentry.dev/sdk/data-model/event-payloads/exception/.
    """
    try:
        return adapter.exception_event(error, traceback, client, mechanism)
    except Exception:
        event, hint = adapter.exception_event(
            Exception("its own attributes cannot be read"), traceback, client, mechanism
        )
        cls = type(error)
        event["exception"]["values"][-1].update(type=cls.__qualname__, module=cls.__module__)
        hint["exc_info"] = (cls, error, traceback)
        return event, hint


# The sets of ``sentry_sdk.integrations.logging`` that ``ignore_logger`` adds to: of 2, and of 3.
_IGNORED_LOGGERS = ("_IGNORED_LOGGERS", "_IGNORED_LOGGERS_EVENTS")


def change_ignored_loggers(added: Collection[str], removed: Collection[str] = ()) -> frozenset[str]:
    """Ignore loggers from now on, and no longer ignore others; return those that were not ignored before.

    The sets are replaced: other threads may be iterating over them, as the SDK does for each record. Missing:
    nothing is changed but what the SDK's own function adds.

    Args:
        added: names of loggers, or globs.
        removed: likewise.
    """
    new = set(added)
    for attribute in _IGNORED_LOGGERS:
        found = getattr(logging, attribute, None)
        if isinstance(found, (set, frozenset)):
            new -= found
            setattr(logging, attribute, (set(found) | set(added)) - set(removed))
            return frozenset(new)
    for name in added:
        ignore_logger(name)
    return frozenset(new)


def ignore_own_logger(name: str) -> None:
    """Keep one of our own loggers out of events, breadcrumbs and log items.

    It reports that capturing has failed. To capture that would fail again, and so on.

    Args:
        name: of the logger.
    """
    adapter.ignore_logger(name)
    adapter.ignore_logger_for_logs(name)


def leave_out_breadcrumbs(client: Any, is_left_out: Callable[[str], bool]) -> None:
    """Make no breadcrumbs of the lines that servers log of each request once it is over.

    They would be breadcrumbs of nothing but what happens outside of requests, and cost each request more
    than the filter does. Within a request, and from warnings on, the SDK's rules apply.
    ``LoggingIntegration._breadcrumb_handler`` is a handler of ``logging``. Missing: nothing is left out.

    Args:
        client: that was just created.
        is_left_out: whether servers write their access logs to a logger of that name.
    """
    handler = getattr(client.get_integration("logging"), "_breadcrumb_handler", None)
    if not isinstance(handler, standard_logging.Handler):
        return

    def is_kept(record: standard_logging.LogRecord) -> bool:
        is_of_request = wsgi_middleware_applied.get(False)
        return is_of_request or record.levelno >= standard_logging.WARNING or not is_left_out(record.name)

    handler.addFilter(is_kept)


def encode(envelope: Any) -> None:
    """Encode an envelope's payloads with orjson, if it is installed (the extra ``fast``).

    What it does not encode, such as text that is not valid Unicode, is left to the SDK.

    Args:
        envelope: about to be sent or stored.
    """
    if orjson is None:
        return
    for item in envelope.items:
        payload = item.payload
        if payload.bytes is None and payload.path is None and payload.json is not None:
            # Of numbers that JSON does not have, the SDK makes an error, which would lose the envelope.
            with suppress(Exception):
                payload.bytes = orjson.dumps(payload.json)


def encode_again(envelope: Any) -> None:
    """Let an envelope be encoded from its payloads, although it has been before.

    Args:
        envelope: whose event has been changed.
    """
    for item in envelope.items:
        if item.payload.json is not None:
            item.payload = PayloadRef(json=item.payload.json)


def frames(event: Any) -> Iterator[dict[str, Any]]:
    """Yield the frames of an event, of its exceptions and threads.

    Args:
        event: of the SDK.
    """
    yield from iter_event_frames(event)


def process_every_event(processor: Callable[[Any, Any], Any]) -> None:
    """Call a function with every event of every client, also outside of requests.

    Args:
        processor: takes event and hint, returns the event, or None to drop it.
    """
    from sentry_sdk.scope import add_global_event_processor

    add_global_event_processor(processor)


def remember_error(client: Any, error: BaseException) -> None:
    """Mark an error as reported for the SDK, in the current context.

    ``DedupeIntegration`` drops an event with the exception that it has seen last. It remembers that per
    context, so it does not recognise an error of a request outside the request's context. Missing: a server
    that logs the app's exception makes a second event.

    Args:
        client: that would report it again.
        error: the exception.
    """
    seen = last_seen(client)
    if seen is None:
        return
    try:
        # Newer SDKs accept weak references, which keep no frames alive; built-in exceptions support none.
        seen.set(weakref.ref(error) if adapter.REMEMBERS_WEAKLY else error)
    except TypeError:
        seen.set(error)


def forget_error(client: Any) -> None:
    """Undo ``remember_error``: the same object raised in another request is another error.

    It also releases the error's frames, which keep a request's context alive.

    Args:
        client: the same as for ``remember_error``.
    """
    seen = last_seen(client)
    if seen is not None and seen.get(None) is not None:
        seen.set(None)


def event_processors() -> Iterator[Any]:
    """Yield the objects whose methods are event processors of the active scopes.

    ``add_event_processor`` appends to ``Scope._event_processors``, and a fork copies it. Missing: none.
    """
    for scope in (sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()):
        for processor in getattr(scope, "_event_processors", ()):
            yield getattr(processor, "__self__", None)


def set_by_app() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the tags, contexts and user that ``set_tag`` and similar functions have set on active scopes.

    An event also has its own and those of event processors, and does not show where each comes from. The
    attributes exist since the scopes of 2.0. Missing: none.
    """
    tags: dict[str, Any] = {}
    contexts: dict[str, Any] = {}
    user: dict[str, Any] = {}
    for scope in (
        sentry_sdk.get_global_scope(),
        sentry_sdk.get_isolation_scope(),
        sentry_sdk.get_current_scope(),
    ):
        tags.update(getattr(scope, "_tags", None) or {})
        contexts.update(getattr(scope, "_contexts", None) or {})
        user.update(getattr(scope, "_user", None) or {})
    return tags, contexts, user
