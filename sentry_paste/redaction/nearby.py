"""Secrets of requests that a thread works for without being in their scopes, found through its frames."""

from __future__ import annotations

import functools
import math
import threading
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from sentry_paste.redaction import values
from sentry_paste.redaction.matcher import NO_SECRETS, Matcher
from sentry_paste.redaction.names import Names
from sentry_paste.redaction.needles import Secret

# Middleware outside the filter, or a thread that works for a request, logs several lines for one request.
# Keep up to this many matchers for that, with a limit on their size and their age in seconds.
_MATCHERS = 32
_SECRETS = 4 * values.MOST
_SECONDS = 10.0
# A thread may also serve each element of a batch as a request of its own, with all headers of the batch. So
# what a thread spends on new matchers within a second is limited: each value counts as one, and so does this
# number of characters. A server may have thousands of ordinary requests a second, so those count less; about
# 20 with 8 kB of cookies are allowed.
_SPENT_IN_A_SECOND, _CHARACTERS = 16_000, 25
_ORDINARY, _LEAST = 40, 2

_Seen = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]


class _Kept(NamedTuple):
    """A matcher that can be reused.

    Attributes:
        until: when it expires.
        size: how many values it has, and a part of the length of the texts that it was made of.
        matcher: the secrets.
    """

    until: float
    size: int
    matcher: Matcher


class _Spending(threading.local):
    """What a thread has spent on new matchers in the current second.

    Attributes:
        since: when the second began.
        left: what is left of it.
    """

    since = -math.inf
    left = 0

    def may_go_on(self) -> bool:
        """Return whether anything is left."""
        now = time.monotonic()
        if now - self.since >= 1:
            self.since, self.left = now, _SPENT_IN_A_SECOND
        return self.left > 0


@functools.lru_cache(maxsize=1)
def _exceeded() -> Matcher:
    """Return a matcher with which nothing is sent that could hold a secret."""
    return Matcher(values.too_many_secrets())


class Nearby:
    """Matchers of the requests whose environs were found in frames.

    Args:
        names: which names are secret.
    """

    def __init__(self, names: Names) -> None:
        self._names = names
        # By the content of the environs. Always replaced as a whole, so that threads need no lock.
        self._kept: dict[tuple[_Seen, ...], _Kept] = {}
        # Log items must not use up what events need.
        self._of_events, self._of_items = _Spending(), _Spending()

    def matcher(self, environs: Iterable[Mapping[str, Any]], *, is_event: bool = False) -> Matcher:
        """Return the secrets of requests; an exceeded matcher if the thread has had too many of them.

        Args:
            environs: WSGI environs, which the app may change at any time.
            is_event: whether it is for an event, and not for a log item.
        """
        # A subclass of dict may override its methods, and the app's code must not run here.
        copies = [dict(dict.items(environ)) for environ in environs if isinstance(environ, dict)]
        if not copies:
            return NO_SECRETS
        seen = tuple(map(self._seen, copies))
        kept = self._kept.get(seen)
        if kept is not None and kept.until > time.monotonic():
            return kept.matcher
        spending = self._of_events if is_event else self._of_items
        if not spending.may_go_on():
            return _exceeded()
        secrets: set[Secret] = set()
        spent = 0
        for keys, texts, users in seen:
            secrets |= values.of_request(dict(zip(keys, texts)), self._names)
            secrets.update(values.of_users(users))
            spent += sum(map(len, texts)) // _CHARACTERS
        spending.left -= max(spent + len(secrets) - _ORDINARY, _LEAST)
        matcher = Matcher(secrets) if secrets else NO_SECRETS
        self._keep(seen, len(secrets) + spent, matcher)
        return matcher

    def _seen(self, environ: dict[str, Any]) -> _Seen:
        # Only entries that may hold secrets: requests that differ in their paths can share a matcher.
        names = self._names
        strings = {
            key: value
            for key, value in environ.items()
            if type(value) is str and values.may_matter(key, value, names)
        }
        return tuple(strings), tuple(strings.values()), values.of_environ(environ, self._names)

    def _keep(self, seen: tuple[_Seen, ...], size: int, matcher: Matcher) -> None:
        now = time.monotonic()
        kept = {seen: _Kept(now + _SECONDS, size, matcher)}
        # Newest first.
        for other, before in self._kept.items():
            size += before.size
            if len(kept) == _MATCHERS or size > _SECRETS or before.until < now:
                break
            kept.setdefault(other, before)
        self._kept = kept
