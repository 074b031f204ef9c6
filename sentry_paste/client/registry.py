"""From settings to SDK clients: one for each distinct settings in a process."""

from __future__ import annotations

import atexit
import functools
import threading
import warnings
from collections.abc import Callable, Collection, Hashable, Mapping
from types import MappingProxyType
from typing import Any

import sentry_sdk
from sentry_sdk.integrations.logging import ignore_logger
from sentry_sdk.transport import Transport

from sentry_paste import sdk
from sentry_paste.client.abandoned import finish_abandoned
from sentry_paste.client.server_logs import drop_told_twice
from sentry_paste.config.errors import ConfigError, Problem
from sentry_paste.config.settings import Settings
from sentry_paste.redaction import Names, Patterns, Redaction
from sentry_paste.sdk.failures import LOGGER, log_failure, warn
from sentry_paste.sdk.forks import renew_when_forked
from sentry_paste.spool.delivery import DeliveringTransport, delivering
from sentry_paste.spool.transport import SpoolTransport, Terms

# What is decided where the hook does not: what the newer SDKs decide.
_FALLBACKS: dict[str, Callable[..., Any]] = {
    "before_breadcrumb": lambda crumb, _hint: crumb,
    "before_send_log": lambda item, _hint: item,
    "before_send_metric": lambda item, _hint: item,
    "before_send_span": lambda item, _hint: item,
    "profiles_sampler": lambda _context: 0.0,
    "traces_sampler": lambda _context: 0.0,
}

# What these return is queued as it is, and fails when the queue is flushed, with all else that is in it.
_RETURN_ITEMS = frozenset({"before_breadcrumb", "before_send_log", "before_send_metric", "before_send_span"})


def with_guards(options: dict[str, Any]) -> dict[str, Any]:
    """Return SDK options whose hooks do not raise, nor return what cannot be sent.

    Args:
        options: for a client.
    """
    guarded = {name: _guarded(name, options[name]) for name in _FALLBACKS if callable(options.get(name))}
    return {**options, **guarded}


def _guarded(name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        try:
            found = hook(*args)
            if name in _RETURN_ITEMS and found is not None and not isinstance(found, dict):
                raise TypeError(f"expected a dict or None, not {found!r}")
        except Exception:
            warn("%s failed", name, exc_info=True)
            return _FALLBACKS[name](*args)
        return found

    return functools.update_wrapper(call, hook)


# What this logger tells is that capturing fails: to capture that would fail again, and so on.
sdk.ignore_own_logger(LOGGER)

sdk.process_every_event(drop_told_twice)


class GuardedClient(sentry_sdk.Client):
    """An SDK client that never raises into whoever captures.

    The SDK guards most hooks, but not what they return, nor the transport: a ``before_send`` that returns
    a wrong thing, or a transport of the user's that raises, would raise in the app's own
    ``capture_message``.

    Attributes:
        tags: of all its events, unless the event or a scope has one of the name.
        contexts: likewise, by name and key.
        redaction: what goes before its hooks.
    """

    tags: Mapping[str, str] = MappingProxyType({})
    contexts: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    redaction: Redaction

    def begin(self) -> None:
        """Have what an earlier process has left in the spool sent: with the first request, never at load."""
        if isinstance(self.transport, DeliveringTransport):
            self.transport.open()

    def begin_again(self) -> None:
        """Begin again in a process that was forked: what is queued or counted is its parent's."""
        sdk.begin_again(self)

    def capture_event(self, event: Any, *args: Any, **kwargs: Any) -> str | None:
        """Capture as the SDK does; what goes wrong costs the event alone."""
        try:
            self._add_tags_and_contexts(event)
            sdk.add_sdk_info(event, self)
            return super().capture_event(event, *args, **kwargs)
        except Exception:
            log_failure("an event is lost")
            return None

    def _add_tags_and_contexts(self, event: Any) -> None:
        # Before the scopes are applied, which win over what the event has.
        if self.tags:
            event["tags"] = {**self.tags, **(event.get("tags") or {})}
        for name, context in self.contexts.items():
            contexts = event.setdefault("contexts", {})
            contexts[name] = {**context, **(contexts.get(name) or {})}

    def capture_session(self, *args: Any, **kwargs: Any) -> None:
        """Capture as the SDK does; what goes wrong costs the session alone."""
        try:
            super().capture_session(*args, **kwargs)
        except Exception:
            log_failure("a session is lost")

    def flush(self, *args: Any, **kwargs: Any) -> None:
        """Send what is waiting, as the SDK does; what goes wrong is logged."""
        finish_abandoned()
        try:
            super().flush(*args, **kwargs)
        except Exception:
            log_failure("what was waiting is lost")
            self._flush_transport(*args, **kwargs)
        self._flush_spotlight(*args, **kwargs)

    def close(self, *args: Any, **kwargs: Any) -> None:
        """Send what is waiting and end, as the SDK does, Spotlight's part of it as well."""
        super().close(*args, **kwargs)
        if self.spotlight is not None:
            self._flush_spotlight(*args, **kwargs)
            sdk.close_spotlight(self)

    def _flush_spotlight(self, timeout: float | None = None, callback: Any = None) -> None:  # noqa: ARG002
        try:
            sdk.flush_spotlight(self, timeout)
        except Exception:
            log_failure("Spotlight does not get what was waiting")

    def _flush_transport(self, timeout: float | None = None, callback: Any = None) -> None:
        """Flush what the transport has, where one of the parts that are flushed before it has failed."""
        try:
            if self.transport is not None:
                self.transport.flush(
                    self.options["shutdown_timeout"] if timeout is None else timeout, callback
                )
        except Exception:
            log_failure("what was waiting is lost")


class Registry:
    """The clients of this process, by the settings that they were made of.

    Attributes:
        transport: for tests: what all clients made from now on send to, None for their own.
    """

    def __init__(self) -> None:
        self.transport: Transport | None = None
        self._clients: dict[Hashable, tuple[Settings, GuardedClient | None]] = {}
        self._lock = threading.Lock()

    def client_for(self, settings: Settings) -> GuardedClient | None:
        """Return the client of these settings, or None where they say of none.

        The first client is installed globally, so that background threads report to it too. The same
        settings, from another section or read again, get the same client.

        Args:
            settings: with or without a DSN.

        Raises:
            ConfigError: the SDK refuses an option.
        """
        if self.transport is None and not _wants_client(settings):
            _tell_unused(settings)
            return None
        with self._lock:
            found = self._clients.get(settings.client_key)
            if found is not None:
                return found[1]
            client = self._make(settings)
            if client is not None:
                self._install(client)
            self._clients[settings.client_key] = (settings, client)
            return client

    def _install(self, client: GuardedClient) -> None:
        """Make the first client the global one; see to it that the others lose nothing at exit."""
        active = sentry_sdk.get_client()
        if not active.is_active():
            sentry_sdk.get_global_scope().set_client(client)
            return
        if active not in self.clients():
            warn(
                "the app has a Sentry client of its own: what happens in a request is reported by the client "
                "of the ini, the rest by the app's"
            )
        # The SDK's atexit integration closes the client that is active then, and no other.
        atexit.register(client.close)

    def _make(self, settings: Settings) -> GuardedClient | None:
        options = dict(settings.sdk)
        if self.transport is not None:
            options["transport"] = self.transport
        elif settings.spool_dir is not None:
            options.update(_through_the_spool(settings, options))
        if sdk.sleep_is_everyones():
            _let_none_sleep(settings, options)
        redaction = Redaction(secret_names(settings), Patterns(settings.redact_patterns))
        try:
            with warnings.catch_warnings():
                # send_default_pii and other options are deprecated for Python code; whoever has an ini
                # that says what it should has no code to change.
                warnings.simplefilter("ignore", DeprecationWarning)
                client = GuardedClient(**redaction.with_hooks(with_guards(options)))
        except (TypeError, ValueError) as error:
            raise ConfigError(settings.source, [Problem("sentry-sdk", None, f"refuses: {error}")]) from error
        except Exception:  # of an integration, or of a library of the SDK's: no mistake of the ini's
            warn("Sentry failed to start: nothing is reported", exc_info=True)
            return None
        renew_when_forked(client)
        sdk.upload_in_background(client)
        redaction.made(client.options)
        if redaction.is_on:
            sdk.clean_span_headers(client, redaction.clean_header)
        client.redaction = redaction
        client.tags, client.contexts = settings.tags, settings.contexts
        for name in settings.ignore_loggers:
            ignore_logger(name)
        return client

    def clients(self) -> list[GuardedClient]:
        """Return all clients, in the order in which they were made."""
        return [client for _, client in self._clients.values() if client is not None]

    def reset(self, keep: Collection[Any] = ()) -> None:
        """Close and forget the clients, for tests: the next settings make the first client again.

        Args:
            keep: clients that stay.
        """
        with self._lock:
            dropped = [client for client in self.clients() if client not in keep]
            self._clients = {key: made for key, made in self._clients.items() if made[1] in keep}
        global_scope = sentry_sdk.get_global_scope()
        if global_scope.client in dropped:
            global_scope.set_client(None)
        for client in dropped:
            atexit.unregister(client.close)
            client.close()


#: The clients of this process.
registry = Registry()


def secret_names(settings: Settings) -> Names:
    """Return which names are secret by settings.

    Args:
        settings: of a filter.
    """
    return Names(
        settings.redact_headers, settings.redact_params, settings.redact_environ, settings.keep_headers
    )


def _through_the_spool(settings: Settings, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the option of the SDK's that has envelopes go through the spool."""
    terms = Terms(
        str(settings.spool_dir),
        settings.spool_items,
        settings.spool_max_size,
        settings.spool_max_age,
        settings.spool_rate,
        settings.spool_fsync,
    )
    if not options.get("dsn"):
        return {} if "transport" in options else {"transport": SpoolTransport(terms)}
    transport = delivering(options, terms)
    if transport is None:
        warn("%s: spool_dir is not used with a transport of this kind", settings.source)
        return {}
    return {"transport": transport}


def _let_none_sleep(settings: Settings, options: dict[str, Any]) -> None:
    """Turn off the threads of the SDK's that would stop the process, unless the ini wants them."""
    hanging = ", ".join(sdk.hanging_options(options))
    if hanging:
        warn(
            "%s: %s: requests will hang: threads are green here and time.sleep is not, by which a thread of "
            "the SDK's sleeps",
            settings.source,
            hanging,
        )
    for name in sdk.sleeping_options():
        options.setdefault(name, False)


def _wants_client(settings: Settings) -> bool:
    given: Mapping[str, Any] = settings.sdk
    # The SDK makes no transport of a class where there is no DSN.
    transport = given.get("transport") if not isinstance(given.get("transport"), type) else None
    return bool(given.get("dsn") or settings.spool_dir or transport or given.get("spotlight"))


def _tell_unused(settings: Settings) -> None:
    """Tell that options do nothing where the client is one that the app has made."""
    if settings.sdk and sentry_sdk.get_client().is_active():
        warn(
            "%s: no DSN is set, so the client is the active one, which was made without these options: %s",
            settings.source,
            ", ".join(sorted(settings.sdk)),
        )
