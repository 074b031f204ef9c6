"""Users and passwords in URLs, also where the URL is escaped or cut within them."""

from __future__ import annotations

import re

from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.encoded import encoded, lower_case
from sentry_paste.redaction.headers import USER_LIKE_A_KEY
from sentry_paste.redaction.named_values import Span
from sentry_paste.redaction.structures import SHORTEST_CUT, was_cut

# To pass over a URL takes as long as to read so many characters.
_PASSED_WEIGHT = 100
# To look for the end of a user and a password takes twice as long as to read a text.
_USER_INFO_WEIGHT = 2
_P = "%(?:25){0,5}"

# RFC 3986 section 3.2.1, with a password that is not masked already, or with a token: git@ is no person.
_USER_INFO = re.compile(rf"(?<=://)(?:[^\s/?#\\<>\"'@:]*:(?!\*+@)[^\s/?#\\<>\"']*|{USER_LIKE_A_KEY})(?=@)")
# The same, cut at the end of the text. Digits are a port, as is its name; brackets enclose an IPv6 address.
_CUT_USER_INFO = re.compile(
    r"://([^\s/?#\\<>\"'@:\[{]*:(?![0-9]{0,5}(?:\.\.\.|\u2026)?[\\'\")\]}>,]{0,9}$|port\b|\$?\{)[^\s/?#\\<>\"'@]*)(?=\\?['\")\]}>]{0,8}$)",
    re.MULTILINE,
)
# The same in URLs whose slashes are escaped: in JSON, JavaScript, HTML, or as a parameter.
_ESCAPED_COLON = rf"(?:{encoded('3a')}|&#(?:x3a|58);|\\(?:u003a|x3a))"
_ESCAPED_SLASHES = (
    rf"(?:{_ESCAPED_COLON}//|(?::|{_ESCAPED_COLON})"
    rf"(?:\\{{1,64}}(?:/|u002f|x2f)|&(?:amp;){{0,5}}#(?:x2f|47);|{_P}2f)"
    rf"(?:\\{{0,64}}/|\\{{1,64}}(?:u002f|x2f)|&(?:amp;){{0,5}}#(?:x2f|47);|{_P}2f))"
)
# By what is in all of several: one search, where there is none of them.
_SIGNS_OF_ESCAPED_SLASHES = (
    ("\\", (":\\", "3A\\", "3a\\")),
    ("&", (":&", ";&#", "58;//")),
    ("%", ("%2F", "%2f", "252F", "252f", "3A//", "3a//")),
)
_HAS_ESCAPED_SLASHES = re.compile(_ESCAPED_SLASHES)
# Where the user and the password end: at an @, or at what neither of them contains. Escaped slashes are among
# that, so nothing is read twice. The search leaps to the characters that may be it; what follows is compared
# once, and a run of backslashes is read once.
_CODES_OF_END = "40|2[0237f]|3[cef]|0[ad]"
_REFERENCE_OF_END = "(?:#(?:x(?:40|2[237f]|3f)|64|47|34|39|63|35);|[lg]t;|quot;)"
_END_OF_ESCAPED_USER_INFO = re.compile(
    r"[\s/?#\\<>\"'@%&](?:(?<=[\s/?#<>\"'@])"
    rf"|(?<=%)(?:{_CODES_OF_END}|25(?:25){{0,4}}(?:{_CODES_OF_END}))"
    rf"|(?<=&)(?:(?!amp;|#)|{_REFERENCE_OF_END}|amp;(?:amp;){{0,4}}{_REFERENCE_OF_END})"
    r"|(?<=\\)(?<!\\\\)\\*(?:/|[\"'nr]|(?:u00|x)(?:40|2[237f]|3f)))"
)
_ENDS_WITH_AT = ("@", "40", "40;", "64;")
_WITH_PASSWORD = re.compile(rf"(?::|{_P}3a|&#(?:x3a|58);|u003a|x3a)(?!\*+\Z)")
_USER_LIKE_A_KEY = re.compile(USER_LIKE_A_KEY)


def user_infos(text: str, bounds: Bounds) -> list[tuple[int, int]]:
    """Return where users and passwords in URLs are, including one that was cut at its @.

    Args:
        text: any.
        bounds: how many places may be examined; from the first one beyond them, all of the text counts.
    """
    if "://" not in text:
        return []
    found: list[tuple[int, int]] = []
    for hit in _USER_INFO.finditer(text) if "@" in text else ():
        if not bounds.step():
            return [*found, (hit.start(), len(text))]
        found.append(hit.span())
    cut = cut_user_info(text)
    return [*found, cut] if cut else found


def may_have_escaped_slashes(text: str) -> bool:
    """Return whether a text may have a URL whose slashes are escaped, which is faster than a search for it.

    Args:
        text: any, also several texts together.
    """
    has = text.__contains__
    return any(has(begin) and any(map(has, signs)) for begin, signs in _SIGNS_OF_ESCAPED_SLASHES)


def has_escaped_url(text: str) -> bool:
    """Return whether a text has a URL whose slashes are escaped.

    Args:
        text: any.
    """
    return bool(_HAS_ESCAPED_SLASHES.search(lower_case(text)))


def escaped_user_infos(text: str, bounds: Bounds) -> list[tuple[int, int]]:
    """Return where users and passwords in URLs are whose slashes are escaped.

    Args:
        text: any.
        bounds: how much may be read; from the first place beyond them, all of the text counts.
    """
    found: list[tuple[int, int]] = []
    lower = lower_case(text)
    for hit in _HAS_ESCAPED_SLASHES.finditer(lower):
        start = hit.end()
        last = start + max(bounds.characters - _PASSED_WEIGHT, 0) // _USER_INFO_WEIGHT
        end = _END_OF_ESCAPED_USER_INFO.search(lower, start, last)
        length = (end.start() if end else len(lower)) - start
        if not bounds.may_read(_PASSED_WEIGHT + _USER_INFO_WEIGHT * length):
            return [*found, (start, len(text))]
        if end is None or not end[0].endswith(_ENDS_WITH_AT):
            continue
        if not (
            _WITH_PASSWORD.search(lower, start, end.start())
            or _USER_LIKE_A_KEY.fullmatch(text, start, end.start())
        ):
            continue
        if not bounds.step():
            return [*found, (start, len(text))]
        found.append((start, end.start()))
    return found


def may_have_cut_user_info(text: str) -> bool:
    """Return whether one of several texts may have a user and a password that were cut before their @.

    Args:
        text: all of them, a line each.
    """
    return bool(_CUT_USER_INFO.search(text))


def cut_user_info(text: str) -> Span:
    """Return where a URL's user and password are that were cut before their @, None if they are not.

    Args:
        text: any.
    """
    if "://" not in text:
        return None
    if len(text) < SHORTEST_CUT and not was_cut(text):
        return None
    found = _CUT_USER_INFO.match(text, text.rindex("://"))
    return found.span(1) if found and "\n" not in text[found.end() :] else None
