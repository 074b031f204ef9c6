"""Innocent data stays: texts, requests and the corpus, with redaction and without."""

import json
import logging
import sys
import warnings
from pathlib import Path

import innocent
import pytest
import sentry_sdk
from canary_request import Planted
from innocent import CORPUS, ENVIRON, TEXTS, changes, count, counts, reported, table

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.redaction.names import FILTERED
from sentry_paste.testing import capture_envelopes

from traced_apps import set_span_data
from wsgi_calls import call, environ_of

PAGE = (Path(__file__).parent.parent.parent / "docs" / "privacy.rst").read_text(encoding="utf-8")
#: The percentage of innocent texts that may be mistaken for secrets.
MOST_OF_A_HUNDRED = 3

# Known damage. What replaces a value is not a value.
TAKEN_FOR_SECRETS = {
    '{"password_required": true, "password_changed_at": "2026-11-22T10:15:30Z"}': "a date",
}


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setattr(innocent.log, "level", logging.INFO)
    monkeypatch.setattr(innocent.log, "propagate", False)
    innocent.log.addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of frameworks
        yield


def measure(text):
    set_span_data(sdk.start_child_span("db", str(text)), thing=text)


def carry(text):
    """Return an app that has a text wherever one can be."""

    def app(environ, start_response):
        held, mapping, pair = [text, (text,), 3], {"colour": text, "n": {"a": [text]}}, ("colour", text)
        innocent.log.warning("seen %s", text, extra={"thing": text})
        sentry_sdk.add_breadcrumb(category="query", message=str(text), data={"thing": text})
        measure(text)
        innocent.log.error("cannot see %s", text, extra={"held": held, "mapping": mapping})
        raise LookupError(text, len(pair))

    return app


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(text, marks=pytest.mark.xfail(strict=True, reason=TAKEN_FOR_SECRETS[text]))
        if text in TAKEN_FOR_SECRETS
        else text
        for text in TEXTS
    ],
)
def test_text_stays(text):
    found = count(reported(carry(text), "/shop/basket?page=3"))
    assert found.changed == {}
    assert found.texts > 50


def test_list_of_two_sentences_stays():
    messages = ["Your session token has expired.", "Log in again."]
    assert count(reported(carry(messages), "/")).changed == {}


def test_text_stays_next_to_the_secrets_of_a_request():
    environ = {key: text for key, text in Planted(3).environ.items() if isinstance(text, str)}
    texts = [text for text in TEXTS if text not in TAKEN_FOR_SECRETS]

    def app(environ, start_response):
        for text in texts:
            sentry_sdk.capture_event({"message": text, "extra": {"text": [text]}})
        start_response("200 OK", [])
        return []

    before_and_after = reported(app, "/shop/basket", environ=environ)
    events = [pair for pair in before_and_after if "message" in pair.before]
    assert len(events) == len(texts)
    changed = [
        (path, before, after)
        for pair in events
        for path, before, after in changes(pair.before, pair.after)
        if not path.startswith(".request")
    ]
    assert changed == []


def test_ordinary_request_is_reported_as_with_pii():
    """Key by key, except for what personal data adds."""

    def app(environ, start_response):
        held = {"a": [1, {"b": ("c", b"d")}], "text": "x" * 50, "page": environ["QUERY_STRING"]}
        logging.getLogger("shop").warning("some %s", "thing", extra={"more": held})
        sentry_sdk.set_tag("a", "b")
        raise LookupError("plain", len(held))

    def sent(pii):
        headers = {key: text for key, text in ENVIRON.items() if key not in ("HTTP_COOKIE", "REMOTE_ADDR")}
        environ = environ_of("/a", QUERY_STRING="page=3&sort=price&code_of_colour=17", **headers)
        del environ["REMOTE_ADDR"]
        with capture_envelopes() as captured:
            call(SentryMiddleware(app, traces_sample_rate=1.0, release="1", send_default_pii=pii), environ)
        return [*captured.errors, *captured.transactions]

    def request_of(found):
        """Return a request as errors and transactions have it, or the attributes of a streamed span."""
        if "request" in found:
            return found["request"]
        attributes = found["contexts"]["trace"]["data"]
        return {key: value for key, value in attributes.items() if key != "sentry.segment.id"}

    for without, with_pii in zip(sent(False), sent(True)):
        assert request_of(with_pii).keys() - request_of(without).keys() <= {"cookies", "env"}
        assert request_of(without) == {key: request_of(with_pii).get(key) for key in request_of(without)}
        for key in ("message", "tags", "extra", "transaction", "logger", "level", "platform"):
            assert without.get(key) == with_pii.get(key)
        for one, other in zip(*(e.get("exception", {}).get("values", []) for e in (without, with_pii))):
            assert one["value"] == other["value"]
            frames = zip(one["stacktrace"]["frames"], other["stacktrace"]["frames"])
            held = [(a["vars"].get("held"), b["vars"].get("held")) for a, b in frames if "held" in a["vars"]]
            assert held
            assert all(a == b for a, b in held)


def test_useful_parts_of_a_request_with_secrets_stay():
    planted = Planted(3)

    def app(environ, start_response):
        colour, numbers, basket = "green", [1, 2, 3], {"item": "lamp", "count": 3}
        logging.getLogger("shop").warning("basket %s is full", 17)
        raise LookupError("no such basket: 17", colour, numbers, basket)

    with capture_envelopes() as captured:
        call(SentryMiddleware(app), planted.environ)
    (event,) = captured.errors
    (error,) = event["exception"]["values"]
    assert error["value"] == "('no such basket: 17', 'green', [1, 2, 3], {'item': 'lamp', 'count': 3})"
    variables = error["stacktrace"]["frames"][-1]["vars"]
    assert variables["colour"] == "'green'"
    assert variables["numbers"] == ["1", "2", "3"]
    assert variables["basket"] == {"item": "'lamp'", "count": "3"}
    assert variables["environ"]["PATH_INFO"] == "'/shop/basket'"
    assert variables["environ"]["QUERY_STRING"].startswith(f"'page=3&colour=green&token={FILTERED}")
    assert event["breadcrumbs"]["values"][0]["message"] == "basket 17 is full"
    request = event["request"]
    assert request["url"] == "http://localhost/shop/basket"
    assert request["method"] == "POST"
    assert request["query_string"].startswith(f"page=3&colour=green&token={FILTERED}&password={FILTERED}&")
    assert f"&next=%2Freset%3Ftoken%3D{FILTERED}%26page%3D4&" in request["query_string"]
    kept = {name: text for name, text in request["headers"].items() if text != FILTERED}
    assert kept.pop("Referer").startswith(f"https://example.com/login?token={FILTERED}&next=")
    assert kept.pop("X-Original-Url") == f"https://{FILTERED}@example.com/x"
    assert kept == {
        "Accept-Language": "de-CH,en",
        "Baggage": f"userId={FILTERED},colour=green",
        "Content-Length": planted.environ["CONTENT_LENGTH"],
        "Content-Type": "application/x-www-form-urlencoded",
        "Host": "localhost",
        "User-Agent": "canaries/1.0",
    }
    assert event["transaction"] == "POST /shop/basket"


@pytest.fixture(scope="module")
def found():
    innocent.quiet()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return counts()


class TestCorpus:
    def test_few_texts_are_taken_for_secrets(self, found):
        for what, one in found.items():
            assert one.texts > 100, what
            assert len(one.changed) * 100 <= one.texts * MOST_OF_A_HUNDRED, (what, list(one.changed)[:20])

    def test_secrets_are_there(self, found):
        assert sum(one.secret for one in found.values()) >= 5

    def test_no_more_than_the_page_says(self, found):
        if f"Python {sys.version_info[0]}.{sys.version_info[1]}" not in PAGE:
            pytest.skip("the table is of another Python")
        for line in table(found).splitlines()[3:-1]:
            what, changed = line.partition("  ")[0], line.split()[-1]
            said = [row.split()[-1] for row in PAGE.splitlines() if row.startswith(f"{what}  ")]
            assert int(changed) <= int(said[0]), what


def test_corpus_is_what_the_page_says():
    for what in CORPUS:
        assert f"\n{what}  " in PAGE, what


def test_changes_are_seen():
    before, after = {"a": ["b", {"c": "d"}], "e": 1}, {"a": ["b", {"c": "x"}], "f": 1}
    assert list(changes(before, after)) == [(".a.1.c", "d", "x"), (".e", "e", None), (".f", None, "f")]
    assert json.loads(json.dumps(before)) == before
