"""What ``PyramidIntegration`` does in each request waits until it is needed; reports are the same."""

import contextvars
import gc
import json
import re
import sys
import threading

import pytest
import sentry_sdk
from pyramid import router
from pyramid.config import Configurator
from pyramid.httpexceptions import HTTPForbidden, HTTPNotFound
from pyramid.response import Response
from sentry_sdk.integrations.pyramid import PyramidIntegration
from webtest import TestApp

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.client.registry import registry
from sentry_paste.request.scopes import RequestScopes
from sentry_paste.sdk import pyramid_views
from sentry_paste.testing import CapturedEnvelopes, MemoryTransport, capture_envelopes

from traced_apps import needs_streamed_spans
from wsgi_calls import call, environ_of

contexts = []


class Page:
    __parent__ = None


class Policy:
    """Signs everybody in."""

    def identity(self, request):
        return "ann-4711"

    def authenticated_userid(self, request):
        return "ann-4711"

    def permits(self, request, context, permission):
        return True


def hello(request):
    return Response("hello " + request.matchdict["name"])


def say(request):
    sentry_sdk.capture_message("in a view")
    return Response("")


def crash(request):
    raise ValueError("in a view")


def answered(request):
    raise KeyError("answered")


def refused(request):
    raise LookupError("refused")


def missing(request):
    raise HTTPNotFound("nothing here")


def forbidden(request):
    raise HTTPForbidden("not for you")


def late(request):
    def body():
        yield b"one "
        sentry_sdk.capture_message("in the stream")
        if "crash" in request.params:
            raise ValueError("in the stream")

    return Response(app_iter=body())


def late_without_request(request):
    def body():
        yield b"one "
        sentry_sdk.capture_message("in the stream")

    return Response(app_iter=body())


def in_thread(request):
    thread = threading.Thread(target=sentry_sdk.capture_message, args=["in a thread"])
    thread.start()
    thread.join()
    return Response("")


def named(request):
    sentry_sdk.get_current_scope().set_transaction_name("mine", source="custom")
    sentry_sdk.capture_message("a message")
    return Response("")


def tagged(request):
    sentry_sdk.set_tag("a", "b")
    return crash(request)


def outer(request):
    request.invoke_subrequest(type(request).blank("/hello/ann"), use_tweens=True)
    return crash(request)


def outer_of_crash(request):
    return request.invoke_subrequest(type(request).blank("/crash"), use_tweens=True)


def uses_form(request):
    assert request.POST["user"] == "ann"
    return crash(request)


def uses_json(request):
    assert request.json_body["user"] == "ann"
    return crash(request)


def remember_context(request):
    contexts.append(contextvars.copy_context())
    return Response("")


VIEWS = {
    "/hello/{name}": hello,
    **{f"/{view.__name__}": view for view in (say, crash, answered, refused, missing, forbidden, late)},
    **{f"/{view.__name__}": view for view in (late_without_request, in_thread, named, tagged, outer)},
    **{f"/{view.__name__}": view for view in (outer_of_crash, uses_form, uses_json, remember_context)},
}


def setting_tween_factory(handler, registry):
    """Name requests and open their scopes before and after the view, if they ask for it."""

    def tween(request):
        if "name" in request.params:
            sentry_sdk.get_current_scope().set_transaction_name("of the tween", source="custom")
        if "tag" in request.params:
            sentry_sdk.set_tag("of", "the tween")
        try:
            return handler(request)
        finally:
            if "after" in request.params:
                sentry_sdk.capture_message("after the view")

    return tween


def make_app():
    with Configurator(root_factory=lambda request: {"page": Page()}, security_policy=Policy()) as config:
        for pattern, view in VIEWS.items():
            config.add_route(view.__name__, pattern)
            config.add_view(view, route_name=view.__name__)
        config.add_view(crash, context=Page, name="edit")
        config.add_view(lambda request: Response("page"), context=Page)
        config.add_exception_view(lambda error, request: Response("", status=500), context=KeyError)
        config.add_exception_view(lambda error, request: Response("", status=410), context=LookupError)
        config.add_tween(f"{__name__}.setting_tween_factory")
    return config.make_wsgi_app()


def around(app):
    """Return a middleware inside the filter that answers for an app that crashes."""

    def answering(environ, start_response):
        try:
            return app(environ, start_response)
        except ValueError:
            start_response("500 Oops", [("Content-Type", "text/plain")])
            return [b"oops"]

    return answering


FORM = "application/x-www-form-urlencoded"
FILES = (
    b'--limit\r\nContent-Disposition: form-data; name="user"\r\n\r\nann\r\n'
    b'--limit\r\nContent-Disposition: form-data; name="photo"; filename="a.png"\r\n'
    b"Content-Type: image/png\r\n\r\npng\r\n--limit--\r\n"
)


def ask_everything(app):
    """Let requests of all kinds be reported."""
    client = TestApp(app, extra_environ={"HTTP_COOKIE": "basket=4"})
    paths = [f"/{view.__name__}" for view in VIEWS.values() if view not in (hello, uses_form, uses_json)]
    others = ["/hello/ann", "/late?crash=1", "/nowhere", "/page", "/page/edit", "/page/nothing"]
    for path in [*paths, *others, "/hello/ann?after=1", "/crash?name=1", "/crash?tag=1", "/say?name=1"]:
        try:
            client.get(path, expect_errors=True)
        except (ValueError, KeyError):
            continue
    for path, body, kind in (
        ("/uses_form", {"user": "ann", "password": "hunter2", "words": "many " * 500}, FORM),
        ("/uses_form", FILES, "multipart/form-data; boundary=limit"),
        ("/uses_json", b'{"user": "ann", "items": [1, 2]}', "application/json"),
        ("/crash", b"\xff\x00 not text", FORM),
    ):
        with pytest.raises(ValueError):
            client.post(path, body, headers={"Content-Type": kind})
    contexts.pop().run(sentry_sdk.capture_message, "after the request")


_CHANGING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{16}\b|\b[0-9a-f]{32}\b|\d{4}-\d\d-\d\dT[\d:.]+Z?|\d{10}\.\d+")
_DROPPED = ("event_id", "timestamp", "start_timestamp", "end_timestamp", "sample_rand", "started")


def plain(found):
    """Return what was captured, without what is different each time."""

    def walked(value, name=""):
        if isinstance(value, dict):
            return {key: walked(each, key) for key, each in value.items() if key not in _DROPPED}
        if isinstance(value, list):
            return [walked(each) for each in value]
        if name.startswith("sentry.sample_rand") or "thread" in name:
            return None
        return _CHANGING.sub("?", value) if isinstance(value, str) else value

    kinds = ("event", "transaction", "span", "sessions", "client_report")
    plain = {kind: [walked(payload) for payload in found.payloads(kind)] for kind in kinds}
    # They come trace by trace, in any order, and sessions minute by minute.
    plain["sessions"] = sorted(
        (status, sum(aggregate.get(status, 0) for aggregate in found.sessions))
        for status in ("exited", "errored", "crashed")
    )
    plain["span"] = sorted(json.dumps(span) for payload in plain["span"] for span in payload["items"])
    return plain


@pytest.fixture
def as_the_integration_does(monkeypatch):
    """Have the integration do its work in each request, with its own functions."""
    watch = sdk.watch_pyramid_views
    # Now, as it changes the class for good.
    watch(sentry_sdk.Client(integrations=[sdk.integration_class(PyramidIntegration)()]))
    app = router.Router.__call__

    def do():
        monkeypatch.setattr(sdk, "watch_pyramid_views", lambda client: watch(client) and False)
        monkeypatch.setattr(router.Router, "__call__", app.__wrapped__)
        registry.reset()

    return do


@pytest.fixture(autouse=True)
def _without_collections():
    """Requests with errors are in cycles; an event has their data as long as nobody collects them."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def reported(ask=ask_everything, wrap=lambda app: app, **options):
    with capture_envelopes() as found:
        ask(SentryMiddleware(wrap(make_app()), release="1", **options))
        for client in registry.clients():
            client.flush()
    registry.reset()
    return plain(found)


TRACING = [{}, {"traces_sample_rate": 1.0}, pytest.param({"traces_sample_rate": 0.0}, id="unsampled")]
STREAMED = pytest.param({"traces_sample_rate": 1.0, "trace_lifecycle": "stream"}, marks=needs_streamed_spans)


class TestReports:
    @pytest.mark.parametrize("tracing", [*TRACING, STREAMED])
    @pytest.mark.parametrize(("style", "is_personal"), [("route_name", False), ("route_pattern", True)])
    def test_reports_are_those_of_the_integration(self, style, is_personal, tracing, as_the_integration_does):
        options = {"integration.pyramid.transaction_style": style, "send_default_pii": is_personal, **tracing}
        ours = reported(**options)
        as_the_integration_does()
        theirs = reported(**options)
        assert ours == theirs
        texts = json.dumps(theirs)
        assert ("uses_form" if style == "route_name" else "/hello/{name}") in texts
        assert ("ann-4711" in texts) is is_personal
        assert len(theirs["event"]) > 20

    @pytest.mark.parametrize(("size", "is_personal"), [("never", True), ("small", False), ("always", True)])
    def test_bodies_are_those_of_the_integration(self, size, is_personal, as_the_integration_does):
        options = {"max_request_body_size": size, "send_default_pii": is_personal}
        ours = reported(**options)
        as_the_integration_does()
        assert ours == reported(**options)

    def test_error_that_a_middleware_answers_is_reported_as_by_the_integration(self, as_the_integration_does):
        def ask(app):
            assert call(app, environ_of("/crash")).chunks == [b"oops"]

        ours = reported(ask, around)
        as_the_integration_does()
        assert ours == reported(ask, around)
        assert ours["event"][0]["exception"]["values"][0]["mechanism"]["type"] == "pyramid"

    @pytest.mark.parametrize("succeeds_in", [2, 3, 9])
    def test_attempts_are_those_of_the_integration(self, succeeds_in, as_the_integration_does):
        retry = pytest.importorskip("pyramid_retry")

        def view(request):
            if request.environ["retry.attempt"] + 1 < succeeds_in:
                raise retry.RetryableException("not now")
            return say(request)

        def retrying(_):
            with Configurator(settings={"retry.attempts": 3}) as config:
                config.include("pyramid_retry")
                config.add_route("retried", "/retried")
                config.add_view(view, route_name="retried")
            return config.make_wsgi_app()

        def ask(app):
            call(app, environ_of("/retried"))

        ours = reported(ask, retrying, traces_sample_rate=1.0)
        as_the_integration_does()
        assert ours == reported(ask, retrying, traces_sample_rate=1.0)
        assert [event["transaction"] for event in ours["event"]] == ["retried"]

    def test_request_whose_failed_status_is_an_event_has_its_route(self, as_the_integration_does):
        def ask(app):
            call(app, environ_of("/missing"))

        ours = reported(ask, failed_status_codes="404")
        as_the_integration_does()
        assert ours == reported(ask, failed_status_codes="404")
        assert ours["event"][0]["transaction"] == "missing"

    def test_app_with_a_client_of_its_own(self, as_the_integration_does):
        def ask(app):
            for path in ("/hello/ann", "/crash", "/say"):
                call(app, environ_of(path))

        def of_own_client():
            found = CapturedEnvelopes()
            integrations = [sdk.integration_class(PyramidIntegration)(transaction_style="route_pattern")]
            options = {"release": "1", "attach_stacktrace": False}
            sentry_sdk.init(transport=MemoryTransport(found), integrations=integrations, **options)
            ask(SentryMiddleware(make_app()))
            sentry_sdk.flush()
            return plain(found)

        ours = of_own_client()
        as_the_integration_does()
        assert ours == of_own_client()
        assert [event["transaction"] for event in ours["event"]] == ["/crash", "/say"]


def functions_called(app, path, **more):
    """Return the names of the SDK's functions for views and apps of Pyramid that a request calls."""
    called = []

    def profile(frame, event, arg):
        name = frame.f_code.co_name
        if event == "call" and name in ("sentry_patched_call_view", "sentry_patched_inner_wsgi_call"):
            called.append(name)

    sys.setprofile(profile)
    try:
        call(app, environ_of(path, **more))
    finally:
        sys.setprofile(None)
    return called


class TestHealthyRequests:
    @pytest.mark.parametrize("path", ["/hello/ann", "/page", "/nowhere", "/missing"])
    def test_functions_of_the_integration_are_not_called(self, captured, path):
        app = SentryMiddleware(make_app(), release="1")
        call(app, environ_of("/hello/ann"))
        assert functions_called(app, path) == []

    def test_healthy_request_stays_unopened(self, captured):
        app = SentryMiddleware(make_app(), release="1")
        call(app, environ_of("/remember_context"))
        scope = contexts.pop().run(sdk.scopes._isolation_scope.get)
        assert type(scope) is sdk.UnusedScope

    def test_request_that_uses_its_scopes_has_them_set_by_the_integration(self, captured):
        app = SentryMiddleware(make_app(), release="1")
        assert "sentry_patched_call_view" in functions_called(app, "/hello/ann", QUERY_STRING="tag=1")

    @needs_streamed_spans
    def test_user_of_streamed_spans_is_asked_for_at_once(self, captured):
        app = SentryMiddleware(
            make_app(), traces_sample_rate=1.0, trace_lifecycle="stream", send_default_pii=True
        )
        assert "sentry_patched_call_view" in functions_called(app, "/hello/ann")

    def test_request_outside_of_the_filter_is_the_integrations(self, captured):
        SentryMiddleware(make_app(), release="1")
        sentry_sdk.init(transport=MemoryTransport(CapturedEnvelopes()), integrations=[PyramidIntegration()])
        assert "sentry_patched_inner_wsgi_call" in functions_called(make_app(), "/hello/ann")

    def test_client_without_the_integration_names_requests_by_path(self, captured):
        for is_on in (True, False):
            call(SentryMiddleware(make_app(), auto_enabling_integrations=is_on), environ_of("/say"))
        assert [event["transaction"] for event in captured.payloads("event")] == ["say", "GET /say"]


def test_view_that_is_called_while_a_thread_opens_the_request_names_it(captured, monkeypatch):
    enters_view = RequestScopes.enters_view

    def enters_and_opens(self, *args):
        is_own = enters_view(self, *args)
        self.open()
        return is_own

    monkeypatch.setattr(RequestScopes, "enters_view", enters_and_opens)
    call(SentryMiddleware(make_app()), environ_of("/say"))
    assert [event["transaction"] for event in captured.payloads("event")] == ["say"]


def test_request_that_is_reported_after_it_has_gone_is_named_after_its_route(captured):
    call(SentryMiddleware(make_app(), release="1"), environ_of("/remember_context"))
    contexts.pop().run(sentry_sdk.capture_message, "after the request")
    assert [event["transaction"] for event in captured.payloads("event")] == ["remember_context"]


class TestStackTraces:
    @pytest.mark.parametrize("is_on", [True, False])
    def test_our_functions_are_in_no_stack_trace(self, captured, is_on):
        call(SentryMiddleware(make_app(), release="1"), environ_of())
        call(SentryMiddleware(make_app(), auto_enabling_integrations=is_on), environ_of("/crash"))
        frames = captured.errors[-1]["exception"]["values"][-1]["stacktrace"]["frames"]
        assert [frame["module"] for frame in frames if frame["module"].startswith("sentry_")] == []


class TestChangedIntegration:
    """A newer SDK whose functions do something else is left alone."""

    @pytest.fixture
    def unwatched(self, captured, monkeypatch):
        """Leave only the SDK's functions around Pyramid's."""
        SentryMiddleware(make_app())
        for owner, name in ((router, "_call_view"), (router.Router, "__call__")):
            function = getattr(owner, name)
            while pyramid_views._place_of(function) == pyramid_views.__name__:
                function = function.__wrapped__
            monkeypatch.setattr(owner, name, function)

    def test_view_is_called_by_a_function_that_is_not_known(self, unwatched, captured, monkeypatch):
        monkeypatch.setattr(pyramid_views, "_BEFORE_VIEWS", frozenset())
        app = SentryMiddleware(make_app())
        assert "sentry_patched_call_view" in functions_called(app, "/say")
        assert [event["transaction"] for event in captured.payloads("event")] == ["say"]

    def test_app_is_called_by_a_function_that_is_not_known(self, unwatched, captured, monkeypatch):
        monkeypatch.setattr(pyramid_views, "_AROUND_APPS", frozenset())
        app = SentryMiddleware(make_app())
        assert "sentry_patched_inner_wsgi_call" in functions_called(app, "/crash")
        assert [event["transaction"] for event in captured.errors] == ["crash"]

    def test_functions_of_the_installed_sdk_are_known(self, unwatched):
        assert functions_called(SentryMiddleware(make_app()), "/hello/ann") == []
