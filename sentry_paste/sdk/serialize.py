"""Serialise events that are plain data already, with the SDK's result, in a fraction of its time.

The SDK's serialiser asks of each text and number in an event what else it could be. Here exact types are
copied, with the SDK's limits and remarks. Single values of other types go to the SDK's serialiser, and so
does the event as a whole if it contains anything else that is not plain.

The SDK's serialiser uses the result of ``__sentry_repr__`` as it is, so an event of a class with that method
serialises itself; only a client that captures such events is affected. An event that is a part of other data,
such as a variable of a frame, has no such method: the limits of that data apply to it. Missing: the SDK
serialises the event like any other mapping. Checked with sentry-sdk 2.18.0, 2.75.0 and 3.0.0b2, whose
limits differ (``strip_string``); ``tests/sdk/test_serialize.py`` compares the results.
"""

from __future__ import annotations

import math
import sys
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from enum import Enum
from itertools import islice
from types import FrameType
from typing import Any, Union

from sentry_sdk import serializer as sdk_serializer
from sentry_sdk.serializer import serialize
from sentry_sdk.utils import format_timestamp, safe_repr, safe_str, strip_string

try:
    # While it is set nothing is captured, or code of the app that the serialiser calls could go round in
    # circles. Missing: the SDK does not set it either.
    from sentry_sdk.utils import disable_capture_event
except ImportError:  # pragma: no cover
    disable_capture_event = None

# A value with remarks, which older SDKs have elsewhere than newer ones.
AnnotatedValue: Any = sdk_serializer.AnnotatedValue  # type: ignore[attr-defined]
# Limits of data of any shape. Missing: the SDK serialises all events.
_DEPTH: int = getattr(sdk_serializer, "MAX_DATABAG_DEPTH", 0)
_BREADTH: int = getattr(sdk_serializer, "MAX_DATABAG_BREADTH", 0)
# Functions that may have another representation even for plain values.
_processors: list[Any] = getattr(sdk_serializer, "global_repr_processors", [])
# Those of the SDK's own integrations look for their own objects only.
_HARMLESS = "sentry_sdk.integrations."

_DICTS = frozenset({dict, OrderedDict, defaultdict})
_LISTS = frozenset({list, tuple})
_CONTAINERS = _DICTS | _LISTS
# Sent as they are.
_SCALARS = frozenset({int, bool, type(None)})
_ENCODABLE = (str, int, float)
_ONLY_TEXTS = frozenset({str})
_TEXTS_AND_SCALARS = _SCALARS | _ONLY_TEXTS
# For fewer values it takes longer to check all at once.
_FEW = 6
# Of earlier years, what strftime returns depends on the platform.
_FOUR_DIGITS = 1000
_NO_SECOND = datetime.min.replace(tzinfo=timezone.utc)
# Deeper data may be endless, which the SDK detects.
_DEEP = 50
# The serialiser, which calls two functions for all it is given, and these call each other for its parts.
_SERIALIZE = getattr(serialize, "__code__", None)
_CALLS_TO_ASK = 3
# Parts of events that contain data of any shape; extra data is nothing else.
_WITH_LIMITS = frozenset({"request", "breadcrumbs", "spans"})

# The place of something in an event: the path of its holder, and its key there.
_Path = Union[tuple["_Path", Any], None]


class NotPlainError(Exception):
    """An event has parts that only the SDK's serialiser can serialise, together with what they are in."""


class _OfWhole:
    """A method that only what is serialised as a whole has; the SDK asks the class for it."""

    __slots__ = ("_method",)

    def __init__(self, method: Any) -> None:
        self._method = method

    def __get__(self, event: Any, owner: Any) -> Any:
        asking: FrameType | None = sys._getframe()
        for _ in range(_CALLS_TO_ASK):
            asking = asking.f_back if asking else None
        if asking is None or asking.f_code is not _SERIALIZE:
            return None
        caller = asking.f_back
        # The method itself leaves to the SDK what is not plain.
        return None if caller and caller.f_code is self._method.__code__ else self._method


class SelfSerialized(dict[str, Any]):
    """An event that serialises itself.

    Args:
        event: about to be captured.
        options: of the client that captures it.
        is_sent: returns whether the event, which is complete then, is sent at all; None if it is. Of one that
            is not, only its id is left: nobody sees it.
    """

    __slots__ = ("_is_sent", "_options")

    def __init__(
        self,
        event: Mapping[str, Any],
        options: Mapping[str, Any],
        is_sent: Callable[[Any], bool] | None = None,
    ) -> None:
        super().__init__(event)
        self._options = options
        self._is_sent = is_sent

    def __reduce__(self) -> Any:
        # Event processors may copy events, but not the client's options.
        return dict, (dict(self),)

    @_OfWhole
    def __sentry_repr__(self) -> Any:
        """Return the event as the SDK's serialiser would."""
        if self._is_sent is not None and not self._is_sent(self):
            return {"event_id": self.get("event_id")}
        try:
            return serialized(self, self._options)
        except Exception:
            return _encodable(serialize(self, **_arguments(self._options)))


def serialized(event: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event as the SDK's serialiser would, without it.

    Args:
        event: about to be sent; it is not changed.
        options: of the client that sends it.

    Raises:
        NotPlainError: it has parts that are not plain, other than single values.
        Exception: from an event that changes meanwhile, for example.
    """
    if not _DEPTH or not _BREADTH or any(not _is_harmless(processor) for processor in _processors):
        raise NotPlainError
    return _Copy(options).of_event(event)


def _encodable(node: Any) -> Any:
    """Return a part of an event with text in place of what only says that it is text or a number.

    A proxy, such as werkzeug's, says so, and the serialiser leaves it as it is; JSON cannot encode it.

    Args:
        node: as the SDK's serialiser has left it.
    """
    kind = type(node)
    if kind is dict:
        return {key: _encodable(value) for key, value in node.items()}
    if kind is list:
        return [_encodable(value) for value in node]
    return node if node is None or issubclass(kind, _ENCODABLE) else safe_str(node)


def plain_value(value: Any) -> Any:
    """Return a number or text in place of a value of any class, as an attribute of a span has to be.

    Args:
        value: of a tag.
    """
    kind = type(value)
    if kind in _SCALARS or kind is str or kind is float:
        return value
    # A subclass may have methods of its own.
    return str.__str__(value) if issubclass(kind, str) else safe_str(value)


def _is_harmless(processor: Any) -> bool:
    return str(getattr(processor, "__module__", "")).startswith(_HARMLESS)


def _arguments(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with which ``Client._prepare_event`` calls the SDK's serialiser."""
    return {name: options.get(name) for name in ("max_request_body_size", "max_value_length", "custom_repr")}


class _Copy:
    """The copy of one event.

    Args:
        options: of the client.
    """

    __slots__ = ("_beginning", "_custom_repr", "_keeps_bodies", "_limit", "_meta", "_options", "_second")

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._limit = _limit_of(options.get("max_value_length"))
        self._keeps_bodies = options.get("max_request_body_size") == "always"
        self._custom_repr = options.get("custom_repr")
        self._meta: dict[str, Any] = {}
        # The second of the last time, and its text.
        self._second, self._beginning = _NO_SECOND, ""

    def of_event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return a copy of an event."""
        copied: dict[str, Any] = {}
        for key, value in event.items():
            name = _name(key)
            path: _Path = (None, name)
            kind = type(value)
            if kind in _SCALARS or (kind is str and self._limit is None):
                copied[name] = value
            elif name == "extra":
                copied[name] = self._bag(value, path, _DEPTH, ())
            elif name in _WITH_LIMITS:
                copied[name] = self._with_limits(name, self._unannotated(value, path), path)
            else:
                copied[name] = self._plain(value, path, 0)
        if self._meta:
            copied["_meta"] = self._meta
        return copied

    def _with_limits(self, name: str, value: Any, path: _Path) -> Any:
        """Return a copy of a part of an event that contains data of any shape."""
        kind = type(value)
        if name == "spans" and kind in _LISTS:
            return [self._span(span, (path, index)) for index, span in enumerate(value)]
        if name == "request" and kind in _DICTS:
            return self._request(value, path)
        if name == "breadcrumbs" and kind in _DICTS:
            return self._breadcrumbs(value, path)
        raise NotPlainError

    def _request(self, request: Mapping[Any, Any], path: _Path) -> Any:
        copied = {}
        for key, value in request.items():
            name = _name(key)
            if type(value) is str and self._limit is None:
                copied[name] = value
            elif name == "data" and not self._keeps_bodies:
                copied[name] = self._bag(value, (path, name), _DEPTH, (request,))
            else:
                copied[name] = self._plain(value, (path, name), 1)
        return copied

    def _breadcrumbs(self, breadcrumbs: Mapping[Any, Any], path: _Path) -> Any:
        copied: dict[str, Any] = {}
        for key, value in breadcrumbs.items():
            name = _name(key)
            if name == "values" and type(value) in _LISTS:
                place = (path, name)
                copied[name] = [
                    self._bag(crumb, (place, index), _DEPTH, (breadcrumbs, value))
                    for index, crumb in enumerate(value)
                ]
            elif name == "values":
                raise NotPlainError
            else:
                copied[name] = self._plain(value, (path, name), 1)
        return copied

    def _span(self, span: Any, path: _Path) -> Any:
        if type(span) is not dict or not _ONLY_TEXTS.issuperset(map(type, span)):
            raise NotPlainError
        copied = self._plain(span, path, 1, "description")
        description = self._unannotated(span.get("description"), (path, "description"))
        if type(description) is str:
            copied["description"] = description
        elif "description" in span:
            copied["description"] = self._plain(description, (path, "description"), 2)
        return copied

    def _plain(self, node: Any, path: _Path, depth: int, without: str | None = None) -> Any:
        """Return a copy of anything that has no limits but those of texts.

        Args:
            node: a part of the event.
            path: of the node.
            depth: in how many nodes it is.
            without: a key under which the caller puts the value.
        """
        kind = type(node)
        is_any_length = self._limit is None
        # Without calls for the members that are copied as they are, which most are.
        if kind in _LISTS:
            if is_any_length and len(node) > _FEW and _TEXTS_AND_SCALARS.issuperset(map(type, node)):
                return list(node)
            return [
                value
                if (inner := type(value)) in _SCALARS or (is_any_length and inner is str)
                else self._member(value, path, index, depth)
                for index, value in enumerate(node)
            ]
        if kind not in _DICTS:
            return self._value(node, path, depth)
        copied = {}
        for key, value in node.items():
            name = key if type(key) is str else _name(key)
            inner = type(value)
            if (is_any_length and inner is str) or inner in _SCALARS:
                copied[name] = value
            elif inner is datetime:
                copied[name] = self._timestamp(value)
            elif name == without:
                copied[name] = None
            else:
                copied[name] = self._member(value, path, name, depth)
        return copied

    def _member(self, value: Any, path: _Path, key: Any, depth: int) -> Any:
        if depth > _DEEP:
            raise NotPlainError
        kind = type(value)
        if kind in _CONTAINERS:
            return self._plain(value, (path, key), depth + 1)
        if kind is str and self._fits(value):
            return value
        return self._value(value, (path, key), depth)

    def _bag(self, node: Any, path: _Path, depth: int, holders: tuple[Any, ...]) -> Any:
        """Return a copy of data of any shape, of which only so much is sent.

        Args:
            node: a part of it.
            path: of the node.
            depth: how many levels may be sent.
            holders: what the node is in.
        """
        kind = type(node)
        if kind is str and depth > 0 and self._limit is None:
            return node
        for holder in holders:
            if node is holder:
                raise NotPlainError
        if kind is AnnotatedValue:
            node = self._unannotated(node, path)
            kind = type(node)
        if depth <= 0:
            return self._as_text(node, path)
        if kind not in _CONTAINERS:
            return self._value(node, path, 0)
        inside = (*holders, node)
        if len(node) > _BREADTH:
            self._remark(path, {"len": len(node)})
        if kind in _LISTS:
            return [
                self._bag(value, (path, index), depth - 1, inside)
                for index, value in enumerate(node[:_BREADTH])
            ]
        return {
            name: self._bag(value, (path, name), depth - 1, inside)
            for name, value in _named(islice(node.items(), _BREADTH))
        }

    def _value(self, value: Any, path: _Path, depth: int) -> Any:
        """Return a single value as it is sent."""
        kind = type(value)
        if kind is datetime:
            return self._timestamp(value)
        if kind is str:
            return value if self._fits(value) else self._cut(value, path)
        if kind in _SCALARS or (kind is float and math.isfinite(value)):
            return value
        if kind is AnnotatedValue:
            return self._plain(self._unannotated(value, path), path, depth)
        if isinstance(value, str) and isinstance(value, Enum) and kind.__module__.startswith("sentry_sdk."):
            return value if self._fits(value) else self._cut(value, path)
        if issubclass(kind, (str, bytes, bytearray, int, float, set, frozenset)) or not _may_hold(value):
            return self._by_the_sdk(value, path)
        raise NotPlainError

    def _timestamp(self, time: datetime) -> str:
        """Return a time as text; those of the spans of a trace are mostly within one second."""
        if time.tzinfo is not timezone.utc or time.year < _FOUR_DIGITS:
            return str(format_timestamp(time))
        since = time - self._second
        if since.days or since.seconds:
            self._second = time.replace(microsecond=0)
            self._beginning = time.isoformat(timespec="seconds")[: -len("+00:00")]
            since = time - self._second
        return f"{self._beginning}.{since.microseconds:06}Z"

    def _unannotated(self, value: Any, path: _Path) -> Any:
        if type(value) is not AnnotatedValue:
            return value
        if type(value.value) is AnnotatedValue:
            raise NotPlainError
        self._remark(path, value.metadata)
        return value.value

    def _as_text(self, value: Any, path: _Path) -> Any:
        """Return what is too deep in data of any shape as text."""
        if self._custom_repr is not None:
            return self._by_the_sdk(value, path)
        self._remark(path, {"rem": [["!limit", "x"]]})
        return self._cut(safe_repr(value), path)

    def _fits(self, text: str) -> bool:
        return self._limit is None or (len(text) <= self._limit and text.isascii())

    def _cut(self, text: str, path: _Path) -> Any:
        if self._limit is None:
            return text
        return self._unannotated(strip_string(text, max_length=self._limit), path)

    def _remark(self, path: _Path, remark: Mapping[str, Any]) -> None:
        self._node(path).setdefault("", {}).update(remark)

    def _node(self, path: _Path) -> Any:
        """Return the node of the remarks for a place."""
        return self._meta if path is None else self._node(path[0]).setdefault(str(path[1]), {})

    def _by_the_sdk(self, value: Any, path: _Path) -> Any:
        """Return a value as the SDK serialises it in its place."""
        parts = [str(part) for part in _parts(path)]
        if parts[0] == "_meta":
            raise NotPlainError
        found = value
        for part in reversed(parts):
            found = {part: found}
        is_disabled = disable_capture_event is not None and disable_capture_event.get(False)
        found = serialize(found, **_arguments(self._options))
        if is_disabled:
            disable_capture_event.set(True)  # the serialiser does not leave it as it was
        meta = found.pop("_meta", None)
        for part in parts:
            found = found[part]
        if meta:
            _merge(self._meta, meta)
        return _encodable(found)


def _limit_of(length: Any) -> int | None:
    """Return how many bytes a text may have, None if it may have any number."""
    if length is None:
        return _DEFAULT_LIMIT
    if type(length) is not int:
        raise NotPlainError
    return length


def _default_limit() -> int | None:
    """Return the limit of texts where the options have none, which only older SDKs have."""
    cut = strip_string("x" * 1_000_000)
    return len(cut.value or "") if isinstance(cut, AnnotatedValue) else None


_DEFAULT_LIMIT = _default_limit()


def _name(key: Any) -> str:
    """Return a key as it is sent."""
    if type(key) is str:
        return key
    if type(key) in _SCALARS:
        return str(key)
    raise NotPlainError


def _named(members: Iterable[tuple[Any, Any]]) -> list[tuple[str, Any]]:
    return [(_name(key), value) for key, value in members]


def _parts(path: _Path) -> list[Any]:
    parts = []
    while path is not None:
        path, part = path
        parts.append(part)
    return parts[::-1]


def _may_hold(value: Any) -> bool:
    """Return whether the SDK might walk into a value, which could then contain what it is in."""
    return hasattr(type(value), "__iter__") or hasattr(type(value), "__sentry_repr__")


def _merge(into: dict[str, Any], meta: Mapping[str, Any]) -> None:
    for key, value in meta.items():
        if isinstance(value, dict) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        else:
            into[key] = value
