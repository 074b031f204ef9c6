"""Secret parameters of query strings, URLs and forms."""

from __future__ import annotations

import re

from sentry_paste.redaction.names import FILTERED, Names

_SEPARATORS = re.compile(r"([&;?#\s'\"<>])")


def clean_query(text: str, names: Names) -> str:
    """Return a query string, or a URL, without the values of secret parameters.

    Args:
        text: raw, as it came, or as Python shows it.
        names: which are secret.
    """
    if "=" not in text:
        return text
    before, mark, query = text.partition("?")
    if not mark or "=" in before:
        # No URL before it: the question mark, if any, is of a value.
        before, mark, query = "", "", text
    if not before and query[:2] in ("b'", 'b"'):
        before, query = query[:1], query[1:]
    opening = query[:1] if query[:1] in ("'", '"') else text[:1] if text[:1] in ("'", '"') else ""
    closing = opening if opening and query.endswith(opening) and len(text) > 1 else ""
    query, hash_, fragment = query[: len(query) - len(closing)].partition("#")
    parts = query.split("&")
    for index, part in enumerate(parts):
        parts[index] = _clean_part(part, names)
    return "".join([before, mark, "&".join(parts), hash_, fragment, closing])


def _clean_part(part: str, names: Names) -> str:
    """Return what stands between two ampersands without a secret; a semicolon may be of the value."""
    done: list[str] = []
    pieces = part.split(";")
    for index, piece in enumerate(pieces):
        name, equals, value = piece.partition("=")
        if equals and (value or index + 1 < len(pieces)) and names.is_parameter(name.lstrip("'\"")):
            return ";".join([*done, f"{name}={FILTERED}"])
        done.append(piece)
    return part


def clean_parameters(text: str, names: Names) -> str:
    """Return text with URLs or forms in it without the values of secret parameters.

    Args:
        text: any.
        names: which are secret.
    """
    if "=" not in text:
        return text
    # Split at single characters: nothing that a client sends makes it look twice.
    parts = _SEPARATORS.split(text)
    for index in range(0, len(parts), 2):
        name, equals, value = parts[index].partition("=")
        if equals and value and names.is_parameter(name):
            parts[index] = f"{name}={FILTERED}"
    return "".join(parts)


def secret_parameters(text: str, names: Names) -> list[tuple[str, str]]:
    """Return names and raw values of the secret parameters of a query string or a URL.

    Args:
        text: raw, as it came.
        names: which are secret.
    """
    found = []
    query = text.partition("?")[2] or text
    # The value up to an ampersand, and what it is for those who split at semicolons, or at a fragment.
    parts = [*query.split("&"), *query.partition("#")[0].split("&"), *_SEPARATORS.split(text)[::2]]
    for part in dict.fromkeys(parts):
        for piece in (part, *part.split(";")) if ";" in part else (part,):
            name, _, value = piece.partition("=")
            if value and names.is_parameter(name):
                found.append((name, value))
    return list(dict.fromkeys(found))
