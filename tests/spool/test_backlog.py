"""Waiting files are sent, whatever else is in the directory."""

import os
import subprocess
import sys
import threading
import time

import pytest
from sentry_sdk.envelope import Envelope

from sentry_paste.spool.backlog import Backlog, Result, _Round
from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.transport import LogThrottle

from spooled import Sender


class Taker(Sender):
    """Takes all."""

    @property
    def taken(self):
        return [envelope.headers["event_id"] for envelope in self.sent]


def write(spool, number):
    envelope = Envelope(headers={"event_id": f"{number:032x}"})
    envelope.add_event({"message": str(number)})
    return spool.write(envelope, "here")


def backlog_of(spool, taker, rate=10_000.0):
    bounds = Bounds(spool, 10**9, 10**9, lambda file, reason: None)
    return Backlog(spool, ("here",), taker, bounds, LogThrottle(spool.directory), rate)


def look(spool, taker):
    backlog_of(spool, taker)._look()
    return taker


@pytest.mark.parametrize("make", ["link", "directory", "pipe", "empty", "garbage"])
def test_what_is_no_envelope_is_set_aside_and_keeps_nothing_back(spool, make, tmp_path):
    odd, _ = write(spool, 1), write(spool, 2)
    odd.path.unlink()
    if make == "link":
        odd.path.symlink_to(tmp_path / "elsewhere")
    elif make == "directory":
        odd.path.mkdir()
    elif make == "pipe":
        os.mkfifo(odd.path)
    else:
        odd.path.write_bytes(b"" if make == "empty" else b"garbage\n")
    assert look(spool, Taker()).taken == [f"{2:032x}"]
    (left,) = spool.files()
    assert left.state == "aside"


def test_what_was_captured_lately_goes_first_and_then_the_oldest(spool, monkeypatch):
    files = [write(spool, number) for number in range(6)]
    for number, file in enumerate(files[:3]):
        # Captured an hour ago and earlier, the first one first.
        old = f"20251122T0{number}0000.000000Z{file.path.name[23:]}"
        os.rename(file.path, file.path.with_name(old))
    assert look(spool, Taker()).taken == [f"{number:032x}" for number in (5, 4, 3, 0, 1, 2)]


def test_file_that_fails_each_time_keeps_the_others_back_for_one_look(spool, monkeypatch):
    class Picky(Taker):
        def send_again(self, envelope, kind):
            super().send_again(envelope, kind)
            is_bad = envelope.headers["event_id"] == f"{3:032x}"
            return (Result.LATER if is_bad else Result.DELIVERED), "http 500", 0.0

    monkeypatch.setattr("sentry_paste.spool.backoff.FIRST", 0.0)
    monkeypatch.setattr("sentry_paste.spool.backoff._SLOW", 1000.0)
    for number in (1, 2, 3):
        write(spool, number)
    backlog = backlog_of(spool, Picky())
    backlog._look()
    assert len(spool.files()) == 3
    backlog._look()
    assert [file.id for file in spool.files()] == [f"{3:032x}"]
    assert spool.files()[0].state == "waiting"


def test_refused_file_is_not_sent_again(spool):
    write(spool, 1)
    taker = Taker(Result.REFUSED)
    look(spool, taker)
    look(spool, taker)
    assert len(taker.taken) == 1


def test_file_of_another_destination_is_left_alone(spool):
    envelope = Envelope()
    envelope.add_event({"message": "x"})
    spool.write(envelope, "elsewhere")
    assert look(spool, Taker()).taken == []
    assert [file.state for file in spool.files()] == ["waiting"]


def test_file_of_a_process_that_has_ended_is_sent(spool):
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; from sentry_paste.spool.owner import current; print(current())",
        ],
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    file = write(spool, 7)
    os.rename(file.path, f"{file.path}.claimed-{child.stdout.strip()}")
    partial = spool.directory / f".{file.path.name}.{child.stdout.strip()}.partial"
    partial.write_bytes(b"half")
    assert look(spool, Taker()).taken == [f"{7:032x}"]
    assert [found.detail for found in spool.files()] == ["partial"]


@pytest.mark.parametrize(("age", "taken"), [(0, False), (200, True)])
@pytest.mark.parametrize("half", [False, True])
def test_claim_whose_owner_cannot_be_read_is_taken_back_when_he_is_silent(
    spool, monkeypatch, age, taken, half
):
    """He may be a process of another version of this package, and live."""
    file = write(spool, 7)
    path = spool.directory / (
        f".{file.name}.v2-somebody.partial" if half else f"{file.name}.claimed-v2-somebody"
    )
    file.path.rename(path)
    changed = path.stat().st_ctime - age
    monkeypatch.setattr("sentry_paste.spool.files._changed", lambda path: changed)
    taker = look(spool, Taker())
    assert path.exists() is not taken
    assert taker.taken == ([f"{7:032x}"] if taken and not half else [])
    assert [found.detail for found in spool.files(state="aside")] == (["partial"] if taken and half else [])


class Busy(Taker):
    """Has something more urgent at any time."""

    def __init__(self, seconds):
        super().__init__()
        self.seconds = seconds
        self.times = []

    def send_again(self, envelope, kind):
        begun = time.monotonic()
        time.sleep(self.seconds)
        self.times.append((begun, time.monotonic()))
        return super().send_again(envelope, kind)

    def is_busy(self):
        return True


@pytest.mark.parametrize(("seconds", "least"), [(0.0, 0.1), (0.1, 0.4)])
def test_backlog_has_a_fifth_of_the_time_where_captures_never_pause(spool, seconds, least):
    for number in range(4):
        write(spool, number)
    taker = look(spool, Busy(seconds))
    assert len(taker.taken) == 4
    pauses = [(later - end, end - begun) for (begun, end), (later, _) in zip(taker.times, taker.times[1:])]
    assert least * 0.9 <= min(pause for pause, _ in pauses)
    # By what it has taken, as a busy machine lets a thread sleep for longer, and runs another here and there.
    assert sorted(pause - 4 * taken for pause, taken in pauses)[1] <= 2


def test_end_of_the_process_does_not_wait_for_live_envelopes(spool):
    """What was sent last may have taken long, and what is captured now goes first for four times as long."""
    write(spool, 1)
    backlog = backlog_of(spool, Busy(0.0))
    backlog._took = 60.0
    aside = threading.Thread(target=backlog._yield_to_live, args=(_Round(),), daemon=True)
    aside.start()
    backlog.stop(1.0)
    aside.join(10)
    assert not aside.is_alive()
