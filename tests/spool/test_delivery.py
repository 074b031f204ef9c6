"""Which envelopes are written to the spool, when, and when their files are removed."""

import threading
import time

import pytest

from sentry_paste import sdk
from sentry_paste.client.registry import registry
from sentry_paste.spool import Spool
from sentry_paste.spool import backlog as backlog_module

from faulty import Answer
from spooled import TRACE_KIND, close_clients, states, trace_files
from traced_apps import needs_streamed_spans


def test_error_is_in_the_spool_before_capture_returns(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    site().crash()
    assert states(spool) == [("error", "claimed")]


def test_error_is_removed_when_it_was_taken(site, sentry, spool):
    site().crash()
    sentry.wait(errors=1)
    close_clients()
    assert spool.files() == []
    assert sentry.sent_twice() == 0


def test_healthy_request_writes_nothing(site, sentry, spool):
    site(release="1", traces_sample_rate="1.0").ok(3)
    sentry.wait_for(lambda: len(sentry.delivered("transaction")) == 3)
    assert not spool.directory.exists()


def test_transactions_touch_no_disk_while_all_is_well(site, sentry, spool, monkeypatch):
    site = site(traces_sample_rate="1.0")
    spool.prepare()
    before = spool.directory.stat().st_mtime_ns
    monkeypatch.setattr(backlog_module.Backlog, "start", lambda self: None)
    monkeypatch.setattr(Spool, "write", None)
    site.ok(5)
    sentry.wait_for(lambda: len(sentry.delivered("transaction")) == 5)
    assert spool.directory.stat().st_mtime_ns == before


def test_no_thread_and_no_directory_before_the_first_request(site, spool):
    before = set(threading.enumerate())  # of other tests, and some of them may end
    made = site()
    assert set(threading.enumerate()) <= before
    assert not spool.directory.exists()
    made.ok()
    assert [thread.name for thread in threading.enumerate() if thread not in before] == ["sentry-paste.spool"]


def test_first_request_sends_what_an_earlier_process_has_left(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash(3)
    close_clients()
    sentry.answer = Answer()
    site().ok()
    sentry.wait(errors=3)
    close_clients()
    assert states(spool) == []


def test_spool_items_chooses_what_is_written_first(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    made = site(traces_sample_rate="1.0", spool_items="transaction")
    made.crash()
    sentry.wait_for(lambda: states(spool) == [(TRACE_KIND, "claimed")])


@needs_streamed_spans
@pytest.mark.parametrize("kind", ["transaction", "span"])
def test_spool_items_chooses_streamed_spans_by_either_name(site, sentry, spool, kind):
    sentry.answer = Answer(hangs=True)
    site(traces_sample_rate="1.0", trace_lifecycle="stream", spool_items=kind).ok()
    sentry.wait_for(lambda: states(spool) == [("span", "claimed")])


@needs_streamed_spans
@pytest.mark.parametrize("where", ["spool", "no spool"])
def test_upload_is_in_no_trace(site, sentry, where):
    """The SDK does not recognise a DSN with a port, and uploads in a thread with the scopes of a request."""
    options = {"traces_sample_rate": "1.0", "trace_lifecycle": "stream", "send_client_reports": "false"}
    made = site(**options, **({"spool_dir": ""} if where == "no spool" else {}))
    made.crash()  # which starts the thread within the request
    for _ in range(3):
        sdk.flush_spans(*registry.clients())
        time.sleep(0.1)
    sentry.wait(arrivals=2)
    assert [arrival.types for arrival in sentry.arrivals] == [["event"], ["span"]]
    (trace,) = sentry.arrivals[1].payloads("transaction")
    assert trace["spans"] == []


def test_spool_items_none_writes_nothing_first(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    made = site(traces_sample_rate="1.0", spool_items="none")
    made.crash()
    assert states(spool) == []


@pytest.mark.parametrize("answer", [Answer(503), Answer(500), Answer(502), Answer(504)])
def test_transaction_is_put_into_the_spool_when_it_cannot_be_sent(site, sentry, spool, answer):
    sentry.answer = answer
    made = site(traces_sample_rate="1.0")
    made.ok(3)
    sentry.wait_for(lambda: len(trace_files(spool)) == 3)


def test_envelope_is_put_into_the_spool_when_the_queue_is_full(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    made = site(traces_sample_rate="1.0", transport_queue_size="2")
    made.ok(1)
    sentry.wait(arrivals=1)
    made.ok(5)
    sentry.wait_for(lambda: len(trace_files(spool)) == 3)
    close_clients()
    # One more is being sent by the SDK's thread, and one may be by the spool's.
    assert len(trace_files(spool)) == 6
    assert len(trace_files(spool, "waiting")) >= 4


def test_what_is_queued_at_close_is_put_into_the_spool(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    made = site(traces_sample_rate="1.0", shutdown_timeout="0.2")
    made.ok(1)
    sentry.wait(arrivals=1)
    made.ok(5)
    close_clients()
    assert len(trace_files(spool, "waiting")) >= 5


def test_envelope_in_flight_at_close_is_put_into_the_spool(site, sentry, spool):
    """Nobody can know whether it arrived; Sentry recognises a repeat by its event id."""
    sentry.answer = Answer(hangs=True)
    made = site(traces_sample_rate="1.0", shutdown_timeout="0.2")
    made.ok(1)
    sentry.wait(arrivals=1)
    close_clients()
    assert len(trace_files(spool)) == 1


def test_close_takes_a_second_more_than_the_sdks_at_most(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash(2)
    close_clients()
    sentry.answer = Answer(hangs=True)
    made = site(shutdown_timeout="0.5")
    made.ok()
    sentry.wait_for(lambda: any(arrival.status == 0 for arrival in sentry.arrivals))
    made.crash()
    begun = time.monotonic()
    close_clients()
    # With time for a busy machine; to wait for the receiver would take the 30 s of the SDK's requests.
    assert time.monotonic() - begun < 0.5 + 1.0 + 8
