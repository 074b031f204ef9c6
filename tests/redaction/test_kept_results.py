"""Results that are kept between requests are used only where they would be worked out the same."""

import pytest
import sentry_sdk
from sentry_sdk.transport import Transport

from sentry_paste import SentryMiddleware, sdk
from sentry_paste.redaction import values
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.payloads import clean_event, clean_item
from sentry_paste.redaction.recent import Recent

from wsgi_calls import call, environ_of

QUERY = "widget=q8fh23fh28hf2&page=2"


def test_parameter_that_is_secret_by_now_is_searched_for():
    names, known = Names(), Recent()
    assert values.of_request({"QUERY_STRING": QUERY}, names, known) == set()
    names.deny(["widget"])
    found = values.of_request({"QUERY_STRING": QUERY}, names, known)
    assert "q8fh23fh28hf2" in {secret.text for secret in found}


def test_parameter_that_is_secret_by_now_is_hidden():
    names, known = Names(), Recent()
    shown = []
    for denied in ([], ["widget"]):
        names.deny(denied)
        event = {"request": {"query_string": QUERY, "headers": {"Referer": f"https://x.example/?{QUERY}"}}}
        clean_event(event, Matcher((), known), names)
        shown.append((event["request"]["query_string"], event["request"]["headers"]["Referer"]))
    hidden = f"widget={FILTERED}&page=2"
    assert shown == [(QUERY, f"https://x.example/?{QUERY}"), (hidden, f"https://x.example/?{hidden}")]


class Kept(Transport):
    """Keeps the events."""

    def __init__(self):
        super().__init__()
        self.events = []

    def capture_envelope(self, envelope):
        self.events.append(envelope.get_event())


@pytest.mark.skipif(sdk.MAJOR > 2, reason="has no scrubber")
def test_names_of_the_apps_next_client_count_from_its_first_request_on():
    def app(environ, start_response):
        sentry_sdk.capture_message("seen")
        start_response("200 OK", [])
        return [b""]

    middleware, transport = SentryMiddleware(app), Kept()
    for names in ([], ["widget"]):
        client = sentry_sdk.Client(
            "http://k@127.0.0.1:9/1",
            transport=transport,
            event_scrubber=sdk.EventScrubber(names),
        )
        with sentry_sdk.isolation_scope() as scope:
            scope.set_client(client)
            call(middleware, environ_of("/x", QUERY_STRING=QUERY))
    queries = [event["request"]["query_string"] for event in transport.events]
    assert queries == [QUERY, f"widget={FILTERED}&page=2"]


def test_key_of_an_environ_is_not_taken_for_another_kind_of_text():
    names, known = Names(environ=["parameters", "user"]), Recent()
    text = "token=q8fh23fh28hf2 of https://x.example/a?token=q8fh23fh28hf2"
    for environ in ({"QUERY_STRING": text}, {"parameters": text}, {"user": text}):
        assert values.of_request(environ, names, known) == values.of_request(environ, names)
    assert set(values.of_users([text], known)) == set(values.of_users([text]))


def test_names_that_are_secret_already_change_nothing():
    names = Names()
    names.deny(["widget"])
    before = names.rules
    names.deny(["Widget", "widget"])
    assert names.rules is before


def test_member_of_an_item_that_is_secret_by_now_is_hidden():
    names = Names()
    matcher, sent = Matcher(values.of_request({"HTTP_COOKIE": "sid=f3f29fj2093fj203fj"}, names)), []
    for denied in ([], ["widget"]):
        names.deny(denied)
        item = {"body": "x", "attributes": {"widget": "q8fh23fh28hf2"}}
        clean_item(item, matcher, names)
        sent.append(item["attributes"]["widget"])
    assert sent == ["q8fh23fh28hf2", FILTERED]


class Denying(Names):
    """Names of which another thread makes one secret while it is looked at."""

    def _key_rule(self, key):
        found = super()._key_rule(key)
        self.deny(["widget"])
        return found


def test_name_that_becomes_secret_while_it_is_looked_at_is_secret_from_then_on():
    names = Denying()
    for mapping in ({"widget": 1}, {"widget": 1, "colour": 2}):
        names.secret_keys(mapping, Bounds(1000, 0))
        assert names.secret_keys(mapping, Bounds(1000, 0)) == ["widget"]
