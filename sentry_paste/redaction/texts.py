"""What text itself says is secret: fields of a form that was not parsed, cookies that a response will set.

Their values are not known, as those of the request are; only where they stand.
"""

from __future__ import annotations

import re

from sentry_paste.redaction.names import FILTERED, Names

# Every repetition is bounded or of one class: no text makes these look twice at a place for long.
_FIELDS = re.compile(
    r"(?:passw|passphrase|secret)[\w%.\[\]-]{0,40}=|[?&][\w%.\[\]-]{0,40}(?:pwd|token|csrf|xsrf|jwt|api_?key)",
    re.IGNORECASE,
)
_SET_COOKIE = re.compile(r"""(set-cookie\W{1,8}(?:b['"])?)[^'"\r\n;\\<>]+""", re.IGNORECASE)
_COOKIE_OBJECT = re.compile(r"(<(?:SimpleCookie|BaseCookie|Morsel): )[^>]+")


def clean_text(text: str, names: Names) -> str:
    """Return a text without the values that it says are secret.

    Args:
        text: that holds an equals sign.
        names: which names are secret.
    """
    if _FIELDS.search(text):
        text = names.clean_parameters(text)
    if "ookie" in text or "<Morsel" in text:
        text = _SET_COOKIE.sub(rf"\1{FILTERED}", text)
        text = _COOKIE_OBJECT.sub(rf"\1{FILTERED}", text)
    return text
