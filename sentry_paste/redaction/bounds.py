"""How much is looked at of what a client has sent."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")


class TooMuchError(Exception):
    """More is to be undone, or looked at, than a text of its length is given time for."""


class Allowance:
    """What may be spent on a text.

    Args:
        places: how many places of it may be looked at.

    Attributes:
        left: how many of them are left.
    """

    __slots__ = ("left",)

    def __init__(self, places: int) -> None:
        self.left = places

    def spend(self, places: int) -> None:
        """Take something away.

        Args:
            places: how much.

        Raises:
            TooMuchError: there is not that much left.
        """
        self.left -= places
        if self.left < 0:
            raise TooMuchError


class Bounds:
    """A number of steps, and of characters, that are shared by all that is looked at of one request.

    Args:
        steps: so many cookies, addresses, parameters and parts.
        characters: so much text that is looked at for its parts.

    Attributes:
        steps: how many are left.
        are_exceeded: whether there was more.
    """

    __slots__ = ("_characters", "are_exceeded", "steps")

    def __init__(self, steps: int, characters: int) -> None:
        self.steps = steps
        self._characters = characters
        self.are_exceeded = False

    def first(self, found: Iterable[Item]) -> list[Item]:
        """Return as many of some things as may be looked at.

        Args:
            found: what there is; no more is taken of it than may be.
        """
        listed = list(islice(found, self.steps + 1))
        if len(listed) > self.steps:
            self.are_exceeded = True
            listed.pop()
        self.steps -= len(listed)
        return listed

    def step(self) -> bool:
        """Take a step, and tell whether there was one left."""
        if self.steps > 0:
            self.steps -= 1
        else:
            self.are_exceeded = True
        return not self.are_exceeded

    def may_take(self, steps: int) -> bool:
        """Take several steps, and return whether there were so many left.

        Args:
            steps: how many; where there are fewer, none is left.
        """
        if steps > self.steps:
            self.are_exceeded = True
        self.steps = max(self.steps - steps, 0)
        return not self.are_exceeded

    def may_read(self, length: int) -> bool:
        """Take some characters, and tell whether there were so many left.

        Args:
            length: of a text that is looked at closely.
        """
        self._characters -= length
        if self._characters < 0:
            self.are_exceeded = True
        return self._characters >= 0


class Search:
    """A search through a text that can leap: what is found within a part that is done is not looked at.

    Args:
        pattern: what is searched for.
        text: any.

    Attributes:
        position: from where on it searches; it may be moved forward.
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
