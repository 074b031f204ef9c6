"""Several DSNs that share a spool."""

import stat
import threading
import time

import pytest

from sentry_paste.spool.names import destination_of
from sentry_paste.spool.writer import destination_names

from faulty import Answer
from spooled import close_clients, states, warnings_of


def test_several_dsns_keep_apart_in_one_directory(site, sentry, spool):
    other = sentry.dsn_of("other", 2)
    sentry.answer = Answer(503)
    site(second=other).crash(3, "one")
    site("second", second=other).crash(3, "two")
    close_clients()
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


def test_spool_records_the_address_of_a_destination_without_the_key(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    site().crash()
    (file,) = spool.files()
    assert destination_names(spool.directory) == {file.destination: f"127.0.0.1:{sentry.port}/1"}
    recorded = spool.directory / f".destination-{file.destination}"
    assert recorded.read_text() == f"127.0.0.1:{sentry.port}/1"
    assert stat.S_IMODE(recorded.stat().st_mode) == 0o600


def test_destination_that_cannot_be_recorded_costs_nothing(site, sentry, spool, caplog):
    spool.prepare()
    (spool.directory / f".destination-{destination_of(f'127.0.0.1:{sentry.port}', '1')}").mkdir()
    site().crash()
    sentry.wait(errors=1)
    close_clients()
    assert warnings_of(caplog) == []


def test_dsn_that_is_set_later_sends_what_was_captured_without(site, sentry, spool):
    site(dsn="").crash(3)
    close_clients()
    assert {file.destination for file in spool.files()} == {"any"}
    site().ok()
    sentry.wait(errors=3)
    close_clients()
    assert states(spool) == []


def test_key_of_a_dsn_may_change(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash()
    close_clients()
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
    close_clients()
    assert warnings_of(caplog) == []
    assert sentry.sent_twice() == 0
