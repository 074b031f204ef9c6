"""Apps of frameworks that the SDK has integrations for, with the filter around them in a pipeline."""

import pytest
from webtest import TestApp

from sentry_paste import sdk

from apps import set_up_django

INI = """
    [filter:sentry]
    use = egg:sentry_paste
    traces_sample_rate = 1.0
    release = 1
    {options}

    [app:app]
    paste.app_factory = test_frameworks:make_{framework}

    [pipeline:app-first]
    pipeline = sentry app

    [app:sentry-first]
    use = app
    filter-with = sentry
"""


def make_pyramid(global_conf):
    from pyramid.config import Configurator
    from pyramid.response import Response

    def crash(request):
        raise ValueError("crashed for " + request.matchdict["name"])

    with Configurator() as config:
        config.add_route("hello", "/hello/{name}")
        config.add_view(lambda request: Response("hello"), route_name="hello")
        config.add_route("crash", "/crash/{name}")
        config.add_view(crash, route_name="crash")
        return config.make_wsgi_app()


def make_flask(global_conf):
    from flask import Flask

    app = Flask(__name__)
    app.testing = True  # errors are raised, and not turned into a page

    @app.route("/hello/<name>")
    def hello(name):
        return "hello"

    @app.route("/crash/<name>")
    def crash(name):
        raise ValueError("crashed for " + name)

    return app


def make_bottle(global_conf):
    import bottle

    app = bottle.Bottle()
    app.config["catchall"] = False  # errors are raised, and not turned into a page
    app.route("/hello/<name>", callback=lambda name: "hello")

    def crash(name):
        raise ValueError("crashed for " + name)

    app.route("/crash/<name>", callback=crash)
    return app


def make_falcon(global_conf):
    import falcon

    class Hello:
        def on_get(self, req, resp, name):
            resp.text = "hello"

    class Crash:
        def on_get(self, req, resp, name):
            raise ValueError("crashed for " + name)

    def raise_it(req, resp, error, params):
        raise error

    app = falcon.App()
    app.add_error_handler(Exception, raise_it)
    app.add_route("/hello/{name}", Hello())
    app.add_route("/crash/{name}", Crash())
    return app


def make_django(global_conf):
    from django.core.handlers.wsgi import WSGIHandler

    set_up_django()
    return WSGIHandler()


def django_hello(request, name):
    from django.http import HttpResponse

    return HttpResponse("hello")


def django_crash(request, name):
    raise ValueError("crashed for " + name)


def __getattr__(name):
    """The urlconf, which Django asks this module for."""
    if name == "urlpatterns":
        from django.urls import path

        return [path("hello/<str:name>", django_hello), path("crash/<str:name>", django_crash)]
    raise AttributeError(name)


# The name of the transaction, in each integration's default style.
NAMES = {
    "pyramid": "crash",
    # Without transactions, the SDK names requests after the pattern of their route.
    "flask": "crash" if sdk.MAJOR == 2 else "/crash/<name>",
    "bottle": "crash" if sdk.MAJOR == 2 else "/crash/<name>",
    "falcon": "/crash/{name}",
    "django": "/crash/{name}",
}


NO_INTEGRATION = "auto_enabling_integrations = false"


@pytest.mark.parametrize("framework", NAMES)
@pytest.mark.parametrize("options", ["", NO_INTEGRATION], ids=["integration", "none"])
@pytest.mark.parametrize("order", ["app-first", "sentry-first"])
class TestEveryFramework:
    def test_crash_is_one_event_and_one_transaction(self, load, captured, framework, options, order):
        app = TestApp(load(INI.format(framework=framework, options=options), order))
        with pytest.raises(ValueError, match="crashed for ann"):
            app.get("/crash/ann")
        (error,), (transaction,) = captured.errors, captured.transactions
        assert error["exception"]["values"][-1]["value"] == "crashed for ann"
        assert error["exception"]["values"][-1]["mechanism"]["handled"] is False
        assert transaction["contexts"]["trace"]["status"] == "internal_error"
        assert transaction["contexts"]["trace"]["trace_id"] == error["contexts"]["trace"]["trace_id"]
        assert transaction["contexts"]["trace"]["op"] == "http.server"
        assert error["request"]["url"] == transaction["request"]["url"] == "http://localhost/crash/ann"

    def test_transaction_has_the_routes_name(self, load, captured, framework, options, order):
        app = TestApp(load(INI.format(framework=framework, options=options), order))
        with pytest.raises(ValueError, match="crashed for ann"):
            app.get("/crash/ann")
        (error,), (transaction,) = captured.errors, captured.transactions
        # FalconIntegration puts a middleware into the apps that are made while it is on: a pipeline's is not.
        named = not options and (framework, order) != ("falcon", "app-first")
        name = NAMES[framework] if named else "GET /crash/ann"
        if framework == "bottle" and not named:
            name, named = "/crash/<name>", True  # from what Bottle leaves in the environ
        assert transaction["transaction"].rpartition(".")[2].lstrip("/") == name.lstrip("/")
        assert error["transaction"] == transaction["transaction"]
        assert (transaction["transaction_info"]["source"] == "url") is not named

    def test_answer_is_one_transaction_and_no_event(self, load, captured, framework, options, order):
        app = TestApp(load(INI.format(framework=framework, options=options), order))
        assert app.get("/hello/ann").text == "hello"
        assert captured.errors == []
        (transaction,) = captured.transactions
        assert transaction["contexts"]["trace"]["status"] == "ok"
