"""The ids of a request's events, of which one may be in the response before its event is captured."""

from __future__ import annotations

from uuid import uuid4

import sentry_sdk


class EventIds:
    """The event ids of one request. Its methods have to be called in the request's context.

    Attributes:
        reserved: the id in the response's header for an event that is captured later, None if there is none.
    """

    __slots__ = ("_before", "_is_taken", "reserved")

    def __init__(self) -> None:
        self._before: str | None = None
        self._is_taken = False
        self.reserved: str | None = None

    def begin(self) -> None:
        """Record the last event before the request's own."""
        self._before = sentry_sdk.last_event_id()

    def last(self) -> str | None:
        """Return the id of the request's last event, None if it has none."""
        found = sentry_sdk.last_event_id()
        return found if found != self._before else None

    def reserve(self) -> str:
        """Return the reserved id; reserve one if there is none."""
        self.reserved = self.reserved or uuid4().hex
        return self.reserved

    def reserve_new(self) -> str:
        """Reserve and return a new id for the next error."""
        self.reserved, self._is_taken = uuid4().hex, False
        return self.reserved

    def take(self) -> str | None:
        """Return the reserved id for the first error that is captured after the reservation, else None."""
        identity = None if self._is_taken else self.reserved
        self._is_taken = identity is not None or self._is_taken
        return identity
