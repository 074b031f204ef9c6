"""Channels through which personal data could leak, from the ini to what is sent, in both trace lifecycles."""

import concurrent.futures
import json
import logging
import multiprocessing.pool
import queue
import threading
import time
from contextlib import suppress

import pytest
import sentry_sdk
from webtest import TestApp

from sentry_paste import sdk
from sentry_paste.client.registry import registry
from sentry_paste.redaction.names import FILTERED

import apps
from traced_apps import LIFECYCLES, set_span_data, wait_for_profiles

HAS_LOGS = hasattr(sentry_sdk, "logger")
SECRET = "q8fh23fh28hf2"
USER = "alice.liddell"


@pytest.fixture(params=LIFECYCLES)
def lifecycle(request):
    return request.param


@pytest.fixture
def ini(load, monkeypatch):
    """A filter of an ini around an app that is given as a function."""

    def ini(app, *options):
        monkeypatch.setitem(apps.APPS, "of_the_test", app)
        lines = ["[filter:sentry]", "use = egg:sentry_paste", "release = 1", *options]
        main = [
            "[app:main]",
            "paste.app_factory = apps:make_app",
            "app = of_the_test",
            "filter-with = sentry",
        ]
        return load("\n".join([*lines, *main]))

    return ini


@pytest.fixture
def sent(ini, captured, lifecycle):
    """Run a function in a request; return everything that is sent."""

    def sent(do, *options, status="200 OK", **environ):
        def app(environ, start_response):
            do(environ)
            start_response(status, [])
            return [b""]

        stream = [] if lifecycle == "static" else ["trace_lifecycle = stream"]
        logs = ["enable_logs = true"] if HAS_LOGS else []
        wrapped = TestApp(ini(app, "traces_sample_rate = 1", *stream, *logs, *options))
        with suppress(ValueError):
            wrapped.get("/shop?page=3", extra_environ={"REMOTE_ADDR": "192.0.2.1", **environ})
        for client in registry.clients():
            client.flush()
        return captured

    return sent


def text_of(envelopes):
    """Return everything that is sent as one text, except for source lines of the tests themselves."""
    found = []
    for envelope in envelopes:
        for item in envelope.items:
            payload = item.payload.json
            if payload is None:
                found.append(item.get_bytes().decode("utf-8", "replace"))
            else:
                found.append(json.dumps(without_source(payload)))
    return "\n".join(found)


def without_source(node):
    if isinstance(node, dict):
        source = ("pre_context", "context_line", "post_context")
        return {key: without_source(value) for key, value in node.items() if key not in source}
    return [without_source(value) for value in node] if isinstance(node, list) else node


def spans_of(captured):
    """Names of spans, of a transaction or streamed, and their data or attributes."""
    return [
        (span["description"], span["op"], span["data"])
        for transaction in captured.transactions
        for span in transaction["spans"]
    ]


def measure(name, op="db", **data):
    set_span_data(sdk.start_child_span(op, name), **data)


class TestSpans:
    @pytest.mark.parametrize(
        ("name", "environ", "expected"),
        [
            (
                f"SELECT 1 WHERE login = '{USER}'",
                {"REMOTE_USER": USER},
                f"SELECT 1 WHERE login = '{FILTERED}'",
            ),
            (
                "UPDATE t SET p = 'rabbithole'",
                {"HTTP_X_PASSWORD": "rabbithole"},
                f"UPDATE t SET p = '{FILTERED}'",
            ),
            ('post {"password": "abc"}', {}, f'post {{"password": "{FILTERED}"}}'),
            (USER, {"REMOTE_USER": USER}, FILTERED),
            (f"GET /x?token={SECRET}", {"QUERY_STRING": f"token={SECRET}"}, f"GET /x?token={FILTERED}"),
            ("GET http://h/x?token=abc&page=3", {"QUERY_STRING": "token=abc"}, None),
        ],
    )
    def test_name_is_an_ordinary_text(self, sent, name, environ, expected):
        ((found, _, _),) = spans_of(sent(lambda _: measure(name), **environ))
        assert found == expected or (expected is None and "abc" not in found and "page=3" in found)

    @pytest.mark.parametrize("name", ["SELECT 1 FROM orders", "GET /shop/production", "render basket.mako"])
    def test_name_without_a_secret_stays(self, sent, name):
        ((found, _, _),) = spans_of(sent(lambda _: measure(name), HTTP_COOKIE="theme=dark; n=17"))
        assert found == name

    @pytest.mark.parametrize("key", ["url.full", "http.url", "http.target", "url"])
    def test_url_loses_secret_parameters_and_user_info(self, sent, key):
        url = "https://alice:abc@example.com/x?token=abc&page=3"
        captured = sent(lambda _: measure("x", **{key: url}))
        ((_, _, data),) = spans_of(captured)
        assert data[key] == f"https://{FILTERED}@example.com/x?token={FILTERED}&page=3"

    def test_operation_is_looked_at_by_value(self, sent):
        captured = sent(lambda _: measure("x", op=f"task.{SECRET}"), HTTP_X_API_KEY=SECRET)
        ((_, op, _),) = spans_of(captured)
        assert op == f"task.{FILTERED}"

    def test_client_cannot_change_the_kind_of_a_span(self, sent):
        captured = sent(
            lambda _: measure("x", op="template.render"), HTTP_COOKIE="a=template; b=render; c=x1"
        )
        ((_, op, _),) = spans_of(captured)
        assert op == "template.render"

    def test_segment_keeps_its_path(self, sent):
        captured = sent(lambda _: None, HTTP_COOKIE="where=production; page=shop")
        assert '"GET /shop"' in text_of(captured)

    def test_segment_that_the_app_has_named_is_a_text(self, sent):
        def rename(environ):
            sentry_sdk.get_current_scope().set_transaction_name(f"login of {USER}")
            if sdk.streams_spans(sentry_sdk.get_client().options):
                sentry_sdk.traces.get_current_span().name = f"login of {USER}"

        assert USER not in text_of(sent(rename, REMOTE_USER=USER))

    def test_header_among_the_attributes_is_judged_by_its_value(self, sent):
        name = "http.request.header.x-acme"
        ((_, _, data),) = spans_of(sent(lambda _: measure("x", **{name: [SECRET], "n": "1"})))
        assert data[name] in (FILTERED, [FILTERED])
        assert data["n"] == "1"


class TestNamesOfThings:
    def test_loggers_and_categories(self, sent):
        def log(environ):
            logger = logging.getLogger(f"shop.{USER}.{SECRET}")
            logger.warning("seen")
            sentry_sdk.add_breadcrumb(category=f"auth.{USER}", message="x", type="default")
            logger.error("failed")

        captured = sent(log, REMOTE_USER=USER, HTTP_X_API_KEY=SECRET)
        assert captured.errors[0]["logger"] == f"shop.{FILTERED}.{FILTERED}"
        categories = [crumb.get("category") for crumb in captured.errors[0]["breadcrumbs"]["values"]]
        assert f"auth.{FILTERED}" in categories
        text = text_of(captured)
        assert SECRET not in text
        assert USER not in text

    def test_logger_of_a_word_stays(self, sent):
        def log(environ):
            logging.getLogger("shop.basket").error("failed")

        captured = sent(log, HTTP_COOKIE="theme=dark")
        assert captured.errors[0]["logger"] == "shop.basket"

    def test_threads(self, sent):
        def work():
            measure("in a thread")
            logging.getLogger("shop").error("failed", stack_info=True)

        def start(environ):
            thread = threading.Thread(target=work, name=f"worker of {SECRET}")
            thread.start()
            thread.join()

        assert SECRET not in text_of(sent(start, HTTP_X_API_KEY=SECRET))

    def test_threads_in_profiles(self, sent):
        ready, done = threading.Event(), threading.Event()

        def wait():
            ready.set()
            done.wait(10)

        def busy(environ):
            thread = threading.Thread(target=wait, name=f"worker of {SECRET}")
            thread.start()
            ready.wait(10)
            until = time.monotonic() + 0.3
            while time.monotonic() < until:
                sum(range(1000))

        try:
            captured = sent(busy, "profiles_sample_rate = 1")
            wait_for_profiles()
        finally:
            done.set()
        profiles = captured.payloads("profile", "profile_chunk")
        names = {
            thread["name"] for found in profiles for thread in found["profile"]["thread_metadata"].values()
        }
        if not names and sdk.MAJOR == 2:
            pytest.skip("streamed spans have continuous profiles, which have options of their own")
        assert "MainThread" in names
        assert SECRET not in str(names)


class TestHeaders:
    def headers_of(self, captured):
        (event,) = captured.errors
        return event["request"]["headers"], event["exception"]["values"][-1]["stacktrace"]["frames"][-1][
            "vars"
        ]

    def crash(self, environ):
        held = {key: value for key, value in environ.items() if key.startswith("HTTP_")}
        raise ValueError(len(held))

    def test_unknown_header_is_judged_by_its_value(self, sent):
        captured = sent(self.crash, HTTP_X_ACME=SECRET, HTTP_X_COLOUR="green", HTTP_ACME_CLIENT="203.0.113.7")
        headers, variables = self.headers_of(captured)
        assert headers["X-Acme"] == headers["Acme-Client"] == FILTERED
        assert headers["X-Colour"] == "green"
        assert variables["held"]["HTTP_X_ACME"] == FILTERED
        assert variables["held"]["HTTP_X_COLOUR"] == "'green'"

    def test_option_keeps_it(self, sent):
        captured = sent(self.crash, "keep_headers = X-Acme", HTTP_X_ACME=SECRET)
        headers, variables = self.headers_of(captured)
        assert headers["X-Acme"] == SECRET
        assert variables["held"]["HTTP_X_ACME"] == f"'{SECRET}'"

    def test_id_of_the_request_stays(self, sent):
        number = "771a43a4-1926-42f0-b136-d5159a501700"
        headers, _ = self.headers_of(sent(self.crash, HTTP_X_REQUEST_ID=number))
        assert headers["X-Request-Id"] == number

    def test_token_among_the_subprotocols_of_a_websocket(self, sent):
        def crash(environ):
            held, token = dict(environ), environ["HTTP_SEC_WEBSOCKET_PROTOCOL"].partition(", ")[2]
            raise ValueError(f"refused {token}", len(held))

        captured = sent(
            crash, HTTP_SEC_WEBSOCKET_PROTOCOL=f"bearer, {SECRET}", HTTP_SEC_WEBSOCKET_VERSION="13"
        )
        headers, _ = self.headers_of(captured)
        assert headers["Sec-Websocket-Protocol"] == FILTERED
        assert headers["Sec-Websocket-Version"] == "13"
        assert SECRET not in text_of(captured)

    def test_header_whose_name_is_too_long_is_hidden_without_being_read(self, sent):
        captured = sent(self.crash, "keep_headers = X-*", **{"HTTP_X_" + "A_" * 200: "green"})
        headers, variables = self.headers_of(captured)
        (value,) = (value for name, value in headers.items() if name.startswith("X-A"))
        (held,) = (value for name, value in variables["held"].items() if name.startswith("HTTP_X_A"))
        assert value == held == FILTERED

    @pytest.mark.parametrize("name", ["Referer", "Origin", "Destination", "X-Original-Url"])
    def test_user_info_of_a_url_is_hidden(self, sent, name):
        key = "HTTP_" + name.upper().replace("-", "_")
        captured = sent(self.crash, **{key: "https://alice:abc123@example.com/x"})
        headers, variables = self.headers_of(captured)
        assert headers[name] == f"https://{FILTERED}@example.com/x"
        assert variables["held"][key] == f"'https://{FILTERED}@example.com/x'"

    def test_baggage_keeps_how_the_trace_is_sampled(self, sent):
        baggage = (
            "userId=alice,colour=green,sentry-trace_id=771a43a4192642f0b136d5159a501700,sessionId=ab;ttl=1"
        )
        headers, variables = self.headers_of(sent(self.crash, HTTP_BAGGAGE=baggage))
        expected = baggage.replace("alice", FILTERED).replace("ab;ttl=1", FILTERED)
        assert headers["Baggage"] == expected
        assert variables["held"]["HTTP_BAGGAGE"] == f"'{expected}'"

    def test_attributes_of_shibboleth(self, sent):
        def crash(environ):
            some = {key: environ[key] for key in ("mail", "displayName", "eppn", "REQUEST_METHOD")}
            raise ValueError(len(some))

        captured = sent(crash, mail="alice@example.org", displayName="Al", eppn="alice@example.org")
        _, variables = self.headers_of(captured)
        assert variables["some"] == {
            "mail": FILTERED,
            "displayName": FILTERED,
            "eppn": FILTERED,
            "REQUEST_METHOD": "'GET'",
        }

    def test_keys_of_mappings(self, sent):
        def crash(environ):
            held = {"pin": 1234, "otp": "123456", "pass": "abc", "code": "4/0AX4XfWhf3b9aPXk", "cvv": "123"}
            plain = {
                "code": 404,
                "state": "open",
                "ticket": "SHOP-17",
                "pins": 5,
                "passes": "two",
                "mfa": None,
            }
            raise ValueError(len(held), len(plain))

        _, variables = self.headers_of(sent(crash))
        assert set(variables["held"].values()) == {FILTERED}
        assert variables["plain"] == {
            "code": "404",
            "state": "'open'",
            "ticket": "'SHOP-17'",
            "pins": "5",
            "passes": "'two'",
            "mfa": "None",
        }

    def test_password_in_a_url_in_any_text(self, sent):
        captured = sent(
            lambda _: logging.getLogger("shop").error("at db://scott:tiger@db/x, git@h, u://git@h")
        )
        assert captured.errors[0]["logentry"]["message"] == f"at db://{FILTERED}@db/x, git@h, u://git@h"


class TestAccessLogs:
    LINE = '203.0.113.77 - alice [22/Nov/2026:10:15:30 +0100] "GET /shop?token=abc&page=3 HTTP/1.1" 200 5'
    CLEAN = (
        f"{FILTERED} - {FILTERED} [22/Nov/2026:10:15:30 +0100] "
        f'"GET /shop?token={FILTERED}&page=3 HTTP/1.1" 200 5'
    )

    @pytest.mark.skipif(not HAS_LOGS, reason="this sentry-sdk has no log items")
    def test_line_outside_of_requests(self, ini, captured):
        ini(apps.by_path, "enable_logs = true")
        logger = logging.getLogger("gunicorn.access")
        logger.setLevel(logging.INFO)
        atoms = {"h": "203.0.113.77", "u": USER, "r": "GET /shop?token=abc HTTP/1.1", "{x-session}i": SECRET}
        logger.info('%(h)s %(u)s "%(r)s" %({x-session}i)s', atoms)
        logger.info(self.LINE)
        for client in registry.clients():
            client.flush()
        items = [item for payload in captured.payloads("log") for item in payload["items"]]
        assert [item["body"] for item in items] == [
            f'{FILTERED} {FILTERED} "GET /shop?token={FILTERED} HTTP/1.1" {FILTERED}',
            self.CLEAN,
        ]
        text = text_of(captured)
        for secret in ("203.0.113.77", USER, SECRET, "token=abc"):
            assert secret not in text

    @pytest.mark.skipif(not HAS_LOGS, reason="this sentry-sdk has no log items")
    def test_line_that_is_json_already(self, ini, captured):
        ini(apps.by_path, "enable_logs = true")
        logger = logging.getLogger("gunicorn.access")
        logger.setLevel(logging.INFO)
        logger.info('{"client": "203.0.113.77", "user": "%s", "status": 200}' % USER)  # noqa: UP031
        for client in registry.clients():
            client.flush()
        (item,) = (item for payload in captured.payloads("log") for item in payload["items"])
        assert item["body"] == f'{{"client": "{FILTERED}", "user": "{FILTERED}", "status": 200}}'
        assert USER not in text_of(captured)

    def test_breadcrumb_of_a_server_s_own_error(self, ini, captured):
        ini(apps.by_path)
        logging.getLogger("wsgi").warning(self.LINE)
        logging.getLogger("server").error("worker is lost")
        messages = [crumb["message"] for crumb in captured.errors[0]["breadcrumbs"]["values"]]
        assert messages == [self.CLEAN]


@pytest.mark.skipif(not HAS_LOGS, reason="this sentry-sdk has no log items")
class TestNameOfTheServer:
    """A client that sends it as a cookie hides it from texts, and not from where it is the server's."""

    def line_of(self, ini, captured, extra):
        def app(environ, start_response):
            logging.getLogger("app").warning("a line of web-01.prod7", extra=extra)
            start_response("200 OK", [])
            return [b""]

        filtered = ini(app, "enable_logs = true", "server_name = web-01.prod7")
        TestApp(filtered).get("/", headers={"Cookie": "x=web-01.prod7; y=db-07.stage3"})
        for client in registry.clients():
            client.flush()
        (item,) = (item for payload in captured.payloads("log") for item in payload["items"])
        return item

    def test_it_stays(self, ini, captured):
        item = self.line_of(ini, captured, {})
        assert item["attributes"]["server.address"]["value"] == "web-01.prod7"
        assert item["body"] == f"a line of {FILTERED}"

    def test_that_of_another_server_does_not(self, ini, captured):
        item = self.line_of(ini, captured, {"server.address": "db-07.stage3"})
        assert item["attributes"]["server.address"]["value"] == FILTERED


class TestThreadsThatWereThereBefore:
    """Threads that get their work through a queue have no scopes of the request."""

    def reported(self, ini, captured, run, lifecycle):
        class Request:
            def __init__(self, environ):
                self.environ = environ

        def work(request):
            token = request.environ["HTTP_X_API_KEY"]
            logging.getLogger("shop").error("no such thing: %s", token)
            try:
                raise ValueError(f"no such thing: {token}")
            except ValueError as error:
                sentry_sdk.capture_exception(error)

        def app(environ, start_response):
            run(work, Request(environ))
            start_response("200 OK", [])
            return []

        stream = ["trace_lifecycle = stream"] if lifecycle == "stream" else []
        logs = ["enable_logs = true"] if HAS_LOGS else []
        TestApp(ini(app, *stream, *logs)).get("/", extra_environ={"HTTP_X_API_KEY": SECRET})
        for client in registry.clients():
            client.flush()
        assert captured.errors
        return text_of(captured)

    def test_queue(self, ini, captured, lifecycle):
        jobs = queue.Queue()

        def serve():
            while True:
                job = jobs.get()
                if job is None:
                    return
                function, argument = job
                function(argument)
                jobs.task_done()

        thread = threading.Thread(target=serve)
        thread.start()

        def run(function, argument):
            jobs.put((function, argument))
            jobs.join()

        try:
            assert SECRET not in self.reported(ini, captured, run, lifecycle)
        finally:
            jobs.put(None)
            thread.join()

    def test_pool_of_multiprocessing(self, ini, captured, lifecycle):
        with multiprocessing.pool.ThreadPool(1) as pool:
            assert SECRET not in self.reported(
                ini, captured, lambda function, argument: pool.apply(function, (argument,)), lifecycle
            )

    def test_pool_of_futures(self, ini, captured, lifecycle):
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            pool.submit(int).result()
            assert SECRET not in self.reported(
                ini, captured, lambda function, argument: pool.submit(function, argument).result(), lifecycle
            )


class TestNamedValues:
    """Data marked as a password by a name: a field of a form, a header, in a list of mappings."""

    @pytest.mark.parametrize(
        "fields",
        [
            [{"name": "password", "value": SECRET}, {"name": "page", "value": "3"}],
            [{"key": "Authorization", "value": f"Bearer {SECRET}"}],
            {"field": "api_key", "value": SECRET},
        ],
    )
    def test_as_a_variable(self, sent, fields):
        def crash(_environ):
            held = fields
            raise ValueError(len(held))

        captured = sent(crash)
        assert captured.errors
        assert SECRET not in text_of(captured)

    def test_as_an_extra(self, sent):
        def report(_environ):
            sentry_sdk.get_isolation_scope().set_extra("form", [{"name": "password", "value": SECRET}])
            logging.getLogger("shop").error("no such form")

        captured = sent(report)
        assert captured.errors
        assert SECRET not in text_of(captured)


@pytest.mark.parametrize("url", ["https://h/a#access_token=swordfish", "/a#x=1&token=swordfish"])
def test_token_in_the_fragment_of_a_header(sent, url):
    def crash(environ):
        raise ValueError(len(environ))

    captured = sent(crash, HTTP_HX_CURRENT_URL=url)
    assert captured.errors
    assert "swordfish" not in text_of(captured)
