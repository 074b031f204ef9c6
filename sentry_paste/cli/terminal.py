"""Text and progress on a terminal.

Messages of crashes may come from a client: their control characters, which could
move the cursor or change the terminal's title, are shown as escapes.
"""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable
from typing import TextIO

from sentry_paste.cli.spool.sending import Progress
from sentry_paste.config.errors import printable

# The width of what is not written to a terminal, and the most on one: longer lines are hard to read.
_WIDTH = 100
_LEAST_WIDTH = 40


def terminal_width(stream: TextIO | None = None) -> int | None:
    """Return the width of the terminal, None if a stream is written to a file or a pipe.

    Args:
        stream: the stream, default standard output.
    """
    if not (stream or sys.stdout).isatty():
        return None
    return max(_LEAST_WIDTH, shutil.get_terminal_size((_WIDTH, 24)).columns)


def text_width() -> int:
    """Return the width of text on standard output: up to 100 characters."""
    return min(terminal_width() or _WIDTH, _WIDTH)


def wants_colour(stream: TextIO) -> bool:
    """Return whether to use colours: on a terminal, unless NO_COLOR is set (https://no-color.org).

    Args:
        stream: stream that the text is written to.
    """
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def wrapped(text: str, indent: str = "  ") -> list[str]:
    """Wrap text into lines that fit the terminal, of up to 100 characters, without breaking words.

    Args:
        text: text on one line.
        indent: indent of each line.
    """
    return textwrap.wrap(
        text,
        text_width(),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


# Progress of sending a spool.

_BAR_WIDTH = 30
# Seconds between two drawings of the bar on a terminal, and between two lines elsewhere.
_DRAW_INTERVAL = 0.1
_LINE_INTERVAL = 10.0


class ProgressMeter:
    """Shows progress: as a bar on a terminal, as a line now and then elsewhere.

    Args:
        stream: stream to write to.
        clock: monotonic clock, in seconds.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._is_terminal = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._started = clock()
        self._shown = self._started if not self._is_terminal else float("-inf")
        self._width = 0

    def __call__(self, progress: Progress) -> None:
        """Show the progress, unless it was shown just now.

        Args:
            progress: current progress.
        """
        now = self._clock()
        if now - self._shown < (_DRAW_INTERVAL if self._is_terminal else _LINE_INTERVAL):
            return
        self._shown = now
        if self._is_terminal:
            self._draw(f"{bar(progress)} {progress_text(progress, now - self._started)}")
        else:
            print(progress_text(progress, now - self._started), file=self._stream, flush=True)

    def _draw(self, text: str) -> None:
        text = text[: shutil.get_terminal_size().columns - 1]
        # Blanks and no escape sequence overwrite the rest of a longer line on any terminal.
        print(f"\r{text.ljust(self._width)}", end="", file=self._stream, flush=True)
        self._width = len(text)

    def end(self) -> float:
        """Clear the bar; return the seconds since the start."""
        if self._width:
            print(f"\r{' ' * self._width}\r", end="", file=self._stream, flush=True)
            self._width = 0
        return self._clock() - self._started


def bar(progress: Progress) -> str:
    """Return a progress bar.

    Args:
        progress: current progress.
    """
    done = progress.files - progress.left
    length = _BAR_WIDTH * done // progress.files if progress.files else _BAR_WIDTH
    return f"[{'#' * length}{'.' * (_BAR_WIDTH - length)}]"


def progress_text(progress: Progress, seconds: float) -> str:
    """Return what is done, the rate, the time left, and the reason for a pause.

    Args:
        progress: current progress.
        seconds: time since the start.
    """
    done = progress.files - progress.left
    parts = [f"{done:,} of {progress.files:,}"]
    if done and seconds > 0:
        parts.append(f"{done / seconds:.1f}/s")
        parts.append(f"{progress.left * seconds / done:.0f} s left")
    if progress.aside:
        parts.append(f"{sum(progress.aside.values()):,} set aside")
    if progress.waiting >= 1:
        parts.append(f"waiting {progress.waiting:.0f} s: {printable(progress.problem)}")
    return "  ".join(parts)
