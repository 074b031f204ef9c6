"""Pyramid without a pipeline, ``pyramid.includes = sentry_paste``, and what its add-ons do around it."""

import pytest
import test_pyramid as served  # the module as the inis name it
from pyramid.config import Configurator
from pyramid.response import Response
from webtest import TestApp

from sentry_paste import ConfigError, SentryMiddleware

INI = """
    [app:main]
    paste.app_factory = test_pyramid:make
    pyramid.includes = {includes}
    sentry.traces_sample_rate = 1.0
    sentry.release = 1
    sentry.integration.pyramid.transaction_style = route_pattern
"""

FILTER = """
    [filter-app:main]
    use = egg:sentry_paste
    traces_sample_rate = 1
    next = app
"""

attempts = []


def hello(request):
    return Response("hello " + request.matchdict["name"])


def crash(request):
    raise ValueError("crashed")


def stream(request):
    def body():
        yield b"one "
        raise ValueError("in the stream")

    return Response(app_iter=body())


def answered(request):
    raise KeyError("answered by a view")


def retried(request):
    from pyramid_retry import RetryableException

    attempts.append(request.environ["retry.attempt"])
    if len(attempts) < int(request.matchdict["name"]):
        raise RetryableException
    return Response("done")


def page(error, request):
    return Response("a page for the error", status=500)


def make(global_conf, **settings):
    with Configurator(settings=settings) as config:
        for view in (hello, crash, stream, answered, retried):
            config.add_route(view.__name__, f"/{view.__name__}/{{name}}")
            config.add_view(view, route_name=view.__name__)
        config.add_view(page, context=KeyError)
        return config.make_wsgi_app()


@pytest.fixture
def app(load, captured):
    def app(includes="sentry_paste", more="", ini=INI):
        served.attempts.clear()
        return TestApp(load(ini.format(includes=includes) + more))

    return app


def test_route_pattern_is_the_name(app, captured):
    assert app().get("/hello/ann").text == "hello ann"
    (transaction,) = captured.transactions
    assert (transaction["transaction"], transaction["transaction_info"]["source"]) == (
        "/hello/{name}",
        "route",
    )


def test_app_is_still_a_router(app):
    assert type(app().app).__name__ == "Router"
    assert app().app.registry is not None


def test_crash_is_one_event_and_one_transaction(app, captured):
    with pytest.raises(ValueError, match="crashed"):
        app().get("/crash/x")
    (error,), (transaction,) = captured.errors, captured.transactions
    assert error["transaction"] == transaction["transaction"] == "/crash/{name}"
    assert transaction["contexts"]["trace"]["status"] == "internal_error"
    assert error["request"]["url"] == "http://localhost/crash/x"


@pytest.mark.parametrize(
    "more", ["", "    sentry.auto_enabling_integrations = false"], ids=["integration", "none"]
)
def test_crash_is_one_exception_and_not_that_there_was_no_view_for_it(app, captured, more):
    ini = INI.replace("    sentry.integration.pyramid.transaction_style = route_pattern\n", "")
    with pytest.raises(ValueError, match="crashed"):
        app(more=more, ini=ini).get("/crash/x")
    assert [value["type"] for value in captured.errors[0]["exception"]["values"]] == ["ValueError"]


def test_crash_in_the_stream_is_measured_and_reported(app, captured):
    with pytest.raises(ValueError, match="in the stream"):
        app().get("/stream/x")
    assert captured.errors[0]["transaction"] == captured.transactions[0]["transaction"] == "/stream/{name}"


def test_error_that_a_view_answers_is_reported_once(app, captured):
    assert app().get("/answered/x", status=500).text == "a page for the error"
    (error,) = captured.errors
    assert error["exception"]["values"][-1]["value"] == "'answered by a view'"


def test_error_that_a_view_answers_is_reported_with_the_filter_too(load, captured):
    ini = (
        INI.replace("app:main", "app:app").format(includes="")
        + "\n    [filter-app:main]\n    use = egg:sentry_paste\n    next = app\n"
    )
    TestApp(load(ini)).get("/answered/x", status=500)
    assert len(captured.errors) == 1


def test_filter_and_include_together_are_one(load, captured):
    ini = INI.replace("app:main", "app:app").format(includes="sentry_paste")
    app = load(
        ini
        + "\n    [filter-app:main]\n    use = egg:sentry_paste\n    traces_sample_rate = 1\n    next = app\n"
    )
    assert isinstance(app, SentryMiddleware)
    with pytest.raises(ValueError, match="crashed"):
        TestApp(app).get("/crash/x")
    assert (len(captured.errors), len(captured.transactions)) == (1, 1)


def test_attempts_before_the_last_are_not_reported(app, captured):
    assert app("pyramid_retry sentry_paste", "    retry.attempts = 3").get("/retried/3").text == "done"
    assert served.attempts == [0, 1, 2]
    assert captured.errors == []


def test_last_attempt_is_reported(app, captured):
    from pyramid_retry import RetryableException

    with pytest.raises(RetryableException):
        app("pyramid_retry sentry_paste", "    retry.attempts = 2").get("/retried/9")
    assert served.attempts == [0, 1]
    assert len(captured.errors) == 1


def test_attempts_are_left_out_with_the_filter_too(load, captured):
    served.attempts.clear()
    ini = INI.replace("app:main", "app:app").format(includes="pyramid_retry")
    app = load(ini + FILTER)
    assert TestApp(app).get("/retried/2").text == "done"
    assert captured.errors == []


def test_abort_of_the_transaction_manager_is_inside(app, captured):
    with pytest.raises(ValueError, match="crashed"):
        app("pyramid_tm sentry_paste").get("/crash/x")
    assert len(captured.errors) == 1


def test_wrong_setting_stops_the_start(load):
    with pytest.raises(ConfigError, match="did you mean traces_sample_rate"):
        load(INI.format(includes="sentry_paste") + "    sentry.trace_sample_rate = 1")


def test_without_a_dsn_the_app_is_called_alone(load):
    assert TestApp(load(INI.format(includes="sentry_paste"))).get("/hello/ann").text == "hello ann"


def test_two_apps_of_one_configuration_are_two(captured):
    """A configurator can make an app more than once: each is called through a filter of its own."""
    with Configurator(settings={"sentry.traces_sample_rate": 1.0, "sentry.dsn": None}) as config:
        config.include("sentry_paste")
        config.add_route("hello", "/hello/{name}")
        config.add_view(hello, route_name="hello")
    first, second = config.make_wsgi_app(), config.make_wsgi_app()
    first.registry = second.registry
    for app in (first, second):
        assert TestApp(app).get("/hello/you").text == "hello you"
    assert len(captured.transactions) == 2
