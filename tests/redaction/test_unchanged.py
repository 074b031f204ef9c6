"""What has stayed in one span of a request is not examined again in the next one."""

import copy

import pytest
import sentry_sdk
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.client.registry import registry
from sentry_paste.redaction import Matcher, values
from sentry_paste.redaction.names import Names
from sentry_paste.redaction.payloads import clean_item

from traced_apps import answer, needs_streamed_spans, traced
from wsgi_calls import call, environ_of

NAMES = Names()
REQUEST = {
    "HTTP_COOKIE": "sid=f3f29fj2093fj203fj; page=sqlalchemy",
    "HTTP_AUTHORIZATION": "Bearer 8f7d6s5a4f3d2s1a",
    "REMOTE_USER": "alice.liddell",
}
TEXTS = st.sampled_from(
    [
        "", "db", "SELECT 1", "sqlalchemy", "alice.liddell", "for alice.liddell", "f3f29fj2093fj203fj",
        "x 8f7d6s5a4f3d2s1a", "/shop?token=q8fh23fh28hf2", "https://bob:pw@h/", "password=hunter2pw",
        "a" * 600,
    ]
)  # fmt: skip
ATTRIBUTES = st.dictionaries(
    st.sampled_from(
        [
            "db.system", "url.path", "url.full", "sentry.op", "sentry.segment.name", "password", "name",
            "value", "http.request.header.x-token", "REQUEST_METHOD", "HTTP_COOKIE", "f3f29fj2093fj203fj",
            "count",
        ]
    ),
    TEXTS | st.integers(0, 3) | st.booleans() | st.lists(TEXTS, max_size=2),
    max_size=5,
)  # fmt: skip
SPANS = st.fixed_dictionaries(
    {"name": TEXTS, "attributes": ATTRIBUTES, "span_id": st.just("0" * 16)},
    optional={"is_segment": st.booleans(), "unit": TEXTS},
)


def matcher():
    return Matcher(values.of_request(REQUEST, NAMES).union(values.of_users(["alice.liddell"])))


@given(st.lists(SPANS, max_size=5))
def test_items_in_turn_become_what_each_becomes_by_itself(items):
    shared = matcher()
    for item in items:
        alone = copy.deepcopy(item)
        clean_item(alone, matcher(), NAMES)
        clean_item(item, shared, NAMES)
        assert item == alone


@pytest.mark.parametrize(
    "attributes",
    [{"name": "password", "value": "hunter2pw"}, {"REQUEST_METHOD": "GET", "HTTP_COOKIE": "kept=db"}],
    ids=["name and value", "environ"],
)
def test_members_that_belong_together_are_examined_together(attributes):
    shared, together = matcher(), {"name": "x", "attributes": dict(attributes)}
    for name, value in attributes.items():
        clean_item({"name": "x", "attributes": {name: value}}, shared, NAMES)
    clean_item(together, shared, NAMES)
    alone = {"name": "x", "attributes": dict(attributes)}
    clean_item(alone, matcher(), NAMES)
    assert together == alone != {"name": "x", "attributes": attributes}


def test_number_of_members_that_are_remembered_is_bounded():
    shared = matcher()
    for number in range(3000):
        clean_item({"name": f"item {number}", "attributes": {"long": "x" * 501}}, shared, NAMES)
    assert len(shared.unchanged(NAMES)._members) <= 2001
    assert not shared.unchanged(NAMES).has("long", "x" * 501)


def test_client_with_other_names_examines_everything_again():
    shared, item = matcher(), {"name": "x", "attributes": {"colour": "green"}}
    clean_item(copy.deepcopy(item), shared, NAMES)
    clean_item(item, shared, Names(parameters=["colour"]))
    assert item["attributes"] == {"colour": "[Filtered]"}


@pytest.fixture
def streamed_spans(captured):
    def spans():
        for client in registry.clients():
            client.flush()
        return [span for payload in captured.payloads("span") for span in payload["items"]]

    return spans


def traced_with_spans(make, streamed_spans, **options):
    """Run an app that makes spans; return the texts of the spans that arrived."""

    def app(environ, start_response):
        make(environ)
        return answer(environ, start_response)

    call(traced(app, trace_lifecycle="stream", **options), environ_of("/x"))
    return [span["name"] for span in streamed_spans() if not span["is_segment"]]


def span(name):
    with sentry_sdk.traces.start_span(name=name):
        pass


@needs_streamed_spans
class TestRequests:
    # Spans are cleaned when they are sent, with all that the request has by then.
    def test_user_who_signs_in_between_two_spans(self, streamed_spans):
        def make(environ):
            span("for user-48151")
            environ["REMOTE_USER"] = "user-48151"
            span("for user-48151")

        assert traced_with_spans(make, streamed_spans) == ["for [Filtered]", "for [Filtered]"]

    def test_user_whose_mapping_changes_between_two_spans(self, streamed_spans):
        def make(environ):
            environ["repoze.who.identity"] = {}
            span("for user-48151")
            environ["repoze.who.identity"]["login"] = "user-48151"
            span("for user-48151")

        assert traced_with_spans(make, streamed_spans) == ["for [Filtered]", "for [Filtered]"]

    @pytest.mark.parametrize("key", ["REMOTE_USER", "HTTP_X_API_KEY"])
    def test_what_is_removed_again_before_spans_are_cleaned(self, streamed_spans, key):
        def make(environ):
            for number in (1, 2):
                environ[key] = f"user-48151{number}"
                span(f"for user-48151{number}")
                del environ[key]

        assert traced_with_spans(make, streamed_spans) == ["for [Filtered]", "for [Filtered]"]

    def test_spans_of_very_many_users_are_sent_without_texts(self, streamed_spans):
        def make(environ):
            for number in range(60):
                environ["REMOTE_USER"] = f"user-48151{number}"
                span(f"for user-48151{number}")

        assert set(traced_with_spans(make, streamed_spans)) == {"[Filtered]"}

    def test_span_is_sent_without_texts_if_the_environ_cannot_be_read(self, streamed_spans, monkeypatch):
        def fail(*args):
            raise ValueError

        def make(environ):
            with monkeypatch.context() as patch:
                patch.setattr("sentry_paste.redaction.values.of_environ", fail)
                span("one")

        assert traced_with_spans(make, streamed_spans) == ["[Filtered]"]

    def test_header_that_is_added_between_two_spans(self, streamed_spans):
        def make(environ):
            span("key q8fh23fh28hf2")
            environ["HTTP_X_API_KEY"] = "q8fh23fh28hf2"
            span("key q8fh23fh28hf2")

        assert traced_with_spans(make, streamed_spans) == ["key [Filtered]", "key [Filtered]"]

    def test_environ_s_objects_are_not_compared_or_kept(self, streamed_spans):
        class Hostile:
            def __eq__(self, other):
                raise AssertionError

            __hash__ = None

        seen = []

        def make(environ):
            environ["app.a"] = environ["app.b"] = Hostile()
            span("one")
            environ["app.a"] = Hostile()
            span("two")
            seen.append(environ)

        assert traced_with_spans(make, streamed_spans) == ["one", "two"]

    def test_hook_of_the_app_gets_spans_without_secrets(self, streamed_spans):
        given = []

        def hook(found, hint):
            given.append(found["name"])
            return {**found, "name": found["name"].upper()}

        def make(environ):
            environ["REMOTE_USER"] = "user-48151"
            span("for user-48151")

        found = traced_with_spans(make, streamed_spans, before_send_span=hook)
        assert given[0] == "for [Filtered]"
        assert found == ["FOR [FILTERED]"]

    @pytest.mark.parametrize("has_queue", [True, False])
    def test_span_is_cleaned_with_and_without_a_queue_that_is_known(
        self, streamed_spans, monkeypatch, has_queue
    ):
        if not has_queue:
            monkeypatch.setattr("sentry_paste.sdk.clean_spans_in_envelopes", lambda *args: None)

        def make(environ):
            environ["REMOTE_USER"] = "user-48151"
            span("for user-48151")

        assert traced_with_spans(make, streamed_spans) == ["for [Filtered]"]
