"""Where a value ends that quotes or brackets enclose, in text as Python, JSON and SQL write it."""

from __future__ import annotations

import re

_MOST_MARKS = 500
_SPACE = re.compile(r"\s*")
# What stands between a name and its value, and how a value begins.
_PREFIX = re.compile(r"[ \t]*(?:[A-Za-z_][\w.]{0,40}\()?(?:[bBuUrRfF]{1,2}(?=\\*[\"']))?")
_QUOTE = re.compile(r"(\\*)([\"'])")
# A run of backslashes is taken whole, also where there is no quote behind it.
_MARK = re.compile(r"(\\+)([\"'])?|([\"'])|[\[\](){}]")
# Of an expression in SQL what is in no quotes or brackets; and so many parts are looked at.
_PLAIN_SQL = re.compile(r"[^'\"(),\\]*")
_MOST_IN_EXPRESSION = 50
_FIELD = re.compile(r"\{\w{1,60}\}")


def closed_value(text: str, start: int, limit: int | None = None) -> tuple[int, int] | None:
    """Return where a value in quotes stands, without them, or a list or a mapping.

    Args:
        text: any.
        start: where the value begins, or blanks before it.
        limit: how far a closing quote is looked for, None for the end of the text.

    Returns:
        Beginning and end, None where it is something else.
    """
    prefix = _PREFIX.match(text, start)
    begin = prefix.end() if prefix else start
    quote = _QUOTE.match(text, begin)
    if quote:
        end = _end_of_quoted(text, quote.end(), limit, quote[2], len(quote[1]))
        return quote.end(), end
    if text[begin : begin + 1] in ("[", "(", "{") and begin < len(text) and not _FIELD.match(text, begin):
        return begin, _end_of_brackets(text, begin)
    return None


def _end_of_quoted(text: str, start: int, limit: int | None, quote: str, before: int) -> int:
    """Return where a text in quotes ends, whose opening quote has so many backslashes before it.

    A quote in it has one more, as Python and JSON write it, and twice as many where that is in a text again;
    or it is doubled, as in SQL.
    """
    at = floor = start
    for _ in range(_MOST_MARKS):
        at = text.find(quote, at, limit)
        if at < 0:
            break
        segment = text[floor:at]
        run = len(segment) - len(segment.rstrip("\\"))
        if run < before:
            return at - run  # of the text around it
        if _closes(run, before):
            if before or not text.startswith(quote, at + 1):
                return at - before
            at += 1
        at += 1
        floor = at
    return len(text) if limit is None else limit


def _closes(run: int, before: int) -> bool:
    """Return whether a quote with so many backslashes before it ends a text whose opening quote had so many.

    Two backslashes where there were none are one at the end of the value, or an escaped quote in a text that
    is in another kind of quotes again: then more is hidden rather than less.
    """
    return run <= before or (before > 0 and (run - before) % (2 * (before + 1)) == 0)


def _end_of_brackets(text: str, start: int) -> int:
    """Return where a list or a mapping ends."""
    depth, quote, before = 0, "", 0
    for count, found in enumerate(_MARK.finditer(text, start)):
        if count > _MOST_MARKS:
            break
        mark = found[2] or found[3]
        if mark:
            run = len(found[1] or "")
            if not quote:
                quote, before = mark, run
            elif mark == quote and _closes(run, before):
                quote = ""
        elif not quote and not found[1]:
            depth += 1 if found[0] in "[({" else -1
            if depth == 0:
                return found.end()
    return len(text)


def values_of_row(text: str, start: int, most: int) -> list[tuple[int, int]] | None:
    """Return where in SQL the values of a row stand, with their quotes.

    Args:
        text: any.
        start: where the first one begins.
        most: of so many.

    Returns:
        Beginnings and ends; None where it is not certain where each ends.
    """
    found: list[tuple[int, int]] = []
    at = start
    for _ in range(most):
        begin = after_space(text, at)
        end = _end_of_expression(text, begin)
        if end is None:
            return None
        found.append((begin, end))
        if text[end : end + 1] != ",":
            break
        at = end + 1
    return found if len(found) == most else None


def _end_of_expression(text: str, start: int) -> int | None:
    """Return where an expression of SQL ends: at a comma, a bracket, the end of the text."""
    at = start
    for _ in range(_MOST_IN_EXPRESSION):
        plain = _PLAIN_SQL.match(text, at)
        at = plain.end() if plain else at
        if text[at : at + 1] in (",", ")", ""):
            return at
        closed = closed_value(text, at)
        if closed is None:
            return None
        if closed[0] == at:
            at = closed[1]
            continue
        # The closing quote has as many backslashes as the opening one.
        at = min(closed[1] + closed[0] - at, len(text))
        if text[at : at + 1].isalnum():
            return None
    return None


def after_space(text: str, start: int) -> int:
    """Return where in a text blanks and line ends end.

    Args:
        text: any.
        start: where they may begin.
    """
    found = _SPACE.match(text, start)
    return found.end() if found else start
