"""Keep payloads within the size that Sentry accepts: an event that is refused for its size is a lost error.

The biggest parts are cut first, and no more than necessary: long variables, then other long texts; after
that, variables far from the crash, breadcrumbs and spans are left out. This happens before anything is
searched, serialised or stored. Each cut is recorded in a remark, as the SDK does for its own cuts.
"""

from __future__ import annotations

import json
import marshal
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, Union

#: How many bytes of JSON an event, a log item or a span may have. Relay refuses more than 1 MiB (its option
#: limits.max_event_size); what redaction and remarks add has to fit too.
MOST = 900_000

# Smaller payloads are not measured: JSON has at most six characters for each one.
_SURELY_SMALL = MOST // 6
# Redaction can turn two characters into a remark of a hundred.
_CANNOT_GROW = MOST // 50
# No text is cut shorter than this, or the rest would be useless.
_LEAST = 256
_ELLIPSIS = "..."
# The approximate size of a remark in JSON.
_REMARK = 100

# Never cut: what identifies an event and where it belongs.
_KEPT = frozenset(
    {"event_id", "timestamp", "start_timestamp", "level", "platform", "release", "environment", "type"}
    | {"sdk", "dist", "profile", "_meta", "_metrics_summary", "debug_meta"}
)
_LISTS = frozenset({"exception", "threads", "spans", "breadcrumbs"})
# Left out of an event as a last resort, in this order.
_OPTIONAL = (
    "extra",
    "breadcrumbs",
    "spans",
    "modules",
    "contexts",
    "request",
    "threads",
    "tags",
    "logentry",
    "user",
)

# The place of something in an event: the path of its holder, and its key there.
_Path = Union[tuple["_Path", Any], None]


class _Text(NamedTuple):
    """A text that may be cut.

    Attributes:
        size: the length of its JSON.
        holder: the mapping or list that contains it.
        key: its key in the holder.
        path: of the holder.
    """

    size: int
    holder: Any
    key: Any
    path: _Path


def keep_event_small(event: dict[str, Any]) -> bool:
    """Cut an event or a transaction down to the size that Sentry accepts.

    Args:
        event: as the SDK has serialised it; it is changed if it is too big.

    Returns:
        Whether it is so small that no redaction makes it too big.
    """
    size = _estimate(event, make_plain)
    if size > _SURELY_SMALL:
        _keep_small(event)
    return size <= _CANNOT_GROW


def _keep_small(event: dict[str, Any]) -> None:
    excess = _size_of(event) - MOST
    if excess <= 0:
        return
    frames = list(_frames(event))
    excess = _cut(event, list(_texts((frame["vars"], ((path, "vars"))) for frame, path in frames)), excess)
    if excess > 0:
        _cut(event, list(_texts([(event, None)], without="vars")), excess)
        excess = _size_of(event) - MOST
    # The last frame of a stack is the crash, the first the server.
    for frame, path in frames:
        if excess > 0 and frame["vars"]:
            excess -= _json_size(frame["vars"]) + _json_size(_remarks(event, (path, "vars")))
            frame["vars"] = {}
            _remark(event, (path, "vars"), None, None)
    for key in _OPTIONAL:
        if excess > 0 and key in event:
            excess = _shorten(event, key, excess)
    if excess > 0:
        event["exception"] = _outline(event.get("exception"))
        event.pop("_meta", None)  # its remarks are about parts that are gone


def keep_item_small(item: dict[str, Any]) -> bool:
    """Cut a log item, a metric or a streamed span down to the size that Sentry accepts.

    Args:
        item: it is changed if it is too big.

    Returns:
        Whether it is so small that no redaction makes it too big.
    """
    size = _estimate(item, _make_item_plain)
    if size > _SURELY_SMALL:
        attributes = item.get("attributes")
        if isinstance(attributes, dict):
            # What is sent as text is measured, and cut, as that text.
            item["attributes"] = {key: as_attribute(value) for key, value in attributes.items()}
        excess = _size_of(item) - MOST
        if excess > 0:
            excess = _cut(None, list(_texts([(item, None)])), excess)
        if excess > 0:
            item["attributes"] = {}
    return size <= _CANNOT_GROW


def are_small(items: list[Any], most: int) -> bool:
    """Return whether items together are so small that none is cut, and no redaction makes one too big.

    Args:
        items: plain or not; of those that are not, this is not known.
        most: how many characters they may have together.
    """
    try:
        return len(marshal.dumps(items, 2)) <= min(most, _CANNOT_GROW)
    except ValueError:  # something that marshal does not support
        return False


def as_attribute(value: Any) -> Any:
    """Return an attribute of a log item, a metric or a span as it is sent: a mapping becomes text.

    Args:
        value: as the app gave it.
    """
    if issubclass(type(value), str):
        return str.__str__(value)
    if isinstance(value, (str, bool, int, float)) or value is None:
        return value
    if isinstance(value, (list, tuple)):
        return [member if type(member) is str else as_attribute(member) for member in value]
    return repr(value)


def _estimate(payload: dict[str, Any], plain: Callable[[dict[str, Any]], None]) -> int:
    """Return the approximate number of characters in a payload, quickly.

    Args:
        payload: an event or an item.
        plain: makes it plain, if it is not.
    """
    try:
        return len(marshal.dumps(payload, 2))
    except ValueError:  # something that marshal does not support, such as a profile or a str subclass
        plain(payload)
    try:
        return sum(len(marshal.dumps(part, 2)) for part in _parts(payload))
    except ValueError:
        return _size_of(payload)


def make_plain(payload: Any) -> None:
    """Replace instances of str subclasses, such as Markup, by their texts, which is what is sent.

    All of redaction knows texts by their exact type, as a subclass could run the app's code.

    Args:
        payload: mappings and lists that the SDK has made; they are changed.
    """
    stack, seen = [payload], {id(payload)}
    while stack:
        node = stack.pop()
        if type(node) is dict:
            if any(type(key) is not str for key in node):
                members = [(_exact(key), value) for key, value in node.items()]
                node.clear()
                node.update(members)
            entries: Any = list(node.items())
        elif type(node) is list:
            entries = list(enumerate(node))
        else:
            entries = ()
        for key, value in entries:
            if type(value) is tuple:
                value = node[key] = [*value]
            if type(value) in (dict, list):
                if id(value) not in seen:
                    seen.add(id(value))
                    stack.append(value)
            elif type(value) is not str:
                node[key] = _exact(value)


def _make_item_plain(item: dict[str, Any]) -> None:
    """Do the same in an item, whose attributes may have mappings and lists of the app's."""
    for key, value in item.items():
        item[key] = _exact(value)
    attributes = item.get("attributes")
    if type(attributes) is dict:
        item["attributes"] = {_exact(key): as_attribute(value) for key, value in attributes.items()}
    make_plain(item.get("links"))


def _exact(value: Any) -> Any:
    return str.__str__(value) if issubclass(type(value), str) else value


def _size_of(payload: dict[str, Any]) -> int:
    return sum(_json_size(part) for part in _parts(payload))


def _json_size(part: Any) -> int:
    try:
        return len(json.dumps(part))
    except (TypeError, ValueError):
        return len(json.dumps(part, default=repr, skipkeys=True))


def _parts(payload: dict[str, Any]) -> Iterator[Any]:
    """Yield the parts of a payload one at a time, each once, so that it is never serialised as a whole."""
    for key, value in payload.items():
        entries = value.get("values") if isinstance(value, dict) else value
        if key not in _LISTS or not isinstance(entries, list):
            yield value if key != "profile" else None
            continue
        for entry in entries:
            stack = entry.get("stacktrace") if isinstance(entry, dict) else None
            frames = stack.get("frames") if isinstance(stack, dict) else None
            if isinstance(frames, list):
                yield {name: held for name, held in entry.items() if name != "stacktrace"}
                yield from frames
            else:
                yield entry


def _values(found: Any) -> list[dict[str, Any]]:
    values = found.get("values") if isinstance(found, dict) else found
    return [entry for entry in values if isinstance(entry, dict)] if isinstance(values, list) else []


def _frames(event: dict[str, Any]) -> Iterator[tuple[dict[str, Any], _Path]]:
    """Yield the frames with variables, those farthest from the crash first."""
    found = []
    for kind in ("exception", "threads"):
        for index, entry in enumerate(_values(event.get(kind))):
            stack = entry.get("stacktrace")
            frames = (stack.get("frames") or ()) if isinstance(stack, dict) else ()
            path = (((((None, kind), "values"), index), "stacktrace"), "frames")
            found += [
                (len(frames) - place, frame, (path, place))
                for place, frame in enumerate(frames)
                if isinstance(frame, dict) and isinstance(frame.get("vars"), dict)
            ]
    found.sort(key=lambda one: -one[0])
    for _, frame, place in found:
        yield frame, place


def _texts(trees: Iterable[tuple[Any, _Path]], without: str = "") -> Iterator[_Text]:
    """Yield the texts of trees that are long enough to be cut."""
    stack = list(trees)
    while stack:
        node, path = stack.pop()
        members: Any = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in members:
            if type(value) is str:
                if len(value) > _LEAST // 6 and not (path is None and key in _KEPT):
                    size = len(json.dumps(value))
                    if size > _LEAST:
                        yield _Text(size, node, key, path)
            elif isinstance(value, (dict, list)) and key != without and not (path is None and key in _KEPT):
                stack.append((value, (path, key)))


def _cut(event: dict[str, Any] | None, texts: list[_Text], excess: int) -> int:
    """Cut the longest texts until they are short enough; return the excess that is left."""
    level = _level([text.size for text in texts], excess)
    for text in texts:
        if text.size > level:
            value = text.holder[text.key]
            cut = _beginning(value, text.size, level)
            text.holder[text.key] = cut
            excess -= text.size - len(json.dumps(cut))
            if event is not None:
                excess += _REMARK
                _remark(event, (text.path, text.key), len(value), len(cut))
    return excess


def _level(sizes: list[int], excess: int) -> int:
    """Return the size to which texts must be cut to save ``excess`` characters in total."""
    ordered = sorted(sizes, reverse=True)
    together = 0
    for count, size in enumerate(ordered, 1):
        together += size
        # ``count`` texts cut to that size, with a remark each.
        level = (together - excess) // count - _REMARK
        if count == len(ordered) or level >= ordered[count]:
            return max(level, _LEAST)
    return _LEAST


def _beginning(text: str, size: int, most: int) -> str:
    """Return the beginning of a text, with at most ``most`` characters of JSON."""
    count = most - len(_ELLIPSIS) - 2
    if size > len(text) + 2:
        # If all parts need about as many escapes, the first try fits; otherwise a few more are needed.
        count = count * len(text) // size
        while count > 0 and len(json.dumps(text[:count])) + len(_ELLIPSIS) > most:
            count = count * 3 // 4
    return text[:count] + _ELLIPSIS


def _shorten(event: dict[str, Any], key: str, excess: int) -> int:
    """Leave out breadcrumbs from the first on, spans from the last on, anything else as a whole."""
    value = event[key]
    entries = value.get("values") if isinstance(value, dict) and key == "breadcrumbs" else value
    if key not in ("breadcrumbs", "spans") or not isinstance(entries, list):
        kept = {"trace": value["trace"]} if key == "contexts" and "trace" in value else None
        event[key] = kept if kept is not None else {} if isinstance(value, dict) else None
        _remark(event, (None, key), None, None)
        return excess - _json_size(value) + _json_size(event[key])
    count = len(entries)
    while entries and excess > 0:
        excess -= _json_size(entries.pop(0 if key == "breadcrumbs" else -1))
    _remark(event, ((None, key), "values") if isinstance(value, dict) else (None, key), count, None)
    return excess


def _outline(exception: Any) -> dict[str, Any]:
    """Return only the type, message and frames of the last exception."""
    outlines = []
    for entry in _values(exception)[-1:]:
        stack = entry.get("stacktrace")
        frames = (stack.get("frames") or [])[-50:] if isinstance(stack, dict) else []
        plain = ("filename", "abs_path", "function", "module", "lineno", "in_app")
        short = [{key: frame[key] for key in plain if key in frame} for frame in frames]
        outlines.append({**entry, "value": str(entry.get("value"))[:_LEAST], "stacktrace": {"frames": short}})
    return {"values": outlines}


def _remark(event: dict[str, Any], path: _Path, before: int | None, after: int | None) -> None:
    """Record in an event's ``_meta`` what was cut (Sentry's developer docs, "Event Payloads: Meta")."""
    node = _remarks(event, path)
    if after is None:
        node.clear()  # the other remarks are about a part that is gone
    remarks = node.setdefault("", {})
    if before is not None:
        remarks.setdefault("len", before)
    place = [] if after is None else [after - len(_ELLIPSIS), after]
    remarks.setdefault("rem", []).append(["!limit", "x", *place])


def _remarks(event: dict[str, Any], path: _Path) -> dict[str, Any]:
    """Return the node of an event's ``_meta`` for a path."""
    parts = []
    while path is not None:
        path, part = path
        parts.append(str(part))
    node: dict[str, Any] = event.setdefault("_meta", {})
    for part in reversed(parts):
        node = node.setdefault(part, {})
    return node
