"""Error messages about options, in terms of the ini."""

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
from sentry_paste.config.sources import RawOption

# Parts of names whose values are secrets, such as a key of a context or a tag.
_SECRET = ("password", "passwd", "secret", "token", "api_key", "apikey", "credential")

_SHORTEST = 4

#: Text after a value that looks like a comment.
COMMENT = re.compile(r"\s[;#].*")


def explain(option: Option, text: str, message: str) -> str:
    """Explain what is wrong with a value, and whether a comment after it is the cause.

    Args:
        option: whose value it is.
        text: the value.
        message: of its kind's error.
    """
    reason = message if message.startswith("expected") else f"expected {option.kind.expected}"
    before = COMMENT.sub("", text)
    if before != text:
        try:
            option.kind.parse(before.strip())
        except ValueError:
            return reason
        reason += f"; {shown(text[len(before) :])!r} looks like a comment; put it on a separate line"
    return reason


def refuse_colon(item: RawOption) -> None:
    """Refuse an option whose name contains a colon: for the parser the name ends there.

    Args:
        item: the option as it was written.

    Raises:
        ValueError: the name contains a colon.
    """
    before, colon, after = item.text.partition(":")
    if colon and "=" not in before and "=" in after:
        name, _, value = item.text.partition("=")
        line = f"{shown(name)} = {shown_value(name.strip().replace(':', '.'), value.strip())}"
        raise ValueError(f"is not an option: the colon ends its name in {line!r}; use dots instead")


def unknown_option(item: RawOption) -> str:
    """Return a message that there is no such option, with the name that was probably meant.

    Args:
        item: the option as it was written.
    """
    name = item.name
    if name in sdk.NEW_IN:
        return f"needs sentry-sdk 2.{sdk.NEW_IN[name]} or newer; {sdk.VERSION} is installed"
    known = [option for option in options() if option.isidentifier()]
    nearest = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.7)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"is not an option of sentry_paste or of sentry-sdk {sdk.VERSION}{hint}"


def shown_value(name: str, value: Any) -> str:
    """Return a value for an error or a report, without anything that may be secret.

    Args:
        name: of its option.
        value: as it was written.
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


def mask_secrets(message: str, given: Iterable[RawOption]) -> str:
    """Mask the values of options that may be secret, in a message of other code.

    Args:
        message: that may quote the values.
        given: the options.
    """
    for item in given:
        text = _text(item.value)
        # Shorter values occur in too many other words.
        if len(text) >= _SHORTEST and shown_value(item.name, item.value) != shown(text):
            message = message.replace(text, "***")
    return message


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)
