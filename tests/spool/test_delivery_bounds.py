"""Files that are dropped, because the spool is too large or they are too old."""

import threading
from datetime import timedelta

from sentry_paste.client.registry import registry
from sentry_paste.spool import Spool
from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.names import destination_of

from faulty import Answer
from spooled import close_clients, envelope, warnings_of


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


def test_file_that_is_too_old_is_dropped(site, sentry, spool, monkeypatch):
    sentry.answer = Answer(503)
    site().crash(3)
    close_clients()
    for file in spool.files():
        old = file.time - timedelta(days=31)
        name = file.path.name.replace(file.path.name[:23], f"{old:%Y%m%dT%H%M%S.%fZ}")
        file.path.rename(spool.directory / name)
    young = spool.write(envelope(), "elsewhere")
    sentry.answer = Answer()
    site().ok()
    sentry.wait_for(lambda: len(spool.files()) == 1)
    close_clients()
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
