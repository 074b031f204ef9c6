"""An app that answers whether a spool is delivered: its counts, and 503 if something waits too long.

For load balancers and monitoring: mount it in an ini, or run it on a port of its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sentry_paste.config.errors import ConfigError, Problem
from sentry_paste.config.texts import duration
from sentry_paste.config.values import expand
from sentry_paste.inbox.access import counts_reason
from sentry_paste.inbox.settings import read_settings
from sentry_paste.spool.status import as_json, read_status

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from sentry_paste.inbox.settings import InboxSettings

_OPTION = "spool_stale_after"
_STALE_AFTER = "1 hour"


def main(global_conf: dict[str, str], **local_conf: str) -> WSGIApplication:
    """Return the app: its ``paste.app_factory``.

    Args:
        global_conf: the ini's ``[DEFAULT]``.
        local_conf: the app's section: ``spool_stale_after``, and the options of the inbox.

    Raises:
        ConfigError: an option is missing, unknown or has a wrong value.
    """
    rest = {name: value for name, value in local_conf.items() if name != _OPTION}
    return Health(read_settings(global_conf, rest), _stale_after(global_conf, local_conf))


def _stale_after(global_conf: Mapping[str, str], local_conf: Mapping[str, str]) -> float:
    text = local_conf.get(_OPTION, _STALE_AFTER)
    try:
        return duration(expand(_OPTION, text, os.environ).strip(), "seconds", "seconds")
    except ValueError as error:
        reason = str(error) or "expected a time such as 30 min (a bare number is in seconds)"
        raise ConfigError(global_conf.get("__file__", "ini"), [Problem(_OPTION, text, reason)]) from error


class Health:
    """The WSGI app.

    Args:
        settings: the directory, who may ask besides this machine, and the token if everybody needs it.
        stale_after: seconds that a file may wait.
    """

    def __init__(self, settings: InboxSettings, stale_after: float) -> None:
        self._settings = settings
        self._stale_after = stale_after

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        status, found = self._answer(environ)
        body = json.dumps(found, indent=2).encode() + b"\n"
        headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
        ]
        start_response(status, headers)
        return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]

    def _answer(self, environ: WSGIEnvironment) -> tuple[str, dict[str, Any]]:
        reason = counts_reason(environ, self._settings)
        if reason:
            return "403 Forbidden", {"status": "forbidden", "reason": reason}
        if environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return "405 Method Not Allowed", {"status": "not allowed"}
        try:
            status = read_status(Path(self._settings.spool_dir))
        except FileNotFoundError:  # nothing was captured yet
            return "200 OK", {"status": "ok"}
        except OSError as error:
            return "503 Service Unavailable", {"status": "unreadable", "reason": type(error).__name__}
        is_stale = status.oldest is not None and status.oldest > self._stale_after
        code = "503 Service Unavailable" if is_stale else "200 OK"
        return code, {"status": "stale" if is_stale else "ok", **as_json(status)}
