"""One trace from a browser's headers through two services, each under pserve, to their spools."""

import json
from contextlib import ExitStack
from dataclasses import dataclass

import pytest
from sentry_sdk.envelope import Envelope

from sentry_paste.spool import Spool
from sentry_paste.testing import CapturedEnvelopes

import servers
from traced_apps import LIFECYCLES

pytestmark = pytest.mark.slow

SERVICE = """
[app:service]
paste.app_factory = chained_apps:make_service
name = {name}
to = {to}
relay = {relay}

[filter:sentry]
use = egg:sentry_paste
spool_dir = {spool}
release = {name}@1
environment = testing
propagate_traceparent = true
{lifecycle}
traces_sample_rates =
    /sampled*         {first}
    /unsampled*       {second}
    /relayed/baggage  {first}
    /relayed*         1

[pipeline:main]
pipeline = sentry service
"""
RELAY = """
[app:main]
paste.app_factory = chained_apps:make_relay
to = {to}
"""

SPAN, STATE = "b7ad6b7169203331", "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"
BAGGAGE = (
    "other=1,sentry-trace_id={trace},sentry-public_key=abc,sentry-release=page@7,sentry-environment=testing,"
    "sentry-transaction=%2Fshop,sentry-sample_rand=0.5"
)


@dataclass
class Heard:
    """What came of one request.

    Attributes:
        headers: that each service was called with, the first service first.
        transactions: of each service, by its name.
        errors: of each service, by its name.
        frozen: the header ``trace`` of the envelopes with these, by the name of the service.
    """

    headers: list
    transactions: dict
    errors: dict
    frozen: dict

    def chain(self):
        """Return the trace, the span and its parent of each transaction, and of the call in the first."""
        first, last = (found[0] for found in (self.transactions["first"], self.transactions["last"]))
        (call,) = [span for span in first.spans if span.op == "http.client"]
        trace_of = [found["contexts"]["trace"] for found in (first, last)]
        return trace_of[0], call.payload, trace_of[1]


class Services:
    """Two services that run, and one in between that knows only the W3C's headers.

    Args:
        spools: the directory of each service's spool, by its name.
        running: the servers, the first one first.
    """

    def __init__(self, spools, running):
        self._spools = spools
        self._running = running
        self._wanted = []
        self._answers = {}

    def ask(self, path, **headers):
        lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        head = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{lines}\r\n"
        answer = self._running[0].ask(head.encode())
        assert answer.startswith(b"HTTP/1.1 200"), answer
        self._answers[path] = json.loads(answer.partition(b"\r\n\r\n")[2])

    def end(self):
        """End all of them, which sends what they hold."""
        for server in self._running:
            assert server.end(servers.SERVERS["waitress"].end) == 0, server.output()

    def heard(self, path):
        """Return what came of a request, once the services have ended."""
        found = Heard(self._answers[path], {}, {}, {})
        for name, directory in self._spools.items():
            envelopes = CapturedEnvelopes(
                Envelope.deserialize(file.path.read_bytes()) for file in Spool(directory).files()
            )
            found.transactions[name] = [each for each in envelopes.transactions if each.name == f"GET {path}"]
            found.errors[name] = [each for each in envelopes.errors if each["transaction"] == f"GET {path}"]
            traces = {each["contexts"]["trace"]["trace_id"] for each in found.errors[name]}
            found.frozen[name] = [
                trace
                for trace in (envelope.headers.get("trace") for envelope in envelopes)
                if trace and trace["trace_id"] in traces
            ]
        return found


def sentry(trace, decision="", **more):
    return {"sentry_trace": f"{trace}-{SPAN}{decision}", "baggage": BAGGAGE.format(trace=trace), **more}


def w3c(trace, flags="00"):
    return {"traceparent": f"00-{trace}-{SPAN}-{flags}", "tracestate": STATE}


# The headers that each path is asked for with. The trace ids differ, so that nothing is found elsewhere.
REQUESTS = {
    "/unsampled/browser": sentry(f"{1:032x}", "-1"),
    "/sampled/browser": sentry(f"{2:032x}", "-0"),
    "/sampled/deferred": sentry(f"{3:032x}"),
    "/unsampled/deferred": sentry(f"{4:032x}"),
    "/sampled/w3c": w3c(f"{5:032x}"),
    "/unsampled/w3c": w3c(f"{6:032x}", "01"),
    "/sampled/both": sentry(f"{7:032x}", "-1", **w3c("ab" * 16)),
}
# These go through a service in between.
RELAYED = {
    "/relayed/browser": sentry(f"{8:032x}", "-1"),
    "/relayed/w3c": w3c(f"{9:032x}", "01"),
    "/relayed/baggage": {},
}
TRACES = {path: f"{number:032x}" for number, path in enumerate(REQUESTS, 1)}
RELAYED_TRACES = {"/relayed/browser": f"{8:032x}", "/relayed/w3c": f"{9:032x}"}
SAMPLED = ("/unsampled/browser", "/sampled/deferred", "/sampled/w3c", "/sampled/both")


@pytest.fixture(scope="module", params=LIFECYCLES)
def services(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    waitress = servers.SERVERS["waitress"]
    # An SDK that has no streamed spans has no such option.
    lifecycle = f"trace_lifecycle = {request.param}" if len(LIFECYCLES) > 1 else ""
    spools = {name: folder / name for name in ("first", "last")}

    def serve(name, ini=SERVICE, to="", relay="", rates=(0, 0)):
        text = ini.format(
            name=name,
            to=to,
            relay=relay,
            spool=spools.get(name),
            lifecycle=lifecycle,
            first=rates[0],
            second=rates[1],
        )
        server = stack.enter_context(servers.serving(waitress, text, folder, f"{name}-service"))
        return server, f"http://127.0.0.1:{server.port}"

    with ExitStack() as stack:
        # Were it asked, the last service would decide otherwise.
        last, address = serve("last", rates=(0, 1))
        relay, relayed = serve("relay", RELAY, address)
        first, _ = serve("first", to=address, relay=relayed, rates=(1, 0))
        found = Services(spools, [first, relay, last])
        for path, headers in {**REQUESTS, **RELAYED}.items():
            found.ask(path, **headers)
        found.end()
        for server in (first, relay, last):
            print(server.output())
        yield found


@pytest.mark.parametrize("path", REQUESTS)
def test_errors_of_both_services_have_the_trace(services, path):
    heard = services.heard(path)
    for name in ("first", "last"):
        (error,) = heard.errors[name]
        assert error["contexts"]["trace"]["trace_id"] == TRACES[path]


@pytest.mark.parametrize("path", SAMPLED)
def test_each_span_is_the_parent_of_the_next(services, path):
    first, call, last = services.heard(path).chain()
    assert {first["trace_id"], last["trace_id"]} == {TRACES[path]}
    assert first["parent_span_id"] == SPAN
    assert call["parent_span_id"] == first["span_id"]
    assert last["parent_span_id"] == call["span_id"]


@pytest.mark.parametrize("path", sorted(REQUESTS.keys() - set(SAMPLED)))
def test_what_is_not_sampled_is_sent_by_neither(services, path):
    heard = services.heard(path)
    assert heard.transactions == {"first": [], "last": []}
    assert heard.headers[1]["HTTP_SENTRY_TRACE"].endswith("-0")


@pytest.mark.parametrize("path", REQUESTS)
def test_sentry_counts_both_by_the_first_ones_facts(services, path):
    """By the sampling rate, the release and so on of where the trace began."""
    frozen = [trace for found in services.heard(path).frozen.values() for trace in found]
    assert len(frozen) == (4 if path in SAMPLED else 2)
    begun_here = path.endswith("/w3c")
    assert {trace["release"] for trace in frozen} == {"first@1" if begun_here else "page@7"}
    assert len({trace["sample_rand"] for trace in frozen if "sample_rand" in trace}) <= 1


@pytest.mark.parametrize("path", RELAYED)
def test_trace_goes_on_behind_a_service_that_knows_the_w3cs_headers_alone(services, path):
    heard = services.heard(path)
    first, call, last = heard.chain()
    _, relay, at_last = heard.headers
    assert "HTTP_SENTRY_TRACE" not in at_last
    assert relay["HTTP_TRACEPARENT"] == f"00-{first['trace_id']}-{call['span_id']}-01"
    assert first["trace_id"] == last["trace_id"] == RELAYED_TRACES.get(path, first["trace_id"])
    assert at_last["HTTP_TRACEPARENT"] == f"00-{first['trace_id']}-{last['parent_span_id']}-01"
    assert relay.get("HTTP_TRACESTATE") == (STATE if path == "/relayed/w3c" else None)


@pytest.mark.parametrize(("path", "first"), [("/relayed/w3c", "last@1"), ("/relayed/baggage", "first@1")])
def test_service_that_gets_no_baggage_is_the_first_to_decide(services, path, first):
    (frozen, *_) = services.heard(path).frozen["last"]
    assert frozen["release"] == first
