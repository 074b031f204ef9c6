"""Sentry's panel for Pyramid's debug toolbar: ``debugtoolbar.includes = sentry_paste.debugtoolbar``.

It shows what each request has captured, as it is sent: after redaction and after
the hooks of the ini. The toolbar is a tween and the filter stands around the app, so
the transaction ends after the toolbar has had the response; what happens until the
page of the panel is asked for is on it all the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import sentry_sdk

from sentry_paste import sdk
from sentry_paste.cli.check.effective import Value, effective
from sentry_paste.debugtoolbar.payload import Event
from sentry_paste.debugtoolbar.recorder import Captures, capture_request, look_at_trace, request_data
from sentry_paste.sdk.failures import log_failure

try:
    from pyramid_debugtoolbar.panels import DebugPanel
except ImportError as error:
    raise ImportError(
        "sentry_paste.debugtoolbar is a panel of pyramid_debugtoolbar, which is not installed: "
        "pip install pyramid_debugtoolbar"
    ) from error

_LOUD = ("error", "fatal")


class SentryPanel(DebugPanel):  # type: ignore[misc]  # it has no types
    """What Sentry has captured during a request, and by which options.

    Args:
        request: Pyramid's; it is not kept.
    """

    name = "sentry"
    title = nav_title = "Sentry"
    has_content = True
    template = "sentry_paste.debugtoolbar:panel.dbtmako"

    def __init__(self, request: Any) -> None:  # noqa: ARG002 - its context tells more
        self._captures = Captures()
        self._is_seen = False
        self._name: tuple[str, str | None] | None = None
        self._settings: tuple[str, tuple[Value, ...]] = "", ()
        try:
            self._begin()
        except Exception:
            log_failure("the debug toolbar does not show it")

    def _begin(self) -> None:
        data = request_data()
        if data is None:
            return
        settings, options = data.filter_state.settings, sentry_sdk.get_client().options
        self._settings = settings.source, effective(settings, options, "the section")
        self._captures = capture_request()
        self._is_seen = True
        look_at_trace(self._captures, data)

    def wrap_handler(self, handler: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Note what the app has named the request, before the toolbar answers in its place.

        The toolbar's pages of a crash and of a redirect are views with routes of their own, and the SDK names
        a request by the last view that it went through.

        Args:
            handler: of the app.
        """

        def handle(request: Any) -> Any:
            try:
                return handler(request)
            finally:
                self._note_name()

        return handle

    def _note_name(self) -> None:
        try:
            self._name = sdk.name_so_far(sentry_sdk.get_client().options) if self._is_seen else None
        except Exception:
            log_failure("the debug toolbar does not show it")

    def process_response(self, response: Any) -> None:  # noqa: ARG002 - it is the server's
        """Look at the trace once more, now that the app has named it and answered.

        The name is the app's, whatever the toolbar has done since.

        Args:
            response: of the app.
        """
        try:
            data = request_data()
            if data is not None and self._is_seen:
                if self._name is not None and self._name != sdk.name_so_far(sentry_sdk.get_client().options):
                    sentry_sdk.get_current_scope().set_transaction_name(*self._name)
                look_at_trace(self._captures, data)
        except Exception:
            log_failure("the debug toolbar does not show it")

    @property
    def nav_subtitle(self) -> str:
        """Return how many errors and messages there are, nothing where there is none."""
        count = len(self._captures.events)
        return str(count) if count else ""

    @property
    def nav_subtitle_style(self) -> str:
        """Return Bootstrap's class for them."""
        loud = any(event.level in _LOUD for event in self._captures.events)
        return "progress-bar-danger" if loud else "progress-bar-info"

    def render_vars(self, request: Any) -> dict[str, Any]:  # noqa: ARG002 - it is the toolbar's
        """Return what the template shows, as it is when the page is made.

        Args:
            request: for the page.
        """
        source, options = self._settings
        captures = self._captures
        return {
            "is_seen": self._is_seen,
            "has_client": sdk.active_client() is not None,
            "errors": [event for event in captures.events if event.type],
            "messages": [event for event in captures.events if not event.type],
            "items": list(captures.items),
            "left_out": captures.left_out,
            "traces": captures.traces,
            "trace_id": captures.trace_id,
            "source": source,
            "options": options,
            "label_of": _label,
            "milliseconds": _milliseconds,
        }


def _label(event: Event) -> str:
    """Return Bootstrap's class for the level of an event."""
    return {"fatal": "danger", "error": "danger", "warning": "warning", "info": "info"}.get(
        event.level, "default"
    )


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:,.1f} ms" if seconds < 10 else f"{seconds:,.1f} s"


def includeme(config: Any) -> None:
    """Add the panel to the toolbar.

    Args:
        config: the toolbar's configurator, which ``debugtoolbar.includes`` is for.

    Raises:
        ConfigurationError: it is the app's.
    """
    if not hasattr(config, "add_debugtoolbar_panel"):
        from pyramid.exceptions import ConfigurationError

        raise ConfigurationError(
            "sentry_paste.debugtoolbar belongs in debugtoolbar.includes, beside pyramid_debugtoolbar in "
            "pyramid.includes"
        )
    config.add_debugtoolbar_panel(SentryPanel)


class _PanelModule(ModuleType):
    """This module, called as the class of a panel.

    The toolbar calls whatever a dotted name in ``debugtoolbar.panels`` or ``debugtoolbar.extra_panels`` leads
    to; so these lines take the name of the module, as ``debugtoolbar.includes`` does.
    """

    def __call__(self, request: Any) -> SentryPanel:
        return SentryPanel(request)


sys.modules[__name__].__class__ = _PanelModule
