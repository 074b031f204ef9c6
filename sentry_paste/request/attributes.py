"""Attributes of a request for log items and streamed spans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sentry_paste import sdk
from sentry_paste.wsgi.environ import Forwarded, address_of, host_of, native

_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1", "[::1]"})
_CLIENT_ATTRIBUTES = (
    ("sentry.release", "release"),
    ("sentry.environment", "environment"),
    ("server.address", "server_name"),
)


def add_attributes(
    scope: Any, strings: Mapping[str, str], options: Mapping[str, Any], forwarded: Forwarded
) -> None:
    """Add the request's attributes for log items and streamed spans, as the SDK's middleware does.

    Args:
        scope: of the request.
        strings: the snapshot of the environ.
        options: of the client.
        forwarded: headers of trusted proxies.
    """
    # The SDK keeps these on the global scope, so that they would be those of the process' first client.
    for attribute, option in _CLIENT_ATTRIBUTES:
        if options.get(option):
            scope.set_attribute(attribute, str(options[option]).strip())
    agent = strings.get("HTTP_USER_AGENT")
    if agent:
        scope.set_attribute("user_agent.original", native(agent))
    client = address_of(strings, forwarded)
    host = host_of(strings, forwarded)
    scope.set_attribute(
        "sentry.is_localhost",
        client in _LOCAL_HOSTS or host in _LOCAL_HOSTS or host.rpartition(":")[0] in _LOCAL_HOSTS,
    )
    if client and sdk.sends_user_info(options):
        scope.set_attribute("user.ip_address", client)
