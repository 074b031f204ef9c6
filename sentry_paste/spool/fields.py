"""Read fields of a payload, whatever their type.

Files are untrusted: a field of the wrong type is treated as missing, and nothing here
raises for any JSON value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any


def time(value: Any) -> datetime | None:
    """Return a timestamp in UTC, from ISO 8601 or seconds since 1970; None for any other value.

    Args:
        value: value of the field.
    """
    try:
        if isinstance(value, (int, float)):
            return datetime.fromtimestamp(value, timezone.utc)
        found = datetime.fromisoformat(value.replace("Z", "+00:00"))
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
    except (AttributeError, OSError, OverflowError, ValueError):
        return None


def mapping(value: Any) -> Mapping[str, Any]:
    """Return an object as it is, and an empty one for any other value.

    Args:
        value: value of the field.
    """
    return value if isinstance(value, dict) else {}


def items(value: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects in a list; nothing for any other value.

    Args:
        value: value of the field.
    """
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, dict))


def values(value: Any) -> Iterator[dict[str, Any]]:
    """Return the entries of an interface, which is either a list or an object with ``values``.

    Args:
        value: value of the field.
    """
    return items(value["values"] if isinstance(value, dict) and "values" in value else value)


def pairs(value: Any) -> Iterator[tuple[str, str]]:
    """Yield names and values of an object or of a list of pairs, as text.

    Args:
        value: value of the field.
    """
    if isinstance(value, dict):
        yield from ((text(name), text(item)) for name, item in value.items())
    elif isinstance(value, list):
        yield from (
            (text(pair[0]), text(pair[1])) for pair in value if isinstance(pair, list) and len(pair) == 2
        )


def text(value: Any) -> str:
    """Return text as it is, None as an empty string, and any other value as JSON.

    Args:
        value: value of the field.
    """
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)


def variables(value: Any) -> Iterator[tuple[str, str]]:
    """Yield names and values of the local variables of a frame, as they would stand in Python source.

    The SDK writes containers as JSON, but each value in them as its ``repr()``. JSON of that would quote
    texts twice, and numbers too.

    Args:
        value: value of the field ``vars``.
    """
    yield from ((text(name), _source(item)) for name, item in mapping(value).items())


# Containers nested deeper are not shown. The SDK cuts them off long before.
_DEEPEST = 20


def _source(value: Any, depth: int = 0) -> str:
    if isinstance(value, str):
        return _in_double_quotes(value)
    if isinstance(value, (dict, list)) and depth == _DEEPEST:
        return "…"
    if isinstance(value, dict):
        inner = (f"{_key(name)}: {_source(item, depth + 1)}" for name, item in value.items())
        return f"{{{', '.join(inner)}}}"
    if isinstance(value, list):
        return f"[{', '.join(_source(item, depth + 1) for item in value)}]"
    return str(value)


def _key(name: Any) -> str:
    return json.dumps(text(name), ensure_ascii=False)


def _in_double_quotes(shown: str) -> str:
    """Return the ``repr()`` of a plain text in double quotes, like keys; anything else as it is."""
    inner = shown[1:-1]
    is_plain = len(shown) > 1 and shown[0] == shown[-1] == "'" and not {"'", '"', "\\"} & set(inner)
    return f'"{inner}"' if is_plain else shown
