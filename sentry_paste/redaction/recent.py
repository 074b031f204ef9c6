"""What was worked out for recent requests, for the next ones of the same clients.

A client sends the same cookies and credentials, from the same address, with each of its requests. To work
out what is searched for in place of them takes longer than the search itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Generic, TypeVar

from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.needles import Secret, markers_of

Found = TypeVar("Found")

# Longer values are worked out each time. Cookies are hardly ever longer (RFC 6265 section 6.1).
_LONGEST = 4096
# How many characters are kept, and for how many seconds after they were last used: once to twice as many.
_CHARACTERS, _SECONDS = 262_144, 60.0
# A Secret or a marker takes this many bytes besides its text.
_OBJECT = 100


class Recent:
    """What was worked out for the requests of the last minute or two; less if there were many.

    One belongs to one ``Names``. Threads need no lock: what one of them has not seen yet, it works out again.
    """

    __slots__ = ("_by_entry", "_by_secrets")

    def __init__(self) -> None:
        self._by_entry: _Kept[tuple[tuple[Secret, ...], int, int]] = _Kept()
        self._by_secrets: _Kept[list[str]] = _Kept()

    def begin(self) -> None:
        """Drop what has not been used for long; to be called once for each request."""
        now = time.monotonic()
        self._by_entry.drop_old(now)
        self._by_secrets.drop_old(now)

    def secrets(
        self, key: str, value: str, bounds: Bounds, work_out: Callable[[], Iterator[Secret]]
    ) -> Iterable[Secret]:
        """Return what to search for in place of an entry of the environ.

        Args:
            key: of the environ.
            value: its text.
            bounds: of the request; it is charged with the same as if all was worked out.
            work_out: yields what to search for.
        """
        if len(value) > _LONGEST:
            return work_out()
        found = self._by_entry.get((key, value))
        if found is not None:
            secrets, steps, characters = found
            bounds.may_take(steps)
            bounds.may_read(characters)
            return secrets
        steps, characters = bounds.steps, bounds.characters
        secrets = tuple(work_out())
        if not bounds.are_exceeded:
            taken = steps - bounds.steps, characters - bounds.characters
            size = len(value) + sum(len(secret.text) + _OBJECT for secret in secrets)
            self._by_entry.keep((key, value), (secrets, *taken), size)
        return secrets

    def markers(self, secrets: Iterable[Secret]) -> list[str]:
        """Return what ``markers_of`` returns.

        Args:
            secrets: all of a request.
        """
        known = frozenset(secrets)
        found = self._by_secrets.get(known)
        if found is None:
            found = markers_of(known)
            self._by_secrets.keep(known, found, sum(len(marker) + _OBJECT for marker in found))
        return found


class _Kept(Generic[Found]):
    """Values by key, in two generations: when the younger one is old or full, the older one is dropped."""

    __slots__ = ("_new", "_old", "_since", "_size")

    def __init__(self) -> None:
        self._new: dict[Any, tuple[Found, int]] = {}
        self._old: dict[Any, tuple[Found, int]] = {}
        self._since = time.monotonic()
        self._size = 0

    def get(self, key: Any) -> Found | None:
        """Return what is kept for a key."""
        found = self._new.get(key)
        if found is None:
            found = self._old.get(key)
            if found is None:
                return None
            self.keep(key, *found)
        return found[0]

    def keep(self, key: Any, found: Found, size: int) -> None:
        """Keep a value, whose size in characters is given."""
        if size > _CHARACTERS:
            return
        if self._size + size > _CHARACTERS:
            self._turn(time.monotonic())
        self._size += size
        self._new[key] = found, size

    def drop_old(self, now: float) -> None:
        """Drop what has not been used for long."""
        if now - self._since > _SECONDS:
            self._turn(now)

    def _turn(self, now: float) -> None:
        self._old, self._new, self._size, self._since = self._new, {}, 0, now
