"""The options of the inbox's section, checked."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Union

from sentry_paste.config.errors import ConfigError, Problem
from sentry_paste.config.inifile import IniFile, Section
from sentry_paste.config.values import expand

Network = Union[IPv4Network, IPv6Network]

OPTIONS = ("spool_dir", "allow", "allow_hosts", "inbox_token")

# What may hold for the filter too, and stands in [DEFAULT] under the name that works there.
_SHARED = {"spool_dir": "sentry.spool_dir"}

# Of a server: what it listens at, and names for all addresses of a machine.
_PLACE = re.compile(r"(?P<host>[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]|\*):(?P<port>\d{1,5})", re.ASCII)
_EVERYWHERE = ("0.0.0.0", "*", "[::]")  # noqa: S104 - to tell a browser another one

_LONG_ENOUGH = (
    "expected 16 to 200 letters, digits, dots, dashes, underscores and tildes, as those of "
    "python -c 'import secrets; print(secrets.token_urlsafe())'"
)

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", re.ASCII)
#: What a token looks like: nothing of it needs a quote in an address or in a cookie.
TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}", re.ASCII)

_OURS = re.compile(r"(#|[.:])\s*inbox(:main)?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class InboxSettings:
    """What the section of the inbox says.

    Attributes:
        spool_dir: the directory of the envelope files; it need not be there yet.
        allow: networks besides loopback whose addresses are answered without the token.
        allow_hosts: names besides those of loopback that the Host header may have without the token, lower
            case.
        inbox_token: what every request needs; empty where one is to be made, for requests that are not
            plainly a browser's on this machine.
        address: where it is, as far as the ini says: a URL, or a path; it ends with a slash.
    """

    spool_dir: Path
    allow: tuple[Network, ...] = ()
    allow_hosts: frozenset[str] = frozenset()
    inbox_token: str = field(default="", repr=False)
    address: str = ""


def read_settings(global_conf: Mapping[str, str], local_conf: Mapping[str, str]) -> InboxSettings:
    """Read the options that PasteDeploy hands to the inbox.

    Args:
        global_conf: ``[DEFAULT]``, and what the loader adds: ``here`` and ``__file__``.
        local_conf: the section. Keys that begin with two underscores are the loader's.

    Raises:
        ConfigError: with every mistake that was found.
    """
    path = global_conf.get("__file__", "")
    file = IniFile.read(path) if path else None
    local = {key: value for key, value in local_conf.items() if not key.startswith("__")}
    section = _section(file, local)
    problems: list[Problem] = []

    def problem(option: str, value: str | None, reason: str) -> None:
        shown = None if option == "inbox_token" else value
        problems.append(Problem(option, shown, reason, section.lines.get(option)))

    values = {}
    for key, value in local.items():
        if key not in OPTIONS:
            problem(key, None, _unknown(key))
            continue
        try:
            values[key] = expand(key, value, os.environ).strip()
        except ValueError as error:
            problem(key, value, str(error))
            values.update({"spool_dir": "-"} if key == "spool_dir" else {})
    spool_dir = values.get("spool_dir") or _shared(global_conf, "spool_dir")
    if not spool_dir:
        problem("spool_dir", None, "expected the directory of the envelope files, the filter's spool_dir")
    token = values.get("inbox_token")
    if token is not None and not TOKEN.fullmatch(token):
        problem("inbox_token", None, _LONG_ENOUGH)
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
    return InboxSettings(
        directory, tuple(allow), frozenset(allow_hosts), token or "", _address(file, section)
    )


def _section(file: IniFile | None, local: Mapping[str, str]) -> Section:
    """Return the section that these values are from, one without lines where it cannot be told."""
    found = [
        section
        for section in (file.sections.values() if file else ())
        if _OURS.search(section.loader) and set(local) <= set(section.values)
    ]
    return found[0] if len(found) == 1 else Section("")


def _address(file: IniFile | None, section: Section) -> str:
    """Return where an inbox is: as ``[server:main]`` and Paste's urlmap have it, or only the path."""
    name = section.name.partition(":")[2].strip()
    sections = file.sections.values() if file else ()
    paths = [
        key.rstrip("/")
        for other in sections
        if name and "urlmap" in other.loader
        for key, value in other.values.items()
        if value.strip() == name and key.startswith("/")
    ]
    server = file.sections.get("server:main") if file else None
    return f"{_server(server) if server else ''}{paths[0] if paths else ''}/"


def _server(section: Section) -> str:
    """Return the URL of a server, empty where its section does not say it, or not in plain text."""
    listen = section.values.get("listen", "").split()
    port = section.values.get("port", "").strip()
    place = listen[0] if listen else f"{section.values.get('host', '').strip() or '127.0.0.1'}:{port}"
    found = _PLACE.fullmatch(place)
    if found is None:
        return ""
    return f"http://{'127.0.0.1' if found['host'] in _EVERYWHERE else found['host']}:{found['port']}"


def _shared(global_conf: Mapping[str, str], option: str) -> str:
    name = _SHARED[option]
    return expand(name, global_conf.get(name, ""), os.environ).strip()


def _unknown(key: str) -> str:
    close = difflib.get_close_matches(key, OPTIONS, n=1)
    hint = f"; did you mean {close[0]}?" if close else f"; it has {', '.join(OPTIONS)}"
    return f"is no option of the inbox{hint}"


def _items(text: str) -> Iterator[str]:
    return (item for item in re.split(r"[\s,]+", text) if item)
