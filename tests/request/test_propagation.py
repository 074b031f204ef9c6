"""Calls that an app makes have the trace in the W3C's headers too, if the ini asks for it."""

import copy
import http.client
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import sentry_sdk
import webtest
from chained_apps import CLIENTS, make_caller
from sentry_sdk.integrations.stdlib import StdlibIntegration
from sentry_sdk.scope import Scope
from sentry_sdk.utils import Dsn

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.testing import MemoryTransport

from traced_apps import LIFECYCLES, SPAN_ID, TRACE_ID

INI = """
    [filter:sentry]
    use = egg:sentry_paste
    release = 1
    propagate_traceparent = {asked}
    {options}
    [pipeline:main]
    pipeline = sentry caller
    [app:caller]
    paste.app_factory = chained_apps:make_caller
"""
SENTRY = {"sentry-trace": f"{TRACE_ID}-{SPAN_ID}-1"}
W3C = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-01", "tracestate": "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"}


class Callee:
    """A service that records with which headers it was called."""

    def __init__(self):
        heard = self.heard = []

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                heard.append(self.headers)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *args):
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()

    def last(self, name):
        """Return the values of a header of the last call."""
        return self.heard[-1].get_all(name) or []

    def last_trace(self):
        """Return trace, span and decision of Sentry's header, and of the W3C's."""
        ((sentry,), (w3c,)) = self.last("sentry-trace"), self.last("traceparent")
        version, trace, span, flags = w3c.split("-")
        assert version == "00"
        return sentry.split("-"), [trace, span, flags]


@pytest.fixture(scope="module")
def callee():
    found = Callee()
    yield found
    found.close()


@pytest.fixture(params=LIFECYCLES)
def loaded(request, load, captured):
    """Return a function that loads an app with some options, which calls another service."""

    def loaded(asked="true", traces_sample_rate="1.0", **options):
        if traces_sample_rate is not None:
            options["traces_sample_rate"] = traces_sample_rate
        if hasattr(sentry_sdk, "traces"):
            options["trace_lifecycle"] = request.param
        lines = [f"{name} = {value}" for name, value in options.items()]
        return webtest.TestApp(load(INI.format(asked=asked, options="\n    ".join(lines))))

    return loaded


@pytest.fixture
def ask(loaded, callee):
    """Return a function that makes a request, and returns the service that is called then."""

    def ask(incoming=(), client="urllib", headers=(), **options):
        environ = {"test.client": client, "test.address": callee.address, "test.headers": dict(headers)}
        loaded(**options).get("/", headers=dict(incoming), extra_environ=environ)
        return callee

    return ask


@pytest.fixture
def inside(loaded):
    """Return a function that calls another one within a request, and returns what that returns."""

    def inside(function, **options):
        found = []
        environ = {"test.do": lambda: found.append(function())}
        loaded(**options).get("/", extra_environ=environ)
        return found[0]

    return inside


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("rate", "sampled"), [("1.0", "1"), ("0.0", "0")])
def test_call_has_the_same_span_and_decision_in_both_headers(ask, client, rate, sampled):
    sentry, w3c = ask(client=client, traces_sample_rate=rate).last_trace()
    assert sentry[:2] == w3c[:2]
    assert (sentry[2], w3c[2]) == (sampled, f"0{sampled}")


def test_span_of_the_call_is_the_callees_parent(ask, captured):
    _, (trace, span, _) = ask(SENTRY).last_trace()
    sentry_sdk.get_client().flush()
    (transaction,) = captured.transactions
    assert transaction["contexts"]["trace"]["trace_id"] == trace == TRACE_ID
    assert span in {each.payload["span_id"] for each in transaction.spans}


def test_nothing_is_added_unless_the_ini_asks(ask):
    callee = ask(W3C, asked="false")
    assert callee.last("sentry-trace")
    assert callee.last("traceparent") == callee.last("tracestate") == []


def test_calls_to_other_targets_have_none(ask):
    callee = ask(W3C, trace_propagation_targets="^https://api\\.example/")
    assert callee.last("sentry-trace") == callee.last("traceparent") == callee.last("tracestate") == []


def test_callers_tracestate_is_passed_on_with_its_trace(ask):
    callee = ask(W3C)
    _, (trace, span, _) = callee.last_trace()
    assert trace == TRACE_ID
    assert span != SPAN_ID
    assert callee.last("tracestate") == [W3C["tracestate"]]


def test_callers_tracestate_does_not_go_with_another_trace(ask):
    callee = ask({**W3C, "sentry-trace": f"{'a' * 32}-{SPAN_ID}-1"})
    assert callee.last_trace()[1][0] == "a" * 32
    assert callee.last("tracestate") == []
    assert ask(W3C, trace_continuation="none").last("tracestate") == []


@pytest.mark.parametrize("flags", ["00", "01"])
def test_callers_flag_is_passed_on_where_nobody_decides(ask, flags):
    headers = {"traceparent": f"00-{TRACE_ID}-{SPAN_ID}-{flags}"}
    sentry, (trace, _, passed_on) = ask(headers, traces_sample_rate=None).last_trace()
    assert len(sentry) == 2
    assert (trace, passed_on) == (TRACE_ID, flags)


@pytest.mark.skipif(
    "strict_trace_continuation" not in {name for name, _, _ in sdk.client_options()},
    reason="this sentry-sdk continues any trace",
)
def test_trace_of_a_stranger_does_not_go_on(ask, monkeypatch):
    ours = property(lambda self: Dsn("https://abc@o7.ingest.example.invalid/1"))
    monkeypatch.setattr(sentry_sdk.Client, "parsed_dsn", ours)
    callee = ask(W3C, strict_trace_continuation="true")
    sentry, w3c = callee.last_trace()
    assert sentry[0] == w3c[0] != TRACE_ID
    assert callee.last("tracestate") == []
    assert ask(W3C).last_trace()[1][0] == TRACE_ID


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("name", ["traceparent", "Traceparent"])
def test_header_of_the_apps_own_is_the_only_one(ask, client, name):
    callee = ask(W3C, client, {name: "00-own"})
    assert callee.last("traceparent") == ["00-own"]
    assert callee.last("tracestate") == []
    assert len(callee.last("sentry-trace")) == 1


def test_connection_that_is_used_again_has_the_headers_of_each_call(inside, callee):
    def call():
        connection = http.client.HTTPConnection(callee.address[len("http://") : -1])
        for headers in ({}, {"traceparent": "00-own"}, {}):
            connection.request("GET", "/", headers=headers)
            connection.getresponse().read()
        connection.close()

    inside(call)
    first, own, last = (headers.get_all("traceparent") for headers in callee.heard[-3:])
    assert own == ["00-own"]
    assert len(first) == len(last) == 1
    assert first != last


def test_thread_that_a_request_has_started_has_them_too(inside):
    def headers():
        return dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers())

    def in_thread():
        with ThreadPoolExecutor(1) as pool:
            return headers(), pool.submit(headers).result()

    in_request, found = inside(in_thread)
    assert found["traceparent"][:35] == in_request["traceparent"][:35]


def test_several_clients_add_them_once(ask):
    for rate in ("1.0", "0.0"):
        assert len(ask(traces_sample_rate=rate).last("traceparent")) == 1
    patched = Scope.iter_trace_propagation_headers
    sdk.propagation._patch.cache_clear()
    sdk.propagation._patch()
    assert Scope.iter_trace_propagation_headers is patched


def test_client_of_the_app_adds_them_in_requests_alone(captured_unchecked, callee):
    sentry_sdk.init(
        "https://abc@sentry.example.invalid/1",
        integrations=[StdlibIntegration()],
        default_integrations=False,
        auto_enabling_integrations=False,
        traces_sample_rate=1.0,
        transport=MemoryTransport(captured_unchecked),
    )
    app = webtest.TestApp(SentryMiddleware(make_caller({}), propagate_traceparent=True))
    app.get("/", extra_environ={"test.client": "urllib", "test.address": callee.address, "test.headers": {}})
    assert len(callee.last("traceparent")) == 1
    with sdk.start_child_span("test", "test"):
        CLIENTS["urllib"](callee.address, {})
    assert callee.last("traceparent") == []


def test_tags_of_a_page_have_sentrys_headers_alone(inside):
    tags = inside(lambda: sentry_sdk.get_current_scope().trace_propagation_meta())
    assert "sentry-trace" in tags
    assert "traceparent" not in tags


def test_calls_are_made_if_the_headers_cannot(inside, monkeypatch):
    def headers():
        monkeypatch.setattr(sentry_sdk.get_client(), "_sentry_paste_headers", lambda *_: 1 / 0)
        return dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers())

    assert inside(headers).keys() == {"sentry-trace", "baggage"}


def test_headers_are_plain_text_in_another_process(inside):
    """A queue of tasks pickles them, for workers that may lack this package."""
    headers = inside(lambda: dict(sentry_sdk.get_current_scope().iter_trace_propagation_headers()))
    for copied in (pickle.loads(pickle.dumps(headers)), copy.deepcopy(headers)):
        assert copied == headers
        assert type(copied["traceparent"]) is str


def test_option_of_a_newer_sdk_is_used_instead(inside, monkeypatch):
    found = [*sdk.client_options(), ("propagate_traceparent", "bool", False)]
    monkeypatch.setattr(sdk.propagation, "client_options", lambda: found)
    client = inside(sentry_sdk.get_client)
    assert client.options["propagate_traceparent"] is True
    assert not hasattr(client, "_sentry_paste_headers")
