"""Find the WSGI environ that a thread works with, if nothing else identifies its request.

A thread of a pool that the app created before the request gets its work through a queue, and has none of the
request's scopes; a server that logs an error is outside of them. But the request, or an object that holds it,
is in the frames. The search runs none of the app's code: no property, no ``__getattr__``, no ``__iter__``;
and the number of objects it looks at is bounded.
"""

from __future__ import annotations

import functools
import gc
import sys
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from inspect import CO_OPTIMIZED
from itertools import chain, islice
from types import (
    BuiltinFunctionType,
    CodeType,
    FrameType,
    FunctionType,
    GetSetDescriptorType,
    MemberDescriptorType,
    MethodType,
    ModuleType,
    TracebackType,
)
from typing import Any, NamedTuple

# Limits: the nearest frames; objects in total; members of each object, of a tuple, and of a list, whose
# elements are mostly alike; steps from a local variable.
_FRAMES = 50
_OBJECTS = 500
_MEMBERS = 30
_MEMBERS_OF_TUPLE = 8
_MEMBERS_OF_LIST = 4
_STEPS = 4
# For a log item, of which there may be thousands a second: how many frames, and how many of the nearest are
# searched one by one.
_FRAMES_OF_ITEM, _NEAR_FRAMES = 25, 4
_OBJECTS_OF_FRAME = 30
# About one in this many members is not a plain value; no more are collected.
_ENOUGH = 4
# A queued job may hold several requests.
_ENVIRONS = 4
# Environs are close to each other: after the first, only this many more objects are looked at.
_OBJECTS_AFTER = 12

# These frames only hold the event and the client.
_CAPTURING = frozenset({"sentry_sdk", "sentry_paste", "logging"})

# Before Python 3.13 (PEP 667), a function's frame keeps the mapping that ``f_locals`` returned, and the
# values in it, until the function returns.
_KEEPS_LOCALS = sys.version_info < (3, 13)
# A function that uses these may have that same mapping, so reading ``f_locals`` would change it.
_OWN_LOCALS = frozenset({"locals", "vars", "dir", "eval", "exec", "f_locals"})
# Functions that got it in another way, from a helper that reads its caller's frame.
_exposed: set[CodeType] = set()
_MOST_EXPOSED = 1000
_NONE: dict[str, Any] = {}
_ITERATORS = frozenset(
    {type(iter(_NONE)), type(iter(_NONE.values())), type(iter(_NONE.items()))}
    | {type(reversed(_NONE)), type(reversed(_NONE.values())), type(reversed(_NONE.items()))}
)
_count_references = getattr(sys, "getrefcount", None)
# References of the frame, of the variable here, and of the call's argument.
_REFERENCES = 3

_MRO: Any = type.__dict__["__mro__"]
_NAMESPACE: Any = type.__dict__["__dict__"]
_NOTHING_WITHIN = (str, bytes, bytearray, int, float, complex, type, ModuleType, FunctionType,
                   BuiltinFunctionType, BaseException, FrameType, TracebackType, type(None))  # fmt: skip
# By id: a metaclass of the app's may define __hash__.
_PLAIN = frozenset(map(id, (*_NOTHING_WITHIN, bool)))
# Slots in which classes keep an environ, or an object that has one: Bottle's, Falcon's and others.
_SLOTS = ("environ", "env", "_environ", "request", "req", "args")


# By id, which stays unique while the objects are kept here: the number of steps, and the object.
_Seen = dict[int, tuple[int, Any]]


def environs_in(frames: Iterable[FrameType]) -> list[Mapping[str, Any]]:
    """Return the WSGI environs in local variables or within reach of them, the nearest first.

    Args:
        frames: the innermost frame first.
    """
    # Frames of a traceback may be running in another thread, which may have a debugger.
    own = set(map(id, frames_from(sys._getframe())))
    variables = (
        _released_locals_of(frame) if id(frame) in own else list(frame.f_locals.values())
        for frame in islice(frames, _FRAMES)
    )
    return _environs(variables, _OBJECTS, {})


def environs_near(frame: FrameType | None) -> list[Mapping[str, Any]]:
    """Return the environs of a running frame and its callers, for a log item.

    It looks at fewer objects, and at no frame whose function could notice through ``locals()``.

    Args:
        frame: the innermost.
    """
    frames = islice(frames_from(frame), _FRAMES_OF_ITEM)
    # From Python 3.13 on, locals() returns a separate mapping.
    readable = (frame for frame in frames if not (_KEEPS_LOCALS and _may_have_own_locals(frame.f_code)))
    # Frame by frame: large objects of a caller must not use up the limit before the function's own.
    seen: _Seen = {}
    for near in islice(readable, _NEAR_FRAMES):
        found = _environs([_released_locals_of(near)], _OBJECTS_OF_FRAME, seen)
        if found:
            return found
    return _environs(map(_released_locals_of, readable), _OBJECTS_OF_FRAME, seen)


def _environs(variables: Iterable[list[Any]], left: int, seen: _Seen) -> list[Mapping[str, Any]]:
    """Return the environs within reach of local variables.

    Args:
        variables: their values, by frames.
        left: how many objects may be looked at.
        seen: objects whose members were looked at already.
    """
    level: Iterable[Any] = chain.from_iterable(variables)
    plain = _PLAIN
    found: list[Mapping[str, Any]] = []
    for step in range(1, _STEPS + 1):
        within: list[Any] = []
        for value in [value for value in level if id(type(value)) not in plain]:
            kind = type(value)
            if issubclass(kind, _NOTHING_WITHIN):
                continue
            before = seen.get(id(value))
            if before is not None and before[0] <= step:
                continue
            left -= 1
            if left < 0:
                return found
            if issubclass(kind, dict) and dict.__contains__(value, "wsgi.input"):
                found.append(value)
                seen[id(value)] = (step, value)
                left = min(left, _OBJECTS_AFTER)
                if len(found) == _ENVIRONS:
                    return found
            elif step < _STEPS and len(within) < left * _ENOUGH:
                seen[id(value)] = (step, value)
                within += _members(kind, value)
        level = within
    return found


def _released_locals_of(frame: FrameType) -> list[Any]:
    """Return the values of a frame's local variables, without making the frame keep them alive.

    Args:
        frame: of this thread.
    """
    variables = frame.f_locals
    values = list(variables.values())
    code = frame.f_code
    # For a module or a class it is the namespace itself.
    if not (_KEEPS_LOCALS and code.co_flags & CO_OPTIMIZED) or _count_references is None:
        return values
    # The app may have it too, or a debugger, which writes it back.
    if _count_references(variables) > _REFERENCES:
        _restore_size(variables, code)
    # For a tracer or profiler Python writes them back to the frame, without those that are missing.
    elif sys.gettrace() is None and sys.getprofile() is None:
        # What exec() has put there is kept nowhere else.
        for name in _local_names(code):
            variables.pop(name, None)
    return values


def _may_have_own_locals(code: CodeType) -> bool:
    """Return whether a function may have the mapping of its own local variables."""
    return not _OWN_LOCALS.isdisjoint(code.co_names) or (bool(_exposed) and code in _exposed)


def _local_names(code: CodeType) -> tuple[str, ...]:
    return (*code.co_varnames, *code.co_cellvars, *code.co_freevars)


def _restore_size(variables: dict[str, Any], code: CodeType) -> None:
    """Remove variables that reading a frame has added to its mapping while somebody iterates over that.

    Otherwise the next step of the iteration fails: the dictionary has changed its size.

    Args:
        variables: of the frame, which somebody else has as well.
        code: of the frame.
    """
    # Searching all objects is slow, so items of this function do without its variables from now on.
    if len(_exposed) >= _MOST_EXPOSED:
        _exposed.clear()
    _exposed.add(code)
    names = frozenset(_local_names(code))
    iterators = [found for found in gc.get_referrers(variables) if type(found) in _ITERATORS]
    for name in reversed(list(variables) if any(map(_is_broken, iterators)) else ()):
        if name not in names or not any(map(_is_broken, iterators)):
            break
        del variables[name]


def _is_broken(iterator: Any) -> bool:
    """Return whether the next step of an iterator over a mapping would fail."""
    try:
        # Iterates over the rest with a copy of the iterator.
        iterator.__reduce__()
    except RuntimeError:
        return True
    return False


def frames_of(traceback: TracebackType | None) -> Iterator[FrameType]:
    """Yield the frames of a traceback, the innermost first.

    Args:
        traceback: of an error.
    """
    # If the traceback is very long, the innermost are kept.
    last: deque[FrameType] = deque(maxlen=_FRAMES)
    while traceback is not None:
        last.append(traceback.tb_frame)
        traceback = traceback.tb_next
    yield from reversed(last)


def frames_from(frame: FrameType | None) -> Iterator[FrameType]:
    """Yield a running frame and its callers, except for frames of the capturing libraries.

    Args:
        frame: the innermost.
    """
    while frame is not None:
        module = frame.f_globals.get("__name__")
        if type(module) is not str or module.partition(".")[0] not in _CAPTURING:
            yield frame
        frame = frame.f_back


def _members(kind: type, value: Any) -> list[Any]:
    """Return the members of an object, without running code of its class."""
    try:
        if issubclass(kind, dict):
            return list(islice(dict.values(value), _MEMBERS))
        if issubclass(kind, tuple):
            return list(islice(tuple.__iter__(value), _MEMBERS_OF_TUPLE))
        if issubclass(kind, list):
            return list(islice(list.__iter__(value), _MEMBERS_OF_LIST))
        if kind is MethodType:
            return [value.__self__]
        if kind is functools.partial:
            return [*value.args, *value.keywords.values()][:_MEMBERS]
        return _attributes(kind, value)
    except (RuntimeError, AttributeError):  # changed by another thread; an empty slot
        return []


class _Layout(NamedTuple):
    """Where instances of a class keep their attributes.

    Attributes:
        kind: a weak reference to the class.
        namespace: the descriptor of ``__dict__``, None if there is none that is Python's own.
        slots: the descriptors of the slots.
    """

    kind: weakref.ref[type]
    namespace: Any
    slots: tuple[Any, ...]


# By the id of the class.
_layouts: dict[int, _Layout] = {}
_MOST_LAYOUTS = 1000


def _attributes(kind: type, value: Any) -> list[Any]:
    layout = _layouts.get(id(kind))
    if layout is None or layout.kind() is not kind:
        if len(_layouts) >= _MOST_LAYOUTS:
            _layouts.clear()
        layout = _layouts[id(kind)] = _layout_of(kind)
    found: list[Any] = []
    if layout.namespace is not None:
        found += islice(dict.values(layout.namespace.__get__(value)), _MEMBERS)
    for slot in layout.slots:
        try:
            found.append(slot.__get__(value))
        except AttributeError:
            continue
    return found


def _layout_of(kind: type) -> _Layout:
    descriptor: Any = None
    slots = []
    for cls in _MRO.__get__(kind):
        namespace = _NAMESPACE.__get__(cls)
        descriptor = descriptor or namespace.get("__dict__")
        slots += [slot for name in _SLOTS if type(slot := namespace.get(name)) is MemberDescriptorType]
    if type(descriptor) not in (GetSetDescriptorType, MemberDescriptorType):
        descriptor = None
    return _Layout(weakref.ref(kind), descriptor, tuple(slots))
