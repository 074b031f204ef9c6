"""Findings of a tenth review: cookies that a response has set before, metrics of old SDKs, keys of tags."""

import html
import json
import sys

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.client.registry import registry
from sentry_paste.redaction import values
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import Names

from traced_apps import needs_streamed_spans
from wsgi_calls import call, environ_of

SECRET = "q8fh23fh28hf2k"
DSN = "http://key@127.0.0.1:9/1"
COOKIE = [("Set-Cookie", f"sid={SECRET}; Path=/")]


def run(captured, app, **options):
    """Answer a request; return all that was sent, as text."""
    call(SentryMiddleware(app, dsn=DSN, release="1", **options), environ_of(HTTP_COOKIE="lang=en"))
    for client in registry.clients():
        client.flush()
    return "\n".join(envelope.serialize().decode() for envelope in captured)


def streamed(text):
    with sentry_sdk.traces.start_span(name=f"span of {text}", attributes={"a": f"x {text}"}):
        pass


def static(text):
    with sentry_sdk.start_span(op="x", name=f"span of {text}"):
        pass


LIFECYCLES = [
    pytest.param(
        static,
        {},
        id="static",
        marks=pytest.mark.skipif(sdk.MAJOR == 3, reason="sentry-sdk 3 streams spans"),
    ),
    pytest.param(streamed, {"trace_lifecycle": "stream"}, id="stream", marks=needs_streamed_spans),
]


@pytest.mark.parametrize(("span", "options"), LIFECYCLES)
class TestCookiesOfBefore:
    def test_of_a_response_that_an_error_page_replaces(self, captured, span, options):
        def app(environ, start_response):
            start_response("200 OK", COOKIE)
            span(SECRET)
            try:
                raise LookupError
            except LookupError:
                start_response("500 Oops", [], sys.exc_info())
            sentry_sdk.capture_message(f"message of {SECRET}")
            return [b""]

        sent = run(captured, app, traces_sample_rate=1.0, include_source_context=False, **options)
        assert "span of [Filtered]" in sent
        assert "message of [Filtered]" in sent
        assert SECRET not in sent

    def test_before_anything_was_captured(self, captured, span, options):
        def app(environ, start_response):
            start_response("200 OK", COOKIE)
            try:
                raise LookupError
            except LookupError:
                start_response("500 Oops", [], sys.exc_info())
            span(SECRET)
            return [b""]

        sent = run(captured, app, traces_sample_rate=1.0, include_source_context=False, **options)
        assert "span of [Filtered]" in sent
        assert SECRET not in sent


@needs_streamed_spans
class TestChangedHeaders:
    OPTIONS = {"traces_sample_rate": 1.0, "trace_lifecycle": "stream"}

    def test_cookie_that_is_taken_out_before_spans_are_sent(self, captured):
        def app(environ, start_response):
            headers = list(COOKIE)
            start_response("200 OK", headers)
            streamed(SECRET)
            headers.clear()
            return [b""]

        sent = run(captured, app, **self.OPTIONS)
        assert "span of [Filtered]" in sent
        assert SECRET not in sent

    def test_texts_go_if_there_are_too_many(self, captured):
        def app(environ, start_response):
            headers = []
            start_response("200 OK", headers)
            for number in range(300):
                headers[:] = [("Set-Cookie", f"sid={SECRET}{number}")]
                streamed(f"{SECRET}{number}")
            headers.clear()
            return [b""]

        sent = run(captured, app, **self.OPTIONS)
        assert "too many secrets" in sent
        assert SECRET not in sent


needs_tagged_metrics = pytest.mark.skipif(not sdk.HAS_TAGGED_METRICS, reason="metrics have no tags")


@needs_tagged_metrics
class TestMetricsWithTags:
    """Those of older SDKs, which are sent unless an app turns them off."""

    @pytest.fixture
    def sent(self, captured):
        def send(add, **options):
            def app(environ, start_response):
                environ["REMOTE_USER"] = "user-48151"
                start_response("200 OK", COOKIE)
                add(sentry_sdk.metrics)
                return [b""]

            run(captured, app, **options)
            items = [item for envelope in captured for item in envelope.items]
            return "".join(item.get_bytes().decode() for item in items if item.type == "statsd")

        return send

    def test_tags_have_no_secrets(self, sent):
        def add(metrics):
            tags = {
                "a": f"x {SECRET}",
                SECRET: "b",
                "user": "user-48151",
                "api_token": "abc",
                "c": ["d", SECRET],
            }
            metrics.increment("things", tags=tags)
            with metrics.timing("time", tags={"plan": "free"}):
                pass
            with sentry_sdk.start_span(op="x", name="y"):
                metrics.gauge("height", 1.5, tags={"a": SECRET, "b": "stays"})

        found = sent(add, traces_sample_rate=1.0)
        assert SECRET not in found
        assert "user-48151" not in found
        assert "api_token:" in found
        assert "abc" not in found
        assert "things@none" in found
        for tag in ("plan:free", "environment:production", "release:1", "b:stays"):
            assert tag in found

    def test_metric_is_not_sent_if_its_name_has_a_secret(self, sent):
        found = sent(lambda metrics: (metrics.increment(f"of.{SECRET}"), metrics.increment("things")))
        assert SECRET not in found
        assert "things@none" in found

    def test_name_of_the_transaction_stays(self, sent):
        def add(metrics):
            sentry_sdk.get_current_scope().set_transaction_name("/basket/{id}", source="route")
            metrics.increment("things")

        assert "transaction:/basket/" in sent(add, traces_sample_rate=1.0)

    def test_hook_of_the_app_gets_clean_tags_and_decides(self, sent):
        seen = []
        hooks = {"before_emit_metric": lambda *args: seen.append(args) or args[0] == "kept"}

        def add(metrics):
            metrics.increment("kept", tags={"a": SECRET})
            metrics.increment("dropped", tags={"a": SECRET})

        found = sent(add, _experiments=hooks)
        assert "kept@none" in found
        assert "dropped" not in found
        assert SECRET not in str(seen)

    def test_all_is_as_it_was_with_personal_data(self, sent):
        assert SECRET in sent(
            lambda metrics: metrics.increment("a", tags={"b": SECRET}), send_default_pii=True
        )

    def test_failure_loses_only_the_metric(self, sent, monkeypatch):
        def fail(*args):
            raise LookupError

        monkeypatch.setattr("sentry_paste.redaction.hooks.Redaction.clean_item", fail)
        assert SECRET not in sent(lambda metrics: metrics.increment("a", tags={"b": SECRET}))


@pytest.mark.skipif(sdk.MAJOR == 3, reason="a transaction is no longer an event of its own")
def test_keys_of_a_transactions_tags_have_no_secrets(captured_unchecked):
    def app(environ, start_response):
        start_response("200 OK", COOKIE)
        sentry_sdk.set_tag("own", SECRET)
        sentry_sdk.get_current_scope().transaction.set_tag(f"k {SECRET}", "v")
        return [b""]

    run(captured_unchecked, app, traces_sample_rate=1.0)
    [transaction] = captured_unchecked.transactions
    assert transaction["tags"]["k [Filtered]"] == "v"
    assert transaction["tags"]["own"] == SECRET


@pytest.mark.parametrize("mark", [b"\xff\xfe", b"\xfe\xff", b"\xff\xfe\0\0"])
def test_attachment_that_begins_like_another_encoding_is_cleaned_as_it_is(captured, mark):
    def app(environ, start_response):
        start_response("200 OK", COOKIE)
        sentry_sdk.get_isolation_scope().add_attachment(bytes=mark + f"ab {SECRET} c".encode(), filename="a")
        sentry_sdk.capture_message("x")
        return [b""]

    call(SentryMiddleware(app, dsn=DSN), environ_of())
    content = b"".join(item.get_bytes() for envelope in captured for item in envelope.items)
    assert SECRET.encode() not in content
    assert mark + b"ab [Filtered] c" in content


@pytest.mark.parametrize("show", [str, repr, json.dumps, html.escape])
@pytest.mark.parametrize(
    "value",
    [
        "q8'fh23\"fh28&<hf2>\\x9",
        "q8%fh23{fh28}$hf2[k]9x",
        "two words q8fh23 fh28hf2",
        "q8fh2 \xe9 \xfc fh28 hf2",
        f"q8fh23 {'and more ' * 20}of it, 'quoted' x9",
    ],
)
def test_end_of_a_value_that_is_cut_in_the_middle_goes_whatever_it_consists_of(value, show):
    found = {"HTTP_X_API_KEY": value.encode().decode("latin-1")}
    matcher = Matcher(values.of_request(found, Names()))
    for size in (10, 13, 20):
        cut = f"{value[:10]}...{value[-min(size, len(value) - 11) :]}"
        assert matcher.clean(show(f"a <{cut}> b")).strip("'\"") == show("a <[Filtered]> b").strip("'\"")
    assert matcher.clean(show(f"{value[:10]}... and more")).strip("'\"").endswith(" and more")
