"""What the proxies before a server say of the client: its address, the scheme and the host it asked for.

Each proxy appends to a header what it saw, so the last ``trusted_proxy_count``
entries are of the user's own proxies, and everything before them may be the
client's invention.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping

# Longer headers are a client's mischief, not a chain of proxies; reading them would only cost time.
_LONGEST = 2000
_OF_PROXIES = ("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_FORWARDED_HOST")
_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


class Forwarded:
    """What the trusted proxies say.

    Args:
        strings: the texts of a WSGI environ.
        count: how many proxies are the user's own; 0 for none, and then nothing is said.
    """

    def __init__(self, strings: Mapping[str, str], count: int) -> None:
        self._strings = strings
        self._count = count

    @property
    def address(self) -> str | None:
        """Return the client's address, None where no header of a trusted proxy tells a proper one."""
        return address(self._entry("HTTP_X_FORWARDED_FOR") or self._element("for"))

    @property
    def scheme(self) -> str | None:
        """Return ``http`` or ``https``, None where no header of a trusted proxy tells."""
        found = (self._entry("HTTP_X_FORWARDED_PROTO") or self._element("proto") or "").lower()
        return found if found in ("http", "https") else None

    @property
    def host(self) -> str | None:
        """Return the host that the client asked for, None where no header of a trusted proxy tells."""
        found = self._entry("HTTP_X_FORWARDED_HOST") or self._element("host") or ""
        return found if _HOST.fullmatch(found) else None

    def _entry(self, name: str) -> str | None:
        header = self._header(name)
        if header is None:
            return None
        entries = header.split(",")
        if name != "HTTP_X_FORWARDED_FOR":
            # Most proxies set these instead of appending to them; then the one entry is the nearest proxy's.
            return entries[-min(self._count, len(entries))].strip()
        return entries[-self._count].strip() if len(entries) >= self._count else None

    def _element(self, part: str) -> str | None:
        # Proxies that write X-Forwarded-* pass on what a client wrote into Forwarded.
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
    """Return an IP address without port and brackets, None for what is none.

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
