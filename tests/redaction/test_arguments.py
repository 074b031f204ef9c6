"""Passwords among the arguments of the process are not sent, whether personal data is or not."""

import sys

import pytest

from sentry_paste import SentryMiddleware
from sentry_paste.redaction import arguments
from sentry_paste.redaction.names import Names
from sentry_paste.testing import capture_envelopes

from wsgi_calls import call


def cleaned(*texts):
    event = {"extra": {"sys.argv": list(texts)}}
    arguments.clean_arguments(event, Names())
    return event["extra"]["sys.argv"]


def crash(environ, start_response):
    raise ValueError("crash")


@pytest.mark.parametrize("pii", [True, False])
@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["sqlalchemy.url=postgresql://joe:PW@h/db"], ["sqlalchemy.url=postgresql://[Filtered]@h/db"]),
        (["db=mysql://h/db?password=PW"], ["db=mysql://h/db?password=[Filtered]"]),
        (["app.secret = PW", "name=shop"], ["app.secret = [Filtered]", "name=shop"]),
        (["app.ini?password=PW#main"], ["app.ini?password=[Filtered]#main"]),
        (
            ["--secret", "PW", "--db-password", "PW", "-v"],
            ["--secret", "[Filtered]", "--db-password", "[Filtered]", "-v"],
        ),
        (["--token", "--reload", "x"], ["--token", "--reload", "x"]),
        (["--name", "shop", "--password=PW"], ["--name", "shop", "--password=[Filtered]"]),
        (["--db-pass", "PWq8", "--pass=PWq8"], ["--db-pass", "[Filtered]", "--pass=[Filtered]"]),
        (["--set", "DB_PASS=PW"], ["--set", "DB_PASS=[Filtered]"]),
    ],
)
def test_arguments_of_the_process(monkeypatch, texts, expected, pii):
    monkeypatch.setattr(sys, "argv", ["pserve", *texts])
    with capture_envelopes() as captured:
        options = {"dsn": "http://key@127.0.0.1:9/1", "send_default_pii": pii}
        call(SentryMiddleware(crash, **options))
    (event,) = [item.payload.json for envelope in captured for item in envelope.items if item.type == "event"]
    assert event["extra"]["sys.argv"] == ["pserve", *expected]
    assert "PW" not in str(event["extra"])


VALUES = """PW a PW|PW&PW|PW#PW|'PW PW|"PW" PW| PW PW|&PW|<PW>PW|(PW) PW|{PW},PW|null PW|PW;a=PW|-PW|PW\nPW"""


@pytest.mark.parametrize("value", VALUES.split("|"))
@pytest.mark.parametrize(
    "option", ["--password", "--db-password", "--authorization", "--cookie", "--api-key", "-token"]
)
def test_whole_value_of_an_option_is_hidden(option, value):
    hidden = " [Filtered]" if value[0] == " " else "[Filtered]"
    assert cleaned(option, value, "x") == [option, hidden, "x"]
    assert cleaned(f"{option}={value}", "x") == [f"{option}={hidden}", "x"]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("password=PW a PW", "password=[Filtered]"),
        ("app.secret = PW a PW", "app.secret = [Filtered]"),
        ("X-Api-Key: PW PW", "X-Api-Key: [Filtered]"),
        ("--header=Authorization: Bearer PW PW", "--header=Authorization: [Filtered]"),
        ("--set=password=PW PW", "--set=password=[Filtered]"),
    ],
)
@pytest.mark.parametrize("before", [[], ["--verbose"], ["-v"]])
def test_whole_value_of_a_setting_is_hidden(argument, expected, before):
    assert cleaned(*before, argument) == [*before, expected]


def test_option_with_one_dash_may_follow_another():
    assert cleaned("--verbose", "-token", "PW a PW") == ["--verbose", "-token", "[Filtered]"]


@pytest.mark.parametrize(
    "texts",
    [
        ["--name", "two words", "--colour=blue and green"],
        ["app.ini", "sqlalchemy.url=postgresql://h/db?x=1&y=2", "title=The token of a king"],
        ["-c", "print('hello', 1)", "-x=a:b=c d"],
        ["--token", "--reload", "--token", "-v", "a b"],
        ["=", "=a b", ": a", "", "-", "--", "a=", "password=", "--password=null"],
    ],
)
def test_other_arguments_stay(texts):
    assert cleaned(*texts) == texts


def test_arguments_are_cleaned_once_until_they_or_the_names_change(monkeypatch):
    names, seen = Names(), []
    monkeypatch.setattr(arguments, "_cleaned", lambda text, names: seen.append(text) or text)
    for text in ("a", "a", "b", "b", "a"):
        arguments.clean_arguments({"extra": {"sys.argv": [text, 1, [2]]}}, names)
    names.deny(["colour"])
    arguments.clean_arguments({"extra": {"sys.argv": ["a"]}}, names)
    assert [text for text in seen if text] == ["a", "b", "a", "a"]


def test_what_is_no_text_among_arguments_stays():
    assert cleaned("--password=PW", 1, None, ["PW"], "b") == ["--password=[Filtered]", 1, None, ["PW"], "b"]


def test_arguments_are_not_changed_for_the_process(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pserve", "password=PW"])
    with capture_envelopes():
        call(SentryMiddleware(crash, dsn="http://key@127.0.0.1:9/1"))
    assert sys.argv == ["pserve", "password=PW"]


# What a shell, or libpq, takes for one value.
WORDS = [
    "abc\\ PW", "abc\\\tPW", "a\\ b\\ PW\\'PW", "'abc'\\''PW'", "'abc'\"'\"'PW PW'", 'abc"PW PW"PW',
    "$'abc PW'", "'abc PW'PW", '"abc"PW',
]  # fmt: skip


@pytest.mark.parametrize("word", WORDS)
@pytest.mark.parametrize("before", ["run --password ", "run --password=", "host=h password=", "PGPASSWORD="])
def test_value_in_a_command_is_hidden_as_a_shell_reads_it(before, word):
    (text,) = cleaned(f"x {before}{word} --port=80")
    assert text == f"x {before}[Filtered] --port=80"


def test_value_after_a_continued_line():
    assert cleaned("run --password \\\n  q8fh23fh --x") == ["run --password \\\n  [Filtered] --x"]


@pytest.mark.parametrize(
    "text",
    [
        "C:\\Program\\ Files\\x --name=a\\ b", "x --a 'b c' \"d'e\" f\\ g", "echo 'it'\\''s' \\\n now",
        "x '{\"name\": \"a b\"}' y", "a\u2000b\\ c", "--password-stdin", "a 'b", 'x "y\\" z',
    ],
)  # fmt: skip
def test_other_commands_stay(text):
    assert cleaned(text) == [text]


def test_json_in_a_command_stays_json():
    assert cleaned('x --set {"password":"q8fh23 fh"} y') == ['x --set {"password":"[Filtered]"} y']
