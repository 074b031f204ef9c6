"""SDK clients, one for each distinct settings in a process, and the guards around their hooks."""

from __future__ import annotations

import atexit
import functools
import threading
import warnings
from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import sentry_sdk
from sentry_sdk.transport import Transport

from sentry_paste import sdk
from sentry_paste.client.error_budget import budget_for
from sentry_paste.client.error_rules import rules_for, with_error_rules
from sentry_paste.client.guarded import GuardedClient
from sentry_paste.client.server_logs import drop_duplicates
from sentry_paste.config.errors import ConfigError, Problem
from sentry_paste.config.reload import needs_client
from sentry_paste.config.settings import Settings
from sentry_paste.redaction import Names, Patterns, Redaction
from sentry_paste.redaction.accesslogs import is_access_logger
from sentry_paste.sdk.failures import LOGGER, inform, warn
from sentry_paste.sdk.forks import reset_when_forked
from sentry_paste.spool.delivery import DeliveringTransport, delivering_class
from sentry_paste.spool.transport import SpoolSettings, SpoolTransport
from sentry_paste.wsgi.w3c import outgoing

# What is used instead of a hook that fails: the same as in newer SDKs, which say nothing of it.
_FALLBACKS: dict[str, Callable[..., Any]] = {
    "before_breadcrumb": lambda crumb, _hint: crumb,
    "before_send_log": lambda item, _hint: item,
    "before_send_metric": lambda item, _hint: item,
    "before_send_span": lambda item, _hint: item,
    # Its purpose may have been to remove something.
    "before_send": lambda _event, _hint: None,
    "before_send_transaction": lambda _event, _hint: None,
    "error_sampler": lambda _event, _hint: 1.0,
    "profiles_sampler": lambda _context: 0.0,
    "traces_sampler": lambda _context: 0.0,
}

# Their results are queued unchecked. A wrong one fails when the queue is flushed, and all of it is lost.
_RETURN_ITEMS = frozenset({"before_breadcrumb", "before_send_log", "before_send_metric", "before_send_span"})


def with_guards(options: dict[str, Any]) -> dict[str, Any]:
    """Return SDK options with hooks that never raise and never return anything that cannot be sent.

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


# This logger reports that capturing has failed. To capture that would fail again, and so on.
sdk.ignore_own_logger(LOGGER)

sdk.process_every_event(drop_duplicates)


def mark_generated_code(event: Any, _hint: Any) -> Any:
    """Mark, as an event processor, frames of code that was made at run time as not of the app.

    A crash in a commit of SQLAlchemy would have ``<sqlalchemy generated ...>`` as its only place in the app.

    Args:
        event: of the SDK.
        _hint: of the SDK.
    """
    for frame in sdk.frames(event):
        name = frame.get("filename")
        if isinstance(name, str) and name.startswith("<") and name != "<stdin>":
            frame.setdefault("in_app", False)
    return event


sdk.process_every_event(mark_generated_code)


class Registry:
    """The clients of this process, by their settings.

    Attributes:
        transport: for tests: the transport of all clients that are made from now on, None for their own.
    """

    def __init__(self) -> None:
        self.transport: Transport | None = None
        self._clients: dict[Hashable, tuple[Settings, GuardedClient | None]] = {}
        self._lock = threading.Lock()
        # Sources, and their options that no client follows, of which was warned.
        self._unused: set[tuple[str, str]] = set()
        # Loggers that no client ignored before, and for which clients.
        self._ignored_loggers: frozenset[str] = frozenset()
        # The filters that capture, each with the client that was made and the settings that it has by now.
        self._filters: WeakKeyDictionary[Any, tuple[GuardedClient, Settings]] = WeakKeyDictionary()
        reset_when_forked(self)

    def reset_after_fork(self) -> None:
        """Make a new lock in a child: another thread of the parent may have had it, to read an ini again."""
        self._lock = threading.Lock()

    def client_for(self, settings: Settings) -> GuardedClient | None:
        """Return the client for settings, None if they have nowhere to send to.

        The first client is installed globally, so that background threads use it, too. The same settings,
        from another section or read again, get the same client.

        Args:
            settings: with or without a DSN.

        Raises:
            ConfigError: the SDK rejects an option.
        """
        if self.transport is None and not _wants_client(settings):
            self._warn_of_unused_options(settings)
            return None
        with self._lock:
            found = self._clients.get(settings.client_key)
            if found is not None:
                return found[1]
            for client in self.clients():  # an app that is loaded after the ini has been read again
                if client.settings.client_key == settings.client_key:
                    return client
            made = self._make(settings)
            if made is not None:
                self._install(made)
            self._clients[settings.client_key] = (settings, made)
            self._ignore_loggers()
            return made

    def capture_with(self, made: GuardedClient, client: GuardedClient, view: GuardedClient) -> None:
        """Capture with another view of a client from now on.

        Args:
            made: the client that was made.
            client: that a filter captures with so far, made or a view.
            view: that captures; the client itself if it has the settings again that it was made from.
        """
        with self._lock:
            made.current = None if view is made else view
            sdk.replace_client(client, view)
            self._ignore_loggers()

    def add_filter(self, found: Any, client: GuardedClient | None, settings: Settings) -> None:
        """Add a filter, or what it has by now: several filters may share a client, and not all change.

        Args:
            found: the filter.
            client: that it captures with, made or a view.
            settings: of the filter.
        """
        if client is not None:
            with self._lock:
                self._filters[found] = sdk.origin(client), settings
                self._ignore_loggers()

    def remove_filter(self, found: Any) -> None:
        """Remove a filter that is part of another one.

        Args:
            found: the filter.
        """
        with self._lock:
            self._filters.pop(found, None)

    def _ignore_loggers(self) -> None:
        """Ignore the loggers that the settings of any filter name, and no longer those that none does."""
        filters = list(self._filters.values())
        used = {made for made, _ in filters}
        in_force = [settings for _, settings in filters]
        # Those that were made for no filter, or not yet.
        in_force += [client.settings for client in self.clients() if sdk.origin(client) not in used]
        wanted = {name for settings in in_force for name in settings.ignore_loggers}
        new = sdk.change_ignored_loggers(wanted, self._ignored_loggers - wanted)
        self._ignored_loggers = (self._ignored_loggers & wanted) | new

    def _warn_of_unused_options(self, settings: Settings) -> None:
        """Warn that options have no effect because the client is one that the app has created."""
        unused = ", ".join(sorted(filter(needs_client, {*settings.sdk, *settings.origins})))
        if not unused or not sentry_sdk.get_client().is_active():
            return
        # A filter asks for its client more than once while it is made.
        if (settings.source, unused) not in self._unused:
            self._unused.add((settings.source, unused))
            warn(
                "%s: no DSN is set, so the app's active client is used, which was created without these "
                "options: %s",
                settings.source,
                unused,
            )

    def _install(self, client: GuardedClient) -> None:
        """Make the first client the global one, and close all at exit."""
        atexit.register(client.close_at_exit)
        active = sentry_sdk.get_client()
        if not active.is_active():
            sentry_sdk.get_global_scope().set_client(client)
            return
        if active not in self.clients():
            warn(
                "the app has its own Sentry client: the ini's client reports what happens in requests, "
                "the app's client everything else"
            )

    def _make(self, settings: Settings) -> GuardedClient | None:
        options = with_guards(dict(settings.sdk))
        if self.transport is not None:
            options["transport"] = self.transport
        elif settings.spool_dir is not None:
            options.update(_spool_options(settings, options))
        if sdk.sleep_blocks_process():
            _turn_off_sleeping_threads(settings, options)
        budget = budget_for(settings)
        options = with_error_rules(settings, options, budget)
        if not self._clients and sdk.note_on_version():
            inform("%s", sdk.note_on_version())
        redaction = Redaction(secret_names(settings), Patterns(settings.redact_patterns))
        try:
            with _deprecations_logged(settings):
                client = GuardedClient(**sdk.for_client(redaction.with_hooks(options)))
        except (TypeError, ValueError) as error:
            raise ConfigError(
                settings.source, [Problem("sentry-sdk", None, f"rejects the options: {error}")]
            ) from error
        except Exception:  # from an integration or a library of the SDK: not a mistake in the ini
            warn("Sentry failed to start: nothing is reported", exc_info=True)
            return None
        sdk.set_up(client)
        sdk.shorten(client)
        sdk.leave_out_breadcrumbs(client, is_access_logger)
        sdk.guard_profilers()
        sdk.start_threads_outside_of_requests(client)
        reset_when_forked(client)
        sdk.upload_in_background(client)
        transport = client.transport
        sdk.upload_uninstrumented(
            client, transport.inner if isinstance(transport, DeliveringTransport) else transport
        )
        redaction.use_options(client.options, options.get("event_scrubber"))
        if redaction.is_on:
            sdk.clean_span_headers(client, redaction.clean_header, redaction.check_context)
        sdk.clean_spans_in_envelopes(
            client, redaction.clean_item, redaction.request_of_spans, redaction.clean_spans
        )
        client.redaction = redaction
        client.tags, client.contexts = settings.tags, settings.contexts
        client.rules, client.budget = rules_for(settings), budget
        if settings.sdk.get("before_send") is None:
            client.last_hook = client.options.get("before_send")
        if settings.propagate_traceparent:
            sdk.add_to_outgoing_calls(client, outgoing)
        client.settings = settings
        return client

    def clients(self) -> list[GuardedClient]:
        """Return all clients, in the order in which they were created; views that capture by now instead."""
        made = [client for _, client in self._clients.values() if client is not None]
        return [client.current or client for client in made]

    def reset(self, keep: Collection[Any] = ()) -> None:
        """Close and forget the clients, for tests.

        Args:
            keep: clients that stay.
        """
        self._unused.clear()
        with self._lock:
            kept = {sdk.origin(client) for client in keep}
            dropped = [client for client in self.clients() if sdk.origin(client) not in kept]
            self._clients = {key: made for key, made in self._clients.items() if made[1] in kept}
            for found in [found for found, (made, _) in self._filters.items() if made not in kept]:
                del self._filters[found]
        global_scope = sentry_sdk.get_global_scope()
        if global_scope.client in dropped:
            global_scope.set_client(None)
        for client in dropped:
            atexit.unregister(sdk.origin(client).close_at_exit)
            client.close()


#: The clients of this process.
registry = Registry()


def secret_names(settings: Settings) -> Names:
    """Return the names that are secret under some settings.

    Args:
        settings: of a filter.
    """
    return Names(
        settings.redact_headers, settings.redact_params, settings.redact_environ, settings.keep_headers
    )


def _spool_options(settings: Settings, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the SDK option ``transport`` that sends envelopes through the spool."""
    spool_settings = SpoolSettings(
        str(settings.spool_dir),
        settings.spool_items,
        settings.spool_max_size,
        settings.spool_max_age,
        settings.spool_rate,
        settings.spool_fsync,
        settings.spool_connections,
        settings.spool_min_free,
    )
    if not options.get("dsn"):
        return {} if "transport" in options else {"transport": SpoolTransport(spool_settings)}
    transport = delivering_class(options, spool_settings)
    if transport is None:
        warn("%s: spool_dir is ignored: it does not work with this kind of transport", settings.source)
        return {}
    return {"transport": transport}


def _turn_off_sleeping_threads(settings: Settings, options: dict[str, Any]) -> None:
    """Turn off the SDK's threads that would block the process, unless the ini turns them on."""
    hanging = ", ".join(sdk.hanging_options(options))
    if hanging:
        warn(
            "%s: %s: requests will hang: a thread of the SDK calls time.sleep, which is not green here "
            "although threads are",
            settings.source,
            hanging,
        )
    for name in sdk.sleeping_options():
        options.setdefault(name, False)


@contextmanager
def _deprecations_logged(settings: Settings) -> Iterator[None]:
    """Log what the SDK deprecates by its line in the ini, instead of a warning about Python code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DeprecationWarning)
        yield
    texts = []
    for warning in caught:
        if issubclass(warning.category, DeprecationWarning):
            texts.append(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    for name, advice in sdk.deprecations(texts):
        origin = settings.origins.get(name)
        if origin is not None:
            line = f" line {origin.line}" if origin.line else ""
            # Nothing has to be changed for send_default_pii.
            log = inform if name == "send_default_pii" else warn
            log("%s%s: %s %s", settings.source, line, name, advice)


def _wants_client(settings: Settings) -> bool:
    given: Mapping[str, Any] = settings.sdk
    # Without a DSN the SDK does not instantiate a transport class.
    transport = given.get("transport") if not isinstance(given.get("transport"), type) else None
    return bool(given.get("dsn") or settings.spool_dir or transport or given.get("spotlight"))
