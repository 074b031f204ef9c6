"""What reviews of redaction have found in names of parameters, each as a test of its kind."""

import time
import tracemalloc
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.redaction import fields, nearby
from sentry_paste.redaction.bounds import Allowances, Bounds, Sharing
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.nearby import Nearby
from sentry_paste.redaction.parameters import clean_parameters, clean_query, secret_parameters
from sentry_paste.redaction.payloads import clean_event, clean_item
from sentry_paste.sdk import DEFAULT_DENYLIST, DEFAULT_PII_DENYLIST

NAMES, OWN = Names(), Names(parameters=["colour"])
SECRET = "q8fh23fh28hf2k7"

WRITTEN = [
    'user["password"]', "user['password']", "user%5B%22password%22%5D", "user[%27password%27]",
    "password/new",
    "password%2Fnew", "password?", "password%3F", "password%23", "%23password%23", "password%5Cnew",
    "password\\new",
    "password%0A", "password%26x", "password%3Bx", "password;x", "password<b>", "password%3Cb%3E",
    "ip+address", "ip%20address", "ip|address", "ip%7Caddress", "remote+addr", "remote%2520addr",
    "x+forwarded+for", "ctl00$Password$txt", "ctl00%24Password%24txt", "new+password+again",
    "password%3Autf8",
    "password:utf8:ustring", "__ac_password%3Astring", "password|x", "password+%28again%29", "code:int",
    "password" + "%20" * 300, "%20" * 300 + "password",
]  # fmt: skip
OF_INI = ["colour|x", "colour;x", "x+colour%21", "colour/1", "colour%22"]


@pytest.mark.parametrize(
    "before", ["", "a=1&", "q=hello+world&", "a=1;", "next=%2Fa%3Fb%3D1&", "/a?", "https://h/a?b=1&"]
)
class TestNameOfAField:
    """A name ends at its sign, whatever it consists of."""

    @pytest.mark.parametrize("names", [NAMES, OWN])
    @pytest.mark.parametrize("name", WRITTEN)
    def test_in_a_query(self, before, name, names):
        if before.endswith(";") and ";" in name:
            pytest.skip("no parser sees such a name there")
        text = f"{before}{name}={SECRET}&page=3"
        for shown in (text, repr(text), repr(text.encode())):
            assert clean_query(shown, names) == shown.replace(SECRET, FILTERED)
        assert SECRET in [value for _, value in secret_parameters(text, names)]

    @pytest.mark.parametrize("name", OF_INI)
    def test_in_a_query_if_the_ini_has_it(self, before, name):
        if before.endswith(";") and ";" in name:
            pytest.skip("no parser sees such a name there")
        text = f"{before}{name}={SECRET}&page=3"
        assert clean_query(text, OWN) == f"{before}{name}={FILTERED}&page=3"
        assert clean_query(text, NAMES) == text

    @pytest.mark.parametrize("names", [NAMES, OWN])
    @pytest.mark.parametrize("name", [name for name in WRITTEN if not set(name) & set("\"'<>?\\;")])
    def test_in_a_line(self, before, name, names):
        line = f'- - [10/Oct/2026] "GET /p?{before}{name}={SECRET}&page=3 HTTP/1.1" 200 5 "-"'
        assert clean_parameters(line, names) == line.replace(SECRET, FILTERED)


def test_sign_in_a_name_leaves_nothing_of_the_value():
    assert clean_query(f"a=1&password%3Dx={SECRET}&page=3", NAMES) == f"a=1&password%3D{FILTERED}&page=3"


@pytest.mark.parametrize("name", sorted({*DEFAULT_DENYLIST, *DEFAULT_PII_DENYLIST}))
@pytest.mark.parametrize("gap", ["_", "-", ".", "+", "%20", "|", ":", "%7C", "%2520", "%3A"])
def test_words_of_a_name_may_have_anything_between_them(name, gap):
    written = name.replace("_", gap)
    if NAMES.is_parameter(written):
        assert clean_query(f"a=1&{written}={SECRET}", NAMES) == f"a=1&{written}={FILTERED}"


@pytest.mark.parametrize(
    "name",
    ["password:utf8:ustring", "__ac_password:string", "ctl00$Password$txt", 'user["password"]', "password|x"],
)
@pytest.mark.parametrize(
    "text", ["{}", "sent {}", "sent '{}'", "https://h/p?{}", "see https://h/p?{} for more"]
)
def test_form_and_url_in_a_text(name, text):
    for pairs in ({name: SECRET}, {"a": 1, name: SECRET, "b": 2}):
        line = text.format(urlencode(pairs))
        assert clean_parameters(line, NAMES) == line.replace(SECRET, FILTERED)


@pytest.mark.parametrize("levels", range(1, 4))
@pytest.mark.parametrize("name", ["new password again", "password:utf8", "ctl00$Password$txt"])
def test_nested_field(name, levels):
    inner = f"/reset?{urlencode({'x': 1, name: SECRET, 'y': 2})}"
    for _ in range(levels):
        inner = quote(inner, safe="")
    assert clean_query(f"next={inner}&page=3", NAMES) == f"next={inner}&page=3".replace(SECRET, FILTERED)


@pytest.mark.parametrize(
    "text",
    [
        "q=session+beans+x=1", "q=cookie+recipe:+flour=200g", "filter=pass%20count%3D3",
        "select=pin,name:x=3",
        "q=token+ring:+a=b", "utm_term=sso+login=best", "q=pass|fail=3", "q=code+of+conduct+=3",
        "q=C%2B%2B+key+value=store", "path=/tokens/abc=def&x=1", "q=what+is+a+pin+code%3F&lang=en",
        "next=https%3A%2F%2Fh%2Fpassword%2Freset%3Fpage%3D1", "/password/reset?page=1",
        "password/reset?page=1",
        "https://h/password/reset?page=1#/tokens/all?page=2", "q=my+tokens&page=3", "spin+lock=2",
    ],
)  # fmt: skip
@pytest.mark.parametrize("names", [NAMES, OWN])
def test_words_in_a_value_or_a_path_are_no_names(text, names):
    assert clean_query(text, names) == text


@given(
    st.text(max_size=20), st.text(max_size=20), st.sampled_from(["password", "token", "sid", "ip address"])
)
def test_whatever_a_form_has_as_a_name(before, after, word):
    name = f"{before}{word}{after}"
    text = urlencode({"a": 1, name: SECRET, "b": 2})
    if NAMES.is_parameter(name):
        assert SECRET not in clean_query(text, NAMES)
        assert SECRET not in clean_parameters(f"GET /p?{text} HTTP/1.1", NAMES)


@pytest.mark.parametrize("name", ["pw#", "pw #", "#pw#", "pw#x", "pw##", "a;token#", "token[#]"])
def test_number_sign_is_part_of_a_name_in_a_query(name):
    assert clean_query(f"a=1&{name}={SECRET}&b=2", NAMES) == f"a=1&{name}={FILTERED}&b=2"
    assert clean_query("#" * 100_000 + name, NAMES) == "#" * 100_000 + name


def test_number_sign_is_part_of_a_name_after_a_semicolon():
    assert clean_query(f"a=1;password#={SECRET}&b=2", NAMES) == f"a=1;password#={FILTERED}&b=2"
    assert clean_query("a=1;#;b=2&c#=3", NAMES) == "a=1;#;b=2&c#=3"


def test_fragment_of_a_url_is_no_name():
    text = "https://token.example/#tab=3"
    assert clean_query(text, NAMES) == text


@given(st.text(alphabet="tokenpiaswrd &;%253D26?#/'\"{}:[]|+", max_size=30))
def test_whatever_parsers_see_as_a_name(name):
    text = f"a=1&{name}={SECRET}&b=2"
    if any(value == SECRET and NAMES.is_parameter(name) for name, value in parse_qsl(text)):
        assert SECRET not in clean_query(text, NAMES)


class TestLimits:
    """Neither time nor memory grows faster than the text."""

    @pytest.mark.parametrize(
        "text",
        [
            "?token|" + "%x" * 420_000,
            "?%41" + "%x" * 149_000,
            "?token|" + "%C3%A9" * 50_000,
            "&token|" * 100_000,
        ],
    )
    @pytest.mark.parametrize("names", [NAMES, OWN])
    def test_names_take_little_memory(self, text, names):
        tracemalloc.start()
        try:
            clean_query(text, names)
            clean_parameters(text, names)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 5 * len(text)

    @pytest.mark.parametrize(
        "piece",
        ["pass|x=1;", "=pass|", "&a=%41", "a=b;", "pass", "&pass|", "ip%25", "%3fpass|%3d", "%26pass|x%3d1"],
    )
    @pytest.mark.parametrize("names", [NAMES, OWN])
    def test_nothing_is_read_again_and_again(self, piece, names):
        # Linear time takes a tenth of a second; to read the rest for each name takes many seconds.
        text = piece * (400_000 // len(piece)) + "x" * 4_000_000
        began = time.thread_time()
        clean_query(text, names)
        clean_parameters(text, names)
        assert time.thread_time() - began < 6

    def test_rest_of_too_many_is_hidden(self):
        text = "&".join(f"colour|{number}=a1" for number in range(2000))
        bounds = Bounds(500, 100_000)
        cleaned = clean_query(text, OWN, bounds)
        assert bounds.are_exceeded
        assert "a1" not in cleaned

    def test_each_field_that_is_a_word_is_free(self):
        bounds = Bounds(0, 1000)
        text = "a=1&user%5Btoken%5D=1&b=2"
        assert not list(
            fields.secret_fields(
                text, text.lower(), (0, len(text)), NAMES, bounds, is_prose=False, is_slow=False
            )
        )
        assert not bounds.are_exceeded


class TestNewNames:
    """Names that no event had before take longer, so an event may have no more of them than any app has."""

    @staticmethod
    def cleaned(tree):
        event = {"extra": {"tree": tree}}
        clean_event(event, Matcher(()), Names())
        return event["extra"]["tree"]

    @pytest.mark.parametrize("name", ["X-aB{}", "X-aB{}-cD-eF", "tokencount{}", "Name {}"])
    def test_values_of_too_many_are_hidden(self, name):
        tree = [{name.format(10 * row + column): "q" for column in range(10)} for row in range(1000)]
        cleaned = self.cleaned(tree)
        values = [value for row in cleaned for value in row.values()]
        assert set(values[-5000:]) == {FILTERED} or set(values[:5000]) == {FILTERED}
        assert [row.keys() for row in cleaned] == [row.keys() for row in tree]

    def test_plain_words_may_be_more(self):
        tree = {f"p{number}": "q" for number in range(5000)}
        assert self.cleaned(dict(tree)) == tree

    def test_those_of_values_next_to_them(self):
        keys = ("name", "key", "field", "param", "parameter", "header", "Name")
        tree = [
            {**{key: f"X-aB{row}-{key}" for key in keys}, "value": "1", "Value": "2"} for row in range(1000)
        ]
        cleaned = self.cleaned(tree)
        assert FILTERED in (cleaned[0]["value"], cleaned[-1]["value"])

    def test_names_that_are_known_are_free(self):
        names, tree = Names(), {f"X-aB{number}": "q" for number in range(800)}
        for _ in range(4):
            event = {"extra": {"trees": [dict(tree) for _ in range(4)]}}
            clean_event(event, Matcher(()), names)
            assert event["extra"]["trees"] == [tree] * 4


class TestManyItems:
    """What a request's items may cost is limited for all of them together."""

    @staticmethod
    def cleaned(attributes, allowances, count):
        items = [{"body": "fetching", "attributes": dict(attributes(number))} for number in range(count)]
        for item in items:
            with Sharing(allowances):
                clean_item(item, Matcher(()), NAMES)
        return [item["attributes"] for item in items]

    def test_parameters_of_urls(self):
        url = "/?" + "&token|x=1" * 500
        shown = self.cleaned(lambda number: {"url": url + str(number)}, Allowances(), 150)
        assert shown[0]["url"].count("x=[Filtered]") == 500
        assert {"url": f"/?&{FILTERED}"} in shown

    def test_ordinary_urls_stay(self):
        url = "/shop/shoes?page=2&sort=asc&lang=en"
        shown = self.cleaned(lambda number: {"url": url}, Allowances(), 2000)
        assert {item["url"] for item in shown} == {url}

    def test_names_of_attributes(self):
        shown = self.cleaned(lambda number: {f"X-aB{number}-cD": "q"}, Allowances(), 5000)
        assert list(shown[0].values()) == ["q"]
        assert [FILTERED] in [list(item.values()) for item in shown]

    def test_each_item_of_an_event_s_has_its_own(self):
        for _ in range(10):
            event = {"extra": {"url": "/?" + "&token|x=1" * 400}}
            clean_event(event, Matcher(()), NAMES)
            assert event["extra"]["url"].count("x=[Filtered]") == 400


class TestRequestsOfAThread:
    """What a thread may spend on the secrets of the requests in its frames within a second."""

    @pytest.fixture(autouse=True)
    def stopped(self, monkeypatch):
        monkeypatch.setattr(nearby.time, "monotonic", lambda: 1000.0)

    @staticmethod
    def environ(number, size=15):
        return {
            "wsgi.input": None,
            "REMOTE_ADDR": f"198.51.100.{number % 200}",
            "HTTP_COOKIE": f"sid={number:0{size}}; csrftoken=Ab3{number:06}dEfGh; _ga=GA1.2.{number:07}.17",
        }

    def test_thousands_of_ordinary_requests_are_searched_for(self):
        found = Nearby(NAMES)
        for number in range(6000):
            assert not found.matcher([self.environ(number)]).is_exceeded

    def test_few_large_ones_are(self):
        found = Nearby(NAMES)
        exceeded = [found.matcher([self.environ(number, 8000)]).is_exceeded for number in range(200)]
        assert not any(exceeded[:20])
        assert all(exceeded[100:])

    def test_items_use_up_nothing_of_what_events_need(self):
        found = Nearby(NAMES)
        exceeded = [found.matcher([self.environ(number, 8000)]).is_exceeded for number in range(200)]
        assert exceeded[-1]
        assert not found.matcher([self.environ(201, 8000)], is_event=True).is_exceeded


@pytest.mark.parametrize(
    "pair",
    [
        ["password reset", "done"], ["secret santa", "party"], ["no token", "x"],
        {"name": "password reset", "value": "enabled"}, {"header": "Cookie policy", "value": "read"},
    ],
)  # fmt: skip
def test_label_that_only_begins_with_a_secret_word_hides_nothing(pair):
    event = {"extra": {"x": {"y": pair}}}
    clean_event(event, Matcher(()), NAMES)
    assert event["extra"]["x"]["y"] == pair


@pytest.mark.parametrize("name", ["new password", "API key", "password (again)", "Password confirmation"])
def test_label_of_a_secret_hides_its_value(name):
    event = {"extra": {"x": {"y": {"name": name, "value": "hunter22zz9q"}}}}
    clean_event(event, Matcher(()), NAMES)
    assert event["extra"]["x"]["y"]["value"] == FILTERED
