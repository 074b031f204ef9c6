"""Who may look: browsers on this machine, those that the ini names, and whoever has the token.

What the inbox shows is what an app knows of its users. Where the ini sets a token, every request needs it.
Otherwise a request is answered without the token where all of this holds:

- The address of the connection is loopback, or one of ``allow``.
- The Host header names this machine, and the port that the server listens on. A page on the web may have its
  own name point to 127.0.0.1 and have the visitor's browser fetch from there (DNS rebinding), but it cannot
  make the browser send another Host than its own. A proxy that passes on the Host it was asked for passes on
  its own port, or none.
- Nothing says that it was passed on: behind a proxy on this machine the whole world has a loopback address,
  and with nginx's plain ``proxy_pass`` a loopback Host. So the headers of proxies count, whatever they say,
  and a server that removes them, as waitress does by default, leaves nothing to tell it by.
- The connection is as a browser makes it. A browser says ``Connection: keep-alive``, which is of its own
  connection and not passed on (RFC 9110, 7.6.1): nginx speaks HTTP/1.0 and says ``close``, from 1.29.7 on
  HTTP/1.1 and says nothing, as HAProxy and the proxies written in Go do.
- A browser says that somebody opened the address, or that the inbox's own origin leads there
  (``Sec-Fetch-Site``). An HTTP client of an app on this machine, which a stranger may have fetch an address
  of their choice (SSRF), does not say it.

All of it but the address of the connection is text that a client writes. A proxy that is set to keep
connections alive and adds no header cannot be told from a browser here, where it asks for the server's own
address, as nginx does by default, or passes on a Host with its port. The ini's token is for that.
"""

from __future__ import annotations

import hmac
import os
import re
import secrets
import stat
from collections.abc import Iterable, Mapping
from http.cookies import Morsel
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Union
from urllib.parse import unquote_plus

from sentry_paste.inbox.settings import TOKEN, InboxSettings
from sentry_paste.spool.files import FILE_MODE, Spool

Address = Union[IPv4Address, IPv6Address]

# What proxies, load balancers and content delivery networks add. No browser sends a header X-... by itself,
# but for the few that are named; of the others, words that speak of a client or of the way tell.
_ADDED_ON_THE_WAY = re.compile(
    r"HTTP_(?:X_(?!REQUESTED_WITH\Z|MOZ\Z|PURPOSE\Z)|VIA\Z|CF_|FASTLY_|FLY_|AKAMAI_|SSL_|SURROGATE_|FRONT_END_)"
    r"|HTTP_.*?(?:FORWARD|PROX|CDN|(?:CLIENT|REAL|CONNECTING|SOURCE|SRC|USER|ORIGINAL)_?(?:IP|ADDR|HOST)"
    r"|REMOTE_)"
)
_MOST_SHOWN = 60

_PORT = re.compile(r":(\d+)\Z", re.ASCII)
_USUAL_PORTS = {"http": "80", "https": "443"}


def doubt(environ: Mapping[str, Any], settings: InboxSettings) -> str:
    """Return why a request needs the token, an empty text where it does not.

    Args:
        environ: of the request.
        settings: of the inbox.
    """
    if settings.inbox_token:
        return "inbox_token is set in its section of the ini, so every request needs it"
    sender = _text(environ.get("REMOTE_ADDR"))
    address = _address(sender)
    if address is None or not _is_allowed(address, settings):
        sender = sender[:_MOST_SHOWN] or "nowhere"
        return f"it is from {sender}, which is not this machine; see allow in its section of the ini"
    host = _host(environ)
    if not (_is_loopback_name(host) or host in settings.allow_hosts):
        host = host[:_MOST_SHOWN] or "(none)"
        return f"the host {host} is not this machine's; see allow_hosts in its section of the ini"
    if not _names_own_port(environ):
        return "the port in its address is not the one that the server listens on"
    name = next((key for key in environ if _ADDED_ON_THE_WAY.match(key)), None)
    if name is not None:
        header = name[len("HTTP_") :].replace("_", "-").title()
        return f"its header {header[:_MOST_SHOWN]} says that a proxy has passed it on"
    if _may_have_lost_headers(environ):
        return (
            "waitress removes what proxies add, so one may have passed it on; "
            "clear_untrusted_proxy_headers = false in [server:main] keeps it"
        )
    if not _is_connection_of_a_browser(environ):
        return "it does not say Connection: keep-alive, as browsers do; a program or a proxy may have sent it"
    return _doubt_of_origin(environ, host)


def is_of_another_site(environ: Mapping[str, Any]) -> bool:
    """Return whether a page of another site or port asks for a part of itself, and not for a page to go to.

    It could not read the answer; that there is one, and how long it takes, it is not to learn either
    (https://www.w3.org/TR/fetch-metadata/).

    Args:
        environ: of the request.
    """
    site, mode = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_SEC_FETCH_MODE")
    return site in ("cross-site", "same-site") and mode != "navigate"


def _doubt_of_origin(environ: Mapping[str, Any], host: str) -> str:
    """Return what speaks against a person at a browser who opened an address, or a page of this origin."""
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site in ("none", "same-origin"):
        return ""
    if site is not None:
        return "a page of another site or port leads here; open the address yourself"
    # Browsers send it to URLs that are potentially trustworthy only: of https, and of loopback
    # (https://www.w3.org/TR/fetch-metadata/ 2, https://www.w3.org/TR/secure-contexts/ 3.1).
    if environ.get("wsgi.url_scheme") == "http" and not _is_loopback_name(host):
        return ""
    return "it has no Sec-Fetch-Site, as a browser's has, so a program may have sent it"


def _may_have_lost_headers(environ: Mapping[str, Any]) -> bool:
    """Return whether the server is waitress and removes what proxies add, as it does unless told not to.

    https://docs.pylonsproject.org/projects/waitress/en/stable/arguments.html
    """
    # A method of the connection, which knows the server and its settings (waitress 2.0 and later).
    method = environ.get("waitress.client_disconnected")
    if method is None and environ.get("SERVER_SOFTWARE") != "waitress":
        return False
    server = getattr(getattr(method, "__self__", None), "server", None)
    return getattr(getattr(server, "adj", None), "clear_untrusted_proxy_headers", True) is not False


def _is_connection_of_a_browser(environ: Mapping[str, Any]) -> bool:
    protocol = _text(environ.get("SERVER_PROTOCOL"))
    if protocol in ("HTTP/2", "HTTP/2.0", "HTTP/3", "HTTP/3.0"):  # which have no Connection header
        return True
    options = _text(environ.get("HTTP_CONNECTION")).lower().split(",")
    return protocol == "HTTP/1.1" and "keep-alive" in (option.strip() for option in options)


def _address(text: str) -> Address | None:
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = _PORT.sub("", text)
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _is_allowed(address: Address, settings: InboxSettings) -> bool:
    return address.is_loopback or any(address in network for network in settings.allow)


def _host(environ: Mapping[str, Any]) -> str:
    """Return the Host header's name, lower case, without the port, the brackets and the last dot."""
    host = _PORT.sub("", _text(environ.get("HTTP_HOST")).strip().lower())
    return host.strip("[]") if host.startswith("[") else host.rstrip(".")


def _names_own_port(environ: Mapping[str, Any]) -> bool:
    found = _PORT.search(_text(environ.get("HTTP_HOST")).strip())
    port = found[1] if found else _USUAL_PORTS.get(_text(environ.get("wsgi.url_scheme")))
    return port is not None and port == environ.get("SERVER_PORT")


def _is_loopback_name(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761: never anybody else's
        return True
    # A zone has no place in a Host header (RFC 6874), and what stands behind its % could be anybody's name.
    address = None if "%" in host else _address(host)
    return address is not None and address.is_loopback


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


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
        """Return whether a token is one of those that are taken.

        Args:
            token: of a request.
        """
        return any(_is_same(token, known) for known in self._taken())

    def has_cookie(self, header: str) -> bool:
        """Return whether a request has a cookie that was set for one of the tokens.

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
