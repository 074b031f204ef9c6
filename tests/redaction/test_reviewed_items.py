"""Findings of a hostile review of log items, metrics and spans: their cost, lifetime and size."""

import gc
import json
import logging
import weakref

import pytest
import sentry_sdk
from sentry_sdk.attachments import Attachment

from sentry_paste import SentryMiddleware
from sentry_paste.redaction import Names, Redaction, accesslogs, bounds, nearby, texts, values
from sentry_paste.redaction.names import FILTERED
from sentry_paste.redaction.nearby import Nearby
from sentry_paste.redaction.texts import clean_text, clean_texts

from wsgi_calls import call, environ_of

SECRET = "q8fh23fh28hf2k7"
NAMES = Names()
ACCESS_LINE = "192.0.2.1 - x [10/Oct/2026:13:55:36 {} pin=12345678"

needs_logs = pytest.mark.skipif(not hasattr(sentry_sdk, "logger"), reason="this sentry-sdk has no log items")


@pytest.fixture
def log():
    """A logger whose messages are log items."""
    logger = logging.getLogger("shop.items")
    before, logger.level = logger.level, logging.INFO
    yield logger
    logger.level = before


@pytest.fixture
def count(monkeypatch):
    """Return a counter of the calls of a module's function."""

    def count(module, name):
        calls = []
        function = getattr(module, name)

        def counted(*args, **kwargs):
            calls.append(args)
            return function(*args, **kwargs)

        monkeypatch.setattr(module, name, counted)
        return calls

    return count


@pytest.fixture
def clock(monkeypatch):
    """A clock that advances only when it is set."""
    now = [1000.0]
    monkeypatch.setattr(bounds.time, "monotonic", lambda: now[0])
    return now


def bodies(captured):
    sentry_sdk.get_client().flush()
    return [
        logged["body"]
        for envelope in captured
        for item in envelope.items
        if item.type == "log"
        for logged in json.loads(item.get_bytes())["items"]
    ]


def item_of(body, **attributes):
    return {"body": body, "severity_text": "info", "attributes": attributes}


def fine(environ, start_response):
    start_response("200 OK", [])
    return [b"fine"]


@needs_logs
class TestMiddlewareAroundTheFilter:
    def serve(self, log, *steps, app=fine, **environ):
        wrapped = SentryMiddleware(app, enable_logs=True)

        def around(environ, start_response):
            for step in steps:
                step(environ)
                log.info("step with %s", SECRET)
            return wrapped(environ, start_response)

        call(around, environ_of(**environ))

    def test_lines_of_one_request_share_a_matcher(self, captured, log, count):
        made = count(values, "of_request")
        self.serve(log, *[lambda environ: None] * 5, HTTP_COOKIE=f"sid={SECRET}")
        assert len(made) == 1
        assert [body for body in bodies(captured) if body.startswith("step")] == [f"step with {FILTERED}"] * 5

    @pytest.mark.parametrize("key", ["HTTP_X_API_KEY", "HTTP_COOKIE", "REMOTE_USER", "repoze.who.identity"])
    def test_what_is_added_between_lines_is_secret(self, captured, log, key):
        def add(environ):
            environ[key] = {"userid": SECRET} if "." in key else f"a={SECRET}" if "COOKIE" in key else SECRET

        self.serve(log, lambda environ: None, add)
        assert bodies(captured)[:2] == [f"step with {SECRET}", f"step with {FILTERED}"]

    def test_a_frame_lets_go_of_what_it_deletes(self, log, captured):
        SentryMiddleware(fine, enable_logs=True)

        class Lock:
            pass

        held = Lock()
        seen = weakref.ref(held)
        log.info("it is locked")
        del held
        assert seen() is None


class TestMatchersThatAreKept:
    def environ(self, number):
        return {"wsgi.input": None, "HTTP_COOKIE": f"sid={SECRET}{number}"}

    def test_they_are_few(self):
        kept = Nearby(NAMES)
        for number in range(200):
            kept.matcher([self.environ(number)])
        assert 1 < len(kept._kept) <= 32
        assert kept.matcher([self.environ(199)]) is kept.matcher([self.environ(199)])

    def test_they_have_few_values(self):
        kept = Nearby(NAMES)
        for number in range(20):
            cookies = "; ".join(f"a{n}={SECRET}{n}x{number}" for n in range(900))
            kept.matcher([{"wsgi.input": None, "HTTP_COOKIE": cookies}])
        assert sum(found.size for found in kept._kept.values()) <= 4 * values.MOST

    def test_they_are_kept_for_seconds(self, clock):
        kept = Nearby(NAMES)
        first = kept.matcher([self.environ(1)])
        assert kept.matcher([self.environ(1)]) is first
        clock[0] += 11
        assert kept.matcher([self.environ(1)]) is not first
        clock[0] += 11
        kept.matcher([self.environ(2)])
        assert len(kept._kept) == 1

    def test_two_requests_are_not_one(self):
        kept = Nearby(NAMES)
        both = kept.matcher([self.environ(1), self.environ(2)])
        assert both.clean(f"{SECRET}1 {SECRET}2") == f"{FILTERED} {FILTERED}"
        assert kept.matcher([self.environ(1)]).clean(f"{SECRET}2") == f"{SECRET}2"

    def test_methods_of_a_class_of_the_app_s_do_not_run(self):
        class Environ(dict):
            def items(self):
                raise AssertionError("of the app's")

            keys = __iter__ = __getitem__ = copy = items

        assert Nearby(NAMES).matcher([Environ(self.environ(3))]).clean(f"{SECRET}3") == FILTERED

    def test_no_environ_is_no_secret(self):
        assert not Nearby(NAMES).matcher([])


class TestAllowance:
    """If an app logs once for each element of a body, the client decides how many items there are."""

    def clean(self, *items):
        redaction = Redaction(Names())
        return [redaction.clean_item(item, {}) for item in items]

    @pytest.fixture(autouse=True)
    def _fresh(self, clock, monkeypatch):
        monkeypatch.setattr(bounds, "_of_thread", bounds._ThreadAllowance())

    def test_places_of_all_items_are_bounded(self, count):
        looked_at = count(texts, "_span_of")
        items = self.clean(*[item_of(f"{number} " + "password='aaaaa' " * 24) for number in range(1000)])
        assert 500 < len(looked_at) <= 2000
        assert "aaaaa" not in json.dumps(items)
        assert items[-1]["body"] == f"999 {FILTERED}"

    def test_lines_that_read_like_those_of_an_access_log_are_bounded(self, count):
        looked_at = count(accesslogs, "clean_line")
        made = [item_of(ACCESS_LINE.format("a=b&pin=1 " * 40 + str(number))) for number in range(1000)]
        items = self.clean(*made)
        assert 10 < len(looked_at) < 100
        assert "12345678" not in json.dumps(items)
        assert "192.0.2.1" not in json.dumps(items)
        assert items[-1]["body"] == FILTERED

    def test_a_second_later_there_is_a_new_one(self, clock):
        made = [item_of(ACCESS_LINE.format("a=b&pin=1 " * 40 + str(number))) for number in range(200)]
        assert self.clean(*made)[-1]["body"] == FILTERED
        clock[0] += 1.5
        (item,) = self.clean(item_of(ACCESS_LINE.format("again")))
        assert "again" in item["body"]

    def test_ordinary_items_are_all_looked_at(self):
        items = self.clean(*[item_of(f"order {number} with token=a1b2c3d4{number}") for number in range(900)])
        assert items[-1]["body"] == f"order 899 with token={FILTERED}"

    def test_lines_of_a_server_are_all_looked_at(self):
        line = (
            '192.0.2.1 - - [10/Oct/2026:13:55:36 +0000] "GET /a?pin=12345678&b={} HTTP/1.1" 200 5 "-" "curl"'
        )
        made = [item_of(line.format(number), **{"logger.name": "gunicorn.access"}) for number in range(1500)]
        items = self.clean(*made)
        assert f"pin={FILTERED}&b=1499" in items[-1]["body"]

    def test_an_event_has_its_own(self):
        self.clean(*[item_of(f"{number} " + "password='aaaaa' " * 24) for number in range(200)])
        event = Redaction(Names()).clean_event({"message": "password='aaaaa' and more"}, {})
        assert event["message"] == f"password='{FILTERED}' and more"

    @needs_logs
    def test_a_request_has_its_own(self, captured, log, count):
        looked_at = count(texts, "_span_of")

        def app(environ, start_response):
            for number in range(400):
                log.info("item %s", f"{number} " + "password='aaaaa' " * 24)
            return fine(environ, start_response)

        wrapped = SentryMiddleware(app, enable_logs=True)
        call(wrapped)
        of_one = len(looked_at)
        call(wrapped)
        assert 500 < of_one < 3000
        assert len(looked_at) == 2 * of_one
        assert "aaaaa" not in json.dumps(bodies(captured))


class TestCookiesOfAJar:
    """https://docs.python.org/3/library/http.cookiejar.html shows a cookie in two ways."""

    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("<Cookie session_id=word for h/>", f"<Cookie session_id={FILTERED} for h/>"),
            ("<Cookie theme=word for h.example:80/a>", f"<Cookie theme={FILTERED} for h.example:80/a>"),
            ("<J[<Cookie a=b for h/>, <Cookie c=d for h/>]>",
             f"<J[<Cookie a={FILTERED} for h/>, <Cookie c={FILTERED} for h/>]>"),
            ("<Cookie a=b>c for you for h/>", f"<Cookie a={FILTERED} for h/>"),
            ("'<Cookie a=wordword...", f"'<Cookie a={FILTERED}"),
            ("[Cookie(version=0, name='a', value='word', port=None)]",
             f"[Cookie(version=0, name='a', value='{FILTERED}', port=None)]"),
            (repr("Cookie(version=0, name='a', value=\"it's\")"),
             repr("Cookie(version=0, name='a', value=\"[Filtered]\")")),
        ],
    )  # fmt: skip
    def test_value_is_hidden(self, text, shown):
        assert clean_text(text, NAMES) == shown
        assert clean_texts([text, "x"], NAMES) == {text: shown}

    @pytest.mark.parametrize(
        "text",
        [
            "<Cookie flag for h/>",
            "<Cookie a= for h/>",
            "a <cookie policy> for us/them>",
            "Version(version=1, name='x', value='y')",
            "we bake <cookie size=big> for you",
            "Cookie(version=0, name='a', value=None, port=None)",
        ],
    )
    def test_innocent_text_stays(self, text):
        assert clean_text(text, NAMES) == text

    def test_element_of_that_name_loses_what_is_in_it(self):
        text = "<Cookie name=sid>hunter22</Cookie>"
        assert clean_text(text, NAMES) == f"<Cookie name=sid>{FILTERED}</Cookie>"


class TestAttachments:
    TEXT = f"first line\r\npassword = '{SECRET}'\r\nold \u20ac line, "

    def cleaned(self, content):
        hint = {"attachments": [Attachment(bytes=content, filename="x.txt")]}
        Redaction(Names()).clean_event({"message": "x"}, hint)
        (found,) = hint["attachments"]
        return found.bytes

    @pytest.mark.parametrize(
        "encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-8-sig"]
    )
    @pytest.mark.parametrize("rest", ["", "\U0001f600", "\udc80"])
    def test_secret_goes_in_every_encoding_of_unicode(self, encoding, rest):
        rest = "" if encoding == "utf-8-sig" else rest
        made = (self.TEXT + rest).encode(encoding, "surrogatepass")
        expected = (self.TEXT.replace(SECRET, FILTERED) + rest).encode(encoding, "surrogatepass")
        assert self.cleaned(made) == expected

    @pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
    def test_text_that_is_mostly_not_ascii(self, encoding):
        made = (("\u4e2d\u6587\u3042" * 6 + "\u4e00") * 12 + self.TEXT).encode(encoding)
        assert SECRET.encode(encoding) not in self.cleaned(made)

    def test_text_that_was_cut_within_a_character(self):
        made = self.TEXT.encode("utf-16")
        assert self.cleaned(made[:-1]) == self.TEXT.replace(SECRET, FILTERED).encode("utf-16")[:-1]

    @pytest.mark.parametrize(
        "content",
        [
            b"",
            b"\0",
            b"\0a",
            bytes(range(256)) * 20,
            b"\x7fELF\x02\x01\x01" + b"\0" * 50 + b"abc\0def\0" * 30,
            b"\xff\xfe",
            b"\xff\xfe\x00",
            b"\xff\xfe\x00\xd8",
            b"\xff\xfe\0\0\xff\xff\xff\xff",
            "nothing in it \u20ac".encode("utf-16"),
            b"".join(number.to_bytes(2, "little") for number in range(500)),
        ],
    )
    def test_others_stay_byte_for_byte(self, content):
        assert self.cleaned(content) == content

    def test_binary_data_is_read_as_before(self):
        content = b"\xff\x00\x01password='" + SECRET.encode() + b"'\xfe\xff"
        assert SECRET.encode() not in self.cleaned(content)


def test_background_job_without_a_request_is_looked_at_to_a_bound(count):
    from sentry_paste.redaction import environs

    looked_at = count(environs, "_members")
    rows = [{"a": [number], "b": {"c": [number]}} for number in range(1000)]
    redaction = Redaction(Names())
    redaction.clean_item(item_of("row"), {})
    assert len(looked_at) <= 200
    assert len(rows) == 1000
    gc.collect()


def test_items_of_a_client_are_hidden_in_whole_where_a_url_is_one_of_many():
    text = "https:\\/\\/a:b1@h " * 5000
    (shown,) = clean_texts([text], NAMES).values()
    assert ":b1" not in shown
    assert shown.count(FILTERED) <= 2001


def test_nearby_is_what_hooks_use():
    assert type(Redaction(Names())._nearby) is nearby.Nearby
