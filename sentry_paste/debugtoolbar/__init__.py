"""A panel for Pyramid's debug toolbar: ``debugtoolbar.includes = sentry_paste.debugtoolbar``.

It shows what Sentry captured during each request, as it is sent: after redaction and
after the hooks in the ini. The toolbar is a tween inside the app and the filter wraps
the app, so the transaction or segment ends after the toolbar has seen the response. The
panel is rendered when its page is opened, so it includes what happened until then.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.cli.check.effective import OptionValue, effective_options
from sentry_paste.debugtoolbar.payload import SENT, Event
from sentry_paste.debugtoolbar.recorder import Recording, record_request, record_trace, request_data
from sentry_paste.debugtoolbar.whereabouts import SPOOLED, WAITING, Whereabouts
from sentry_paste.sdk.failures import log_failure

try:
    from pyramid_debugtoolbar.panels import DebugPanel
except ImportError as error:
    raise ImportError(
        "sentry_paste.debugtoolbar is a panel of pyramid_debugtoolbar, which is not installed: "
        "pip install pyramid_debugtoolbar"
    ) from error

_ERROR_LEVELS = ("error", "fatal")


class SentryPanel(DebugPanel):  # type: ignore[misc]  # it has no types
    """What Sentry captured during a request, and the options of the filter.

    Args:
        request: the Pyramid request; no reference to it is kept.
    """

    name = "sentry"
    title = nav_title = "Sentry"
    has_content = True
    template = "sentry_paste.debugtoolbar:panel.dbtmako"

    def __init__(self, request: Any) -> None:  # noqa: ARG002 - the context has all that is needed
        self._recording = Recording()
        self._is_seen = False
        self._name: tuple[str, str | None] | None = None
        self._settings: tuple[str, tuple[OptionValue, ...]] = "", ()
        self._whereabouts = Whereabouts()
        self._inbox = ""
        try:
            self._begin()
        except Exception:
            log_failure("the panel of the debug toolbar is incomplete")

    def _begin(self) -> None:
        data = request_data()
        if data is None:
            return
        settings, options = data.filter_state.settings, sentry_sdk.get_client().options
        self._settings = settings.source, effective_options(settings, options, "the section")
        self._whereabouts = Whereabouts(settings.spool_dir or "", not options.get("dsn"))
        self._inbox = data.filter_state.inbox.root(data.strings.get("SCRIPT_NAME", ""))
        self._recording = record_request()
        self._is_seen = True
        record_trace(self._recording, data)

    def wrap_handler(self, handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Record the transaction name that the app gave, before the toolbar responds in its place.

        The toolbar shows crashes and redirects by views with their own routes, and the SDK names a
        transaction after the last view.

        Args:
            handler: handler of the app.
        """

        def handle(request: Any) -> Any:
            try:
                return handler(request)
            finally:
                self._record_name()

        return handle

    def _record_name(self) -> None:
        try:
            self._name = sdk.name_so_far(sentry_sdk.get_client().options) if self._is_seen else None
        except Exception:
            log_failure("the panel of the debug toolbar is incomplete")

    def process_response(self, response: Any) -> None:  # noqa: ARG002 - only its time matters
        """Record the trace again, now that the app has responded, and restore the name that the app gave.

        Args:
            response: response of the app.
        """
        try:
            data = request_data()
            if data is not None and self._is_seen:
                if self._name is not None and self._name != sdk.name_so_far(sentry_sdk.get_client().options):
                    sentry_sdk.get_current_scope().set_transaction_name(*self._name)
                record_trace(self._recording, data)
        except Exception:
            log_failure("the panel of the debug toolbar is incomplete")

    @property
    def nav_subtitle(self) -> str:
        """Return the number of errors and messages, or an empty string if there are none."""
        count = len(self._recording.events)
        return str(count) if count else ""

    @property
    def nav_subtitle_style(self) -> str:
        """Return the Bootstrap class of the badge."""
        has_errors = any(event.level in _ERROR_LEVELS for event in self._recording.events)
        return "progress-bar-danger" if has_errors else "progress-bar-info"

    def render_vars(self, request: Any) -> dict[str, Any]:  # noqa: ARG002 - it is the request for the toolbar's page
        """Return the values for the template, as they are when the page is rendered.

        Args:
            request: request for the toolbar's page.
        """
        source, options = self._settings
        recording = self._recording
        events, traces = self._whereabouts.find(list(recording.events), recording.traces, recording.trace_id)
        return {
            "is_seen": self._is_seen,
            "has_client": sdk.active_client() is not None,
            "errors": [event for event in events if event.type],
            "messages": [event for event in events if not event.type],
            "items": list(recording.items),
            "left_out": recording.left_out,
            "traces": traces,
            "trace_id": recording.trace_id,
            "inbox": self._inbox,
            "is_spooled": any(event.is_spooled for event in events)
            or any(trace.is_spooled for trace in traces),
            "source": source,
            "options": options,
            "label_of": _label,
            "outcome_label_of": _outcome_label,
            "milliseconds": _milliseconds,
        }


def _label(event: Event) -> str:
    """Return the Bootstrap class for the level of an event."""
    return {"fatal": "danger", "error": "danger", "warning": "warning", "info": "info"}.get(
        event.level, "default"
    )


def _outcome_label(outcome: str) -> str:
    """Return the Bootstrap class for what became of captured data."""
    return {SENT: "success", SPOOLED: "info", WAITING: "info"}.get(outcome, "default")


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds < 10 else f"{seconds:,.1f} s"


def includeme(config: Any) -> None:
    """Add the panel to the toolbar.

    Args:
        config: the toolbar's configurator, to which ``debugtoolbar.includes`` applies.

    Raises:
        ConfigurationError: the configurator is the app's.
    """
    if not hasattr(config, "add_debugtoolbar_panel"):
        from pyramid.exceptions import ConfigurationError

        raise ConfigurationError(
            "sentry_paste.debugtoolbar belongs in debugtoolbar.includes; "
            "in pyramid.includes put pyramid_debugtoolbar"
        )
    config.add_debugtoolbar_panel(SentryPanel)


class _PanelModule(ModuleType):
    """Make this module callable like the class of a panel.

    The toolbar calls the object that a dotted name in ``debugtoolbar.panels`` or
    ``debugtoolbar.extra_panels`` resolves to. With this, those options accept the name of the module, as
    ``debugtoolbar.includes`` does.
    """

    def __call__(self, request: Any) -> SentryPanel:
        return SentryPanel(request)


sys.modules[__name__].__class__ = _PanelModule
