"""What has stayed as it is in the spans of a request, which is not examined again in the next one."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any

from sentry_paste.redaction.names import ENVIRON_KEYS, Names

# How many members are remembered, and how long they are.
_MOST, _LONGEST = 2000, 500
_NUMBERS = frozenset({int, float, bool})
# With one of these, another member may be the name of its value.
_KEYS_OF_VALUES = ("value", "Value", "VALUE")


class Unchanged:
    """Members of items that were searched for the secrets of one request, and have none.

    The spans of a request have the same release, server, database and mostly the same statements. What
    becomes of a member depends on no other, except in a copy of an environ and next to a ``value``.

    Args:
        names: which names are secret.
    """

    __slots__ = ("_members", "names", "rules")

    def __init__(self, names: Names) -> None:
        self.names = names
        self.rules = names.rules
        self._members: set[tuple[Any, Any]] = set()

    def without(self, attributes: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the attributes that are still to be examined; None if they have to be examined together.

        Args:
            attributes: of an item.
        """
        keys = attributes.keys()
        if not (keys.isdisjoint(_KEYS_OF_VALUES) and keys.isdisjoint(ENVIRON_KEYS)):
            return None
        known, plain = self._members, self.names.plain_keys
        # The value of a plain key may be any number, but the key itself may have a secret.
        return {
            name: value
            for name, value in attributes.items()
            if not (
                (name, value) in known
                if (kind := type(value)) is str
                else kind in _NUMBERS and name in plain and (name, kind) in known
            )
        }

    def has(self, kind: Any, text: Any) -> bool:
        """Return whether a text of an item is known to stay.

        Args:
            kind: of the text.
            text: any.
        """
        return type(text) is str and (kind, text) in self._members

    def add(self, members: Mapping[Any, Any]) -> None:
        """Remember members that stay.

        Args:
            members: by their names, or kinds.
        """
        for name, value in islice(members.items(), max(_MOST - len(self._members), 0)):
            kind = type(value)
            if kind is str:
                if len(value) <= _LONGEST:
                    self._members.add((name, value))
            elif kind in _NUMBERS:
                self._members.add((name, kind))
