"""Choose a representation by a client's Accept headers (RFC 9110, section 12.5).

Clients write these headers, so they may contain anything. What is not a preference is ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

# Browsers send fewer than ten, and no tag in use is longer than 35 characters (RFC 5646, section 4.4.1).
_MAX_PREFERENCES = 50
_MAX_NAME = 100

_WEIGHT = re.compile(r"[0-9]?(?:\.[0-9]{0,9})?")


def preferences(header: str) -> Iterator[tuple[str, float]]:
    """Yield the names in an Accept header in lower case, each with its weight from 0 to 1.

    Args:
        header: value of the header.
    """
    for part in header.split(",", _MAX_PREFERENCES)[:_MAX_PREFERENCES]:
        name, *parameters = (piece.strip(" \t") for piece in part.split(";"))
        weight = _weight(parameters)
        if name and len(name) <= _MAX_NAME and weight is not None:
            yield name.lower(), weight


def _weight(parameters: Sequence[str]) -> float | None:
    """Return the weight among the parameters of a preference, 1 if there is none, None if it is no number."""
    text = next((piece[2:] for piece in parameters if piece[:2] in ("q=", "Q=")), "1")
    if not any(map(str.isdigit, text)) or not _WEIGHT.fullmatch(text):
        return None
    return min(float(text), 1.0)


def prefers_json(accept: str) -> bool:
    """Return whether a client prefers JSON to HTML (RFC 9110, section 12.5.1).

    Args:
        accept: value of the header Accept.
    """
    html = json = 0.0
    for kind, weight in preferences(accept):
        if kind in ("text/html", "application/xhtml+xml"):
            html = max(html, weight)
        elif kind == "application/json" or kind.endswith("+json"):
            json = max(json, weight)
    return json > html


def best_language(accept: str, offered: Sequence[str]) -> str:
    """Return the language that a client prefers (RFC 9110, section 12.5.4; RFC 4647, section 3.4).

    A range also stands for the languages that it begins with, and for those that begin with it: ``pt-BR``
    finds ``pt``, and ``zh`` finds ``zh-Hant``. If nothing that is offered is acceptable, the header is
    disregarded.

    Args:
        accept: value of the header Accept-Language.
        offered: language tags, of which the first is the default; at least one.
    """
    wanted = list(preferences(accept))
    refused = {tag for tag in offered if any(not weight and _covers(name, tag) for name, weight in wanted)}
    acceptable = {tag.lower(): tag for tag in offered if tag not in refused}
    named = {_look_up(name, acceptable) for name, weight in wanted if weight}
    for name, weight in sorted(wanted, key=lambda preference: -preference[1]):
        if not weight:
            break
        if name == "*":
            # It stands for the languages that no other range has named.
            found = next((tag for tag in acceptable.values() if tag not in named), None)
        else:
            found = _look_up(name, acceptable)
        if found is not None:
            return found
    return next(iter(acceptable.values()), offered[0])


def _covers(name: str, tag: str) -> bool:
    return f"{tag.lower()}-".startswith(f"{name}-")


def _look_up(name: str, tags: dict[str, str]) -> str | None:
    """Return the tag that a range finds among tags by their lower case; a wildcard finds none."""
    shorter = name
    while shorter:
        if shorter in tags:
            return tags[shorter]
        shorter = shorter.rpartition("-")[0]
    return next((tag for tag in tags.values() if _covers(name, tag)), None)
