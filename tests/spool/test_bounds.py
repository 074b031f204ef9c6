"""A spool does not grow for ever."""

import os
import time
from dataclasses import replace
from datetime import timedelta

from sentry_sdk.envelope import Envelope, Item, PayloadRef

from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.owner import current


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
