"""When the files in a spool are sent, in which order and how fast: from the ini to the receiver."""

import time
from datetime import datetime

from sentry_paste.client.registry import registry
from sentry_paste.spool import backlog as backlog_module

from faulty import Answer
from spooled import close_clients, states


def test_files_that_always_fail_do_not_hold_up_the_others(site, sentry, spool, impatient, monkeypatch):
    monkeypatch.setattr(backlog_module, "FRESH", 0.0)
    sentry.answer = Answer(503)
    site().crash(6)
    close_clients()
    sentry.answer = Answer()
    poisoned = {file.id for file in spool.files()[-3:]}
    sentry.answer_to = lambda envelope: Answer(500) if envelope.headers["event_id"] in poisoned else None
    site().ok()
    sentry.wait(errors=3)
    assert not poisoned & set(sentry.delivered())


def test_files_that_always_fail_are_not_sent_with_each_success_of_others(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash()
    close_clients()
    sentry.answer = Answer()
    (poisoned,) = (file.id for file in spool.files())
    sentry.answer_to = lambda envelope: Answer(500) if envelope.headers.get("event_id") == poisoned else None
    made = site(traces_sample_rate="1.0")
    before = len(sentry.arrivals)
    for _ in range(30):
        made.ok()
        time.sleep(0.02)
    sentry.wait_for(lambda: len(sentry.delivered("transaction")) == 30)
    assert sum(arrival.status == 500 for arrival in sentry.arrivals[before:]) <= 4


def test_backlog_stops_waiting_when_a_live_envelope_is_accepted(site, sentry, spool, monkeypatch):
    monkeypatch.setattr("sentry_paste.spool.backoff.FIRST", 1000.0)
    monkeypatch.setattr("sentry_paste.spool.backoff._SLOW", 50.0)
    sentry.answer = Answer(503)
    made = site(traces_sample_rate="1.0")
    made.crash(3)
    sentry.wait_for(lambda: len(spool.files(state="waiting")) >= 3)
    (client,) = registry.clients()
    sentry.wait_for(lambda: client.transport._backlog._backoff.remaining())
    sentry.answer = Answer()
    client.transport._live.succeeded()
    made.ok()
    sentry.wait(errors=3)


def test_envelope_from_the_spool_is_the_same_but_for_the_time_of_sending(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash()
    sentry.wait(arrivals=1)
    close_clients()
    (file,) = spool.files()
    sentry.answer = Answer()
    time.sleep(0.05)
    site().ok()
    sentry.wait(errors=1)
    first, *_, last = (arrival for arrival in sentry.arrivals if "event" in arrival.types)
    assert first.payloads("event") == last.payloads("event")
    assert file.id == first.payloads("event")[0]["event_id"] == last.envelope.headers["event_id"]
    sent = [
        datetime.fromisoformat(arrival.envelope.headers.pop("sent_at").replace("Z", "+00:00"))
        for arrival in (first, last)
    ]
    assert sent[0] < sent[1]
    assert abs(last.clock - sent[1].timestamp()) < 10
    assert first.envelope.headers == last.envelope.headers


def test_outage_loses_nothing(site, sentry, spool, impatient):
    made = site(traces_sample_rate="1.0")
    made.crash(3)
    sentry.wait(errors=3)
    sentry.refuse()
    made.crash(10)
    sentry.listen()
    made.crash(3)
    sentry.wait(errors=16)
    sentry.wait_for(lambda: len(sentry.delivered("transaction")) == 16)
    close_clients()
    assert states(spool) == []
    assert sentry.sent_twice() == 0


def test_live_envelopes_go_before_the_backlog(site, sentry, spool, monkeypatch):
    monkeypatch.setattr(backlog_module, "FRESH", 0.0)
    sentry.answer = Answer(503)
    site().crash(40, "old")
    close_clients()
    count = len(sentry.arrivals)
    sentry.answer = Answer(delay=0.02)
    made = site()
    made.crash(10, "new")
    sentry.wait(errors=50)
    order = [arrival.tag for arrival in sentry.arrivals[count:] if arrival.tag]
    assert max(order.index(f"new{number}") for number in range(10)) < 15
    old = [tag for tag in order if tag.startswith("old")]
    # Those that are sent at the same time arrive in any order.
    assert all(abs(old.index(f"old{number}") - number) < 8 for number in range(40))


def test_backlog_keeps_to_its_rate(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash(12)
    close_clients()
    sentry.answer = Answer()
    site(spool_rate="20").ok()
    sentry.wait(errors=12)
    times = [arrival.time for arrival in sentry.arrivals if arrival.status == 200 and arrival.tag]
    assert times[-1] - times[0] >= 11 / 20 * 0.9
