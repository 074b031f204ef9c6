"""Explain answers of a server and failures of a connection in words that help."""

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
from sentry_paste.config.errors import without_credentials

#: How long a connection, and a TLS handshake, may take, seconds.
CONNECT_SECONDS = 5.0

_MEANINGS = {
    400: "the server cannot read what was sent; is it a Sentry server, and recent enough?",
    401: "the server refuses the key of the DSN",
    403: "the server refuses the key of the DSN, or the key belongs to another project; copy the DSN again",
    404: "there is no such project, or no Sentry server, at this address",
    413: "the server refuses it as too large",
    429: "the server accepts no more for now: a quota or a rate limit is used up",
}
_MEANINGS_BY_CLASS = {
    2: "accepted",
    3: "the address of the DSN redirects elsewhere; use the address that it redirects to",
    4: "the server refuses it",
    5: "the server, or a proxy in front of it, has a problem; try again later",
}


def status_meaning(status: int) -> str:
    """Return what a status from Sentry means for the sender.

    Args:
        status: HTTP status code.
    """
    return _MEANINGS.get(status) or _MEANINGS_BY_CLASS.get(
        status // 100, "that is not an answer of a Sentry server"
    )


def status_text(status: int) -> str:
    """Return a status with its standard phrase.

    Args:
        status: HTTP status code.
    """
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def explain(error: BaseException, host: str = "") -> str:
    """Return what went wrong with a connection.

    Args:
        error: error of a socket, or of a library that wraps one.
        host: name of the other side, for the text.
    """
    host = host or "the host"
    causes = list(_causes(error))
    for kind, text in (
        (
            ssl.SSLCertVerificationError,
            "TLS: the certificate is not trusted: {}; set ca_certs to the file of your certificate authority",
        ),
        (ssl.SSLError, "TLS: {}; does the server speak https on this port?"),
        (
            socket.gaierror,
            f"DNS: {host} has no address ({{}}); is the DSN's host right, and does DNS work here?",
        ),
        (ConnectionRefusedError, f"{host} refuses the connection; is a server listening there?"),
        (ConnectionResetError, f"{host} closed the connection; is there a firewall in between?"),
        (TimeoutError, f"{host} does not answer in time; is there a firewall in between?"),
        # Before Python 3.10 this is not a TimeoutError.
        (socket.timeout, f"{host} does not answer in time; is there a firewall in between?"),
    ):
        for cause in causes:
            if isinstance(cause, kind):
                return text.format(_message(cause))
    if any("timeout" in type(cause).__name__.lower() for cause in causes):
        return f"{host} does not answer in time; is there a firewall in between?"
    return _message(causes[-1]) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it wraps: urllib3 has them in ``reason`` or ``args``, others as cause."""
    seen: list[Any] = []
    while isinstance(error, BaseException) and not any(error is other for other in seen):
        seen.append(error)
        yield error
        candidates = (getattr(error, "reason", None), error.__cause__, *error.args, error.__context__)
        error = next((wrapped for wrapped in candidates if isinstance(wrapped, BaseException)), None)


def _message(error: BaseException) -> str:
    text = getattr(error, "verify_message", "") or getattr(error, "strerror", "") or str(error)
    return without_credentials(" ".join(str(text).split()))


def rate_limits(answer: Any) -> dict[str, float]:
    """Return for how many seconds a server wants nothing of some categories, from ``X-Sentry-Rate-Limits``.

    A limit without categories is left out: it is for all.

    Args:
        answer: response of urllib3 or httpcore, or the exception in its place.
    """
    if isinstance(answer, BaseException):
        return {}
    found: dict[str, float] = {}
    for limit in str(answer.headers.get("X-Sentry-Rate-Limits") or "").split(","):
        seconds, _, rest = limit.strip().partition(":")
        categories = rest.partition(":")[0]
        if seconds.replace(".", "", 1).isdecimal():
            found.update(dict.fromkeys(filter(None, categories.split(";")), float(seconds)))
    return found


def answer_text(answer: Any, host: str = "") -> tuple[bool, str]:
    """Return whether the server has accepted an envelope, and its answer in words.

    Args:
        answer: response of urllib3 or httpcore, or the exception in its place.
        host: host that was asked, for the text; default none.
    """
    if isinstance(answer, BaseException):
        return False, f"not sent: {explain(answer, host)}"
    status = int(answer.status)
    headers: Mapping[str, str] = answer.headers
    parts = [f"{status_meaning(status)} ({status_text(status)})"]
    accepted = 200 <= status < 300
    if not accepted:
        parts += [_detail(answer)]
    for name in ("Location", "Retry-After", "X-Sentry-Rate-Limits"):
        if headers.get(name):
            parts.append(f"{name}: {headers[name]}")
    return accepted, "; ".join(filter(None, parts))


def _detail(answer: Any) -> str:
    """Return the explanation in the body, where Sentry has ``{"detail": "...", "causes": [...]}``."""
    body = getattr(answer, "data", None) or getattr(answer, "content", None) or b""
    try:
        found = json.loads(body)
        text = " ".join([str(found.get("detail") or ""), *map(str, found.get("causes") or [])])
    except (ValueError, AttributeError, TypeError):
        return ""
    return f"the server says: {text.strip()[:200]}" if text.strip() else ""


@contextmanager
def quiet() -> Iterator[None]:
    """Silence urllib3's warnings about retries: the outcome is shown at the end."""
    logger = logging.getLogger("urllib3")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def connection_fault(dsn: str, options: Mapping[str, Any]) -> str:
    """Connect to a DSN's host, or to the proxy in between; return what is wrong, empty if it worked.

    Nothing is sent but a TLS handshake.

    Args:
        dsn: DSN of a client.
        options: options of the client: its proxies, and the certificates that it trusts.
    """
    scheme, host, port = sdk.dsn_address(dsn)
    proxy = _proxy(scheme, host, options)
    if proxy:
        url = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        name = f"the proxy {url.hostname or ''}:{url.port or 80}"
        fault = _connect(url.hostname or "", url.port or 80, None, name)
    else:
        context = None
        if scheme == "https":
            trusted = options.get("ca_certs") or os.environ.get("SSL_CERT_FILE") or None
            try:
                context = ssl.create_default_context(cafile=trusted or _certifi())
            except OSError as error:
                return f"ca_certs: {_message(error)}"
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
    """Return the proxy that the SDK uses: its options before the environment; an empty option means none."""
    found: str | None = None
    environment = {} if proxy_bypass(host) else getproxies()
    for name in ("https", "http") if scheme == "https" else ("http",):
        given = options.get(f"{name}_proxy")
        if found or given == "":
            continue
        found = given or environment.get(name)
    return found or ""


def _certifi() -> str | None:
    """Return the certificates that the SDK trusts by default: it requires certifi."""
    try:
        import certifi
    except ImportError:  # pragma: no cover
        return None
    return str(certifi.where())
