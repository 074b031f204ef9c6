"""What servers log about requests: gunicorn's names, the common log format, parameters by name."""

import datetime
import json
import logging
import time
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.redaction import Matcher, Names, accesslogs, appearance
from sentry_paste.redaction.accesslogs import Lines, clean_breadcrumb, clean_line, is_access_logger
from sentry_paste.redaction.appearance import looks_secret, without_addresses
from sentry_paste.redaction.names import FILTERED
from sentry_paste.redaction.payloads import clean_event, clean_item

from wsgi_calls import environ_of

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
    """Return the log record for a request, made by gunicorn's own code."""
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
    """Return the log item for a record, made by the SDK's handler."""
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


class TestLineThatOnlyReadsLikeOne:
    @pytest.mark.parametrize(
        "line",
        [
            "unknown field ignored:  [10 1.1.1:1:--,", " unknown field ignored [10 items]",
            "page not found [2026-11-22 10:15:30] /a", "tasks are done [22/Nov/2026:10:15:30] by alice",
            "a b c [10, 11, 12]", "took 1.5 of 2.0 [10 ms]", "12:30 rows of [2026-11-22]", "x - y [17]",
        ],
    )  # fmt: skip
    def test_it_is_of_another_logger(self, line):
        crumb = {"category": "shop", "message": line}
        clean_breadcrumb(crumb, Names())
        assert crumb["message"] == line

    @pytest.mark.parametrize(
        "host",
        ["203.0.113.7", "2001:db8::7", "[2001:db8::7]:4711", "203.0.113.7:4711", "www.example.com", "web1",
         "-", "localhost", "198.51.100.4,203.0.113.7", "unix:", " 203.0.113.7", "fe80::1%eth0"],
    )  # fmt: skip
    @pytest.mark.parametrize(
        "date", ["22/Nov/2026:10:15:30 +0100", "22/Nov/2026 10:15:30", "2026-11-22T10:15:30Z"]
    )
    def test_line_begins_with_a_host(self, host, date):
        crumb = {"category": "shop", "message": f'{host} - alice [{date}] "GET / HTTP/1.1" 200'}
        clean_breadcrumb(crumb, Names())
        shown = host if host == "-" else FILTERED
        assert crumb["message"] == f'{shown} - {FILTERED} [{date}] "GET / HTTP/1.1" 200'


class TestLineOfKeysAndValues:
    @pytest.mark.parametrize(
        ("line", "expected"),
        [
            ('{"ip": "203.0.113.7", "user": "alice", "s": 200}', '{"ip": "*", "user": "*", "s": 200}'),
            ('{"remote_user":"a\\"b, c","status":200}', '{"remote_user":"*","status":200}'),
            ('{"user": 17, "status": 200}', '{"user": *, "status": 200}'),
            ('{"user": {"name": "alice"}, "status": 200}', '{"user": *, "status": 200}'),
            ("{'u': 'alice', 'status': 200}", "{'u': '*', 'status': 200}"),
            ("user=alice liddell status=200", "user=* status=200"),
            ("status=200 remote_user=alice", "status=200 remote_user=*"),
            ('user="alice liddell" status=200', 'user="*" status=200'),
            ("status=200,username=alice,bytes=5", "status=200,username=*,bytes=5"),
            ("u=alice|s=200|remote_addr=203.0.113.7", "u=*|s=200|remote_addr=*"),
            ('client=web1.example.com "GET / HTTP/1.1"', 'client=* "GET / HTTP/1.1"'),
            ('{"time": "10:15:30", "email": "a@example.com"', '{"time": "10:15:30", "email": "*"'),
        ],
    )
    @pytest.mark.parametrize("logger", ["gunicorn.access", "uvicorn.access", "wsgi"])
    def test_person_is_hidden(self, logger, line, expected):
        expected = expected.replace("*", FILTERED)
        assert clean_line(line, Names()) == expected
        assert cleaned({"body": line, "attributes": {"logger.name": logger}})["body"] == expected

    @pytest.mark.parametrize(
        "line",
        [
            '{"user": "-", "status": 200, "user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv=1)"}',
            '{"user": null, "host": "www.example.com", "path": "/a?user=5&u=6"}', "user=- status=200 bytes=5",
            '"GET /a;u=5?user=5&page=3 HTTP/1.1" 200 5', '{"user": "", "method": "GET", "time": "10:15:30"}',
        ],
    )  # fmt: skip
    def test_ordinary_line_stays(self, line):
        assert clean_line(line, Names()) == line

    @pytest.mark.parametrize("sign", ["k=1 ", '"k":"1",', "u=a ", "user=", '"u":'])
    def test_line_of_more_keys_than_are_looked_at_loses_the_others(self, sign):
        assert "alice" not in clean_line(sign * 500 + "user=alice", Names())

    NESTED = (
        '{"request": {"headers": {"x-api-key": "*", "accept": ["a", "b"]}, "m": "GET"}, '
        '"user": {"n": {"k": 1, "t": "}"}, "z": ["a]", ["*"]], "y": "*"}, "uri": "/a?token=*", "status": 200}'
    )

    @pytest.mark.parametrize("times", [0, 1, 2])
    def test_objects_in_objects(self, times):
        line = self.NESTED.replace("*", "swordfish")
        for _ in range(times):
            line = json.dumps({"line": line})
        cleaned_line = clean_line(line, Names())
        assert "swordfish" not in cleaned_line
        assert cleaned_line.count(FILTERED) == 3
        for kept in ("accept", "GET", "uri", "status", "200"):
            assert kept in cleaned_line

    def test_mapping_as_python_shows_it(self):
        line = repr(json.loads(self.NESTED.replace("*", "swordfish")))
        assert clean_line(line, Names()) == line.replace(
            line[line.index("{'n'") : line.index(", 'uri'")], FILTERED
        ).replace("swordfish", FILTERED)

    @pytest.mark.parametrize("end", ["", ', "t": {"a": "swordfish"}, "z": "sword', ', "z": "}}"'])
    def test_object_that_was_cut(self, end):
        assert "sword" not in clean_line(
            f'{{"status": 200, "user": {{"n": {{"k": 1}}, "a": "swordfish{end}', Names()
        )

    @pytest.mark.parametrize("piece", ['"user": {', '"user": "', '\\"', '{"u":[', '"u":\\"', "u='"])
    def test_time_grows_with_the_line(self, piece):
        began = time.thread_time()
        for _ in range(10):
            clean_line((piece * 8192)[:8192], Names())
        assert time.thread_time() - began < 2

    def test_line_that_gunicorn_has_formatted_before(self):
        atoms = {"h": PERSONAL["address"], "u": PERSONAL["user"], "s": 200}
        for format_ in ('{"h": "%(h)s", "user": "%(u)s", "status": %(s)s}', "h=%(h)s u=%(u)s s=%(s)s"):
            item = cleaned({"body": format_ % atoms, "attributes": {"logger.name": "gunicorn.access"}})
            assert {what for what, text in PERSONAL.items() if text in str(item)} == set()
            assert "200" in item["body"]


class TestAllowance:
    LINE = '203.0.113.7 - alice [22/Nov/2026:10:15:30 +0100] "GET /{} HTTP/1.1" 200 5'

    @pytest.fixture
    def looked_at(self, monkeypatch):
        """Count the lines that are looked at one by one."""
        seen = []

        def clean_line(text, names, has_names=False):
            seen.append(text)
            return text.replace("203.0.113.7", FILTERED).replace("alice", FILTERED)

        monkeypatch.setattr(accesslogs, "clean_line", clean_line)
        return seen

    def test_all_breadcrumbs_of_an_event_share_it(self, looked_at):
        names = Names()
        lines = Lines(names)
        crumbs = [{"message": self.LINE.format(str(number) * 4000)} for number in range(100)]
        for crumb in crumbs:
            clean_breadcrumb(crumb, names, lines)
        assert 5 < len(looked_at) < 20
        assert crumbs[-1]["message"] == FILTERED
        assert "alice" not in str(crumbs)

    def test_ordinary_breadcrumbs_are_all_looked_at(self, looked_at):
        names = Names()
        lines = Lines(names)
        crumbs = [{"message": self.LINE.format(number)} for number in range(100)]
        for crumb in crumbs:
            clean_breadcrumb(crumb, names, lines)
        assert len(looked_at) == 100
        assert FILTERED not in [crumb["message"] for crumb in crumbs]

    def test_text_that_is_there_twice_is_looked_at_once(self, looked_at):
        line = self.LINE.format("x" * 4000)
        attributes = {"logger.name": "wsgi", "sentry.message.template": line, "some": line, "other": line}
        item = cleaned({"body": line, "attributes": attributes})
        assert looked_at == [line]
        assert "alice" not in str(item)

    def test_item_of_many_texts_loses_the_last(self, looked_at):
        attributes = {f"a{number}": self.LINE.format(str(number) * 8000) for number in range(50)}
        item = cleaned({"body": "x", "attributes": {"logger.name": "wsgi", **attributes}})
        assert len(looked_at) < 6
        assert "alice" not in str(item)

    @pytest.mark.parametrize(
        "unit", ["1.2.3.4 ", "1::2 ", "1.1.1:1:--,", "a:b:c:d:e:f:1 ", "aB3-x9 ", "a::b,"]
    )
    def test_line_of_nothing_but_parts_is_looked_at_to_a_bound(self, monkeypatch, unit):
        calls = {"_is_of_a_client": 0, "looks_secret": 0}

        def counted(name):
            function = getattr(appearance, name)

            def count(text):
                calls[name] += 1
                return function(text)

            return count

        for name in calls:
            monkeypatch.setattr(appearance, name, counted(name))
        line = clean_line(unit * (8000 // len(unit)) + "203.0.113.77", Names())
        assert max(calls.values()) < 1000
        assert "203.0.113.77" not in line


class TestAddresses:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("ip:2001:db8::1", "ip:*"), ("[2001:db8::1]:443", "[*]:443"), ("2001:db8::7:", "*:"),
            ("1:2:3:4:5:6:7:8", "*"), ("1:2:3:4:5:6:7:8:443", "*"), ("2001:db8::", "*:"), ("at ::2.", "at *"),
            ("2001:db8::1,203.0.113.7", "*,*"), ("fe80::1%eth0", "*%eth0"),
        ],
    )  # fmt: skip
    def test_address_is_hidden(self, text, expected):
        assert without_addresses(text) == expected.replace("*", FILTERED)
        assert looks_secret(text)

    @pytest.mark.parametrize(
        "text",
        ["10:15:30", "2026-11-22T10:15:30:123", "::1", "[::1]:80", "::", "a:b:c", "1:2:3:4:5", "x" * 900],
    )
    def test_what_is_not_a_clients_stays(self, text):
        assert without_addresses(text) == text


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
