"""Which parameters are secret, and how they are redacted in queries, URLs and forms."""

import json
import time
from urllib.parse import quote, unquote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.redaction import encoded, names
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.encoded import lower_case
from sentry_paste.redaction.headers import clean_baggage
from sentry_paste.redaction.names import FILTERED, Names, Rule
from sentry_paste.redaction.parameters import clean_parameters, clean_query, secret_parameters
from sentry_paste.sdk import DEFAULT_DENYLIST, DEFAULT_PII_DENYLIST

SECRET_PARAMETERS = [
    "token", "access_token", "accessToken", "csrf_token", "password", "newPassword", "passwd", "pwd",
    "secret", "client_secret", "api_key", "apikey", "key", "X-Amz-Signature", "sig", "auth", "session",
    "sessionid", "PHPSESSID", "jwt", "id_token", "authenticity_token", "user%5Btoken%5D", "private_key",
]  # fmt: skip

ORDINARY_PARAMETERS = [
    "page", "q", "lang", "theme", "author", "keyword", "keywords", "monkey", "size", "side", "inside",
    "sort", "order", "next", "redirect", "state", "id", "name", "limit",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET_PARAMETERS)
def test_parameter_is_secret(name):
    assert Names().is_parameter(name)
    assert clean_parameters(f"a=1&{name}=x#b", Names()) == f"a=1&{name}={FILTERED}#b"


@pytest.mark.parametrize("name", ORDINARY_PARAMETERS)
def test_parameter_is_ordinary(name):
    assert not Names().is_parameter(name)
    assert clean_parameters(f"?{name}=x;b=2", Names()) == f"?{name}=x;b=2"


def test_parameter_is_added_by_name_or_glob():
    own = Names(parameters=["colour", "x_*"])
    for clean in (clean_parameters, clean_query):
        assert clean("colour=1&x_a=2&y=3", own) == f"colour={FILTERED}&x_a={FILTERED}&y=3"
        assert clean("next=%2F%3Fcolour%3D1%26y%3D3", own) == f"next=%2F%3Fcolour%3D{FILTERED}%26y%3D3"
    assert own.key_rule("colour") is Rule.SECRET


@given(st.text())
def test_text_without_secret_parameters_stays(text):
    text = text.replace("=", "")
    assert clean_parameters(text, Names()) == text


@given(st.lists(st.tuples(st.sampled_from(ORDINARY_PARAMETERS), st.text(alphabet="abc%20+-", max_size=9))))
def test_ordinary_parameters_stay(pairs):
    query = "&".join(f"{name}={value}" for name, value in pairs)
    assert clean_parameters(query, Names()) == query


NAMES = Names()


def nested(levels, inner="/reset?token=k7-0123456789&page=3", name="next"):
    """A URL in a URL in a URL; each level is percent-encoded once more."""
    for _ in range(levels):
        inner = f"/login?{urlencode({name: inner})}&lang=en"
    return inner


class TestNested:
    @pytest.mark.parametrize("levels", range(6))
    def test_parameter_of_a_url_in_a_url_goes_in_place(self, levels):
        url = nested(levels)
        value = "k7-0123456789"
        assert clean_query(url, NAMES) == url.replace(value, FILTERED)
        assert clean_query(url.partition("?")[2], NAMES) == url.partition("?")[2].replace(value, FILTERED)
        text = f"GET {url} HTTP/1.1"
        assert clean_parameters(text, NAMES) == text.replace(value, FILTERED)

    @pytest.mark.parametrize("levels", range(6))
    def test_nested_value_is_given_as_it_stands_and_decoded(self, levels):
        found = dict.fromkeys(secret_parameters(nested(levels, "/?token=a%2Fb%3Dc-12345"), NAMES))
        raw = "a%2Fb%3Dc-12345"
        for _ in range(levels):
            raw = quote(raw, safe="")
        assert ("token", raw) in found
        assert ("token", "a%2Fb%3Dc-12345") in found

    def test_what_is_nested_deeper_than_anything_is_hidden_with_the_parameter_that_holds_it(self):
        url = nested(9)
        assert clean_query(url, NAMES) == f"/login?next={FILTERED}&lang=en"
        bounds = Bounds(100, 1000)
        secret_parameters(url, NAMES, bounds)
        assert bounds.are_exceeded

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ('{"password":"%s","page":3}', '{"password":"{}","page":3}'),
            ('{"page": 3, "password": "%s"}', '{"page": 3, "password": "{}"}'),
            ('{"user":{"api_key":"%s"}}', '{"user":{"api_key":"{}"}}'),
            ('{"password":"a\\"%s"}', '{"password":"{}"}'),
            ('{"password":48151,"page":"%s"}', '{"password":{},"page":"%s"}'),
        ],
    )
    @pytest.mark.parametrize("levels", range(4))
    def test_member_of_json_in_a_parameter_goes_in_place(self, query, expected, levels):
        marker = "FILTERED"
        found, cleaned = query % "hunter2", expected.replace("%s", "hunter2").replace("{}", marker)
        for _ in range(levels):
            found, cleaned = quote(found, safe=""), quote(cleaned, safe="")
        text = f"filter={found}&page=3"
        assert clean_query(text, NAMES) == f"filter={cleaned.replace(marker, FILTERED)}&page=3"

    def test_list_in_json_takes_what_else_is_in_the_parameter_with_it(self):
        text = f"filter={quote(json.dumps({'password': ['hunter2', 'hunter3'], 'x': 1}))}&page=3"
        cleaned = clean_query(text, NAMES)
        assert "hunter" not in unquote(cleaned)
        assert cleaned.endswith(f"{FILTERED}&page=3")

    def test_ampersand_ends_a_value_in_json_that_nothing_closes(self):
        text = 'filter={"password":"hunter2\\"hunter3&page=3&x="y"'
        assert clean_query(text, NAMES) == f'filter={{"password":"{FILTERED}&page=3&x="y"'

    @pytest.mark.parametrize("levels", range(5))
    def test_name_in_brackets(self, levels):
        url = nested(levels, "/reset?user%5Btoken%5D%5B0%5D=k7-0123456789&page=3")
        assert clean_query(url, NAMES) == url.replace("k7-0123456789", FILTERED)

    def test_spaces_around_a_colon_in_json(self):
        text = 'filter={"password"   :   "hunter2"}&page=3'
        for found in (text, text.replace(" ", "%20"), quote(text, safe="=&")):
            assert "hunter2" not in clean_query(found, NAMES)
            assert clean_query(found, NAMES).endswith("&page=3")

    @pytest.mark.parametrize("levels", range(3))
    def test_spaces_before_a_number_in_json(self, levels):
        text = '{"pin":  1234, "page": 3}'
        expected = text.replace("1234", "FILTERED")
        for _ in range(levels):
            text, expected = quote(text, safe=""), quote(expected, safe="")
        cleaned = clean_query(f"filter={text}&page=3", NAMES)
        assert cleaned == f"filter={expected.replace('FILTERED', FILTERED)}&page=3"

    @pytest.mark.parametrize("value", ["null", "true", "false"])
    def test_nothing_in_json_stays(self, value):
        text = "filter=" + quote('{"password": ' + value + "}", safe="") + "&page=3"
        assert clean_query(text, NAMES) == text

    def test_user_and_password_of_a_nested_url_go(self):
        url = "/go?to=https%3A%2F%2Falice%3Ahunter2%40shop.example%2Fx&page=3"
        assert clean_query(url, NAMES) == f"/go?to=https%3A%2F%2F{FILTERED}%40shop.example%2Fx&page=3"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://x/cb#access_token=abc&state_of=1", "https://x/cb#access_token={}&state_of=1"),
        ("/a;jsessionid=abc/b;v=1?page=3", "/a;jsessionid={}/b;v=1?page=3"),
        ("/a;jsessionid=abc?page=3", "/a;jsessionid={}?page=3"),
        ("/a?page=3?token=abc&lang=en", "/a?page=3?token={}&lang=en"),
        ("page=3;token=abc", "page=3;token={}"),
        ("token=ab;cd&page=3", "token={}&page=3"),
        ("token=ab?cd=/ef&page=3", "token={}&page=3"),
        ("%74oken=abc&page=3", "%74oken={}&page=3"),
        ("t%6Fken=abc&page=3", "t%6Fken={}&page=3"),
        ("token%C3%A9=abc&page=3", "token%C3%A9={}&page=3"),
        ("%C3%A9token=abc&page=3", "%C3%A9token={}&page=3"),
        ("user%5Bpin%5D=1234&page=3", "user%5Bpin%5D={}&page=3"),
        ("'page=3&token=abc'", "'page=3&token={}'"),
        ("b'token=abc&page=3'", "b'token={}&page=3'"),
        ("\u0130=1&token=abc", "\u0130=1&token={}"),
        ("token=", "token="),
    ],
)
def test_every_place_of_a_parameter_in_a_url(url, expected):
    assert clean_query(url, NAMES) == expected.format(FILTERED)


@pytest.mark.parametrize("own", [NAMES, Names(parameters=["colour"])])
@pytest.mark.parametrize(
    "name",
    [
        "token" + "a" * 90,
        "token" + "a" * 900,
        "token" + "[0]" * 40,
        "token" + "%5B0%5D" * 7,
        "token" + "%5B0%5D" * 70,
        "a" * 90 + "_token",
        "%5B" * 20 + "token",
    ],
)
def test_name_may_be_of_any_length(name, own):
    assert clean_query(f"a=1&{name}=hunter2&b=2", own) == f"a=1&{name}={FILTERED}&b=2"
    assert clean_query(f"/?{name}=hunter2#b", own) == f"/?{name}={FILTERED}#b"


def test_end_of_base64_is_no_value():
    text = "data=" + "pin-key_sso." * 12 + "==&page=3"
    assert clean_query(text, NAMES) == text


@pytest.mark.parametrize("name", [name for name in SECRET_PARAMETERS if NAMES.is_parameter(name)])
def test_search_leaps_to_every_name_that_is_secret(name):
    assert clean_query(f"a=1&{name}=x&b=2", NAMES) == f"a=1&{name}={FILTERED}&b=2"
    assert clean_query(f"a=1&{name.upper()}=x&b=2", NAMES) == f"a=1&{name.upper()}={FILTERED}&b=2"


def test_search_leaps_to_every_name_that_the_sdk_s_lists_have():
    for name in (*DEFAULT_DENYLIST, *DEFAULT_PII_DENYLIST):
        assert clean_query(f"a=1&{name}=x", NAMES) == f"a=1&{name}={FILTERED}"


CODES = ["device_code", "otp_code", "SAMLResponse", "oidc_state", "client_assertion", "mykey", "sessionstate"]


@pytest.mark.parametrize("word", sorted([*names._SECRET_WORDS, *names._CODES, *CODES]))
def test_search_leaps_to_every_word_that_is_secret(word):
    for name in (word, word.upper(), f"x_{word}"):
        if NAMES.is_parameter(name):
            assert clean_query(f"a=1&{name}=x", NAMES) == f"a=1&{name}={FILTERED}"


@given(st.text(alphabet="tokenpaswrd=&%253D26?#;/'\"{}:[]\\ \u0130", max_size=200))
def test_any_text_is_cleaned_and_a_clean_one_stays(text):
    cleaned = clean_query(text, NAMES)
    assert clean_query(cleaned, NAMES) == cleaned
    clean_parameters(text, NAMES)
    secret_parameters(text, NAMES)


@given(st.text(max_size=60))
def test_lower_case_keeps_every_place(text):
    assert len(lower_case(text + "\u0130")) == len(text) + 1


class TestLinear:
    """Nothing that a client sends is scanned twice: steps are counted, not timed."""

    @pytest.fixture
    def steps(self, count_steps):
        return count_steps("parameters")

    @pytest.mark.parametrize(
        "piece", ["token=1&", "?a=", "a=token", "monkey=1&", '"token":"', "%253Dtoken%253D"]
    )
    def test_names_are_looked_at_once_and_not_for_ever(self, steps, piece):
        clean_query(piece * 10_000, NAMES)
        assert len(steps) <= 501

    @pytest.mark.parametrize(
        "piece",
        [
            "token%5b",
            "token=&",
            "token" + "[0]" * 100,
            "%3ftoken%3d%2522",
            'token%22%3a%22\\"',
            "".join(
                f"token%22%3A{'%5c' * count}{mark}&" for count in range(17) for mark in ("%22", "%2527", '"')
            ),
            "".join(f"token%22%3A{'%5c' * count}%22{'%5c' * count}" for count in range(17)),
            "".join(f"token%22%3A%{'25' * count}22" for count in range(6)),
        ],
    )
    def test_rest_of_a_text_is_not_searched_for_each_name(self, piece):
        # Linear time takes milliseconds, so the speed of the machine does not matter.
        text = (piece * 3000)[:1_000_000] + "x" * 3_000_000 + ("%5c" * 13 + "x" + "%5c" * 13 + "%22") * 900
        began = time.thread_time()
        clean_query(text, NAMES)
        clean_parameters(text, NAMES)
        assert time.thread_time() - began < 5

    @pytest.mark.parametrize("begin", ["%41&", "x=%41&", "%41 x=", "http://h/?%41=1&"])
    def test_long_word_is_read_once(self, begin):
        text = begin + "a" * 40_000
        began = time.thread_time()
        assert clean_query(text, NAMES) == text
        assert clean_parameters(text, NAMES) == text
        assert time.thread_time() - began < 2

    def test_several_texts_can_share_the_number(self):
        bounds = Bounds(2, 1000)
        assert clean_query("token=a1&pin=1", NAMES, bounds) == f"token={FILTERED}&pin={FILTERED}"
        assert clean_query("x=1&token=a1", NAMES, bounds) == f"x=1&to{FILTERED}"

    def test_what_is_before_a_quote_is_looked_at_once(self, monkeypatch):
        windows = []

        class Counted:
            def match(self, window):
                windows.append(window)
                return backwards.match(window)

        backwards = encoded._BACKSLASHES_BEFORE
        monkeypatch.setattr(encoded, "_BACKSLASHES_BEFORE", Counted())
        clean_query('filter={"token":"' + '\\"' * 10_000 + "&page=3", NAMES)
        assert len(windows) == 100
        assert max(map(len, windows)) <= 256

    def test_text_that_is_longer_than_may_be_read_is_not(self, steps):
        bounds = Bounds(500, 1000)
        assert secret_parameters("token=abc&" * 1000, NAMES, bounds) == []
        assert bounds.are_exceeded
        assert steps == []

    def test_rest_of_too_many_is_hidden(self):
        cleaned = clean_query("&".join(f"monkey{number}=1" for number in range(2000)), NAMES)
        assert cleaned.endswith(FILTERED)
        assert "monkey1999" not in cleaned
        bounds = Bounds(500, 100_000)
        secret_parameters("&".join(f"monkey{number}=1" for number in range(2000)), NAMES, bounds)
        assert bounds.are_exceeded


class TestBaggage:
    """W3C's baggage has 180 members at most, of 8,192 bytes together."""

    def test_members_within_the_limits_are_kept(self):
        text = ",".join(f"colour{number}=green" for number in range(180))
        assert clean_baggage(text, NAMES) == text

    @pytest.mark.parametrize(
        "text",
        ["a=b," * 200_000, ",".join(["a=b"] * 181), "colour=" + "a" * 8192, "k=1.1.1:1:-----," * 50_000],
    )
    def test_what_exceeds_them_is_hidden_as_a_whole(self, text):
        assert clean_baggage(text, NAMES) == FILTERED


class TestQueryWithAUrlInIt:
    """What is a path in a URL is part of a value in a query string: only the ampersand ends it."""

    SECRET = "4/0AX4XfWh/q8fh23"

    @pytest.mark.parametrize(
        "query",
        [
            "next=http://shop.example/basket&code={}",
            "state=https://a.example/&code={}&scope=https://b.example/auth",
            "code={}&scope=https://b.example/auth",
            "/wiki/page&token={}",
            "/wiki/page&a=b&token#={}",
            "'/wiki/page&token={}'",
        ],
    )
    def test_all_of_a_value_is_secret(self, query):
        text = query.format(self.SECRET)
        assert clean_query(text, NAMES) == query.format(FILTERED)
        if not text.endswith("'"):
            assert self.SECRET in {value for _, value in secret_parameters(text, NAMES)}

    @pytest.mark.parametrize("url", ["/users/token={}/edit", "https://h.example/token={}/edit;v=1?a=b"])
    def test_segment_of_a_path_ends_at_the_next_slash(self, url):
        assert clean_query(url.format("q8fh23fh"), NAMES) == url.format(FILTERED)
