"""Find the end of a value in quotes or brackets, in text written by Python, JSON or SQL."""

from __future__ import annotations

import re

from sentry_paste.redaction.appearance import looks_random

_MOST_MARKS = 500
_LONGEST_TRIPLED = 16_384
_SPACE = re.compile(r"\s*")
# What may come between a name and its value, and before the opening quote.
_PREFIX = re.compile(r"[ \t]*(?:[A-Za-z_][\w.]{0,40}\(){0,3}(?:[bBuUrRfF]{1,2}(?=\\*[\"']))?")
_QUOTE = re.compile(r"(\\*)([\"'])")
# A closing quote, the end of the line, and an opening quote; pprint indents the next piece. Or, between the
# quotes, what joins texts in SQL and in programs.
_NEXT_PIECE = re.compile(
    r"\\{0,64}[\"'](?:(?:\r?\n|\\{1,64}n)[ \t]{1,200}b?|\s{0,9}(?:\|\||\+)\s{0,9}[ENbr]?)(\\{0,64})([\"'])"
)
_NEXT_ARGUMENT = re.compile(r"\\{0,64}[\"']\s{0,9},")
_MOST_PIECES = 500
# How a shell joins what is quoted with a single quote: 'it'"'"'s'.
_JOINED = re.compile(r"'\\{0,64}\"'\\{0,64}\"'")
# The quote before an item of a list.
_OPENING = re.compile(r"[\[(,]\s?(?<!\\)(\\*)([\"'])\Z")
_MOST_BEFORE = 20
# A run of backslashes is matched as a whole, even if no quote follows it.
_MARK = re.compile(r"(\\+)([\"'])?|([\"'])|[\[\](){}]")
# The part of an SQL expression outside quotes and brackets; and the most parts that are looked at.
_PLAIN_SQL = re.compile(r"[^'\"(),\\]*")
_MOST_IN_EXPRESSION = 50
_CALL = re.compile(r"[A-Za-z_][\w.]{0,80}\((?=[A-Za-z_]\w{0,60}=)")
_INDENT = re.compile(r"[ \t]*")
_MOST_INDENT = 80
# What opens the text in quotes whose first line a line is.
_OPENED = re.compile(r"\A(?:.*[\[(,:=]\s?)?(?:b?\\{0,64}[\"']){1,4}")
_FIELD = re.compile(r"\{(\w{1,60})\}")


def closed_value(text: str, start: int, limit: int | None = None) -> tuple[int, int] | None:
    """Locate a value in quotes, without the quotes, or a list or a mapping.

    Args:
        text: any.
        start: where the value, or whitespace before it, begins.
        limit: how far to search for the closing quote, None for the end of the text.

    Returns:
        Beginning and end, None if it is something else.
    """
    prefix = _PREFIX.match(text, start)
    begin = prefix.end() if prefix else start
    quote = _QUOTE.match(text, begin)
    if quote:
        tripled = _tripled(text, quote.end(), quote[2], limit)
        if tripled is not None:
            return tripled
        end = _end_of_quoted(text, quote.end(), limit, quote[2], len(quote[1]))
        end = _end_of_pieces(text, end, limit)
        call = text.find("(", start, begin) if limit is None else -1
        if call >= 0 and (text.count("(", start, begin) > 1 or _NEXT_ARGUMENT.match(text, end)):
            end = max(end, _end_of_brackets(text, call) - 1)  # HASHBYTES('SHA2_256', '...')
        return quote.end(), end
    if text[begin : begin + 1] in ("[", "(", "{") and begin < len(text) and not _is_field(text, begin):
        return begin, _end_of_brackets(text, begin)
    return None


def _is_field(text: str, begin: int) -> bool:
    """Return whether a placeholder of a template begins at a place; ODBC has a password in such brackets."""
    found = _FIELD.match(text, begin)
    return found is not None and not looks_random(found[1])


def _tripled(text: str, start: int, quote: str, limit: int | None) -> tuple[int, int] | None:
    """Locate a value in three quotes, as Python and TOML have it, None if it is in one or in none."""
    if not text.startswith(quote * 2, start):
        return None
    begin = start + 2
    end = text.find(quote * 3, begin, begin + _LONGEST_TRIPLED if limit is None else limit)
    return (begin, end) if end > begin else None


def indented_value(text: str, name: int, start: int, header: re.Pattern[str]) -> tuple[int, int] | None:
    """Locate lines that are indented further than the one before them, which has a name.

    Args:
        text: any.
        name: where the name begins.
        start: behind its sign.
        header: what is left of its line; the first group matches the line's end, raw or escaped.

    Returns:
        Beginning and end, None if the next line is none of them.
    """
    found = header.match(text, start)
    if found is None:
        return None
    depth = _indent_before(text, name, found[1][-1])
    if depth is None:
        return None
    at = end = found.end()
    for _ in range(_MOST_PIECES):
        inner = _INDENT.match(text, at)
        after = text.find(found[1], at)
        last = after if after >= 0 else len(text)
        if inner is None or (inner.end() < last and inner.end() - at <= depth):
            break
        at, end = last + len(found[1]), last
        if after < 0:
            break
    else:
        end = len(text)
    return (found.end(), end) if end > found.end() else None


def _indent_before(text: str, name: int, end_of_line: str) -> int | None:
    """Return how far a name is indented, None if it does not begin its line."""
    line = text.rfind(end_of_line, max(name - _MOST_INDENT, 0), name) + 1
    before = text[max(line, name - _MOST_INDENT) : name]
    before = _OPENED.sub("", before)
    return None if before.strip(" \t-") else len(before)


def listed_value(text: str, name: int, start: int, header: re.Pattern[str]) -> tuple[int, int] | None:
    """Locate the lines of a list in YAML, which may be indented as far as the name.

    Args:
        text: any.
        name: where the name begins.
        start: behind its sign.
        header: what is left of its line; the first group matches the line's end, raw or escaped.

    Returns:
        Beginning and end, None if the name does not begin its line.
    """
    found = header.match(text, start)
    if found is None:
        return None
    depth = _indent_before(text, name, found[1][-1])
    if depth is None:
        return None
    at = end = found.end()
    for _ in range(_MOST_PIECES):
        inner = _INDENT.match(text, at)
        after = text.find(found[1], at)
        last = after if after >= 0 else len(text)
        inside = inner.end() if inner else at
        is_item = text.startswith("- ", inside) and inside - at >= depth
        if not is_item and inside - at <= depth and inside < last:
            break
        at, end = last + len(found[1]), last
        if after < 0:
            break
    else:
        end = len(text)
    return (found.end(), end) if end > found.end() else None


def closed_call(text: str, start: int) -> tuple[int, int] | None:
    """Locate what repr() shows of an object, with brackets: Secret(value='...').

    Args:
        text: any.
        start: where it begins.

    Returns:
        Beginning and end, None if it is something else or has no text.
    """
    call = _CALL.match(text, start)
    if call is None:
        return None
    end = _end_of_brackets(text, call.end() - 1)
    has_text = text.find("'", start, end) >= 0 or text.find('"', start, end) >= 0
    return (start, end) if has_text else None


def _end_of_pieces(text: str, end: int, limit: int | None) -> int:
    """Return where quoted text ends that goes on in the next line, as ``pprint`` writes a long one.

    Args:
        text: any.
        end: of the first piece.
        limit: how far to search for closing quotes, None for the end of the text.
    """
    last = len(text) if limit is None else limit
    for _ in range(_MOST_PIECES):
        piece = _NEXT_PIECE.match(text, end, last)
        if piece is None:
            return end
        end = _end_of_quoted(text, piece.end(), limit, piece[2], len(piece[1]))
    return last


def _end_of_quoted(text: str, start: int, limit: int | None, quote: str, before: int) -> int:
    """Return where quoted text ends whose opening quote is preceded by this many backslashes.

    A quote within it has one backslash more, as Python and JSON write it, and twice as many at each further
    level of nesting; or it is doubled, as in SQL.
    """
    at = floor = start
    for _ in range(_MOST_MARKS):
        at = text.find(quote, at, limit)
        if at < 0:
            break
        segment = text[floor:at]
        run = len(segment) - len(segment.rstrip("\\"))
        if run < before:
            return at - run  # the quote closes the surrounding text
        if _closes(run, before):
            if before or not text.startswith(quote, at + 1):
                joined = None if before else _JOINED.match(text, at)
                if joined is None and not (at == floor > start and _goes_on(text, at, before)):
                    return at - before
                at = joined.end() - 1 if joined else at
            else:
                at += 1
        at += 1
        floor = at
    return len(text) if limit is None else limit


def _goes_on(text: str, at: int, before: int) -> bool:
    """Return whether a quote right behind an escaped one is doubled: in SQL, backslashes escape nothing."""
    return not before and text[at] == "'" and text[at + 1 : at + 2].isalnum()


def end_of_item(text: str, begin: int, start: int) -> int | None:
    """Return where an item of a list ends that is a text in quotes, None if it is none.

    Args:
        text: any.
        begin: where the item begins, behind its quote.
        start: from where on its closing quote is searched for.
    """
    opening = _OPENING.search(text, max(begin - _MOST_BEFORE, 0), begin)
    if opening is None:
        return None
    before = len(opening[1])
    end = _end_of_quoted(text, start, None, opening[2], before)
    return end if text[end + before + 1 : end + before + 2] in (",", "]", ")") else None


def _closes(run: int, before: int) -> bool:
    """Return whether a quote after ``run`` backslashes ends text that a quote after ``before`` ones opened.

    Two backslashes where there were none are either a backslash at the end of the value, or an escaped quote
    in text that is itself in other quotes. The ambiguity is resolved by hiding more.
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
    """Locate the values of a row in SQL, with their quotes.

    Args:
        text: any.
        start: where the first one begins.
        most: how many values the row must have.

    Returns:
        Beginnings and ends; None unless it is certain where each value ends.
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
    """Return where whitespace in a text ends.

    Args:
        text: any.
        start: where it may begin.
    """
    found = _SPACE.match(text, start)
    return found.end() if found else start
