"""The WSGI environ that a thread works with, where nobody has told which request it is of.

A thread of a pool that the app made before the request gets its work through a queue, and has none of the
request's scopes; a server that logs an error is outside of them. But the request, or something that
holds it, is in the frames. Nothing of the app's runs when it is looked for: no property, no ``__getattr__``,
no ``__iter__``; and how much is looked at is bounded.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from types import (
    BuiltinFunctionType,
    FrameType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    TracebackType,
)
from typing import Any

# Frames, of those that are nearest; objects in all; members of each; steps from a local variable.
_FRAMES = 50
_OBJECTS = 500
_MEMBERS = 30
_STEPS = 4
# A job of a queue may hold a few requests.
_ENVIRONS = 4

# What they hold is the event, and the client.
_CAPTURING = frozenset({"sentry_sdk", "sentry_paste", "logging"})

_MRO: Any = type.__dict__["__mro__"]
_NAMESPACE: Any = type.__dict__["__dict__"]
_NOTHING_WITHIN = (str, bytes, bytearray, int, float, complex, type, ModuleType, FunctionType,
                   BuiltinFunctionType, BaseException, FrameType, TracebackType, type(None))  # fmt: skip
# Where classes with slots keep an environ, or what has one: Bottle's, Falcon's and the like.
_SLOTS = ("environ", "env", "_environ", "request", "req", "args")


def environs_in(frames: Iterable[FrameType]) -> list[Mapping[str, Any]]:
    """Return the WSGI environs that are in local variables, or in reach of them, the nearest first.

    Args:
        frames: the innermost first.
    """
    level: Iterable[Any] = chain.from_iterable(
        list(frame.f_locals.values()) for frame in islice(frames, _FRAMES)
    )
    found: list[Mapping[str, Any]] = []
    seen: set[int] = set()
    left = _OBJECTS
    for _ in range(_STEPS):
        # They are kept while their ids are.
        within: list[Any] = []
        for value in level:
            kind = type(value)
            if issubclass(kind, _NOTHING_WITHIN) or id(value) in seen:
                continue
            left -= 1
            if left < 0:
                return found
            seen.add(id(value))
            if issubclass(kind, dict) and dict.__contains__(value, "wsgi.input"):
                found.append(value)
                if len(found) == _ENVIRONS:
                    return found
            else:
                within += _members(kind, value)
        level = within
    return found


def frames_of(traceback: TracebackType | None) -> Iterator[FrameType]:
    """Yield the frames of a traceback, the innermost first.

    Args:
        traceback: of an error.
    """
    # Of one that is endless the innermost are kept.
    last: deque[FrameType] = deque(maxlen=_FRAMES)
    while traceback is not None:
        last.append(traceback.tb_frame)
        traceback = traceback.tb_next
    yield from reversed(last)


def frames_from(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a frame that runs, and its callers, but for those of who captures.

    Args:
        frame: the innermost.
    """
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if type(module) is not str or module.partition(".")[0] not in _CAPTURING:
            yield frame
        frame = frame.f_back


def _members(kind: type, value: Any) -> list[Any]:
    """Return what an object holds, as far as the interpreter itself can tell."""
    try:
        if issubclass(kind, dict):
            return list(islice(dict.values(value), _MEMBERS))
        if issubclass(kind, tuple):
            return list(islice(tuple.__iter__(value), _MEMBERS))
        if issubclass(kind, list):
            return list(islice(list.__iter__(value), _MEMBERS))
        if kind is MethodType:
            return [value.__self__]
        if kind is functools.partial:
            return [*value.args, *value.keywords.values()][:_MEMBERS]
        return _attributes(kind, value)
    except (RuntimeError, AttributeError):  # another thread changes it; a slot that is empty
        return []


def _attributes(kind: type, value: Any) -> list[Any]:
    found: list[Any] = []
    is_known = False
    for cls in _MRO.__get__(kind):
        namespace = _NAMESPACE.__get__(cls)
        descriptor = namespace.get("__dict__")
        if descriptor is not None and not is_known:
            is_known = True
            if type(descriptor) in (GetSetDescriptorType, MemberDescriptorType):
                found += islice(dict.values(descriptor.__get__(value)), _MEMBERS)
        for name in _SLOTS:
            slot = namespace.get(name)
            if type(slot) is MemberDescriptorType:
                try:
                    found.append(slot.__get__(value))
                except AttributeError:
                    continue
    return found
