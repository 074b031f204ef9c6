"""Findings of an eleventh review, by name: what escaping puts before a value, and into it."""

import html
import json

import pytest
from timing import cpu_seconds

from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.texts import clean_text, clean_texts

NAMES = Names()
SHOWN = {
    "as it is": str,
    "in a repr": repr,
    "in a repr in a repr": lambda text: repr(repr(text)),
    "in JSON": json.dumps,
    "in HTML": html.escape,
    "in JSON in JSON": lambda text: json.dumps(json.dumps(text)),
}


def cleaned(text):
    return clean_texts([text], NAMES).get(text, text)


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
class TestValues:
    @pytest.mark.parametrize("value", ["swordfish", "q8fh23fh28hf2", "12345678"])
    @pytest.mark.parametrize(
        "text",
        [
            "User(name='bob', password=b'{}')",
            'User(name="bob", api_key=rb"{}")',
            "{{'user': 1, 'password':\n    '{}', 'a': 1}}",
            '{{"api_key":\r\n\t"{}"}}',
            "_Metadatum(key='authorization', value='{}')",
            "[Header(name='X-Api-Key', value=b'{}'), Header(name='a', value='b')]",
            'Param(value="{}", name="password")',
            'Field(name="password", type=str, value="{}")',
            "<input type=text name=password value={}>",
        ],
    )
    def test_value_goes(self, text, value, show):
        assert cleaned(show(text.format(value))) == show(text.format(FILTERED))

    @pytest.mark.parametrize("value", ["swordfish", "q8fh23fh28hf2", "12345678"])
    @pytest.mark.parametrize(
        "text",
        [
            "backup --password '{}' --all",
            "backup --access_token '{}' --all",
            "password: >-\n  {}\nuser: bob",
            "-H 'X-Password: {}'",
            '-H "X-Password: {}"',
        ],
    )
    def test_value_goes_with_what_is_around_it(self, text, value, show):
        shown = cleaned(show(text.format(value)))
        assert value not in shown
        assert shown.startswith(show(text)[:5])

    @pytest.mark.parametrize("value", ["äpfel7q", "q7é漢字zz", "\U0001f600q8fh23"])
    @pytest.mark.parametrize(
        "text",
        [
            "- name: DB_PASSWORD\n  value: {}\n",
            "password: &anchor {}\n",
            "<input type=text name=password value={}>",
            "mysql -u root -p{} db",
        ],
    )
    def test_value_with_other_letters_goes(self, text, value, show):
        shown = cleaned(show(text.format(value)))
        assert "7" not in shown
        assert "q" not in shown.replace("mysql", "")

    @pytest.mark.parametrize("sign", [",", "}", ")", ""])
    def test_number_goes(self, sign, show):
        assert cleaned(show(f"a api_key=12345678{sign}")) == show(f"a api_key={FILTERED}{sign}")

    @pytest.mark.parametrize(
        "text",
        [
            "Field(name='password', required=True)",
            "Field(name='password', label='Your password', value=None)",
            "f(name='password', other(value='x'))",
            "Field(name='user', value='bob')",
            "PWD={password} and {token_2}",
            "PWD={db_password}",
            "no api_key given, access_token expired, new_password again",
            "api_token is set, secret_key was not",
            "{'password':\n None}",
            "password_hint value=abc",
        ],
    )
    def test_other_text_stays(self, text, show):
        assert cleaned(show(text)) == show(text)


@pytest.mark.parametrize("value", ["q8fh23Fh28hf2", "q8fh23;fh2"])
def test_password_of_odbc_goes(value):
    text = "Driver={{ODBC Driver 18}};Server=db;UID=sa;PWD={{{}}};Encrypt=yes"
    shown = cleaned(text.format(value))
    assert "q8fh" not in shown
    assert shown.startswith("Driver={ODBC Driver 18};Server=db;UID=sa;PWD=")
    assert shown.endswith(";Encrypt=yes")


@pytest.mark.parametrize(
    "unit",
    [
        "'password':\\n",
        "'password': \\t\\t\\t",
        "Header(name='password', value",
        "Header(name='password', a=b,",
        "value='x', name='password'",
        "password=b&",
        "--access_token ",
        "password: &amp;gt;",
        "<input name=password value=\\u00e9",
        "PWD={q8fh23fh28hf2",
    ],
)
def test_time_is_linear(unit):
    text = unit * (400_000 // len(unit))
    assert cpu_seconds(lambda: clean_text(text, NAMES), 1) < 1
