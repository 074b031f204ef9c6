"""Cases of a sixth review: subclasses of str, threads of a request, what all of its items cost, arguments."""

import enum
import json
import logging
import sys
import threading

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware
from sentry_paste.client.registry import registry
from sentry_paste.redaction import Matcher, values
from sentry_paste.redaction.bounds import Allowances, Sharing
from sentry_paste.redaction.names import Names
from sentry_paste.redaction.sizes import keep_event_small, keep_item_small

from traced_apps import answer, needs_streamed_spans
from wsgi_calls import call, environ_of

SECRET = "q8fh23fh28hf2k"
DSN = "http://key@127.0.0.1:9/1"


class Markup(str):
    """As markupsafe's: a subclass of str with its own methods."""

    __slots__ = ()

    def upper(self):
        raise AssertionError


class Word(str, enum.Enum):
    SECRET = f"a {SECRET}"


def run(captured, body, **options):
    """Answer a request with a secret in a cookie; return all that was sent, as text."""

    def app(environ, start_response):
        body(environ)
        return answer(environ, start_response)

    call(SentryMiddleware(app, dsn=DSN, release="1", **options), environ_of(HTTP_COOKIE=f"sid={SECRET}"))
    for client in registry.clients():
        client.flush()
    return "\n".join(item.get_bytes().decode() for envelope in captured for item in envelope.items)


def set_everywhere(environ):
    scope = sentry_sdk.get_isolation_scope()
    scope.set_extra(
        "extra", [Word.SECRET, Markup(f"x {SECRET}"), (Markup(SECRET),), {Markup(f"k {SECRET}"): 1}]
    )
    scope.fingerprint = [Markup(f"x {SECRET}")]
    sentry_sdk.add_breadcrumb(message=Markup(f"x {SECRET}"), category="c", data={"a": Markup(SECRET)})
    logging.getLogger("shop").error("bad session %s", Markup(SECRET))
    variable = Markup(f"x {SECRET}")
    try:
        raise ValueError(Markup(SECRET), variable)
    except ValueError:
        sentry_sdk.capture_exception()


class TestSubclassesOfStr:
    def test_events(self, captured):
        sent = run(captured, set_everywhere)
        assert "bad session [Filtered]" in sent
        assert SECRET not in sent

    def test_transaction_of_the_app(self, captured):
        def make(environ):
            set_everywhere(environ)
            sentry_sdk.get_current_scope().set_transaction_name(Markup(f"for {SECRET}"))
            with sentry_sdk.start_span(name=Markup(f"x {SECRET}")):
                pass

        sent = run(captured, make, traces_sample_rate=1.0)
        assert SECRET not in sent

    @needs_streamed_spans
    def test_items(self, captured):
        def make(environ):
            for _ in range(2):
                with sentry_sdk.traces.start_span(name=Markup(f"n {SECRET}")) as span:
                    span.set_attribute("a", Markup(f"x {SECRET}"))
                    span.set_attribute("b", [Markup(f"x {SECRET}"), Word.SECRET])
                    span.set_attribute(Markup(f"k {SECRET}"), "v")
                    span.set_attribute("url.full", Markup("http://h/?token=abcdefgh1234"))
            sentry_sdk.logger.info("hi {a}", attributes={"z": Markup(f"x {SECRET}")}, a=Markup(SECRET))

        sent = run(captured, make, traces_sample_rate=1.0, trace_lifecycle="stream", enable_logs=True)
        assert '"items"' in sent
        assert SECRET not in sent
        assert "abcdefgh1234" not in sent

    def test_long_one_is_cut_like_any_text(self):
        event = {"logentry": {"formatted": Markup("a" * 3_000_000)}, "extra": {"kept": "x"}}
        keep_event_small(event)
        assert event["extra"] == {"kept": "x"}
        assert len(event["logentry"]["formatted"]) > 100_000

    def test_lists_and_mappings_of_the_app_stay_as_they_are(self):
        own = {"list": [Markup("x")], "mapping": {Markup("k"): Markup("v")}}
        item = {"name": "x", "attributes": {"a": own["list"], "b": own["mapping"], "c": Markup("c")}}
        keep_item_small(item)
        assert type(own["list"][0]) is type(own["mapping"]["k"]) is Markup
        assert type(item["attributes"]["c"]) is type(item["attributes"]["a"][0]) is str


@needs_streamed_spans
def test_thread_that_is_late_does_not_bring_back_the_users_of_before(captured, monkeypatch):
    entered, go = threading.Event(), threading.Event()
    read = values.of_environ

    def of_environ(environ, names):
        found = read(environ, names)
        if threading.current_thread().name == "slow" and not entered.is_set():
            entered.set()
            go.wait(10)
        return found

    def span(name):
        with sentry_sdk.traces.start_span(name=f"{name} for user-48151"):
            pass

    def make(environ):
        slow = threading.Thread(target=span, args=("slow",), name="slow")
        slow.start()
        entered.wait(10)
        environ["REMOTE_USER"] = "user-48151"
        span("signed in")
        go.set()
        slow.join()
        span("later")

    monkeypatch.setattr(values, "of_environ", of_environ)
    sent = run(captured, make, traces_sample_rate=1.0, trace_lifecycle="stream")
    assert "later for [Filtered]" in sent
    assert "later for user" not in sent


def test_request_with_too_many_headers_is_read_once(captured, monkeypatch):
    reads = []
    read = values.of_request
    monkeypatch.setattr(values, "of_request", lambda *args: reads.append(1) or read(*args))

    def make(environ):
        environ["repoze.who.identity"] = {"login": "user-48151"}
        for number in range(5):
            environ[f"HTTP_X_ADDED_{number}"] = "x"
            sentry_sdk.capture_message("for user-48151")

    def app(environ, start_response):
        make(environ)
        return answer(environ, start_response)

    headers = {f"HTTP_X_{number}": "x" for number in range(2500)}
    call(SentryMiddleware(app, dsn=DSN), environ_of(**headers))
    assert len(reads) == 2  # what it came with, and what the app had added by then
    assert "user-48151" not in json.dumps(list(captured.errors))


class TestAllItemsOfARequest:
    @pytest.mark.parametrize(
        ("cookie", "text"),
        [
            ("; ".join(f"c{n}=k7k7k7k7k7k7k7k7{n:04}b" for n in range(500)), "k7" * 500),
            (f"sid={'U' * 40}", "VVVV" * 250),
            ("sid=ab$cdefg$1", "cdefg%41" * 120),
        ],
        ids=["beginnings", "base64", "escapes"],
    )
    def test_places_in_them_are_limited_together(self, cookie, text):
        matcher = Matcher(values.of_request({"HTTP_COOKIE": cookie}, Names()))
        matcher.clean("x" * 20_000)  # from here on it has its index
        allowances = Allowances()
        allowances._until = float("inf")
        with Sharing(allowances):
            for number in range(400):
                matcher.clean(f"{text}{number}")
            assert allowances.values.left < 500
            # What has no such places is shown all the same.
            assert matcher.clean("an ordinary line") == "an ordinary line"

    def test_event_has_its_own(self):
        matcher = Matcher(values.of_request({"HTTP_COOKIE": "sid=f3f29fj2093fj203fj"}, Names()))
        for _ in range(60):
            assert matcher.clean("f3f29fj2093fj203fj " * 500).count("[Filtered]") == 500


class TestArguments:
    @pytest.mark.parametrize(
        "password", ["hun/ter2pw", "hun#ter2pw", "hun?ter2pw", 'hun"ter2pw', "hun ter2pw"]
    )
    def test_password_in_a_url_may_contain_any_sign(self, captured, monkeypatch, password):
        monkeypatch.setattr(sys, "argv", ["pserve", f"sqlalchemy.url=postgresql://joe:{password}@host/db"])
        sent = run(captured, lambda environ: sentry_sdk.capture_message("x"), default_integrations=True)
        assert "ter2pw" not in sent
        assert "sqlalchemy.url=postgresql://[Filtered]@host/db" in sent

    @pytest.mark.parametrize(
        "arguments",
        [
            ["http://host:8080/path@2x.png"],
            ["--token-file", "/etc/token"],
            ["--cookie-name", "sid"],
            ["--no-password", "shop"],
        ],
    )
    def test_what_is_no_secret_stays(self, captured, monkeypatch, arguments):
        monkeypatch.setattr(sys, "argv", ["pserve", *arguments])
        sent = run(captured, lambda environ: sentry_sdk.capture_message("x"), default_integrations=True)
        assert json.dumps(arguments[-1])[1:-1] in sent


def test_memory_of_what_has_stayed_is_bounded_for_one_span():
    matcher = Matcher(values.of_request({"HTTP_COOKIE": f"sid={SECRET}"}, Names()))
    names = Names()
    matcher.unchanged(names).add({f"name {number}": "x" for number in range(30_000)})
    assert len(matcher.unchanged(names)._members) == 2000
