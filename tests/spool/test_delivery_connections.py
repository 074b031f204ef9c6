"""As many connections as the round trip needs, and no more: from the ini to the receiver."""

import gc
import logging
import threading
import time
import weakref

import pytest
import sentry_sdk

from sentry_paste.client.registry import registry
from sentry_paste.spool.delivery import delivering_class
from sentry_paste.spool.transport import SpoolSettings

from faulty import Answer
from spooled import close_clients, envelope, states

LOGGED_BY_URLLIB3 = "Connection pool is full"


class Watch:
    """How many requests a receiver has at the same time, each of which it answers after a while."""

    def __init__(self, sentry, delay):
        self.sentry = sentry
        self.delay = delay
        self.asked = 0
        self.most = 0
        self.active = []
        sentry.answer_to = self

    def __call__(self, envelope):
        self.asked += 1
        now = self.asked - len(self.sentry.arrivals)
        self.active.append(now)
        self.most = max(self.most, now)
        return Answer(delay=self.delay(now))


def capture(count, pause=0.0):
    (client,) = registry.clients()
    for _ in range(count):
        client.transport.capture_envelope(envelope())
        time.sleep(pause)


def test_burst_at_a_distance_goes_over_several_connections(site, sentry, spool, caplog):
    watch = Watch(sentry, lambda active: 0.15)
    site().ok()
    with caplog.at_level(logging.WARNING):
        capture(60)
        sentry.wait(errors=60)
        sentry.wait_for(lambda: states(spool) == [])
    # On a busy machine answers seem late, so there are fewer connections.
    assert 2 <= watch.most <= 8
    assert sentry.sent_twice() == 0
    assert not [record for record in caplog.records if LOGGED_BY_URLLIB3 in record.getMessage()]


def test_one_connection_is_all_where_it_suffices(site, sentry, spool):
    watch = Watch(sentry, lambda active: 0.05)
    site().ok()
    capture(8, pause=0.15)
    sentry.wait(errors=8)
    # One more where a busy machine has not read an answer in time.
    assert sum(active > 1 for active in watch.active) <= 2


@pytest.mark.parametrize("connections", [1, 3])
def test_connections_of_the_ini_are_the_most(site, sentry, spool, connections):
    sentry.answer = Answer(503)
    site().crash(20)
    close_clients()
    watch = Watch(sentry, lambda active: 0.1)
    site(spool_connections=connections).ok()
    capture(20)
    sentry.wait(errors=40)
    # With one, the SDK's thread and the spool's have one each, as without the option.
    assert watch.most <= max(connections, 2)


def test_backlog_goes_over_several_connections(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash(60)
    close_clients()
    watch = Watch(sentry, lambda active: 0.15)
    site().ok()
    sentry.wait(errors=60)
    assert 2 <= watch.most <= 8
    sentry.wait_for(lambda: states(spool) == [])
    assert sentry.sent_twice() == 0


@pytest.mark.parametrize("what", ["live", "backlog"])
def test_server_that_is_slow_because_it_has_too_much_to_do_is_not_pressed_harder(site, sentry, spool, what):
    if what == "backlog":
        sentry.answer = Answer(503)
        site().crash(30)
        close_clients()
    watch = Watch(sentry, lambda active: 0.05 if active == 1 else 0.3 * active)
    site().ok()
    if what == "live":
        capture(30)
    sentry.wait(errors=30, seconds=60)
    assert sum(watch.active) / len(watch.active) < 3


def test_failing_server_is_asked_by_one_at_a_time(site, sentry, spool, impatient):
    site().ok()
    watch = Watch(sentry, lambda active: 0.1)
    capture(30)
    sentry.wait_for(lambda: watch.most >= 4)
    before = len(sentry.arrivals) + 8
    sentry.answer_to = lambda envelope: Answer(503, delay=0.05)
    sentry.wait_for(lambda: len(sentry.arrivals) >= before + 3)
    watch = Watch(sentry, lambda active: 0.0)
    sentry.wait_for(lambda: watch.asked >= 1)
    assert watch.active[0] <= 3
    sentry.wait(errors=30)


def test_live_errors_go_ahead_of_a_backlog(site, sentry, spool, monkeypatch):
    monkeypatch.setattr("sentry_paste.spool.backlog.FRESH", 0.0)
    sentry.answer = Answer(503)
    site().crash(100, "old")
    close_clients()
    sentry.answer = Answer(delay=0.1)
    made = site()
    made.ok()
    sentry.wait(errors=20)

    def arrived():
        return [arrival.tag for arrival in sentry.arrivals if arrival.status == 200]

    before = {}
    for number in range(10):
        before[f"new{number}0"] = len(arrived())
        made.crash(1, f"new{number}")
        time.sleep(0.1)
    sentry.wait(errors=110)
    tags = arrived()
    # By what goes over other connections meanwhile, not by time, of which a busy machine takes any amount.
    assert max(tags.index(tag) - count for tag, count in before.items()) < 30


def test_threads_end_when_nothing_is_left(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash(30)
    close_clients()
    sentry.answer = Answer(delay=0.1)
    made = site()
    made.ok()
    capture(30)
    sentry.wait(errors=60)
    names = ("sentry-paste.upload", "sentry-paste.live")
    sentry.wait_for(lambda: not [t for t in threading.enumerate() if t.name in names])
    (client,) = registry.clients()
    assert client.transport._helpers == client.transport._sending == 0


def test_slow_answer_holds_up_nothing_else_of_the_backlog(site, sentry, spool, monkeypatch):
    """It is the first, when there is one connection, and each of its bytes is in time."""
    monkeypatch.setattr("sentry_paste.spool.backlog.STUCK", 0.5)
    sentry.answer = Answer(503)
    site().crash(10)
    close_clients()
    slow = spool.files()[0].id
    sentry.answer_to = lambda envelope: (
        Answer(between=1.0) if envelope.headers.get("event_id") == slow else Answer(delay=0.05)
    )
    site().ok()
    sentry.wait_for(lambda: len(sentry.delivered()) == 10 and len(spool.files()) == 1, seconds=10)
    assert spool.files()[0].id == slow


def test_slow_answer_holds_up_nothing_else_that_is_captured(site, sentry, spool, monkeypatch):
    monkeypatch.setattr("sentry_paste.spool.delivery.STUCK", 0.5)
    monkeypatch.setattr("sentry_paste.spool.backlog._LOOK_AGAIN", 0.1)
    site().ok()
    sentry.answer = Answer(between=1.0)
    capture(1)
    sentry.wait(arrivals=1)
    sentry.answer = Answer(delay=0.05)
    capture(10)
    sentry.wait_for(lambda: len(spool.files()) == 1, seconds=10)


def test_answer_has_a_limit_in_all(site, sentry, spool, impatient, monkeypatch):
    monkeypatch.setattr("sentry_paste.spool.backlog.LONGEST_ANSWER", 0.5)
    sentry.answer = Answer(between=0.2)
    made = site()
    made.crash()
    sentry.wait(arrivals=2)
    sentry.answer = Answer()
    sentry.wait_for(lambda: states(spool) == [])


def test_losses_are_counted_once_over_several_connections(site, sentry, spool):
    """The SDK puts its counts into any envelope, whose upload may fail while others succeed."""
    site().ok()
    (client,) = registry.clients()
    inner = client.transport.inner
    inner._last_client_report_sent = 0
    client.transport.record_lost_event("sample_rate", data_category="error", quantity=5)
    failing = iter([True])

    def answer(envelope):
        if any(item.type == "client_report" for item in envelope.items):
            return Answer(503 if next(failing, False) else 200, delay=0.1)
        return Answer(delay=0.05)

    sentry.answer_to = answer
    capture(20)
    sentry.wait_for(lambda: len(sentry.delivered()) == 20)
    close_clients()
    assert sentry.lost()["error", "sample_rate"] == 5


def new_client(sentry, spool):
    options = {"dsn": sentry.dsn, "transport": None}
    found = delivering_class(options, SpoolSettings(str(spool.directory), min_free=0))
    return sentry_sdk.Client(
        dsn=sentry.dsn, transport=found, default_integrations=False, auto_enabling_integrations=False
    )


def use_and_close(sentry, spool):
    client = new_client(sentry, spool)
    client.capture_event({"message": "x"})
    sentry.wait(errors=1)
    left = weakref.ref(client.transport.inner)
    client.close(timeout=1)
    return left


def test_closed_client_keeps_no_connection(sentry, spool):
    use_and_close(sentry, spool)
    sentry.wait_for(lambda: not sentry._connections)


def test_closed_client_leaves_no_transport(sentry, spool, monkeypatch):
    """Also if its connections are not closed."""
    monkeypatch.setattr("urllib3.PoolManager.clear", lambda self: None)
    left = use_and_close(sentry, spool)
    # The SDK's profiler keeps the client that was created last.
    client = new_client(sentry, spool)

    def is_collected():
        gc.collect()
        return left() is None

    sentry.wait_for(is_collected)
    client.close()


def test_answer_has_a_limit_after_the_client_is_closed(sentry, spool, monkeypatch):
    monkeypatch.setattr("sentry_paste.spool.delivery.LONGEST_ANSWER", 2.0, raising=False)
    sentry.answer = Answer(between=0.5, body=b" " * 1000)
    client = new_client(sentry, spool)
    client.capture_event({"message": "x", "level": "error"})
    sentry.wait(arrivals=1)
    client.close(timeout=0.5)
    assert states(spool) == [("error", "claimed")]
    sentry.wait_for(lambda: states(spool) == [("error", "waiting")], seconds=10)
