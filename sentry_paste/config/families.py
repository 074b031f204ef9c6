"""Options that are set by several keys: ``tags.region``, ``data_collection.cookies.mode``."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from sentry_paste import sdk
from sentry_paste.config import kinds, texts
from sentry_paste.config.kinds import TAG_NAME, Kind

# https://develop.sentry.dev/sdk/foundations/client/data-collection/, with the names that the SDK gives them.
_BEHAVIOUR = {"mode": kinds.choice(["off", "denylist", "allowlist"]), "terms": kinds.WORDS}
DATA_COLLECTION: Mapping[str, Kind] = {
    "user_info": kinds.BOOLEAN,
    **{f"cookies.{name}": kind for name, kind in _BEHAVIOUR.items()},
    **{f"http_headers.request.{name}": kind for name, kind in _BEHAVIOUR.items()},
    "http_bodies": kinds.WORDS,
    **{f"url_query_params.{name}": kind for name, kind in _BEHAVIOUR.items()},
    "graphql.document": kinds.BOOLEAN,
    "graphql.variables": kinds.BOOLEAN,
    "gen_ai.inputs": kinds.BOOLEAN,
    "gen_ai.outputs": kinds.BOOLEAN,
    "mcp.inputs": kinds.BOOLEAN,
    "mcp.outputs": kinds.BOOLEAN,
    "database_query_data": kinds.BOOLEAN,
    "queues": kinds.BOOLEAN,
    "stack_frame_variables": kinds.BOOLEAN,
    **{f"stack_frame_variables.{name}": kind for name, kind in _BEHAVIOUR.items()},
    "frame_context_lines": kinds.COUNT,
}

EVENT_SCRUBBER: Mapping[str, Kind] = {
    "denylist": kinds.NAMES,
    "pii_denylist": kinds.NAMES,
    "recursive": kinds.BOOLEAN,
}

# The kinds of keys below a family's name; None if any key is allowed.
_KEYS: Mapping[str, Mapping[str, Kind] | None] = {
    "_experiments": None,
    "contexts": None,
    "data_collection": DATA_COLLECTION,
    "event_scrubber": EVENT_SCRUBBER,
    "integration": None,
    "proxy_headers": None,
    "tags": None,
}


def family_of(name: str) -> str | None:
    """Return the family that a dotted name belongs to, None for other names.

    Args:
        name: of an option.
    """
    head, dot, rest = name.partition(".")
    return head if dot and rest and head in _KEYS else None


def parse_member(name: str, text: str) -> Any:
    """Parse the value of one key of a family.

    Args:
        name: of the option, such as ``tags.region``.
        text: its value.

    Raises:
        ValueError: the family has no such key, or the value is not of the key's kind.
    """
    family, _, key = name.partition(".")
    known = _KEYS[family]
    if known is not None:
        if key not in known:
            nearest = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
            hint = (
                f"did you mean {family}.{nearest[0]}?" if nearest else f"its options are {', '.join(known)}"
            )
            raise ValueError(f"is not part of {family}; {hint}")
        kind = known[key]
        try:
            return kind.parse(text)
        except ValueError:
            raise ValueError(f"expected {kind.expected}") from None
    return _FREE[family](key, text)


def _tag(key: str, text: str) -> str:
    if not TAG_NAME.fullmatch(key):
        raise ValueError("expected letters, digits and _.:- in the name of a tag")
    if "\n" in text:
        raise ValueError("expected one line")
    return text


def _context(key: str, text: str) -> Any:
    name, dot, rest = key.partition(".")
    if not dot or not rest:
        raise ValueError("expected contexts.NAME.KEY")
    if name == "trace":
        raise ValueError("the trace context belongs to the SDK")
    return texts.plain_scalar(text)


def _integration(key: str, text: str) -> str:
    if not key.partition(".")[2]:
        raise ValueError("expected integration.NAME.ARGUMENT")
    return text


_FREE: Mapping[str, Callable[[str, str], Any]] = {
    "_experiments": lambda _key, text: texts.scalar(text),
    "contexts": _context,
    "integration": _integration,
    "proxy_headers": lambda _key, text: text,
    "tags": _tag,
}


def assemble(family: str, members: Mapping[str, Any], whole: Any, pii: bool) -> Any:
    """Build the value of a family from its members.

    Args:
        family: its name.
        members: values by key below the family's name.
        whole: the value of the option with the family's own name, a mapping, or None.
        pii: whether personal data may be sent; the scrubber removes less then.

    Raises:
        ValueError: the option is set both as a whole and in parts.
    """
    if family == "event_scrubber":
        if whole is not None:
            raise ValueError("is set both as a whole and in parts; use only one of them")
        more: dict[str, Any] = dict(members)
        denylist = [*sdk.DEFAULT_DENYLIST, *more.pop("denylist", [])]
        return sdk.EventScrubber(denylist=denylist, send_default_pii=pii, **more)
    if family in ("tags", "proxy_headers", "_experiments"):
        return {**(whole or {}), **members}
    nested: dict[str, Any] = dict(whole or {})
    if family == "data_collection" and whole is None and "user_info" not in members:
        # The SDK's default is True. Parts that do not mention it leave it to send_default_pii.
        nested["user_info"] = pii
    for key, value in members.items():
        *path, last = key.split(".") if family != "contexts" else key.split(".", 1)
        node = nested
        for part in path:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise ValueError(f"{part} is set both as a whole and in parts; use only one of them")
        node[last] = value
    return nested
