"""The page that answers a crash, if the option ``error_page`` is set."""

from __future__ import annotations

import html
import json
from pathlib import Path
from string import Template
from typing import Any
from urllib.parse import quote

from sentry_paste.config.errors import ConfigError, Problem
from sentry_paste.config.settings import Settings
from sentry_paste.sdk import dialog_address

STATUS = "500 Internal Server Error"

_PAGE = Template(
    """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Something went wrong</title>
<style>
:root {
  color-scheme: light dark;
  --ink: #1f2933; --soft: #52606d; --paper: #f7f8fa; --card: #fff; --line: #e4e7eb
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaef; --soft: #9fb0c0; --paper: #14181d; --card: #1c2229; --line: #2c353f }
}
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center;
  padding: clamp(1rem, 5vw, 2rem);
  background: var(--paper); color: var(--ink); font: 1rem/1.6 system-ui, sans-serif }
main { max-width: 34rem; padding: clamp(1.5rem, 6vw, 2.5rem); background: var(--card);
  border: 1px solid var(--line); border-radius: 1rem }
h1 { margin: 0 0 .75rem; font-size: 1.5rem; line-height: 1.25; letter-spacing: -.015em }
p { margin: .75rem 0 0; color: var(--soft); text-wrap: pretty }
/* The id fits on one line of a narrow phone, and is selected as a whole. */
code { display: block; margin-top: .75rem; padding: .6rem; border-radius: .5rem;
  background: var(--paper); color: var(--ink); font: .8125rem/1.5 ui-monospace, monospace;
  overflow-wrap: anywhere; user-select: all }
</style>
</head>
<body>
<main>
<h1>Something went wrong</h1>
<p>The page you asked for could not be shown. This is not your fault. Please try again later.</p>
$reported
</main>
$feedback
</body>
</html>
"""
)
_REPORTED = Template(
    "<p>The error has been $reported. If you report this problem, please include this number:\n"
    "<code>$event_id</code></p>"
)

# Nothing may be fetched or run. With the dialog there is no policy: it loads scripts from Sentry's server.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class ErrorPage:
    """Makes the responses to crashes.

    Args:
        settings: with ``error_page``. A path is that of a template, in which ``$event_id`` stands for the
            event's id, empty if there is none, and ``$feedback`` for the script of Sentry's dialog.
        dsn: of the client, None if it has none.

    Raises:
        ConfigError: the template cannot be read.
    """

    def __init__(self, settings: Settings, dsn: str | None) -> None:
        self._template: Template | None = None
        if isinstance(settings.error_page, str):
            self._template = _read(settings)
        # Without a DSN the event stays in the spool, where perhaps nobody looks.
        self._reported = "recorded" if settings.spool_dir and not dsn else "reported"
        self._dialog = dialog_address(dsn) if dsn and settings.user_feedback else None

    def answer(
        self, environ: dict[str, Any], event_id: str | None
    ) -> tuple[list[tuple[str, str]], list[bytes]]:
        """Return the headers and the body of a response.

        Args:
            environ: of the request.
            event_id: of the error, None if it was not captured.
        """
        if _wants_json(environ.get("HTTP_ACCEPT", "")):
            kind, text = (
                "application/json",
                json.dumps({"error": "Internal Server Error", "event_id": event_id}),
            )
            policy = None
        else:
            kind, text = "text/html; charset=utf-8", self._page(event_id)
            policy = _POLICY if self._template is None and not (self._dialog and event_id) else None
        body = text.encode()
        headers = [
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        if policy is not None:
            headers.append(("Content-Security-Policy", policy))
        return headers, [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]

    def _page(self, event_id: str | None) -> str:
        identity = html.escape(event_id or "")
        feedback = ""
        if self._dialog is not None and event_id:
            address = html.escape(f"{self._dialog}&eventId={quote(event_id)}")
            feedback = f'<script async src="{address}"></script>'
        if self._template is not None:
            return self._template.safe_substitute(event_id=identity, feedback=feedback)
        reported = _REPORTED.substitute(event_id=identity, reported=self._reported) if event_id else ""
        return _PAGE.substitute(reported=reported, feedback=feedback)


def _read(settings: Settings) -> Template:
    path = str(settings.error_page)
    try:
        return Template(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        problem = Problem("error_page", path, f"cannot be read: {reason}")
        raise ConfigError(settings.source, [problem]) from error


def _wants_json(accept: str) -> bool:
    """Return whether a client prefers JSON to HTML (RFC 9110, section 12.5.1)."""
    weights = {"html": 0.0, "json": 0.0}
    for part in accept.lower().split(",")[:100]:
        kind, *parameters = (piece.strip() for piece in part.split(";"))
        weight = next((_weight(piece[2:]) for piece in parameters if piece.startswith("q=")), 1.0)
        if kind in ("text/html", "application/xhtml+xml"):
            weights["html"] = max(weights["html"], weight)
        elif kind == "application/json" or kind.endswith("+json"):
            weights["json"] = max(weights["json"], weight)
    return weights["json"] > weights["html"]


def _weight(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
