"""What the transport does with what is captured, by the front door: an ini, requests, a bad receiver."""

import gc
import json
import logging
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta, timezone

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope, Item
from webtest import TestApp

from sentry_paste.client.registry import registry
from sentry_paste.spool import Spool, delivery
from sentry_paste.spool import backlog as backlog_module
from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.names import destination_of
from sentry_paste.spool.writer import destination_names

import faulty
import servers
from faulty import Answer

INI = """
    [pipeline:main]
    pipeline = sentry app

    [filter:sentry]
    use = egg:sentry_paste
    dsn = {dsn}
    spool_dir = {spool}
    {options}

    [pipeline:second]
    pipeline = sentry-second app

    [filter:sentry-second]
    use = egg:sentry_paste
    dsn = {second}
    spool_dir = {spool}
    {options}

    [app:app]
    paste.app_factory = crashing:make_app
"""


@pytest.fixture
def sentry():
    """A receiver that can fail; the clients are closed before it ends."""
    with faulty.serve() as found:
        yield found
        found.hang_up()
        found.answer = Answer()
        registry.reset()


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


class Site:
    """The app of an ini, and what lies in its spool."""

    def __init__(self, app):
        self.app = TestApp(app)

    def crash(self, count=1, tag="x"):
        for number in range(count):
            with pytest.raises(RuntimeError):
                self.app.get(f"/crash/{tag}{number}")

    def ok(self, count=1):
        for _ in range(count):
            assert self.app.get("/ok/1").body == b"fine"


@pytest.fixture
def site(load, sentry, spool):
    def make(name="main", dsn=None, second="", **options):
        lines = "\n    ".join(f"{name} = {value}" for name, value in options.items())
        text = INI.format(
            dsn=sentry.dsn if dsn is None else dsn,
            second=second or sentry.dsn,
            spool=spool.directory,
            options=lines,
        )
        return Site(load(text, name))

    return make


@pytest.fixture
def impatient(monkeypatch):
    """No wait for the next look at the directory, nor after a failure."""
    monkeypatch.setattr(backlog_module, "_LOOK_AGAIN", 0.1)
    monkeypatch.setattr("sentry_paste.spool.backoff.FIRST", 0.05)
    monkeypatch.setattr("sentry_paste.spool.backoff._SLOW", 50.0)
    monkeypatch.setattr("sentry_paste.spool.backoff._SLOWEST", 50.0)


def close():
    registry.reset()


def states(spool):
    return sorted((file.kind, file.state) for file in spool.files())


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.name == "sentry_paste"]


# Written first, removed when it is there.


def test_error_is_in_the_spool_before_capture_returns(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    site().crash()
    assert states(spool) == [("error", "claimed")]


def test_error_is_removed_when_it_was_taken(site, sentry, spool):
    site().crash()
    sentry.wait(errors=1)
    close()
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
    before = threading.enumerate()
    made = site()
    assert threading.enumerate() == before
    assert not spool.directory.exists()
    made.ok()
    assert [thread.name for thread in threading.enumerate() if thread not in before] == ["sentry-paste.spool"]


def test_first_request_sends_what_an_earlier_process_has_left(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash(3)
    close()
    sentry.answer = Answer()
    site().ok()
    sentry.wait(errors=3)
    close()
    assert states(spool) == []


def test_spool_items_chooses_what_is_written_first(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    made = site(traces_sample_rate="1.0", spool_items="transaction")
    made.crash()
    assert states(spool) == [("transaction", "claimed")]


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
    sentry.wait_for(lambda: len(spool.files("transaction")) == 3)


def test_what_finds_no_room_in_the_queue_is_put_into_the_spool(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    made = site(traces_sample_rate="1.0", transport_queue_size="2")
    made.ok(1)
    sentry.wait(arrivals=1)
    made.ok(5)
    assert len(spool.files("transaction")) == 3
    close()
    # One more is being sent by the SDK's thread, and one may be by the spool's.
    assert len(spool.files("transaction")) == 6
    assert len(spool.files("transaction", state="waiting")) >= 4


def test_what_is_queued_at_close_is_put_into_the_spool(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    made = site(traces_sample_rate="1.0", shutdown_timeout="0.2")
    made.ok(1)
    sentry.wait(arrivals=1)
    made.ok(5)
    close()
    assert len(spool.files("transaction", state="waiting")) >= 5


def test_what_is_just_being_sent_at_close_is_put_into_the_spool(site, sentry, spool):
    """Whether it has arrived nobody can know; its event id tells Sentry."""
    sentry.answer = Answer(hangs=True)
    made = site(traces_sample_rate="1.0", shutdown_timeout="0.2")
    made.ok(1)
    sentry.wait(arrivals=1)
    close()
    assert len(spool.files("transaction")) == 1


def test_close_takes_a_second_more_than_the_sdks_at_most(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash(2)
    close()
    sentry.answer = Answer(hangs=True)
    made = site(shutdown_timeout="0.5")
    made.ok()
    sentry.wait_for(lambda: any(arrival.status == 0 for arrival in sentry.arrivals))
    made.crash()
    begun = time.monotonic()
    close()
    assert time.monotonic() - begun < 0.5 + 1.0 + 0.3


# What Sentry answers.


@pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
def test_what_may_be_taken_later_is_sent_again(site, sentry, spool, status, impatient):
    sentry.answer = Answer(status)
    site().crash()
    sentry.wait(arrivals=2)
    sentry.answer = Answer()
    sentry.wait(errors=1)
    close()
    assert states(spool) == []
    assert sentry.sent_twice() == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 501])
def test_what_sentry_refuses_is_set_aside_with_the_reason_and_counted(site, sentry, spool, status, caplog):
    sentry.answer = Answer(status)
    site().crash()
    sentry.wait_for(lambda: spool.files(state="aside"))
    (file,) = spool.files()
    assert (file.state, file.detail) == ("aside", f"http_{status}")
    sentry.answer = Answer()
    close()
    # By one of two reasons: older SDKs have none of its own for 413.
    assert sentry.lost()["error", "send_error"] + sentry.lost()["error", "network_error"] == 1
    assert warnings_of(caplog) == [f"spool_dir: {spool.directory}: 1 set aside (http {status})"]


def test_what_was_set_aside_is_not_sent_again(site, sentry, spool, impatient):
    sentry.answer = Answer(400)
    made = site()
    made.crash()
    sentry.wait_for(lambda: spool.files(state="aside"))
    sentry.answer = Answer()
    made.ok()
    time.sleep(0.4)
    assert len(sentry.arrivals) == 1


def test_what_is_refused_from_the_backlog_is_set_aside_too(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash(2)
    close()
    sentry.answer = Answer(413)
    site().ok()
    sentry.wait_for(lambda: len(spool.files(state="aside")) == 2)
    sentry.answer = Answer()
    close()
    assert sentry.lost()["error", "send_error"] + sentry.lost()["error", "network_error"] == 2


def test_retry_after_of_429_is_obeyed_for_all_and_errors_are_kept(site, sentry, spool, impatient):
    sentry.answer = Answer(429, {"Retry-After": "1"})
    made = site(traces_sample_rate="1.0")
    made.crash()
    sentry.wait(arrivals=1)
    begun = sentry.arrivals[0].time
    sentry.answer = Answer()
    made.crash(3)
    sentry.wait(errors=4)
    assert sentry.arrivals[1].time - begun >= 0.95
    close()
    assert states(spool) == []
    assert sentry.sent_twice() == 0
    assert sentry.lost()["transaction", "ratelimit_backoff"] >= 3


def test_rate_limit_of_errors_keeps_them_and_lets_transactions_go(site, sentry, spool, impatient):
    sentry.answer = Answer(200, {"X-Sentry-Rate-Limits": "1:error:organization"})
    made = site(traces_sample_rate="1.0")
    made.crash()
    sentry.wait_for(lambda: len(sentry.delivered()) == 1 and len(sentry.delivered("transaction")) == 1)
    begun = sentry.arrivals[0].time
    sentry.answer = Answer()
    made.crash(3)
    sentry.wait_for(lambda: len(sentry.delivered("transaction")) == 4)
    assert len(sentry.delivered()) == 1
    sentry.wait(errors=4)
    assert min(arrival.time for arrival in sentry.arrivals[2:] if "event" in arrival.types) - begun >= 0.95
    close()
    assert not sentry.lost()


def test_errors_under_a_rate_limit_do_not_have_the_directory_read_for_each_of_them(
    site, sentry, spool, monkeypatch
):
    sentry.answer = Answer(429, {"Retry-After": "60"})
    made = site()
    made.crash()
    sentry.wait(arrivals=1)
    time.sleep(0.3)
    looks = []
    look = backlog_module.Backlog._look
    monkeypatch.setattr(backlog_module.Backlog, "_look", lambda self: (looks.append(1), look(self)))
    for _ in range(10):
        made.crash()
        time.sleep(0.02)
    assert len(looks) <= 1
    assert len(spool.files(state="waiting")) == 11


def test_rate_limit_of_transactions_drops_them_as_the_sdk_does(site, sentry, spool):
    sentry.answer = Answer(200, {"X-Sentry-Rate-Limits": "60:transaction:organization"})
    made = site(traces_sample_rate="1.0")
    made.ok()
    sentry.wait(arrivals=1)
    made.ok(3)
    made.crash()
    sentry.wait(errors=1)
    close()
    assert len(sentry.delivered("transaction")) == 1
    assert sentry.lost()["transaction", "ratelimit_backoff"] == 4
    assert states(spool) == []


@pytest.mark.parametrize(
    ("status", "value"),
    [
        (503, "inf"),
        (503, "nan"),
        (503, "1e300"),
        (503, "99999999999"),
        (503, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (503, "x"),
        (429, "inf"),
        (429, "nan"),
    ],
)
def test_nonsense_in_retry_after_neither_ends_the_thread_nor_waits_for_ever(
    site, sentry, spool, impatient, value, status
):
    """What is raised in the thread would be an error of the app's, too: the SDK captures it."""
    sentry.answer = Answer(status, {"Retry-After": value})
    made = site()
    made.crash(2)
    sentry.wait(arrivals=1)
    time.sleep(0.3)
    (transport,) = [client.transport for client in registry.clients()]
    assert [thread for thread in threading.enumerate() if thread.name == "sentry-paste.spool"]
    assert transport._live.remaining() <= 2 * 86400


def test_what_fails_each_time_does_not_keep_the_rest_back(site, sentry, spool, impatient, monkeypatch):
    monkeypatch.setattr(backlog_module, "FRESH", 0.0)
    sentry.answer = Answer(503)
    site().crash(6)
    close()
    sentry.answer = Answer()
    poisoned = {file.id for file in spool.files()[-3:]}
    sentry.answer_to = lambda envelope: Answer(500) if envelope.headers["event_id"] in poisoned else None
    site().ok()
    sentry.wait(errors=3)
    assert not poisoned & set(sentry.delivered())


def test_what_fails_each_time_is_not_sent_with_each_success_of_others(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash()
    close()
    sentry.answer = Answer()
    (poisoned,) = (file.id for file in spool.files())
    sentry.answer_to = lambda envelope: Answer(500) if envelope.headers["event_id"] == poisoned else None
    made = site(traces_sample_rate="1.0")
    before = len(sentry.arrivals)
    for _ in range(30):
        made.ok()
        time.sleep(0.02)
    sentry.wait_for(lambda: len(sentry.delivered("transaction")) == 30)
    assert sum(arrival.status == 500 for arrival in sentry.arrivals[before:]) <= 4


def test_backlog_waits_no_longer_when_what_is_captured_now_is_taken(site, sentry, spool, monkeypatch):
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
    close()
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
    assert abs(last.clock - sent[1].timestamp()) < 1
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
    close()
    assert states(spool) == []
    assert sentry.sent_twice() == 0


def test_what_is_captured_now_goes_before_the_backlog(site, sentry, spool, monkeypatch):
    monkeypatch.setattr(backlog_module, "FRESH", 0.0)
    sentry.answer = Answer(503)
    site().crash(40, "old")
    close()
    count = len(sentry.arrivals)
    sentry.answer = Answer(delay=0.02)
    made = site()
    made.crash(10, "new")
    sentry.wait(errors=50)
    order = [arrival.tag for arrival in sentry.arrivals[count:] if arrival.tag]
    assert max(order.index(f"new{number}") for number in range(10)) < 15
    old = [tag for tag in order if tag.startswith("old")]
    assert old == [f"old{number}" for number in range(40)]


def test_backlog_keeps_to_its_rate(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash(12)
    close()
    sentry.answer = Answer()
    site(spool_rate="20").ok()
    sentry.wait(errors=12)
    times = [arrival.time for arrival in sentry.arrivals if arrival.status == 200 and arrival.tag]
    assert times[-1] - times[0] >= 11 / 20 * 0.9


# Several DSNs.


def test_several_dsns_keep_apart_in_one_directory(site, sentry, spool):
    other = sentry.dsn_of("other", 2)
    sentry.answer = Answer(503)
    site(second=other).crash(3, "one")
    site("second", second=other).crash(3, "two")
    close()
    assert len({file.destination for file in spool.files()}) == 2
    sentry.answer = Answer()
    site("second", second=other).ok()
    sentry.wait(errors=3)
    time.sleep(0.2)
    keys = {(arrival.key, arrival.tag[:3]) for arrival in sentry.arrivals if arrival.tag}
    assert keys == {("public", "one"), ("other", "two")}
    assert len(sentry.delivered()) == 3
    site(second=other).ok()
    sentry.wait(errors=6)
    assert sentry.sent_twice() == 0


def test_spool_has_the_name_of_its_destination_and_no_key(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    site().crash()
    (file,) = spool.files()
    assert destination_names(spool.directory) == {file.destination: f"127.0.0.1:{sentry.port}/1"}
    noted = spool.directory / f".destination-{file.destination}"
    assert noted.read_text() == f"127.0.0.1:{sentry.port}/1"
    assert stat.S_IMODE(noted.stat().st_mode) == 0o600


def test_name_that_cannot_be_noted_costs_nothing(site, sentry, spool, caplog):
    spool.prepare()
    (spool.directory / f".destination-{destination_of(f'127.0.0.1:{sentry.port}', '1')}").mkdir()
    site().crash()
    sentry.wait(errors=1)
    close()
    assert warnings_of(caplog) == []


def test_dsn_that_is_set_later_sends_what_was_captured_without(site, sentry, spool):
    site(dsn="").crash(3)
    close()
    assert {file.destination for file in spool.files()} == {"any"}
    site().ok()
    sentry.wait(errors=3)
    close()
    assert states(spool) == []


def test_key_of_a_dsn_may_change(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash()
    close()
    sentry.answer = Answer()
    site(dsn=sentry.dsn_of("rotated")).ok()
    sentry.wait(errors=1)
    assert sentry.arrivals[-1].key == "rotated"


@pytest.mark.parametrize("again", range(5))
def test_two_clients_begin_at_the_same_moment_without_a_warning(site, sentry, spool, caplog, again):
    spool.prepare()
    first, second = site(), site("second", second=sentry.dsn_of("other", 2))
    barrier = threading.Barrier(2)

    def begin(made):
        barrier.wait()
        made.crash(2)

    threads = [threading.Thread(target=begin, args=(made,)) for made in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    sentry.wait(errors=4)
    close()
    assert warnings_of(caplog) == []
    assert sentry.sent_twice() == 0


# A directory that cannot be used.


def spoil_by_a_file(directory, monkeypatch):
    directory.write_text("mine")


def spoil_by_a_link(directory, monkeypatch):
    (directory.parent / "elsewhere").mkdir()
    directory.symlink_to(directory.parent / "elsewhere")


def spoil_by_letting_others_read(directory, monkeypatch):
    directory.mkdir(0o755)
    directory.chmod(0o755)


def spoil_by_a_read_only_disk(directory, monkeypatch):
    directory.mkdir(0o700)
    real = os.open

    def opening(path, flags, *args, **kwargs):
        if str(path).startswith(str(directory)) and flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(30, "Read-only file system", str(path))
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr("os.open", opening)


SPOILERS = [spoil_by_a_file, spoil_by_a_link, spoil_by_letting_others_read, spoil_by_a_read_only_disk]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_directory_that_cannot_be_used_costs_one_warning_and_sending_goes_on(
    site, sentry, spool, caplog, monkeypatch, spoil
):
    spoil(spool.directory, monkeypatch)
    made = site(traces_sample_rate="1.0")
    made.crash(5)
    made.ok(5)
    sentry.wait_for(lambda: len(sentry.delivered("transaction")) == 10)
    sentry.wait(errors=5)
    assert len(warnings_of(caplog)) == 1
    assert "nothing is kept until this is mended" in warnings_of(caplog)[0]


def test_errors_are_tried_after_a_failure_where_they_cannot_be_kept(site, sentry, spool, monkeypatch):
    """Without a spool an error is sent, or lost because it could not be; never because another could not."""
    spoil_by_a_file(spool.directory, monkeypatch)
    sentry.answer = Answer(503, {"Retry-After": "20"})
    made = site()
    made.crash()
    sentry.wait(arrivals=1)
    sentry.answer = Answer()
    made.crash(3)
    sentry.wait(errors=3, seconds=2)


def test_directory_that_is_made_again_has_the_name_of_its_destination_again(site, sentry, spool):
    made = site()
    made.crash()
    sentry.wait(errors=1)
    shutil.rmtree(spool.directory)
    sentry.answer = Answer(hangs=True)
    made.crash()
    (file,) = spool.files()
    assert destination_names(spool.directory) == {file.destination: f"127.0.0.1:{sentry.port}/1"}


def test_directory_that_is_removed_while_running_is_made_again(site, sentry, spool, caplog):
    sentry.answer = Answer(hangs=True)
    made = site()
    made.crash(2)
    shutil.rmtree(spool.directory)
    made.crash(1)
    assert states(spool) == [("error", "claimed")]
    assert warnings_of(caplog) == []
    sentry.answer = Answer()
    sentry.hang_up()


def test_directory_whose_parent_is_gone_and_cannot_be_made_costs_one_warning(
    site, sentry, spool, caplog, monkeypatch
):
    made = site()
    made.crash(1)
    sentry.wait(errors=1)
    shutil.rmtree(spool.directory)
    spool.directory.write_text("")
    made.crash(3)
    sentry.wait(errors=4)
    assert len(warnings_of(caplog)) == 1


def test_warning_comes_again_when_it_was_mended_in_between(site, sentry, spool, caplog):
    made = site()
    for _ in range(2):
        spool.directory.write_text("")
        made.crash(2)
        spool.directory.unlink()
        made.crash(1)
        shutil.rmtree(spool.directory)
    assert len(warnings_of(caplog)) == 2


def remove_all(spool):
    for file in spool.files():
        file.path.unlink()


def test_file_that_somebody_removes_while_it_is_sent_is_written_anew_where_sending_fails(
    site, sentry, spool, impatient
):
    """What the process has in memory is not lost because of a hand in the directory."""
    sentry.answer_to = lambda envelope: remove_all(spool) or Answer(503)
    made = site()
    made.crash()
    sentry.wait(arrivals=1)
    sentry.answer_to = lambda envelope: None
    sentry.wait(errors=1)
    close()
    assert states(spool) == []
    assert sentry.sent_twice() == 0


def test_file_that_somebody_removes_while_it_is_queued_is_written_anew(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    made = site(shutdown_timeout="0.2")
    made.crash(4)
    sentry.wait(arrivals=1)
    remove_all(spool)
    close()
    assert states(spool) == [("error", "waiting")] * 3
    sentry.answer = Answer()


@pytest.mark.parametrize(
    "answer", [Answer(503), Answer(429, {"Retry-After": "1"})], ids=lambda answer: str(answer.status)
)
def test_file_of_the_backlog_that_somebody_removes_while_it_is_sent_is_written_anew(
    site, sentry, spool, impatient, answer
):
    sentry.answer = Answer(503)
    site().crash()
    close()
    sentry.answer_to = lambda envelope: remove_all(spool) or answer
    before = len(sentry.arrivals)
    site().ok()
    sentry.wait(arrivals=before + 1)
    sentry.answer, sentry.answer_to = Answer(), lambda envelope: None
    sentry.wait(errors=1)
    assert sentry.sent_twice() == 0


def spoil(spool):
    shutil.rmtree(spool.directory)
    spool.directory.write_text("mine")


def test_error_whose_file_is_gone_and_cannot_be_written_anew_is_counted(site, sentry, spool):
    sentry.answer_to = lambda envelope: spoil(spool) or Answer(503)
    made = site()
    made.crash()
    sentry.wait(arrivals=1)
    sentry.answer_to = lambda envelope: None
    close()
    assert sentry.lost()["error", "network_error"] == 1


def test_error_of_the_backlog_whose_file_is_gone_and_cannot_be_written_anew_is_counted(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash()
    close()
    before = len(sentry.arrivals)
    sentry.answer_to = lambda envelope: spoil(spool) or Answer(503)
    site().ok()
    sentry.wait(arrivals=before + 1)
    sentry.answer, sentry.answer_to = Answer(), lambda envelope: None
    close()
    assert sentry.lost()["error", "network_error"] == 1


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 kB, where we may mount one."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(path)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no disk can be mounted here")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def test_full_disk_costs_one_warning_and_sending_goes_on(site, sentry, spool, small_disk, caplog):
    spool.directory = small_disk / "spool"
    sentry.answer = Answer(503)
    site().crash(60)
    close()
    kept = len(spool.files())
    assert 3 < kept < 60
    assert not [name for name in os.listdir(spool.directory) if name.endswith(".partial")]
    assert len(warnings_of(caplog)) == 1
    caplog.clear()
    sentry.answer = Answer()
    (small_disk / "ballast").write_bytes(b"")
    made = site()
    made.crash(2, "new")
    # What is kept is sent, which makes room.
    sentry.wait(errors=kept + 2, seconds=20)
    close()
    assert states(spool) == []


# Bounds.


def envelope(kind="error", size=1000):
    if kind == "error":
        made = Envelope(headers={"event_id": os.urandom(16).hex()})
        made.add_event({"event_id": made.headers["event_id"], "message": "x" * size})
        return made
    return Envelope(items=[Item(payload=b"x" * size, type=kind)])


def test_oldest_is_dropped_first_but_never_an_error_before_a_transaction(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    destination = destination_of(f"127.0.0.1:{sentry.port}/", "1")
    # The errors are older than the transactions.
    errors = [spool.write(envelope(), destination) for _ in range(10)]
    transactions = [spool.write(envelope("transaction"), destination) for _ in range(10)]
    made = site(spool_max_size="12000", shutdown_timeout="0.1")
    made.crash()
    # By the spool's thread: the app is not to wait until all files are looked at.
    sentry.wait_for(lambda: not {file.id for file in spool.files()} & {file.id for file in transactions[:8]})
    assert {file.id for file in errors[5:]} <= {file.id for file in spool.files()}
    assert sum(file.path.stat().st_size for file in spool.files(state="waiting")) <= 12000


def test_what_is_dropped_is_counted_and_told_once_a_minute(site, sentry, spool, caplog, monkeypatch):
    sentry.answer = Answer(503)
    made = site(spool_max_size="20000")
    made.crash(30)
    sentry.answer = Answer()
    monkeypatch.setattr("sentry_paste.spool.bounds.Bounds.wrote", lambda self, file: None)
    # An envelope that is sent takes the report with it.
    for client in registry.clients():
        client.transport._live.succeeded()
    made.crash(1, "last")
    close()
    kept = len(spool.files())
    arrived = len(sentry.delivered())
    assert sentry.lost()["error", "cache_overflow"] == 31 - kept - arrived
    assert len(warnings_of(caplog)) == 1


def test_what_is_too_old_is_dropped(site, sentry, spool, monkeypatch):
    sentry.answer = Answer(503)
    site().crash(3)
    close()
    for file in spool.files():
        old = file.time - timedelta(days=31)
        name = file.path.name.replace(file.path.name[:23], f"{old:%Y%m%dT%H%M%S.%fZ}")
        file.path.rename(spool.directory / name)
    young = spool.write(envelope(), "elsewhere")
    sentry.answer = Answer()
    site().ok()
    sentry.wait_for(lambda: len(spool.files()) == 1)
    close()
    assert [file.id for file in spool.files()] == [young.id]
    assert sentry.lost()["error", "cache_overflow"] == 3
    assert not sentry.delivered()


def test_two_that_drop_at_the_same_time_count_each_file_once(spool, monkeypatch):
    for _ in range(20):
        spool.write(envelope(), "elsewhere")
    counted = []
    # Both have chosen what goes before either of them removes a file.
    barrier, waited, remove = threading.Barrier(2), set(), Spool.remove

    def removed(self, file):
        if threading.get_ident() not in waited:
            waited.add(threading.get_ident())
            barrier.wait(5)
        return remove(self, file)

    monkeypatch.setattr(Spool, "remove", removed)
    both = [Bounds(spool, 10_000, 86400.0, lambda file, reason: counted.append(file.id)) for _ in range(2)]
    threads = [threading.Thread(target=bounds.enforce) for bounds in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waited) == 2
    assert len(counted) == len(set(counted)) > 5


def test_bound_that_cannot_be_kept_does_not_send_an_error_twice(site, sentry, spool, impatient):
    """A directory of a spool's name is no file that could be dropped."""
    spool.prepare()
    (spool.directory / f"20000101T000000.000000Z-error-{'0' * 32}-any.envelope").mkdir()
    made = site()
    made.crash(2)
    sentry.wait(errors=2)
    made.ok()
    close()
    assert not [file for file in spool.files() if file.path.is_file()]


# Threads, forks, and whatever else is unkind.


def test_capture_while_another_is_put_into_the_queue_does_not_wait_for_ever(site, sentry, spool):
    """The garbage collector runs anywhere, and what it calls may log an error: the SDK's queue expects it."""
    made = site()
    made.ok()
    (client,) = registry.clients()

    class Queued(dict):
        def __setitem__(self, key, value):
            if not self:
                super().__setitem__(key, value)
                client.capture_event({"message": "of a destructor", "level": "error"})
            super().__setitem__(key, value)

    client.transport._queued = Queued()
    thread = threading.Thread(
        target=client.capture_event, args=({"message": "of the app", "level": "error"},), daemon=True
    )
    thread.start()
    thread.join(5)
    assert not thread.is_alive()
    sentry.wait(errors=2)


def test_same_envelope_captured_twice_leaves_no_claim(site, sentry, spool):
    site().ok()
    (client,) = registry.clients()
    sentry.answer = Answer(delay=0.1)
    twice = envelope()
    client.transport.capture_envelope(twice)
    client.transport.capture_envelope(twice)
    close()
    assert [file for file in spool.files() if file.state == "claimed"] == []


def test_no_descriptor_is_left_open(site, sentry, spool, impatient):
    made = site()
    made.crash(2)
    sentry.wait(errors=2)
    before = len(os.listdir("/proc/self/fd"))
    spool.prepare()
    for number in range(5):
        (spool.directory / f"2000010{number + 1}T000000.000000Z-error-{number:032}-any.envelope").mkdir()
    made.crash(5)
    sentry.wait(errors=7)
    time.sleep(0.5)
    gc.collect()
    assert len(os.listdir("/proc/self/fd")) <= before + 1


FORKING = """
import os, sys, time
import sentry_sdk
from paste.deploy import loadapp
from wsgi_calls import call, environ_of

app = loadapp("config:" + sys.argv[1])
for number in range(10):
    call(app, environ_of(f"/crash/parent{number}"))
child = os.fork()
if not child:
    for number in range(5):
        call(app, environ_of(f"/crash/child{number}"))
    sentry_sdk.get_client().close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
"""


def test_child_of_a_process_that_has_queued_envelopes_sends_its_own_only(site, sentry, spool, tmp_path):
    sentry.answer = Answer(delay=0.05)
    site()
    registry.reset()
    subprocess.run(
        [sys.executable, "-c", FORKING, str(tmp_path / "test.ini")],
        env=servers.environment(),
        check=True,
        timeout=30,
    )
    expected = {f"parent{number}" for number in range(10)} | {f"child{number}" for number in range(5)}
    assert set(sentry.tags()) == expected
    assert sentry.sent_twice() == 0
    assert states(spool) == []


def test_threads_of_a_process_whose_fork_python_was_not_told_of_lose_nothing(
    site, sentry, spool, monkeypatch
):
    """uWSGI forks in C, and its threads may all have a first request at once."""
    site().ok()
    sentry.answer = Answer(delay=0.3)
    (client,) = registry.clients()
    begun = []

    class SlowToMake(delivery.Backoff):
        def __init__(self, *args):
            begun.append(threading.get_ident())
            time.sleep(0.2)
            super().__init__(*args)

    monkeypatch.setattr(delivery, "Backoff", SlowToMake)
    client.transport._pid = -1
    events = [{"type": "transaction", "tags": {"n": f"{n}"}} for n in range(4)]
    threads = [threading.Thread(target=client.capture_event, args=(event,)) for event in events]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    sentry.wait_for(lambda: len(sentry.transactions()) == 4)
    assert len(begun) == 1


def test_process_of_another_host_keeps_what_it_has_just_written(site, sentry, spool, monkeypatch):
    """It has not shown itself yet: its thread begins with its first error."""
    from sentry_paste.spool.owner import Owner, current

    here = current()
    other = Owner("0" * 8, here.boot, 1, 1)
    sentry.answer = Answer(503)
    spool.write(envelope(), destination_of(f"127.0.0.1:{sentry.port}/", "1"), other)
    sentry.answer = Answer()
    site().ok()
    time.sleep(0.5)
    assert [file.state for file in spool.files()] == ["claimed"]


def test_written_file_is_what_the_sdk_would_send(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    site().crash()
    (file,) = spool.files()
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600
    read = Envelope.deserialize(file.path.read_bytes())
    assert json.loads(read.items[0].get_bytes())["event_id"] == file.id
    assert datetime.now(timezone.utc) - file.time < timedelta(seconds=5)


def test_transport_is_not_in_the_apps_log(site, sentry, spool, caplog):
    with caplog.at_level(logging.WARNING):
        site().crash(2)
        sentry.wait(errors=2)
        close()
    assert warnings_of(caplog) == []


def test_only_one_transport_is_made_for_a_client(site):
    site()
    (client,) = registry.clients()
    assert isinstance(client.transport, delivery.DeliveringTransport)
    assert sentry_sdk.get_client() is client
