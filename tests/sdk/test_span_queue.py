"""Streamed spans are cleaned together when they leave the SDK's queue, and leave it no other way."""

import copy
import threading
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.sdk import span_queue

from traced_apps import needs_streamed_spans


class Batcher:
    """The parts of the SDK's queue that are used."""

    def __init__(self):
        self.queued, self.sent = [], []
        self._capture_func = self.sent.append

    def add(self, span):
        self.queued.append(span)

    def _to_transport_format(self, item):
        return {key: value for key, value in item.items() if key != "_segment_span"}

    def _flush(self, only_pending=False):
        taken, self.queued = self.queued, []
        items = [self._to_transport_format(span) for span in taken]
        if items:
            payload = SimpleNamespace(json={"version": 2, "items": items})
            self._capture_func(SimpleNamespace(items=[SimpleNamespace(payload=payload)], headers={}))


def hook(span, hint):
    return span


def queue(clean, request=lambda: None, options=None):
    client = SimpleNamespace(
        span_batcher=Batcher(), options=options if options is not None else {"before_send_span": hook}
    )
    span_queue.clean_spans_in_envelopes(client, hook, request, clean)
    return client


def sent(batcher):
    return [item for envelope in batcher.sent for item in envelope.items[0].payload.json["items"]]


def test_spans_of_a_request_are_cleaned_together():
    requests, calls = iter("abab"), []
    client = queue(
        lambda request, spans: calls.append((request, [span["name"] for span in spans])),
        lambda: next(requests),
    )
    for name in "1234":
        client.span_batcher.add({"name": name, "_segment_span": object()})
    client.span_batcher._flush()
    assert calls == [("a", ["1", "3"]), ("b", ["2", "4"])]
    assert sent(client.span_batcher) == [{"name": name} for name in "1234"]
    assert client.options["before_send_span"] is None


def test_spans_that_cannot_be_cleaned_are_not_sent():
    def clean(request, spans):
        raise ValueError

    client = queue(clean)
    client.span_batcher.add({"name": "secret"})
    client.span_batcher._flush()
    assert sent(client.span_batcher) == []


def test_span_that_was_queued_some_other_way_is_not_sent():
    client = queue(lambda request, spans: None)
    client.span_batcher.queued.append({"name": "secret"})
    client.span_batcher._flush()
    assert sent(client.span_batcher) == []


@pytest.mark.parametrize("missing", ["add", "_capture_func", "_to_transport_format", "_flush"])
def test_hook_stays_if_the_queue_is_not_the_known_one(missing):
    client = SimpleNamespace(span_batcher=Batcher(), options={"before_send_span": hook})
    setattr(client.span_batcher, missing, None)
    span_queue.clean_spans_in_envelopes(client, hook, lambda: None, lambda request, spans: None)
    assert client.options["before_send_span"] is hook


def test_hook_of_the_app_stays():
    def other(span, hint):
        return span

    client = queue(lambda request, spans: None, options={"before_send_span": other})
    client.span_batcher.add({"name": "1"})
    assert client.span_batcher.queued == [{"name": "1"}]
    assert client.options["before_send_span"] is other


def test_flush_waits_for_spans_that_another_thread_cleans():
    cleaning, go_on = threading.Event(), threading.Event()

    def clean(request, spans):
        cleaning.set()
        go_on.wait(10)

    client = queue(clean)
    client.span_batcher.add({"name": "1"})
    first = threading.Thread(target=client.span_batcher._flush)
    first.start()
    assert cleaning.wait(10)
    counts = []

    def flush():
        client.span_batcher._flush()
        counts.append(len(sent(client.span_batcher)))

    second = threading.Thread(target=flush)
    second.start()
    second.join(0.1)
    assert counts == []
    go_on.set()
    first.join()
    second.join()
    assert counts == [1]


@pytest.fixture
def turns():
    """Turns of which another thread has one, and does not end it."""
    turns, go_on, inside = span_queue._Turns(), threading.Event(), threading.Event()

    def hang():
        inside.set()
        go_on.wait(10)

    thread = threading.Thread(target=turns.take, args=(hang,))
    thread.start()
    assert inside.wait(10)
    yield turns
    go_on.set()
    thread.join()


def test_flush_does_not_wait_forever(turns, monkeypatch):
    monkeypatch.setattr(span_queue, "_LONGEST_TURN", 0.01)
    assert turns.take(lambda: "done") == "done"


def test_process_that_was_forked_does_not_wait_for_its_parent(turns, monkeypatch):
    monkeypatch.setattr("os.getpid", lambda: 1)
    monkeypatch.setattr(span_queue, "_LONGEST_TURN", -1)
    assert turns.take(lambda: "done") == "done"


SINGLE = st.sampled_from([0.0, -0.0, 1.0, float("nan"), 1, True, 0, False, "1", "", "SELECT", None, b"x"])
ATTRIBUTES = st.dictionaries(
    st.sampled_from(["a", "b", "c"]), SINGLE | st.lists(SINGLE, max_size=3) | st.just(("a", "b")), max_size=3
)


@needs_streamed_spans
def test_transport_may_change_an_attribute_of_one_span():
    attributes = {"a": "x", "b": "x", "c": 1, "d": True}
    first, second = span_queue._together([{"span_id": each, "attributes": attributes} for each in "12"])
    before = copy.deepcopy(second)
    for encoded in first["attributes"].values():
        encoded["value"] += 1 if encoded["type"] == "integer" else encoded["value"]
    assert second == before
    assert first["attributes"]["a"] == first["attributes"]["b"] == {"value": "xx", "type": "string"}


@needs_streamed_spans
@pytest.mark.parametrize("key", ["name", "status", "start_timestamp", "parent_span_id"])
def test_spans_are_encoded_one_by_one_where_the_sdk_does_more(key):
    from sentry_sdk._span_batcher import SpanBatcher

    def encode(span):
        return {**SpanBatcher._to_transport_format(span), **({key: "changed"} if key in span else {})}

    spans = [{"span_id": "1", "attributes": {}, key: "plain"}]
    assert span_queue._encoder(encode)(spans) == [{"span_id": "1", key: "changed"}]


@needs_streamed_spans
@given(st.lists(st.tuples(st.text(max_size=3), ATTRIBUTES | st.none()), max_size=5))
def test_spans_are_encoded_as_by_the_sdk(given):
    from sentry_sdk._span_batcher import SpanBatcher

    spans = [
        {"name": name, "is_segment": False, "_segment_span": object(), "attributes": attributes}
        for name, attributes in given
    ]
    encode = span_queue._encoder(SpanBatcher._to_transport_format)
    assert encode is span_queue._together
    before = repr(spans)
    assert repr(encode(spans)) == repr([SpanBatcher._to_transport_format(span) for span in spans])
    assert repr(spans) == before


def test_spans_are_encoded_by_an_sdk_that_does_it_in_another_way():
    def encoded(span):
        return {"version": 3, **span}

    (span,) = span_queue._encoder(encoded)([{"name": "a", "attributes": {"b": "c"}}])
    assert span == {"version": 3, "name": "a", "attributes": {"b": "c"}}


def test_spans_are_encoded_by_an_sdk_that_fails_with_the_sample():
    def encoded(span):
        return span["unknown"]

    assert span_queue._encoder(encoded)([{"unknown": 1}]) == [1]
