"""``${VARIABLE}`` in the values of an ini.

Paste's ``%(name)s`` knows no environment variables (plaster_pastedeploy took
them out in 0.5), and a ``$`` means nothing to its parser. The forms are those of
the POSIX shell, section 2.6.2 of its command language.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from sentry_paste.sdk.failures import warn

_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Za-z_]\w*)(?::(?P<form>[-?])(?P<word>[^}]*))?\}|(?P<bad>\{))",
    re.ASCII,
)


def expand(option: str, text: str, environment: Mapping[str, str], instead: str = "") -> str:
    """Replace ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}``, and ``$$`` by a dollar sign.

    A variable that is not set, or set to nothing, is empty, as in a shell, and is warned of where neither
    default nor message is given. Text that a variable holds is not looked through again.

    Args:
        option: name of the option, for the warning.
        text: value as the ini has it.
        environment: the variables.
        instead: what holds where nothing is left of the text, for the warning; nothing by default.

    Raises:
        ValueError: a ``${`` is not followed by a name and a closing brace, or a variable with a message is
            not set.
    """
    if "$" not in text:
        return text
    unset = []

    def replacement(match: re.Match[str]) -> str:
        if match["dollar"]:
            return "$"
        if match["bad"]:
            raise ValueError("expected ${NAME} or ${NAME:-default}; a dollar sign itself is written $$")
        if "${" in (match["word"] or ""):
            raise ValueError("expected a default without a variable in it")
        value = environment.get(match["name"], "")
        if value or match["form"] == "-":
            return value or match["word"]
        if match["form"] == "?":
            reason = match["word"] or "it has to be"
            raise ValueError(f"expected the environment variable {match['name']} to be set: {reason}")
        unset.append(match["name"])
        return ""

    expanded = _VARIABLE.sub(replacement, text)
    then = f"; {instead} takes its place" if instead and not expanded.strip() else ""
    for name in unset:
        warn("%s: the environment variable %s is not set%s", option, name, then)
    return expanded
