"""Profiles of threads, which leave the process past every hook that the SDK has.

Checked with sentry-sdk 2.18.0 and 2.75.0. Where ``Profile`` or ``ProfileChunk`` are missing there is nothing
to clean; where they have no ``to_json``, nothing is cleaned.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

_CLASSES = {
    "sentry_sdk.profiler.transaction_profiler": "Profile",
    "sentry_sdk.profiler.continuous_profiler": "ProfileChunk",
}


def clean_profiles(clean: Callable[[dict[str, Any], Mapping[str, Any]], None]) -> None:
    """Have a function see every profile that is about to be sent, of whatever client; once is enough.

    Args:
        clean: takes what is sent, which it changes, and the options of the client.
    """
    for module, name in _CLASSES.items():
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
        given = (*args, *kwargs.values())
        options = next((a for a in given if isinstance(a, dict) and "send_default_pii" in a), None)
        # Of a client that nothing is known of: as if it might send nothing.
        clean(payload, options or {})
        return payload

    return to_json
