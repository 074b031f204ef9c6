"""Who may look: browsers on this machine, clients that the ini names, and whoever has the token.

The inbox shows personal data of the app's users. If the ini sets a token, every request needs it. Otherwise a
request needs no token if all of these are true:

- The address of the connection is loopback, or one of ``allow``.
- The Host header names this machine and the port that the server listens on. A web page can make its own name
  resolve to 127.0.0.1 and have the visitor's browser fetch from there (DNS rebinding), but it cannot make the
  browser send a Host other than its own. A proxy that forwards the client's Host forwards its own port, or
  none.
- No header shows that a proxy forwarded it. Behind a proxy on this machine, every client in the world has a
  loopback address, and with nginx's plain ``proxy_pass`` a loopback Host. So any header that proxies add
  counts, whatever its value. If the server removes such headers, as waitress does by default, nothing is left
  to check.
- The connection looks like a browser's. A browser sends ``Connection: keep-alive``, which applies to its own
  connection and is not forwarded (RFC 9110, 7.6.1): nginx speaks HTTP/1.0 and sends ``close``; from 1.29.7 on
  it speaks HTTP/1.1 and sends nothing, like HAProxy and proxies written in Go.
- ``Sec-Fetch-Site`` says that somebody opened the address, or followed a link from the inbox's own origin. An
  HTTP client inside an app on this machine, which a stranger may make fetch any address (SSRF), does not send
  that header.

All of this except the address of the connection is written by the client. A proxy that keeps connections
alive and adds no header looks like a browser, if it sends the server's own address as Host, as nginx does by
default, or forwards a Host with its port. Only a token in the ini protects against that.
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
from sentry_paste.spool.files import Spool
from sentry_paste.spool.private import FILE_MODE

Address = Union[IPv4Address, IPv6Address]

# Headers that proxies, load balancers and content delivery networks add. Browsers send no X-... header by
# themselves except the few excluded here; other headers are recognised by words for a client or a proxy.
_PROXY_HEADER = re.compile(
    r"HTTP_(?:X_(?!REQUESTED_WITH\Z|MOZ\Z|PURPOSE\Z)|VIA\Z|CF_|FASTLY_|FLY_|AKAMAI_|SSL_|SURROGATE_|FRONT_END_)"
    r"|HTTP_.*?(?:FORWARD|PROX|CDN|(?:CLIENT|REAL|CONNECTING|SOURCE|SRC|USER|ORIGINAL)_?(?:IP|ADDR|HOST)"
    r"|REMOTE_)"
)
_MAX_SHOWN = 60
_WRONG_PORT = "the port in the address is not the one that the server listens on"

_PORT = re.compile(r":(\d+)\Z", re.ASCII)
_USUAL_PORTS = {"http": "80", "https": "443"}


def token_reason(environ: Mapping[str, Any], settings: InboxSettings) -> str:
    """Return why a request needs the token, or an empty string if it needs none.

    Args:
        environ: environ of the request.
        settings: options of the inbox.
    """
    if settings.inbox_token:
        return "inbox_token is set in the ini, so every request needs it"
    sender = _text(environ.get("REMOTE_ADDR"))
    address = _address(sender)
    if address is None or not _is_allowed(address, settings):
        sender = sender[:_MAX_SHOWN] or "an unknown address"
        return f"it comes from {sender}, not from this machine; see the option allow"
    host = _host(environ)
    if not (_is_loopback_name(host) or host in settings.allow_hosts):
        host = host[:_MAX_SHOWN] or "(none)"
        return f"the host {host} is not a name of this machine; see the option allow_hosts"
    if not _names_own_port(environ):
        return _WRONG_PORT
    reason = _reason_from_proxies(environ)
    if reason:
        return reason
    if not _is_connection_of_a_browser(environ):
        return "it lacks the Connection: keep-alive of a browser, so a program or a proxy may have sent it"
    return _reason_from_origin(environ, host)


def counts_reason(environ: Mapping[str, Any], settings: InboxSettings) -> str:
    """Return why a request may not see the counts of a spool, or an empty string if it may.

    They hold no personal data, and programs ask for them, such as load balancers. So a request need not look
    like a browser's. But it must not be a stranger's, which a proxy on this machine forwards, or which a page
    of another site makes a browser send.

    Args:
        environ: environ of the request.
        settings: options of the app.
    """
    if settings.inbox_token:
        has_token = _has_token(environ, settings.inbox_token)
        return "" if has_token else "it lacks the token, inbox_token in the ini"
    sender = _text(environ.get("REMOTE_ADDR"))
    address = _address(sender)
    if address is None or not _is_allowed(address, settings):
        return "it is not from this machine; see the options allow and inbox_token"
    reason = _reason_from_host(environ, address, settings)
    if reason:
        return reason
    reason = _reason_from_proxies(environ)
    if reason:
        return f"{reason}; or set inbox_token"
    protocol, connection = environ.get("SERVER_PROTOCOL"), _text(environ.get("HTTP_CONNECTION"))
    if protocol == "HTTP/1.0" and connection.lower() == "close":
        return "it is sent as nginx forwards requests, HTTP/1.0 with Connection: close; set inbox_token"
    if environ.get("HTTP_SEC_FETCH_SITE", "none") not in ("none", "same-origin"):
        return "a page of another site or port sends it"
    return ""


def _reason_from_host(environ: Mapping[str, Any], address: Address, settings: InboxSettings) -> str:
    """Return why the Host header is not as a program on this machine or an allowed one sends it."""
    host = _host(environ)
    if not host or host in settings.allow_hosts:
        return ""
    if _is_loopback_name(host):
        return _WRONG_PORT if address.is_loopback and not _names_own_port(environ) else ""
    # Other machines may use any address of this one. Only a name can be made to resolve to another address.
    if not address.is_loopback and _address(host) is not None:
        return ""
    return f"the host {host[:_MAX_SHOWN]} is not a name of this machine; see the option allow_hosts"


def _has_token(environ: Mapping[str, Any], token: str) -> bool:
    """Return whether a request has a token in its address or in a header, as programs send it."""
    given = pop_token(_text(environ.get("QUERY_STRING")))[0]
    scheme, _, credentials = _text(environ.get("HTTP_AUTHORIZATION")).partition(" ")
    if given is None and scheme.lower() == "bearer":
        given = credentials.strip()
    return given is not None and _is_same(given, token)


def is_of_another_site(environ: Mapping[str, Any]) -> bool:
    """Return whether a page of another site or port loads this as a subresource, rather than linking to it.

    Such a page could not read the response, but it must not even learn that there is one, or how long it
    takes (https://www.w3.org/TR/fetch-metadata/).

    Args:
        environ: environ of the request.
    """
    site, mode = environ.get("HTTP_SEC_FETCH_SITE"), environ.get("HTTP_SEC_FETCH_MODE")
    return site in ("cross-site", "same-site") and mode != "navigate"


def _reason_from_origin(environ: Mapping[str, Any], host: str) -> str:
    """Return why this may not be a person who opened the address or followed a link of the inbox."""
    site = environ.get("HTTP_SEC_FETCH_SITE")
    if site in ("none", "same-origin"):
        return ""
    if site is not None:
        return "it follows a link on another site or port; open the address directly"
    # Browsers send it only to potentially trustworthy URLs: https, and http on loopback
    # (https://www.w3.org/TR/fetch-metadata/ 2, https://www.w3.org/TR/secure-contexts/ 3.1).
    if environ.get("wsgi.url_scheme") == "http" and not _is_loopback_name(host):
        return ""
    return "it lacks the Sec-Fetch-Site header of a browser, so a program may have sent it"


def _reason_from_proxies(environ: Mapping[str, Any]) -> str:
    """Return why a proxy may have forwarded this, or an empty string."""
    name = next((key for key in environ if _PROXY_HEADER.match(key)), None)
    if name is not None:
        header = name[len("HTTP_") :].replace("_", "-").title()
        return f"its header {header[:_MAX_SHOWN]} shows that a proxy forwarded it"
    if _may_have_lost_headers(environ):
        return (
            "waitress removes the headers of proxies, so a proxy may have forwarded it; "
            "set clear_untrusted_proxy_headers = false in [server:main] to keep them"
        )
    return ""


def _may_have_lost_headers(environ: Mapping[str, Any]) -> bool:
    """Return whether the server is waitress and removes the headers of proxies, as it does by default.

    https://docs.pylonsproject.org/projects/waitress/en/stable/arguments.html
    """
    # A bound method of the connection, through which the server's settings can be reached (waitress 2.0 and
    # later).
    method = environ.get("waitress.client_disconnected")
    if method is None and environ.get("SERVER_SOFTWARE") != "waitress":
        return False
    server = getattr(getattr(method, "__self__", None), "server", None)
    return getattr(getattr(server, "adj", None), "clear_untrusted_proxy_headers", True) is not False


def _is_connection_of_a_browser(environ: Mapping[str, Any]) -> bool:
    protocol = _text(environ.get("SERVER_PROTOCOL"))
    if protocol in ("HTTP/2", "HTTP/2.0", "HTTP/3", "HTTP/3.0"):  # these have no Connection header
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
    """Return the name in the Host header in lower case, without port, brackets and trailing dot."""
    host = _PORT.sub("", _text(environ.get("HTTP_HOST")).strip().lower())
    return host.strip("[]") if host.startswith("[") else host.rstrip(".")


def _names_own_port(environ: Mapping[str, Any]) -> bool:
    found = _PORT.search(_text(environ.get("HTTP_HOST")).strip())
    port = found[1] if found else _USUAL_PORTS.get(_text(environ.get("wsgi.url_scheme")))
    return port is not None and port == environ.get("SERVER_PORT")


def _is_loopback_name(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761: always loopback
        return True
    # A zone id does not belong in a Host header (RFC 6874), and after its % anything could follow.
    address = None if "%" in host else _address(host)
    return address is not None and address.is_loopback


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


# The token: in the address, in the cookie and in its file.

#: The query parameter that carries the token.
PARAMETER = "token"

_FILE = ".inbox-token"

# No token is longer, so longer input is not read.
_MAX_CHARACTERS = 200

_COOKIE = re.compile(r"sentry_paste_inbox_[0-9a-f]{8}\Z")


class Tokens:
    """The tokens that an inbox accepts.

    Args:
        given: the token in the ini, or empty.
        spool: in whose directory a generated token is stored.
    """

    def __init__(self, given: str, spool: Spool) -> None:
        self._given = given
        # Made when the app is loaded, so that workers forked later share it.
        self._own = given or secrets.token_urlsafe(32)
        self._spool = spool

    def current(self, makes_directory: bool = False) -> str:
        """Return the token to show: if possible, one that all workers accept.

        Args:
            makes_directory: whether to create the spool directory if it is missing.
        """
        if self._given:
            return self._given
        path = self._spool.directory / _FILE
        try:
            if not _read(path) and (makes_directory or os.path.lexists(self._spool.directory)):
                self._spool.prepare()
                _write(path, self._own)
        except OSError:  # nothing can be stored there, so each process has its own token
            return self._own
        return _read(path) or self._own

    def is_valid(self, token: str) -> bool:
        """Return whether a token is accepted.

        Args:
            token: token in a request.
        """
        return any(_is_same(token, known) for known in self._accepted())

    def has_cookie(self, header: str) -> bool:
        """Return whether a request has the cookie of an accepted token.

        Args:
            header: the Cookie header, or empty.
        """
        cookies = [(name, value) for name, value in _cookies(header) if _COOKIE.match(name)]
        if not cookies:
            return False
        wanted = [(cookie_name(token), _proof(token)) for token in self._accepted()]
        return any(
            name == wanted_name and _is_same(value, proof)
            for name, value in cookies
            for wanted_name, proof in wanted
        )

    def check(self) -> str:
        """Return the proof that a form is the inbox's own; it does not reveal the token."""
        # Not by current(), which may write the token's file: to look at a page changes nothing.
        return _digest(self._given or _read(self._spool.directory / _FILE) or self._own, "form")

    def is_check(self, text: str) -> bool:
        """Return whether a form has the proof.

        Args:
            text: what it has.
        """
        return any(_is_same(text, _digest(token, "form")) for token in self._accepted())

    def _accepted(self) -> Iterable[str]:
        # Read the file each time: another worker may have written it, or somebody replaced the directory.
        found = "" if self._given else _read(self._spool.directory / _FILE)
        return {self._own, found} - {""}


def pop_token(query: str) -> tuple[str | None, str]:
    """Remove the token from a query string; return it (or None) and the rest.

    Args:
        query: the query string.
    """
    if f"{PARAMETER}=" not in query:
        return None, query
    token, rest = None, []
    for part in query.split("&"):
        name, _, value = part.partition("=")
        if name != PARAMETER:
            rest.append(part)
        elif token is None:
            token = unquote_plus(value[: 3 * _MAX_CHARACTERS])[: _MAX_CHARACTERS + 1]
    return token, "&".join(rest)


def cookie_name(token: str) -> str:
    """Return the name of the cookie for a token.

    Browsers send the cookies of a host to all of its ports, so two inboxes need cookies of different names.

    Args:
        token: token of an inbox.
    """
    return f"sentry_paste_inbox_{_digest(token, 'name')[:8]}"


def cookie(token: str, path: str, secure: bool) -> str:
    """Return the Set-Cookie header of a token; the cookie lasts until the browser is closed.

    Args:
        token: token of an inbox.
        path: where the inbox is mounted, quoted; empty for the root.
        secure: whether the cookie is for https only.
    """
    morsel: Morsel[str] = Morsel()
    morsel.set(cookie_name(token), _proof(token), _proof(token))
    morsel["path"] = path or "/"
    morsel["httponly"] = True
    # Lax, not Strict: links to the inbox should work from a chat or a ticket, and a GET changes nothing.
    morsel["samesite"] = "Lax"
    if secure:
        morsel["secure"] = True
    return morsel.OutputString()


def _cookies(header: str) -> Iterable[tuple[str, str]]:
    for part in header.split(";"):
        name, _, value = part.partition("=")
        yield name.strip(), value.strip()


def _proof(token: str) -> str:
    """Return the value of the cookie. It does not reveal the token, and is useless once the token changes."""
    return _digest(token, "cookie")


def _digest(token: str, purpose: str) -> str:
    return hmac.new(token.encode(), f"sentry_paste.inbox {purpose}".encode(), "sha256").hexdigest()


def _is_same(given: str, known: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "replace"), known.encode())


def _read(path: Path) -> str:
    """Return the token in a file, or an empty string unless only this user can read and write the file."""
    try:
        # Non-blocking, because somebody may have put a pipe there.
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
        text = file.read(_MAX_CHARACTERS + 1).decode("ascii", "replace").strip()
    return text if TOKEN.fullmatch(text) else ""


def _write(path: Path, token: str) -> None:
    """Write the token file atomically; an existing one is kept.

    Raises:
        OSError: the directory is not writable, or something else has the file's name.
    """
    partial = path.with_name(f"{_FILE}.{secrets.token_hex(8)}.new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(f"{token}\n".encode())
        os.link(partial, path)  # unlike rename, this fails if another worker was faster
    except FileExistsError:
        return
    finally:
        partial.unlink(missing_ok=True)
