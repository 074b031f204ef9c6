"""Fields of a payload, whatever is in them.

What a file holds is data from elsewhere: a field of the wrong type reads as if it
were missing, and nothing here raises for what JSON can hold.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any


def time(value: Any) -> datetime | None:
    """Return a timestamp of a payload, ISO 8601 or seconds since 1970, in UTC; None for any other value.

    Args:
        value: the field.
    """
    try:
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value, timezone.utc)
        found = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (AttributeError, OSError, OverflowError, ValueError):
        return None


def mapping(value: Any) -> Mapping[str, Any]:
    """Return an object as it is, an empty one for any other value.

    Args:
        value: the field.
    """
    return value if isinstance(value, dict) else {}


def items(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects of a list, none of any other value.

    Args:
        value: the field.
    """
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def values(value: Any) -> Iterator[dict[str, Any]]:
    """Return the entries of an interface, which is a list or an object with ``values``.

    Args:
        value: the field.
    """
    return items(value["values"] if isinstance(value, dict) and "values" in value else value)


def pairs(value: Any) -> Iterator[tuple[str, str]]:
    """Yield names and values as text, of an object or of a list of pairs.

    Args:
        value: the field.
    """
    if isinstance(value, dict):
        yield from ((text(name), text(item)) for name, item in value.items())
    elif isinstance(value, list):
        yield from (
            (text(pair[0]), text(pair[1])) for pair in value if isinstance(pair, list) and len(pair) == 2
        )


def text(value: Any) -> str:
    """Return text as it is, nothing as empty text, and any other value as JSON.

    Args:
        value: the field.
    """
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
