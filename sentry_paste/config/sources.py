"""Collect the options from all their sources, and decide which source takes precedence.

Highest first: the command line and ``set NAME``, the section, ``sentry.NAME`` in
``[DEFAULT]``, the ``SENTRY_*`` variables that the SDK reads, the default.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sentry_paste.config.aliases import ALIASES, BEFORE_DSNS, OBSOLETE, ZOPE2INSTANCE_ONLY, plain_dsn
from sentry_paste.config.errors import Problem
from sentry_paste.config.families import family_of
from sentry_paste.config.inifile import IniFile, Section
from sentry_paste.config.options import options
from sentry_paste.sdk.failures import warn

#: The prefix of an option's name: required in ``[DEFAULT]``, optional in a section.
PREFIX = "sentry."

# The variables that the SDK reads if the option is not set (sentry_sdk.client, sentry_sdk.utils).
VARIABLES = {
    "debug": "SENTRY_DEBUG",
    "dsn": "SENTRY_DSN",
    "environment": "SENTRY_ENVIRONMENT",
    "keep_alive": "SENTRY_KEEP_ALIVE",
    "release": "SENTRY_RELEASE",
    "spotlight": "SENTRY_SPOTLIGHT",
}


@dataclass(frozen=True)
class RawOption:
    """An option as it was written, before it is parsed.

    Attributes:
        name: of the option, without prefix, with underscores for hyphens.
        written: the name as it was written.
        value: as it was written.
        origin: where it was written, in words.
        line: its line in the file, None if that is not known.
        text: that line.
        rows: the line numbers of a value of several lines, each by the line's text.
        source: file and section, if they are not those of the filter.
        fallback: the option that applies if this one turns out to have no value.
    """

    name: str
    written: str
    value: Any
    origin: str
    line: int | None = None
    text: str = ""
    rows: Mapping[str, int] = field(default_factory=dict)
    source: str = ""
    fallback: RawOption | None = None


@dataclass
class RawOptions:
    """All options of one filter, as they were written.

    Attributes:
        source: the file and the section, if they are known.
        base: the directory to which paths are relative.
        ini: path of the file that was loaded, empty if there is none.
        given: the options by name.
        problems: mistakes that were found while collecting.
        hidden: names of options that PasteDeploy hid, as they were written in the section.
    """

    source: str
    base: str
    given: dict[str, RawOption]
    problems: list[Problem]
    hidden: list[str]
    ini: str = ""


def option_name(key: str) -> str:
    """Return an option's name: without the prefix, and with underscores for hyphens in its first part.

    Args:
        key: as it was written in an ini.
    """
    name = key[len(PREFIX) :] if key.startswith(PREFIX) else key
    head, dot, rest = name.partition(".")
    return head.replace("-", "_") + dot + rest


def collect(
    global_conf: Mapping[str, str], local_conf: Mapping[str, str], name: str = "", home_path: str = ""
) -> RawOptions:
    """Collect the options of a filter from the arguments that PasteDeploy passes to its factory.

    Args:
        global_conf: ``[DEFAULT]``, with the loader's ``here`` and ``__file__``.
        local_conf: the filter's section. Keys that begin with two underscores are the loader's.
        name: of the section; if it is empty, the section is searched for among those of this package.
        home_path: path of the file that has the section, if it is known.
    """
    path = global_conf.get("__file__", "")
    file = IniFile.read(path) if path else None
    local = {key: value for key, value in local_conf.items() if not key.startswith("__")}
    known = IniFile.read(home_path) if home_path and name and home_path != path else file
    home, section = _find_section(known, local, global_conf, name)
    title = f"[{section.name}]" if section else "section"
    holders = home.holders(section) if home and section else []
    gathered = RawOptions(
        source=f"{section.path} {title}" if section else home.path if home else path or "ini",
        base=global_conf.get("here", ""),
        given=_from_defaults(global_conf, file),
        problems=[],
        hidden=[],
        ini=path,
    )
    own: dict[str, RawOption] = {}
    for key in sorted(local):
        name = option_name(key)
        if section and not is_option(name) and _is_variable(key, section):
            continue
        if name in own:
            reason = f"is set twice, also as {own[name].written}"
            item = _held(key, local[key], file, holders)
            gathered.problems.append(Problem(key, None, reason, item.line, item.source))
        own[name] = _held(key, local[key], file, holders)
    for name, item in own.items():
        gathered.given[name] = replace(item, fallback=gathered.given.get(name))
    if "dsn" in global_conf and "dsn" not in own and "dsn" not in gathered.given:
        message = "%s: dsn in [DEFAULT] is not read; write sentry.dsn instead"
        warn(message, gathered.source, code="default-dsn")
    if file and home:
        files = [file, home, *(held for held, _ in holders)]
        sections = [(*holder, _source(holders, holder)) for holder in holders]
        for other in () if section else file.ours():
            sections.append((file, other, ""))
        _apply_overrides(gathered, sections, files, global_conf, local)
    return gathered


def _find_section(
    file: IniFile | None, local: Mapping[str, str], global_conf: Mapping[str, str], name: str
) -> tuple[IniFile | None, Section | None]:
    """Return the file and the section of the options; if the section is not known, the ini and None."""
    if file is None:
        return None, None
    section = file.sections.get(name) if name else file.section_of(local, global_conf)
    elsewhere = None if section or name or not local else file.find_included(local)
    return elsewhere or (file, section)


def _held(key: str, value: str, file: IniFile | None, holders: list[tuple[IniFile, Section]]) -> RawOption:
    """Return an option of a section, with its place in that section or in one that this inherits from."""
    for holder in holders:
        home, section = holder
        written = next((word for word in (key, f"get {key}") if word in section.values), "")
        if written:
            item = _given(key, value, _origin(home, section, file), section)
            line, text = section.lines.get(written), section.texts.get(written, "")
            rows = section.rows.get(written, {})
            return replace(item, line=line, text=text, rows=rows, source=_source(holders, holder))
    return _given(key, value, _origin(*holders[0], file) if holders else "section", None)


def _origin(home: IniFile, section: Section, file: IniFile | None) -> str:
    return f"[{section.name}]" + (f" of {home.name}" if home is not file else "")


def _source(holders: list[tuple[IniFile, Section]], holder: tuple[IniFile, Section]) -> str:
    """Return file and section of inherited options; empty for those of the section itself."""
    return "" if holder[1] is holders[0][1] else f"{holder[1].path} [{holder[1].name}]"


def _given(key: str, value: str, origin: str, section: Section | None) -> RawOption:
    found = section or Section("")
    return RawOption(
        option_name(key),
        key,
        value,
        origin,
        found.lines.get(key),
        found.texts.get(key, ""),
        found.rows.get(key, {}),
    )


def _from_defaults(global_conf: Mapping[str, str], file: IniFile | None) -> dict[str, RawOption]:
    defaults = file.defaults if file else None
    found = {}
    for key, value in global_conf.items():
        if key.startswith(PREFIX):
            found[option_name(key)] = _given(key, value, "[DEFAULT]", defaults)
    return found


def _apply_overrides(
    gathered: RawOptions,
    sections: list[tuple[IniFile, Section, str]],
    files: list[IniFile],
    global_conf: Mapping[str, str],
    local: Mapping[str, str],
) -> None:
    """Apply the command line and ``set``, and warn of options that ``[DEFAULT]`` hides."""
    defaults: dict[str, str] = {}
    for held in reversed(files):  # the outermost last, which wins
        defaults.update(held.defaults.values)
    for key, value in global_conf.items():
        if not (key.startswith(PREFIX) or is_option(option_name(key))):
            continue
        for file, section, source in sections:
            if f"set {key}" in section.values:
                line = section.lines.get(f"set {key}")
                gathered.given[option_name(key)] = RawOption(
                    option_name(key), key, value, f"set in [{section.name}]", line, source=source
                )
            elif key in local:
                continue
            elif key.startswith(PREFIX) and key in defaults and "%" not in defaults[key] != value:
                # Differs from the file's own [DEFAULT]: the command line has changed it.
                gathered.given[option_name(key)] = RawOption(option_name(key), key, value, "command line")
            elif key in section.values and key in defaults:
                gathered.hidden.append(key)
                hiding = next((held.name for held in files if key in held.defaults.values), file.name)
                _warn_hidden(source or gathered.source, key, section, section in file.ours(), hiding)
            elif key in section.values or (key.startswith(PREFIX) and key not in defaults):
                # Not in the file's own [DEFAULT]: the command line has put it into global_conf.
                gathered.given[option_name(key)] = RawOption(option_name(key), key, value, "command line")
            else:
                continue
            break


def is_option(name: str) -> bool:
    """Return whether there is an option of this name, or was one in raven and its like.

    Args:
        name: without a prefix.
    """
    return name in options() or family_of(name) is not None or name in ALIASES or name in OBSOLETE


def _is_variable(key: str, section: Section) -> bool:
    """Return whether a key is there for other values of its section, as ``%(key)s``."""
    return any(f"%({key})s" in value for value in section.values.values())


def _warn_hidden(source: str, key: str, section: Section, is_ours: bool, hiding: str) -> None:
    other = key[len(PREFIX) :] if key.startswith(PREFIX) else PREFIX + key
    # In an app's section the option has no other name.
    advice = f"write {other} instead" if is_ours else "remove it from [DEFAULT]"
    place = f"{source} line {section.lines[key]}" if key in section.lines else source
    message = "%s: %s is hidden by %s in [DEFAULT] of %s; %s"
    warn(message, place, key, key, hiding, advice, code="hidden-option")


def from_keywords(keywords: Mapping[str, Any]) -> RawOptions:
    """Collect the options that Python code passes as keywords.

    Args:
        keywords: options by name.
    """
    given = {name: RawOption(name, name, value, "keyword") for name, value in keywords.items()}
    return RawOptions("SentryMiddleware", "", given, [], [])


def fallback_of(item: RawOption, given: Mapping[str, RawOption]) -> str:
    """Return, in words, what is used if an option turns out to have no value; empty for its default.

    Args:
        item: the option.
        given: all options by name.
    """
    if item.fallback is not None and item.fallback.value:
        return f"{item.fallback.written} in {item.fallback.origin}"
    variable = VARIABLES.get(item.name, "")
    return variable if _is_used(item.name, variable, given) else ""


def _is_used(name: str, variable: str, given: Mapping[str, RawOption]) -> bool:
    return bool(os.environ.get(variable)) and not (name == "dsn" and "dsn_file" in given)


def add_environment(given: dict[str, RawOption]) -> None:
    """Add the environment variables that the SDK reads, for options that are not set.

    Args:
        given: the options by name, without those that have no value; changed.
    """
    for name, variable in VARIABLES.items():
        if name not in given and name in options() and _is_used(name, variable, given):
            given[name] = RawOption(name, variable, os.environ[variable], "environment")


def resolve_aliases(given: Mapping[str, RawOption], source: str = "") -> dict[str, RawOption]:
    """Return the options by their current names, and warn of old ones.

    Args:
        given: options by name. If one is set by both names, the current name takes precedence.
        source: the file and section, for the warnings.
    """
    found: dict[str, RawOption] = {}
    for name, item in given.items():
        alias = ALIASES.get(name)
        where = place(source, item)
        if _has_no_counterpart(name, item, given):
            warn("%s is a raven option that has no counterpart here; remove it", where, code="no-counterpart")
        elif name == "level" and ZOPE2INSTANCE_ONLY.isdisjoint(given):
            advice = "remove it, or write integration.logging.event_level for the level of what is reported"
            warn("%s has no effect, as in raven; %s", where, advice, code="no-counterpart")
        elif alias is None:
            found[name] = item
        else:
            message = "%s is %s's name for %s; use that instead"
            warn(message, where, alias.project, alias.option, code="older-name")
            if alias.option not in given and isinstance(item.value, str):
                found[alias.option] = replace(item, name=alias.option, value=alias.convert(item.value))
    return found


def _has_no_counterpart(name: str, item: RawOption, given: Mapping[str, RawOption]) -> bool:
    if name == "transport":  # that of raven cannot send what the SDK makes
        return isinstance(item.value, str) and item.value.strip().startswith("raven.")
    return name in OBSOLETE or (name in BEFORE_DSNS and _has_value(given.get("dsn")))


def _has_value(item: RawOption | None) -> bool:
    return item is not None and bool(item.value)


def warn_of_raven_dsn(item: RawOption, text: str, source: str = "") -> None:
    """Warn of the parts of a DSN that only raven has.

    Args:
        item: the option.
        text: the DSN, with variables replaced.
        source: the file and section, for the warnings.
    """
    if plain_dsn(text) != text:
        message = "%s is in raven's format; write only https://KEY@HOST/PROJECT"
        warn(message, place(source, item), code="raven-dsn")
        if re.search(r"verify_ssl=(0|false)", text, re.IGNORECASE):
            message = "%s: certificates are always verified; set ca_certs to trust your own"
            warn(message, place(source, item), code="raven-dsn")


def place(source: str, item: RawOption) -> str:
    """Return where an option is, for a warning.

    Args:
        source: the file and section.
        item: the option.
    """
    source = item.source or source
    line = f" line {item.line}" if item.line else ""
    return f"{source}{line}: {item.written}" if source else item.written
