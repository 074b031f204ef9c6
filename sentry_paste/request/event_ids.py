"""The ids of a request's events, which its response may tell before they are captured."""

from __future__ import annotations

from uuid import uuid4

import sentry_sdk


class EventIds:
    """The ids of one request. To be asked in the request's context.

    Attributes:
        promised: that the response has told, or is going to, of an event that is captured later; None where
            there is none.
    """

    __slots__ = ("_before", "_is_taken", "promised")

    def __init__(self) -> None:
        self._before: str | None = None
        self._is_taken = False
        self.promised: str | None = None

    def begin(self) -> None:
        """Note which event was the last before the request's own."""
        self._before = sentry_sdk.last_event_id()

    def last(self) -> str | None:
        """Return the id of the request's last event, None where it has none."""
        found = sentry_sdk.last_event_id()
        return found if found != self._before else None

    def promise(self) -> str:
        """Return the id that was promised, one that is promised now where none was."""
        self.promised = self.promised or uuid4().hex
        return self.promised

    def promise_next(self) -> str:
        """Return the id that the next error is to have, whatever was promised before."""
        self.promised, self._is_taken = uuid4().hex, False
        return self.promised

    def take(self) -> str | None:
        """Return the id that was promised, for the first error that is captured after that."""
        identity = None if self._is_taken else self.promised
        self._is_taken = identity is not None or self._is_taken
        return identity
