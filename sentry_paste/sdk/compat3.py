"""What sentry-sdk 2 has and 3 does not: the scrubber, and arguments and defaults of integrations."""

from __future__ import annotations

import functools
import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

import sentry_sdk
from sentry_sdk.integrations import logging as sdk_logging
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


class LoggingIntegration(sdk_logging.LoggingIntegration):
    """The SDK's integration with the arguments and the meaning that it has in sentry-sdk 2.

    Args:
        level: of records that are breadcrumbs.
        event_level: of records that are events.
        sentry_logs_level: of records that are log items, if ``enable_logs`` is on.
    """

    def __init__(
        self,
        level: int | None = logging.INFO,
        event_level: int | None = logging.ERROR,
        sentry_logs_level: int | None = logging.INFO,
        breadcrumb_level: int | None = None,
    ) -> None:
        super().__init__(  # type: ignore[call-arg]
            level=sentry_logs_level,
            event_level=event_level,
            breadcrumb_level=breadcrumb_level or level,
        )


@functools.cache
def integration_class(cls: type[Any]) -> type[Any]:
    """Return the class to create an integration with.

    Args:
        cls: of the SDK.
    """
    if cls is sdk_logging.LoggingIntegration:
        return LoggingIntegration
    if cls.__module__ == "sentry_sdk.integrations.pyramid":
        return _pyramid_integration(cls)
    if cls.__module__ == "sentry_sdk.integrations.loguru":
        return _loguru_integration(cls)
    return cls


def class_of_sdk(found: Any) -> Any:
    """Return the SDK's class that one of ours replaces, as the SDK compares classes.

    Args:
        found: a class or an integration.
    """
    cls = found if isinstance(found, type) else type(found)
    return next((base for base in cls.__mro__ if base.__module__.startswith("sentry_sdk.")), cls)


def _pyramid_integration(cls: type[Any]) -> type[Any]:
    """Return the SDK's integration for Pyramid with ``transaction_style``, as it has in sentry-sdk 2."""

    class PyramidIntegration(cls):  # type: ignore[misc]
        """The SDK's integration, with the name of the route as the name of the request.

        Args:
            transaction_style: ``route_name`` or ``route_pattern``.
        """

        def __init__(self, transaction_style: str = "route_name") -> None:
            if transaction_style not in ("route_name", "route_pattern"):
                raise ValueError(
                    f"Invalid value for transaction_style: {transaction_style} "
                    "(must be in ('route_name', 'route_pattern'))"
                )
            self.transaction_style = transaction_style

        @staticmethod
        def setup_once() -> None:
            """Name requests after the SDK's own patch has."""
            from pyramid import router

            call_view = router._call_view

            @functools.wraps(call_view)
            def named_call_view(registry: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
                __tracebackhide__ = True
                found = sentry_sdk.get_client().get_integration("pyramid")
                if getattr(found, "transaction_style", "") == "route_name":
                    with suppress(Exception):  # a request without a route
                        name = request.matched_route.name
                        sentry_sdk.get_current_scope().set_transaction_name(name, source="component")
                return call_view(registry, request, *args, **kwargs)

            # The SDK's patch calls this one after it has set the pattern.
            router._call_view = named_call_view
            cls.setup_once()

    return PyramidIntegration


def _loguru_integration(cls: type[Any]) -> type[Any]:
    """Return the SDK's integration for Loguru with the arguments that it has in sentry-sdk 2."""

    class LoguruIntegration(cls):  # type: ignore[misc]
        """The SDK's integration with the arguments and the meaning that it has in sentry-sdk 2.

        Args:
            level: of records that are breadcrumbs.
            event_level: of records that are events.
            breadcrumb_format: of Loguru, for breadcrumbs.
            event_format: of Loguru, for events.
            sentry_logs_level: of records that are log items, if ``enable_logs`` is on.
        """

        def __init__(
            self,
            level: int | None = logging.INFO,
            event_level: int | None = logging.ERROR,
            breadcrumb_format: str = cls.breadcrumb_format,
            event_format: str = cls.event_format,
            sentry_logs_level: int | None = logging.INFO,
        ) -> None:
            super().__init__(
                level=sentry_logs_level,
                event_level=event_level,
                event_format=event_format,
                breadcrumb_format=breadcrumb_format,
                breadcrumb_level=level,
            )

    return LoguruIntegration


def _default_integrations(settled: Collection[Any], is_auto: bool) -> Iterator[Any]:
    """Yield those that sentry-sdk 2 turns on in another way than 3.

    Args:
        settled: identifiers of integrations that the ini turns on or off.
        is_auto: whether integrations for libraries that are installed are on.
    """
    if "logging" not in settled:
        yield LoggingIntegration()
    for name, cls in (("loguru", "LoguruIntegration"), ("pyramid", "PyramidIntegration")):
        if is_auto and name not in settled:
            with suppress(Exception):  # the library is not installed
                module = import_module(f"sentry_sdk.integrations.{name}")
                yield integration_class(getattr(module, cls))()


def integrations(options: Mapping[str, Any]) -> list[Any]:
    """Return the ini's integrations, and those that sentry-sdk 2 turns on in another way than 3.

    Args:
        options: of the ini, those that are set.
    """
    found = list(options.get("integrations") or ())
    off = options.get("disabled_integrations") or ()
    settled = {integration.identifier for integration in found}
    settled |= {getattr(integration, "identifier", None) for integration in off}
    if options.get("default_integrations", True):
        found += _default_integrations(settled, options.get("auto_enabling_integrations", True))
    if not options.get("enable_logs"):
        for integration in found:
            if isinstance(integration, sdk_logging.LoggingIntegration):
                integration._logs_handler = None  # type: ignore[attr-defined]
            elif integration.identifier == "loguru":
                class_of_sdk(integration).level = None  # read when it is set up
    return found
