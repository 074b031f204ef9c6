"""Secret parameters of query strings, URLs and forms, also of a URL or of JSON that is itself a parameter.

Parameters encoded in a parameter (``?next=%2Freset%3Ftoken%3D...``) are not decoded: their separators are
searched for as encoded, at each level. So a value is replaced in place, the rest of the text stays byte for
byte, and however deep the nesting, no text is scanned twice. One pattern leaps to the words that names of
secret parameters contain, and only there is the whole name checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from heapq import merge
from typing import NamedTuple
from urllib.parse import unquote_plus

from sentry_paste.redaction.bounds import Bounds, Search
from sentry_paste.redaction.encoded import (
    ANY_QUOTE,
    BACKSLASHES,
    BLANK,
    BLANKS,
    DEPTH,
    LONGEST_NAME,
    LONGEST_ROW,
    LONGEST_SEEN,
    PERCENT,
    RUN,
    TOO_DEEP,
    decoded,
    end_of_run,
    end_of_value,
    is_cut,
    json_value,
    lower_case,
    name_at,
)
from sentry_paste.redaction.fields import HINT, secret_fields
from sentry_paste.redaction.names import FILTERED, Names, normal
from sentry_paste.sdk import DEFAULT_DENYLIST, DEFAULT_PII_DENYLIST

# How many names are checked in one text. No form has more; the rest is hidden as a whole.
_MOST = 500
_USUAL = frozenset(normal(name) for name in (*DEFAULT_DENYLIST, *DEFAULT_PII_DENYLIST))
# A percent-encoded letter, digit or dash, which no browser produces: such a name takes the slow path.
_DISGUISED = re.compile(rf"{PERCENT}(?:[46][1-9a-f]|[57][0-9a]|3[0-9]|2d|2e|5f)")
# The search leaps to these words, and to what can follow a name, so it is fast where there is nothing.
# A group matched in a lookahead is not given back piece by piece (it acts as an atomic group); a long name
# that nothing follows is skipped.
_HINTED = re.compile(HINT)
_MORE_THAN_WORDS = re.compile(r"[^\w.~\[\]&=#-]")
_FOLLOWS = rf"(?=[=:\\\"']|\s+[=:]|{PERCENT}(?:3[da]|5[bcdf]|2[27de]|20|[89a-f]))(?P<may>)"
_HINTED_NAME = re.compile(rf"(?:{HINT})(?=({RUN}{{0,{LONGEST_NAME}}}))\1(?:{_FOLLOWS}|(?<={RUN}{{20}}))")
# Any word may be followed by whitespace: continue only if a sign follows, or a lot of it.
_BEFORE_SIGN = rf"(?:{BLANK}{{0,30}}(?:[=:]|{PERCENT}3[da])|{BLANK}{{31}})"
_FOLLOWS_ANY = _FOLLOWS.replace(r"\s+[=:]", r"[\s+]" + _BEFORE_SIGN).replace(
    "|20|", rf"|(?:20|0[9ad]){_BEFORE_SIGN}|"
)
# Encoded characters that no name contains, without the percent sign.
_NO_LETTER = r"(?:25)*(?:2[0-46-9a-cf]|3[a-f]|5[ce]|60|7[b-d]|[01][0-9a-f])"
# A name begins where a run does, after encoded characters: the name in %26token begins with its t.
_ANY_NAME = re.compile(
    rf"(?<!{RUN})(?={RUN})(?:(?<!%)|(?<=%){_NO_LETTER}|(?<=%)(?!{_NO_LETTER}))"
    rf"(?=({RUN}{{1,{LONGEST_NAME}}}))\1"
    rf"(?:{_FOLLOWS_ANY}|(?<={RUN}{{{LONGEST_NAME}}}))"
)
# A nested name and one in JSON end only at their sign, whatever they consist of: password:utf8:ustring%3D,
# "new password":. These characters end it without one.
_NO_REST = rf"%(?!(?:25){{0,{DEPTH - 1}}}(?:2[2367f]|3[bdf]|5c|0[ad]))"
_RAW_REST = r"&;?#=%\"'\s/<>\\"
# re remembers a position for each repetition of a group, and no name has so many encoded characters.
_MOST_ENCODED = 200
_REST = rf"(?:[^{_RAW_REST}]+|{_NO_REST}){{0,{_MOST_ENCODED}}}"
_EQUALS = rf"=|{PERCENT}3d"
_REST_OF_NAME = re.compile(rf"{_REST}(?P<sign>{_EQUALS})?")
# The hit consumes all it has read, even if no sign follows.
_HINTED_NAME_IN_QUERY = re.compile(
    rf"(?:{HINT})(?=({RUN}{{0,{LONGEST_NAME}}}))\1"
    rf"(?:{_FOLLOWS}|(?!{RUN})(?=({_REST}))(?P<goes_on>)(?=[^{_RAW_REST}]|{_NO_REST})\3|(?<={RUN}{{20}}))"
)
# Here it consumes all but the last word, which may be a name on its own.
_ANY_NAME_IN_QUERY = re.compile(
    _ANY_NAME.pattern[:-1]
    + rf"|(?!{RUN})(?=((?:{RUN}*(?:[^\w.~\[\]{_RAW_REST}-]|{_NO_REST})){{1,{_MOST_ENCODED}}}))\3"
    rf"(?:(?={RUN}*(?:{_EQUALS}|\\{{0,64}}{ANY_QUOTE}{BLANK}{{0,4}}(?::|{PERCENT}3a)))(?P<goes_on>))?)"
)
# A separator, encoded or not, before a name in a query string.
_SEPARATOR = re.compile(
    rf"[{_RAW_REST.replace('%', '')}]|{PERCENT}(?:2[2367f]|3[bdf]|5c|0[ad])", re.IGNORECASE
)
# Those before which a field ends, as they are and as they are encoded.
_BETWEEN_FIELDS = ("&", ";", "?", "#", "26", "3b", "3f", "23")
# What a form that is itself a parameter has in names less often than texts have it between words.
_BETWEEN_WORDS = re.compile(rf"[\s+,]|{PERCENT}(?:20|2b|2c|0[9ad])", re.IGNORECASE)
# Always matches, so that the search can continue after everything that was read.
_BEHIND_NAME = re.compile(rf"{BACKSLASHES}(?P<quote>{ANY_QUOTE})?{BLANKS}(?P<sign>=|:|{PERCENT}3[da])?")
_WORD = re.compile(rf"{RUN}+")
_BACKWARDS_ENCODED = re.compile(r"[\w.~\[\]%-]*")
_OF_PATH = re.compile("[/?&;#]")
# A URL or a path, raw or as Python shows it.
_URL = re.compile(r"b?['\"]?(?:/|[a-z][a-z0-9+.-]*://)", re.IGNORECASE)
_END_OF_PATH = re.compile("[?#&]")
# How far before a sign the beginning of its name is looked for at first: text may be full of separators.
_NEAR = 40
# What nearly every query and URL consists of: fields of words with one equals sign, and a path before these.
_ORDINARY_FIELD = r"[\w.~-]{0,80}(?:=(?:[\w.~-]*|(?:\[|%5B)Filtered(?:\]|%5D)))?"
_ORDINARY = re.compile(
    rf"(?:(?:[a-z][a-z0-9+.-]*:/)?/[\w.~/:-]*\?)?{_ORDINARY_FIELD}(?:&{_ORDINARY_FIELD})*",
    re.ASCII | re.IGNORECASE,
)
# re remembers a position for each repetition of a group, so longer queries are no ordinary ones.
_MOST_ORDINARY = 200
_HAS_QUOTE = re.compile(r"[\"'\\]")
# User and password in scheme://user:password@host (RFC 3986 section 3.2.1), percent-encoded.
_USER_INFO = re.compile(
    rf"({PERCENT}3a(?:{PERCENT}2f){{2}})[\w.~!+-]{{0,100}}{PERCENT}3a"
    rf"(?:[\w.~!$*()+-]|{PERCENT}(?!25|40|2f|3f|23|22|26)[0-9a-f]{{2}}){{1,100}}(?={PERCENT}40)",
    re.IGNORECASE,
)


class Found(NamedTuple):
    """The place of a secret value.

    Attributes:
        name: of the parameter, decoded; None if more is hidden than one parameter.
        start: where the value begins.
        end: where the value ends.
        level: how many times it is percent-encoded.
    """

    name: str | None
    start: int
    end: int
    level: int


def clean_query(text: str, names: Names, bounds: Bounds | None = None) -> str:
    """Return a query string or a URL without the values of secret parameters.

    That includes parameters in the fragment, where OAuth's implicit flow puts the token (RFC 6749 section
    4.2.2), and in segments of the path.

    Args:
        text: raw, or as Python shows it.
        names: which are secret.
        bounds: how much may be looked at, where several texts share that.
    """
    if "40" in text and "%" in text:
        text = _USER_INFO.sub(rf"\1{FILTERED}", text)
    # A colon is a sign behind a name in quotes only.
    if "=" not in text and "%" not in text and (":" not in text or not _HAS_QUOTE.search(text)):
        return text
    bounds = bounds or Bounds(_MOST, len(text))
    text = _without_deep(text, False, bounds)
    return _without(text, _find(text, names, False, bounds))


def clean_parameters(text: str, names: Names) -> str:
    """Return a text that contains URLs or forms without the values of secret parameters.

    Args:
        text: any.
        names: which are secret.
    """
    if "=" not in text and "%" not in text:
        return text
    bounds = Bounds(_MOST, len(text))
    text = _without_deep(text, True, bounds)
    return _without(text, _find(text, names, True, bounds))


def secret_parameters(text: str, names: Names, bounds: Bounds | None = None) -> list[tuple[str, str]]:
    """Return names and values of the secret parameters of a query string or a URL.

    Each value is returned as written, and decoded as often as it is nested. If it contains a semicolon, at
    which some parsers split, the part before it is returned as well.

    Args:
        text: raw, as it came.
        names: which are secret.
        bounds: how much may be looked at; marked as exceeded if there is more, or if it is nested too deep.
    """
    bounds = bounds or Bounds(_MOST, len(text))
    bounds.are_exceeded |= TOO_DEEP in text
    found: dict[tuple[str, str], None] = {}
    for name, start, end, level in _find(text, names, False, bounds):
        value = text[start:end]
        if name is None:
            bounds.are_exceeded = True
            continue
        # Up to the next ampersand, and for parsers that split at semicolons.
        for shown in (value, value.partition(";")[0]) if ";" in value else (value,):
            found[name, shown] = None
            for _ in range(level):
                shown = unquote_plus(shown)
                found[name, shown] = None
        if text[end : end + 1] == "#" and level == 0:
            # The client did not encode the number sign; compare enough of what follows to recognise the
            # value.
            longer = text.find("&", start, end + LONGEST_NAME)
            found[name, text[start : longer if longer >= 0 else end + LONGEST_NAME]] = None
    return [(name, value) for name, value in found if value]


def _without(text: str, found: Iterator[Found]) -> str:
    parts, done = [], 0
    for _, start, end, _ in found:
        if end > max(start, done) and text[start:end] != FILTERED:
            # What begins within a value that is hidden already only makes that longer.
            if start >= done:
                parts += [text[done:start], FILTERED]
            done = end
    return "".join([*parts, text[done:]]) if parts else text


def _find(text: str, names: Names, is_prose: bool, bounds: Bounds) -> Iterator[Found]:
    """Yield the places of secret values, in the order in which they begin.

    Args:
        text: any.
        names: which are secret.
        is_prose: whether other text surrounds it, so that whitespace, quotes and angle brackets end a value.
        bounds: how many names may be checked; the rest is yielded as one.
    """
    lower = lower_case(text)
    is_slow = _has_own(names) or ("%" in text and bool(_DISGUISED.search(lower)))
    limit = len(text) if is_prose else len(text) - _closing(text)
    # The slow path takes four times as long.
    if not bounds.may_read(len(text) if is_slow else len(text) // 4):
        yield Found(None, 0, limit, 0)
        return
    if not is_slow and not _HINTED.search(lower):
        return
    if not is_slow and not is_prose and text.count("&") <= _MOST_ORDINARY and _ORDINARY.fullmatch(text):
        yield from _find_in_ordinary(text, lower, names, bounds)
        return
    place = (0 if is_prose else _begin_of_query(text), limit)
    fields = []
    if _MORE_THAN_WORDS.search(lower, *place):
        found_fields = secret_fields(text, lower, place, names, bounds, is_prose=is_prose, is_slow=is_slow)
        fields = [Found(*field, 0) for field in found_fields]
    if not is_prose and "#" in text and not _is_url(text):
        fields += _find_with_number_signs(text, limit, names, bounds)
        fields.sort(key=_by_start)
    found = _find_words(text, lower, limit, names, bounds, is_prose=is_prose, is_slow=is_slow)
    yield from merge(fields, found, key=_by_start) if fields else found


def _find_in_ordinary(text: str, lower: str, names: Names, bounds: Bounds) -> Iterator[Found]:
    """Yield the places of secret values in a query or a URL without anything encoded, quoted or nested.

    Args:
        text: of the form of ``_ORDINARY``.
        lower: the same in lower case.
        names: which are secret.
        bounds: how many names may be checked.
    """
    end = begin = text.find("?") + 1
    for hit in _HINTED.finditer(lower, begin):
        at = hit.start()
        if at < end:
            continue  # of a field that was looked at
        start = text.rfind("&", begin, at) + 1 or begin
        end = text.find("&", at)
        end = len(text) if end < 0 else end
        sign = text.find("=", at, end)
        if sign < 0:
            continue  # in a value
        if not bounds.step():
            yield Found(None, at, len(text), 0)
            return
        name = text[start:sign]
        if sign + 1 < end and names.is_parameter(name):
            yield Found(name, sign + 1, end, 0)


def _find_with_number_signs(text: str, limit: int, names: Names, bounds: Bounds) -> Iterator[Found]:
    """Yield the places of secret values whose names contain a number sign.

    In a URL a fragment begins there; for what parses a query string it is a character like any other.

    Args:
        text: no URL.
        limit: where it ends.
        names: which are secret.
        bounds: how many names may be checked.
    """
    end = 0
    while (at := text.find("#", end, limit)) >= 0:
        start = text.rfind("&", end, at) + 1 or end
        end = text.find("&", at, limit)
        end = limit if end < 0 else end
        # Some parsers split at semicolons too.
        for begin in dict.fromkeys((start, text.rfind(";", start, at) + 1 or start)):
            sign = text.find("=", begin, end)
            if sign < at:
                continue  # it is in a value, or there is none
            if not bounds.step():
                yield Found(None, at, limit, 0)
                return
            name = text[begin:sign]
            if sign + 1 < end and names.is_parameter(name):
                yield Found(name, sign + 1, end, 0)
                break


def _by_start(found: Found) -> int:
    return found.start


def _find_words(
    text: str, lower: str, limit: int, names: Names, bounds: Bounds, *, is_prose: bool, is_slow: bool
) -> Iterator[Found]:
    """Yield the places of secret values whose names are one word, nested, or of members in JSON.

    Args:
        text: any.
        lower: the same in lower case.
        limit: where it ends.
        names: which are secret.
        bounds: how many names may be checked.
        is_prose: whether other text surrounds it.
        is_slow: whether a secret name may contain none of the usual words.
    """
    path_end = 0 if is_prose else _end_of_path(text)
    search = Search(_PATTERNS[is_prose][is_slow], lower)
    for hit in search:
        if hit["may"] is None and not is_cut(hit) and (is_prose or hit["goes_on"] is None):
            continue
        if not bounds.step():
            yield Found(None, hit.start(), limit, 0)
            return
        # Each name is scanned once, however long it is.
        end_of_name = end_of_run(lower, hit.end() if is_prose or hit["goes_on"] is None else hit.end(1))
        found = _BEHIND_NAME.match(lower, end_of_name)
        assert found is not None  # noqa: S101
        # So is what follows it, except for the last escape, which may precede another name.
        last = lower.rfind("%", max(end_of_name, found.end() - len(TOO_DEEP)), found.end())
        search.position = last if last >= 0 else found.end()
        sign = found["sign"]
        if sign is None or (found[1] and not found["quote"]):
            if found.end() - end_of_name >= LONGEST_ROW and names.is_parameter(
                name_at(text, hit.start(), end_of_name)
            ):
                search.position = end_of_value(text, end_of_name, 0, limit, is_prose=False)
                yield Found(None, end_of_name, search.position, 0)
                continue
            sign = None
        is_colon = sign is not None and sign[-1] in ":aA"
        # Names in JSON are quoted; mappings shown as text are not handled here.
        if sign is None or (is_colon and (not found["quote"] or (is_prose and sign == ":"))):
            if is_prose:
                continue
            rest = _REST_OF_NAME.match(lower, end_of_name)
            assert rest is not None  # noqa: S101
            sign, start, is_colon = rest["sign"], rest.end(), False
            end_of_rest = start if sign is None else rest.start("sign")
            if sign is None and end_of_rest > found.end():
                found = _BEHIND_NAME.match(lower, start)
                assert found is not None  # noqa: S101
                if found["quote"] and found["sign"]:
                    sign, start = found["sign"], found.end()
                    is_colon = sign[-1] in ":aA"
            if sign is None:
                search.position = max(search.position, _begin_of_run(text, end_of_name, start))
                continue
            search.position = max(search.position, start)
            if is_colon or _begins_field(text, hit.start(), end_of_rest, sign):
                name = _secret_name(text, hit.start(), end_of_name, end_of_rest, names)
            else:
                name = _secret_word(text, end_of_rest, names)
            if name is None:
                continue
        else:
            start, name = found.end(), name_at(text, hit.start(), end_of_name)
            if not names.is_parameter(name):
                continue
        level = len(sign) // 2
        if is_colon:
            start, end = json_value(text, start, level, limit, bounds)
        else:
            if start < path_end and not level:
                behind = _OF_PATH.search(text, start, limit)
                end = behind.start() if behind else limit
            else:
                end = end_of_value(text, start, level, limit, is_prose)
        if end > start and text[start:end] != "=":  # the padding of base64
            yield Found(name, start, end, level)
            search.position = end


_PATTERNS = {True: (_HINTED_NAME, _ANY_NAME), False: (_HINTED_NAME_IN_QUERY, _ANY_NAME_IN_QUERY)}


def _begin_of_run(text: str, start: int, end: int) -> int:
    """Return where the last word before a place begins; it may be a name in quotes: ``"new|password":``."""
    window = text[max(start, end - LONGEST_NAME) : end]
    found = _BACKWARDS_ENCODED.match(window[::-1])
    return end - (found.end() if found else 0)


def _secret_word(text: str, end: int, names: Names) -> str | None:
    """Return the word before a sign, parts of which may be percent-encoded, None if it is not secret."""
    for length in (_NEAR, LONGEST_SEEN):
        window = decoded(text[max(end - length, 0) : end])
        begin = len(window)
        for word in _WORD.finditer(window):
            begin = word.start()
        # Otherwise it begins before the window, which may begin within an encoded character.
        if begin > len(TOO_DEEP):
            break
    found = _WORD.match(window, begin)
    return found[0] if found and names.is_parameter(found[0]) else None


def _begins_field(text: str, begin: int, end: int, sign: str) -> bool:
    """Return whether the words before a sign are the name of a field, and not those of a text in a value.

    Args:
        text: that contains them.
        begin: the place of one of the words.
        end: where the last one ends.
        sign: what follows.
    """
    start, mark = begin, None
    for length in (_NEAR, LONGEST_SEEN):
        start = max(begin - length, 0)
        # The place may be after the percent sign of a separator.
        for found in _SEPARATOR.finditer(text, start, begin + len(TOO_DEEP)):
            if found.start() >= begin:
                break
            mark = found
        if mark is not None:
            break
    if mark is None:
        return start == 0
    if mark[0].lower().endswith(_BETWEEN_FIELDS):
        return True
    # A form that is itself a parameter: data=password%3Autf8%3Dx
    is_nested = mark[0].lower().endswith(("=", "3d")) and len(sign) > len(mark[0])
    return is_nested and not _BETWEEN_WORDS.search(text, mark.end(), min(end, begin + LONGEST_SEEN))


def _secret_name(text: str, begin: int, end_of_word: int, end: int, names: Names) -> str | None:
    """Return the name of a parameter that consists of more than one word, None if it is not secret.

    Args:
        text: that contains it.
        begin: the place of a word in it.
        end_of_word: where the word ends.
        end: where the name ends.
        names: which are secret.
    """
    window = text[max(begin - LONGEST_NAME, 0) : begin]
    whole = decoded(_SEPARATOR.split(window)[-1] + text[begin : min(end, begin + LONGEST_SEEN)])
    # A word of it may be a name on its own: Zope's code:utf8, or a parameter of the ini.
    known = (whole, name_at(text, begin, end_of_word), name_at(text, end, end))
    return next((name for name in known if names.is_parameter(name)), None)


def _without_deep(text: str, is_prose: bool, bounds: Bounds) -> str:
    """Return a text without the values that are encoded more often than is followed."""
    at = text.find(TOO_DEEP)
    parts, done = [], 0
    limit = len(text) - (0 if is_prose else _closing(text))
    while at >= 0:
        start = max(done - 1, *(text.rfind(mark, done, at) for mark in "=&?# \n'\"")) + 1
        end = end_of_value(text, at, 0, limit, is_prose) if bounds.step() else limit
        parts += [text[done:start], FILTERED]
        done = end
        at = text.find(TOO_DEEP, end)
    return "".join([*parts, text[done:]]) if parts else text


def _has_own(names: Names) -> bool:
    """Return whether the ini has names of its own, which need not contain the usual words."""
    return names._parameters.pattern != "(?!)" or len(names._exact) > len(_USUAL)


def _closing(text: str) -> int:
    """Return the length of the closing quote of a text as Python shows it, 0 if there is none."""
    opening = text[1:2] if text[:1] == "b" else text[:1]
    return 1 if opening in ("'", '"') and opening and len(text) > 1 and text.endswith(opening) else 0


def _is_url(text: str) -> bool:
    """Return whether a text is a URL or a path, not a query string that begins like one: ``?/wiki&a=b``."""
    if not _URL.match(text):
        return False
    end = _END_OF_PATH.search(text)
    return end is None or end[0] != "&"


def _begin_of_query(text: str) -> int:
    """Return where the fields of a URL or a query string begin."""
    if not _is_url(text):
        return (2 if text[:1] == "b" else 1) if _closing(text) else 0
    ends = [at for at in (text.find("?"), text.find("#")) if at >= 0]
    return min(ends, default=len(text)) + 1


def _end_of_path(text: str) -> int:
    """Return where the path of a URL ends; 0 for a query string, which has none."""
    if not _is_url(text):
        return 0
    at = text.find("?")
    return at if at >= 0 else text.find("#") if "#" in text else len(text)
