"""Error messages about options, in terms of the ini."""

from __future__ import annotations

import builtins
import difflib
import re
from collections.abc import Iterable
from typing import Any

from sentry_paste import sdk
from sentry_paste.config import kinds
from sentry_paste.config.aliases import BEFORE_DSNS
from sentry_paste.config.errors import shown
from sentry_paste.config.kinds import Option
from sentry_paste.config.options import options
from sentry_paste.config.sources import RawOption

# Parts of names whose values are secrets, such as a key of a context or a tag.
_SECRET = ("password", "passwd", "secret", "token", "api_key", "apikey", "credential")

_SHORTEST = 4

#: Options in whose values dollar signs or braces have a meaning of their own.
WITH_MARKS = ("fingerprints", "ignore_messages", "ignore_spans", "trace_propagation_targets")

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
    if option.name in WITH_MARKS:
        return reason
    variable = _SHELL_VARIABLE.search(text)
    if variable:
        reason += f"; write ${{{variable['name']}}} for a variable of the environment"
    elif template_in(text):
        reason += "; has the template that this file is made from been rendered?"
    return reason


# $NAME, which a shell would replace; this package replaces only ${NAME}.
_SHELL_VARIABLE = re.compile(r"\$(?P<name>[A-Za-z_]\w*)", re.ASCII)

# What is left in a file that was to be made from a template: Jinja and Mustache, ERB and Mako, and the marks
# of autoconf and of other scripts.
_TEMPLATE = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|<%.*?%>|(?<!\S)@@?[A-Z][A-Z0-9_]*@@?(?!\S)", re.DOTALL)


def template_in(text: str) -> str:
    """Return a part of a value that something should have replaced before, empty if there is none.

    Args:
        text: the value, as it is written.
    """
    match = _TEMPLATE.search(text)
    return match[0] if match else ""


def unreplaced(text: str, written: str) -> str:
    """Return what is wrong with a value in which a variable stands as it is, empty if nothing is.

    Args:
        text: the value, with variables replaced.
        written: the value as it is written.
    """
    variable = _SHELL_VARIABLE.search(written.replace("$$", ""))
    if variable and variable[0] in text:
        return (
            f"{variable[0]} is not replaced; write ${{{variable['name']}}} for a variable of the environment"
        )
    template = template_in(text)
    return f"{shown(template)} is part of the value; has the template been rendered?" if template else ""


def near_exceptions(names: Iterable[Any]) -> list[tuple[str, str]]:
    """Return names that are nearly those of built-in exceptions, each with that name.

    Args:
        names: names of exception classes; those that are not text are left out.
    """
    found = []
    for name in names:
        is_new = isinstance(name, str) and name.isidentifier() and name not in _EXCEPTIONS
        longer = [f"{name}Error"] if is_new and f"{name}Error" in _EXCEPTIONS else []
        nearest = longer or (difflib.get_close_matches(name, _EXCEPTIONS, n=1, cutoff=0.85) if is_new else [])
        found += [(name, near) for near in nearest]
    return found


_EXCEPTIONS = [
    name
    for name, value in vars(builtins).items()
    if isinstance(value, type) and issubclass(value, BaseException)
]


def refuse_colon(item: RawOption) -> None:
    """Refuse an option whose name contains a colon: for the parser the name ends there.

    Args:
        item: the option as it was written.

    Raises:
        ValueError: the name contains a colon.
    """
    match = _COLON_IN_NAME.fullmatch(item.text)
    if match:
        line = f"{shown(match['name'])} = {shown_value(match['name'].replace(':', '.'), match['value'])}"
        raise ValueError(f"is not an option: the colon ends its name in {line!r}; use dots instead")


# A colon after which a name goes on until an equals sign. One that separates a name from its value is
# followed by a blank, or by a value that has other characters than a name.
_COLON_IN_NAME = re.compile(r"(?P<name>[^\s=:]+:[\w.:-]+?)\s*=\s*(?P<value>.*)", re.DOTALL)


def unknown_option(item: RawOption) -> str:
    """Return a message that there is no such option, with the name that was probably meant.

    Args:
        item: the option as it was written.
    """
    name = item.name
    if name in BEFORE_DSNS:
        return (
            "is not an option: raven had it before there were DSNs; write "
            f"dsn = https://PUBLIC_KEY@HOST/PROJECT in place of {', '.join(sorted(BEFORE_DSNS))}"
        )
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
    if option is not None and option.kind is kinds.DSN:
        text = _KEY.sub("***", text)
    return shown(text)


# The keys of Sentry's projects are 32 hexadecimal digits.
_KEY = re.compile(r"[0-9a-fA-F]{16,}")


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
