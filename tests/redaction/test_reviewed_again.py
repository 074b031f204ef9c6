"""Findings of a second hostile review: text that was scanned repeatedly, values that were shown."""

import base64
import json

import pytest

from sentry_paste.redaction import Matcher, Names, parameters, values
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.headers import clean_baggage, clean_header
from sentry_paste.redaction.names import FILTERED
from sentry_paste.redaction.parameters import clean_parameters, clean_query, secret_parameters
from sentry_paste.redaction.patterns import NAMES as SHAPES
from sentry_paste.redaction.patterns import Patterns
from sentry_paste.redaction.payloads import clean_event, clean_item

NAMES = Names()
OWN = Names(parameters=["colour"])
SECRET = "q8fh23fh28hf2k7"
ENCODED = "%41"  # of a letter, as no browser has it


def cleaned(event):
    clean_event(event, Matcher(()), NAMES)
    return event


def variables_in(event):
    return event["exception"]["values"][0]["stacktrace"]["frames"][0]["vars"]


def event_with(variables):
    return {"exception": {"values": [{"type": "E", "stacktrace": {"frames": [{"vars": variables}]}}]}}


UNITS = [
    "%5c", "%255c", "%25255c", "\\", "\\\\\\", "%5ca", "%5c%20", "a%5c%5c", "token%5c%5c", "%22", "%2522",
    '"', "'", "+", "a+", "%20", "a%20", "token%20%20", "%0a", " ", "a ", "%5b", "[", "%5d", "%7b", ";", "&",
    "a&", "=", "%3d", ":", "%41", "%2541", "%25", "%2",
]  # fmt: skip


class Reads:
    """A pattern that records where its matches begin and end."""

    def __init__(self, pattern):
        self._pattern = pattern
        self.spans = []

    def match(self, *of):
        found = self._pattern.match(*of)
        self.spans.append(found.span())
        return found


class TestReadOnce:
    """What follows a name is read once, whatever it is."""

    @pytest.fixture
    def reads(self, monkeypatch):
        reads = Reads(parameters._BEHIND_NAME)
        monkeypatch.setattr(parameters, "_BEHIND_NAME", reads)
        return reads

    @pytest.mark.parametrize("names", [NAMES, OWN])
    @pytest.mark.parametrize("unit", UNITS)
    def test_nothing_is_read_again_for_the_next_name(self, reads, names, unit):
        text = "?a=" + ENCODED + unit * (60_000 // len(unit))
        clean_query(text, names)
        # Except for the last escape, which is read from both sides.
        overlap = len("%2525252525XX")
        assert all(before[1] <= after[0] + overlap for before, after in zip(reads.spans, reads.spans[1:]))
        assert len(reads.spans) <= 500

    @pytest.mark.parametrize("unit", ["%5c", "%255c", "\\", "%20", "+"])
    def test_name_finds_no_name_in_escapes(self, reads, unit):
        clean_query(f"?{ENCODED}{unit * 900}", OWN)
        assert len(reads.spans) <= 1

    def test_values_that_are_encoded_too_deep_count_as_steps(self):
        text = "&".join(f"a{number}=%25252525252525&b=1" for number in range(900))
        cleaned = clean_query(text, NAMES)
        assert cleaned.count(FILTERED) == 501
        assert cleaned.endswith(FILTERED)

    def test_quotes_within_values_count_as_steps(self):
        text = "?" + ("token%22%3A%22" + "%5c%22" * 90 + "&") * 300
        bounds = Bounds(500, 10**6)
        assert clean_query(text, NAMES, bounds).endswith(FILTERED)
        assert bounds.are_exceeded


WRITTEN = [
    "token", "%74oken", "t%6Fken", "%74%6f%6b%65%6e", "user%5Btoken%5D", "%5Btoken%5D", "token%C3%A9",
    "%C3%A9token", "x_token[0]", "token%20",
]  # fmt: skip


class TestParameters:
    @pytest.mark.parametrize("names", [NAMES, OWN])
    @pytest.mark.parametrize("before", ["a=1", f"a={ENCODED}"])
    @pytest.mark.parametrize("name", WRITTEN)
    @pytest.mark.parametrize(
        "mark", ["&", "%26", "%2526", "?", "%3F", ";", "%20", "%22", "%5c", "%5C%22", "%0a"]
    )
    def test_name_is_found_behind_encoded_characters(self, names, before, mark, name):
        text = f"{before}{mark}{name}={SECRET}&page=3"
        assert clean_query(text, names) == f"{before}{mark}{name}={FILTERED}&page=3"

    @pytest.mark.parametrize("count", [10, 255, 1023, 1024, 2000, 9000])
    @pytest.mark.parametrize(
        ("text", "unit"),
        [
            *(
                (text, unit)
                for unit in ("\\", "%5c", "%255c")
                for text in (
                    '?d={{"password{}":"x, {}"}}',
                    '?d={{"password":{}"x,{}"}}',
                    "?d=password{}%22%3A%22{}",
                )
            ),
            *(
                (text, unit)
                for unit in (" ", "+", "%20", "%0A")
                for text in ('?d={{"password"{}:"x,{}"}}', '?d={{"password":{}"x,{}"}}')
            ),
            ("?password{}={}", " "),
            ("?password{}={}", "%20"),
        ],
    )
    @pytest.mark.parametrize("names", [NAMES, OWN])
    def test_value_goes_however_much_is_before_it(self, names, text, unit, count):
        assert SECRET not in clean_query(text.format(unit * count, SECRET), names)

    def test_so_it_does_in_lines_of_access_logs(self):
        line = f"GET /?d=%7B%22password{'%5c' * 2000}%22%3A%22x y{SECRET}%22%7D HTTP/1.1"
        assert SECRET not in clean_parameters(line, NAMES)

    def test_endless_row_behind_an_ordinary_name_stays(self):
        text = f"?path={ENCODED}{'%5c' * 1500}&page{'%20' * 1500}=3&lang=en"
        assert clean_query(text, NAMES) == text

    def test_what_is_not_read_is_no_secret_that_is_known(self):
        bounds = Bounds(500, 100_000)
        secret_parameters(f"?password{'%5c' * 2000}%22%3A%22{SECRET}%22", NAMES, bounds)
        assert bounds.are_exceeded


class TestFragments:
    @pytest.mark.parametrize("name", ["HX-Current-URL", "X-Page", "Referer", "HTTP_HX_CURRENT_URL"])
    @pytest.mark.parametrize(
        "url", ["https://h/a#access_token={}", "/a#x=1&token={}", "https://h/a#/b?token={}"]
    )
    def test_token_in_a_fragment_is_hidden(self, name, url):
        assert clean_header(name, url.format("word"), NAMES) == url.format(FILTERED)

    @pytest.mark.parametrize(
        "url", ["https://h/?next=%2F%3Ftoken%3D{}", "https://h/?%2F%3Ftoken%3D{}", '/?{{"token":"{}"}}']
    )
    def test_parameter_without_an_equals_sign_is_hidden(self, url):
        assert clean_header("Referer", url.format("word"), NAMES) == url.format(FILTERED)

    @pytest.mark.parametrize("value", ["https://h/a#part-3", "#fff", "text/html;q=0.9", "C# 7", "50%", "a?b"])
    def test_other_values_stay(self, value):
        assert clean_header("X-Page", value, NAMES) == value


class TestNamedValues:
    """A mapping of a name and a value is treated as a list of the two."""

    @pytest.mark.parametrize("key", ["name", "key", "field", "param", "parameter", "header"])
    @pytest.mark.parametrize(
        "name", ["password", "Authorization", "X-Api-Key", "access_token", "HTTP_COOKIE"]
    )
    def test_value_of_a_secret_name_is_hidden(self, key, name):
        event = cleaned(event_with({"fields": [{key: f"'{name}'", "value": "'swordfish'"}]}))
        assert variables_in(event) == {"fields": [{key: f"'{name}'", "value": FILTERED}]}
        extra = {"extra": {"a": {"b": {"value": "swordfish", key: name}}}}
        assert cleaned(extra)["extra"]["a"]["b"] == {"value": FILTERED, key: name}
        place = extra["_meta"]["extra"]["a"]["b"]
        assert place == {"value": {"": {"rem": [["!config", "s"]]}}}

    def test_keys_may_have_capitals(self):
        tags = [{"Key": "db_password", "Value": "swordfish"}, {"Name": "token", "Value": "swordfish"}]
        assert "swordfish" not in json.dumps(cleaned({"extra": {"tags": tags}}))

    @pytest.mark.parametrize("name", ["password ", "new password", "'password (again)'", "Password:", "PIN "])
    def test_name_may_be_a_label(self, name):
        pairs = [[name, "swordfish"], {"name": name, "value": "swordfish"}]
        assert "swordfish" not in json.dumps(cleaned({"extra": {"fields": pairs}}))

    @pytest.mark.parametrize(
        "keys", [("NAME", "VALUE"), ("name", "Value"), ("Name", "value"), ("Key", "VALUE")]
    )
    def test_keys_are_compared_without_regard_to_case(self, keys):
        pair = dict(zip(keys, ("password", "swordfish")))
        assert "swordfish" not in json.dumps(cleaned({"extra": {"x": pair}}))

    def test_local_variables_are_such_a_mapping(self):
        event = cleaned(event_with({"name": "'Authorization'", "value": "'Bearer swordfish'"}))
        assert variables_in(event) == {"name": "'Authorization'", "value": FILTERED}

    def test_value_that_is_no_text_is_hidden(self):
        pair = {"key": "authorization", "value": {"stringValue": "swordfish"}}
        assert cleaned({"extra": {"x": pair}})["extra"]["x"]["value"] == FILTERED

    def test_of_a_url_only_its_secrets_go(self):
        pair = {"name": "Referer", "value": "https://h/?token=word&page=3"}
        assert cleaned({"extra": {"x": pair}})["extra"]["x"]["value"] == f"https://h/?token={FILTERED}&page=3"

    def test_attribute_of_a_log_item_is_hidden(self):
        item = {"attributes": {"form": [{"name": "password", "value": "swordfish"}]}}
        clean_item(item, Matcher(()), NAMES)
        assert "swordfish" not in json.dumps(item)

    @pytest.mark.parametrize(
        "pair",
        [
            {"name": "page", "value": "3"},
            {"name": "Content-Type", "value": "text/html"},
            {"name": "'password'", "value": "None"},
            {"name": "no such token", "value": "word"},
            {"name": 3, "value": "word"},
            {"name": "tokens", "value": 128},
            {"name": "password", "values": "word", "label": "Password"},
            {"name": "token", "VALUE": "None"},
            {"code": "invalid colour", "value": "word"},
            {"name": "new colour", "Value": "word"},
            {"value": "word"},
        ],
    )
    def test_ordinary_pair_stays(self, pair):
        assert cleaned({"extra": {"x": dict(pair)}}) == {"extra": {"x": pair}}


class TestShared:
    """The total work for a payload is bounded."""

    def test_slow_reading_of_urls_ends(self):
        rows = [{"url": f"?{ENCODED}{'abcdefg%41 ' * 1000}{number}"} for number in range(80)]
        event = cleaned({"extra": {"rows": rows}})
        shown = [row["url"] for row in event["extra"]["rows"] if row["url"] != FILTERED]
        assert 0 < sum(map(len, shown)) <= 300_000

    def test_request_and_variables_share_it(self):
        event = {"request": {"query_string": ENCODED * 90_000, "url": "/?" + ENCODED * 90_000, "data": {}}}
        assert FILTERED in cleaned(event)["request"]["url"]

    def test_members_of_baggage_share_it(self):
        members = ",".join(f"colour{number}=green" for number in range(180))
        event = cleaned({"extra": {"rows": [{"baggage": f"{members}{number}"} for number in range(30)]}})
        shown = [row["baggage"] for row in event["extra"]["rows"] if row["baggage"] != FILTERED]
        assert len(shown) == 2000 // 180
        assert clean_baggage(members, NAMES, Bounds(180, 0)) == members
        assert clean_baggage(members, NAMES, Bounds(179, 0)) == FILTERED


class TestMeasurements:
    def test_secret_in_a_key_is_hidden(self):
        names = Names()
        event = {
            "measurements": {f"of {SECRET}": {"value": 1, "unit": "none"}, "fp": {"value": 2, "unit": ""}}
        }
        clean_event(event, Matcher(values.of_request({"HTTP_X_API_KEY": SECRET}, names)), names)
        assert event["measurements"] == {
            f"of {FILTERED}": {"value": 1, "unit": "none"},
            "fp": {"value": 2, "unit": ""},
        }

    def test_shape_in_a_key_is_hidden(self):
        event = {"measurements": {"alice@example.com": {"value": 4111111111111111, "unit": "none"}}}
        Patterns(SHAPES).clean_event(event)
        assert event == {"measurements": {FILTERED: {"value": 4111111111111111, "unit": "none"}}}


def token(header, claims='{"sub":"alice"}'):
    parts = (base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in (header, claims))
    return ".".join([*parts, "c2lnbmF0dXJl"])


ALG = '"alg":"HS256"}'


class TestShapes:
    @pytest.mark.parametrize("space", ["", " ", "\n", "\n  ", "\r\n ", "\t", "  "])
    def test_token_whose_json_is_indented(self, space):
        text = f"no {token('{' + space + ALG)} here"
        for names in (["jwt"], SHAPES):
            assert Patterns(names).clean(text) == f"no {FILTERED} here"

    def test_indented_json_that_is_no_header_stays(self):
        text = token('{ "user": "alice", "colour": "green" }')
        assert Patterns(["jwt"]).clean(text) == text

    def test_too_many_beginnings_of_tokens_are_hidden(self):
        text = "ewogICJh" + "x" * 12 + " "
        assert Patterns(["jwt"]).clean(text * 5000) == FILTERED


# Names of secret parameters that go on behind the word that makes them secret.
LONGER = [
    "password:utf8:ustring", "__ac_password:string", "loginForm:password:input", "token%3Aexact",
    "code:utf8", "ctl00$Password$txt", "ctl00%24Password%24txt", "access+token+x", "password+(again)",
    "new+password", "password%20(again)", "new%20password%20again", "token|x", "token%7Cx", "key{0}",
    "a,password",
    "pwConfirm", "pinRepeat", "userPinRepeat", "sidOld", "ip-address", "ipAddress", "x-real-ip",
    "xForwardedFor",
    "remoteAddr",
]  # fmt: skip


class TestLongerNames:
    @pytest.mark.parametrize("names", [NAMES, OWN])
    @pytest.mark.parametrize("name", LONGER)
    def test_parameter_is_secret(self, names, name):
        for text in ("a=1&{}={}&b=2", "/p?{}={}&b=2", "{}={};b=2&c=3", "a=1&x=y#{}={}", '?d={{"{}":"{}"}}'):
            assert clean_query(text.format(name, SECRET), names) in (
                text.format(name, FILTERED),
                text.replace(";b=2", "").format(name, FILTERED),
            )
            found = secret_parameters(text.format(name, SECRET), names)
            assert SECRET in [value for _, value in found]

    @pytest.mark.parametrize("name", ["colour:utf8:ustring", "form$colour", "colour+(again)"])
    def test_so_is_one_of_the_ini(self, name):
        assert clean_query(f"a=1&{name}={SECRET}&b=2", OWN) == f"a=1&{name}={FILTERED}&b=2"

    def test_nested_one_is_secret(self):
        text = "next=%2Fa%3Fpassword:utf8%3D{}%26page%3D2"
        assert clean_query(text.format(SECRET), NAMES) == text.format(FILTERED)

    @pytest.mark.parametrize("names", [NAMES, OWN])
    @pytest.mark.parametrize(
        "text",
        [
            "?q=reset+token+bucket&page=2", "?f=token,key,name&a=1", "?q=pass|token&x=1",
            "/shopping/inside?x=1", "?data=abckey+defsid==&x=1", "https://h/token:x/y?a=b",
            "?page:int=3&ctl00$Colours$txt=red",
            "?shippingAddress=a&inside=1&sidebar=2", '?d={"token|x",1}',
        ],
    )  # fmt: skip
    def test_others_stay(self, names, text):
        assert clean_query(text, names) == text

    @pytest.mark.parametrize(
        "text",
        [
            "{{'password:utf8:ustring': '{}'}}", '{{"__ac_password:string": "{}", "a": 1}}',
            '<input name="password:utf8:ustring" value="{}">', "[('password:utf8', '{}')]",
        ],
    )  # fmt: skip
    def test_quoted_name_in_text_may_have_converters(self, text):
        event = cleaned({"extra": {"x": text.format("swordfish")}})
        assert event["extra"]["x"] == text.format(FILTERED)

    @pytest.mark.parametrize(
        "text",
        [
            "{'password:swordfish': 1}",
            "password:swordfish'",
            "{'password:swordfish'}",
        ],
    )
    def test_other_words_behind_a_colon_are_values(self, text):
        assert "swordfish" not in cleaned({"extra": {"x": text}})["extra"]["x"]

    @pytest.mark.parametrize("names", [NAMES, OWN])
    @pytest.mark.parametrize("unit", ["token|", "token%7c", 'token$"', "token%24%22", "token:", "a|token,'"])
    def test_rest_is_read_once(self, monkeypatch, names, unit):
        reads = Reads(parameters._REST_OF_NAME)
        monkeypatch.setattr(parameters, "_REST_OF_NAME", reads)
        text = "?a=1" + unit * 5000
        clean_query(text, names)
        # Except for the last word, which may be a name in quotes.
        assert all(before[1] <= after[0] + 80 for before, after in zip(reads.spans, reads.spans[1:]))
        assert len(reads.spans) <= 500


class TestEscapedUrls:
    ESCAPES = [
        [("/", "\\/")], [("/", "\\\\\\/")], [("/", "&#x2F;")], [("/", "&#47;")], [("/", "\\u002f")],
        [("/", "\\\\u002F"), ("@", "\\\\u0040")], [("/", "&#x2F;"), ("@", "&#64;")],
        [("/", "%2F"), (":", "%3A"), ("@", "%40")], [("/", "%252F"), (":", "%253A"), ("@", "%2540")],
    ]  # fmt: skip

    @pytest.mark.parametrize("escapes", ESCAPES)
    def test_user_and_password_are_hidden(self, escapes):
        def escaped(text):
            for character, escape in escapes:
                text = text.replace(character, escape)
            return text

        texts = [
            f"no {escaped(f'postgres://{user}@db.example/x')} here" for user in ("shop:swordfish", FILTERED)
        ]
        assert cleaned({"extra": {"x": texts[0]}})["extra"]["x"] == texts[1]
        for innocent in ("https://db.example:8080/a@b", "https://git@db.example/x", "https://h/?a:b@c"):
            assert cleaned({"extra": {"x": escaped(innocent)}})["extra"]["x"] == escaped(innocent)
