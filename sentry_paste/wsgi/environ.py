"""Read a request's URL, path, headers and address from its WSGI environ.

A healthy request only needs ``snapshot``, and the path for its name. URL, headers
and address are read when something is captured.

Each proxy in front of the server appends what it has seen to a header. So the last ``trusted_proxy_count``
entries come from the user's own proxies; the client may have invented everything before them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

# The environ's variables that are HTTP headers without the HTTP_ prefix (PEP 3333, RFC 3875 section 4.1).
_BARE_HEADERS = {"CONTENT_TYPE": "Content-Type", "CONTENT_LENGTH": "Content-Length"}

# Methods that Sentry's ingestion accepts; an event with another one is marked as invalid.
METHOD = re.compile(r"[A-Z_-]{3,32}")

_DEFAULT_PORTS = {"http": "80", "https": "443"}

# A longer header is not a chain of proxies but an attack, and reading it would only cost time.
_LONGEST = 2000
_OF_PROXIES = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


class Forwarded:
    """The forwarding headers of trusted proxies.

    Args:
        strings: the texts of a WSGI environ.
        count: how many proxies are the user's own; with 0 all headers are ignored.
    """

    def __init__(self, strings: Mapping[str, str], count: int) -> None:
        self._strings = strings
        self._count = count

    @property
    def address(self) -> str | None:
        """Return the client's address, None if no header of a trusted proxy has a valid one."""
        return _address(self._entry("HTTP_X_FORWARDED_FOR") or self._element("for"))

    @property
    def scheme(self) -> str | None:
        """Return ``http`` or ``https``, None if no header of a trusted proxy has the scheme."""
        found = (self._entry("HTTP_X_FORWARDED_PROTO") or self._element("proto") or "").lower()
        return found if found in ("http", "https") else None

    @property
    def host(self) -> str | None:
        """Return the host that the client requested, None if no header of a trusted proxy has it."""
        found = self._entry("HTTP_X_FORWARDED_HOST") or self._element("host") or ""
        return found if _HOST.fullmatch(found) else None

    def _entry(self, name: str) -> str | None:
        header = self._header(name)
        if header is None:
            return None
        entries = header.split(",")
        if name != "HTTP_X_FORWARDED_FOR":
            # Most proxies replace these instead of appending to them: then the only entry is the nearest's.
            return entries[-min(self._count, len(entries))].strip()
        return entries[-self._count].strip() if len(entries) >= self._count else None

    def _element(self, part: str) -> str | None:
        # Proxies that write X-Forwarded-* pass on a client's Forwarded header unchanged.
        if any(name in self._strings for name in _OF_PROXIES):
            return None
        elements = list(_elements(self._header("HTTP_FORWARDED") or ""))
        return elements[-self._count].get(part) if len(elements) >= self._count else None

    def _header(self, name: str) -> str | None:
        header = self._strings.get(name) if self._count else None
        return header if header is not None and len(header) <= _LONGEST else None


def snapshot(environ: Mapping[str, Any]) -> dict[str, str]:
    """Return the text values of a WSGI environ.

    The app may change the environ (a urlmap moves the path). Keeping the environ itself would also keep the
    request's input alive, on which uWSGI breaks (unbit/uwsgi #1950), and whatever else the app puts there.

    Args:
        environ: as the server made it.
    """
    return {name: value for name, value in environ.items() if type(value) is type(name) is str}


def native(text: str) -> str:
    """Decode text of an environ as UTF-8; undecodable bytes become U+FFFD.

    By PEP 3333, text in an environ contains bytes as latin-1 characters. Text of a server that breaks the
    rule and has decoded it already stays as it is.

    Args:
        text: of a WSGI environ.
    """
    if text.isascii():
        return text
    try:
        return text.encode("latin-1").decode("utf-8", "replace")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")


def path_of(environ: Mapping[str, str]) -> str:
    """Return the decoded path, including the script name; at least a slash.

    Args:
        environ: the strings of a WSGI environ.
    """
    script, path = environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", "")
    # A server or another middleware may have left anything there.
    script = script.strip("/") if type(script) is str else ""
    path = path.lstrip("/") if type(path) is str else ""
    return native(f"/{script}/{path}" if script else f"/{path}")


def host_of(environ: Mapping[str, str], forwarded: Forwarded | None = None) -> str:
    """Return the host that the client requested, with the port unless it is the scheme's default.

    Args:
        environ: the strings of a WSGI environ.
        forwarded: headers of trusted proxies.
    """
    port = _DEFAULT_PORTS.get(scheme_of(environ, forwarded), "")
    host = (forwarded and forwarded.host) or native(environ.get("HTTP_HOST", ""))
    if not host:
        host = native(environ.get("SERVER_NAME", ""))
        server_port = environ.get("SERVER_PORT", "")
        return f"{host}:{server_port}" if server_port and server_port != port else host
    return host[: -len(port) - 1] if port and host.endswith(":" + port) else host


def scheme_of(environ: Mapping[str, str], forwarded: Forwarded | None = None) -> str:
    """Return the scheme of the request.

    Args:
        environ: the strings of a WSGI environ.
        forwarded: headers of trusted proxies.
    """
    return (forwarded and forwarded.scheme) or environ.get("wsgi.url_scheme", "http")


def url_of(environ: Mapping[str, str], forwarded: Forwarded | None = None) -> str:
    """Return the URL without the query string, decoded.

    Args:
        environ: the strings of a WSGI environ.
        forwarded: headers of trusted proxies.
    """
    return f"{scheme_of(environ, forwarded)}://{host_of(environ, forwarded)}{path_of(environ)}"


def headers_of(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the request's headers, with their names in the usual spelling.

    Args:
        environ: the strings of a WSGI environ.
    """
    return {
        header: value if value.isascii() else native(value)
        for name, value in environ.items()
        if (header := (_known_header if len(name) < _LONG else _header_of)(name)) is not None
        and (value or name not in _BARE_HEADERS)
    }


def _header_of(name: str) -> str | None:
    """Return the name of the header that a variable of the environ contains, None for other variables."""
    if name in _BARE_HEADERS:
        return _BARE_HEADERS[name]
    if not name.startswith("HTTP_") or name[5:] in _BARE_HEADERS:
        return None
    return name[5:].replace("_", "-").title()


# Clients can make up names.
_known_header, _LONG = lru_cache(maxsize=512)(_header_of), 64


def address_of(environ: Mapping[str, str], forwarded: Forwarded | None = None) -> str | None:
    """Return the client's address, None if there is none: for a Unix socket it is a path, or empty.

    Args:
        environ: the strings of a WSGI environ.
        forwarded: headers of trusted proxies.
    """
    return (forwarded and forwarded.address) or _address(environ.get("REMOTE_ADDR"))


def _address(text: str | None) -> str | None:
    """Return an IP address without port and brackets, None if the text is not an address.

    It may be ``192.0.2.1``, ``192.0.2.1:80``, ``[2001:db8::1]:80`` and so on.
    """
    if not text:
        return None
    match = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([0-9.]+):\d+", text)
    try:
        return str(ipaddress.ip_address((match[1] or match[2]) if match else text))
    except ValueError:
        return None


def _elements(header: str) -> Iterator[dict[str, str]]:
    """Yield the elements of a Forwarded header (RFC 7239 section 4), in one pass over its text."""
    pairs: dict[str, str] = {}
    name, text, quoted, escaped = "", "", False, False
    for character in header + ",":
        if escaped:
            text, escaped = text + character, False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif quoted:
            text += character
        elif character == "=" and not name:
            name, text = text.strip().lower(), ""
        elif character in ";,":
            if name:
                pairs.setdefault(name, text.strip())
            name, text = "", ""
            if character == ",":
                yield pairs
                pairs = {}
        else:
            text += character
