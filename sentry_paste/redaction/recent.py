"""What was worked out for recent requests, for the next ones of the same clients.

A client sends the same cookies and credentials, from the same address, with each of its requests. To work
out what is searched for in place of them takes longer than the search itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Any, Generic, TypeVar

from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.needles import Secret, has_signs, markers_of

Found = TypeVar("Found")
_Result = TypeVar("_Result")

# Longer values are worked out each time. Cookies are hardly ever longer (RFC 6265 section 6.1).
_LONGEST = 4096
#: So are values of longer names, which are secret anyway.
LONGEST_NAME = 200
# How many characters of each kind are kept, and for how many seconds after they were last used: once to
# twice as many.
_CHARACTERS, _SECONDS = 524_288, 60.0
# An entry takes this many bytes besides its texts; a Secret, a marker or a text besides its characters.
_ENTRY, _OBJECT = 300, 100
# How many characters are kept of texts that were searched for the secrets of one client.
_TEXTS = 8192


class Recent:
    """What was worked out for the requests of the last minute or two; less if there were many.

    Threads need no lock: what one of them has not seen yet, it works out again.
    """

    __slots__ = ("_by_secrets", "_results")

    def __init__(self) -> None:
        self._results: _Kept[tuple[Any, int, int]] = _Kept()
        self._by_secrets: _Kept[Searched] = _Kept()

    def begin(self) -> None:
        """Drop what has not been used for long; to be called once for each request."""
        now = time.monotonic()
        self._results.drop_old(now)
        self._by_secrets.drop_old(now)

    def secrets(
        self, kind: Any, value: str, bounds: Bounds, work_out: Callable[[], Iterator[Secret]]
    ) -> Iterable[Secret]:
        """Return what to search for in place of an entry of the environ.

        Args:
            kind: what the result depends on, besides the value: the ``rules`` of names, and a name of its own
                that none of the client's equals.
            value: a text.
            bounds: of the request; it is charged with the same as if all was worked out.
            work_out: yields what to search for.
        """
        if len(value) > _LONGEST:
            return work_out()
        return self._known((kind, value), bounds, lambda: tuple(work_out()))

    def text(self, kind: Any, text: str, bounds: Bounds, work_out: Callable[[], str]) -> str:
        """Return a text without what is secret in it.

        Args:
            kind: what the result depends on, besides the text, as in ``secrets``.
            text: raw.
            bounds: of the payload; it is charged with the same as if all was worked out.
            work_out: returns the result.
        """
        if len(text) > _LONGEST:
            return work_out()
        return self._known((kind, text), bounds, work_out)

    def _known(self, key: tuple[Any, str], bounds: Bounds, work_out: Callable[[], _Result]) -> _Result:
        found = self._results.get(key)
        if found is not None:
            result: _Result = found[0]
            steps, characters = found[1:]
            bounds.may_take(steps)
            bounds.may_read(characters)
            return result
        steps, characters = bounds.steps, bounds.characters
        result = work_out()
        if not bounds.are_exceeded:
            size = _ENTRY + len(key[1]) + sum(len(text) + _OBJECT for text in _texts_of(result))
            taken = steps - bounds.steps, characters - bounds.characters
            self._results.keep(key, (result, *taken), size)
        return result

    def searched(self, secrets: Iterable[Secret]) -> Searched:
        """Return what is known of searches for the secrets of a request.

        Args:
            secrets: all of a request.
        """
        known = frozenset(secrets)
        found = self._by_secrets.get(known)
        if found is None:
            found = Searched(known)
            self._by_secrets.keep(known, found, found.size)
        elif found.room is None:
            # The texts of a client that comes once would be kept for nothing.
            found.room = _TEXTS
            self._by_secrets.keep(known, found, found.size + _TEXTS)
        return found


def _texts_of(result: Any) -> Iterable[str]:
    return (result,) if type(result) is str else (secret.text for secret in result)


class Searched:
    """What is known of searches for the secrets of a client.

    Args:
        secrets: all of a request.

    Attributes:
        markers: texts of which those with a secret contain at least one.
        has_signs: whether a secret has signs that hardly any quoting or escaping changes.
        room: how many characters of texts may still be kept; None if none are, yet.
        size: of the secrets and the markers, in characters.
    """

    __slots__ = ("_texts", "has_signs", "markers", "room", "size")

    def __init__(self, secrets: Collection[Secret]) -> None:
        self.markers = list(dict.fromkeys(markers_of(secrets)))
        self.has_signs = any(has_signs(text) for text, _, _ in secrets)
        # Of a long value, only a part is a marker.
        held = (*self.markers, *(text for text, _, _ in secrets))
        self.size = _ENTRY + sum(len(text) + _OBJECT for text in held)
        self.room: int | None = None
        self._texts: set[str] = set()

    def unknown(self, texts: Iterable[str]) -> list[str]:
        """Return the texts that are not known to have none of the secrets.

        Args:
            texts: of a payload.
        """
        known = self._texts
        return [text for text in texts if text not in known]

    def add(self, texts: Iterable[str]) -> None:
        """Keep texts that have none of the secrets: keys, the browser's headers, what the server is.

        Args:
            texts: of a payload, all of them unknown.
        """
        for text in texts if self.room else ():
            size = len(text) + _OBJECT
            if self.room is not None and size <= self.room:
                self.room -= size
                self._texts.add(text)


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
