"""What a network says, in words that tell what to do."""

from __future__ import annotations

import json
import logging
import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from sentry_paste import sdk

#: How long a connection, and a TLS handshake, may take, seconds.
CONNECT_SECONDS = 5.0

_MEANINGS = {
    400: "the server cannot read what was sent; is it a Sentry server, and not too old a one?",
    401: "the server refuses the key of the DSN",
    403: "the server refuses the key of the DSN, or the key is not the project's; copy the DSN again",
    404: "there is no such project, or no Sentry server, at this address",
    413: "the server finds it too large",
    429: "the server takes no more for now: a quota or a rate limit is used up",
}
_MEANINGS_BY_HUNDREDS = {
    2: "accepted",
    3: "the address of the DSN leads elsewhere; write the address that it leads to",
    4: "the server refuses it",
    5: "the server, or a proxy before it, has trouble; try again later",
}


def status_meaning(status: int) -> str:
    """Return what Sentry's status means for the sender.

    Args:
        status: of HTTP.
    """
    return _MEANINGS.get(status) or _MEANINGS_BY_HUNDREDS.get(
        status // 100, "that is no answer of a Sentry server"
    )


def status_text(status: int) -> str:
    """Return a status with its standard phrase.

    Args:
        status: of HTTP.
    """
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def explain(error: BaseException, host: str = "") -> str:
    """Return what went wrong with a connection.

    Args:
        error: of a socket, or of a library that has it as its cause.
        host: what was to be reached.
    """
    host = host or "the host"
    causes = list(_causes(error))
    for kind, told in (
        (
            ssl.SSLCertVerificationError,
            "TLS: the certificate is not trusted: {}; name your authority's file with ca_certs",
        ),
        (ssl.SSLError, "TLS: {}; does the server speak https on this port?"),
        (
            socket.gaierror,
            f"DNS: {host} has no address ({{}}); is the DSN's host right, and does DNS work here?",
        ),
        (ConnectionRefusedError, f"{host} refuses the connection; does a server listen there?"),
        (ConnectionResetError, f"{host} closed the connection; does a firewall stand between?"),
        (TimeoutError, f"{host} does not answer in time; does a firewall stand between?"),
        (socket.timeout, f"{host} does not answer in time; does a firewall stand between?"),
    ):
        for cause in causes:
            if isinstance(cause, kind):
                return told.format(_told(cause))
    if any("timeout" in type(cause).__name__.lower() for cause in causes):
        return f"{host} does not answer in time; does a firewall stand between?"
    return _told(causes[-1]) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it wraps: urllib3 has it in ``reason`` or among ``args``, others as cause."""
    seen: list[Any] = []
    while isinstance(error, BaseException) and not any(error is other for other in seen):
        seen.append(error)
        yield error
        held = (getattr(error, "reason", None), error.__cause__, *error.args, error.__context__)
        error = next((wrapped for wrapped in held if isinstance(wrapped, BaseException)), None)


def _told(error: BaseException) -> str:
    text = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
    return " ".join(str(text).split())


def answer_text(answer: Any, host: str) -> tuple[bool, str]:
    """Return whether an answer to an envelope is a yes, and what it says.

    Args:
        answer: urllib3's or httpcore's response, or the exception in its place.
        host: that was asked.
    """
    if isinstance(answer, BaseException):
        return False, f"not sent: {explain(answer, host)}"
    status = int(answer.status)
    headers: Mapping[str, str] = answer.headers
    told = [f"{status_meaning(status)} ({status_text(status)})"]
    accepted = 200 <= status < 300
    if not accepted:
        told += [_detail(answer)]
    for name in ("Location", "Retry-After", "X-Sentry-Rate-Limits"):
        if headers.get(name):
            told.append(f"{name}: {headers[name]}")
    return accepted, "; ".join(filter(None, told))


def _detail(answer: Any) -> str:
    """Return what the server says in the body, as Sentry does: ``{"detail": "...", "causes": [...]}``."""
    body = getattr(answer, "data", None) or getattr(answer, "content", None) or b""
    try:
        found = json.loads(body)
        text = " ".join([str(found.get("detail") or ""), *map(str, found.get("causes") or [])])
    except (ValueError, AttributeError, TypeError):
        return ""
    return f"it says: {text.strip()[:200]}" if text.strip() else ""


@contextmanager
def quiet() -> Iterator[None]:
    """Silence urllib3's warnings of its retries: what they come to is told at the end."""
    logger = logging.getLogger("urllib3")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def unreachable(dsn: str, options: Mapping[str, Any]) -> str:
    """Connect to a DSN's host, or to the proxy on the way to it; return what is wrong, or an empty text.

    Nothing is sent but a TLS handshake.

    Args:
        dsn: of a client.
        options: of a client: its proxies, and the certificates that it trusts.
    """
    scheme, host, port = sdk.dsn_address(dsn)
    proxy = _proxy(scheme, host, options)
    if proxy:
        at = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        name = f"the proxy {at.hostname or ''}:{at.port or 80}"
        fault = _connect(at.hostname or "", at.port or 80, None, name)
    else:
        context = None
        if scheme == "https":
            trusted = options.get("ca_certs") or os.environ.get("SSL_CERT_FILE") or None
            try:
                context = ssl.create_default_context(cafile=trusted or _certifi())
            except OSError as error:
                return f"ca_certs: {_told(error)}"
        fault = _connect(host, port, context, f"{host}:{port}")
    return fault


def _connect(host: str, port: int, context: ssl.SSLContext | None, name: str) -> str:
    try:
        with socket.create_connection((host, port), timeout=CONNECT_SECONDS) as connection:
            if context is not None:
                with context.wrap_socket(connection, server_hostname=host):
                    pass
    except (OSError, ValueError) as error:
        return explain(error, name)
    return ""


def _proxy(scheme: str, host: str, options: Mapping[str, Any]) -> str:
    """Return the proxy that the SDK takes: its options before the environment; an empty option is none."""
    found: str | None = None
    around = None if proxy_bypass(host) else getproxies()
    for name in ("https", "http") if scheme == "https" else ("http",):
        given = options.get(f"{name}_proxy")
        if found or given == "":
            continue
        found = given or (around or {}).get(name)
    return found or ""


def _certifi() -> str | None:
    """Return the certificates that the SDK trusts, which requires certifi."""
    try:
        import certifi
    except ImportError:  # pragma: no cover
        return None
    return str(certifi.where())
