"""Apps that fail in every way, in each framework, as a ``paste.app_factory`` for real servers.

A path is ``/framework/way``. A framework that is not installed is left out.
"""

import json
import os
import sys
import time

CHUNK = b"x" * 65536
CHUNKS = 1024  # 64 MB: more than all the buffers between an app and a client that does not read


class HandledError(Exception):
    """Answered 410 by a handler of the app's."""

    code = 410


class PageError(Exception):
    """Answered 500 by a handler of the app's."""


def crash():
    raise ValueError("of the app")


def stream():
    yield CHUNK
    raise ValueError("in the stream")


def long_stream():
    for _ in range(CHUNKS):
        yield CHUNK


def fill_the_disk():
    """Fail in the words of uWSGI's and mod_wsgi's errors about a client."""
    raise OSError("write error: the disk is full")


def leave(code):
    raise SystemExit(code)


def be_ended():
    """Be ended as gevent's servers end a request that takes longer than they wait for it."""
    import gevent

    gevent.getcurrent().kill(block=False)
    gevent.sleep(10)


# What all frameworks do the same way: functions without arguments.
ACTS = {
    "crash": crash,
    "own": fill_the_disk,
    "exit0": lambda: leave(0),
    "exit1": lambda: leave(1),
    "ended": be_ended,
}


def handled():
    raise HandledError("answered by a handler")


def page():
    raise PageError("answered with a page")


def make_plain():
    def app(environ, start_response):
        way = environ["PATH_INFO"].strip("/")
        if way in ACTS:
            ACTS[way]()
        if way == "exc_info":
            try:
                crash()
            except ValueError:
                start_response("500 Oops", [("Content-Type", "text/plain")], sys.exc_info())
            return [b"an error page"]
        if way == "upload":
            missing = int(environ["CONTENT_LENGTH"])
            while missing:
                found = environ["wsgi.input"].read(min(missing, len(CHUNK)))
                if not found:
                    break
                missing -= len(found)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return {"stream": stream, "download": long_stream}.get(way, lambda: [b"hello"])()

    return app


def make_webob():
    from webob import Request, Response
    from webob.exc import HTTPException, HTTPNotFound

    def app(environ, start_response):
        request = Request(environ)
        way = request.path_info.strip("/")
        if way in ACTS:
            ACTS[way]()
        if way == "upload":
            _ = request.body
        try:
            if way == "missing":
                raise HTTPNotFound("not here")
        except HTTPException as error:
            return error(environ, start_response)
        chunks = {"stream": stream, "download": long_stream}.get(way)
        answer = Response("hello") if chunks is None else Response(app_iter=chunks())
        return answer(environ, start_response)

    return app


def make_pyramid():
    from pyramid.config import Configurator
    from pyramid.httpexceptions import HTTPNotFound
    from pyramid.response import Response
    from pyramid_retry import RetryableException

    attempts = {"retried": 2, "given_up": 3}

    def fail_some_times(request):
        """Fail as often as the way says, of three attempts."""
        done = request.environ.get("failing.attempts", 0) + 1
        request.environ["failing.attempts"] = done
        if done <= attempts[request.matchdict["way"]]:
            raise RetryableException(f"attempt {done}")
        return Response("hello")

    def missing():
        raise HTTPNotFound("not here")

    acts = {**ACTS, "handled": handled, "page": page, "missing": missing}

    def view(request):
        way = request.matchdict["way"]
        if way in attempts:
            return fail_some_times(request)
        if way in acts:
            acts[way]()
        if way == "upload":
            _ = request.body
        chunks = {"stream": stream, "download": long_stream}.get(way)
        return Response("hello") if chunks is None else Response(app_iter=chunks())

    def answer(status):
        return lambda error, request: Response("a page", status=status)

    with Configurator(settings={"retry.attempts": 3}) as config:
        config.include("pyramid_retry")
        config.add_route("way", "/{way}")
        config.add_view(view, route_name="way")
        config.add_exception_view(answer(410), context=HandledError)
        config.add_exception_view(answer(500), context=PageError)
        return config.make_wsgi_app()


def make_flask(propagate=True):
    from flask import Flask, Response, abort, request

    app = Flask(__name__)
    app.config["PROPAGATE_EXCEPTIONS"] = propagate
    acts = {**ACTS, "handled": handled, "page": page, "missing": lambda: abort(404)}

    @app.route("/<way>", methods=["GET", "POST"])
    def view(way):
        if way in acts:
            acts[way]()
        if way == "upload":
            request.get_data()
        chunks = {"stream": stream, "download": long_stream}.get(way)
        return "hello" if chunks is None else Response(chunks())

    app.register_error_handler(HandledError, lambda error: ("a page", 410))
    app.register_error_handler(PageError, lambda error: ("a page", 500))
    return app


def make_bottle(catchall=False):
    import bottle

    app = bottle.Bottle()
    app.config["catchall"] = catchall

    def answer(status, act):
        try:
            act()
        except Exception as error:
            raise bottle.HTTPError(status, "a page", exception=error) from error

    acts = {
        **ACTS,
        "handled": lambda: answer(410, handled),
        "page": lambda: answer(500, page),
        "missing": lambda: bottle.abort(404),
    }

    def view(way):
        if way in acts:
            acts[way]()
        if way == "upload":
            bottle.request.body.read()
        return {"stream": stream, "download": long_stream}.get(way, lambda: "hello")()

    app.route("/<way>", ["GET", "POST"], view)
    return app


def make_django():
    import django
    from django.conf import settings
    from django.core.handlers.wsgi import WSGIHandler

    settings.configure(
        ROOT_URLCONF=__name__,
        ALLOWED_HOSTS=["*"],
        SECRET_KEY="test",
        LOGGING_CONFIG=None,
        DATA_UPLOAD_MAX_MEMORY_SIZE=None,
        MIDDLEWARE=[f"{__name__}.DjangoHandlers"],
    )
    django.setup()
    return WSGIHandler()


class DjangoHandlers:
    """A middleware of Django's that answers two kinds of exceptions."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        return self.get_response(request)

    def process_exception(self, request, error):
        from django.http import HttpResponse

        for cls, status in ((HandledError, 410), (PageError, 500)):
            if isinstance(error, cls):
                return HttpResponse("a page", status=status)
        return None


def django_view(request, way):
    from django.http import Http404, HttpResponse, StreamingHttpResponse

    def missing():
        raise Http404("not here")

    acts = {**ACTS, "handled": handled, "page": page, "missing": missing}
    if way in acts:
        acts[way]()
    if way == "upload":
        _ = request.body
    chunks = {"stream": stream, "download": long_stream}.get(way)
    return HttpResponse("hello") if chunks is None else StreamingHttpResponse(chunks())


def __getattr__(name):
    """The urlconf, which Django asks this module for."""
    if name == "urlpatterns":
        from django.urls import path
        from django.views.decorators.csrf import csrf_exempt

        return [path("<str:way>", csrf_exempt(django_view))]
    raise AttributeError(name)


def make_falcon():
    import falcon

    def missing():
        raise falcon.HTTPNotFound

    acts = {**ACTS, "handled": handled, "page": page, "missing": missing}

    class Ways:
        def on_get(self, req, resp, way):
            if way in acts:
                acts[way]()
            if way == "upload":
                req.bounded_stream.read()
            chunks = {"stream": stream, "download": long_stream}.get(way)
            if chunks is None:
                resp.text = "hello"
            else:
                resp.stream = chunks()

        on_post = on_get

    def answer(status):
        def handler(req, resp, error, params):
            resp.status = status
            resp.text = "a page"

        return handler

    app = falcon.App()
    app.add_error_handler(HandledError, answer(410))
    app.add_error_handler(PageError, answer(500))
    app.add_route("/{way}", Ways())
    return app


def make_turbogears(full_stack=False):
    import tg
    from tg import FullStackApplicationConfigurator, MinimalApplicationConfigurator, TGController, expose

    def answer(status, act):
        try:
            act()
        except Exception:
            tg.response.status = status
            return "a page"

    acts = {
        **ACTS,
        "handled": lambda: answer(410, handled),
        "page": lambda: answer(500, page),
        "missing": lambda: tg.abort(404),
    }

    class ErrorController(TGController):
        @expose(content_type="text/plain")
        def document(self, *args, **kwargs):
            return "a page"

    class RootController(TGController):
        error = ErrorController()

        @expose(content_type="text/plain")
        def _default(self, way, *args, **kwargs):
            if way in acts:
                answered = acts[way]()
                if answered is not None:
                    return answered
            if way == "upload":
                _ = tg.request.body
            return {"stream": stream, "download": long_stream}.get(way, lambda: "hello")()

    if not full_stack:
        config = MinimalApplicationConfigurator()
        config.update_blueprint({"root_controller": RootController(), "renderers": []})
        return config.make_wsgi_app({}, {})
    config = FullStackApplicationConfigurator()
    config.update_blueprint(
        {
            "root_controller": RootController(),
            "renderers": [],
            "errorpage.enabled": True,
            "errorpage.status_codes": [403, 404, 500],
            "debug": False,
            "session.enabled": False,
            "cache.enabled": False,
            "i18n.enabled": False,
        }
    )
    return config.make_wsgi_app({"debug": "false"}, {})


def make_zope():
    import failing_zope

    return failing_zope.make()


# The first of a framework lets a crash leave the app, the second answers it with the framework's own page.
MAKERS = {
    "plain": make_plain,
    "webob": make_webob,
    "pyramid": make_pyramid,
    "flask": make_flask,
    "flask-page": lambda: make_flask(propagate=False),
    "bottle": make_bottle,
    "bottle-page": lambda: make_bottle(catchall=True),
    "django-page": make_django,
    "falcon-page": make_falcon,
    "turbogears": make_turbogears,
    "turbogears-page": lambda: make_turbogears(full_stack=True),
    "zope": make_zope,
}


def make_app(global_conf, frameworks=""):
    """A ``paste.app_factory`` for the apps of some frameworks; of all if none is named."""
    made = {}
    for name in frameworks.split() or MAKERS:
        try:
            made[name] = MAKERS[name]()
        except ImportError as error:
            print(f"{name} is left out: {error}")

    def app(environ, start_response):
        _, name, way = environ["PATH_INFO"].split("/", 2)
        environ["SCRIPT_NAME"] += f"/{name}"
        environ["PATH_INFO"] = f"/{way}"
        return made[name](environ, start_response)

    app.frameworks = list(made)
    return app


def make_control(global_conf):
    """A ``paste.filter_factory`` that says how the process is, and sends what is queued, on ``/control``."""
    # Not before gevent has patched what it needs to.
    from sentry_paste.client.registry import registry

    calls = []

    def filter_app(app):
        frameworks = app.app.frameworks

        def control(environ, start_response):
            if environ["PATH_INFO"] != "/control":
                calls.append(environ["PATH_INFO"])
                return app(environ, start_response)
            for client in registry.clients():
                client.flush(5)
            said = {"pid": os.getpid(), "calls": len(calls), "frameworks": frameworks, "time": time.time()}
            body = json.dumps(said).encode()
            start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
            return [body]

        return control

    return filter_app


def serve_cheroot(app, global_conf, host, port):
    """A ``paste.server_runner`` for cheroot."""
    from cheroot.wsgi import Server

    server = Server((host, int(port)), app)
    try:
        server.safe_start()
    finally:
        server.stop()


def serve_gevent(ini, port):
    """Serve an ini by gevent's own server."""
    from gevent import monkey

    monkey.patch_all()
    from gevent.pywsgi import WSGIServer
    from paste.deploy import loadapp

    WSGIServer(("127.0.0.1", int(port)), loadapp(f"config:{ini}")).serve_forever()


if __name__ == "__main__":
    serve_gevent(*sys.argv[1:])
