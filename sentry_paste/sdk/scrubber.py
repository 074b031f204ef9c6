"""The scrubber of sentry-sdk 2, for sentry-sdk 3, which has none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sentry_sdk.utils import iter_event_frames

#: Names that sentry-sdk 2 hides in every event. sentry-sdk 3 has no such list.
DEFAULT_DENYLIST = [
    *("password", "passwd", "mysql_pwd", "secret", "credentials", "token"),
    *("api_key", "apikey", "x_api_key", "privatekey", "private_key"),
    *("auth", "authorization", "proxy-authorization"),
    *("cookie", "set_cookie", "session", "sessionid", "_session", "user_session"),
    *("aiohttp_session", "connect.sid", "PHPSESSID", "symfony"),
    *("csrf", "_csrf", "csrftoken", "csrf_token", "_csrf_token", "x_csrftoken", "_xsrf", "XSRF-TOKEN"),
    "x_forwarded_for",
]

#: Names that it hides in addition if personal data is not to be sent.
DEFAULT_PII_DENYLIST = ["x_forwarded_for", "x_real_ip", "ip_address", "remote_addr"]

#: What a value is replaced by.
FILTERED = "[Filtered]"


class EventScrubber:
    """Hides the values of keys by name, as the scrubber of sentry-sdk 2 does.

    Args:
        denylist: names of keys, in any case; by default the usual ones.
        recursive: whether keys at any depth are hidden.
        send_default_pii: whether ``pii_denylist`` is left out.
        pii_denylist: names of keys with personal data; by default the usual ones.
    """

    def __init__(
        self,
        denylist: list[str] | None = None,
        recursive: bool = False,
        send_default_pii: bool = False,
        pii_denylist: list[str] | None = None,
    ) -> None:
        names = DEFAULT_DENYLIST if denylist is None else denylist
        personal = DEFAULT_PII_DENYLIST if pii_denylist is None else pii_denylist
        self.denylist = [name.lower() for name in (*names, *([] if send_default_pii else personal))]
        self.recursive = recursive

    def scrub_event(self, event: Any) -> None:
        """Hide values in an event.

        Args:
            event: of the SDK; it is changed.
        """
        user = event.get("user")
        if "ip_address" in self.denylist and isinstance(user, dict):
            user.pop("ip_address", None)
        for found in _scrubbed_parts(event):
            self._scrub(found)

    def _scrub(self, found: Any) -> None:
        if isinstance(found, list):
            for entry in found:
                self._scrub(entry)
        elif isinstance(found, dict):
            for key, value in found.items():
                if isinstance(key, str) and key.lower() in self.denylist:
                    found[key] = FILTERED
                elif self.recursive:
                    self._scrub(value)


def _scrubbed_parts(event: Any) -> Iterator[Any]:
    """Yield the parts of an event that have keys of the app's or of a client's."""
    request = event.get("request") or {}
    yield from (request.get(name) for name in ("headers", "cookies", "data"))
    yield from (event.get("extra"), event.get("user"))
    crumbs = event.get("breadcrumbs")
    for crumb in (crumbs.get("values") if isinstance(crumbs, dict) else None) or ():
        yield crumb.get("data")
    for frame in iter_event_frames(event):
        yield frame.get("vars")
