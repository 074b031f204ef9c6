"""Options whose value is made of what the ini says: files, releases, exceptions to ignore."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from sentry_paste import sdk
from sentry_paste.config import kinds
from sentry_paste.config.aliases import plain_dsn
from sentry_paste.config.errors import NotInstalledError
from sentry_paste.config.own_options import PATTERNS
from sentry_paste.sdk.failures import warn

# How long git may take to tell the commit, seconds. It reads two files.
_GIT_SECONDS = 5.0


def release(values: dict[str, Any], base: str) -> None:
    """Replace ``dist:NAME`` by the distribution's name and version, and ``git`` by the commit.

    Args:
        values: of the options; changed.
        base: the ini's directory.

    Raises:
        NotInstalledError: there is no such distribution.
        ValueError: there is no commit.
    """
    text = values["release"]
    if isinstance(text, str) and text.startswith("dist:"):
        name = text[len("dist:") :].strip()
        try:
            values["release"] = f"{name}@{metadata.version(name)}"
        except (metadata.PackageNotFoundError, ValueError):
            told = f"expected the name of an installed distribution, {name!r} is none"
            raise NotInstalledError(told, name) from None
    elif text == "git":
        values["release"] = _commit(base or ".")


def _commit(directory: str) -> str:
    command = ["git", "rev-parse", "HEAD"]
    try:
        ended = subprocess.run(  # noqa: S603 - git of the PATH, without input of anybody's
            command, cwd=directory, capture_output=True, timeout=_GIT_SECONDS, check=True, encoding="ascii"
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        raise ValueError(f"expected {directory} to be in a git repository with a commit") from None
    return ended.stdout.strip()


def dsn_file(values: dict[str, Any], base: str) -> None:  # noqa: ARG001 - all of these are called alike
    """Read the DSN from the file.

    Args:
        values: of the options; changed.
        base: the ini's directory.

    Raises:
        ValueError: the file cannot be read, holds no DSN, or a DSN is given beside it.
    """
    path = values.pop("dsn_file")
    if "dsn" in values:
        raise ValueError("is given beside dsn; give one of them")
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ValueError(f"expected a file that can be read: {reason}") from None
    text = plain_dsn(text)
    if sdk.dsn_fault(text):
        raise ValueError("expected a file with a DSN, https://KEY@HOST/PROJECT, in it")
    values["dsn"] = text


def ignore_exceptions(values: dict[str, Any], base: str) -> None:  # noqa: ARG001
    """Add the exceptions to those that the SDK ignores.

    Args:
        values: of the options; changed.
        base: the ini's directory.
    """
    values["ignore_errors"] = [*values.get("ignore_errors", []), *values.pop("ignore_exceptions")]


def template(path: Any) -> None:
    """Look whether the template of an error page can be read.

    Args:
        path: of it, absolute; what is no text is another value of the option.

    Raises:
        ValueError: it cannot.
    """
    if isinstance(path, str):
        try:
            Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is no text"
            raise ValueError(f"{path} cannot be read: {reason}") from None


def patterns(names: Any) -> None:
    """Look whether there are such patterns; text has been looked at already.

    Args:
        names: of ``redact_patterns``.

    Raises:
        ValueError: there is no such pattern.
    """
    kinds.choices(PATTERNS).parse(" ".join(names))


#: What is looked at besides, so that it is told with all other mistakes.
LOOKED_AT: Mapping[str, Callable[[Any], None]] = {"error_page": template, "redact_patterns": patterns}

#: What makes the value of which option, in this order.
DERIVED: Mapping[str, Callable[[dict[str, Any], str], None]] = {
    "dsn_file": dsn_file,
    "ignore_exceptions": ignore_exceptions,
    "release": release,
}

#: Own options that decide what client there is: settings that differ in one do not share a client.
OF_THE_CLIENT = frozenset(
    {"dsn_file", "ignore_exceptions", "ignore_loggers", "tags"}
    | {"spool_dir", "spool_items", "spool_max_age", "spool_max_size", "spool_rate", "spool_fsync"}
    | {"keep_headers", "redact_environ", "redact_headers", "redact_params", "redact_patterns"}
)


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
