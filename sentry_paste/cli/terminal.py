"""Text on a terminal.

A crash's message is foreign text: control characters, which could move a
terminal's cursor or change its title, are shown as escapes.
"""

from __future__ import annotations

import os
import textwrap
from typing import TextIO

_WIDTH = 100


def wants_colour(stream: TextIO) -> bool:
    """Tell whether to colour what is written: on a terminal, unless NO_COLOR is set (https://no-color.org).

    Args:
        stream: what it is written to.
    """
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def wrapped(text: str, indent: str = "  ") -> list[str]:
    """Return a text in lines that are not too long; no word is broken.

    Args:
        text: on one line.
        indent: that each begins with.
    """
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def clean(text: str) -> str:
    """Return text without control characters: those are shown as escapes.

    Args:
        text: of an envelope.
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
