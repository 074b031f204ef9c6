"""Nothing personal is sent unless asked: what the hooks do, from the ini to what is sent."""

import json
import logging
import time

import canaries
import pytest
import sentry_sdk
from canaries import CHANNELS, LIFECYCLES, app_of, leaks, sent_by_filter
from canary_request import Planted
from webtest import TestApp

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.client.registry import registry
from sentry_paste.redaction import Matcher
from sentry_paste.redaction.names import FILTERED
from sentry_paste.testing import CapturedEnvelopes, MemoryTransport, capture_envelopes

from wsgi_calls import call, environ_of

SECRET = "q8fh23fh28hf2"


@pytest.fixture(autouse=True)
def _canaries_log(monkeypatch):
    monkeypatch.setattr(canaries.log, "level", logging.INFO)
    monkeypatch.setattr(canaries.log, "propagate", False)
    canaries.log.addHandler(logging.NullHandler())


class TestWhatTheAppSets:
    def test_user_tags_and_contexts_stay(self):
        def app(environ, start_response):
            sentry_sdk.set_user({"id": "user-q8fh23", "email": "user-q8fh23@example.com"})
            sentry_sdk.set_tag("customer", "user-q8fh23")
            sentry_sdk.set_context("account", {"name": "user-q8fh23", "token": "x"})
            raise ValueError("of user-q8fh23")

        with capture_envelopes() as captured:
            call(SentryMiddleware(app), environ_of(REMOTE_USER="user-q8fh23"))
        (event,) = captured.errors
        assert event["user"] == {"id": "user-q8fh23", "email": "user-q8fh23@example.com"}
        assert event["tags"] == {"customer": "user-q8fh23"}
        assert event["contexts"]["account"] == {"name": "user-q8fh23", "token": "x"}
        assert event["exception"]["values"][0]["value"] == f"of {FILTERED}"

    def test_hooks_of_the_user_see_what_is_clean_and_have_the_last_word(self):
        seen = []

        def before_send(event, hint):
            seen.append(json.dumps(event))
            event["tags"] = {"said": SECRET}
            return event

        def app(environ, start_response):
            raise ValueError(SECRET)

        with capture_envelopes() as captured:
            call(SentryMiddleware(app, before_send=before_send), environ_of(HTTP_X_API_KEY=SECRET))
        assert SECRET not in seen[0]
        assert captured.errors[0]["tags"] == {"said": SECRET}


class TestOptions:
    @pytest.fixture
    def ini(self, load):
        """A filter with options, around an app."""

        def ini(text="", app="by_path"):
            filter_ = ["[filter:sentry]", "use = egg:sentry_paste", *map(str.strip, text.splitlines())]
            main = ["[app:main]", "paste.app_factory = apps:make_app", f"app = {app}", "filter-with = sentry"]
            return load("\n".join([*filter_, *main]))

        return ini

    def crash(self, ini, text, **environ):
        app = ini(text, app="crash")
        with pytest.raises(ValueError, match="in the call"):
            TestApp(app).get("/?code=c0de-1234&page=3", extra_environ=environ)

    def test_lists_of_the_ini(self, ini, captured):
        self.crash(
            ini,
            """
            redact_headers = X-Tenant, x-internal-*
            keep_headers = Idempotency-Key
            redact_params = code
            redact_environ = myapp.*
            """,
            HTTP_X_TENANT="a",
            HTTP_X_INTERNAL_NAME="b",
            HTTP_IDEMPOTENCY_KEY="c",
            **{"myapp.tenant": "d"},
        )
        (event,) = captured.errors
        headers = event["request"]["headers"]
        assert headers["X-Tenant"] == headers["X-Internal-Name"] == FILTERED
        assert headers["Idempotency-Key"] == "c"
        assert event["request"]["query_string"] == f"code={FILTERED}&page=3"

    def test_filters_that_differ_in_them_have_clients_of_their_own(self, ini, captured):
        first, second = ini("redact_headers = X-A"), ini("redact_headers = X-B")
        assert first.client is not second.client
        assert first.client is ini("redact_headers = X-A").client

    def test_pii_that_is_asked_for_is_sent(self, ini, captured):
        self.crash(ini, "send_default_pii = true", HTTP_X_FORWARDED_USER="a", REMOTE_USER="alice")
        (event,) = captured.errors
        assert event["request"]["headers"]["X-Forwarded-User"] == "a"
        assert event["user"]["username"] == "alice"

    def test_scrubber_s_own_names_hold_at_any_depth(self, ini, captured):
        def app(environ, start_response):
            deep = {"a": {"iban": "CH93"}}
            raise ValueError(str(len(deep)))

        call(SentryMiddleware(app, event_scrubber=sdk.EventScrubber(denylist=["iban"])), environ_of())
        (event,) = captured.errors
        variables = event["exception"]["values"][0]["stacktrace"]["frames"][-1]["vars"]
        assert variables["deep"] == {"a": {"iban": FILTERED}}

    def test_data_collection_without_user_info_is_as_strict(self, captured):
        if "data_collection" not in SentryMiddleware(app_of(Planted(), "messages")).client.options:
            pytest.skip("this sentry-sdk has no data_collection")
        planted = Planted(5)
        app = app_of(planted, "exception messages, chained")
        sent = sent_by_filter(app, planted.environ, pii=None, data_collection={"user_info": False})
        assert planted.leaked(sent) == set()


@pytest.mark.skipif(sdk.MAJOR < 3, reason="without send_default_pii, this sentry-sdk is private itself")
class TestDataCollection:
    """The SDK collects what an ini leaves out of ``data_collection``."""

    def collected(self, **parts):
        return SentryMiddleware(raising("x"), dsn="http://a@localhost/1", **parts).client.options[
            "data_collection"
        ]

    def test_part_that_is_asked_for_leaves_all_others_private(self):
        private = self.collected()
        found = self.collected(
            data_collection={"gen_ai": {"inputs": True}, "cookies": {"terms": ["x-shop"]}, "queues": True}
        )
        assert found == {
            **private,
            "gen_ai": {"inputs": True, "outputs": False},
            "cookies": {"mode": "off", "terms": ["x-shop"]},
            "queues": True,
        }
        assert not found["user_info"]

    def test_bodies_of_responses_are_private(self):
        """With sentry-sdk 2, Strawberry's and Ariadne's are sent with send_default_pii only."""
        assert self.collected()["http_bodies"] == ["incoming_request"]

    def test_all_is_collected_where_personal_data_is_asked_for(self):
        found = self.collected(data_collection={"user_info": True})
        assert found == self.collected(send_default_pii=True)
        assert found["gen_ai"] == {"inputs": True, "outputs": True}


@pytest.mark.skipif(sdk.MAJOR < 3, reason="without send_default_pii, this sentry-sdk is private itself")
class TestClientOfTheApp:
    """Made without any decision on personal data, which sentry-sdk 3 collects then."""

    def reported(self, own=None, **options):
        captured = CapturedEnvelopes()
        sentry_sdk.init(transport=MemoryTransport(captured), **(own or {}))
        call(
            SentryMiddleware(raising("x"), **options), environ_of(HTTP_X_API_KEY=SECRET, REMOTE_USER="alice")
        )
        (event,) = captured.errors
        return event

    def test_sends_nothing_personal_in_requests(self):
        event = self.reported()
        assert event["request"]["headers"]["X-Api-Key"] == FILTERED
        assert "user" not in event

    def test_option_of_the_ini_sends_it(self, caplog):
        assert self.reported(send_default_pii=True)["user"]["username"] == "alice"
        assert caplog.records == []

    def test_app_that_has_decided_has_its_way(self):
        own = {"data_collection": {"user_info": True, "queues": False}}
        assert self.reported(own)["user"]["username"] == "alice"
        assert "user" not in self.reported({"data_collection": {"user_info": False}})


class TestFailure:
    """If redaction fails, everything that could hold a secret is dropped, and the app is not affected."""

    @pytest.fixture(autouse=True)
    def _broken(self, monkeypatch):
        def broken(*args):
            raise RuntimeError("redaction is broken")

        monkeypatch.setattr(Matcher, "clean_all", broken)

    def test_event_is_sent_without_variables_and_request(self, captured):
        planted = Planted(4)
        app = app_of(planted, "exception messages, chained", start=False)
        seen = call(SentryMiddleware(app, traces_sample_rate=1.0), planted.environ)
        assert type(seen.error) is ValueError
        (event,) = captured.errors
        assert planted.leaked(json.dumps(event).encode()) == set()
        assert "request" not in event
        assert event["tags"] == {"sentry_paste.redaction": "failed"}
        assert event["exception"]["values"][-1]["type"] == "ValueError"
        (transaction,) = captured.transactions
        assert planted.leaked(json.dumps(transaction).encode()) == set()

    @pytest.mark.parametrize("lifecycle", LIFECYCLES)
    @pytest.mark.parametrize("what", CHANNELS)
    def test_no_secret_leaves(self, what, lifecycle):
        assert leaks(what, seed=1, lifecycle=lifecycle) == set()


class TestOutsideOfRequests:
    def test_secrets_are_those_of_the_environ_in_the_frames(self, captured):
        registry.client_for(SentryMiddleware(app_of(Planted(), "messages")).settings)

        def serve(environ):
            held = environ["HTTP_COOKIE"]
            try:
                raise ValueError(f"cannot parse {held}")
            except ValueError:
                logging.getLogger("server").exception("cannot serve %s", held)

        serve(environ_of(HTTP_COOKIE=f"sid={SECRET}"))
        (event,) = captured.errors
        assert SECRET not in json.dumps(event)

    def test_names_are_secret_where_no_environ_is(self, captured):
        SentryMiddleware(app_of(Planted(), "messages"))
        sentry_sdk.capture_event({"message": "x", "extra": {"a": {"HTTP_COOKIE": "x=1"}}})
        assert captured.errors[0]["extra"]["a"] == {"HTTP_COOKIE": FILTERED}


def test_scope_that_lost_its_processors_still_has_its_request(captured):
    """The SDK drops all processors of a scope that has more than twenty."""

    def app(environ, start_response):
        for _ in range(25):
            sentry_sdk.get_isolation_scope().add_event_processor(lambda event, hint: event)
        raise ValueError(SECRET)

    call(SentryMiddleware(app), environ_of(HTTP_X_API_KEY=SECRET))
    assert SECRET not in json.dumps(captured.errors)


def raising(*texts):
    def app(environ, start_response):
        raise ValueError(*texts)

    return app


class TestFoundByTrying:
    """Findings of a hostile review: leaks, and damage to innocent data."""

    @pytest.mark.parametrize(
        ("environ", "text", "secret"),
        [
            ({"QUERY_STRING": "password=it's-my-S3cret"}, "x it's-my-S3cret", "S3cret"),
            ({"QUERY_STRING": "password=abc?S3cretpart"}, "x", "S3cretpart"),
            ({"QUERY_STRING": "a=1&password=abc;S3cretpart&b=2"}, "x", "S3cretpart"),
            ({"REMOTE_ADDR": "::ffff:203.0.113.77"}, "from 203.0.113.77", "203.0.113.77"),
            ({"REMOTE_ADDR": "2001:0DB8:0:0:0:0:0:77"}, "from 2001:db8::77", "2001:db8::77"),
            ({"HTTP_CF_CONNECTING_IPV6": "2001:db8::77"}, "from 2001:db8::77", "2001:db8::77"),
            ({"HTTP_COOKIE": "s=abCD1+ef%2FghIJ2"}, "x abCD1+ef/ghIJ2", "abCD1+ef/ghIJ2"),
            ({"HTTP_COOKIE": r's="ab1\054cd9efghij"'}, "x ab1,cd9efghij", "ab1,cd9efghij"),
            ({"HTTP_COOKIE": 's="ab1;cd9efghij"; t=1'}, "x ab1;cd9efghij", "cd9efghij"),
            ({"HTTP_COOKIE": "abcDEF12345678"}, "x abcDEF12345678", "abcDEF12345678"),
            ({"HTTP_COOKIE": "uid=1234567; pin=98765"}, "x uid=1234567; pin=98765", "98765"),
            ({"HTTP_COOKIE": "s=ab1\xfcdef9ghij"}, repr(b"ab1\xfcdef9ghij"), "def9ghij"),
            ({"HTTP_COOKIE": "s=ab1\xfcdef9ghij"}, "x ab1\ufffddef9ghij", "def9ghij"),
            ({"HTTP_AUTHORIZATION": "Basic Ym9iOnDkc3N3MHJkbG9uZw=="}, "p\xe4ssw0rdlong", "ssw0rdlong"),
            ({"HTTP_COOKIE": "s=ab'c\\def9ghij"}, repr("\"'ab'c\\def9ghij"), "def9ghij"),
            ({"HTTP_X_API_KEY": "eyJhbGciOi9ZZ4711"}, "eyJhbGciX eyJhbGciOi9ZZ...", "Oi9ZZ"),
            ({"PATH_INFO": "/a;jsessionid=abcDEF12345678"}, "x", "abcDEF12345678"),
            ({"QUERY_STRING": "pass=abcDEF12345678"}, "x", "abcDEF12345678"),
            ({}, "{'e': {'f': {'new_password': 'S3cretpart'}}}", "S3cretpart"),
            ({}, "Login(user='x', password='S3cretpart')", "S3cretpart"),
            ({}, 'b\'{"new_password": "S3cretpart"}\'', "S3cretpart"),
            ({}, "csrf_token=S3cretpart&colour=green", "S3cretpart"),
        ],
    )
    def test_no_secret_leaves(self, environ, text, secret):
        sent = sent_by_filter(raising(text), environ_of(**environ)).decode()
        for form in (secret, json.dumps(secret)[1:-1]):
            assert form not in "\n".join(
                line for line in sent.splitlines() if "context_line" not in line
            ) or (form not in json.dumps(self.without_source(sent)))

    def without_source(self, sent):
        events = [json.loads(line) for line in sent.splitlines() if line.startswith('{"')]
        for event in events:
            for value in (event.get("exception") or {}).get("values", []):
                for frame in value["stacktrace"]["frames"]:
                    for key in ("pre_context", "context_line", "post_context"):
                        frame.pop(key, None)
        return events

    def test_header_that_a_middleware_within_has_added(self, captured):
        def app(environ, start_response):
            environ["HTTP_X_USER_NAME"] = "alice77smith"  # as keystonemiddleware does
            logging.getLogger("a").error("no basket of %s", "alice77smith")
            return iter([])

        call(SentryMiddleware(app), environ_of())
        assert "alice77smith" not in json.dumps([event["logentry"] for event in captured.errors])

    def test_user_that_a_lazy_body_signs_in(self, captured):
        class Lazy:
            def __init__(self, environ):
                self.environ = environ

            def __iter__(self):
                return self

            def __next__(self):
                self.environ["REMOTE_USER"] = "alice77smith"
                raise ValueError("no basket of alice77smith")

        call(SentryMiddleware(lambda environ, start_response: Lazy(environ)), environ_of())
        assert captured.errors[0]["exception"]["values"][0]["value"] == f"no basket of {FILTERED}"

    def test_request_within_a_request(self, captured):
        inner = SentryMiddleware(raising(f"bad {SECRET}"))

        def app(environ, start_response):
            return inner({**environ, "HTTP_AUTHORIZATION": f"Bearer {SECRET}"}, start_response)

        call(SentryMiddleware(app), environ_of())
        assert captured.errors[0]["exception"]["values"][0]["value"] == f"bad {FILTERED}"

    @pytest.mark.parametrize(
        "environ",
        [
            {"HTTP_COOKIE": "last_visit=2026-11-22"},
            {"HTTP_COOKIE": "a=trace_id; c=timestamp; d=start_timestamp; e=internal_error"},
            {"HTTP_X_USER": "data"},
            {"HTTP_SENTRY_TRACE": "771a43a4192642f0b136d5159a501700-1234567890abcdef-1",
             "HTTP_COOKIE": "t=771a43a4192642f0b136d5159a501700"},
        ],
    )  # fmt: skip
    def test_client_cannot_spoil_an_event(self, environ, captured):
        """``captured`` puts all that is sent through Sentry's own normaliser."""

        def app(environ, start_response):
            with sdk.start_child_span("db", "x"):
                sentry_sdk.add_breadcrumb(message="m", data={"data": 1})
            raise ValueError("x")

        call(SentryMiddleware(app, traces_sample_rate=1.0), environ_of(**environ))
        (transaction,) = captured.transactions
        assert "trace_id" in transaction["contexts"]["trace"]
        assert FILTERED not in json.dumps(transaction["spans"])
        assert FILTERED not in json.dumps(captured.errors[0]["breadcrumbs"])

    @pytest.mark.parametrize(
        ("environ", "text"),
        [
            ({"HTTP_X_FORWARDED_FOR": "unknown"}, "an unknown thing"),
            ({"REMOTE_ADDR": "localhost"}, "at localhost"),
            ({"HTTP_FORWARDED": "for=203.0.113.7;host=www.example.com"}, "of www.example.com"),
            ({"HTTP_X_USER_DOMAIN_ID": "default", "HTTP_X_USER_ROLE": "editor"}, "the default editor"),
            ({"HTTP_X_CSRF_TOKEN": "undefined"}, "it is undefined"),
            ({"HTTP_COOKIE": "lang=en; theme=dark; currency=CHF; tz=1"}, "lang=en theme=dark dark en CHF"),
        ],
    )
    def test_word_stays(self, environ, text, captured):
        call(SentryMiddleware(raising(text)), environ_of(HTTP_HOST="www.example.com", **environ))
        (event,) = captured.errors
        assert event["exception"]["values"][0]["value"] == text
        assert event["request"]["headers"]["Host"] == "www.example.com"

    def test_ordinary_header_stays_though_a_cookie_reads_alike(self, captured):
        environ = environ_of(
            "/shop/production", HTTP_ACCEPT="text/html,*/*", HTTP_COOKIE="ct=text/html; v=production"
        )
        call(SentryMiddleware(raising("x")), environ)
        (event,) = captured.errors
        assert event["request"]["headers"]["Accept"] == "text/html,*/*"
        assert event["transaction"] == "GET /shop/production"

    def test_ordinary_header_loses_a_random_value(self, captured):
        environ = environ_of(HTTP_USER_AGENT=f"see {SECRET}", HTTP_COOKIE=f"sid={SECRET}")
        call(SentryMiddleware(raising("x")), environ)
        assert captured.errors[0]["request"]["headers"]["User-Agent"] == f"see {FILTERED}"

    @pytest.mark.skipif("stream" not in LIFECYCLES, reason="this sentry-sdk streams no spans")
    def test_streamed_segment_keeps_its_name(self):
        environ = environ_of("/shop/production", HTTP_COOKIE="page=production")
        sent = sent_by_filter(raising("x"), environ, lifecycle="stream").decode()
        assert '"name":"GET /shop/production"' in sent

    def test_counts_stay(self, captured):
        def app(environ, start_response):
            sentry_sdk.capture_event(
                {"extra": {"a": {"input_tokens": 123456, "sort-key": "name", "token": "x1"}}}
            )
            return []

        call(SentryMiddleware(app), environ_of())
        held = {"input_tokens": 123456, "sort-key": "name", "token": FILTERED}
        assert captured.errors[0]["extra"]["a"] == held

    def test_attachment_that_is_gone_costs_itself_alone(self, captured):
        def app(environ, start_response):
            scope = sentry_sdk.get_isolation_scope()
            scope.add_attachment(path="/nonexistent/x.log")
            scope.add_attachment(bytes=b"useful", filename="x.txt")
            sentry_sdk.capture_message("useful")
            return []

        call(SentryMiddleware(app), environ_of(HTTP_COOKIE="sid=abcDEF12345678"))
        assert captured.errors[0]["message"] == "useful"
        items = [item for envelope in captured for item in envelope.items if item.type == "attachment"]
        assert [item.get_bytes() for item in items] == [b"useful"]

    @pytest.mark.parametrize(
        "environ",
        [
            {"HTTP_COOKIE": "a=" + "aa-" * 300 + "!"},
            {"HTTP_AUTHORIZATION": "Bearer " + "Aa" * 400 + "!"},
            {"HTTP_COOKIE": "; ".join(f"a{n}=v%20{n:08}" for n in range(2000))},
            {"HTTP_COOKIE": "; ".join("c=" + "a" * n for n in range(8, 16))},
            {"HTTP_COOKIE": '="' * 20_000},
            {"QUERY_STRING": "&".join(f"token{n}=a;b{n}" for n in range(2000))},
        ],
        ids=["words", "humps", "many", "alike", "quotes", "semicolons"],
    )
    def test_client_cannot_hold_the_process(self, environ):
        """A bound that only exponential or quadratic time exceeds, not a measurement."""
        text = "a" * 20_000 + "..."
        begun = time.thread_time()
        sent_by_filter(raising(*[text + str(n) for n in range(20)]), environ_of(**environ))
        assert time.thread_time() - begun < 10


class TestTooManySecrets:
    """With more values than are searched for, nothing is sent that may contain one of them."""

    QUERY = "&".join(f"token={number:08}x" for number in range(5000))

    def test_error_goes_without_variables_and_request(self, captured):
        def app(environ, start_response):
            seen = environ["QUERY_STRING"]
            raise LookupError(seen)

        call(SentryMiddleware(app), environ_of(QUERY_STRING=self.QUERY))
        (event,) = captured.errors
        assert event["tags"] == {"sentry_paste.redaction": "too many secrets"}
        assert event["exception"]["values"][-1]["type"] == "LookupError"
        assert "00000001x" not in json.dumps(event)

    def test_span_goes_without_texts(self):
        if "stream" not in LIFECYCLES:
            pytest.skip("this sentry-sdk streams no spans")

        def app(environ, start_response):
            with sentry_sdk.traces.start_span(name=f"see {environ['QUERY_STRING'][:20]}"):
                start_response("200 OK", [])
            return []

        sent = sent_by_filter(app, environ_of(QUERY_STRING=self.QUERY), lifecycle="stream")
        assert b"00000001x" not in sent
        assert b"too many secrets" in sent


def test_many_keys_that_are_secret_stay_apart(captured):
    def app(environ, start_response):
        sentry_sdk.get_isolation_scope().set_extra(
            "seen", {f"{SECRET} {number}": number for number in range(8)}
        )
        raise LookupError

    call(SentryMiddleware(app), environ_of(HTTP_COOKIE=f"sid={SECRET}"))
    seen = captured.errors[0]["extra"]["seen"]
    assert sorted(seen.values()) == list(range(8))
    assert SECRET not in json.dumps(seen)


class TestSamplingContext:
    """The header of an envelope describes a trace, without anything that a client made up."""

    BAGGAGE = (
        "sentry-trace_id=0123456789abcdef0123456789abcdef,sentry-sampled=true,sentry-sample_rate=1.0,"
        f"sentry-public_key=key,sentry-release={SECRET},sentry-user_id=alice,sentry-transaction=%2Fx%2F{SECRET},"
        f"sentry-environment={SECRET}"
    )

    @pytest.mark.parametrize("lifecycle", LIFECYCLES)
    def test_client_s_baggage(self, lifecycle):
        def app(environ, start_response):
            start_response("200 OK", [])
            return []

        environ = environ_of(
            HTTP_COOKIE=f"sid={SECRET}",
            HTTP_BAGGAGE=self.BAGGAGE,
            HTTP_SENTRY_TRACE="0123456789abcdef0123456789abcdef-0123456789abcdef-1",
        )
        sent = sent_by_filter(app, environ, lifecycle=lifecycle)
        assert SECRET.encode() not in sent
        assert b"alice" not in sent
        assert b"0123456789abcdef0123456789abcdef" in sent

    @pytest.mark.parametrize("lifecycle", LIFECYCLES)
    def test_caller_s_facts_stay(self, lifecycle):
        """Sentry samples by them, and would decide otherwise on this part of the trace."""

        def app(environ, start_response):
            start_response("200 OK", [])
            return []

        environ = environ_of(
            HTTP_COOKIE=f"sid={SECRET}",
            HTTP_BAGGAGE=self.BAGGAGE.replace(SECRET, "shop"),
            HTTP_SENTRY_TRACE="0123456789abcdef0123456789abcdef-0123456789abcdef-1",
        )
        sent = sent_by_filter(app, environ, lifecycle=lifecycle)
        for text in (b'"release":"shop"', b'"environment":"shop"', b'"transaction":"/x/shop"'):
            assert text in sent

    @pytest.mark.parametrize("lifecycle", LIFECYCLES)
    def test_name_that_an_error_has_frozen(self, lifecycle):
        def app(environ, start_response):
            sentry_sdk.get_current_scope().set_transaction_name(f"Reset for {environ['REMOTE_USER']}")
            sentry_sdk.capture_message("one")
            start_response("200 OK", [])
            return []

        sent = sent_by_filter(app, environ_of(REMOTE_USER="alice.l@example.com"), lifecycle=lifecycle)
        assert b"alice.l" not in sent


def test_event_is_small_when_it_is_clean(captured):
    def walk(pairs, depth):
        here = [pairs[depth:], "x"]
        if depth > 80:
            raise ValueError(len(here))
        walk(pairs, depth + 1)

    def app(environ, start_response):
        walk([["pwd", "x"]] * 200, 0)

    call(SentryMiddleware(app), environ_of())
    for number in range(100):
        sentry_sdk.add_breadcrumb(message=" [10 " + "1::2 " * 1600, data={"n": number})
    assert len(json.dumps(captured.errors[0])) < 1_000_000


def test_breadcrumbs_that_grow_are_cut(captured):
    def app(environ, start_response):
        for _ in range(100):
            sentry_sdk.add_breadcrumb(message="198.51.100.7 - - [10/Oct/2026] " + "1::2 " * 1600)
        raise LookupError

    call(SentryMiddleware(app), environ_of())
    assert len(json.dumps(captured.errors[0])) < 1_000_000


@pytest.mark.skipif(not hasattr(sentry_sdk, "metrics"), reason="this sentry-sdk has no metrics")
def test_client_changes_nothing_that_is_the_sdk_s():
    def app(environ, start_response):
        sentry_sdk.metrics.count("shop.orders", 1, unit=SECRET)
        start_response("200 OK", [])
        return []

    environ = environ_of(HTTP_COOKIE=f"a=production; b=sentry.python; c={SECRET}")
    sent = sent_by_filter(app, environ, environment="production")
    assert SECRET.encode() not in sent
    assert b'"production"' in sent
    assert b"sentry.python" in sent


def test_identity_that_raises_loses_no_session(captured):
    class Identity(dict):
        def items(self):
            raise RuntimeError("not now")

    def app(environ, start_response):
        environ["repoze.who.identity"] = Identity(userid="alice")
        start_response("200 OK", [])
        return []

    call(SentryMiddleware(app, release="1", traces_sample_rate=1.0), environ_of())
    sentry_sdk.flush()
    assert len(captured.transactions) == 1
