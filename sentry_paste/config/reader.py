"""Options from an ini, or from keywords, to ``Settings``.

All mistakes are found before any is told. The user's own code (hooks, classes,
transports) is imported last, when all syntax has been checked.
"""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sentry_paste import sdk
from sentry_paste.config.errors import ConfigError, Problem
from sentry_paste.config.hidden import hidden_options
from sentry_paste.config.kinds import Reference
from sentry_paste.config.options import options
from sentry_paste.config.settings import Settings
from sentry_paste.config.variables import expand

log = logging.getLogger("sentry_paste")

#: What an option's name can begin with, in ``[DEFAULT]`` where it must, in a section where it may.
PREFIX = "sentry."


@dataclass(frozen=True)
class _Given:
    """An option as it was given: the name as written, the value, and where it stood."""

    written: str
    value: Any
    origin: str


def read_ini(global_conf: Mapping[str, str], local_conf: Mapping[str, str]) -> Settings:
    """Read the options that PasteDeploy hands to a factory.

    ``sentry.NAME`` of the ``[DEFAULT]`` section counts where the filter's own section has no NAME. An
    option without a value counts as not given. Keys that begin with two underscores are the loader's.

    Args:
        global_conf: ``[DEFAULT]``, and what the loader adds: ``here`` and ``__file__``.
        local_conf: the filter's section.

    Raises:
        ConfigError: an option is unknown, has a wrong value, or names what cannot be imported.
    """
    source = global_conf.get("__file__", "ini")
    local_names = {key for key in local_conf if not key.startswith("__")}
    known_global = {key for key in global_conf if key.startswith(PREFIX) or key in options()}
    for section, name in hidden_options(source, known_global, local_names):
        other = name[len(PREFIX) :] if name.startswith(PREFIX) else PREFIX + name
        log.warning(
            "%s: %s of [%s] is hidden by %s of [DEFAULT] or of the command line; write %s instead",
            source,
            name,
            section,
            name,
            other,
        )
    given = {
        _plain(key): _Given(key, value, "[DEFAULT]")
        for key, value in global_conf.items()
        if key.startswith(PREFIX)
    }
    problems = []
    for key in sorted(local_names):
        name = _plain(key)
        if name in given and given[name].origin == "section":
            problems.append(Problem(key, None, f"is given twice, as {given[name].written} too"))
        given[name] = _Given(key, local_conf[key], "section")
    return _settings(source, given, problems, base=global_conf.get("here", ""))


def read_keywords(keywords: Mapping[str, Any]) -> Settings:
    """Read options that Python code gives; text is read as in an ini, other values are taken as they are.

    Args:
        keywords: options by name.

    Raises:
        ConfigError: as for an ini.
    """
    given = {name: _Given(name, value, "keyword") for name, value in keywords.items()}
    return _settings("SentryMiddleware", given, [], base="")


def _plain(key: str) -> str:
    """Return an option's name without the prefix, with underscores where the ini has dashes."""
    return (key[len(PREFIX) :] if key.startswith(PREFIX) else key).replace("-", "_")


def _settings(source: str, given: Mapping[str, _Given], problems: list[Problem], base: str) -> Settings:
    values: dict[str, Any] = {}
    texts: dict[str, Any] = {}
    for name, item in given.items():
        try:
            parsed = _parse(name, item, base)
        except ValueError as error:
            problems.append(
                Problem(item.written, _text(item.value) if name in options() else None, str(error))
            )
            continue
        if parsed is not None:
            texts[name], values[name] = parsed
    for name, value in values.items():
        if isinstance(value, Reference):
            try:
                values[name] = value.resolve()
            except ValueError as error:
                problems.append(Problem(given[name].written, _text(given[name].value), str(error)))
    if problems:
        raise ConfigError(source, sorted(problems, key=lambda problem: problem.option))
    table = options()
    own = {name: values.get(name, option.default) for name, option in table.items() if not option.is_sdk}
    shared = {name: text for name, text in texts.items() if table[name].is_sdk or name == "spool_dir"}
    return Settings(
        sdk=MappingProxyType({name: value for name, value in values.items() if table[name].is_sdk}),
        origins=MappingProxyType({name: given[name].origin for name in values}),
        source=source,
        client_key=tuple(sorted((name, _frozen(text)) for name, text in shared.items())),
        **own,
    )


def _parse(name: str, item: _Given, base: str) -> tuple[Any, Any] | None:
    """Return an option's text and value, None where it is given without a value.

    Raises:
        ValueError: with the reason.
    """
    option = options().get(name)
    if option is None:
        raise ValueError(_unknown(name))
    if not isinstance(item.value, str):
        return item.value, item.value
    text = expand(item.written, item.value, os.environ).strip()
    if not text:
        return None
    if option.kind.is_path:
        text = os.path.join(base, text)
    try:
        return text, option.kind.parse(text)
    except ValueError as error:
        reason = str(error)
        raise ValueError(
            reason if reason.startswith("expected") else f"expected {option.kind.expected}"
        ) from None


def _unknown(name: str) -> str:
    nearest = difflib.get_close_matches(name, options(), n=1, cutoff=0.7)
    hint = f"; did you mean {nearest[0]}?" if nearest else ""
    return f"is no option of sentry_paste or of sentry-sdk {sdk.VERSION}{hint}"


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


def _frozen(value: Any) -> Hashable:
    """Return something hashable that is equal for equal values, and for other objects the object's id."""
    if isinstance(value, Mapping):
        return tuple(sorted((str(key), _frozen(item)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(map(_frozen, value))
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    return ("object", id(value))
