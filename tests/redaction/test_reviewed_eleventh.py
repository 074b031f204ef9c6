"""Findings of an eleventh review, by value: escapes next to a value and within it, names in other scripts."""

import base64
import html
import json
import xml.etree.ElementTree as ET
from urllib.parse import quote

import pytest
from timing import cpu_seconds

from sentry_paste.redaction import values
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import FILTERED, Names


def escapejs(text):
    """Return a text as Django's escapejs has it."""
    signs = "\\'\"><&=-;`\u2028\u2029" + "".join(map(chr, range(32)))
    return "".join(f"\\u{ord(sign):04X}" if sign in signs else sign for sign in text)


def quoted(text):
    return quote(text, safe="")


def in_xml(text):
    """Return a text as ElementTree writes it, which has references for all that is not ASCII."""
    element = ET.Element("a")
    element.text = text
    return ET.tostring(element).decode().removeprefix("<a>").removesuffix("</a>")


def chain(*steps):
    def escape(text):
        for step in steps:
            text = step(text)
        return text

    return escape


def native(text):
    """Return a text as an environ has it (PEP 3333)."""
    return text.encode().decode("latin-1")


def matcher_of(**environ):
    return Matcher(values.of_request(environ, Names()))


MORE = "; ".join(f"c{number}=word{chr(97 + number % 26)}{chr(97 + number // 26)}ing" for number in range(100))


class TestEscapeBeforeAWord:
    """A letter or a digit of an escape is not next to a word, however often the escape is escaped itself."""

    @pytest.mark.parametrize("others", ["", MORE], ids=["alone", "one of many"])
    @pytest.mark.parametrize(
        ("environ", "value"),
        [
            ({"REMOTE_USER": "alice"}, "alice"),
            ({"HTTP_X_API_KEY": "swordfish"}, "swordfish"),
            ({"HTTP_X_API_KEY": "eEay9"}, "eEay9"),
            ({"REMOTE_ADDR": "203.0.113.7"}, "203.0.113.7"),
        ],
    )
    @pytest.mark.parametrize(
        "escape",
        [
            quoted,
            chain(quoted, quoted),
            chain(quoted, quoted, quoted),
            chain(json.dumps, quoted),
            chain(json.dumps, json.dumps, quoted),
            chain(escapejs, escapejs),
            chain(json.dumps, escapejs),
            chain(escapejs, quoted, quoted),
        ],
    )
    @pytest.mark.parametrize("before", [" ", "=", "\n", '"', "\x1b[31m", "\\"])
    def test_word_is_hidden(self, escape, before, environ, value, others):
        shown = escape(f"a{before}{value} b")
        assert matcher_of(HTTP_COOKIE=others, **environ).clean(shown) == shown.replace(value, FILTERED)

    @pytest.mark.parametrize("text", ["%25salice", "2520alice", "u0022alice", "xalice", "5Cnalice"])
    def test_part_of_a_word_stays(self, text):
        assert matcher_of(REMOTE_USER="alice").clean(text) == text

    @pytest.mark.parametrize("unit", ["%25", "%2525252525", "\\u005C", "%5Cu005Cu005C", "%1B%5B1", "%255Bm"])
    def test_time_is_linear(self, unit):
        text = f"{unit}alice" * (400_000 // len(f"{unit}alice"))
        for others in ("", MORE):
            matcher = matcher_of(REMOTE_USER="alice", HTTP_COOKIE=others)
            assert cpu_seconds(lambda matcher=matcher: matcher.clean(text), 1) < 1


class TestReferences:
    @pytest.mark.parametrize(
        "value", ["q8€fh23fh28", "caf\u00e9-7Q8fh23", "\u6f22q8fh23\u5b57kk", "q8fh\u0301\U0001f600z9"]
    )
    @pytest.mark.parametrize("is_read", [True, False], ids=["read as UTF-8", "as in the environ"])
    @pytest.mark.parametrize("more", [str, html.escape, json.dumps, quoted])
    def test_every_character_means_itself(self, value, is_read, more):
        """HTML takes some numbers for characters of Windows-1252, XML does not."""
        shown = more(f"a.{in_xml(value if is_read else native(value))}.b")
        cleaned = matcher_of(HTTP_COOKIE=f"sid={native(value)}").clean(shown)
        assert cleaned == more("a.VALUE.b").replace("VALUE", FILTERED)

    def test_name_with_a_digit_is_read(self):
        shown = "a q8fh&frac12;23fh28&sup2; b"
        assert matcher_of(HTTP_COOKIE=f"sid={native('q8fh½23fh28²')}").clean(shown) == f"a {FILTERED} b"


class TestSignsOfPlainValues:
    @pytest.mark.parametrize("value", ["3f2a17c4-9b0e-4d5f", "q8~fh-23fh~28hf", "ab-cd12-ef~34gh"])
    @pytest.mark.parametrize(
        "escape",
        [
            chain(escapejs, escapejs),
            chain(escapejs, escapejs, escapejs),
            chain(escapejs, escapejs, json.dumps),
            chain(escapejs, escapejs, quoted),
        ],
    )
    def test_dash_is_escaped_more_than_once(self, value, escape):
        shown = escape(f"a.{value}.b")
        cleaned = matcher_of(HTTP_COOKIE=f"sid={value}").clean(shown)
        assert cleaned == escape("a.VALUE.b").replace("VALUE", FILTERED)


class TestBackslashesOfAValue:
    @pytest.mark.parametrize("behind", [" ", ",", "=", ""])
    @pytest.mark.parametrize("escape", [html.escape, chain(html.escape, html.escape), in_xml])
    def test_last_one_is_no_escape_of_what_follows(self, escape, behind):
        cleaned = matcher_of(HTTP_X_API_KEY="Ez5>9Dcaz5k\\").clean(escape(f"a Ez5>9Dcaz5k\\{behind}b"))
        assert cleaned.replace("\\", "") == escape(f"a VALUE{behind}b").replace("VALUE", FILTERED)

    @pytest.mark.parametrize(
        "escape",
        [html.escape, chain(html.escape, html.escape), chain(html.escape, html.escape, html.escape)],
    )
    @pytest.mark.parametrize("value", ['q8<fh\\\\23"fh28\\\\hf', "\\\\q8fh>23\\\\,fh2"])
    def test_each_level_undoes_some(self, escape, value):
        shown = escape(f"a {value} b")
        assert matcher_of(HTTP_X_API_KEY=value).clean(shown) == f"a {FILTERED} b"


class TestNamesInOtherScripts:
    """A name has four characters, not bytes."""

    @pytest.mark.parametrize("name", ["иван", "山田太郎", "Zoë7", "מריה", "Ольга"])
    @pytest.mark.parametrize("escape", [str, repr, ascii, json.dumps, quoted, html.escape, in_xml])
    def test_user_is_hidden(self, name, escape):
        shown = escape(f"no_such_user_{name}_")
        expected = escape("no_such_user_VALUE_").replace("VALUE", FILTERED)
        assert matcher_of(REMOTE_USER=native(name)).clean(shown) == expected

    def test_part_of_a_word_stays(self):
        assert matcher_of(REMOTE_USER=native("иван")).clean("иванова диван") == "иванова диван"


class TestLongValues:
    def test_form_that_begins_alike_does_not_hide_the_value_from_the_search(self):
        value = "'" + "q8,fh" * 20 + "'z9,xk7" * 10
        shown = f"'{value}'"
        assert matcher_of(HTTP_COOKIE=f"sid={value}").clean(shown) in (
            FILTERED,
            f"'{FILTERED}'",
            f"{FILTERED}'",
        )

    def test_base64_is_hidden_from_its_beginning_if_its_signs_are_escaped(self):
        part = "q8fh23fh28hf2zz9"
        value = "".join(f"{chr(97 + number % 26)}>~?{number % 10}" for number in range(200)) + f",{part}"
        encoded = quoted(base64.b64encode(value.encode()).decode())
        assert encoded.count("%") > 20
        cleaned = matcher_of(HTTP_X_API_KEY=value, HTTP_COOKIE=f"sid={part}").clean(f"a {encoded} b")
        assert cleaned == f"a {FILTERED} b"

    @pytest.mark.parametrize("unit", ["%2B", "a%2B", "\\/", "%2Fq8fh23fh28hf2zz9"])
    def test_time_for_signs_is_linear(self, unit):
        part = "q8fh23fh28hf2zz9"
        text = (unit * (400_000 // len(unit))) + base64.b64encode(part.encode()).decode() + unit * 1000
        assert cpu_seconds(lambda: matcher_of(HTTP_X_API_KEY=part).clean(text), 1) < 1
