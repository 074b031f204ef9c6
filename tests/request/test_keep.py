"""Requests whose traces are sent though sampling has not chosen them, decided when they end."""

import time

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.client.registry import registry
from sentry_paste.config.keep_rules import parse
from sentry_paste.request.keep import KeepRules
from sentry_paste.spool import fields

from traced_apps import LIFECYCLES, SPAN_ID, TRACE_ID, only_transactions
from wsgi_calls import call, environ_of

NOT_SAMPLED = {"HTTP_SENTRY_TRACE": f"{TRACE_ID}-{SPAN_ID}-0"}
SAMPLED = {"HTTP_SENTRY_TRACE": f"{TRACE_ID}-{SPAN_ID}-1"}


def app(environ, start_response):
    """Answer with the status in the query; the path says what happens meanwhile."""
    path = environ["PATH_INFO"]
    if "slow" in path:
        time.sleep(0.02)
    if "tagged" in path:
        sentry_sdk.set_tag("seen", "yes")
    if "query" in path:
        with sdk.start_child_span("db", "SELECT 1"):
            pass
    if "logged" in path:
        sentry_sdk.capture_message("it broke", level="error")
    if "crash" in path:
        raise ValueError("crash")
    start_response(f"{environ['QUERY_STRING'] or 200} Whatever", [("Content-Type", "text/plain")])
    return [b"hello"]


@pytest.fixture(params=LIFECYCLES)
def keeping(request, captured):
    """Return a function that makes the middleware with some rules; no request is sampled otherwise."""

    def make(rules, rate=0.0, **options):
        return SentryMiddleware(
            app,
            **{
                "traces_keep": rules,
                "traces_sample_rate": rate,
                "trace_lifecycle": request.param,
                "release": "1",
                **options,
            },
        )

    if request.param == "static" and not hasattr(sentry_sdk, "traces"):
        return lambda rules, rate=0.0, **options: SentryMiddleware(
            app, traces_keep=rules, traces_sample_rate=rate, release="1", **options
        )
    return make


def sent(captured):
    for client in registry.clients():
        client.flush()
    return captured.transactions


def kept(transaction):
    return transaction["contexts"]["trace"]["data"].get("sentry_paste.kept")


def rates(captured):
    for client in registry.clients():
        client.flush()
    return [
        float(envelope.headers["trace"]["sample_rate"])
        for envelope in captured
        if envelope.items[0].type in ("transaction", "span")
    ]


@pytest.mark.parametrize(
    ("rule", "path", "query", "label"),
    [
        ("slower than 10 ms", "/slow", "", "slow"),
        ("status 500-599", "/", "503", "status"),
        ("status 404 410", "/", "404", "status"),
        ("errors", "/logged", "", "error"),
        ("errors", "/crash", "", "error"),
        ("/slow/* slower than 10 ms", "/slow/a", "", "slow"),
        ("* status 404", "/a/b", "404", "status"),
    ],
)
@pytest.mark.parametrize("used", ["", "/tagged"])
def test_request_is_kept_by_what_it_turned_out_to_be(keeping, captured, rule, path, query, label, used):
    path = path.rstrip("/") + used or "/"
    call(keeping(rule), environ_of(path, QUERY_STRING=query))
    (transaction,) = sent(captured)
    assert kept(transaction) == label
    assert transaction["transaction"] == f"GET {path}"
    assert rates(captured) == [1.0]
    if query:
        assert transaction["contexts"]["trace"]["data"]["http.response.status_code"] == int(query)


@pytest.mark.parametrize(
    ("rule", "path", "query"),
    [
        ("slower than 10 s", "/slow", ""),
        ("status 500-599", "/", "404"),
        ("errors", "/", "500"),
        ("/other/* slower than 10 ms", "/slow", ""),
        ("/a* errors\n/logged status 500", "/logged", ""),
    ],
)
@pytest.mark.parametrize("used", ["", "/tagged"])
def test_request_that_no_rule_is_about_is_not_kept(keeping, captured, rule, path, query, used):
    call(keeping(rule), environ_of(path + used, QUERY_STRING=query))
    assert sent(captured) == []


def test_kept_request_began_when_it_began(keeping, captured):
    call(keeping("slower than 10 ms"), environ_of("/slow"))
    call(keeping("slower than 10 ms"), environ_of("/slow/tagged"))
    for transaction in sent(captured):
        began, ended = (fields.time(transaction[key]) for key in ("start_timestamp", "timestamp"))
        assert (ended - began).total_seconds() >= 0.02


def test_kept_request_is_not_counted_as_lost(keeping, captured):
    middleware, lost = keeping("status 500-599"), []
    middleware.client.transport.record_lost_event = lambda *args, **kwargs: lost.append((args, kwargs))
    call(middleware, environ_of("/", QUERY_STRING="500"))
    call(middleware, environ_of("/tagged", QUERY_STRING="500"))
    assert len(sent(captured)) == 2
    assert lost == []


def test_request_that_is_not_kept_counts_as_lost_with_rules_or_without(keeping, captured):
    counts = []
    for rules in ("", "status 500-599"):
        middleware, lost = keeping(rules), []
        middleware.client.transport.record_lost_event = lambda reason, **more: lost.append(reason)  # noqa: B023
        call(middleware, environ_of("/"))
        call(middleware, environ_of("/tagged/query"))
        counts.append(sorted(lost))
    assert counts[0] == counts[1] != []


def test_caller_decides_first(keeping, captured):
    middleware = keeping("errors\nstatus 200")
    call(middleware, environ_of("/crash", **NOT_SAMPLED))
    assert sent(captured) == []
    call(middleware, environ_of("/", **SAMPLED))
    (transaction,) = sent(captured)
    assert transaction["contexts"]["trace"]["trace_id"] == TRACE_ID
    assert kept(transaction) is None


@pytest.mark.parametrize("path", ["/", "/crash", "/tagged"])
def test_rules_can_take_precedence_over_the_caller(keeping, captured, path):
    middleware = keeping("errors\nstatus 200", traces_keep_over_caller=True)
    call(middleware, environ_of(path, **NOT_SAMPLED))
    (transaction,) = sent(captured)
    assert transaction["contexts"]["trace"]["trace_id"] == TRACE_ID
    assert kept(transaction) == ("error" if path == "/crash" else "status")


def test_sampled_request_that_a_rule_is_about_has_the_rules_rate(keeping, captured, monkeypatch):
    monkeypatch.setattr(sdk, "new_sample_rand", lambda: 0.0)
    middleware = keeping("status 500-599", rate=0.25)
    if not sdk.can_begin_late(middleware.client.options):
        pytest.skip("the SDK chooses the random number")
    call(middleware, environ_of("/", QUERY_STRING="500"))
    call(middleware, environ_of("/", QUERY_STRING="200"))
    assert [kept(found) for found in sent(captured)] == [None, None]
    assert rates(captured) == [1.0, 0.25]


@pytest.mark.parametrize("path", ["/", "/tagged"])
def test_rate_of_a_rule_is_the_sample_rate(keeping, captured, path):
    middleware = keeping("status 500 at 0.5")
    for _ in range(400):
        call(middleware, environ_of(path, QUERY_STRING="500"))
    assert 130 < len(sent(captured)) < 270
    assert set(rates(captured)) == {0.5}


@pytest.mark.parametrize("path", ["/", "/tagged"])
def test_rates_are_lower_while_the_sdk_has_too_much_to_send(keeping, captured, path):
    middleware = keeping("status 500")
    middleware.client.monitor._downsample_factor = 16  # one in 65,536
    call(middleware, environ_of(path, QUERY_STRING="500"))
    assert sent(captured) == []


def test_kept_trace_says_that_it_is_sampled(keeping, captured):
    """Also if the caller's baggage says otherwise, with the caller's rate."""
    baggage = f"sentry-trace_id={TRACE_ID},sentry-sampled=false,sentry-sample_rate=0.1,sentry-sample_rand=0.5"
    middleware = keeping("status 200", traces_keep_over_caller=True)
    call(middleware, environ_of("/", HTTP_BAGGAGE=baggage, **NOT_SAMPLED))
    assert rates(captured) == [1.0]
    headers = [envelope.headers["trace"] for envelope in captured if "trace" in envelope.headers]
    assert [header["sampled"] for header in headers] == ["true"]


def test_rules_alone_turn_tracing_on(captured):
    middleware = SentryMiddleware(app, traces_keep="errors")
    call(middleware, environ_of("/"))
    assert sent(captured) == []
    call(middleware, environ_of("/crash"))
    assert len(sent(captured)) == 1


def test_ignored_paths_and_methods_stay_ignored(keeping, captured):
    middleware = keeping("status 500", ignore_paths="/health", http_methods_to_capture="GET")
    call(middleware, environ_of("/health", QUERY_STRING="500"))
    call(middleware, environ_of("/", method="POST", QUERY_STRING="500"))
    assert sent(captured) == []


def test_rates_by_path_go_on(keeping, captured):
    middleware = keeping("status 500", traces_sample_rates="/all/* 1\n* 0")
    for path in ("/all/a", "/b"):
        for status in ("200", "500"):
            call(middleware, environ_of(path, QUERY_STRING=status))
    assert [kept(found) for found in sent(captured)] == [None, None, "status"]


@only_transactions
@pytest.mark.parametrize("keeps", [True, False])
def test_spans_are_kept_if_they_are_recorded_for_all(captured, keeps):
    middleware = SentryMiddleware(
        app, traces_keep="status 500", traces_keep_spans=keeps, traces_sample_rate=0.0, release="1"
    )
    lost = []
    middleware.client.transport.record_lost_event = lambda reason, **more: lost.append(reason)
    call(middleware, environ_of("/query", QUERY_STRING="500"))
    (transaction,) = sent(captured)
    assert [span["description"] for span in transaction["spans"]] == (["SELECT 1"] if keeps else [])
    assert lost == []
    call(middleware, environ_of("/query"))
    assert len(sent(captured)) == 1
    assert lost == ["sample_rate", "sample_rate"]


@pytest.mark.parametrize("sampler", [lambda _: 0.0, lambda _: False, lambda _: 1 / 0])
def test_rule_applies_where_a_sampler_has_not_chosen(captured, keeping, sampler):
    call(keeping("errors", traces_sampler=sampler), environ_of("/crash"))
    (trace,) = sent(captured)
    assert kept(trace) == "error"
    assert rates(captured) == [1.0]


def test_stream_that_is_cut_is_kept_by_its_duration(captured):
    def slow(environ, start_response):
        start_response("200 OK", [])
        for _ in range(3):
            time.sleep(0.02)
            yield b"x"

    middleware = SentryMiddleware(
        slow, traces_keep="slower than 10 ms", max_transaction_duration=0.03, traces_sample_rate=0.0
    )
    call(middleware, environ_of("/"))
    (transaction,) = sent(captured)
    assert kept(transaction) == "slow"


class TestRules:
    def find(self, rules, path="/", seconds=0.1, status=200, has_error=False):
        found = KeepRules(parse(rules))
        rule = found.find(path, seconds, status, has_error)
        # The quick check must never rule out what a rule is about.
        assert rule is None or found.may_apply(seconds, status, has_error)
        return None if rule is None else rule.text

    def test_highest_rate_applies(self):
        rules = "status 500 at 0.1\nerrors at 0.5\nslower than 50 ms at 0.2"
        assert self.find(rules, status=500, has_error=True) == "errors at 0.5"
        assert self.find(rules, status=500) == "slower than 50 ms at 0.2"

    def test_first_of_several_with_the_same_rate_applies(self):
        assert self.find("status 500\nerrors", status=500, has_error=True) == "status 500"
        assert self.find("errors\nstatus 500", status=500, has_error=True) == "errors"

    def test_first_path_that_matches_applies_with_all_its_rules(self):
        rules = "/api/a* status 500\n/api/* status 404\n/api/a* errors\nstatus 200 at 0.5"
        assert self.find(rules, "/api/abc", status=500) == "/api/a* status 500"
        assert self.find(rules, "/api/abc", status=404) is None
        assert self.find(rules, "/api/abc", status=404, has_error=True) == "/api/a* errors"
        assert self.find(rules, "/api/b", status=404) == "/api/* status 404"
        assert self.find(rules, "/api/abc", status=200) == "status 200 at 0.5"

    def test_request_without_a_response_has_no_status(self):
        assert self.find("status 100-599", status=None) is None

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("faster than 2 s", "expected a rule on each line: slower than TIME, "),
            ("slower than often", "expected a time such as 500 ms or 2 s, not 'often'"),
            ("status fine", "expected HTTP status codes such as 404 or 500-599, not 'fine'"),
            ("status 599-500", "expected HTTP status codes"),
            ("errors at 2", "expected a rate above 0, up to 1, not '2'"),
            ("errors at 0", "expected a rate above 0, up to 1, not '0'"),
            ("api/* errors", "expected a glob for a path, beginning with / or *, not 'api/*'"),
            ("errors\n\nslower", "not 'slower'"),
            ("errors at", "expected a rule"),
        ],
    )
    def test_mistake_names_the_line_and_what_was_expected(self, text, reason):
        with pytest.raises(ValueError) as caught:
            parse(text)
        assert reason in str(caught.value)

    def test_rules_are_read_as_they_are_meant(self):
        rules = parse("Slower than 1 min at 0.5\n/a/b  status 404, 500-502 \n* ERRORS at 1")
        assert [rule[1:] for rule in rules] == [
            (None, 60.0, None, False, 0.5),
            ("/a/b", None, frozenset({404, 500, 501, 502}), False, 1.0),
            ("*", None, None, True, 1.0),
        ]
