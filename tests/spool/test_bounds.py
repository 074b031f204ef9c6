"""A spool does not grow for ever."""

import os
import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from sentry_sdk.envelope import Envelope, Item, PayloadRef

from sentry_paste.spool import SpoolFile
from sentry_paste.spool import bounds as bounds_module
from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.owner import current
from sentry_paste.spool.transport import SpoolSettings, SpoolTransport

from steps import steps_of


def write(spool, kind="error", age=0.0, owner=None):
    envelope = Envelope()
    if kind == "error":
        envelope.add_event({"message": "x" * 1000})
    else:
        payload = PayloadRef(json={"type": "transaction", "message": "x" * 1000})
        envelope.add_item(Item(payload, type="transaction"))
    file = spool.write(envelope, owner=owner)
    time_ = file.time - timedelta(seconds=age)
    aged = replace(file, path=file.path.with_name(f"{time_:%Y%m%dT%H%M%S.%f}Z{file.path.name[23:]}"))
    os.rename(file.path, aged.path)
    status = os.lstat(aged.path)
    os.utime(aged.path, (status.st_atime, status.st_mtime - age))
    return aged.path


def bounds(spool, size=10_000_000, age=3600.0):
    dropped = []
    return Bounds(spool, size, age, lambda file, reason: dropped.append((file.path, reason))), dropped


def test_what_fits_stays(spool):
    write(spool)
    limits, dropped = bounds(spool)
    limits.enforce()
    assert dropped == []
    assert len(spool.files()) == 1


def test_what_is_too_old_goes(spool):
    old, young = write(spool, age=3700), write(spool, age=3500)
    limits, dropped = bounds(spool)
    limits.enforce()
    assert dropped == [(old, "too old")]
    assert young.exists()


def test_oldest_go_first_and_errors_after_all_else(spool):
    errors = [write(spool, age=30 - n) for n in range(3)]
    transactions = [write(spool, "transaction", age=10 - n) for n in range(3)]
    size = errors[0].stat().st_size
    limits, dropped = bounds(spool, size=int(size * 3.4))
    limits.enforce()
    assert [path for path, _ in dropped] == transactions
    limits, dropped = bounds(spool, size=int(size * 1.5))
    limits.enforce()
    assert [path for path, _ in dropped] == errors[:2]


def test_what_a_process_has_claimed_stays(spool):
    claimed = write(spool, age=5000, owner=current())
    limits, dropped = bounds(spool, size=1)
    limits.enforce()
    assert dropped == []
    assert claimed.exists()


def test_write_that_makes_it_too_large_drops_something(spool):
    limits, dropped = bounds(spool, size=5000)
    for _ in range(20):
        envelope = Envelope()
        envelope.add_event({"message": "x" * 1000})
        limits.wrote(spool.write(envelope))
    assert dropped
    assert sum(file.path.stat().st_size for file in spool.files()) <= 5000


def test_files_are_looked_at_once_a_minute(spool, monkeypatch):
    limits, dropped = bounds(spool)
    limits.enforce_if_due()
    write(spool, age=5000)
    limits.enforce_if_due()
    assert dropped == []
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    limits.enforce_if_due()
    assert len(dropped) == 1


def held(spool):
    return sum(file.path.stat().st_size for file in spool.files())


def error(kind="KeyError", trace="a" * 32, size=1000):
    envelope = Envelope(headers={"trace": {"trace_id": trace}})
    envelope.add_event({"exception": {"values": [{"type": kind, "value": "x" * size}]}})
    return envelope


def test_name_of_a_wrong_clock_does_not_make_a_file_old(spool):
    file = spool.write(error())
    file.path.rename(spool.directory / f"20200101T000000.000000Z{file.path.name[23:]}")
    limits, dropped = bounds(spool)
    limits.enforce()
    assert dropped == []


@pytest.mark.parametrize("clock", [40 * 86400, -40 * 86400])
def test_clock_of_the_process_does_not_count(spool, monkeypatch, clock):
    """That of the file system does, which all processes of all hosts and containers share."""
    young, old = write(spool), write(spool, age=5000)
    limits, dropped = bounds(spool)
    now = time.time() + clock
    monkeypatch.setattr(time, "time", lambda: now)
    limits.enforce()
    assert young.exists()
    assert dropped == ([(old, "too old")] if clock > 0 else [])


def test_file_that_was_not_tried_is_not_too_old(spool):
    old = write(spool, age=5000)
    tried, dropped = set(), []
    limits = Bounds(
        spool, 10**9, 3600.0, lambda file, reason: dropped.append(file.path), lambda file: file.path in tried
    )
    limits.enforce()
    assert dropped == []
    tried.add(old)
    limits.enforce()
    assert dropped == [old]


def test_file_of_another_destination_is_too_old_after_a_day_of_this_process(spool, monkeypatch):
    old, dropped = write(spool, age=5000), []
    limits = Bounds(spool, 10**9, 3600.0, lambda file, reason: dropped.append(file.path), lambda file: None)
    hours = iter((0, 12, 23, 25))
    monkeypatch.setattr(time, "monotonic", lambda: 1e6 + next(hours) * 3600)
    for _ in range(3):
        limits.enforce()
    assert dropped == []
    limits.enforce()
    assert dropped == [old]


def test_file_that_was_set_aside_is_too_old_without_being_tried(spool):
    old, dropped = write(spool, age=5000), []
    (file,) = spool.files()
    aside = spool.set_aside(file, "http 413")
    Bounds(spool, 10**9, 3600.0, lambda file, reason: dropped.append(file), lambda file: False).enforce()
    assert dropped == [aside]
    assert not old.exists()


def test_big_envelopes_make_room_before_small_ones(spool):
    small = [spool.write(error(size=3000)) for _ in range(100)]
    big = [spool.write(error(size=200_000, trace=f"{n}" * 32)) for n in range(3)]
    limits, dropped = bounds(spool, size=600_000)
    limits.enforce()
    assert [path for path, _ in dropped] == [big[0].path, big[1].path]
    assert all(file.path.exists() for file in small)


def test_error_that_sentry_refuses_for_its_size_makes_room_before_transactions(spool):
    huge = spool.write(error(size=1_100_000))
    write(spool, "transaction")
    limits, dropped = bounds(spool, size=1_000_000)
    limits.enforce()
    assert [path for path, _ in dropped] == [huge.path]


@pytest.mark.parametrize("flood", ["kind", "trace"])
def test_flood_of_one_kind_or_request_makes_room_for_itself(spool, flood):
    others = [spool.write(error(f"Error{n}", trace=f"{n:032x}")) for n in range(20)]
    for number in range(300):
        if flood == "kind":
            spool.write(error("Flood", trace=f"f{number:031x}"))
        else:
            spool.write(error(f"Flood{number}", trace="e" * 32))
    limits, dropped = bounds(spool, size=held(spool) // 3)
    limits.enforce()
    assert len(dropped) > 150
    assert all(file.path.exists() for file in others)


def test_big_envelopes_that_are_being_sent_cost_no_small_one(spool):
    for _ in range(3):
        spool.write(error(size=900_000), owner=current())
    small = [spool.write(error(size=3000)) for _ in range(100)]
    limits, dropped = bounds(spool, size=700_000)
    limits.enforce()
    assert dropped == []
    assert all(file.path.exists() for file in small)


def test_processes_that_share_a_spool_keep_its_size_together(spool):
    size = 200_000
    all_limits = [bounds(spool, size)[0] for _ in range(8)]
    for number in range(8):
        spool.prepare()
        (spool.directory / f".alive-{number}").touch()
    largest = 0
    for _ in range(50):
        for limits in all_limits:
            limits.wrote(spool.write(error()))
        largest = max(largest, held(spool))
    assert largest <= size * 1.25


def test_one_process_a_minute_looks_at_all_files(spool, monkeypatch):
    """With a hundred thousand files that takes a second."""
    scans = []
    survey = Bounds._survey
    monkeypatch.setattr(Bounds, "_survey", lambda self: scans.append(1) or survey(self))
    spool.write(error())
    for limits, _ in [bounds(spool) for _ in range(5)]:
        limits.enforce_if_due()
    assert len(scans) == 1
    # What it has found counts for the others, which look when they have written their part of the rest.
    other, dropped = bounds(spool, size=5000)
    for _ in range(20):
        other.wrote(spool.write(error()))
    assert dropped
    assert held(spool) <= 5000


@pytest.mark.parametrize(
    "text", ["", "x", "1", "1 2 3", "9" * 5000, "-", "5 0", "5 -1", "-5 1", "9" * 99 + " 1", "1 " + "9" * 99]
)
def test_what_another_process_has_found_may_be_anything(spool, text):
    spool.write(error())
    (spool.directory / ".bounds").write_text(text)
    limits, dropped = bounds(spool)
    limits.enforce_if_due()
    assert dropped == []
    assert (spool.directory / ".bounds").read_text().split()[1] == "1"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="a pipe is of Unix")
@pytest.mark.parametrize("make", ["link", "pipe"])
def test_trap_of_that_name_is_neither_followed_nor_waited_for(spool, tmp_path, make):
    spool.write(error())
    (tmp_path / "target").write_text("mine")
    if make == "link":
        (spool.directory / ".bounds").symlink_to(tmp_path / "target")
    else:
        os.mkfifo(spool.directory / ".bounds")
    limits, _ = bounds(spool)
    limits.enforce_if_due()
    assert (tmp_path / "target").read_text() == "mine"


def test_steps_to_choose_from_many_files_grow_with_their_number(spool):
    """One kind that is nearly all of it: the scores of all others change with each that goes."""
    now = datetime.now(timezone.utc)

    def steps(count):
        files = [
            SpoolFile(spool.directory / f"{n:06}", now, "error", "", "any", group=f"{n % 3:04x}{n:04x}")
            for n in range(count)
        ]
        entries = [bounds_module._Entry(file, 5000, 0.0) for file in files]
        victims = []
        found = steps_of(lambda: victims.extend(bounds_module._victims(entries)))
        assert len(victims) == count
        return found

    # About 13 times as many; it would be 100 times with the square of the number.
    assert steps(2000) < 20 * steps(200)


@pytest.mark.parametrize("size", [100_000, 1_000_000])
def test_bounds_hold_for_many_clients_without_a_dsn(spool, size):
    transports = [SpoolTransport(SpoolSettings(str(spool.directory), max_size=size)) for _ in range(10)]
    most, part = 0, size // 125
    for _ in range(30):
        for transport in transports:
            envelope = Envelope()
            envelope.add_event({"message": "x" * part})
            transport.capture_envelope(envelope)
        most = max(most, sum(file.path.stat().st_size for file in spool.files()))
    assert 0.8 * size < most < 1.25 * size
