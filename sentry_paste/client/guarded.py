"""The SDK client of a filter, which never raises into the app."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any
from uuid import uuid4

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.client.abandoned import finish_abandoned
from sentry_paste.client.error_budget import ErrorBudget, Summary, decides
from sentry_paste.client.error_rules import ErrorRules
from sentry_paste.client.held import Capture, capture_error, is_of_error, send_held
from sentry_paste.config.settings import Settings
from sentry_paste.redaction import Redaction
from sentry_paste.sdk.failures import log_failure, warn
from sentry_paste.spool.budget_table import NotSent
from sentry_paste.spool.delivery import DeliveringTransport


class GuardedClient(sentry_sdk.Client):
    """An SDK client that never raises into the code that captures.

    The SDK guards most hooks, but neither their results nor the transport: a ``before_send`` that returns a
    wrong object, or a user's transport that raises, would raise in the app's own ``capture_message``.

    Attributes:
        tags: for all its events, unless the event or a scope has a tag with the same name.
        contexts: likewise, by name and key.
        redaction: runs before the client's hooks.
        rules: of the ini about errors, None if it has none.
        budget: of errors, None if the ini has none.
        last_hook: the option ``before_send`` if no hook of the ini drops events, otherwise another object.
        settings: that it was made from; for a view, those that have been read since.
        current: the view that captures since the ini was read again, of the client that was made; None for
            this client itself.
    """

    tags: Mapping[str, str] = MappingProxyType({})
    contexts: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
    redaction: Redaction
    rules: ErrorRules | None = None
    budget: ErrorBudget | None = None
    last_hook: Any = ()
    settings: Settings
    current: GuardedClient | None = None

    def start_delivery(self) -> None:
        """Start to send what earlier processes have left in the spool; called with the first request."""
        if isinstance(self.transport, DeliveringTransport):
            self.transport.open()
        if self.budget is not None:
            self._report_not_sent(self.budget.stopped())

    def warn_of_another(self) -> None:
        """Warn if the app has started a client of its own since; called with the first request."""
        active = sentry_sdk.get_global_scope().client
        if active is not None and active.is_active() and not isinstance(active, GuardedClient):
            warn(
                "the app has started a Sentry client of its own: the ini's client reports what happens in "
                "requests, the app's client everything else; remove sentry_sdk.init() from the app, or the "
                "dsn from the ini"
            )

    def close_at_exit(self) -> None:
        """Close the client at the end of the process, unless the SDK does.

        Its atexit integration only closes the client that is active then, which may be one that the app has
        started since.
        """
        if sdk.origin(sentry_sdk.get_client()) is not self:
            (self.current or self).close()

    def reset_after_fork(self) -> None:
        """Reset the client in a forked process: what is queued or counted belongs to the parent."""
        sdk.reset_after_fork(self)
        if self.current is not None:
            sdk.share_sessions(self, self.current)

    def capture_event(self, event: Any, hint: Any = None, *args: Any, **kwargs: Any) -> str | None:
        """Capture as the SDK does; a failure loses only this event."""
        try:
            expected = None
            if event.get("type") == "transaction" and sdk.drop_if_full(self, event):
                return None
            if self.rules is not None and event.get("type") is None:
                if self.rules.is_ignored(event):
                    self._count_ignored()
                    return None
                expected = self.rules.expect(event, hint)
                self.rules.set_level(event, hint)
            self._add_tags_and_contexts(event)
            # The SDK adds it to its own event; what the caller has stays another one.
            event.setdefault("event_id", uuid4().hex)
            has_budget = self.budget is not None and event.get("type") is None
            if has_budget or is_of_error(hint):
                capture = Capture(self, expected)
                is_early = has_budget and self.options.get("before_send") is self.last_hook
                event = sdk.SelfSerialized(event, self.options, decides(capture, hint) if is_early else None)
                identity = capture_error(
                    capture, sentry_sdk.Client.capture_event, event, hint, *args, **kwargs
                )
                if capture.verdict is not None and capture.verdict.stopped:
                    self._report_not_sent(capture.verdict.stopped)
                return identity
            event = sdk.SelfSerialized(event, self.options)
            found: str | None = super().capture_event(event, hint, *args, **kwargs)
            return found
        except Exception:
            log_failure("an event is lost")
            return None

    def _report_not_sent(self, found: Sequence[NotSent]) -> None:
        """Capture an event about errors beyond the budget that no event of their own kind has reported."""
        if not found or self.budget is None:
            return
        identity = None
        try:
            summary = Summary(found)
            event = {**summary.event(), "event_id": uuid4().hex}
            self._add_tags_and_contexts(event)
            capture = Capture(self)
            capture.verdict = summary
            # It belongs to no request.
            identity = capture_error(
                capture, sentry_sdk.Client.capture_event, sdk.SelfSerialized(event, self.options)
            )
        except Exception:
            log_failure("errors that were not sent are not reported")
        if identity is None:  # a hook has dropped it
            self.budget.owe(found)

    def _count_ignored(self) -> None:
        if self.transport is not None:
            self.transport.record_lost_event("event_processor", data_category="error")

    def _add_tags_and_contexts(self, event: Any) -> None:
        # Before the scopes are applied, which take precedence over the event.
        if self.tags:
            event["tags"] = {**self.tags, **(event.get("tags") or {})}
        for name, context in self.contexts.items():
            contexts = event.setdefault("contexts", {})
            contexts[name] = {**context, **(contexts.get(name) or {})}

    def capture_session(self, *args: Any, **kwargs: Any) -> None:
        """Capture as the SDK does; a failure loses only this session."""
        try:
            super().capture_session(*args, **kwargs)
        except Exception:
            log_failure("a session is lost")

    def flush(self, *args: Any, **kwargs: Any) -> None:
        """Send all that is queued, as the SDK does; failures are logged."""
        finish_abandoned()
        send_held()
        if self.budget is not None:
            self._report_not_sent(self.budget.stopped())
        try:
            super().flush(*args, **kwargs)
        except Exception:
            log_failure("queued data is lost")
            self._flush_transport(*args, **kwargs)
        self._flush_spotlight(*args, **kwargs)

    def close(self, *args: Any, **kwargs: Any) -> None:
        """Send all that is queued and close, as the SDK does, including Spotlight."""
        send_held()
        if self.budget is not None:
            self._report_not_sent(self.budget.rest())
        super().close(*args, **kwargs)
        if self.spotlight is not None:
            self._flush_spotlight(*args, **kwargs)
            sdk.close_spotlight(self)

    def _flush_spotlight(self, timeout: float | None = None, callback: Any = None) -> None:  # noqa: ARG002
        try:
            sdk.flush_spotlight(self, timeout)
        except Exception:
            log_failure("data queued for Spotlight is lost")

    def _flush_transport(self, timeout: float | None = None, callback: Any = None) -> None:
        """Flush the transport after a component that is flushed before it has failed."""
        try:
            if self.transport is not None:
                self.transport.flush(
                    self.options["shutdown_timeout"] if timeout is None else timeout, callback
                )
        except Exception:
            log_failure("queued data is lost")
