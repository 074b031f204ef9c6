"""Requests are named by what the framework has called for the outer request."""

import functools

import pytest
import sentry_sdk
from pyramid.config import Configurator
from pyramid.response import Response
from webtest import TestApp

from sentry_paste import SentryMiddleware


def served(app, **options):
    return TestApp(SentryMiddleware(app, traces_sample_rate=1.0, **options))


def names(captured):
    return [(found["transaction"], found["transaction_info"]["source"]) for found in captured.transactions]


def error_names(captured):
    return [(event["transaction"], event["transaction_info"]["source"]) for event in captured.errors]


class Root(dict):
    pass


class Page:
    __parent__ = None


def root(request):
    return Root(page=Page())


def crashing_factory(request):
    raise ValueError("in the factory")


def batch(request):
    """Call another view, and raise an error if asked to."""
    for _ in range(2):
        request.invoke_subrequest(type(request).blank(request.params.get("inner", "/inner")), use_tweens=True)
    copied = request.copy_get()
    copied.path_info = "/inner"
    request.invoke_subrequest(copied)
    if "log" in request.params:
        sentry_sdk.capture_message("after the subrequests")
    if "crash" in request.params:
        raise ValueError("after the subrequests")
    return Response("batch")


def pyramid_app(**settings):
    with Configurator(settings=settings, root_factory=root) as config:
        config.add_route("batch", "/batch")
        config.add_route("inner", "/inner")
        config.add_route("items", "/items/{id}", factory=crashing_factory)
        config.add_view(batch, route_name="batch")
        config.add_view(lambda request: Response("inner"), route_name="inner")
        config.add_view(lambda request: Response("items"), route_name="items")
        config.add_view(lambda request: Response("page"), context=Page)
        config.add_view(crash, context=Page, name="edit")
        config.add_view(batch, context=Page, name="batch")
    return config.make_wsgi_app()


def crash(request):
    raise ValueError("in a view of a page")


@pytest.fixture(params=["route_name", "route_pattern"])
def style(request):
    return request.param


@pytest.mark.parametrize("what", ["log", "crash"])
def test_subrequest_does_not_rename_the_request(captured, style, what):
    app = served(pyramid_app(), **{"integration.pyramid.transaction_style": style})
    if what == "crash":
        with pytest.raises(ValueError):
            app.get("/batch?crash=1")
    else:
        app.get("/batch?log=1")
    expected = [("batch", "component")] if style == "route_name" else [("/batch", "route")]
    assert names(captured) == expected
    assert error_names(captured) == expected


def test_request_without_a_route_is_not_named_after_its_subrequest(captured):
    served(pyramid_app()).get("/page/batch?log=1")
    expected = [(f"{Page.__module__}.Page.batch", "component")]
    assert names(captured) == expected
    assert error_names(captured) == expected


def test_crash_in_a_routes_factory_is_named_after_the_route(captured, style):
    app = served(pyramid_app(), **{"integration.pyramid.transaction_style": style})
    with pytest.raises(ValueError):
        app.get("/items/42")
    expected = [("items", "component")] if style == "route_name" else [("/items/{id}", "route")]
    assert error_names(captured) == expected
    assert names(captured) == expected


def test_traversal_is_named_after_context_and_view(captured):
    app = served(pyramid_app())
    app.get("/page")
    with pytest.raises(ValueError):
        app.get("/page/edit")
    page = f"{Page.__module__}.Page"
    assert names(captured) == [(page, "component"), (f"{page}.edit", "component")]
    assert error_names(captured) == [(f"{page}.edit", "component")]


@pytest.mark.parametrize("path", ["/nowhere", "/page/nothing"])
def test_traversal_that_finds_no_view_has_the_path(captured, path):
    served(pyramid_app()).get(path, status=404)
    assert names(captured) == [(f"GET {path}", "url")]


def test_name_that_the_app_sets_is_kept(captured):
    def view(request):
        sentry_sdk.get_current_scope().set_transaction_name("mine", source="custom")
        sentry_sdk.capture_message("a message")
        return Response("")

    with Configurator() as config:
        config.add_route("view", "/")
        config.add_view(view, route_name="view")
    served(config.make_wsgi_app()).get("/")
    assert names(captured) == error_names(captured) == [("mine", "custom")]


def test_view_that_does_not_exist_names_no_request(captured):
    """After traversal the name of the view is what the client has asked for."""

    def crash_early(event):
        raise ValueError("in a subscriber")

    with Configurator(root_factory=root) as config:
        config.add_subscriber(crash_early, "pyramid.interfaces.IContextFound")
    with pytest.raises(ValueError):
        served(config.make_wsgi_app()).get("/user-0")
    assert error_names(captured) == names(captured) == [("GET /user-0", "url")]


def test_other_wrappers_of_views_see_subrequests(captured, monkeypatch):
    from pyramid import router

    served(pyramid_app()).get("/page")
    seen, before = [], router._call_view

    @functools.wraps(before)
    def other(registry, request, *args, **kwargs):
        seen.append(request.path)
        return before(registry, request, *args, **kwargs)

    monkeypatch.setattr(router, "_call_view", other)
    served(pyramid_app()).get("/batch")
    assert seen[:2] == ["/batch", "/inner"]


class TestErrorPageOfTurboGears:
    """``FullStackApplicationConfigurator`` with an error controller, the default of the quickstart."""

    @pytest.fixture
    def app(self):
        pytest.importorskip("tg")
        from tg import FullStackApplicationConfigurator, TGController, abort, expose

        class ErrorController(TGController):
            @expose()
            def document(self, *args, **kwargs):
                return "the error page"

        class SubController(TGController):
            @expose()
            def deep(self):
                raise KeyError("deep")

        class RootController(TGController):
            error = ErrorController()
            sub = SubController()

            @expose()
            def index(self):
                return "hello"

            @expose()
            def boom(self):
                raise ValueError("boom")

            @expose()
            def deny(self):
                abort(403)

        config = FullStackApplicationConfigurator()
        config.update_blueprint(
            {
                "root_controller": RootController(),
                "renderers": ["json"],
                "default_renderer": "json",
                "debug": False,
                "errorpage.enabled": True,
                "errorpage.status_codes": [403, 404],
            }
        )
        return config.make_wsgi_app({"debug": "false"}, {})

    @pytest.mark.parametrize(
        ("path", "name", "kind"), [("/boom", "boom", "ValueError"), ("/sub/deep", "deep", "KeyError")]
    )
    def test_crash_behind_it_is_found(self, app, captured, path, name, kind):
        response = served(app, release="1").get(path, status=500)
        assert response.text == "the error page"
        (event,) = captured.errors
        value = event["exception"]["values"][-1]
        assert (value["type"], value["mechanism"]["handled"]) == (kind, False)
        assert event["transaction"].endswith(f"Controller.{name}")
        assert value["stacktrace"]["frames"][-1]["function"] == name
        assert [found["transaction"] for found in captured.transactions] == [event["transaction"]]
        sentry_sdk.flush()
        assert [found.get("crashed") for found in captured.sessions] == [1]

    def test_crash_of_a_request_that_is_not_traced_is_found(self, app, captured):
        TestApp(SentryMiddleware(app)).get("/boom", status=500)
        assert [event["exception"]["values"][-1]["type"] for event in captured.errors] == ["ValueError"]

    def test_its_id_is_in_the_header(self, app, captured):
        response = served(app, event_id_header="X-Sentry-Event-Id").get("/boom", status=500)
        assert response.headers["X-Sentry-Event-Id"] == captured.errors[0]["event_id"]

    @pytest.mark.parametrize(("path", "status"), [("/deny", 403), ("/nowhere", 404)])
    def test_page_for_a_client_is_no_error_and_does_not_name_the_request(self, app, captured, path, status):
        served(app).get(path, status=status)
        assert captured.errors == []
        assert names(captured) == [(f"GET {path}", "url")]

    def test_healthy_request_is_named_after_its_controller(self, app, captured):
        served(app).get("/")
        assert names(captured)[0][0].endswith("RootController.index")
