"""A transaction for which the sender's queue has no room is counted as lost, and not prepared first."""

import threading

import pytest
import sentry_sdk

from sentry_paste import SentryMiddleware, sdk

from wsgi_calls import call, environ_of

pytestmark = pytest.mark.skipif(sdk.MAJOR > 2, reason="sentry-sdk 3 streams all spans")


def app(environ, start_response):
    with sentry_sdk.start_span(op="db", name="SELECT 1"), sentry_sdk.start_span(op="db", name="SELECT 2"):
        start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"ok"]


@pytest.fixture
def full():
    """A middleware whose client's queue is full, and the transactions that its hook has seen."""
    prepared, go_on, is_sending = [], threading.Event(), threading.Event()

    def before_send_transaction(event, hint):
        prepared.append(event["transaction"])
        return event

    def send():
        is_sending.set()
        go_on.wait(10)

    middleware = SentryMiddleware(
        app,
        dsn="http://key@127.0.0.1:9/1",
        traces_sample_rate=1.0,
        transport_queue_size=1,
        before_send_transaction=before_send_transaction,
        auto_session_tracking=False,
    )
    worker = middleware.client.transport._worker
    assert worker.submit(send)
    assert is_sending.wait(10)
    assert worker.submit(lambda: None)
    yield middleware, prepared
    go_on.set()


def lost(middleware):
    return dict(middleware.client.transport._discarded_events)


def test_transaction_is_not_prepared(full):
    middleware, prepared = full
    assert call(middleware, environ_of()).body == [b"ok"]
    assert prepared == []


def test_loss_is_counted_as_the_sdk_counts_it(full, monkeypatch):
    middleware, prepared = full
    call(middleware, environ_of())
    counted = lost(middleware)
    middleware.client.transport._discarded_events.clear()
    monkeypatch.setattr(sdk, "drop_if_full", lambda client, event: False)
    call(middleware, environ_of())
    assert prepared != []
    assert (
        counted
        == lost(middleware)
        == {
            ("transaction", "queue_overflow"): 1,
            ("span", "queue_overflow"): 3,
        }
    )


def test_error_is_prepared_all_the_same(full):
    middleware, _ = full
    seen = []
    middleware.client.options["before_send"] = lambda event, hint: seen.append(event)
    with sentry_sdk.scope.use_scope(sentry_sdk.Scope(client=middleware.client)):
        sentry_sdk.capture_message("of an error")
    assert len(seen) == 1


@pytest.mark.parametrize("others", [{"profile": object()}, {"_dropped_spans": 1}, {"spans": None}])
def test_sdk_counts_what_is_unusual(full, others):
    client = full[0].client
    assert sdk.drop_if_full(client, {"type": "transaction", "spans": []})
    assert not sdk.drop_if_full(client, {"type": "transaction", "spans": [], **others})


def test_spotlight_has_it_all_the_same(full, monkeypatch):
    client = full[0].client
    monkeypatch.setattr(client, "spotlight", object())
    assert not sdk.drop_if_full(client, {"type": "transaction", "spans": []})
    monkeypatch.undo()


def test_transaction_is_sent_where_there_is_room(full):
    middleware, prepared = full
    middleware.client.transport._worker._queue.get()
    call(middleware, environ_of())
    assert len(prepared) == 1
