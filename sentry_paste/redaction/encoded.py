"""How names and values are encoded in queries, URLs and forms, at each level: where they begin and end."""

from __future__ import annotations

import re
from urllib.parse import unquote

from sentry_paste.redaction.bounds import Bounds

#: How many levels of nested URLs are followed: %3D is one level, %253D two.
DEPTH = 6
#: A percent sign at any of the levels.
PERCENT = rf"%(?:25){{0,{DEPTH - 1}}}"


def encoded(codes: str) -> str:
    """Return a pattern of some characters that are percent-encoded, at any of the levels.

    A search that leaps to percent signs meets many of them in a hostile text. To begin a repetition at each
    takes twice as long as to compare what follows.

    Args:
        codes: of the characters, a pattern that does not match 25.
    """
    return f"%(?:{codes}|25(?:25){{0,{DEPTH - 2}}}(?:{codes}))"


#: What is neither part of a name of one word, nor an encoded character of one.
NO_NAME = re.compile(rf"[^\w.~\[\]%-]|%(?!(?:25){{0,{DEPTH - 1}}}(?:5b|5d|2d|2e|5f|[89a-f][0-9a-f]))")
#: A percent sign at a level that is not followed.
TOO_DEEP = "%" + "25" * DEPTH
#: How much of a name is read at first, and of a longer one: more than the longest that is not secret anyway.
LONGEST_NAME = 80
LONGEST_SEEN = 400
#: What names of one word consist of, and quotes around names and values.
RUN = r"[\w.~\[\]-]"
ANY_QUOTE = rf"(?:[\"']|{PERCENT}2[27])"
#: Whitespace, as in JSON and forms.
BLANK = rf"(?:[\s+]|{PERCENT}(?:20|0[9ad]))"
#: How many backslashes or blanks in a row are looked at: JSON in JSON has 1,023 at its tenth level. If a
#: secret parameter has more, the rest of it is hidden as a whole.
LONGEST_ROW = 1024
#: A quote after a name. re remembers a position for each repetition of a group.
QUOTE = rf"(?P<quote>\\*(?:{PERCENT}5c){{0,{LONGEST_ROW}}}{ANY_QUOTE})"
BACKSLASHES = rf"(\\{{0,{LONGEST_ROW}}}(?:{PERCENT}5c){{0,{LONGEST_ROW}}})"
BLANKS = rf"{BLANK}{{0,{LONGEST_ROW}}}"
# What can precede a name without being part of it: a separator, a quote, a bracket, encoded or not.
_EDGE = re.compile(rf"[^\w.~\[\]%-]|{PERCENT}(?:2[0-46-9a-cf]|3[a-f]|5c|7[b-d]|60|0[ad])", re.IGNORECASE)
_BACKWARDS = re.compile(rf"{RUN}*")
_SPACES = re.compile(BLANKS, re.IGNORECASE)
_VALUE_QUOTE = re.compile(rf"{BACKSLASHES}({ANY_QUOTE})?", re.IGNORECASE)
_BRACKET = re.compile(rf"[\[{{]|{PERCENT}[57]b", re.IGNORECASE)
# Reversed, so that matching starts at the end of the run and reads nothing before it.
_BACKSLASHES_BEFORE = re.compile(rf"(?:\\|c5(?:52){{0,{DEPTH - 1}}}%)*", re.IGNORECASE)
# How many quotes in a JSON value are examined, and how far before each; beyond that, it is hidden as a whole.
_MOST_QUOTES = 100
_MOST_BACKSLASHES = 256
_NOTHING = frozenset({"null", "true", "false", "none"})


def lower_case(text: str) -> str:
    """Return a text in lower case, with every character at the same place.

    Args:
        text: any.
    """
    lower = text.lower()
    # The only letter whose lower case is two characters (Unicode's SpecialCasing.txt).
    return lower if len(lower) == len(text) else text.replace("\u0130", "I").lower()


def decoded(name: str) -> str:
    """Return a name without percent-encoding, however often it is encoded.

    Args:
        name: as written.
    """
    for _ in range(DEPTH):
        before = name
        name = unquote(name) if "%" in name else name
        if name == before:
            break
    return name


def is_cut(hit: re.Match[str]) -> bool:
    """Return whether a name is longer than the pattern that found it reads.

    Args:
        hit: of a pattern whose first group follows the word that it leaps to.
    """
    return len(hit[1]) >= LONGEST_NAME


def end_of_run(lower: str, start: int) -> int:
    """Return where a name ends, parts of which may be percent-encoded: ``user%5Btoken%5D``.

    Args:
        lower: a text in lower case.
        start: somewhere in the name.
    """
    found = NO_NAME.search(lower, start)
    return found.start() if found else len(lower)


def name_at(text: str, begin: int, end: int) -> str:
    """Return the decoded name that contains the word at a place."""
    window = text[max(begin - LONGEST_NAME, 0) : begin]
    name = text[begin : min(end, begin + LONGEST_SEEN)].rstrip()
    if "%" not in window and "%" not in name:
        # Matched on the reversed text, so that each letter is read once.
        found = _BACKWARDS.match(window[::-1])
        return window[len(window) - (found.end() if found else 0) :] + name
    name = _EDGE.split(window + name)[-1]
    return decoded(name).rstrip("\\")


def _ends(level: int, is_prose: bool) -> re.Pattern[str]:
    raw = r"&#\s'\"<>" if is_prose else "&#"
    # One character class at the beginning, so that the search can leap.
    return re.compile(rf"[{raw}%](?:(?<!%)|(?<=%)(?:25){{0,{level - 1}}}2[236])" if level else f"[{raw}]")


_ENDS = {is_prose: [_ends(level, is_prose) for level in range(DEPTH + 1)] for is_prose in (False, True)}
# The ends of a number or another unquoted value in JSON.
_PLAIN_ENDS = [
    re.compile(
        r"[,}\]&#\s]" + (rf"|%(?:25){{0,{level - 1}}}(?:2c|7d|5d|20|26)" if level else ""), re.IGNORECASE
    )
    for level in range(DEPTH + 1)
]


def end_of_value(text: str, start: int, level: int, limit: int, is_prose: bool) -> int:
    """Return where the value of name=value ends, percent-encoded ``level`` times."""
    found = _ENDS[is_prose][min(level, DEPTH)].search(text, start, limit)
    return found.start() if found else limit


def json_value(
    text: str, start: int, level: int, limit: int, bounds: Bounds | None = None
) -> tuple[int, int]:
    """Locate the value of a member in JSON that is itself a parameter.

    Args:
        text: the text that contains it.
        start: the place after the colon.
        level: how many times it is percent-encoded.
        limit: where the text ends.
        bounds: how many quotes within values may be examined, if several values share it.
    """
    spaces = _SPACES.match(text, start, limit)
    quoted = _VALUE_QUOTE.match(text, spaces.end(), limit) if spaces else None
    if spaces is None or quoted is None:  # for mypy: both patterns always match
        return start, limit
    is_endless = max(map(len, (spaces[0], quoted[1]))) >= LONGEST_ROW
    start = spaces.end()
    if not quoted[2]:
        if is_endless or _BRACKET.match(text, start, limit):
            # Hide all of it, and the rest of the parameter.
            return start, end_of_value(text, start, 0, limit, is_prose=False)
        found = _PLAIN_ENDS[min(level, DEPTH)].search(text, start, limit)
        end = found.start() if found else limit
        return (start, start) if text[start:end].lower() in _NOTHING else (start, end)
    begin, quote = quoted.end(), quoted[2]
    before = _count_backslashes(quoted[1])
    seen, at = begin, text.find(quote, begin, limit)
    for _ in range(_MOST_QUOTES):
        if at < 0:
            break
        # An ampersand ends the parameter, even within a string of JSON.
        end = end_of_value(text, seen, 0, at, is_prose=False)
        if end < at:
            return begin, end
        window = text[max(at - _MOST_BACKSLASHES, begin) : at][::-1]
        escaped = _BACKSLASHES_BEFORE.match(window)
        length = escaped.end() if escaped else 0
        run = _count_backslashes(window[:length])
        is_whole = length < _MOST_BACKSLASHES - len(TOO_DEEP)
        if is_whole and (run <= before or (before and (run - before) % (2 * (before + 1)) == 0)):
            return begin, at - (length if run >= before else 0)
        seen = at + 1
        if bounds is not None and not bounds.step():
            break
        at = text.find(quote, seen, limit)
    return begin, end_of_value(text, seen, 0, limit, is_prose=False)


def _count_backslashes(run: str) -> int:
    """Return the number of backslashes in a run of them, each raw or percent-encoded."""
    return run.count("\\") + run.count("%")
