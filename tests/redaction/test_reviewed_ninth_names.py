"""Findings of a ninth review: names whose value is behind a word of SQL, an annotation, another element."""

import html
import json
import plistlib
import shlex
import xmlrpc.client
from inspect import signature
from typing import Optional

import pytest
from timing import cpu_seconds

from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.texts import clean_text, clean_texts

NAMES = Names()
SHOWN = {
    "as it is": str,
    "in a repr": repr,
    "in JSON": json.dumps,
    "in HTML": html.escape,
    "in JSON in JSON": lambda text: json.dumps(json.dumps(text)),
}


def cleaned(text):
    return clean_texts([text], NAMES).get(text, text)


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize(
    "condition",
    [
        "password LIKE 'q8fh23fh28hf2%'",
        "password NOT LIKE 'q8fh23'",
        '"users"."api_token" ILIKE N\'q8fh23\'',
        "`password` IN ('q8fh23', 'fh28hf2')",
        "users.password NOT IN (N'q8fh23', 'it''s')",
        "token <> 'q8fh23'",
        "token <>'q8''fh23'",
        "api_key LIKE E'q8fh23'",
    ],
)
def test_what_sql_compares_with_a_secret_column_goes(condition, show):
    found = cleaned(show(f"SELECT 1 FROM users WHERE name = 'bob' AND {condition} AND x = 'stays'"))
    assert "q8" not in found
    assert "fh2" not in found
    assert "s'" not in condition or "it" not in found.partition("stays")[0].rpartition("WHERE")[2]
    assert "bob" in found
    assert "stays" in found


@pytest.mark.parametrize(
    "text",
    [
        "WHERE token IN (SELECT id FROM t)",
        "WHERE token IN (%s, %s) AND password LIKE %s",
        "WHERE token IN (?, ?) AND password LIKE ? AND secret <> ?",
        "no password in 'settings.py'",
        "a token like 'x' is wrong",
        "the secret in (some) words",
        "password <> name",
        "if token in ('if', 'else'):",
    ],
)
def test_placeholders_and_sentences_stay(text):
    assert cleaned(text) == text


def login(user: str, password: str = "q8fh23", api_key: Optional[str] = "fh2'8hf2", *, size: int = 3) -> None:
    """Stand for a function of an app."""


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
def test_default_of_a_secret_parameter_goes(show):
    found = cleaned(show(f"cannot call login{signature(login)} twice"))
    assert "q8fh23" not in found
    assert "fh2" not in found
    assert "size: int = 3" in found


@pytest.mark.parametrize(
    "text", ["password: str", "token: Optional[str] = None", "secret: int = 0", "token: x = y"]
)
def test_parameter_without_a_secret_default_stays(text):
    assert cleaned(f"def f({text})") == f"def f({text})"


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize("name", ["password", "api_token", "fs.s3a.secret.key"])
@pytest.mark.parametrize("value", ["q8fh23 & 'fh28hf2'", 48151623])
def test_value_of_a_name_in_an_element_of_its_own_goes(name, value, show):
    texts = [
        plistlib.dumps({"a": "stays", name: value}).decode(),
        xmlrpc.client.dumps(({"a": "stays", name: value},)),
        f"<property><name>a</name><value>stays</value></property>\n<property>\n <name>{name}</name>"
        f"<value>{html.escape(str(value))}</value></property>",
    ]
    for text in texts:
        found = cleaned(show(text))
        assert "q8fh23" not in found
        assert "fh28hf2" not in found
        assert "48151623" not in found
        assert "stays" in found


def test_element_with_a_secret_name_and_no_value_stays():
    text = "<name>password</name><label>New password</label>"
    assert cleaned(text) == text


@pytest.mark.parametrize("value", ["it's q8fh23", "q8'fh2'3\"hf2 x", "'q8fh23'"])
@pytest.mark.parametrize(
    "command", ["tool --password {} run", "tool --password={} run", "export PASSWORD={}"]
)
def test_value_that_a_shell_joins_goes(command, value):
    found = cleaned(command.format(shlex.quote(value)))
    assert not any(piece in found for piece in ("q8", "fh2", "hf2", "it"))
    assert found.startswith(command.partition("{")[0])
    assert found.endswith("run") is command.endswith("run")


@pytest.mark.parametrize("value", ["q8'fh23\"hf2", 'q8 fh23"hf2', "q8fh23"])
@pytest.mark.parametrize("show", [repr, json.dumps, lambda text: repr(json.dumps(text))])
def test_argument_in_a_list_goes_to_its_end(value, show):
    found = cleaned(show(["tool", f"--api-token={value}", "stays"]))
    assert not any(piece in found for piece in ("q8", "fh23", "hf2"))
    assert "stays" in found


def test_quote_that_is_doubled_behind_a_backslash_ends_nothing():
    text = "UPDATE users SET password='q8\\''fh23', name='stays'"
    assert cleaned(text) == f"UPDATE users SET password='{FILTERED}', name='stays'"


@pytest.mark.parametrize("marks", ['"' * 3, "'" * 3])
@pytest.mark.parametrize("value", ["q8'fh\"23", "q8\n'fh'\n\"23\"h", "\\'q8\"fh23"])
def test_value_in_three_quotes_goes_to_its_end(marks, value):
    assert cleaned(f"password = {marks}{value}{marks}\nx = 'stays'") == (
        f"password = {marks}{FILTERED}{marks}\nx = 'stays'"
    )


def test_textarea_with_attributes_without_quotes():
    text = '<textarea name="password" rows=3 cols=40>q8fh23</textarea>'
    assert cleaned(text) == f'<textarea name="password" rows=3 cols=40>{FILTERED}</textarea>'


@pytest.mark.parametrize(
    "unit",
    [
        "password LIKE ", "password not in (", "password <>", "token: a[", "token: a | b | c = ",
        "<name>password</name>", "<key>token</key> <string>", "password='\\''a", "password='a'\"'\"'",
        "'--password=\\'",
        "password name=\"password\" rows=3 ", "password=''", "password='''a", 'password="""',
    ],
)  # fmt: skip
@pytest.mark.parametrize("count", [20_000])
def test_time_is_linear(unit, count):
    text = unit * count + "x" * 4_000_000
    # Some ten milliseconds; seconds if each place reads the rest.
    assert cpu_seconds(lambda: clean_text(text, NAMES), 1.5) < 1.5


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize(
    "shown",
    ["<Token: 9944b09199c62bcf9418ad846dd0e4bb>", "<Secret 'q8 fh23'>", "<app.Key object (9944b09199c6)>"],
)
def test_object_with_a_text_in_a_mapping_goes(shown, show):
    found = cleaned(show(f"{{'user': 'bob', 'token': {shown}, 'x': 'stays'}}"))
    assert not any(piece in found for piece in ("9944", "q8", "fh23"))
    assert "bob" in found
    assert "stays" in found


@pytest.mark.parametrize(
    "shown",
    ["<object object at 0x7f0a1b2c3d4e>", "<class 'str'>", "<Token: none>", "<a.Lazy at 0x7f0a1b2c3d4e>"],
)
def test_object_without_a_text_stays(shown):
    text = f"{{'user': 'bob', 'token': {shown}}}"
    assert cleaned(text) == text


@pytest.mark.parametrize("show", SHOWN.values(), ids=SHOWN)
@pytest.mark.parametrize("attributes", ['name="csrf-token" content="{}"', 'content="{}" name="csrf-token"'])
def test_content_of_an_element_of_metadata_goes(attributes, show):
    found = cleaned(show(f'<meta name="author" content="stays"><meta {attributes.format("q8fh23fh28hf2")}>'))
    assert "q8fh23" not in found
    assert "stays" in found
