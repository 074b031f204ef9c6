"""Text on a terminal.

A crash's message is foreign text: control characters, which could move a
terminal's cursor or change its title, are shown as escapes.
"""

from __future__ import annotations

import os
import shutil
import textwrap
import time
from collections.abc import Callable
from typing import TextIO

from sentry_paste.cli.spool.sending import Progress

_WIDTH = 100


def wants_colour(stream: TextIO) -> bool:
    """Return whether to colour what is written: on a terminal, unless NO_COLOR is set (https://no-color.org).

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


_BAR_WIDTH = 30
# Seconds from one drawing of the bar to the next, and from one line to the next.
_DRAW_AGAIN = 0.1
_TELL_AGAIN = 10.0


class Meter:
    """Shows progress as it is told of it.

    Args:
        stream: what it is written to.
        clock: seconds, which only grow.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._begun = clock()
        self._shown = self._begun if not self._is_terminal else float("-inf")
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Show it, if it is time to.

        Args:
            progress: as it is now.
        """
        now = self._clock()
        if now - self._shown < (_DRAW_AGAIN if self._is_terminal else _TELL_AGAIN):
            return
        self._shown = now
        if self._is_terminal:
            self._draw(f"{bar(progress)} {progress_text(progress, now - self._begun)}")
        else:
            print(progress_text(progress, now - self._begun), file=self._stream, flush=True)

    def _draw(self, text: str) -> None:
        text = text[: shutil.get_terminal_size().columns - 1]
        # Blanks, and no escape sequence: what is longer from before is overwritten on any terminal.
        print(f"\r{text.ljust(self._width)}", end="", file=self._stream, flush=True)
        self._width = len(text)

    def end(self) -> float:
        """Clear the bar; return the seconds since the beginning."""
        if self._width:
            print(f"\r{' ' * self._width}\r", end="", file=self._stream, flush=True)
            self._width = 0
        return self._clock() - self._begun


def bar(progress: Progress) -> str:
    """Return a bar as long as what is done.

    Args:
        progress: as it is now.
    """
    done = progress.files - progress.left
    length = _BAR_WIDTH * done // progress.files if progress.files else _BAR_WIDTH
    return f"[{'#' * length}{'.' * (_BAR_WIDTH - length)}]"


def progress_text(progress: Progress, seconds: float) -> str:
    """Return how much is done, how fast it goes, how long the rest takes, and what it waits for.

    Args:
        progress: as it is now.
        seconds: since the beginning.
    """
    done = progress.files - progress.left
    parts = [f"{done:,} of {progress.files:,}"]
    if done and seconds > 0:
        parts.append(f"{done / seconds:.1f}/s")
        parts.append(f"{progress.left * seconds / done:.0f} s left")
    if progress.aside:
        parts.append(f"{sum(progress.aside.values()):,} set aside")
    if progress.waiting >= 1:
        parts.append(f"waiting {progress.waiting:.0f} s: {clean(progress.trouble)}")
    return "  ".join(parts)
