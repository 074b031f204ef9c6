"""Values that are personal by their shape: which are found, which are not, and the cost."""

import copy
import json
import re
import time
import warnings

import pytest
import sentry_sdk
from hypothesis import given
from hypothesis import strategies as st
from shapes import CONTEXTS, Ordinary, Personal
from webtest import TestApp

from sentry_paste import ConfigError, SentryMiddleware, sdk
from sentry_paste.client.registry import registry
from sentry_paste.config.own_options import PATTERNS
from sentry_paste.redaction.names import FILTERED
from sentry_paste.redaction.patterns import NAMES, Patterns

from traced_apps import LIFECYCLES, set_span_data
from wsgi_calls import call, environ_of

ALL = Patterns(NAMES)
LOGS = hasattr(sentry_sdk, "logger")
WITH_TRANSACTIONS = {"add_to_transactions": True} if sdk.MAJOR == 2 else {}
WITH_LOGS = {"enable_logs": True} if LOGS else {}
CARD, MAIL, IBAN, PHONE = (
    "4111111111111111",
    "alice@example.com",
    "DE89370400440532013000",
    "+1 (555) 123-4567",
)
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-_1"

# A text, and the cleaned text.
FOUND = {
    "email": [
        ("alice@example.com", ""),
        ("<alice+x@mail.example.co.uk>", "<>"),
        ("to=alice@example.com&a=1", "to=&a=1"),
        ("name%3Dalice%40example.com%26x", "name%3D%26x"),
        ("alice%2540example.com", ""),
        ("alice%2Bx%40example.com", ""),
        ("j%C3%B6rg%40b%C3%BCcher.example", ""),
        ("first\\nalice@example.com\\nlast", "first\\n\\nlast"),
        ("\x1b[1;31malice@example.com", "\x1b[1;31m"),
        ("jörg@bücher.example, 用户@例子.世界", ", "),
        ("邮箱alice@example.com已存在", "已存在"),  # a name may have any letters
        ("bob@xn--bcher-kva.example bob@x.xn--p1ai", " "),
        ("alice@163.com alice@2x.de alice@7x.com", "  "),
        ("alice@corp.internal alice@corp.local 4711@example.com", "  "),
        ("a@b@example.com", "a@"),
        ("/exports/alice@example.com.csv", "/exports/.csv"),
        ("alice@example.com-2024.log", "-2024.log"),
        ("postgresql://app:secret@db.example.com/x", "postgresql://app:/x"),
        ("mailto:alice@example.com?subject=x", "mailto:?subject=x"),
        ("...alice@example.com...", "......"),
    ],
    "credit_card": [
        ("4111111111111111", ""),
        ("4222222222222", ""),
        ("378282246310005 and 30569309025904", " and "),
        ("4111 1111 1111 1111 12/27 123", " 12/27 123"),
        ("4111-1111-1111-1111 12/27", " 12/27"),
        ("4111 1111 1111 1111 2027", " 2027"),
        ("4111 1111 1111 1111 123", " 123"),
        ("4111 1111 1111 1111 5555 5555 5555 4444", ""),
        ("4111-1111-1111-1111 5555-5555-5555-4444", " "),
        ("3782 822463 10005, 3782 8224 6310 005", ", "),
        ("card=4111+1111+1111+1111&", "card=&"),
        ("4111%201111%201111%201111", ""),
        ("4111\u00a01111\u00a01111\u00a01111 4111\u202f1111\u202f1111\u202f1111", " "),
        ("4111\u20111111\u20111111\u20111111", ""),
        ("%224111111111111111%22 %25224111111111111111", "%22%22 %2522"),
        ("\\u00224111111111111111 \\n4111111111111111 \\x0a4111111111111111", "\\u0022 \\n \\x0a"),
        ("卡号4111111111111111已拒绝", "卡号已拒绝"),
        ("order_4111111111111111", "order_"),
        ("1,4111111111111111,12/27", "1,,12/27"),
        ("2024-01-02 12:30:00 4111 1111 1111 1111", "2024-01-02 12:30:00 "),
        ("6759649826438453 3530111333300000 6011111111111117 2223003122003222", "   "),
    ],
    "iban": [
        ("DE89370400440532013000", ""),
        ("DE89 3704 0044 0532 0130 00", ""),
        ("GB82 WEST 1234 5698 7654 32 MORE", " MORE"),
        ("BE68 5390 0754 7034 BE68 5390 0754 7034", " "),
        ("AB12 CD34 DE89 3704 0044 0532 0130 00", "AB12 CD34 "),
        ("de89370400440532013000", ""),
        ("iban=DE89+3704+0044+0532+0130+00&x", "iban=&x"),
        ("DE89%203704%200044%200532%200130%2000", ""),
        ("%22DE89370400440532013000%22 \\nDE89370400440532013000", "%22%22 \\n"),
        ("\\ntl380080012345678910157", "\\n"),
        ("MT84 MALT 0110 0001 2345 MTLC AST0 01S, NO93 8601 1117 947", ", "),
    ],
    "jwt": [
        (JWT, ""),
        ("eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", ""),
        ("Bearer%20" + JWT, "Bearer%20"),
        ("sess_" + JWT, "sess_"),
        ("eyJhbGciOiJkaXIiLCJlbmMiOiJBIn0..iv.text.tag", ""),
        ("eyJhbGciOiJIUzI1NiJ9..signature", ""),
        ("'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx...'", "''"),  # cut off
        ("eyAiYWxnIjoiSFMyNTYifQ.eyAic3ViIjoiMSJ9.abc", ""),
        ("ewogICJhbGciOiAiSFMyNTYiCn0.ewogICJzdWIiOiAiMSIKfQ.abc", ""),
        ("'ewogICJhbGciOiAiSFMyNTYiCn0.ewogICJzdWIiOiAi...'", "''"),
    ],
    "phone": [
        ("+1 (555) 123-4567", ""),
        ("+15551234567 +1.555.123.4567 +1-555-123-4567", "  "),
        ("+1 555 123 4567 200", " 200"),
        ("+15551234567x12", "x12"),
        ("+44 20 7946 0958, +49 (0)30/1234567, +33 1 23 45 67 89", ", , "),
        ("+420123456789 +298 211 000", " "),
        ("%2B15551234567 %2B44%2020%207946%200958 %2B44+20+7946+0958", "  "),
        ("(555) 123-4567 555-123-4567 1-800-555-1234", "  "),
        ("%28555%29%20123-4567 %28555%29-123-4567 (555)-123-4567 1 (555)-123-4567", "   "),
        ("\\u002b15551234567 \\u002B44 20 7946 0958 \\x2b15551234567 \\\\u002b15551234567", "   \\"),
        ("tel:+1-555-123-4567 tel:5551234567. TEL:555-1234 tel%3A%2B15551234567", " .  "),
        ("\\n+15551234567 \\n555-123-4567", "\\n \\n"),
        ("+44\u00a020\u00a07946\u00a00958 +44 20\u20117946\u20110958", " "),
    ],
}
STAYS = {
    "email": [
        "user@host root@localhost user@10.0.0.1 root@web01",
        "git@github.com:org/repo ssh://git@gitlab.example.com/x",
        "package@1.2.3 package@v1.2.3-rc.alpha @scope/name@4.17.21 react@^18.2.0",
        "image@2x.png icon@1.5x.webp photo@home.jpg main@hash.js icon@2x.heic icon@3x.min.js",
        "celery@web1.example.com celery@host.local 4711@web1.local 4711@ip-10-0-0-1.compute.internal",
        "root@localhost.localdomain 4711@box.lan 4711@box.home",
        "@foo.bar\n@app.route('/x')\n\\n@foo.bar",
        "%(asctime)s@example.com %s@example.com '%@example.com' {user}@example.com",
        "getty@tty1.service user@1000.service",
        "com.example.Foo@1a2b3c4d x@w.T a @ b.c",
        "@example.com %40example.com",
    ],
    "credit_card": [
        "4111111111111112",  # wrong check digit
        "1700000000000 1700000000000000 1700000000000000000",
        "4006381333931 5901234123457",  # EAN
        "0.4111111111111111 4111111111111111.00 4111111111111111e5",
        "x4111111111111111 4111111111111111x 0x4111111111111111",
        "9999994111111111111111 41111111111111111111",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-4111111111111111-01",
        "12-4111111111111111 4111111111111111-12",
        "4052 8735 1967 5754 5682 9789 2877",
        "4111 1111-1111 1111",
        "7111111111111111 2011111111111115",
    ],
    "iban": [
        "DE88370400440532013000",  # wrong check digits
        "DE8937040044053201300 DE893704004405320130000",
        "XX89370400440532013000 XDE89370400440532013000",
        "6159d5fa  be80 a6aa cc15 1ec5 921d d0cf 9b0c d42d",
        "dE89370400440532013000",
    ],
    "jwt": [
        "eyJ1c2VyIjoxfQ.ZxYz.sig",
        "eyJhbGciOiJIUzI1NiJ9",
        "a.b.c",
        "eyJ",
        "eyJhbGciOiJIUzI1NiJ9.other",
        "ewogICJhIjogMSwgImIiOiAyCn0.ewogICJzdWIiOiAiMSIKfQ.abc",
        "brewownership.and.more",
    ],
    "phone": [
        "+00:00 +0200 2024-01-02T03:04:05+12:45 GMT+1 2024-01-02",
        "1.0+20240102 +20 000 000 +1 234 567 +12345678",
        "+3.14159265 +31.41592653589793 +45 123.50",
        "hotel:12345 a+15551234567 ++15551234567",
        "2024-123-4567 1555-123-4567 555-123-45678 555-123-4567-8 123-123-4567",
        "(123) 456-7890 555.123.4567 127.0.0.1:8080",
        "4bf92f35-7b34-4da6-a3ce-929d0e0e4736",
        "+999 123 456 789",
        "\\u002b00:00 \\u002b12 \\u00215551234567 a\\u002b15551234567",
    ],
}


def cases(table):
    return [
        pytest.param(name, case, id=f"{name} {case!r}"[:60])
        for name, texts in table.items()
        for case in texts
    ]


def test_option_takes_the_patterns_that_there_are():
    assert set(PATTERNS) == set(NAMES)


class TestTexts:
    @pytest.mark.parametrize(("name", "case"), cases(FOUND))
    def test_what_is_personal_goes_and_what_is_next_to_it_stays(self, name, case):
        text, left = case
        assert Patterns([name]).clean(text).replace(FILTERED, "") == left
        assert ALL.clean(text).replace(FILTERED, "") == left

    @pytest.mark.parametrize(("name", "text"), cases(STAYS))
    def test_what_only_looks_similar_stays(self, name, text):
        assert Patterns([name]).clean(text) == text

    @pytest.mark.parametrize("name", NAMES)
    def test_nothing_is_looked_for_that_was_not_asked_for(self, name):
        secrets = f"{MAIL} {CARD} {IBAN} {JWT} {PHONE}"
        assert Patterns([name]).clean(secrets).count(FILTERED) == 1
        assert Patterns(set(NAMES) - {name}).clean(secrets).count(FILTERED) == len(NAMES) - 1

    @pytest.mark.parametrize("name", NAMES)
    def test_at_most_one_of_10000_ordinary_values_is_hidden(self, name):
        values = Ordinary(1).values(60_000)
        hidden = {}
        for begin in range(0, len(values), 500):
            hidden.update(Patterns([name]).clean_all(values[begin : begin + 500]))
        assert len(hidden) <= len(values) / 10_000, hidden

    @pytest.mark.parametrize("context", CONTEXTS)
    @pytest.mark.parametrize("name", NAMES)
    def test_all_that_is_made_is_found_in_every_context(self, name, context):
        made, (before, after, written) = Personal(2), CONTEXTS[context]
        for _ in range(60):
            value = written(getattr(made, name)())
            for patterns in (Patterns([name]), ALL):
                left = patterns.clean(before + value + after)
                assert left.startswith(before + FILTERED), before + value + after
                assert value not in left

    def test_two_texts_are_not_taken_for_one(self):
        assert ALL.clean_all(["4111 1111", "1111 1111", "alice@", "example.com"]) == {}

    def test_only_texts_that_change_are_returned(self):
        assert ALL.clean_all(["a", MAIL, "b", f"x {CARD}", MAIL]) == {
            MAIL: FILTERED,
            f"x {CARD}": f"x {FILTERED}",
        }

    @given(st.text())
    def test_any_text_is_taken(self, text):
        assert ALL.clean(ALL.clean(text)) == ALL.clean(text)

    @given(st.text(alphabet="+-@.%:0123456789 AaeyJDEcom2\\n()[]\u00a0\ud800é"))
    def test_any_text_of_the_right_shape_is_accepted(self, text):
        cleaned = ALL.clean(text)
        assert len(cleaned) <= len(text) + 10 * cleaned.count(FILTERED)

    @given(st.text(max_size=20), st.sampled_from([MAIL, CARD, IBAN, JWT]), st.text(max_size=20))
    def test_what_is_personal_is_found_in_any_text(self, before, value, after):
        assert value not in ALL.clean(f"{before} {value} {after}")

    def test_there_is_no_other_pattern(self):
        with pytest.raises(ValueError, match="not 'ssn'"):
            Patterns(["email", "ssn"])

    def test_without_patterns_nothing_is_looked_for(self):
        assert not Patterns()
        assert Patterns().clean(MAIL) == MAIL


class TestEvents:
    def test_all_texts_and_keys_and_numbers(self):
        event = {
            "message": f"of {MAIL}",
            "extra": {f"sent to {MAIL}": [1, {"card": int(CARD), "no": 4111111111111112}], CARD: {IBAN: JWT}},
            "tags": {"who": MAIL},
            "user": {"id": CARD, "email": MAIL},
            "fingerprint": ["{{ default }}", PHONE],
        }
        ALL.clean_event(event)
        assert event == {
            "message": f"of {FILTERED}",
            "extra": {
                f"sent to {FILTERED}": [1, {"card": FILTERED, "no": 4111111111111112}],
                FILTERED: {FILTERED: FILTERED},
            },
            "tags": {"who": FILTERED},
            "user": {"id": FILTERED, "email": FILTERED},
            "fingerprint": ["{{ default }}", FILTERED],
        }

    def test_what_the_protocol_defines_stays(self):
        own = {"span_id": CARD, "trace_id": CARD, "parent_span_id": CARD, "timestamp": CARD}
        event = {
            "event_id": CARD,
            "release": MAIL,
            "environment": MAIL,
            "dist": CARD,
            "timestamp": CARD,
            "sdk": {"name": MAIL},
            "modules": {MAIL: "1"},
            "contexts": {"trace": {**own, "dynamic_sampling_context": {"trace_id": CARD, "release": MAIL}}},
            "spans": [dict(own)],
            "breadcrumbs": {"values": [dict(own)]},
        }
        before = copy.deepcopy(event)
        ALL.clean_event(event)
        assert event == before

    def test_what_has_the_same_name_elsewhere_is_hidden(self):
        event = {
            "extra": {"release": MAIL, "span_id": CARD},
            "contexts": {"trace": {"data": {"span_id": CARD}}},
        }
        ALL.clean_event(event)
        assert event["extra"] == {"release": FILTERED, "span_id": FILTERED}
        assert event["contexts"]["trace"]["data"] == {"span_id": FILTERED}

    def test_trace_that_envelopes_name(self):
        context = {"transaction": f"/users/{MAIL}", "public_key": "k"}
        event = {
            "contexts": {"trace": {"dynamic_sampling_context": context}},
            "transaction": f"/users/{MAIL}",
        }
        ALL.clean_event(event)
        assert context == {"transaction": f"/users/{FILTERED}", "public_key": "k"}
        assert event["transaction"] == f"/users/{FILTERED}"

    def test_two_keys_that_are_hidden_are_still_two(self):
        event = {"extra": {MAIL: 1, "bob@example.com": 2, f"{FILTERED} 2": 3, CARD: 4}}
        ALL.clean_event(event)
        assert sorted(event["extra"].values()) == [1, 2, 3, 4]
        assert "example" not in json.dumps(event)

    def test_many_keys_that_are_hidden_take_little_time(self):
        more = {"extra": {f"user{number}@example.com": number for number in range(100_000)}}
        assert _seconds(lambda: ALL.clean_event(more)) < 5
        assert len(more["extra"]) == 100_000

    def test_remarks_stand_under_keys_that_are_hidden_too(self):
        event = {"extra": {MAIL: FILTERED}, "_meta": {"extra": {MAIL: {"": {"rem": [["!config", "s"]]}}}}}
        ALL.clean_event(event)
        assert event["_meta"]["extra"] == {FILTERED: {"": {"rem": [["!config", "s"]]}}}

    def test_items_do_not_change_what_they_share(self):
        attributes = {
            "a": MAIL,
            "b": [MAIL, "c"],
            "sentry.trace.parent_span_id": CARD,
            "n": int(CARD),
            "t": (MAIL,),
        }
        item = {
            "body": f"of {MAIL}",
            "trace_id": CARD,
            "span_id": CARD,
            "value": int(CARD),
            "attributes": attributes,
        }
        before = copy.deepcopy(attributes)
        ALL.clean_item(item)
        assert attributes == before
        assert item == {
            "body": f"of {FILTERED}",
            "trace_id": CARD,
            "span_id": CARD,
            "value": int(CARD),
            "attributes": {
                "a": FILTERED,
                "b": [FILTERED, "c"],
                "sentry.trace.parent_span_id": CARD,
                "n": FILTERED,
                "t": [FILTERED],
            },
        }

    def test_files_that_are_no_text_stay(self):
        assert ALL.clean_file(f"\x89PNG\0 {MAIL}") == f"\x89PNG\0 {MAIL}"
        assert ALL.clean_file(f"line\n{MAIL}") == f"line\n{FILTERED}"

    def test_texts_with_too_many_candidates_are_hidden(self):
        event = {
            "event_id": "4" * 32,
            "message": " ".join([CARD[:-1] + "2"] * 5000),
            "extra": {"harmless": "words", "other": "1 number"},
        }
        ALL.clean_event(event)
        assert event["event_id"] == "4" * 32
        assert event["message"] == FILTERED
        assert event["extra"] == {"harmless": "words", "other": FILTERED}

    def test_as_much_as_people_write_is_looked_at(self):
        text = "\n".join(f"{number:05} sent to user{number}@example.com in 12 ms" for number in range(900))
        assert ALL.clean(text).count("sent to [Filtered] in 12 ms") == 900


# Text made to keep a search busy.
HOSTILE = {
    f"{text!r}": text
    for text in [
        "1 ", "1-", "4", "0", "a", "A", "%", "+", "@", "-", "(", "\\n", "[1m", "é", "日@", "\U0001f600@",
        "a@", "@a.", "a@a", "....@....", "@@@", "@b.", "@bb.", "a%40", "%40b.", "%25", "%22", "%224", "%2540",
        "eyJ", "eyJ ", "-eyJ", "eyJa.", "eyJaaaaaaaaaaaa ", "eyJaaaaaaaaaaaa..", f"{JWT} ",
        "+1", "+1-1", "+1+", "+1(2)", "+1 1 1 1 1 1 1 1 ", "+15551234567 ", "%2B1", "tel:", "tel:5551234567 ",
        "555-123-4567 ", "000-0000 ", "(555)", "(555) ", "4a", "44444a", "444444444444a", "444444444444 ",
        "4111 ", "4444 4444-", f"{CARD} ", f"{CARD[:-1]}2 ", "4111 1111 1111 1111,", "1700000000000, ",
        "AA00", "AA00 ", "NO11 ", "aa00 ", "DE89 ", f"{IBAN} ", "DE89%20", "\\aDE89", "a@bb.cc ", f"{MAIL}\n",
        f"{CARD},{MAIL},{IBAN},{PHONE},{JWT} ", "@aaaa.aaaa.aaaa.aaaa.aaaa.aaaa.a1 ", "%40%C3%BC",
        "x" * 1000 + "@b ", "tel",
    ]
}  # fmt: skip


def _seconds(work):
    begun = time.thread_time()
    work()
    return time.thread_time() - begun


class TestTime:
    """A megabyte takes about 20 ms; in quadratic time it would take minutes."""

    @pytest.mark.parametrize("what", HOSTILE)
    def test_a_megabyte_takes_little_time_whatever_it_is(self, what):
        text = HOSTILE[what] * (1_000_000 // len(HOSTILE[what]))
        assert _seconds(lambda: ALL.clean(text)) < 5
        # One of each, so that every search runs.
        with_all = f"{MAIL} {CARD} {IBAN} {JWT} {PHONE} a%40b.cc {text}"
        assert _seconds(lambda: ALL.clean(with_all)) < 5

    @pytest.mark.parametrize("tail", ["@example.com", "%40example.com", f" {CARD}", f"{IBAN}", f".{JWT}"])
    @pytest.mark.parametrize("unit", ["a", "1", "a.", "%2B", "é", "1 ", "+", "eyJ"])
    def test_what_is_before_something_takes_little_time(self, unit, tail):
        text = unit * (1_000_000 // len(unit)) + tail
        assert _seconds(lambda: ALL.clean(text)) < 5

    def test_many_short_texts_take_little_time(self):
        event = {"extra": {str(number): [f"{number}@", "+1", "4111"] for number in range(30_000)}}
        assert _seconds(lambda: ALL.clean_event(event)) < 5


class TestFromTheIni:
    @pytest.fixture
    def ini(self, load):
        def ini(*options):
            lines = ["[filter:sentry]", "use = egg:sentry_paste", "traces_sample_rate = 1.0", *options]
            app = ["[app:main]", "paste.app_factory = apps:make_app", "filter-with = sentry"]
            return load("\n".join([*lines, *app]))

        return ini

    @pytest.mark.parametrize("text", ["email iban", "email, IBAN", "\n    email\n    iban"])
    def test_names_by_blank_comma_and_line(self, ini, captured, text):
        assert ini(f"redact_patterns = {text}").settings.redact_patterns == {"email", "iban"}

    @pytest.mark.parametrize(
        ("wrong", "near"), [("emial", "email"), ("credit-card", "credit_card"), ("ibans", "iban")]
    )
    def test_unknown_name_is_a_mistake_that_names_the_nearest(self, ini, wrong, near):
        with pytest.raises(ConfigError, match=rf"not '{wrong}'; did you mean {near}\?"):
            ini(f"redact_patterns = phone {wrong}")

    def test_name_that_is_near_none_is_refused_with_the_list(self, ini):
        with pytest.raises(ConfigError, match="expected none, or any of email, credit_card, iban, jwt"):
            ini("redact_patterns = qqq")

    def test_unknown_name_in_python_code_is_a_mistake(self, captured):
        with pytest.raises(ConfigError, match="redact_patterns"):
            SentryMiddleware(lambda environ, start_response: [], redact_patterns=["emial"])

    def test_settings_that_differ_share_no_client(self, ini, captured):
        assert ini("redact_patterns = email").client is not ini("redact_patterns = jwt").client

    @pytest.mark.parametrize("pii", ["true", "false"])
    def test_request_of_an_event_and_a_transaction(self, ini, captured, pii):
        app = TestApp(ini("redact_patterns = email credit_card", f"send_default_pii = {pii}"))
        with pytest.raises(ValueError, match="in the call"):
            app.get(
                f"/crash?who=alice%40example.com&card=4111+1111+1111+1111&page={IBAN}",
                headers={"X-Page": CARD},
            )
        sent = _bytes_sent(captured)
        assert b"crash" in sent
        assert IBAN.encode() in sent  # that was not asked for
        # Four digits may be in a random id.
        assert re.search(rb"alice|1111\W?1111", sent) is None
        assert captured.transactions
        assert captured.errors[0]["request"]["query_string"].startswith("who=[Filtered]&card=[Filtered]")


def _bytes_sent(captured):
    for client in registry.clients():
        client.flush()
    sentry_sdk.get_client().flush()
    assert captured
    return b"\n".join(envelope.serialize() for envelope in captured)


SECRETS = {"email": MAIL, "credit_card": CARD, "iban": IBAN, "jwt": JWT, "phone": PHONE}


def everything(environ, start_response):
    """Send each secret by each channel."""
    for name, secret in SECRETS.items():
        sentry_sdk.set_tag(f"tag {name}", secret)
        sentry_sdk.set_context(f"context {name}", {"deep": [{"er": secret}], f"key {secret}": 1})
        sentry_sdk.set_extra(name, {secret: f"in {secret}"})
        sentry_sdk.add_breadcrumb(message=f"crumb {secret}", category=secret, data={"a": secret})
        data = {"of": [secret], f"key {secret}": secret}
        set_span_data(sdk.start_child_span("db", f"SELECT '{secret}'"), **data)
        local = [secret]  # noqa: F841
        if LOGS:
            sentry_sdk.logger.error("logged " + secret, attributes={"of": secret})
    if LOGS and hasattr(getattr(sentry_sdk, "metrics", None), "count"):
        sentry_sdk.metrics.count("counted", 1, attributes={"of": MAIL})
    sentry_sdk.set_user({"id": CARD, "email": MAIL, "username": IBAN})
    sentry_sdk.get_current_scope().set_transaction_name(f"/of/{MAIL}", source="route")
    sentry_sdk.get_isolation_scope().add_attachment(
        bytes="\n".join(SECRETS.values()).encode(), filename=f"{MAIL}.txt", **WITH_TRANSACTIONS
    )
    sentry_sdk.capture_message(f"of {MAIL}", level="error")
    raise ValueError(" ".join(SECRETS.values()))


def _found(sent):
    return {name for name, secret in SECRETS.items() if secret.encode() in sent}


class TestChannels:
    @pytest.mark.parametrize("lifecycle", LIFECYCLES)
    @pytest.mark.parametrize("pii", [True, False])
    def test_nothing_leaves_by_any(self, captured, pii, lifecycle):
        options = {} if lifecycle == "static" else {"trace_lifecycle": "stream"}
        call(
            SentryMiddleware(
                everything, redact_patterns="email credit_card iban jwt phone", send_default_pii=pii,
                traces_sample_rate=1.0, **WITH_LOGS, **options,
            ),
            environ_of("/a", REMOTE_USER=MAIL, HTTP_X_PAGE=CARD, QUERY_STRING=f"a={IBAN}&t={JWT}"),
        )  # fmt: skip
        sent = _bytes_sent(captured)
        assert _found(sent) == set()
        assert sent.count(b"[Filtered]") > 50

    @pytest.mark.parametrize("pii", [True, False])
    def test_all_leave_by_them_unless_asked(self, captured_unchecked, pii):
        call(SentryMiddleware(everything, send_default_pii=pii, traces_sample_rate=1.0), environ_of("/a"))
        assert _found(_bytes_sent(captured_unchecked)) == set(SECRETS)

    def test_client_of_the_app_s_own(self, monkeypatch):
        from sentry_paste.testing import CapturedEnvelopes, MemoryTransport

        captured = CapturedEnvelopes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of send_default_pii
            options = sdk.for_client({"send_default_pii": True, "traces_sample_rate": 1.0})
            sentry_sdk.init(transport=MemoryTransport(captured), **options)
        call(
            SentryMiddleware(everything, redact_patterns="email credit_card iban jwt phone"), environ_of("/a")
        )
        assert _found(_bytes_sent(captured)) == set()

    @pytest.mark.parametrize("pii", [True, False])
    def test_what_fails_is_stripped(self, captured, monkeypatch, pii):
        def fail(*args):
            raise RuntimeError("broken")

        monkeypatch.setattr(Patterns, "clean_all", fail)
        call(
            SentryMiddleware(everything, redact_patterns="email", send_default_pii=pii, **WITH_LOGS),
            environ_of("/a"),
        )
        sent = _bytes_sent(captured)
        assert _found(sent) == set()
        assert captured.errors[0]["tags"] == {"sentry_paste.redaction": "failed"}

    def test_check_ins_keep_their_monitor(self, captured):
        from sentry_sdk.crons import capture_checkin

        def app(environ, start_response):
            capture_checkin(monitor_slug=CARD, status="ok")
            return []

        call(SentryMiddleware(app, redact_patterns="credit_card"), environ_of("/a"))
        assert CARD.encode() in _bytes_sent(captured)

    def test_without_the_option_nothing_is_looked_for(self, captured, monkeypatch):
        def fail(*args):
            raise AssertionError

        for name in ("clean_event", "clean_item", "clean_all", "clean_file"):
            monkeypatch.setattr(Patterns, name, fail)
        call(SentryMiddleware(everything, traces_sample_rate=1.0), environ_of("/a"))
        assert captured.errors[0]["message"] == f"of {MAIL}"
