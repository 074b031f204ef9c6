"""Read the client's address, scheme and host from the headers of proxies in front of the server.

Each proxy appends what it has seen to a header. So the last ``trusted_proxy_count``
entries come from the user's own proxies; the client may have invented everything
before them.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping

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
        return address(self._entry("HTTP_X_FORWARDED_FOR") or self._element("for"))

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


def address(text: str | None) -> str | None:
    """Return an IP address without port and brackets, None if the text is not an address.

    Args:
        text: ``192.0.2.1``, ``192.0.2.1:80``, ``[2001:db8::1]:80`` and so on.
    """
    if not text:
        return None
    match = re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](?::\d+)?|([0-9.]+):\d+", text)
    try:
        return str(ipaddress.ip_address((match[1] or match[2]) if match else text))
    except ValueError:
        return None
