"""Guards for the hooks whose failure the SDK passes on.

Most hooks may raise. ``before_breadcrumb`` and the samplers raise into whoever
caused the call in the SDKs before 2.70 or so (2.18 to 2.60 were looked at): into the app's own HTTP
request or query that made a breadcrumb. The hooks of log items, metrics and
streamed spans may return nonsense, which fails later.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from sentry_paste.sdk.failures import warn

# What is decided where the hook does not: what the newer SDKs decide.
_FALLBACKS: dict[str, Callable[..., Any]] = {
    "before_breadcrumb": lambda crumb, _hint: crumb,
    "before_send_log": lambda item, _hint: item,
    "before_send_metric": lambda item, _hint: item,
    "before_send_span": lambda item, _hint: item,
    "profiles_sampler": lambda _context: 0.0,
    "traces_sampler": lambda _context: 0.0,
}

# What these return is queued as it is, and fails when the queue is flushed, with all else that is in it.
_RETURN_ITEMS = frozenset({"before_breadcrumb", "before_send_log", "before_send_metric", "before_send_span"})


def with_guards(options: dict[str, Any]) -> dict[str, Any]:
    """Return SDK options whose hooks do not raise, nor return what cannot be sent.

    Args:
        options: for a client.
    """
    guarded = {name: _guarded(name, options[name]) for name in _FALLBACKS if callable(options.get(name))}
    return {**options, **guarded}


def _guarded(name: str, hook: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> Any:
        try:
            found = hook(*args)
            if name in _RETURN_ITEMS and found is not None and not isinstance(found, dict):
                raise TypeError(f"expected a dict or None, not {found!r}")
        except Exception:
            warn("%s failed", name, exc_info=True)
            return _FALLBACKS[name](*args)
        return found

    return functools.update_wrapper(call, hook)
