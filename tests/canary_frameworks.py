"""Apps of frameworks that run a given function, with the framework's own view of the request."""

# ruff: noqa: F841 - what is held is there to be seen in the frames.

import importlib.util
import sys

from apps import set_up_django

PATH = "/shop/basket"


def _wsgi(do):
    def app(environ, start_response):
        return do(environ, None, start_response) or []

    return app


def _webob(do):
    import webob
    from webob.dec import wsgify

    @wsgify
    def app(request):
        text, cookies, headers = str(request), request.cookies, dict(request.headers)
        query, url, form, shown = request.GET, request.url, request.POST, repr(request)
        response = webob.Response()
        return _webob_answer(response, do(request.environ, request, _starter_of(response)))

    return app


def _starter_of(response):
    """Return a ``start_response`` that sets the headers of a WebOb response."""

    def start_response(status, headers):
        response.headerlist = list(headers)

    return start_response


def _webob_answer(response, body):
    response.app_iter = body or []
    return response


def _pyramid(do):
    from pyramid.config import Configurator
    from pyramid.response import Response

    def view(request):
        user, cookies, form, url = request.remote_user, dict(request.cookies), dict(request.POST), request.url
        response = Response()
        return _webob_answer(response, do(request.environ, request, _starter_of(response)))

    with Configurator() as config:
        config.add_route("basket", PATH)
        config.add_view(view, route_name="basket")
        return config.make_wsgi_app()


def _flask(do):
    import flask

    app = flask.Flask("shop")
    app.testing = True

    @app.route(PATH, methods=["POST"])
    def view():
        request = flask.request
        cookies, query, headers, form = request.cookies, request.args, request.headers, request.form
        response = flask.Response()
        response.response = (
            do(request.environ, request, lambda status, headers: response.headers.extend(headers)) or []
        )
        return response

    return app


def _bottle(do):
    import bottle

    app = bottle.Bottle()
    app.config["catchall"] = False

    @app.post(PATH)
    def view():
        request = bottle.request
        cookies, query, headers, form = request.cookies, request.query, dict(request.headers), request.forms
        response = bottle.HTTPResponse()

        def start_response(status, headers):
            for name, value in headers:
                response.add_header(name, value)

        response.body = do(request.environ, request, start_response) or []
        return response

    return app


def _falcon(do):
    import falcon

    class Basket:
        def on_post(self, req, resp):
            cookies, query, headers, shown = req.cookies, req.params, req.headers, repr(req)
            body = do(req.env, req, lambda status, headers: resp.set_headers(headers[1:]))
            resp.stream = body or iter([])

    def raise_it(req, resp, error, params):
        raise error

    app = falcon.App()
    app.add_error_handler(Exception, raise_it)
    app.add_route(PATH, Basket())
    return app


_DO = []


def _django(do):
    from django.core.handlers.wsgi import WSGIHandler

    set_up_django()
    _DO[:] = [do]
    handler = WSGIHandler()

    def app(environ, start_response):
        from django.test.utils import override_settings

        with override_settings(ROOT_URLCONF="canary_frameworks"):
            return handler(environ, start_response)

    return app


def _django_view(request):
    from django.http import HttpResponse, StreamingHttpResponse

    cookies, query, headers, form, meta = (
        request.COOKIES,
        request.GET,
        request.headers,
        request.POST,
        request.META,
    )
    started = []
    body = _DO[0](request.environ, request, lambda status, headers: started.extend(headers))
    response = StreamingHttpResponse(body) if body else HttpResponse()
    for name, value in started:
        response.headers[name] = value
    return response


def _zope(do):
    from ZPublisher.HTTPRequest import HTTPRequest
    from ZPublisher.HTTPResponse import HTTPResponse

    def app(environ, start_response):
        response = HTTPResponse()
        request = HTTPRequest(environ["wsgi.input"], environ, response)
        request.processInputs()
        form, cookies, other, text, shown = (
            request.form,
            request.cookies,
            request.other,
            repr(request),
            str(request),
        )
        return do(environ, request, start_response) or []

    return app


_MAKERS = {
    "WSGI": (_wsgi, "sentry_sdk"),
    "WebOb": (_webob, "webob"),
    "Pyramid": (_pyramid, "pyramid"),
    "Flask": (_flask, "flask"),
    "Django": (_django, "django"),
    "Bottle": (_bottle, "bottle"),
    "Falcon": (_falcon, "falcon"),
    "Zope": (_zope, "ZPublisher"),
}

#: The installed ones: functions that make an app that runs a given function.
FRAMEWORKS = {
    name: make for name, (make, module) in _MAKERS.items() if importlib.util.find_spec(module) is not None
}


def show(request):
    """Return what a framework shows about a handled exception, on a page for developers."""
    exc_info = sys.exc_info()
    module = type(request).__module__.partition(".")[0]
    shown = [str(request), repr(request)]
    if module == "django":
        from django.views.debug import ExceptionReporter

        reporter = ExceptionReporter(request, *exc_info)
        shown += [reporter.get_traceback_text(), reporter.get_traceback_html()]
    elif module == "flask" or module == "werkzeug":
        from werkzeug.debug.tbtools import DebugTraceback

        traceback = DebugTraceback(exc_info[1])
        shown += [traceback.render_traceback_text(), traceback.render_debugger_html(True, "x", True)]
    return shown


def __getattr__(name):
    """The urlconf, which Django asks this module for."""
    if name != "urlpatterns":
        raise AttributeError(name)
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    return [path(PATH[1:], csrf_exempt(_django_view))]
