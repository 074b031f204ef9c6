"""The options in the inbox's section of the ini: read and check them."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Union

from paste.deploy.converters import asbool

from sentry_paste.config.errors import ConfigError, Problem
from sentry_paste.config.inifile import IniFile, Section
from sentry_paste.config.values import expand
from sentry_paste.inbox.editor import Editor

Network = Union[IPv4Network, IPv6Network]

OPTIONS = ("spool_dir", "allow", "allow_hosts", "inbox_token", "editor", "app_url", "allow_clear")

# Options that the filter has too, with the names that both read from [DEFAULT].
_SHARED = {"spool_dir": "sentry.spool_dir"}

# The address that a server listens on, and the names for all addresses of a machine.
_LISTEN = re.compile(
    r"(?P<host>[A-Za-z0-9_.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]|\*):(?P<port>\d{1,5})", re.ASCII
)
_ANY_ADDRESS = ("0.0.0.0", "*", "[::]")  # noqa: S104 - not to listen on, but to show 127.0.0.1 instead

_LONG_ENOUGH = (
    "expected 16 to 200 letters, digits, dots, dashes, underscores and tildes; to make one: "
    "python -c 'import secrets; print(secrets.token_urlsafe())'"
)

_HOST = re.compile(r"[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?", re.ASCII)
#: A token has only characters that need no quoting in a URL or a cookie.
TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,200}", re.ASCII)

_APP_URL = re.compile(r"/(?!/)[!-~]{0,200}|/|https?://[!-~]{1,200}", re.ASCII)

_INBOX_LOADER = re.compile(r"(#|[.:])\s*inbox(:main)?\s*", re.IGNORECASE)


@dataclass(frozen=True)
class InboxSettings:
    """The options of the inbox.

    Attributes:
        spool_dir: the directory of the envelope files; it need not exist yet.
        allow: networks, in addition to loopback, whose addresses need no token.
        allow_hosts: host names, in addition to those of loopback, that need no token; lower case.
        inbox_token: the token that every request needs. If empty, the inbox makes one, which only requests
            need that are not plainly from a browser on this machine.
        address: address of the inbox, as far as the ini shows it: a URL or a path, with a slash at the end.
        editor: makes links that open a source line.
        app_url: address of the app, for a link back to it; None for the folder above the inbox.
        allow_clear: whether the pages have a button that hides and removes files.
    """

    spool_dir: Path
    allow: tuple[Network, ...] = ()
    allow_hosts: frozenset[str] = frozenset()
    inbox_token: str = field(default="", repr=False)
    address: str = ""
    editor: Editor = field(default_factory=lambda: Editor(""))
    app_url: str | None = None
    allow_clear: bool = True


def read_settings(global_conf: Mapping[str, str], local_conf: Mapping[str, str]) -> InboxSettings:
    """Read the options that PasteDeploy passes to the inbox.

    Args:
        global_conf: ``[DEFAULT]``, and the loader's ``here`` and ``__file__``.
        local_conf: the section. Keys that begin with two underscores come from the loader.

    Raises:
        ConfigError: the section has mistakes; all of them are listed.
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
        problem("spool_dir", None, "expected the directory of envelope files: the spool_dir of the filter")
    token = values.get("inbox_token")
    if token is not None and not TOKEN.fullmatch(token):
        problem("inbox_token", None, _LONG_ENOUGH)
    allow, allow_hosts = [], []
    for item in _items(values.get("allow", "")):
        try:
            allow.append(ip_network(item))
        except ValueError:
            problem("allow", item, "expected an IP address or a network, such as 192.0.2.7 or 192.0.2.0/24")
    for item in _items(values.get("allow_hosts", "")):
        if not _HOST.fullmatch(item.lower()):
            problem("allow_hosts", item, "expected a host name without a port")
        allow_hosts.append(item.lower())
    editor, app_url, allow_clear = _page_options(values, problem)
    if problems:
        place = f" [{section.name}]" if section.name else ""
        raise ConfigError(f"{path or 'ini'}{place}", problems)
    directory = Path(global_conf.get("here", ""), os.path.expanduser(spool_dir))
    return InboxSettings(
        directory,
        tuple(allow),
        frozenset(allow_hosts),
        token or "",
        _address(file, section),
        editor,
        app_url,
        allow_clear,
    )


def _page_options(
    values: Mapping[str, str], problem: Callable[[str, str | None, str], None]
) -> tuple[Editor, str | None, bool]:
    """Return the values of ``editor``, ``app_url`` and ``allow_clear``."""
    editor, allow_clear = Editor(""), True
    try:
        editor = Editor(values.get("editor", ""))
    except ValueError as error:
        problem("editor", values["editor"], str(error))
    app_url = values.get("app_url") or None
    if app_url and not _APP_URL.fullmatch(app_url):
        problem("app_url", app_url, "expected a path or a URL, such as / or http://localhost:6543/")
    try:
        allow_clear = bool(asbool(values.get("allow_clear") or "true"))
    except ValueError:
        problem("allow_clear", values["allow_clear"], "expected true or false")
    return editor, app_url, allow_clear


def _section(file: IniFile | None, local: Mapping[str, str]) -> Section:
    """Return the section that these values come from, or one without lines if that is not clear."""
    found = [
        section
        for section in (file.sections.values() if file else ())
        if _INBOX_LOADER.search(section.loader) and set(local) <= set(section.values)
    ]
    return found[0] if len(found) == 1 else Section("")


def _address(file: IniFile | None, section: Section) -> str:
    """Return the address of the inbox by ``[server:main]`` and Paste's urlmap, or only its path."""
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
    """Return the URL of a server, empty if its section does not show it."""
    listen = section.values.get("listen", "").split()
    port = section.values.get("port", "").strip()
    place = listen[0] if listen else f"{section.values.get('host', '').strip() or '127.0.0.1'}:{port}"
    found = _LISTEN.fullmatch(place)
    if found is None:
        return ""
    return f"http://{'127.0.0.1' if found['host'] in _ANY_ADDRESS else found['host']}:{found['port']}"


def _shared(global_conf: Mapping[str, str], option: str) -> str:
    name = _SHARED[option]
    return expand(name, global_conf.get(name, ""), os.environ).strip()


def _unknown(key: str) -> str:
    close = difflib.get_close_matches(key, OPTIONS, n=1)
    hint = f"; did you mean {close[0]}?" if close else f"; its options are {', '.join(OPTIONS)}"
    return f"is no option of the inbox{hint}"


def _items(text: str) -> Iterator[str]:
    return (item for item in re.split(r"[\s,]+", text) if item)
