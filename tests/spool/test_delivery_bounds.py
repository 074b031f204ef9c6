"""Files that are dropped, because the spool is too large or they are too old."""

import contextlib
import os
import threading
import time

from sentry_paste.client.registry import registry
from sentry_paste.spool import Spool
from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.names import destination_of

from faulty import Answer
from spooled import close_clients, envelope, warnings_of


def size_of(file):
    """Return how many bytes a file has, 0 if it was dropped meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        return file.path.stat().st_size
    return 0


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
    sentry.wait_for(lambda: sum(map(size_of, spool.files(state="waiting"))) <= 12000)
    assert {file.id for file in errors[5:]} <= {file.id for file in spool.files()}


def test_what_is_dropped_is_counted_and_logged_once_a_minute(site, sentry, spool, caplog, monkeypatch):
    sentry.answer = Answer(503)
    made = site(spool_max_size="20000")
    made.crash(30)
    sentry.answer = Answer()
    monkeypatch.setattr("sentry_paste.spool.bounds.Bounds.wrote", lambda self, file: None)
    # An envelope that is sent takes the report with it.
    for client in registry.clients():
        client.transport._live.succeeded()
    made.crash(1, "last")
    close_clients()
    kept = len(spool.files())
    arrived = len(sentry.delivered())
    assert sentry.lost()["error", "cache_overflow"] == 31 - kept - arrived
    assert len(warnings_of(caplog)) == 1


def test_file_that_is_too_old_is_dropped_once_it_was_tried(site, sentry, spool, impatient, monkeypatch):
    monkeypatch.setattr("sentry_paste.spool.bounds._LOOK_AGAIN", 0.1)
    monkeypatch.setattr("sentry_paste.spool.delivery.LONGEST_LIVE", 0.05)
    sentry.answer = Answer(503)
    site().crash(3)
    close_clients()
    before = len(sentry.arrivals)
    ids = {file.id for file in spool.files()}
    for file in spool.files():
        make_old(file)
    young = spool.write(envelope(), "elsewhere")
    old = make_old(spool.write(envelope(), "elsewhere"))
    site().ok()
    sentry.wait_for(lambda: not ids & {file.id for file in spool.files()})
    assert ids <= {arrival.envelope.headers.get("event_id") for arrival in sentry.arrivals[before:]}
    # That process will not try those of another DSN, so it leaves them to one that will, for a day.
    assert {file.id for file in spool.files()} == {young.id, old.id}
    sentry.answer = Answer()
    close_clients()
    assert sentry.lost()["error", "cache_overflow"] == 3
    assert not sentry.delivered()


def held(spool):
    total = 0
    for file in spool.files():
        with contextlib.suppress(FileNotFoundError):  # dropped meanwhile
            total += file.path.stat().st_size
    return total


def make_old(file):
    status = file.path.stat()
    os.utime(file.path, (status.st_atime, status.st_mtime - 31 * 86400))
    return file


def test_files_of_a_wrong_clock_are_delivered(site, sentry, spool):
    """A host without a battery begins in 1970, or where it was switched off."""
    sentry.answer = Answer(503)
    site().crash(3)
    close_clients()
    for file in spool.files():
        make_old(file).path.rename(spool.directory / f"20200101T000000.000000Z{file.path.name[23:]}")
    sentry.answer = Answer()
    site().ok()
    sentry.wait(errors=3)


def test_process_whose_clock_is_ahead_drops_nothing(site, sentry, spool, monkeypatch):
    destination = destination_of(f"127.0.0.1:{sentry.port}/", "1")
    for _ in range(3):
        spool.write(envelope(), destination)
    others = [spool.write(envelope(), "elsewhere") for _ in range(3)]
    later = time.time() + 40 * 86400
    monkeypatch.setattr("sentry_paste.spool.bounds.time.time", lambda: later)
    site().ok()
    sentry.wait_for(lambda: len(spool.files()) == 3)
    close_clients()
    assert {file.id for file in spool.files()} == {file.id for file in others}
    assert not sentry.lost()


def test_three_huge_requests_cost_no_small_error(site, sentry, spool, impatient, monkeypatch):
    """The app has read the body into a variable of several frames, and crashes."""
    monkeypatch.setattr("sentry_paste.spool.bounds._LOOK_AGAIN", 0.1)
    sentry.answer = Answer(503)
    destination = destination_of(f"127.0.0.1:{sentry.port}/", "1")
    small = [spool.write(envelope(size=3000), destination) for _ in range(200)]
    made = site(spool_max_size="1 MB")
    made.crash()
    client = registry.clients()[0]
    for _ in range(3):
        client.transport.capture_envelope(envelope(size=600_000))
    sentry.wait_for(lambda: held(spool) <= 1_000_000)
    close_clients()
    assert {file.id for file in small} <= {file.id for file in spool.files()}


def test_bounds_hold_while_the_server_fails(site, sentry, spool, monkeypatch):
    """The thread waits for minutes then, and others write."""
    monkeypatch.setattr("sentry_paste.spool.bounds._LOOK_AGAIN", 0.1)
    monkeypatch.setattr("sentry_paste.spool.backlog._LOOK_AGAIN", 0.1)
    monkeypatch.setattr("sentry_paste.spool.backoff.FIRST", 1000.0)
    sentry.answer = Answer(503, {"Retry-After": "600"})
    made = site(spool_max_size="100 kB")
    made.crash()
    (client,) = registry.clients()
    sentry.wait_for(lambda: client.transport._live.remaining())
    for _ in range(200):
        spool.write(envelope(size=2000), "elsewhere")
    sentry.wait_for(lambda: held(spool) <= 100_000)


def test_two_that_drop_at_the_same_time_count_each_file_once(spool, monkeypatch):
    for _ in range(20):
        spool.write(envelope(), "elsewhere")
    counted = []
    # Both have chosen what goes before either of them removes a file.
    barrier, waited, drop = threading.Barrier(2), set(), Spool.drop

    def dropped(self, file, reason):
        if threading.get_ident() not in waited:
            waited.add(threading.get_ident())
            barrier.wait(30)
        return drop(self, file, reason)

    monkeypatch.setattr(Spool, "drop", dropped)
    both = [Bounds(spool, 10_000, 86400.0, lambda file, reason: counted.append(file.id)) for _ in range(2)]
    threads = [threading.Thread(target=bounds.enforce) for bounds in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waited) == 2
    assert len(counted) == len(set(counted)) > 5


def test_bound_that_cannot_be_enforced_does_not_send_an_error_twice(site, sentry, spool, impatient):
    """A directory of a spool's name is no file that could be dropped."""
    spool.prepare()
    (spool.directory / f"20000101T000000.000000Z-error-{'0' * 32}-any.envelope").mkdir()
    made = site()
    made.crash(2)
    sentry.wait(errors=2)
    made.ok()
    close_clients()
    assert not [file for file in spool.files() if file.path.is_file()]
