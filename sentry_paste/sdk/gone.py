"""Options and arguments that a major version of the SDK has dropped, and what becomes of them in an ini."""

from __future__ import annotations

from typing import Any, NamedTuple


class GoneOption(NamedTuple):
    """An option that the installed SDK has no longer.

    Attributes:
        default: its default in the SDK that had it.
        annotation: its type there, as source.
        note: what it does now and what to write instead, as the end of a sentence that begins with its name;
            empty if it means what it meant.
    """

    default: Any
    annotation: str
    note: str = ""


class GoneArgument(NamedTuple):
    """An argument of an integration that the installed SDK has no longer.

    Attributes:
        note: what it does now, as the end of a sentence that begins with its name.
    """

    note: str
