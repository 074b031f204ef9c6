"""No agent: the app itself, whose cost is subtracted from that of all others."""

from __future__ import annotations

from typing import Any

from benchmarks.agents import Started


def start(_kind: str, _receiver: str, _options: dict[str, Any]) -> Started:
    """Start nothing.

    Args:
        _kind: ignored.
        _receiver: ignored.
        _options: ignored.
    """
    return Started(lambda app: app, lambda _text: None, lambda: None)
