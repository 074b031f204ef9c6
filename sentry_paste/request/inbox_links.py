"""Where the inbox shows what a filter captures, if the ini of the filter mounts one next to the app.

What is needed to read the inbox's section is imported with the first link: most processes never make one.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote

from sentry_paste.config.inifile import IniFile
from sentry_paste.config.settings import Settings
from sentry_paste.sdk.failures import log_failure

if TYPE_CHECKING:
    from sentry_paste.inbox.settings import InboxSettings

_INBOX = re.compile(r"(?:egg:)?sentry[-_]paste#inbox|(?:call:)?sentry_paste\.inbox:main", re.IGNORECASE)


class _Mount(NamedTuple):
    """An inbox in a urlmap.

    Attributes:
        path: its path there, without a slash at its end.
        others: the paths of the other apps there, the longest first.
        settings: the inbox's.
    """

    path: str
    others: tuple[str, ...]
    settings: InboxSettings


class InboxLinks:
    """The addresses of the inbox. The ini is only read when somebody asks for one.

    Args:
        settings: of the filter.
    """

    __slots__ = ("_found", "_settings")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._found: _Mount | bool | None = None

    def _mount(self) -> _Mount | None:
        if self._found is None:
            try:
                self._found = _find(self._settings) or False
            except Exception:  # an ini of another loader, or one that is being edited
                log_failure("the inbox of the ini is not found, so there are no links to it")
                self._found = False
        return self._found if isinstance(self._found, _Mount) else None

    def opens_for(self, environ: Mapping[str, Any]) -> bool:
        """Return whether there is an inbox that asks a client for no token.

        Args:
            environ: of the client's request.
        """
        mount = self._mount()
        if mount is None:
            return False
        try:
            from sentry_paste.inbox.access import token_reason

            return not token_reason(environ, mount.settings)
        except Exception:  # the page goes without the link
            log_failure("it is not known whether the inbox opens, so there is no link to it")
            return False

    def root(self, script: str) -> str:
        """Return the path of the inbox, with a slash at its end; an empty string if there is none.

        Args:
            script: SCRIPT_NAME of a request as the filter has received it.
        """
        mount = self._mount()
        if mount is None:
            return ""
        script = script.rstrip("/")
        own = next((path for path in mount.others if path and script.endswith(path)), "")
        outer = script[: len(script) - len(own)].strip("/")
        path = quote(outer.encode("latin-1", "replace"))
        return f"{'/' if path else ''}{path}{mount.path}/"


def _find(settings: Settings) -> _Mount | None:
    """Return the inbox that shows the spool of a filter, by the urlmaps of its ini."""
    file = IniFile.read(settings.ini) if settings.ini and settings.spool_dir else None
    if file is None:
        return None
    for section in file.sections.values():
        if "urlmap" not in section.loader.lower():
            continue
        mounts = {key.rstrip("/"): name.strip() for key, name in section.values.items() if key[:1] == "/"}
        for path, name in mounts.items():
            inbox = _inbox_of(file, name)
            if inbox is not None and _is_same(inbox.spool_dir, str(settings.spool_dir)):
                others = sorted(set(mounts) - {path}, key=len, reverse=True)
                return _Mount(path, tuple(others), inbox)
    return None


def _inbox_of(file: IniFile, name: str) -> InboxSettings | None:
    section = file.sections.get(f"app:{name}")
    if section is None or not _INBOX.fullmatch(section.loader.strip()):
        return None
    from paste.deploy.loadwsgi import appconfig

    from sentry_paste.inbox.settings import read_settings

    conf = appconfig(f"config:{os.path.abspath(file.path)}", name=name)
    return read_settings(conf.global_conf, conf.local_conf)


def _is_same(one: os.PathLike[str], other: str) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)
