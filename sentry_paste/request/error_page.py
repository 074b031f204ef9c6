"""The page that answers a crash, if the option ``error_page`` is set."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sentry_paste.config.errors import ConfigError, Problem
from sentry_paste.config.settings import Settings
from sentry_paste.request.error_template import ErrorTemplate
from sentry_paste.request.inbox_links import InboxLinks
from sentry_paste.sdk import dialog_address
from sentry_paste.wsgi.negotiation import best_language, prefers_json

STATUS = "500 Internal Server Error"

_PAGE = """\
<!DOCTYPE html>
<html lang="$lang" dir="$dir">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>$title</title>
<style>
:root {
  color-scheme: light dark;
  --ink: #1f2933; --soft: #52606d; --paper: #f7f8fa; --card: #fff; --line: #e4e7eb;
  --accent: #3d4fb8; --on-accent: #fff
}
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6eaef; --soft: #9fb0c0; --paper: #14181d; --card: #1c2229; --line: #2c353f;
    --accent: #a9b6ff; --on-accent: #161b33 }
}
* { box-sizing: border-box }
body { margin: 0; min-height: 100vh; display: grid; place-items: center;
  padding: clamp(1rem, 5vw, 2rem);
  background: var(--paper); color: var(--ink); font: 1rem/1.6 system-ui, sans-serif }
main { max-width: 34rem; padding: clamp(1.5rem, 6vw, 2.5rem); background: var(--card);
  border: 1px solid var(--line); border-radius: 1rem }
h1 { margin: 0 0 .75rem; font-size: 1.5rem; line-height: 1.25; letter-spacing: -.015em; text-wrap: balance }
p { margin: .75rem 0 0; color: var(--soft); text-wrap: pretty }
p:empty { display: none }
/* The id fits on one line of a narrow phone, and is selected as a whole. */
code { display: block; margin-top: .75rem; padding: .6rem; border-radius: .5rem;
  background: var(--paper); color: var(--ink); font: .8125rem/1.5 ui-monospace, monospace;
  overflow-wrap: anywhere; user-select: all }
nav { display: flex; flex-wrap: wrap; gap: .6rem; margin-top: 1.5rem }
a { padding: .45rem .95rem; border: 1px solid var(--line); border-radius: .5rem;
  color: var(--ink); font-size: .9375rem; font-weight: 550; text-decoration: none }
a:first-child { border-color: var(--accent); background: var(--accent); color: var(--on-accent) }
a:hover { border-color: var(--ink) }
a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
</style>
</head>
<body>
<main>
<h1>$title</h1>
<p>$message</p>
<p>$report</p>
<nav>$retry_link$home_link$inbox_link</nav>
</main>
$feedback
</body>
</html>
"""

# Nothing may be fetched or run. With the dialog there is no policy: it loads scripts from Sentry's server.
_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class ErrorPage:
    """Makes the responses to crashes.

    Args:
        settings: with ``error_page``. A path is that of a template; ``error_template`` has the names in it.
        dsn: of the client, None if it has none.
        inbox: the links to the inbox, None if no page has them: they are for development.

    Raises:
        ConfigError: the template cannot be read, or its texts have a mistake.
    """

    def __init__(self, settings: Settings, dsn: str | None, inbox: InboxLinks | None = None) -> None:
        self._is_own = isinstance(settings.error_page, str)
        self._template = _read(settings) if self._is_own else ErrorTemplate(_PAGE)
        # Without a DSN the event stays in the spool, where perhaps nobody looks.
        self._is_kept = bool(settings.spool_dir and not dsn)
        self._dialog = dialog_address(dsn) if dsn and settings.user_feedback else None
        self._inbox = inbox

    def answer(
        self, environ: Mapping[str, Any], event_id: str | None
    ) -> tuple[list[tuple[str, str]], list[bytes]]:
        """Return the headers and the body of a response.

        Args:
            environ: of the request.
            event_id: of the error, None if it was not captured.
        """
        negotiated: list[tuple[str, str]] = []
        if prefers_json(environ.get("HTTP_ACCEPT", "")):
            kind = "application/json"
            text = json.dumps({"error": "Internal Server Error", "event_id": event_id})
            negotiated.append(("Vary", "Accept"))
        else:
            kind = "text/html; charset=utf-8"
            texts = self._template.texts
            language = best_language(environ.get("HTTP_ACCEPT_LANGUAGE", ""), list(texts)) if texts else None
            text = self._page(environ, event_id, language)
            if language is not None:
                negotiated.append(("Content-Language", language))
            negotiated.append(("Vary", "Accept, Accept-Language" if len(texts) > 1 else "Accept"))
            if not self._is_own and not (self._dialog and event_id):
                negotiated.append(("Content-Security-Policy", _POLICY))
        body = text.encode()
        headers = [
            ("Content-Type", kind),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            *negotiated,
        ]
        return headers, [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]

    def _page(self, environ: Mapping[str, Any], event_id: str | None, language: str | None) -> str:
        identity = html.escape(event_id or "")
        texts = self._template.texts[language] if language else {}
        values = {"event_id": identity, "feedback": "", "report": ""}
        if self._dialog is not None and event_id:
            address = html.escape(f"{self._dialog}&eventId={quote(event_id)}")
            values["feedback"] = f'<script async src="{address}"></script>'
        if event_id:
            report = texts.get("recorded" if self._is_kept else "reported", "")
            values["report"] = f"{report}\n<code>{identity}</code>"
        return self._template.fill({**values, **self._links(environ, event_id, texts)}, language)

    def _links(
        self, environ: Mapping[str, Any], event_id: str | None, texts: Mapping[str, str]
    ) -> dict[str, str]:
        """Return the values of the links: nothing in them comes from the client."""
        home, inbox = _root(environ.get("SCRIPT_NAME", "")), ""
        if self._inbox is not None and self._inbox.opens_for(environ):
            inbox = html.escape(self._inbox.root(environ.get("SCRIPT_NAME", "")))
        # An empty reference is the page's own address. Only a request without a body can be sent again by it.
        can_retry = environ.get("REQUEST_METHOD") in ("GET", "HEAD")
        is_home = environ.get("PATH_INFO", "") in ("", "/") and can_retry
        is_in_inbox = bool(inbox and event_id and self._is_kept)
        return {
            "home_url": home,
            "inbox_url": inbox,
            "retry_link": _link("retry", "", texts) if can_retry else "",
            "home_link": "" if is_home else _link("home", home, texts),
            "inbox_link": _link("inbox", f"{inbox}envelope/{event_id}", texts) if is_in_inbox else "",
        }


def _link(name: str, address: str, texts: Mapping[str, str]) -> str:
    return f'<a class="{name}" href="{address}">{texts.get(name, "")}</a>'


def _root(script: str) -> str:
    """Return the path of an app, with a slash at its end. Two at its beginning would name another host."""
    path = script.strip("/").encode("latin-1", "replace")
    return html.escape(f"/{quote(path)}/" if path else "/")


def _read(settings: Settings) -> ErrorTemplate:
    path = str(settings.error_page)
    try:
        return ErrorTemplate(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "cannot be read: it is not text"
    except ValueError as error:
        reason = str(error)
    raise ConfigError(settings.source, [Problem("error_page", path, reason)])
