"""Bounds on how much of a client's data is looked at."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


class TooMuchError(Exception):
    """A text would need more work than its length allows."""


class Allowance:
    """What may be spent on one text.

    Args:
        places: how many places in it may be examined.
        shared: by several texts, of which this is a part; None if it is by itself.

    Attributes:
        left: how many places are left.
    """

    __slots__ = ("_shared", "left")

    def __init__(self, places: int, shared: Allowance | None = None) -> None:
        self.left: int = places if shared is None else min(places, max(shared.left, 0))
        self._shared = shared

    def charge(self, places: int) -> None:
        """Take places only off what several texts share.

        Args:
            places: how many.
        """
        if self._shared is not None:
            self._shared.left -= places

    def spend(self, places: int) -> None:
        """Take places off the allowance.

        Args:
            places: how many.

        Raises:
            TooMuchError: fewer are left.
        """
        self.left -= places
        self.charge(places)
        if self.left < 0:
            raise TooMuchError


class Bounds:
    """A number of steps and characters, shared by everything that is looked at for one request.

    Args:
        steps: how many cookies, addresses, parameters and parts may be looked at.
        characters: how much text may be searched for parts.

    Attributes:
        steps: how many are left.
        are_exceeded: whether there was more than that.
    """

    __slots__ = ("_characters", "are_exceeded", "steps")

    def __init__(self, steps: int, characters: int) -> None:
        self.steps = steps
        self._characters = characters
        self.are_exceeded = False

    def first(self, found: Iterable[Item]) -> list[Item]:
        """Return as many items as may be looked at.

        Args:
            found: all items; no more are consumed than necessary.
        """
        listed = list(islice(found, self.steps + 1))
        if len(listed) > self.steps:
            self.are_exceeded = True
            listed.pop()
        self.steps -= len(listed)
        return listed

    def step(self) -> bool:
        """Take a step, and return whether there was one left."""
        if self.steps > 0:
            self.steps -= 1
        else:
            self.are_exceeded = True
        return not self.are_exceeded

    def may_take(self, steps: int) -> bool:
        """Take several steps, and return whether that many were left.

        Args:
            steps: how many; if fewer are left, all are taken.
        """
        if steps > self.steps:
            self.are_exceeded = True
        self.steps = max(self.steps - steps, 0)
        return not self.are_exceeded

    def may_read(self, length: int) -> bool:
        """Take some characters, and return whether that many were left.

        Args:
            length: of a text that is examined closely.
        """
        self._characters -= length
        if self._characters < 0:
            self.are_exceeded = True
        return self._characters >= 0


class Search:
    """A search through a text that can skip ahead, past parts that are done.

    Args:
        pattern: what to search for.
        text: any.

    Attributes:
        position: where the search continues; it may be moved forward.
    """

    __slots__ = ("_pattern", "_text", "position")

    def __init__(self, pattern: re.Pattern[str], text: str) -> None:
        self._pattern = pattern
        self._text = text
        self.position = 0

    def __iter__(self) -> Iterator[re.Match[str]]:
        search, text = self._pattern.search, self._text
        hit = search(text)
        while hit is not None:
            self.position = max(hit.end(), self.position)
            yield hit
            hit = search(text, self.position)
