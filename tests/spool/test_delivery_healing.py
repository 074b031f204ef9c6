"""What was disturbed heals: failing calls, full disks, processes that stop."""

import contextlib
import errno
import os
import random
import signal
import subprocess
import sys

import pytest

from sentry_paste.client.registry import registry
from sentry_paste.spool import presence as presence_module
from sentry_paste.spool.names import destination_of
from sentry_paste.spool.owner import current
from sentry_paste.spool.presence import Presence, Silence, exclusive_sender

import servers
from faulty import Answer
from spooled import close_clients, envelope, states


@pytest.fixture
def failing(monkeypatch, spool):
    """Let a share of the calls on files of the spool fail with EIO, until it is 0."""
    chance = random.Random(5)
    state = {"share": 0.0}

    def wrap(name):
        real = getattr(os, name)

        def call(path, *args, **kwargs):
            if str(path).startswith(str(spool.directory)) and chance.random() < state["share"]:
                raise OSError(errno.EIO, "Input/output error", str(path))
            return real(path, *args, **kwargs)

        monkeypatch.setattr(os, name, call)

    for name in ("open", "rename", "unlink", "scandir", "listdir", "utime"):
        wrap(name)

    def set_share(share):
        state["share"] = share

    return set_share


def test_what_could_not_be_released_or_removed_is_by_its_own_process(site, sentry, spool, impatient, failing):
    made = site()
    made.ok()
    made.crash(3)
    sentry.wait(errors=3)
    failing(0.15)
    made.crash(20, "a")
    sentry.answer = Answer(503)
    made.crash(20, "b")
    sentry.answer = Answer()
    made.crash(20, "c")
    sentry.wait(errors=50, seconds=120)
    failing(0.0)
    made.ok()
    # All within this process: none stays claimed, delivered or not.
    sentry.wait_for(lambda: states(spool) == [], seconds=120)
    close_clients()
    site().ok()
    close_clients()
    assert sentry.sent_twice() == 0
    # What could neither be written nor sent is lost, and counted.
    assert len(sentry.delivered()) + sum(sentry.lost().values()) == 63


def test_delivered_file_that_cannot_be_removed_is_removed_later(site, sentry, spool, impatient, failing):
    site().ok()
    sentry.answer_to = lambda found: failing(1.0)
    (client,) = registry.clients()
    client.transport.capture_envelope(envelope())
    sentry.wait(errors=1)
    assert [state for _, state in states_of(spool, failing)] == ["claimed"]
    sentry.answer_to = lambda found: None
    failing(0.0)
    sentry.wait_for(lambda: states(spool) == [])
    assert len(sentry.arrivals) == 1


def states_of(spool, failing):
    failing(0.0)
    found = states(spool)
    failing(1.0)
    return found


@pytest.fixture
def disk_of_few_files(mounted):
    return mounted("nr_inodes=30")


def test_disk_without_room_for_a_sign_of_life_is_emptied(site, sentry, spool, disk_of_few_files):
    spool.directory = disk_of_few_files / "spool"
    destination = destination_of(f"127.0.0.1:{sentry.port}/", "1")
    with contextlib.suppress(OSError):
        for _ in range(100):
            spool.write(envelope(), destination)
    count = len(spool.files())
    assert 10 < count < 40
    site().ok()
    sentry.wait(errors=count)
    sentry.wait_for(lambda: states(spool) == [])


def test_silence_is_what_this_process_has_observed(monkeypatch):
    times = iter((0.0, 50.0, 100.0, 150.0))
    monkeypatch.setattr("sentry_paste.spool.presence.time.monotonic", lambda: next(times))
    silence = Silence()
    assert [silence.of("a", stamp) for stamp in (1, 1, 2, 2)] == [0.0, 50.0, 0.0, 50.0]


HOLDING = """
import sys, time
from sentry_paste.spool import Spool
from sentry_paste.spool.owner import current
from sentry_paste.spool.presence import Presence, Silence, exclusive_sender
spool = Spool(sys.argv[1])
presence = Presence(spool)
with exclusive_sender(spool, "here", Silence()) as lock:
    while True:
        presence.show()
        print(current(), lock.is_held(), flush=True)
        time.sleep(0.05)
"""


@pytest.fixture
def neighbour(spool):
    """Another process, which has the lock and says for each look whether it still has."""
    spool.prepare()
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(spool.directory)],
        stdout=subprocess.PIPE,
        text=True,
        env=servers.environment(),
    ) as process:
        yield process
        process.kill()


def test_lock_of_a_stopped_process_passes_on_and_it_finds_out(spool, neighbour, monkeypatch):
    owner, held = neighbour.stdout.readline().split()
    assert held == "True"
    silence, presence = Silence(), Presence(spool)
    presence.show()
    neighbour.send_signal(signal.SIGSTOP)
    with exclusive_sender(spool, "here", silence) as lock:
        assert lock is None
    assert presence.alive({owner: 0.0})[owner] is True
    monkeypatch.setattr(presence_module, "_DEAD", 0.0)
    with exclusive_sender(spool, "here", silence) as lock:
        assert lock.is_held()
        assert presence.alive({owner: 0.0})[owner] is False
        neighbour.send_signal(signal.SIGCONT)
        for line in neighbour.stdout:
            if line.split()[1] == "False":
                break
        assert lock.is_held()


def test_lock_of_a_living_process_stays_with_it(spool, neighbour, monkeypatch):
    neighbour.stdout.readline()
    silence = Silence()
    for _ in range(3):
        with exclusive_sender(spool, "here", silence) as lock:
            assert lock is None


def test_claims_of_a_stopped_process_pass_on(site, sentry, spool, neighbour, monkeypatch):
    """They would wait as long as it does."""
    owner = neighbour.stdout.readline().split()[0]
    destination = destination_of(f"127.0.0.1:{sentry.port}/", "1")
    file = spool.write(envelope(), destination)
    file.path.rename(f"{file.path}.claimed-{owner}")
    for name, seconds in (("backlog._LOOK_AGAIN", 0.1), ("backlog._RECLAIM_AGAIN", 0.1)):
        monkeypatch.setattr(f"sentry_paste.spool.{name}", seconds)
    monkeypatch.setattr(presence_module, "_DEAD", 0.5)
    neighbour.send_signal(signal.SIGSTOP)
    site().ok()
    sentry.wait(errors=1)
    assert sentry.delivered()[file.id] == 1


def test_process_that_waits_after_a_failure_shows_itself(site, sentry, spool, monkeypatch):
    monkeypatch.setattr("sentry_paste.spool.backlog._LOOK_AGAIN", 0.1)
    monkeypatch.setattr("sentry_paste.spool.backlog._SHOW_AGAIN", 0.1)
    monkeypatch.setattr("sentry_paste.spool.backoff.FIRST", 1000.0)
    sentry.answer = Answer(503)
    site().crash()
    sentry.wait_for(lambda: registry.clients()[0].transport._live.remaining())
    sign = spool.directory / f".alive-{current()}"
    sentry.wait_for(sign.exists)
    before = sign.stat().st_mtime
    sentry.wait_for(lambda: sign.stat().st_mtime > before)
