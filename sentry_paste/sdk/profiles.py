"""Profiles: what they contain, and that to take them never hangs the process."""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

# The classes of profiles; neither has a hook.
_PROFILE_CLASSES = {
    "sentry_sdk.profiler.transaction_profiler": "Profile",
    "sentry_sdk.profiler.continuous_profiler": "ProfileChunk",
}


def clean_profiles(clean: Callable[[dict[str, Any], Mapping[str, Any]], None]) -> None:
    """Call a function with every profile before it is sent, of any client; further calls do nothing.

    Args:
        clean: takes the profile, which it changes, and the options of the client.
    """
    for module, name in _PROFILE_CLASSES.items():
        try:
            cls = getattr(import_module(module), name)
        except (ImportError, AttributeError):  # pragma: no cover
            continue
        original = getattr(cls, "to_json", None)
        if original is not None and not hasattr(original, "__wrapped__"):
            cls.to_json = _cleaning(original, clean)


def _cleaning(original: Any, clean: Callable[[dict[str, Any], Mapping[str, Any]], None]) -> Any:
    @functools.wraps(original)
    def to_json(*args: Any, **kwargs: Any) -> Any:
        payload = original(*args, **kwargs)
        arguments = (*args, *kwargs.values())
        options = next((a for a in arguments if isinstance(a, dict) and "release" in a), None)
        # Of an unknown client: as if it may send nothing personal.
        clean(payload, options or {})
        return payload

    return to_json


class _Sys:
    """``sys`` with a ``_current_frames`` during which the garbage collector does not run."""

    def __getattr__(self, name: str) -> Any:
        return getattr(sys, name)

    @staticmethod
    def _current_frames() -> Any:
        was_enabled = gc.isenabled()
        gc.disable()
        try:
            return sys._current_frames()
        finally:
            if was_enabled:
                gc.enable()


def guard_profilers() -> None:
    """Keep the garbage collector out of the SDK's profilers while they look at all threads.

    ``sys._current_frames`` holds a lock of the interpreter. In CPython 3.11 it makes new objects meanwhile.
    If that runs the garbage collector, and it finds a ``threading.local``, whose end takes the same lock, the
    process hangs (seen with 3.11.7, not with 3.9.18, 3.10.13, 3.12.1 and 3.13.0;
    https://github.com/python/cpython/issues/106883). The profilers call it as ``sys._current_frames``. If
    they do not, they are not changed.
    """
    if sys.version_info[:2] != (3, 11):
        return
    for name in _PROFILE_CLASSES:
        module = sys.modules.get(name)
        if getattr(module, "sys", None) is sys:
            setattr(module, "sys", _Sys())  # noqa: B010 - mypy knows no module here
