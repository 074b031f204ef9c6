"""Read a request's URL, path, headers and address from its WSGI environ.

A healthy request only needs ``snapshot``, and the path for its name. URL, headers
and address are read when something is captured.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sentry_paste.wsgi.forwarded import Forwarded, address

# The environ's variables that are HTTP headers without the HTTP_ prefix (PEP 3333, RFC 3875 section 4.1).
_BARE_HEADERS = {"CONTENT_TYPE": "Content-Type", "CONTENT_LENGTH": "Content-Length"}

# Methods that Sentry's ingestion accepts; an event with another one is marked as invalid.
METHOD = re.compile(r"[A-Z_-]{3,32}")

_DEFAULT_PORTS = {"http": "80", "https": "443"}


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
    headers = {}
    for name, value in environ.items():
        if name in _BARE_HEADERS:
            if value:
                headers[_BARE_HEADERS[name]] = native(value)
        elif name.startswith("HTTP_") and name not in ("HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH"):
            headers[name[5:].replace("_", "-").title()] = native(value)
    return headers


def address_of(environ: Mapping[str, str], forwarded: Forwarded | None = None) -> str | None:
    """Return the client's address, None if there is none: for a Unix socket it is a path, or empty.

    Args:
        environ: the strings of a WSGI environ.
        forwarded: headers of trusted proxies.
    """
    return (forwarded and forwarded.address) or address(environ.get("REMOTE_ADDR"))
