"""What servers log of requests: names of gunicorn's, the common log format, parameters by name."""

import datetime
import logging
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.redaction import Matcher, Names
from sentry_paste.redaction.accesslogs import clean_breadcrumb, clean_line, is_access_logger
from sentry_paste.redaction.names import FILTERED
from sentry_paste.redaction.payloads import clean_event, clean_item

from wsgi import environ_of

COMMON = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s"'
PERSONAL = {
    "address": "203.0.113.77",
    "forwarded": "198.51.100.42",
    "user": "alice.liddell",
    "cookie": "q8fh23fh28hf2",
    "tenant": "z9k2m4n6b8v1c3",
    "token": "sesame-open",
    "referer": "mellon-speak",
    "set": "p0o9i8u7y6t5",
}


def record_of_gunicorn(format_, **more):
    """The log record that gunicorn makes of a request, by its own code."""
    glogging = pytest.importorskip("gunicorn.glogging")
    config = pytest.importorskip("gunicorn.config")
    cfg = config.Config()
    cfg.set("accesslog", "-")
    cfg.set("access_log_format", format_)
    logger = glogging.Logger(cfg)
    records = []
    logger.access_log = logging.Logger("gunicorn.access")
    logger.access_log.handle = records.append
    headers = [
        ("X-FORWARDED-FOR", PERSONAL["forwarded"]),
        ("X-SESSION", PERSONAL["cookie"]),
        ("X-ACME", PERSONAL["tenant"]),
        ("X-REQUEST-ID", "771a43a4192642f0b136d5159a501700"),
        ("AUTHORIZATION", "Basic YWxpY2UubGlkZGVsbDp4"),
        ("COOKIE", f"sid={PERSONAL['cookie']}"),
        ("USER-AGENT", "probe/1.0"),
    ]
    environ = environ_of(
        "/shop",
        RAW_URI=f"/shop?page=3&token={PERSONAL['token']}",
        SERVER_PROTOCOL="HTTP/1.1",
        QUERY_STRING=f"page=3&token={PERSONAL['token']}",
        REMOTE_ADDR=PERSONAL["address"],
        HTTP_REFERER=f"https://example.com/?page=4&token={PERSONAL['referer']}",
        **{"HTTP_" + name.replace("-", "_"): value for name, value in headers},
        **more,
    )
    request = SimpleNamespace(headers=headers)
    response = SimpleNamespace(
        status="200 OK",
        sent=12,
        headers=[("Set-Cookie", f"fresh={PERSONAL['set']}"), ("Content-Type", "text/plain")],
    )
    logger.access(response, request, environ, datetime.timedelta(seconds=1))
    return records[0]


def item_of(record):
    """The log item of a record, as the SDK's handler makes it."""
    args = record.args.items() if isinstance(record.args, dict) else enumerate(record.args)
    attributes = {
        f"sentry.message.parameter.{key}": value if isinstance(value, (str, int, float)) else repr(value)
        for key, value in args
    }
    attributes.update({"sentry.message.template": record.msg, "logger.name": record.name})
    return {"severity_text": "info", "body": record.getMessage(), "attributes": attributes}


def cleaned(item):
    clean_item(item, Matcher(()), Names())
    return item


class TestGunicorn:
    def test_no_attribute_and_no_text_is_personal(self):
        item = cleaned(item_of(record_of_gunicorn(COMMON)))
        assert {what for what, text in PERSONAL.items() if text in str(item)} == set()
        assert item["body"].startswith(f"{FILTERED} - {FILTERED} [")
        assert f'"GET /shop?page=3&token={FILTERED} HTTP/1.1" 200 12' in item["body"]
        assert f'"https://example.com/?page=4&token={FILTERED}" "probe/1.0"' in item["body"]

    @pytest.mark.parametrize(
        "format_",
        [
            "%(u)s|%({x-session}i)s|%({X-Acme}i)s|%(q)s|%(f)s|%({x-forwarded-for}i)s",
            "%({remote_addr}e)s %({http_cookie}e)s %({query_string}e)s %({raw_uri}e)s %({set-cookie}o)s",
            '{"remote": "%(h)s", "user": "%(u)s", "session": "%({x-session}i)s", "acme": "%({x-acme}i)s"}',
        ],
    )
    def test_no_format_shows_what_is_personal(self, format_):
        item = cleaned(item_of(record_of_gunicorn(format_)))
        assert {what for what, text in PERSONAL.items() if text in str(item)} == set()

    def test_what_is_ordinary_stays(self):
        record = record_of_gunicorn(
            "%(m)s %(U)s %(s)s %(a)s %({x-request-id}i)s %({content-type}o)s %(D)s %(x)s"
        )
        assert cleaned(item_of(record))["body"] == (
            "GET /shop 200 probe/1.0 771a43a4192642f0b136d5159a501700 text/plain 1000000 -"
        )

    def test_environ_is_secret_by_its_keys(self):
        record = record_of_gunicorn("%({eppn}e)s %({displayname}e)s", eppn="alice@e.org", displayName="Alice")
        assert cleaned(item_of(record))["body"] == f"{FILTERED} {FILTERED}"


class TestOtherServers:
    @pytest.mark.parametrize(
        ("logger", "line", "expected"),
        [
            (  # Paste's TransLogger
                "wsgi",
                '203.0.113.7 - alice [22/Nov/2026:10:15:30 +0100] "GET /a?token=x1&b=2 HTTP/1.1" 200 5',
                f"{FILTERED} - {FILTERED} [22/Nov/2026:10:15:30 +0100] "
                f'"GET /a?token={FILTERED}&b=2 HTTP/1.1" 200 5',
            ),
            (
                "any.other",
                '203.0.113.7 - Alice Liddell [22/Nov/2026:10:15:30 +0100] "GET / HTTP/1.1" 200 5',
                f'{FILTERED} - {FILTERED} [22/Nov/2026:10:15:30 +0100] "GET / HTTP/1.1" 200 5',
            ),
            (  # werkzeug
                "werkzeug",
                '203.0.113.7 - - [22/Nov/2026 10:15:30] "GET /a HTTP/1.1" 200 -',
                f'{FILTERED} - - [22/Nov/2026 10:15:30] "GET /a HTTP/1.1" 200 -',
            ),
            (  # gevent
                "gevent.pywsgi",
                '::ffff:203.0.113.7 - - [2026-11-22 10:15:30] "GET /a HTTP/1.1" 200 9 0.01',
                f'{FILTERED} - - [2026-11-22 10:15:30] "GET /a HTTP/1.1" 200 9 0.01',
            ),
            (  # eventlet
                "nova.wsgi.server",
                '2001:db8::7,203.0.113.7 "GET /a HTTP/1.1" status: 200  len: 9 time: 0.01',
                f'{FILTERED},{FILTERED} "GET /a HTTP/1.1" status: 200  len: 9 time: 0.01',
            ),
            ("tornado.access", "200 GET /a (203.0.113.7) 1.00ms", f"200 GET /a ({FILTERED}) 1.00ms"),
        ],
    )
    def test_line(self, logger, line, expected):
        assert clean_line(line, Names()) == expected
        assert cleaned({"body": line, "attributes": {"logger.name": logger}})["body"] == expected
        crumb = {"category": logger, "message": line}
        clean_breadcrumb(crumb, Names())
        assert crumb["message"] == expected

    def test_parameters_by_position(self):
        args = ("203.0.113.7:4711", "GET", "/a?token=x1&b=2", "1.1", 200)
        record = logging.LogRecord("uvicorn.access", 20, "", 0, '%s - "%s %s HTTP/%s" %d', args, None)
        item = cleaned(item_of(record))
        assert item["body"] == f'{FILTERED}:4711 - "GET /a?token={FILTERED}&b=2 HTTP/1.1" 200'
        assert "203.0.113.7" not in str(item)
        assert "x1" not in str(item)

    def test_parameters_by_name(self):
        args = {"addr": "203.0.113.7", "method": "GET", "path": "/a", "status": 200, "time": "now"}
        template = '[%(time)s] %(addr)s - "%(method)s %(path)s" %(status)d'
        item = cleaned(item_of(logging.LogRecord("granian.access", 20, "", 0, template, (args,), None)))
        assert item["body"] == f'[now] {FILTERED} - "GET /a" 200'

    @pytest.mark.parametrize(
        "line",
        [
            "127.0.0.1 is up", "listening at http://127.0.0.1:8000", "200 GET /shop/basket 1.00ms",
            "GET /orders/8f14e45fceea167a5a36dedd4bea2543 200", "done [2026-11-22]",
        ],
    )  # fmt: skip
    def test_line_without_a_client_stays(self, line):
        assert clean_line(line, Names()) == line

    @pytest.mark.parametrize("name", ["app", "shop.accessories", "wsgi_app", None, 5, "x" * 500])
    def test_logger_of_an_app_is_none(self, name):
        assert not is_access_logger(name)


class TestParametersOfAnyLogger:
    def item(self, template, args, render=None):
        record = logging.LogRecord("shop", 20, "", 0, template, args, None)
        item = item_of(record) if render is None else {"body": render, "attributes": {}}
        return cleaned(item)

    def test_what_is_secret_by_name_is_not_in_the_text_either(self):
        item = self.item("%(who)s has %(password)s", ({"who": "bob", "password": "abc"},))
        assert item["body"] == f"bob has {FILTERED}"
        assert item["attributes"]["sentry.message.parameter.password"] == FILTERED

    def test_value_that_is_in_other_words_costs_these_nothing(self):
        item = self.item("%(pin)s at the spin of 1 pin", ({"pin": "1"},))
        assert item["body"] == f"{FILTERED} at the spin of 1 pin"

    def test_braces_of_the_sdk_s_own_logger(self):
        item = cleaned(
            {
                "body": "seen abc at 5",
                "attributes": {
                    "sentry.message.template": "seen {api_key} at {n}",
                    "sentry.message.parameter.api_key": "abc",
                    "sentry.message.parameter.n": 5,
                },
            }
        )
        assert item["body"] == f"seen {FILTERED} at 5"

    def test_template_with_a_client_s_text_asks_for_nothing(self):
        template = "%(password)s {password:>9999999999} {0.x} %%"
        item = self.item(template, ({"password": "abcd"},), render="abcd {password:>9999999999} {0.x} of")
        assert item["body"] == "abcd {password:>9999999999} {0.x} of"  # it has no parameters
        attributes = {"sentry.message.template": template, "sentry.message.parameter.password": "abcd"}
        item = cleaned({"body": "abcd {password:>9999999999} {0.x} of", "attributes": attributes})
        assert item["body"] == f"{FILTERED} {{password:>9999999999}} {{0.x}} of"

    def test_text_that_cannot_be_made_again_is_its_template(self):
        item = self.item("%(pin)05d of %(who)r", ({"pin": 7, "who": ["x"]},))
        assert item["body"] == "%(pin)05d of %(who)r"

    def test_message_without_secret_parameters_stays(self):
        assert self.item("%s of %d%%", ("a", 5))["body"] == "a of 5%"

    def test_event_of_a_record(self):
        event = {
            "logger": "shop",
            "logentry": {
                "message": "%(who)s has %(password)s",
                "formatted": "bob has abc",
                "params": {"who": "bob", "password": "abc"},
            },
        }
        clean_event(event, Matcher(()), Names())
        assert event["logentry"]["formatted"] == f"bob has {FILTERED}"
        assert event["logentry"]["params"] == {"who": "bob", "password": FILTERED}

    def test_event_of_an_access_log(self):
        event = {
            "logger": "tornado.access",
            "logentry": {
                "message": "%d %s %.2fms",
                "formatted": "500 GET /?token=x1 (203.0.113.7) 1.00ms",
                "params": [500, "GET /?token=x1 (203.0.113.7)", 1.0],
            },
        }
        clean_event(event, Matcher(()), Names())
        assert "203.0.113.7" not in str(event)
        assert "x1" not in str(event)


@given(st.text(alphabet='aA0.:-[]"/?=&@% \n,\xfc', max_size=500))
def test_any_line_has_an_answer(line):
    clean_line(line, Names())


@given(st.text(max_size=20), st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers()))
def test_any_parameters_have_an_answer(template, parameters):
    attributes = {f"sentry.message.parameter.{key}": value for key, value in parameters.items()}
    cleaned({"body": "x", "attributes": {**attributes, "sentry.message.template": template}})
