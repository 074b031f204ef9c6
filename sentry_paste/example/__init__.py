"""The example: a small Pyramid app to try the filter with, and to see what the filter captured.

``example.ini`` runs it under pserve with the filter around it, and the inbox beside it. It knows nothing
of either: its pages crash, stream, log and wait as any app does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyramid.config import Configurator
from pyramid.events import NewResponse

from sentry_paste.example import pages, views

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

TEMPLATE_SETTINGS = {
    "jinja2.lstrip_blocks": True,
    "jinja2.trim_blocks": True,
    "jinja2.undefined": "strict",
}

# The greeting shows what the address says. Should the escaping ever miss some of it, the browser still runs
# and loads nothing.
SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def main(global_conf: dict[str, str], **settings: str) -> WSGIApplication:  # noqa: ARG001 - PasteDeploy's
    """Return the example as a WSGI app: its ``paste.app_factory``.

    Args:
        global_conf: the ini's ``[DEFAULT]`` section.
        settings: the app's section. ``inbox`` is the path that the inbox is mounted at.
    """
    config = Configurator(settings={**TEMPLATE_SETTINGS, **settings}, package=__name__)
    config.include("pyramid_jinja2")
    config.add_static_view("static", "static", cache_max_age=60)
    config.add_subscriber(_harden, NewResponse)
    _add_pages(config)
    _add_things_to_try(config)
    app: WSGIApplication = config.make_wsgi_app()
    return app


def _add_pages(config: Any) -> None:
    config.add_route("index", "/")
    config.add_request_method(pages.inbox_of, "inbox", reify=True)
    config.add_view(pages.index, route_name="index", renderer="templates/index.jinja2", http_cache=0)
    config.add_notfound_view(pages.not_found, renderer="templates/not_found.jinja2", http_cache=0)


def _add_things_to_try(config: Any) -> None:
    for thing in views.THINGS:
        config.add_route(thing.route, thing.pattern)
        config.add_view(thing.view, route_name=thing.route, renderer="templates/answer.jinja2", http_cache=0)


def _harden(event: Any) -> None:
    event.response.headers.update(SECURITY_HEADERS)
