"""What text itself says is secret.

Fields of a form that was not parsed, members of mappings that were shown as text,
cookies that a response will set. Their values are not known, as those of the
request are; only where they stand.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sentry_paste.redaction.names import FILTERED, Names, Rule
from sentry_paste.redaction.parameters import clean_parameters


def _finder(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether text has something in it, in whatever case.

    A search that ignores case tries each place; one that does not leaps to where a match may begin. Beyond
    ASCII there are letters that are the same as others in any case, and are not their lower case.
    """
    lower, any_case = re.compile(pattern), re.compile(pattern, re.IGNORECASE)
    return lambda text: bool(lower.search(text.lower()) if text.isascii() else any_case.search(text))


# Every repetition is bounded or of one class: no text makes these look twice at a place for long.
_NAME = r"[\w%.\[\]-]{0,40}"
_says_fields = _finder(
    rf"(?:passw|passphrase|secret){_NAME}="
    rf"|(?:^|[?&'\"\s]){_NAME}(?:pwd|token|csrf|xsrf|jwt|api_?key){_NAME}=[^&]{{1,200}}&"
    rf"|[?&]{_NAME}(?:pwd|token|csrf|xsrf|jwt|api_?key)"
)
_SET_COOKIE = re.compile(r"""(set-cookie\W{1,8}(?:b['"])?)[^'"\r\n;\\<>]+""", re.IGNORECASE)
_COOKIE_OBJECT = re.compile(r"(<(?:SimpleCookie|BaseCookie|Morsel): )[^>]+")
# A member of a mapping or of an object, as Python and JSON show it; its value is quoted.
_MEMBER = re.compile(r"""(?<![\w.-])([\w.-]{1,60})(\\?['"]?\s?[:=]\s?b?)(\\?['"])""")
_says_members = _finder("passw|passphrase|secret|token|credential|api_?key|private_?key|csrf|authoriz")


def clean_text(text: str, names: Names) -> str:
    """Return a text without the values that it says are secret.

    Args:
        text: with an equals sign or a colon: without, it says nothing.
        names: which names are secret.
    """
    if "=" in text and _says_fields(text):
        text = clean_parameters(text, names)
    if "ookie" in text or "<Morsel" in text:
        text = _SET_COOKIE.sub(rf"\1{FILTERED}", text)
        text = _COOKIE_OBJECT.sub(rf"\1{FILTERED}", text)
    return _clean_members(text, names) if _says_members(text) else text


def _clean_members(text: str, names: Names) -> str:
    parts, done = [], 0
    for found in _MEMBER.finditer(text):
        if found.start() < done or names.key_rule(found[1]) not in (Rule.LIKELY, Rule.SECRET):
            continue
        end = text.find(found[3], found.end())
        end = len(text) if end < 0 else end
        if end > found.end():
            parts += [text[done : found.end()], FILTERED]
            done = end
    return "".join([*parts, text[done:]]) if parts else text
