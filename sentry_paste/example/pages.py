"""The index, and the page that tells that there is no such page."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

import sentry_sdk

from sentry_paste.example.views import THINGS


def index(request: Any) -> dict[str, Any]:
    """Show the things to try, and where to see what was captured of them.

    Args:
        request: the request.
    """
    return {"things": THINGS, "server": _server(), "inbox": inbox_of(request)}


def _server() -> str:
    """Return the host that the filter sends to, empty where it keeps files."""
    return urlsplit(str(sentry_sdk.get_client().dsn or "")).hostname or ""


def inbox_of(request: Any) -> str:
    """Return the address of the inbox, empty where there is none.

    Args:
        request: the request.
    """
    path = str(request.registry.settings.get("inbox", ""))
    return f"{request.script_name}{path.rstrip('/')}/" if path else ""


def not_found(error: Any, request: Any) -> dict[str, Any]:
    """Tell that there is no such page.

    Args:
        error: the HTTPNotFound.
        request: the request.
    """
    request.response.status_int = error.status_int
    return {}
