"""Events: how they are made, and what the SDK remembers and puts into them."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from importlib import import_module
from types import TracebackType
from typing import Any

import sentry_sdk
from sentry_sdk.integrations import dedupe
from sentry_sdk.serializer import serialize
from sentry_sdk.utils import event_from_exception

try:
    # Name, version and packages of the SDK, as it puts them into each event.
    # Missing: the SDK puts them there itself, and its serialiser goes through them.
    from sentry_sdk.client import SDK_INFO
except ImportError:  # pragma: no cover
    SDK_INFO = None  # type: ignore[assignment]


def exception_event(
    error: BaseException, traceback: TracebackType | None, client: Any, mechanism: dict[str, Any]
) -> tuple[Any, Any]:
    """Return the event and the hint for an exception.

    ``event_from_exception`` is what every integration uses; ``capture_exception`` takes no mechanism.

    Args:
        error: the exception.
        traceback: where its stack trace is to begin.
        client: the client that will capture it.
        mechanism: how it was caught, https://develop.sentry.dev/sdk/data-model/event-payloads/exception/.
    """
    return event_from_exception(
        (type(error), error, traceback), client_options=client.options, mechanism=mechanism
    )


class Serialized(dict[str, Any]):
    """A mapping that the SDK's serialiser need not go through, as long as nobody has changed it.

    ``__sentry_repr__`` is what the serialiser asks a class for, and takes as it is. Missing: it goes through
    this as through any mapping, with the same result.

    Args:
        plain: texts, and lists of texts or of mappings of texts; it is copied.
    """

    __slots__ = ("_copy",)

    def __init__(self, plain: dict[str, Any]) -> None:
        super().__init__({key: _copied(value) for key, value in plain.items()})
        self._copy = {key: _copied(value) for key, value in plain.items()}

    def __sentry_repr__(self) -> Any:
        """Return what is to be sent, which shares nothing with what event processors have seen."""
        if self == self._copy:
            return self._copy
        return serialize(dict(self))


def _copied(value: Any) -> Any:
    if type(value) is not list:
        return value
    return [entry.copy() if type(entry) is dict else entry for entry in value]


def add_sdk_info(event: dict[str, Any], client: Any) -> None:
    """Say in an event which SDK it is from, as ``Client._prepare_event`` does where nobody has.

    A third of what the serialiser goes through in a transaction is this, the same each time.
    Missing: the SDK says it.

    Args:
        event: about to be captured.
        client: that captures it.
    """
    # Shortened texts are the serialiser's affair.
    if SDK_INFO is not None and (client.options.get("max_value_length") or 1024) >= 1024:
        integrations = sorted(client.integrations)
        event.setdefault("sdk", Serialized({**SDK_INFO, "integrations": integrations}))


def ignore_own_logger(name: str) -> None:
    """Keep a logger of ours out of events, breadcrumbs and log items.

    What it tells is that capturing fails: to capture that would fail again, and so on.

    Args:
        name: of the logger.
    """
    from sentry_sdk.integrations import logging

    logging.ignore_logger(name)
    ignore_for_logs = getattr(logging, "ignore_logger_for_sentry_logs", None)  # where log items have a list
    if ignore_for_logs is not None:
        ignore_for_logs(name)


def process_every_event(processor: Callable[[Any, Any], Any]) -> None:
    """Have a function see every event of every client, also outside of requests.

    Args:
        processor: takes event and hint, returns the event, or None to drop it.
    """
    from sentry_sdk.scope import add_global_event_processor

    add_global_event_processor(processor)


def remember_error(client: Any, error: BaseException) -> None:
    """Have the SDK take an error for reported, in the context that this is called in.

    ``DedupeIntegration`` drops an event whose exception is the one it saw last; what it sees in a
    request's context it does not know outside of it. Missing: a server that logs what the app raised
    makes a second event.

    Args:
        client: the one that would report it again.
        error: the exception.
    """
    seen = last_seen(client)
    if seen is None:
        return
    try:
        # An SDK that knows weak references there, which keep no frames alive; built-in exceptions have none.
        seen.set(weakref.ref(error) if hasattr(dedupe, "weakref") else error)
    except TypeError:
        seen.set(error)


def forget_error(client: Any) -> None:
    """Undo ``remember_error``: the same object raised in another request is another error.

    It also lets go of the frames that the error holds: in a request's own context they hold the context.

    Args:
        client: as it was given there.
    """
    seen = last_seen(client)
    if seen is not None and seen.get(None) is not None:
        seen.set(None)


def last_seen(client: Any) -> ContextVar[Any] | None:
    """Return what ``DedupeIntegration`` remembers of a client's last error, None where it is off.

    Args:
        client: that captures.
    """
    return getattr(client.get_integration("dedupe"), "_last_seen", None)


def event_processors() -> Iterator[Any]:
    """Yield the objects whose methods are event processors of the scopes that are active now.

    ``Scope._event_processors`` is what ``add_event_processor`` appends to, and what a fork copies.
    Missing: none.
    """
    for scope in (sentry_sdk.get_isolation_scope(), sentry_sdk.get_current_scope()):
        for processor in getattr(scope, "_event_processors", ()):
            yield getattr(processor, "__self__", None)


def set_by_app() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return the tags, contexts and user that ``set_tag`` and its kin have put onto the active scopes.

    An event has those of its own and of event processors too, and does not tell which is which. The
    attributes are as old as the scopes of 2.0. Missing: none.
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


_CLASSES = {
    "sentry_sdk.profiler.transaction_profiler": "Profile",
    "sentry_sdk.profiler.continuous_profiler": "ProfileChunk",
}


def clean_profiles(clean: Callable[[dict[str, Any], Mapping[str, Any]], None]) -> None:
    """Have a function see every profile that is about to be sent, of whatever client; once is enough.

    Args:
        clean: takes what is sent, which it changes, and the options of the client.
    """
    for module, name in _CLASSES.items():
        try:
            cls = getattr(import_module(module), name)
        except (ImportError, AttributeError):  # pragma: no cover
            continue
        original = getattr(cls, "to_json", None)
        if original is not None and not hasattr(original, "__wrapped__"):
            cls.to_json = _cleaning(original, clean)


def _cleaning(original: Any, clean: Callable[[dict[str, Any], Mapping[str, Any]], None]) -> Any:
    @functools.wraps(original)
    def to_json(*args: Any, **kwargs: Any) -> Any:
        payload = original(*args, **kwargs)
        given = (*args, *kwargs.values())
        options = next((a for a in given if isinstance(a, dict) and "send_default_pii" in a), None)
        # Of a client that nothing is known of: as if it might send nothing.
        clean(payload, options or {})
        return payload

    return to_json
