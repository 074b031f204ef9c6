"""Highlight source lines with Pygments, if it is installed. Without it, they are plain text."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from functools import lru_cache

from markupsafe import Markup, escape

from sentry_paste.inbox.present import printable
from sentry_paste.spool.contents import Frame

try:
    from pygments.lexers.python import PythonLexer
    from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType
except ImportError:
    _HAS_PYGMENTS = False
else:
    _HAS_PYGMENTS = True
    # Classes of the style sheet, the first that a token is of.
    _CLASSES: tuple[tuple[_TokenType, str], ...] = (
        (Comment, "hl-comment"),
        (Keyword, "hl-keyword"),
        (Operator.Word, "hl-keyword"),
        (String.Interpol, "hl-plain"),
        (String, "hl-string"),
        (Number, "hl-number"),
        (Name.Builtin, "hl-builtin"),
        (Name.Decorator, "hl-name"),
        (Name.Function, "hl-name"),
        (Name.Class, "hl-name"),
    )

# Longer source is shown plain: nobody reads it, and a lexer of regular expressions may take long.
_MAX_CHARACTERS = 4000
_MAX_LINE = 400

# How long the source of one page may take, in seconds; what is left of it is plain.
_MAX_SECONDS = 0.5

# A snippet may begin within a text of several lines, and how it began is not in it.
_BEGINNINGS = ("", '"""\n', "'''\n")


class Sources:
    """The source lines of one page, highlighted as long as that does not take too long."""

    def __init__(self) -> None:
        self._left = _MAX_SECONDS

    def __call__(self, frame: Frame) -> list[tuple[int, str | Markup]]:
        """Return the line numbers and lines of a frame's source.

        Args:
            frame: a frame with its source.
        """
        if self._left <= 0:
            return plain(frame)
        begin = time.monotonic()
        lines = source(frame)
        self._left -= time.monotonic() - begin
        return lines


def plain(frame: Frame) -> list[tuple[int, str | Markup]]:
    """Return the line numbers and lines of a frame's source as they are.

    Args:
        frame: a frame with its source.
    """
    return list(frame.context)


def source(frame: Frame) -> list[tuple[int, str | Markup]]:
    """Return the line numbers and lines of a frame's source, highlighted if that is possible.

    Args:
        frame: a frame with its source.
    """
    lines = [printable(line) for _, line in frame.context]
    numbers = [number for number, _ in frame.context]
    code = "\n".join(lines)
    is_small = len(code) <= _MAX_CHARACTERS and all(len(line) <= _MAX_LINE for line in lines)
    if _HAS_PYGMENTS and is_small and lines and frame.filename.endswith((".py", ".pyw", ".pyi")):
        current = numbers.index(frame.line) if frame.line in numbers else 0
        found = _highlighted(code, current)
        if len(found) == len(lines):
            return list(zip(numbers, found))
    return plain(frame)


@lru_cache(maxsize=512)
def _highlighted(code: str, current: int) -> tuple[Markup, ...]:
    """Return highlighted lines; the current one is code, and so is not within a text of several lines."""
    tries = (_lines(code, beginning) for beginning in _BEGINNINGS)
    found = next(tries)
    for other in (found, *tries):
        if current < len(other) and any(
            class_ != "hl-string" for class_, text in other[current] if text.strip()
        ):
            found = other
            break
    return tuple(map(_line, found))


def _lines(code: str, beginning: str) -> list[list[tuple[str, str]]]:
    """Return classes and texts of the tokens in each line."""
    lines: list[list[tuple[str, str]]] = [[]]
    for class_, text in _tokens(beginning + code):
        first, *others = text.split("\n")
        lines[-1].append((class_, first))
        lines += [[(class_, other)] for other in others]
    return lines[beginning.count("\n") :]


def _tokens(code: str) -> Iterator[tuple[str, str]]:
    for type_, text in PythonLexer(stripnl=False, ensurenl=False).get_tokens(code):
        yield next((name for kind, name in _CLASSES if type_ in kind), ""), text


def _line(tokens: Sequence[tuple[str, str]]) -> Markup:
    return Markup().join(
        Markup('<span class="{}">{}</span>').format(class_, text) if class_ else escape(text)
        for class_, text in tokens
    )
