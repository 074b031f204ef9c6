"""What the ini says about errors: which are none, and how the others are sent."""

import logging
import timeit

import error_apps
import pytest
import sentry_sdk

from sentry_paste.client.error_rules import MessageRules
from sentry_paste.client.registry import registry
from sentry_paste.config import ConfigError

from wsgi_calls import call, environ_of

INI = """
    [filter:sentry]
    use = egg:sentry_paste
    release = 1
    {options}
    [pipeline:main]
    pipeline = sentry app
    [app:app]
    paste.app_factory = error_apps:make_app
"""


@pytest.fixture
def ini(load, request, monkeypatch):
    """Return a function that loads an app with some options; what is lost is in its attribute ``lost``."""

    checked = "captured_unchecked" not in request.fixturenames
    request.getfixturevalue("captured" if checked else "captured_unchecked")

    def ini(*options):
        app = load(INI.format(options="\n    ".join(options)))
        app.lost = []
        monkeypatch.setattr(
            app.client.transport,
            "record_lost_event",
            lambda reason, data_category=None, **_: app.lost.append((reason, data_category)),
        )
        return app

    return ini


def raising(app, path):
    """Call an app, which may raise to the server."""
    return call(app, environ_of(path))


def titles(captured):
    """What each error says, whatever it was made of."""
    found = []
    for event in captured.errors:
        exception = (event.get("exception") or {}).get("values") or [{}]
        found.append(exception[-1].get("value") or event.get("message") or event["logentry"]["message"])
    return found


def sessions(captured):
    """How many sessions have ended in which way."""
    for client in registry.clients():
        client.flush()
    counts = {}
    for aggregates in captured.payloads("sessions"):
        for found in aggregates["aggregates"]:
            for key in ("exited", "errored", "crashed"):
                counts[key] = counts.get(key, 0) + found.get(key, 0)
    return {key: count for key, count in counts.items() if count}


class TestIgnoredMessages:
    @pytest.mark.parametrize(
        ("rule", "path"),
        [
            ("Connection reset*", "/raise/Connection reset by 192.0.2.1"),
            ("ValueError: Connection *", "/raise/Connection reset"),
            ("*reset*", "/raise/Connection reset by peer"),
            ("[Cc]onnection ?eset", "/capture/connection reset"),
            ("Task 4? failed", "/log/42"),
            ("Task %%s failed", "/log/42"),
            (r"re:^Task \d+ failed$", "/log/42"),
            (r"re: (?i)RESET", "/message/Connection reset"),
            (r"re:(\w)\1", "/message/a book"),
            ("nothing\n     a message, with a comma\n     re:nothing", "/message/a message, with a comma"),
        ],
    )
    def test_message_that_a_rule_is_about_is_not_reported_but_counted(self, ini, captured, rule, path):
        app = ini(f"ignore_messages = {rule}")
        raising(app, path)
        assert captured.errors == []
        assert app.lost == [("event_processor", "error")]

    @pytest.mark.parametrize("rule", ["Connection", "connection reset", "reset*", "re:^reset", "*peers*"])
    def test_other_messages_are_reported(self, ini, captured, rule):
        app = ini(f"ignore_messages = {rule}")
        for path in ("/raise/Connection reset by peer", "/message/Connection reset by peer"):
            raising(app, path)
        assert titles(captured) == ["Connection reset by peer"] * 2
        assert app.lost == []

    def test_it_holds_outside_of_requests_too(self, ini, captured):
        ini("ignore_messages = *revoked*")
        sentry_sdk.capture_message("the task was revoked")
        logging.getLogger("tasks").error("the task %s was revoked", 7)
        sentry_sdk.capture_message("the task has failed")
        assert titles(captured) == ["the task has failed"]

    def test_client_of_the_app_has_no_rules(self, ini, captured):
        app, sent = ini("ignore_messages = *"), []
        own = sentry_sdk.Client(
            dsn="https://key@sentry.example/1", before_send=lambda event, hint: sent.append(event)
        )
        own.capture_event({"message": "of the app's own client"})
        own.close()
        raising(app, "/message/one")
        assert [event["message"] for event in sent] == ["of the app's own client"]
        assert captured.errors == []

    def test_request_with_an_ignored_error_has_not_crashed(self, ini, captured):
        raising(ini("ignore_messages = Connection*"), "/raise/Connection reset")
        assert sessions(captured) == {"exited": 1}

    def test_exception_is_asked_nothing(self, ini, captured):
        counts = []
        for options in ([], ["ignore_messages = Connection*"]):
            error_apps.asked.clear()
            raising(ini(*options), "/hostile")
            counts.append(len(error_apps.asked))
        assert len(captured.errors) == 2
        assert counts[0] == counts[1]

    def test_failing_rule_loses_nothing(self, ini, captured, monkeypatch, caplog):
        app = ini("ignore_messages = Connection*")
        monkeypatch.setattr(MessageRules, "matches", lambda self, text: 1 / 0)
        raising(app, "/raise/Connection reset")
        assert titles(captured) == ["Connection reset"]
        assert "a rule about errors is not applied" in caplog.text

    def test_message_of_any_length_and_kind_is_compared(self, ini, captured_unchecked):
        ini("ignore_messages = *x", "ignore_exceptions = KeyError")
        for message in ("x" * 100_000, "", None, 7, ["x"]):
            sentry_sdk.get_client().capture_event({"message": message, "logentry": message})
        assert len(captured_unchecked.errors) == 4

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("re:(", "expected a regular expression, but '(' is invalid"),
            ("*\n     re:", "expected a regular expression after re:, not 're:'"),
        ],
    )
    def test_mistake_is_told_with_its_line(self, ini, text, reason):
        with pytest.raises(ConfigError) as caught:
            ini(f"ignore_messages = {text}")
        assert reason in str(caught.value)
        assert "line 5" in str(caught.value)

    @pytest.mark.parametrize(
        "form", ["message {}", "message {}*", "*message {}", "*message {}*", "re:^message {}$"]
    )
    def test_a_thousand_rules_cost_about_what_one_costs(self, form):
        def seconds(count):
            rules = MessageRules([form.format(number) for number in range(count)])
            texts = [f"this is another message of some length {number}" for number in range(2000)]
            return min(
                timeit.repeat(lambda: [rules.matches(text) for text in texts], number=1, repeat=3)
            ) / len(texts)

        # To capture an error takes about a millisecond.
        assert seconds(1000) - seconds(1) < 0.0002
