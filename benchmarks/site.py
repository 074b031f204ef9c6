"""A small Pyramid app, of one route and one view, as PasteDeploy loads it for ``benchmarks.servers``."""

from __future__ import annotations

from typing import Any

import sentry_sdk
from pyramid.config import Configurator
from pyramid.response import Response
from sentry_sdk.integrations.wsgi import SentryWsgiMiddleware


def basket(request: Any) -> Any:
    """Answer in a line."""
    return Response(f"basket {request.matchdict['number']}", content_type="text/plain")


def plain(_global_conf: dict[str, str], **_settings: str) -> Any:
    """Make the app: a ``paste.app_factory``."""
    with Configurator() as config:
        config.add_route("basket", "/shop/basket/{number}")
        config.add_view(basket, route_name="basket")
        return config.make_wsgi_app()


def with_sdk(_global_conf: dict[str, str], **settings: str) -> Any:
    """Make the app in the SDK's middleware: a ``paste.app_factory``.

    Args:
        settings: dsn, release and traces_sample_rate.
    """
    rate = settings.get("traces_sample_rate")
    sentry_sdk.init(
        settings["dsn"], release=settings["release"], traces_sample_rate=None if rate is None else float(rate)
    )
    return SentryWsgiMiddleware(plain({}))
