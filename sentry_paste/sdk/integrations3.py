"""Integrations of sentry-sdk 3 with the arguments and the defaults that they have in sentry-sdk 2."""

from __future__ import annotations

import functools
import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from importlib import import_module
from typing import Any

import sentry_sdk
from sentry_sdk.integrations import logging as sdk_logging


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
