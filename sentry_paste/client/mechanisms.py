"""Whether an event says that its error was handled."""

from __future__ import annotations

from typing import Any


def is_unhandled(event: Any) -> bool:
    """Return whether an event is marked as an error that nobody has handled.

    Args:
        event: of the SDK.
    """
    return any(mechanism.get("handled") is False for mechanism in mechanisms(event))


def set_handled(event: Any, is_handled: bool) -> None:
    """Mark an event's exceptions as handled or not.

    Args:
        event: as it is sent.
        is_handled: what the answer has shown.
    """
    for mechanism in mechanisms(event):
        if "handled" in mechanism:
            mechanism["handled"] = is_handled


def mechanisms(event: Any) -> list[dict[str, Any]]:
    """Return how each of an event's exceptions was caught.

    Args:
        event: of the SDK.
    """
    values = (event.get("exception") or {}).get("values") or ()
    found = [value.get("mechanism") for value in values if isinstance(value, dict)]
    return [mechanism for mechanism in found if isinstance(mechanism, dict)]
