"""Who may look: requests from this machine, and from where the ini says.

What the inbox shows is what an app knows of its users. Two things keep it on the
machine. The address of the connection has to be loopback, or one of ``allow``. And
the Host header has to name this machine: a page on the web may have its own name
point to 127.0.0.1 and have the visitor's browser fetch from there (DNS rebinding),
but it cannot make the browser send another Host than its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any, Union

from sentry_paste.inbox.settings import InboxSettings

Address = Union[IPv4Address, IPv6Address]

_FORWARDED_FOR = re.compile(r"""for\s*=\s*("[^"]*"|[^;,\s]*)""", re.IGNORECASE)
_PORT = re.compile(r":\d+$")


def refusal(environ: Mapping[str, Any], settings: InboxSettings) -> str:
    """Return why a request is not answered, an empty text where it is.

    Args:
        environ: of the request.
        settings: of the inbox.
    """
    for given in _senders(environ):
        address = _address(given)
        if address is None or not _is_allowed(address, settings):
            return f"the request is from {given or 'nowhere'}, and only loopback is answered; see allow"
    host = _host(environ)
    if not (_is_loopback_name(host) or host in settings.allow_hosts):
        return f"the host {host or '(none)'} is not this machine's; see allow_hosts"
    return ""


def _senders(environ: Mapping[str, Any]) -> Iterator[str]:
    """Yield the address of the connection, and those that a proxy on it says that it speaks for.

    Whoever invents such headers is only kept out by them.
    """
    yield _text(environ.get("REMOTE_ADDR"))
    for name in ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP"):
        value = _text(environ.get(name))
        if value:
            yield from (part.strip() for part in value.split(","))
    forwarded = _text(environ.get("HTTP_FORWARDED"))
    if forwarded:
        yield from (found.strip('"') for found in _FORWARDED_FOR.findall(forwarded) or [forwarded])


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


def _is_loopback_name(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):  # RFC 6761: never anybody else's
        return True
    # A zone has no place in a Host header (RFC 6874), and what stands behind its % could be anybody's name.
    address = None if "%" in host else _address(host)
    return address is not None and address.is_loopback


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
