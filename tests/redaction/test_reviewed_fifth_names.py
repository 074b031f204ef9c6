"""Findings of a fifth hostile review: names that go on, values before their names, escapes within escapes."""

import html
import json
from urllib.parse import quote, urlencode
from xml.sax.saxutils import quoteattr

import pytest
from timing import cpu_seconds

from sentry_paste.redaction import Matcher, Names
from sentry_paste.redaction.names import FILTERED
from sentry_paste.redaction.texts import clean_text, clean_texts
from sentry_paste.redaction.values import of_request

NAMES = Names()
SECRET = "hunter22zz9q"
GOING_ON = (
    "password:utf8:ustring", "__ac_password:string", "ctl00$Password$txt", "new password", "password (again)",
    "password[0]", "user.password.text", "password|x", 'user["password"]', "password*", "ctl00$new$token!x",
)  # fmt: skip


def clean(text):
    # As in an event: only texts that may name something are looked at.
    return clean_texts([text], NAMES).get(text, text)


def go_json(text):
    shown = json.dumps(text)
    return shown.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


FORMS = {
    "mapping": lambda name: repr({name: SECRET}),
    "JSON": lambda name: json.dumps({name: SECRET}),
    "JSON in JSON": lambda name: json.dumps(json.dumps({name: SECRET})),
    "form": lambda name: urlencode({"a": 1, name: SECRET, "b": 2}),
    "first field": lambda name: urlencode({name: SECRET, "b": 2}),
    "URL": lambda name: "https://h/p?" + urlencode({name: SECRET}),
    "line of a log": lambda name: f'1.2.3.4 "GET /p?x=1&{quote(name)}={SECRET} HTTP/1.1" 200',
    "nested URL": lambda name: "/p?next=" + quote("/q?a=1&" + urlencode({name: SECRET, "b": 2})),
    "escaped JSON": lambda name: html.escape(json.dumps({name: SECRET})),
    "attribute": lambda name: f'<input name={quoteattr(name)} value="{SECRET}">',
}
ESCAPES = {
    "plain": str,
    "repr": repr,
    "JSON": json.dumps,
    "HTML": html.escape,
    "HTML twice": lambda text: html.escape(html.escape(text)),
    "URL": lambda text: quote(text, safe=""),
    "JSON in HTML": lambda text: html.escape(json.dumps(text)),
    "HTML in JSON": lambda text: json.dumps(html.escape(text)),
    "JSON of Go": go_json,
}
VALUES = (
    SECRET, "it's-hunter22", 'sword"hunter22', "two words hunter22", "a&b=hunter22", "<hunter22>",
    "hunter22'", "k'i\"hunter22", "hunter22,b)c]d}", "{hunter22", "100%hunter22", "new\nhunter22",
)  # fmt: skip
SHOWN = {
    "mapping": lambda name, value: repr({"a": 1, name: value}),
    "keyword": lambda name, value: f"User(a='x', {name}={value!r}, b=2)",
    "bytes": lambda name, value: repr({name.encode(): value.encode()}),
    "pair": lambda name, value: repr((name, value)),
    "value and name": lambda name, value: json.dumps([{"value": value, "name": name}]),
    "attributes": lambda name, value: f'<input value={quoteattr(value)} name="{name}">',
    "part": lambda name, value: f'--b\r\nX: form-data; name="{name}"\r\n\r\n{value}\r\n--b--',
    "row": lambda name, value: f"INSERT INTO users (id, {name}) VALUES (1, '{value}')".replace("'s", "''s"),
    "arguments": lambda name, value: repr(["prog", "--" + name, value]),
}


class TestNamesThatGoOn:
    """A field's name goes on to its sign, and a name in quotes to the closing one."""

    @pytest.mark.parametrize("show", FORMS.values(), ids=FORMS)
    @pytest.mark.parametrize("name", GOING_ON)
    def test_value_is_hidden(self, name, show):
        if show is FORMS["nested URL"] and "[" in name + "$|*!":
            name = "password:utf8"
        assert SECRET not in clean(show(name))

    def test_rest_of_the_text_stays(self):
        text = f'GET /p?a=1&ctl00%24Password%24txt={SECRET}&b=2 HTTP/1.1 "x"'
        assert clean(text) == text.replace(SECRET, FILTERED)
        text = f"{{'password (again)': '{SECRET}', 'b': 2}}"
        assert clean(text) == text.replace(SECRET, FILTERED)

    @pytest.mark.parametrize(
        "text",
        [
            "GET /a?q=reset+password&page=2 HTTP/1.1", "/a?q=token+ring=x&page=2",
            "the password (8 chars) = x",
            '["password reset", "done"]', '["no token", "x"]', "('secret (santa)', 'a', 'b')",
            '{"name": "password reset", "value": "enabled"}', "'a': 'password|x', 'b': 'c'", "password|x = 3",
            'a "password (x)" b', "tokens$x=1", "config['password']=x",
            "{'error': 'no password (yet)', 'a': 'b'}",
        ],
    )  # fmt: skip
    def test_other_text_stays(self, text):
        assert clean(text) == text

    def test_many_words_of_prose_stay(self):
        text = "the password (see below) is 'x' and the token|jwt is \"y\"\n" * 2000
        assert clean(text) == text

    @pytest.mark.parametrize(
        "unit",
        ["token$a=", "jwt$", "jwt (", "?token|", "token%3A%41", "'password|", "password[\"", "&token%24%24"],
    )  # fmt: skip
    def test_takes_time_in_proportion(self, unit):
        text = unit * (400_000 // len(unit)) + "x" * 4_000_000
        # Some ten milliseconds; seconds if each place reads the rest.
        assert cpu_seconds(lambda: clean(text), 1.5) < 1.5

    @pytest.mark.parametrize("mark", ["?", "&", "#", "?a=b&"])
    @pytest.mark.parametrize("name", ["key", "code", "sid", "sso"])
    def test_last_parameter_of_a_url_is_one(self, name, mark):
        text = f"GET /x{mark}{name}={SECRET} HTTP/1.1"
        assert clean(text) == text.replace(SECRET, FILTERED)

    @pytest.mark.parametrize("quoted", ["&quot;", "&#34;", "&#39;", "&#x27;", "&amp;quot;", "\\u0022"])
    def test_converter_is_no_value(self, quoted):
        text = f"{{{quoted}password:utf8:ustring{quoted}: {quoted}{SECRET}{quoted}}}"
        assert clean(text) == text.replace(SECRET, FILTERED)


class TestEscapedForms:
    """However a text is escaped, the whole value is hidden."""

    @pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
    @pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
    @pytest.mark.parametrize("name", ["password", "jwt", "api_key"])
    def test_value_is_hidden_as_a_whole(self, name, escape, show):
        for value in VALUES:
            if show is SHOWN["row"] and "'" in value.replace("'s", ""):
                continue
            assert "hunter22" not in clean("bad: " + escape(show(name, value)) + " in basket"), value

    @pytest.mark.parametrize("levels", [1, 2, 3, 4])
    def test_attribute_with_a_quote_is_hidden_at_any_level(self, levels):
        text = f"<input value={quoteattr(VALUES[7])} name='password'>"
        for _ in range(levels):
            text = html.escape(text)
        assert "hunter22" not in clean(text)


class TestValueBeforeName:
    """Brackets in the value do not end the pair."""

    @pytest.mark.parametrize(
        "value", ["}", "{", "<", ">", "x}7", "x{7", "<b>{c}", "}{" * 3, "<" * 6, "x" * 300 + "<"]
    )
    @pytest.mark.parametrize(
        "pair",
        [
            '<input value="{}" name="password">', '[{{"value": "{}", "name": "password"}}]',
            '<p><input id="a" value="{}" class="<b>" name="password"/></p>',
            "<input value=\"{}\" name='password'>",
            "[{{'value': \"{}\", 'name': 'password'}}]",
            '{{"a": {{}}, "b": {{"value": "{}", "name": "password"}}}}',
        ],
    )  # fmt: skip
    def test_value_is_hidden(self, pair, value):
        assert SECRET not in clean(pair.format(value + SECRET + value))

    @pytest.mark.parametrize(
        "text",
        [
            '[{"value": "a"}, {"name": "password"}]', '<input value="a"><input name="password">',
            '<b value="a">x</b> name="password"', '{"value": "a", "b": {"name": "password"}}',
        ],
    )  # fmt: skip
    def test_value_of_another_pair_stays(self, text):
        assert clean(text) == text


@pytest.mark.parametrize("key", ["QUERY_STRING", "HTTP_COOKIE", "HTTP_X_API_KEY"])
@pytest.mark.parametrize("show", [json.dumps, html.escape, quote, repr, str])
@pytest.mark.parametrize(
    "value", ['swordfish9"%e9kingdom7', 'sword%41"fish9%20kingdom7', 'sword9&%C3%A9"kingdom7']
)
def test_value_with_a_percent_sign_of_its_own_is_hidden(key, show, value):
    sent = {"QUERY_STRING": "password=" + quote(value), "HTTP_COOKIE": "sid=" + quote(value)}.get(key, value)
    matcher = Matcher(of_request({key: sent}, NAMES))
    shown = matcher.clean("no such thing: " + show(value))
    assert "sword" not in shown
    assert "kingdom7" not in shown


def test_label_in_quotes_needs_no_secret():
    assert clean_text('"Password (again)"', NAMES) == '"Password (again)"'
