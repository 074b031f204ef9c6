"""What Sentry's rate limits and client reports call what is in an envelope.

See https://develop.sentry.dev/sdk/expected-features/rate-limiting/.
"""

from __future__ import annotations

import json

from sentry_sdk.envelope import Envelope, Item

from sentry_paste.spool.names import kind_of

_CATEGORIES = {
    "error": "error",
    "feedback": "feedback",
    "checkin": "monitor",
    "transaction": "transaction",
    "profile": "profile",
    "session": "session",
    "span": "span",
    "log": "log_item",
    "metric": "trace_metric",
}


def category_of_kind(kind: str) -> str:
    """Return the category of a kind of file, ``default`` for those that have none.

    Args:
        kind: of ``names.KINDS``.
    """
    return _CATEGORIES.get(kind, "default")


def category_of(envelope: Envelope) -> str:
    """Return the category of an envelope's weightiest item.

    Args:
        envelope: the envelope; its payloads are not looked at.
    """
    return category_of_kind(kind_of(envelope))


def has_crashed(envelope: Envelope) -> bool:
    """Tell whether a session in an envelope has ended with a crash.

    Args:
        envelope: of sessions.
    """
    return any(_is_crashed(item) for item in envelope.items)


def _is_crashed(item: Item) -> bool:
    if item.type != "session":
        return False
    try:
        return bool(json.loads(item.get_bytes())["status"] == "crashed")
    except (ValueError, KeyError, TypeError):
        return False
