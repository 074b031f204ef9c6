"""Passwords among the arguments of the process are not sent, whether personal data is or not."""

import sys

import pytest

from sentry_paste import SentryMiddleware
from sentry_paste.testing import capture_envelopes

from wsgi_calls import call


def crash(environ, start_response):
    raise ValueError("crash")


@pytest.mark.parametrize("pii", [True, False])
@pytest.mark.parametrize(
    ("arguments", "expected"),
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
    ],
)
def test_arguments_of_the_process(monkeypatch, arguments, expected, pii):
    monkeypatch.setattr(sys, "argv", ["pserve", *arguments])
    with capture_envelopes() as captured:
        options = {"dsn": "http://key@127.0.0.1:9/1", "send_default_pii": pii}
        call(SentryMiddleware(crash, **options))
    (event,) = [item.payload.json for envelope in captured for item in envelope.items if item.type == "event"]
    assert event["extra"]["sys.argv"] == ["pserve", *expected]
    assert "PW" not in str(event["extra"])


def test_arguments_are_not_changed_for_the_process(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["pserve", "password=PW"])
    with capture_envelopes():
        call(SentryMiddleware(crash, dsn="http://key@127.0.0.1:9/1"))
    assert sys.argv == ["pserve", "password=PW"]
