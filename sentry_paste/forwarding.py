"""What the proxies before a server say of the client: its address, the scheme and the host it asked for.

Each proxy appends to a header what it saw, so the last ``trusted_proxy_count``
entries are of the user's own proxies, and everything before them may be the
client's invention.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping

# A pair of RFC 7239 section 4, its value a token or a quoted text.
_PAIR = re.compile(r'\s*([A-Za-z]+)=("(?:[^"\\]|\\.)*"|[^;,"\s]*)\s*(?:;|$)')
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
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
        if not self._count or name not in self._strings:
            return None
        entries = self._strings[name].split(",")
        return entries[-self._count].strip() if len(entries) >= self._count else None

    def _element(self, part: str) -> str | None:
        if not self._count or "HTTP_FORWARDED" not in self._strings:
            return None
        elements = _ELEMENT.findall(self._strings["HTTP_FORWARDED"])
        if len(elements) < self._count:
            return None
        for name, value in _PAIR.findall(elements[-self._count]):
            if name.lower() == part:
                return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else str(value)
        return None


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
