"""The token of an inbox, for requests that are not plainly a browser's on this machine.

It is the ini's (``inbox_token``), which every request needs, or one that is made and kept in a file of the
spool's directory, which all workers of a server share and which outlives a restart. As in Jupyter, whoever
opens the address with the token gets a cookie for it; the address in the browser is without it from then on.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterable
from http.cookies import Morsel
from pathlib import Path
from urllib.parse import unquote_plus

from sentry_paste.inbox.settings import TOKEN
from sentry_paste.spool.files import FILE_MODE, Spool

#: Name of the parameter of an address.
PARAMETER = "token"

_FILE = ".inbox-token"

# No token is longer; what is, need not be looked at.
_MOST_CHARACTERS = 200

_COOKIE = re.compile(r"sentry_paste_inbox_[0-9a-f]{8}\Z")


class Tokens:
    """The tokens that an inbox takes.

    Args:
        given: the ini's; empty where it has none.
        spool: whose directory keeps the one that is made.
    """

    def __init__(self, given: str, spool: Spool) -> None:
        self._given = given
        # Made at load, so that the workers of a server that loads before it forks have the same.
        self._own = given or secrets.token_urlsafe(32)
        self._spool = spool

    def current(self, makes_directory: bool = False) -> str:
        """Return the token to tell: one that all workers take, if there can be one.

        Args:
            makes_directory: whether to make the spool's directory where there is none.
        """
        if self._given:
            return self._given
        path = self._spool.directory / _FILE
        try:
            if not _read(path) and (makes_directory or os.path.lexists(self._spool.directory)):
                self._spool.prepare()
                _write(path, self._own)
        except OSError:  # nothing can be kept there: each process has its own
            return self._own
        return _read(path) or self._own

    def is_right(self, token: str) -> bool:
        """Tell whether a token is one of those that are taken.

        Args:
            token: of a request.
        """
        return any(_is_same(token, known) for known in self._taken())

    def has_cookie(self, header: str) -> bool:
        """Tell whether a request has a cookie that was set for one of the tokens.

        Args:
            header: the Cookie header, empty where there is none.
        """
        cookies = [(name, value) for name, value in _cookies(header) if _COOKIE.match(name)]
        if not cookies:
            return False
        wanted = [(cookie_name(token), _proof(token)) for token in self._taken()]
        return any(
            name == wanted_name and _is_same(value, proof)
            for name, value in cookies
            for wanted_name, proof in wanted
        )

    def _taken(self) -> Iterable[str]:
        # The file is read anew: another worker may have made it since, or somebody a new directory.
        found = "" if self._given else _read(self._spool.directory / _FILE)
        return {self._own, found} - {""}


def take_token(query: str) -> tuple[str | None, str]:
    """Return the token of a query string, None where it has none, and the query string without.

    Args:
        query: of the address.
    """
    if f"{PARAMETER}=" not in query:
        return None, query
    token, rest = None, []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name != PARAMETER:
            rest.append(part)
        elif token is None:
            token = unquote_plus(value[: 3 * _MOST_CHARACTERS])[: _MOST_CHARACTERS + 1]
    return token, "&".join(rest)


def cookie_name(token: str) -> str:
    """Return the name of the cookie for a token.

    Browsers send the cookies of a host to all of its ports, so those of two inboxes have to differ in name.

    Args:
        token: of an inbox.
    """
    return f"sentry_paste_inbox_{_digest(token, 'name')[:8]}"


def cookie(token: str, path: str, secure: bool) -> str:
    """Return the Set-Cookie header for a token, for as long as the browser is open.

    Args:
        token: of an inbox.
        path: that the inbox is mounted at, quoted; empty for the root.
        secure: whether it is only to be sent by https.
    """
    morsel: Morsel[str] = Morsel()
    morsel.set(cookie_name(token), _proof(token), _proof(token))
    morsel["path"] = path or "/"
    morsel["httponly"] = True
    # Not Strict: a link to what was captured is to work in a chat or a ticket, and can change nothing.
    morsel["samesite"] = "Lax"
    if secure:
        morsel["secure"] = True
    return morsel.OutputString()


def _cookies(header: str) -> Iterable[tuple[str, str]]:
    for part in header.split(";"):
        name, _, value = part.partition("=")
        yield name.strip(), value.strip()


def _proof(token: str) -> str:
    """Return what the cookie holds: nobody who sees it has the token, and another token makes it useless."""
    return _digest(token, "cookie")


def _digest(token: str, purpose: str) -> str:
    return hmac.new(token.encode(), f"sentry_paste.inbox {purpose}".encode(), "sha256").hexdigest()


def _is_same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), known.encode())


def _read(path: Path) -> str:
    """Return the token of a file; empty where there is none that only this user can read and write."""
    try:
        # Not blocking: it might be a pipe that somebody has put there.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        descriptor = os.open(path, flags)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        is_private = not hasattr(os, "geteuid") or (
            found.st_uid == os.geteuid() and not stat.S_IMODE(found.st_mode) & 0o077
        )
        if not stat.S_ISREG(found.st_mode) or not is_private:
            return ""
        text = file.read(_MOST_CHARACTERS + 1).decode("ascii", "replace").strip()
    return text if TOKEN.fullmatch(text) else ""


def _write(path: Path, token: str) -> None:
    """Write the file of a token, whole or not at all; one that is there already stays.

    Raises:
        OSError: the directory cannot be written, or something else is in the file's place.
    """
    partial = path.with_name(f"{_FILE}.{secrets.token_hex(8)}.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(f"{token}\n".encode())
        os.link(partial, path)  # which, unlike a renaming, fails where another worker was faster
    except FileExistsError:
        return
    finally:
        partial.unlink(missing_ok=True)
