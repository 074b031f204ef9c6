"""Guards for the hooks that the SDK calls unguarded.

Most hooks may raise. These, in every SDK from 2.18 to 2.60 that was looked at, raise into whoever caused
the call: ``before_breadcrumb`` into the app's HTTP request or query that made a
breadcrumb, ``traces_sampler`` into whoever starts a transaction.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger("sentry_paste")


# What is decided where the hook does not: what the newer SDKs decide.
_FALLBACKS: dict[str, Callable[..., Any]] = {
    "before_breadcrumb": lambda crumb, _hint: crumb,
    "profiles_sampler": lambda _context: 0.0,
    "traces_sampler": lambda _context: 0.0,
}


def with_guards(options: dict[str, Any]) -> dict[str, Any]:
    """Return SDK options whose hooks do not raise.

    Args:
        options: for a client.
    """
    guarded = {name: _guarded(name, options[name]) for name in _FALLBACKS if callable(options.get(name))}
    return {**options, **guarded}


def _guarded(name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        try:
            return hook(*args)
        except Exception:
            log.warning("%s failed", name, exc_info=True)
            return _FALLBACKS[name](*args)

    return functools.update_wrapper(call, hook)
