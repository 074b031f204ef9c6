"""The example: a small Pyramid app to try the filter and the inbox with.

``example.ini`` runs it under pserve, wrapped in the filter and next to the inbox. The app knows nothing of
either: its pages crash, stream, log and wait as any app does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyramid.config import Configurator
from pyramid.response import Response

from sentry_paste.example import pages, views

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

TEMPLATE_SETTINGS = {
    "jinja2.lstrip_blocks": True,
    "jinja2.trim_blocks": True,
    "jinja2.undefined": "strict",
}

# The greeting shows text from the URL. Should the escaping ever miss something, the browser still runs and
# loads nothing else.
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
        settings: the app's section of the ini. ``inbox`` is the path that the inbox is mounted at.
    """
    config = Configurator(settings={**TEMPLATE_SETTINGS, **settings}, package=__name__)
    config.include("pyramid_jinja2")
    config.add_static_view("static", "static", cache_max_age=60)
    config.set_response_factory(_new_response)
    _add_pages(config)
    _add_demos(config)
    app: WSGIApplication = config.make_wsgi_app()
    return app


def _add_pages(config: Any) -> None:
    config.add_route("index", "/")
    config.add_request_method(pages.inbox_of, "inbox", reify=True)
    config.add_view(pages.index, route_name="index", renderer="templates/index.jinja2", http_cache=0)
    config.add_notfound_view(pages.not_found, renderer="templates/not_found.jinja2", http_cache=0)


def _add_demos(config: Any) -> None:
    for demo in views.DEMOS:
        config.add_route(demo.route, demo.pattern)
        config.add_view(demo.view, route_name=demo.route, renderer="templates/answer.jinja2", http_cache=0)


def _new_response(_request: Any) -> Response:
    """Return the response that a page of the example fills in.

    The headers are on no other response: the pages of what the ini adds, such as the debug toolbar, have
    scripts and styles of their own.
    """
    response = Response()
    response.headers.update(SECURITY_HEADERS)
    return response
