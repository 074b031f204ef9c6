"""Values that are derived from the text of the ini: variables, files, releases, exceptions to ignore."""

from __future__ import annotations

import os
import re
import stat
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

# How long git may take to return the commit, in seconds. It only reads two files.
_GIT_SECONDS = 5.0


def release(values: dict[str, Any], base: str) -> None:
    """Replace ``dist:NAME`` by the distribution's name and version, and ``git`` by the commit.

    Args:
        values: of the options; changed.
        base: the ini's directory.

    Raises:
        NotInstalledError: there is no such distribution.
        ValueError: the directory is not in a git repository with a commit.
    """
    text = values["release"]
    if isinstance(text, str) and text.startswith("dist:"):
        name = text[len("dist:") :].strip()
        try:
            values["release"] = f"{name}@{metadata.version(name)}"
        except (metadata.PackageNotFoundError, ValueError):
            message = f"expected the name of an installed distribution, but {name!r} is not installed"
            raise NotInstalledError(message, name) from None
    elif text == "git":
        values["release"] = _commit(base or ".")


def _commit(directory: str) -> str:
    command = ["git", "rev-parse", "HEAD"]
    try:
        ended = subprocess.run(  # noqa: S603 - git from the PATH, with fixed arguments
            command, cwd=directory, capture_output=True, timeout=_GIT_SECONDS, check=True, encoding="ascii"
        )
    except (OSError, ValueError, subprocess.SubprocessError):
        raise ValueError(f"expected {directory} to be in a git repository with a commit") from None
    return ended.stdout.strip()


# Characters that are read of its file.
_LONGEST_DSN = 10_000


def dsn_file(values: dict[str, Any], base: str) -> None:  # noqa: ARG001 - all of DERIVED have the same signature
    """Read the DSN from the file.

    Args:
        values: of the options; changed.
        base: the ini's directory.

    Raises:
        ValueError: the file cannot be read or contains no DSN, or the option dsn is set as well.
    """
    path = values.pop("dsn_file")
    if "dsn" in values:
        raise ValueError("cannot be combined with dsn; set only one of them")
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read(_LONGEST_DSN).strip()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not text"
        raise ValueError(f"expected a file that can be read: {reason}") from None
    text = plain_dsn(text)
    if sdk.dsn_fault(text):
        raise ValueError("expected a file that contains a DSN, https://KEY@HOST/PROJECT")
    values["dsn"] = text


def can_be_read_once(path: Any) -> bool:
    """Return whether a file of a DSN could be read at the start only.

    A request would wait for a pipe or a device, which does not say again what it has said. And servers begin
    as root, who may read what the user of their workers may not.

    Args:
        path: of the file; a value that is not text is not one.
    """
    if not isinstance(path, str):
        return False
    try:
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            return not stat.S_ISDIR(mode)
        open(path, "rb").close()
    except PermissionError:
        return True
    except (OSError, ValueError):  # a mistake
        return False
    return False


def ignore_exceptions(values: dict[str, Any], base: str) -> None:  # noqa: ARG001
    """Add the exceptions to those that the SDK ignores.

    Args:
        values: of the options; changed.
        base: the ini's directory.
    """
    values["ignore_errors"] = [*values.get("ignore_errors", []), *values.pop("ignore_exceptions")]


def template(path: Any) -> None:
    """Check that the template of an error page can be read.

    Args:
        path: of the template, absolute; a value that is not text is true or false.

    Raises:
        ValueError: it cannot be read.
    """
    if isinstance(path, str):
        try:
            Path(path).read_text(encoding="utf-8")
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise ValueError(f"{path} cannot be read: {reason}") from None


def patterns(names: Any) -> None:
    """Check that there are patterns with these names; text was checked when it was parsed.

    Args:
        names: of ``redact_patterns``.

    Raises:
        ValueError: there is no pattern with a name.
    """
    kinds.choices(PATTERNS).parse(" ".join(names))


#: Further checks, made here so that their mistakes are raised together with all others.
CHECKS: Mapping[str, Callable[[Any], None]] = {"error_page": template, "redact_patterns": patterns}

#: Functions that derive values, by option, in this order.
DERIVED: Mapping[str, Callable[[dict[str, Any], str], None]] = {
    "dsn_file": dsn_file,
    "ignore_exceptions": ignore_exceptions,
    "release": release,
}

#: The filter's own options that only a client which it has made follows.
CLIENT_RULES = frozenset(
    {"ignore_exceptions", "ignore_loggers", "ignore_messages", "expected_exceptions", "tags"}
    | {"error_sample_rates", "error_budget", "levels", "fingerprints", "fingerprint_without_ids"}
)

#: The filter's own options that affect the client: settings that differ in one do not share a client.
CLIENT_OPTIONS = CLIENT_RULES | frozenset(
    {"dsn_file", "propagate_traceparent"}
    | {"spool_dir", "spool_items", "spool_max_age", "spool_max_size", "spool_rate", "spool_fsync"}
    | {"spool_connections", "spool_min_free"}
    | {"keep_headers", "redact_environ", "redact_headers", "redact_params", "redact_patterns"}
)


# ${NAME}, ${NAME:-default} and ${NAME:?message}, as in a shell, and $$.
_VARIABLE = re.compile(
    r"\$(?:(?P<dollar>\$)|\{(?P<name>[A-Za-z_]\w*)(?::(?P<form>[-?])(?P<word>[^}]*))?\}|(?P<bad>\{))",
    re.ASCII,
)

# ${section:key}, which zc.buildout replaces.
_BUILDOUT = re.compile(r"\$\{[\w.-]*:[\w.-]+\}", re.ASCII)


def expand(option: str, text: str, environment: Mapping[str, str], fallback: str = "") -> str:
    """Replace ``${NAME}``, ``${NAME:-default}`` and ``${NAME:?message}``, and ``$$`` by a dollar sign.

    A variable that is not set counts as empty, as in a shell. If it is empty and has neither default nor
    message, a warning is logged. The value of a variable is not expanded again.

    Args:
        option: name of the option, for the warning.
        text: the value as it is written in the ini.
        environment: the variables.
        fallback: what is used instead if nothing is left of the text, for the warning; empty by default.

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
            hint = ""
            if _BUILDOUT.match(text, match.start()):
                hint = "; if this file is made from a template, it has not been rendered"
            raise ValueError(f"expected ${{NAME}} or ${{NAME:-default}}; write $$ for a dollar sign{hint}")
        if "${" in (match["word"] or ""):
            raise ValueError("expected a default that contains no variable")
        value = environment.get(match["name"], "")
        if value or match["form"] == "-":
            return value or match["word"]
        if match["form"] == "?":
            reason = match["word"] or "it is required"
            raise ValueError(f"expected the environment variable {match['name']} to be set: {reason}")
        unset.append(match["name"])
        return ""

    expanded = _VARIABLE.sub(replacement, text)
    consequence = f"; {fallback} is used instead" if fallback and not expanded.strip() else ""
    for name in unset:
        message = "%s: the environment variable %s is not set%s"
        warn(message, option, name, consequence, code="unset-variable")
    return expanded
