"""The options of the inbox's section, checked."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Union

from sentry_paste.config.errors import ConfigError, Problem
from sentry_paste.config.inifile import IniFile, Section
from sentry_paste.config.variables import expand

Network = Union[IPv4Network, IPv6Network]

OPTIONS = ("spool_dir", "allow", "allow_hosts")

# What may hold for the filter too, and stands in [DEFAULT] under the name that works there.
_SHARED = {"spool_dir": "sentry.spool_dir"}

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", re.ASCII)
_OURS = re.compile(r"(#|[.:])\s*inbox(:main)?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class InboxSettings:
    """What the section of the inbox says.

    Attributes:
        spool_dir: the directory of the envelope files; it need not be there yet.
        allow: networks besides loopback whose addresses are answered.
        allow_hosts: names besides those of loopback that the Host header may have, lower case.
    """

    spool_dir: Path
    allow: tuple[Network, ...] = ()
    allow_hosts: frozenset[str] = frozenset()


def read_settings(global_conf: Mapping[str, str], local_conf: Mapping[str, str]) -> InboxSettings:
    """Read the options that PasteDeploy hands to the inbox.

    Args:
        global_conf: ``[DEFAULT]``, and what the loader adds: ``here`` and ``__file__``.
        local_conf: the section. Keys that begin with two underscores are the loader's.

    Raises:
        ConfigError: with every mistake that was found.
    """
    path = global_conf.get("__file__", "")
    local = {key: value for key, value in local_conf.items() if not key.startswith("__")}
    section = _section(path, local)
    problems: list[Problem] = []

    def problem(option: str, value: str | None, reason: str) -> None:
        problems.append(Problem(option, value, reason, section.lines.get(option)))

    values = {}
    for key, value in local.items():
        if key not in OPTIONS:
            problem(key, None, _unknown(key))
            continue
        try:
            values[key] = expand(key, value, os.environ).strip()
        except ValueError as error:
            problem(key, value, str(error))
            values[key] = "-" if key == "spool_dir" else ""
    spool_dir = values.get("spool_dir") or _shared(global_conf, "spool_dir")
    if not spool_dir:
        problem("spool_dir", None, "expected the directory of the envelope files, the filter's spool_dir")
    allow, allow_hosts = [], []
    for item in _items(values.get("allow", "")):
        try:
            allow.append(ip_network(item))
        except ValueError:
            problem("allow", item, "expected an IP address or a network, 192.0.2.7 or 192.0.2.0/24")
    for item in _items(values.get("allow_hosts", "")):
        if not _HOST.fullmatch(item.lower()):
            problem("allow_hosts", item, "expected the name of a host, without a port")
        allow_hosts.append(item.lower())
    if problems:
        place = f" [{section.name}]" if section.name else ""
        raise ConfigError(f"{path or 'ini'}{place}", problems)
    directory = Path(global_conf.get("here", ""), os.path.expanduser(spool_dir))
    return InboxSettings(directory, tuple(allow), frozenset(allow_hosts))


def _section(path: str, local: Mapping[str, str]) -> Section:
    """Return the section that these values are from, one without lines where it cannot be told."""
    file = IniFile.read(path) if path else None
    found = [
        section
        for section in (file.sections.values() if file else ())
        if _OURS.search(section.loader) and set(local) <= set(section.values)
    ]
    return found[0] if len(found) == 1 else Section("")


def _shared(global_conf: Mapping[str, str], option: str) -> str:
    name = _SHARED[option]
    return expand(name, global_conf.get(name, ""), os.environ).strip()


def _unknown(key: str) -> str:
    close = difflib.get_close_matches(key, OPTIONS, n=1)
    hint = f"; did you mean {close[0]}?" if close else f"; it has {', '.join(OPTIONS)}"
    return f"is no option of the inbox{hint}"


def _items(text: str) -> Iterator[str]:
    return (item for item in re.split(r"[\s,]+", text) if item)
