"""Names, users and errors of requests; each behaviour that an issue reports has a test."""

import socket

import pytest
import sentry_sdk
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste import SentryMiddleware
from sentry_paste.client.registry import registry
from sentry_paste.wsgi.environ import Forwarded
from sentry_paste.wsgi.errors import client_went_away, is_error

import apps
from traced_apps import answer, traced
from wsgi_calls import call, environ_of

STREAMS = hasattr(sentry_sdk, "traces")
LIFECYCLES = ["static", *(["stream"] if STREAMS else [])]


def crash(environ, start_response):
    raise ValueError("crash")


@pytest.fixture(params=LIFECYCLES)
def measured(request, captured):
    """Call an app in either trace lifecycle; return names, sources and statuses of what was measured."""

    def measured(app, *environs, **options):
        lifecycle = {} if request.param == "static" else {"trace_lifecycle": "stream"}
        middleware = traced(app, **lifecycle, **options)
        for environ in environs:
            call(middleware, environ)
        for client in registry.clients():
            client.flush()
        if request.param == "static":
            return [
                (found["transaction"], found["transaction_info"]["source"]) for found in captured.transactions
            ]
        spans = [span for payload in captured.payloads("span") for span in payload["items"]]
        return [(span["name"], span["attributes"]["sentry.segment.name.source"]["value"]) for span in spans]

    return measured


class TestNames:
    RULES = "/users/*/edit Edit a user\n/users/* A user"

    def test_path_is_the_name_where_nothing_else_is(self, measured):
        assert measured(answer, environ_of("/a", SCRIPT_NAME="/s")) == [("GET /s/a", "url")]

    def test_rule_of_the_ini_is_first(self, measured):
        def named(environ, start_response):
            sentry_sdk.get_current_scope().set_transaction_name("by an integration", source="route")
            return answer(environ, start_response)

        found = measured(named, environ_of("/users/7/edit"), environ_of("/users/7"), environ_of("/x"),
                         transaction_names=self.RULES)  # fmt: skip
        assert found == [("Edit a user", "custom"), ("A user", "custom"), ("by an integration", "route")]

    def test_rule_of_the_ini_is_on_errors_too(self, measured, captured):
        measured(crash, environ_of("/users/7"), transaction_names=self.RULES)
        assert captured.errors[0]["transaction"] == "A user"

    def test_route_that_routes_left_in_the_environ(self, measured, captured):
        class Route:
            routepath = "servers/:(id)"

        def app(environ, start_response):
            environ["routes.route"] = Route
            environ["wsgiorg.routing_args"] = ((), {"id": "7"})
            raise ValueError("after routing")

        assert measured(app, environ_of("/servers/7")) == [("GET /servers/{id}", "route")]
        assert captured.errors[0]["transaction"] == "GET /servers/{id}"

    def test_controller_and_action_that_were_left_in_the_environ(self, measured):
        def app(environ, start_response):
            environ["wsgiorg.routing_args"] = ((), {"controller": "users", "action": "edit", "id": "7"})
            return answer(environ, start_response)

        assert measured(app, environ_of("/x")) == [("users.edit", "route")]

    def test_controller_of_turbogears_which_it_forgets_when_it_returns(self, measured, captured):
        pytest.importorskip("tg")
        from tg import MinimalApplicationConfigurator, TGController, expose

        class Users(TGController):
            @expose()
            def edit(self, number):
                sentry_sdk.capture_message("inside")
                return "edit"

        class Root(TGController):
            users = Users()

        configurator = MinimalApplicationConfigurator()
        configurator.update_blueprint({"root_controller": Root(), "renderers": ["json"]})
        ((name, source),) = measured(configurator.make_wsgi_app(), environ_of("/users/edit/7"))
        assert (name.rpartition("<locals>.")[2], source) == ("Users.edit", "component")
        assert captured.errors[0]["transaction"] == name

    def test_name_that_the_app_sets_wins_over_the_frameworks(self, measured, captured):
        def app(environ, start_response):
            environ["wsgiorg.routing_args"] = ((), {"controller": "users", "action": "edit"})
            sentry_sdk.get_current_scope().set_transaction_name("the app's own")
            sentry_sdk.capture_message("x", level="error")
            return answer(environ, start_response)

        ((name, _),) = measured(app, environ_of("/x"))
        assert name == captured.errors[0]["transaction"] == "the app's own"

    def test_name_that_a_generator_leaves_late(self, measured):
        def app(environ, start_response):
            environ["wsgiorg.routing_args"] = ((), {"controller": "users", "action": "edit"})
            start_response("200 OK", [])
            yield b"x"

        assert measured(app, environ_of("/x"))[0][0] == "users.edit"

    @pytest.mark.parametrize(
        "value", [None, 7, ((), {}), ((), {"controller": object(), "action": "x"}), "ab"]
    )
    def test_nonsense_in_the_environ_is_no_name(self, measured, value):
        def app(environ, start_response):
            environ["wsgiorg.routing_args"] = value
            environ["routes.route"] = value
            return answer(environ, start_response)

        assert measured(app, environ_of("/x")) == [("GET /x", "url")]

    def test_name_at_sampling_time_is_the_rules_or_the_path(self, measured):
        names = []

        def sampler(context):
            names.append(context["transaction_context"]["name"])
            return 1.0

        measured(
            answer,
            environ_of("/users/7"),
            environ_of("/x"),
            transaction_names=self.RULES,
            traces_sampler=sampler,
        )
        assert names == ["A user", "GET /x"]


class TestRulesByPath:
    def test_ignored_path_is_neither_measured_nor_a_session(self, measured, captured):
        assert measured(answer, environ_of("/health"), environ_of("/x"), ignore_paths="/health*") == [
            ("GET /x", "url")
        ]
        assert [session["exited"] for session in captured.sessions] == [1]

    def test_error_of_an_ignored_path_is_reported(self, measured, captured):
        measured(crash, environ_of("/health"), ignore_paths="/health*")
        (error,) = captured.errors
        assert error["transaction"] == "GET /health"
        assert error["request"]["url"] == "http://localhost/health"

    def test_ignored_path_is_the_whole_path(self, measured):
        assert measured(answer, environ_of("/health", SCRIPT_NAME="/app"), ignore_paths="/app/health") == []

    def test_first_rate_that_matches_holds(self, measured):
        rates = "/api/private/* 0\n/api/* 1\n"
        paths = [environ_of(path) for path in ("/api/private/x", "/api/x", "/other")]
        assert measured(answer, *paths, traces_sample_rates=rates, traces_sample_rate=0.0) == [
            ("GET /api/x", "url")
        ]

    def test_rates_by_path_turn_tracing_on_for_those_paths(self, measured):
        paths = [environ_of("/api/x"), environ_of("/other")]
        found = measured(answer, *paths, traces_sample_rates="/api/* 1", traces_sample_rate="")
        assert found == [("GET /api/x", "url")]

    def test_sampler_of_the_users_wins(self, measured):
        sampler = {"traces_sampler": lambda context: 1.0}
        assert measured(answer, environ_of("/x"), traces_sample_rates="* 0", **sampler) == [("GET /x", "url")]

    def test_decision_of_the_caller_is_kept(self, measured):
        header = "771a43a4192642f0b136d5159a501700-1234567890abcdef-"
        environs = [environ_of("/x", HTTP_SENTRY_TRACE=header + decision) for decision in "10"]
        assert measured(answer, *environs, traces_sample_rates="* 0") == [("GET /x", "url")]
        assert measured(answer, *environs[1:], traces_sample_rates="* 1") == [("GET /x", "url")]

    def test_rate_is_passed_on_to_the_services_that_are_called(self, captured):
        found = {}

        def app(environ, start_response):
            found.update(sentry_sdk.get_current_scope().iter_trace_propagation_headers())
            return answer(environ, start_response)

        call(traced(app, traces_sample_rates="/x 0.9999", traces_sample_rate=0.5), environ_of("/x"))
        assert "sentry-sample_rate=0.9999" in found["baggage"]

    def test_client_is_the_same_for_every_rate(self, captured):
        seen = []

        def app(environ, start_response):
            seen.append(sentry_sdk.get_client())
            return answer(environ, start_response)

        middleware = traced(app, traces_sample_rates="/x 0.5")
        call(middleware, environ_of("/x"))
        assert seen == [middleware.client]


class TestErrors:
    def exc_info(self, status):
        def app(environ, start_response):
            import sys

            try:
                raise KeyError("passed as exc_info")
            except KeyError:
                start_response(status, [], sys.exc_info())
            return [b"an error page"]

        return app

    def test_exc_info_is_reported_as_handled(self, captured):
        call(traced(self.exc_info("500 Oops")), environ_of("/x"))
        (error,) = captured.errors
        exception = error["exception"]["values"][-1]
        mechanism = exception["mechanism"]
        assert (exception["type"], mechanism["type"], mechanism["handled"]) == ("KeyError", "wsgi", True)
        assert error["transaction"] == "GET /x"
        assert captured.transactions[0]["contexts"]["trace"]["status"] == "internal_error"

    def test_exc_info_of_an_answer_that_is_no_failure_is_not_reported(self, captured):
        """As Paste's httpexceptions give it with every redirect and every page that is not found."""
        call(traced(self.exc_info("404 Not Found")))
        assert captured.errors == []

    def test_exc_info_can_be_left_alone(self, captured):
        call(traced(self.exc_info("500 Oops"), capture_start_response_errors="false"))
        assert captured.errors == []

    def test_exc_info_that_is_raised_too_is_one_event(self, captured):
        def app(environ, start_response):
            import sys

            try:
                raise KeyError("both")
            except KeyError:
                start_response("500 Oops", [], sys.exc_info())
                raise

        call(traced(app))
        assert len(captured.errors) == 1

    def test_failed_status_is_a_message_grouped_by_status_and_name(self, captured):
        def app(environ, start_response):
            start_response("503 Service Unavailable", [])
            return [b""]

        middleware = traced(app, failed_status_codes="500-599", transaction_names="/users/* A user")
        call(middleware, environ_of("/users/7"))
        (error,) = captured.errors
        assert (error["message"], error["level"]) == ("HTTP status 503", "error")
        assert error["fingerprint"] == ["failed-status", "503", "A user"]
        assert (
            error["contexts"]["trace"]["trace_id"]
            == captured.transactions[0]["contexts"]["trace"]["trace_id"]
        )

    def test_failed_status_of_a_request_that_reported_an_error_is_none_more(self, captured):
        def app(environ, start_response):
            sentry_sdk.capture_message("it went wrong", level="error")
            start_response("500 Oops", [])
            return [b""]

        call(traced(app, failed_status_codes="500-599"))
        call(traced(self.exc_info("500 Oops"), failed_status_codes="500-599"))
        assert [error.get("message") for error in captured.errors] == ["it went wrong", None]

    def test_failed_status_is_not_hidden_by_a_message_that_is_no_error(self, captured):
        def app(environ, start_response):
            sentry_sdk.capture_message("by the way", level="info")
            start_response("503 Busy", [])
            return [b""]

        call(traced(app, failed_status_codes="500-599"))
        assert [error["message"] for error in captured.errors] == ["by the way", "HTTP status 503"]

    def test_error_is_reported_once_though_another_came_between(self, captured):
        def app(environ, start_response):
            try:
                raise ValueError("first")
            except ValueError as error:
                sentry_sdk.capture_exception(error)
                sentry_sdk.capture_exception(KeyError("second"))
                raise

        call(traced(app))
        assert [e["exception"]["values"][-1]["type"] for e in captured.errors] == ["ValueError", "KeyError"]

    def test_write_that_is_given_nonsense_is_an_error_of_the_apps(self, captured):
        def app(environ, start_response):
            start_response("200 OK", [])("no bytes")
            return []

        def start_response(*args):
            return lambda data: memoryview(data)

        with pytest.raises(TypeError):
            traced(app)(environ_of(), start_response)
        assert len(captured.errors) == 1

    def test_abort_that_a_server_prints_is_no_error(self, captured):
        """As uWSGI does, where the SDK takes it for an uncaught exception."""
        traced(answer)
        for error, count in ((OSError("write error"), 0), (OSError("disk full"), 1)):
            hint = {"exc_info": (type(error), error, None)}
            mechanism = {"type": "excepthook", "handled": False}
            values = [{"type": "OSError", "value": str(error), "mechanism": mechanism}]
            sentry_sdk.capture_event({"exception": {"values": values}, "level": "fatal"}, hint=hint)
            assert len(captured.errors) == count
        sentry_sdk.capture_exception(OSError("write error"))  # the app's own wish
        assert len(captured.errors) == 2

    @pytest.mark.parametrize(("codes", "count"), [("", 0), ("404", 1), ("500-599", 0)])
    def test_failed_status_is_one_that_is_named(self, captured, codes, count):
        def app(environ, start_response):
            start_response("404 Not Found", [])
            return [b""]

        call(traced(app, failed_status_codes=codes))
        assert [error["level"] for error in captured.errors] == ["warning"] * count

    def test_client_that_hangs_up_while_it_is_written_to_is_no_error(self, captured):
        def app(environ, start_response):
            start_response("200 OK", [])(b"to nobody")
            return []

        def start_response(*args):
            def write(data):
                raise ConnectionResetError("the client has gone")

            return write

        with pytest.raises(ConnectionResetError):
            traced(app)(environ_of(), start_response)
        assert captured.errors == []

    def test_connection_of_the_apps_own_that_breaks_is_an_error(self, captured):
        def app(environ, start_response):
            raise ConnectionResetError("the database has gone")

        call(traced(app))
        assert len(captured.errors) == 1

    def test_connection_to_the_servers_port_is_the_clients(self):
        """wsgiref's input is the socket itself; an app's own connection has another port."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            own = socket.create_connection(("127.0.0.1", port))
            accepted, _ = server.accept()
            with own, accepted:
                for connection, of_the_client in ((accepted, True), (own, False)):
                    connection.settimeout(0.01)
                    with connection.makefile("rb", buffering=0) as reader:
                        with pytest.raises(OSError) as caught:
                            reader.read(1)
                        gone = ConnectionResetError("gone").with_traceback(caught.value.__traceback__)
                        assert client_went_away(gone, str(port)) is of_the_client
                        assert not client_went_away(gone)

    def test_client_that_hangs_up_while_it_is_read_is_no_error(self):
        source = "def read(): raise ConnectionResetError('the client has gone')"
        for module, gone in (("waitress.buffers", True), ("gunicorn.http.body", True), ("socket", False)):
            names = {"__name__": module}
            exec(compile(source, module, "exec"), names)
            with pytest.raises(ConnectionResetError) as caught:
                names["read"]()
            assert client_went_away(caught.value) is gone

    @pytest.mark.parametrize(
        "text",
        [
            "Apache/mod_wsgi request data read error",
            "mod_wsgi request data read error: Partial results are valid",
            "mod_wsgi failed to write response data: Broken pipe",
            "error during read(5) on wsgi.input",
        ],
    )
    def test_servers_in_c_raise_an_oserror_with_a_known_text(self, text):
        assert not is_error(OSError(text))
        assert is_error(OSError("disk full"))
        assert is_error(FileNotFoundError(2, "write error"))


class TestWho:
    PROXIES = {"HTTP_X_FORWARDED_FOR": "6.6.6.6, 203.0.113.7, 10.0.0.2", "HTTP_X_FORWARDED_PROTO": "https",
               "HTTP_X_FORWARDED_HOST": "shop.example", "REMOTE_ADDR": "10.0.0.1"}  # fmt: skip

    def event(self, captured, environ, **options):
        call(SentryMiddleware(crash, send_default_pii=True, **options), environ)
        return captured.errors[-1]

    @pytest.mark.parametrize(
        ("count", "address"),
        [(0, "10.0.0.1"), (1, "10.0.0.2"), (2, "203.0.113.7"), (3, "6.6.6.6"), (4, "10.0.0.1")],
    )
    def test_address_is_as_far_back_as_proxies_are_trusted(self, captured, count, address):
        event = self.event(captured, environ_of(**self.PROXIES), trusted_proxy_count=count)
        assert event["user"]["ip_address"] == address

    def test_headers_of_nobody_make_no_url(self, captured):
        assert (
            self.event(captured, environ_of("/x", **self.PROXIES))["request"]["url"] == "http://localhost/x"
        )

    def test_headers_of_a_trusted_proxy_make_the_url(self, captured):
        event = self.event(captured, environ_of("/x", **self.PROXIES), trusted_proxy_count=1)
        assert event["request"]["url"] == "https://shop.example/x"

    @pytest.mark.parametrize(
        ("header", "address", "scheme", "host"),
        [
            ("for=203.0.113.7;proto=https;host=shop.example", "203.0.113.7", "https", "shop.example"),
            ('for=6.6.6.6, For="[2001:db8::1]:4711"; Proto=HTTP', "2001:db8::1", "http", None),
            ('for="_hidden"', None, None, None),
            ("for=203.0.113.7:80", "203.0.113.7", None, None),
            ('host="a b"', None, None, None),
            ("proto=gopher", None, None, None),
            ('for="203.0.113.7, 6.6.6.6"', None, None, None),
            (";;,=,", None, None, None),
            ("", None, None, None),
        ],
    )
    def test_forwarded_header(self, header, address, scheme, host):
        forwarded = Forwarded({"HTTP_FORWARDED": header}, 1)
        assert (forwarded.address, forwarded.scheme, forwarded.host) == (address, scheme, host)

    def test_forwarded_of_a_client_is_not_read_where_a_proxy_writes_the_other_headers(self):
        strings = {"HTTP_FORWARDED": "for=6.6.6.6;proto=http", "HTTP_X_FORWARDED_PROTO": "https"}
        forwarded = Forwarded(strings, 1)
        assert (forwarded.address, forwarded.scheme) == (None, "https")

    def test_scheme_and_host_of_proxies_that_set_them_once(self):
        strings = {"HTTP_X_FORWARDED_PROTO": "https", "HTTP_X_FORWARDED_HOST": "shop.example"}
        forwarded = Forwarded(strings, 3)
        assert (forwarded.scheme, forwarded.host) == ("https", "shop.example")

    @given(st.text('for=";,\\ abc', max_size=60), st.integers(1, 3))
    def test_no_header_breaks_it(self, header, count):
        forwarded = Forwarded({"HTTP_FORWARDED": header}, count)
        assert forwarded.address is None
        assert forwarded.scheme is None

    def test_header_that_is_too_long_is_not_read(self):
        header = "for=192.0.2.1"
        assert Forwarded({"HTTP_FORWARDED": " " * 1900 + header}, 1).address == "192.0.2.1"
        assert Forwarded({"HTTP_FORWARDED": " " * 2000 + header}, 1).address is None
        assert Forwarded({"HTTP_X_FORWARDED_FOR": " " * 2000 + "192.0.2.1"}, 1).address is None

    def test_user_is_the_one_that_was_signed_in_inside(self, captured):
        def app(environ, start_response):
            environ["REMOTE_USER"] = "ann"
            raise ValueError

        call(SentryMiddleware(app, send_default_pii=True), environ_of())
        assert captured.errors[0]["user"] == {"ip_address": "192.0.2.1", "username": "ann"}

    def test_user_is_on_the_transaction_too(self, captured):
        def app(environ, start_response):
            environ["REMOTE_USER"] = "ann"
            return answer(environ, start_response)

        call(traced(app, send_default_pii=True), environ_of())
        assert captured.transactions[0]["user"]["username"] == "ann"

    def test_user_that_the_app_sets_wins(self, captured):
        def app(environ, start_response):
            environ["REMOTE_USER"] = "ann"
            sentry_sdk.set_user({"username": "bob", "ip_address": "192.0.2.7"})
            raise ValueError

        call(SentryMiddleware(app, send_default_pii=True), environ_of())
        assert captured.errors[0]["user"] == {"username": "bob", "ip_address": "192.0.2.7"}

    def test_user_is_not_sent_without_permission(self, captured):
        def app(environ, start_response):
            environ["REMOTE_USER"] = "ann"
            raise ValueError

        call(
            SentryMiddleware(app, trusted_proxy_count=1, include_local_variables=False),
            environ_of(**self.PROXIES),
        )
        assert "user" not in captured.errors[0]


class TestLongStreams:
    @pytest.fixture
    def clock(self, monkeypatch):
        class Clock:
            now = 1000.0

        monkeypatch.setattr("sentry_paste.request.body.monotonic", lambda: Clock.now)
        monkeypatch.setattr("sentry_paste.request.lifecycle.time.monotonic", lambda: Clock.now)
        return Clock

    @pytest.mark.parametrize("lifecycle", LIFECYCLES)
    def test_stream_that_outlives_the_measure_is_cut_marked_and_goes_on(self, captured, clock, lifecycle):
        options = {} if lifecycle == "static" else {"trace_lifecycle": "stream"}
        app = traced(apps.answer_generator, max_transaction_duration="1 min", **options)
        body = app(environ_of(), lambda *args: None)
        assert next(body) == b"one "
        clock.now += 61
        assert next(body) == b"two"
        registry.clients()[0].flush()
        (transaction,) = captured.transactions
        assert transaction["contexts"]["trace"]["status"] == "deadline_exceeded"
        assert transaction["contexts"]["trace"]["data"]["sentry_paste.cut"] is True
        assert list(body) == []
        registry.clients()[0].flush()
        assert len(captured.transactions) == 1
        assert captured.sessions[0]["exited"] == 1

    def test_transaction_that_is_cut_has_the_frameworks_name(self, measured, clock):
        def app(environ, start_response):
            environ["wsgiorg.routing_args"] = ((), {"controller": "feed", "action": "follow"})
            start_response("200 OK", [])
            yield b"a"
            clock.now += 61
            yield b"b"

        assert [name for name, _ in measured(app, environ_of("/x"), max_transaction_duration="1 min")] == [
            "feed.follow"
        ]

    def test_stream_that_does_not_is_not(self, captured, clock):
        body = traced(apps.answer_generator, max_transaction_duration="1 min")(
            environ_of(), lambda *args: None
        )
        clock.now += 59
        assert list(body) == [b"one ", b"two"]
        assert captured.transactions[0]["contexts"]["trace"]["status"] == "ok"

    def test_error_after_the_cut_is_reported_with_name_and_request(self, captured, clock):
        body = traced(apps.crash_in_stream)(environ_of("/x"), lambda *args: None)
        next(body)
        clock.now += 301
        with pytest.raises(ValueError, match="in the stream"):
            next(body)
        assert captured.errors[0]["request"]["url"] == "http://localhost/x"
        assert len(captured.transactions) == 1
