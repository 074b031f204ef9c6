"""What is told of an option that is wrong, in the words of the ini."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from typing import Any

from sentry_paste import sdk
from sentry_paste.config import kinds
from sentry_paste.config.errors import shown
from sentry_paste.config.kinds import Option
from sentry_paste.config.options import options
from sentry_paste.config.sources import Given

# Names that say that a value is one: those of a context's or a tag's key.
_SECRET = ("password", "passwd", "secret", "token", "api_key", "apikey", "credential")

_SHORTEST = 4

#: What looks like a comment behind a value.
COMMENT = re.compile(r"\s[;#].*")


def reason_of(option: Option, text: str, told: str) -> str:
    """Return what is wrong with a value; where a comment behind it is all that is, that too.

    Args:
        option: whose value it is.
        text: the value.
        told: what its kind has to say.
    """
    reason = told if told.startswith("expected") else f"expected {option.kind.expected}"
    before = COMMENT.sub("", text)
    if before != text:
        try:
            option.kind.parse(before.strip())
        except ValueError:
            return reason
        reason += f"; {shown(text[len(before) :])!r} looks like a comment, which belongs on a line of its own"
    return reason


def refuse_a_colon(item: Given) -> None:
    """Refuse an option whose name has a colon in it, for which the parser takes its first part.

    Args:
        item: as it was given.

    Raises:
        ValueError: it is one.
    """
    before, colon, after = item.text.partition(":")
    if colon and "=" not in before and "=" in after:
        name, _, value = item.text.partition("=")
        line = f"{shown(name)} = {shown_value(name.strip().replace(':', '.'), value.strip())}"
        raise ValueError(f"is no option: the colon ends its name in {line!r}; write dots")


def unknown(item: Given) -> str:
    """Return that there is no such option, and which one may be meant.

    Args:
        item: as it was given.
    """
    name = item.name
    known = [option for option in options() if option.isidentifier()]
    nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"is no option of sentry_paste or of sentry-sdk {sdk.VERSION}{hint}"


def shown_value(name: str, value: Any) -> str:
    """Return a value for an error or a report: what may be a secret is not in it.

    Args:
        name: of its option.
        value: as it was given.
    """
    text = _text(value)
    option = options().get(name)
    if name.startswith("proxy_headers") or any(word in name.lower() for word in _SECRET):
        return "***"
    if option is not None and option.kind in (kinds.DSN, kinds.PROXY) and "@" in text:
        scheme, mark, _ = text.partition("://")
        return shown(
            f"{scheme}{mark}***@{text.rpartition('@')[2]}" if mark else "***@" + text.rpartition("@")[2]
        )
    return shown(text)


def without_secrets(told: str, given: Iterable[Given]) -> str:
    """Return what other code says of options, without the values that may be secrets.

    Args:
        told: what it says.
        given: the options.
    """
    for item in given:
        text = _text(item.value)
        # What is shorter is in too much else.
        if len(text) >= _SHORTEST and shown_value(item.name, item.value) != shown(text):
            told = told.replace(text, "***")
    return told


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
