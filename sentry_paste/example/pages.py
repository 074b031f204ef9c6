"""The index page and the 404 page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import sentry_sdk

from sentry_paste.example.views import DEMOS


def index(request: Any) -> dict[str, Any]:
    """Show the things to try, and a link to the inbox.

    Args:
        request: the request.
    """
    return {"demos": DEMOS, "server": _server(), "inbox": inbox_of(request)}


def _server() -> str:
    """Return the host that the filter sends to, empty if it only writes files."""
    return urlsplit(str(sentry_sdk.get_client().dsn or "")).hostname or ""


def inbox_of(request: Any) -> str:
    """Return the path of the inbox, empty if there is none.

    Args:
        request: the request.
    """
    path = str(request.registry.settings.get("inbox", ""))
    return f"{request.script_name}{path.rstrip('/')}/" if path else ""


def not_found(error: Any, request: Any) -> dict[str, Any]:
    """Respond with the 404 page.

    Args:
        error: the HTTPNotFound.
        request: the request.
    """
    request.response.status_int = error.status_int
    return {}
