"""Where an option's value comes from, and which of several sources holds.

From the strongest: the command line and ``set NAME``, the section, ``sentry.NAME``
in ``[DEFAULT]``, the ``SENTRY_*`` variables that the SDK reads, the default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sentry_paste.config.aliases import ALIASES, NO_LONGER, plain_dsn
from sentry_paste.config.errors import Problem
from sentry_paste.config.families import family_of
from sentry_paste.config.inifile import IniFile, Section
from sentry_paste.config.options import options
from sentry_paste.sdk.failures import warn

#: What an option's name can begin with: in ``[DEFAULT]`` where it must, in a section where it may.
PREFIX = "sentry."

# The variables that the SDK reads where the option is not given (sentry_sdk.client, sentry_sdk.utils).
VARIABLES = {
    "debug": "SENTRY_DEBUG",
    "dsn": "SENTRY_DSN",
    "environment": "SENTRY_ENVIRONMENT",
    "keep_alive": "SENTRY_KEEP_ALIVE",
    "release": "SENTRY_RELEASE",
    "spotlight": "SENTRY_SPOTLIGHT",
}


@dataclass(frozen=True)
class Given:
    """An option as it was given.

    Attributes:
        name: of the option, without prefix, with underscores for dashes.
        written: the name as it stands there.
        value: as it stands there.
        origin: where it stands, in words.
        line: its line in the file, None where that is not known.
        text: that line.
        below: what holds where this turns out to have no value.
    """

    name: str
    written: str
    value: Any
    origin: str
    line: int | None = None
    text: str = ""
    below: Given | None = None


@dataclass
class Gathered:
    """All that was given for one filter.

    Attributes:
        source: the file and the section, as far as they are known.
        base: the directory that paths are relative to.
        given: the options by name.
        problems: mistakes that were found on the way.
        hidden: names of options that PasteDeploy hid, as they stand in the section.
    """

    source: str
    base: str
    given: dict[str, Given]
    problems: list[Problem]
    hidden: list[str]


def option_name(key: str) -> str:
    """Return an option's name: without the prefix, its first part with underscores for dashes.

    Args:
        key: of an ini.
    """
    name = key[len(PREFIX) :] if key.startswith(PREFIX) else key
    head, dot, rest = name.partition(".")
    return head.replace("-", "_") + dot + rest


def gather(global_conf: Mapping[str, str], local_conf: Mapping[str, str], name: str = "") -> Gathered:
    """Gather the options of a filter from what PasteDeploy hands to its factory.

    Args:
        global_conf: ``[DEFAULT]``, and what the loader adds: ``here`` and ``__file__``.
        local_conf: the filter's section. Keys that begin with two underscores are the loader's.
        name: of the section; where it is not known, it is looked for among those of this package's.
    """
    path = global_conf.get("__file__", "")
    file = IniFile.read(path) if path else None
    local = {key: value for key, value in local_conf.items() if not key.startswith("__")}
    home, section = _home(file, local, name)
    title = f"[{section.name}]" if section else "section"
    place = f"{title} of {home.name}" if home is not None and home is not file else title
    gathered = Gathered(
        source=f"{home.path if home else path or 'ini'}{' ' + title if section else ''}",
        base=global_conf.get("here", ""),
        given=_from_defaults(global_conf, file),
        problems=[],
        hidden=[],
    )
    own: dict[str, Given] = {}
    for key in sorted(local):
        name = option_name(key)
        if name in own:
            reason = f"is given twice, as {own[name].written} too"
            gathered.problems.append(Problem(key, None, reason, section.lines.get(key) if section else None))
        own[name] = _given(key, local[key], place, section)
    for name, item in own.items():
        gathered.given[name] = replace(item, below=gathered.given.get(name))
    if "dsn" in global_conf and "dsn" not in own and "dsn" not in gathered.given:
        warn("%s: dsn of [DEFAULT] is not read; write sentry.dsn", gathered.source)
    if file and home:
        defaults = {**home.defaults.values, **file.defaults.values}
        _from_above(gathered, home, [section] if section else file.ours(), defaults, global_conf, local)
    return gathered


def _home(file: IniFile | None, local: Mapping[str, str], name: str) -> tuple[IniFile | None, Section | None]:
    """Return the section of the options, and the file it is in: that of the ini where it is not known."""
    if file is None:
        return None, None
    section = file.sections.get(name) if name else file.section_of(local)
    elsewhere = None if section or name or not local else file.found_in(local)
    return elsewhere or (file, section)


def _given(key: str, value: str, origin: str, section: Section | None) -> Given:
    lines, texts = (section.lines, section.texts) if section else ({}, {})
    return Given(option_name(key), key, value, origin, lines.get(key), texts.get(key, ""))


def _from_defaults(global_conf: Mapping[str, str], file: IniFile | None) -> dict[str, Given]:
    defaults = file.defaults if file else None
    found = {}
    for key, value in global_conf.items():
        if key.startswith(PREFIX):
            found[option_name(key)] = _given(key, value, "[DEFAULT]", defaults)
    return found


def _from_above(
    gathered: Gathered,
    file: IniFile,
    sections: list[Section],
    defaults: Mapping[str, str],
    global_conf: Mapping[str, str],
    local: Mapping[str, str],
) -> None:
    """Take what the command line or ``set`` says, and tell what ``[DEFAULT]`` hides."""
    for key, value in global_conf.items():
        if not (key.startswith(PREFIX) or _is_option(option_name(key))):
            continue
        for section in sections:
            if f"set {key}" in section.values:
                line = section.lines.get(f"set {key}")
                gathered.given[option_name(key)] = Given(
                    option_name(key), key, value, f"set in [{section.name}]", line
                )
            elif key in local:
                continue
            elif key.startswith(PREFIX) and key in defaults and "%" not in defaults[key] != value:
                # Not as the file's own [DEFAULT] has it: the command line says otherwise.
                gathered.given[option_name(key)] = Given(option_name(key), key, value, "command line")
            elif key in section.values and key in defaults:
                gathered.hidden.append(key)
                _tell_hidden(gathered.source, key, section, section in file.ours())
            elif key in section.values or (key.startswith(PREFIX) and key not in defaults):
                # Not in the file's own [DEFAULT]: the command line has put it into global_conf.
                gathered.given[option_name(key)] = Given(option_name(key), key, value, "command line")
            else:
                continue
            break


def _is_option(name: str) -> bool:
    return name in options() or family_of(name) is not None or name in ALIASES or name in NO_LONGER


def _tell_hidden(source: str, key: str, section: Section, is_ours: bool) -> None:
    other = key[len(PREFIX) :] if key.startswith(PREFIX) else PREFIX + key
    # An app's section has no other name for it.
    told = f"write {other} instead" if is_ours else "remove that one"
    line = section.lines.get(key, "?")
    warn("%s: %s (line %s) is hidden by %s of [DEFAULT]; %s", source, key, line, key, told)


def from_keywords(keywords: Mapping[str, Any]) -> Gathered:
    """Gather the options that Python code gives.

    Args:
        keywords: options by name.
    """
    given = {name: Given(name, name, value, "keyword") for name, value in keywords.items()}
    return Gathered("SentryMiddleware", "", given, [], [])


def next_source(item: Given, given: Mapping[str, Given]) -> str:
    """Return what holds where an option turns out to have no value, in words; nothing for its default.

    Args:
        item: the option.
        given: all options by name.
    """
    if item.below is not None and item.below.value:
        return f"{item.below.written} of {item.below.origin}"
    variable = VARIABLES.get(item.name, "")
    return variable if _holds(item.name, variable, given) else ""


def _holds(name: str, variable: str, given: Mapping[str, Given]) -> bool:
    return bool(os.environ.get(variable)) and not (name == "dsn" and "dsn_file" in given)


def add_variables(given: dict[str, Given]) -> None:
    """Add the variables that the SDK reads, for options that are not given.

    Args:
        given: the options by name, those without a value left out.
    """
    for name, variable in VARIABLES.items():
        if name not in given and name in options() and _holds(name, variable, given):
            given[name] = Given(name, variable, os.environ[variable], "environment")


def without_aliases(given: Mapping[str, Given], source: str = "") -> dict[str, Given]:
    """Return the options under the names that they have here.

    Args:
        given: options by name. One that is given under both names keeps the newer one's value.
        source: the file and section, for the warnings.
    """
    found: dict[str, Given] = {}
    for name, item in given.items():
        alias = ALIASES.get(name)
        if name in NO_LONGER:
            warn("%s is an option of raven's that has no counterpart; remove it", _place(source, item))
        elif alias is None:
            found[name] = item
        else:
            warn("%s is %s's name for %s; write that", _place(source, item), alias.writer, alias.option)
            if alias.option not in given and isinstance(item.value, str):
                found[alias.option] = replace(item, name=alias.option, value=alias.convert(item.value))
    return found


def tell_of_dsn(item: Given, text: str, source: str = "") -> None:
    """Tell what of a DSN is raven's.

    Args:
        item: the option.
        text: the DSN, its variables replaced.
        source: the file and section, for the warnings.
    """
    if plain_dsn(text) != text:
        warn("%s is in raven's form; write https://KEY@HOST/PROJECT alone", _place(source, item))
        if re.search(r"verify_ssl=(0|false)", text, re.IGNORECASE):
            warn("%s: certificates are always verified; name yours with ca_certs", _place(source, item))


def _place(source: str, item: Given) -> str:
    line = f" line {item.line}" if item.line else ""
    return f"{source}{line}: {item.written}" if source else item.written
