"""Each call of a delivery fails or ends the process: nothing is lost, and everything is counted.

``SENTRY_PASTE_STEPS=1000000`` makes so many calls, with failures that a seed chooses.

The process is simulated: once it has "ended", each of its calls fails, and another one goes on with what is
in the directory.
"""

import contextlib
import errno
import os
import random
import shutil

import pytest

from sentry_paste.spool import Spool
from sentry_paste.spool import backlog as backlog_module
from sentry_paste.spool.backlog import Backlog, Result
from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.owner import Owner, current
from sentry_paste.spool.status import read_status
from sentry_paste.spool.transport import LogThrottle

from spooled import envelope

open_file = os.open

STEPS = int(os.environ.get("SENTRY_PASTE_STEPS", "30000"))

CALLS = ("open", "rename", "unlink", "pwrite", "write", "utime", "scandir", "listdir", "mkdir", "lstat")


class Ended(BaseException):
    """The process was killed."""


class Calls:
    """The calls of a process, of which one fails or ends it.

    Attributes:
        made: how many were made in this life.
        total: how many were made in all lives.
    """

    def __init__(self, monkeypatch, directory):
        self.made = 0
        self.total = 0
        self.at = None
        self.how = None
        self.has_ended = False
        for name in CALLS:
            monkeypatch.setattr(os, name, self.wrap(getattr(os, name), str(directory)))

    def wrap(self, real, directory):
        def call(path, *args, **kwargs):
            if self.has_ended:
                raise Ended
            # Those with descriptors are of the files in the directory as well.
            if not isinstance(path, int) and not str(path).startswith(directory):
                return real(path, *args, **kwargs)
            self.made += 1
            self.total += 1
            if self.made != self.at:
                return real(path, *args, **kwargs)
            if isinstance(self.how, int):
                raise OSError(self.how, os.strerror(self.how), path)
            if self.how == "after":
                result = real(path, *args, **kwargs)
                # What the process leaves open ends with it.
                if isinstance(result, int) and real is open_file:
                    os.close(result)
                if hasattr(result, "close"):
                    result.close()
            self.has_ended = True
            raise Ended

        return call

    def next_life(self):
        self.made, self.at, self.has_ended = 0, None, False


class Inline:
    """Runs uploads at once, in the thread that starts them."""

    def __init__(self, name):
        self.in_flight = 0
        self.results = []

    def start(self, job):
        self.in_flight += 1
        self.results.append(job())

    def wait(self, timeout):
        self.in_flight -= 1
        return self.results.pop(0)

    def wake(self):
        pass

    def end(self):
        pass


class Sentry:
    """Accepts all, after it has failed once where that is asked for."""

    def __init__(self):
        self.accepted = []
        self.results = []

    def send_again(self, found, kind):
        result = self.results.pop(0) if self.results else Result.DELIVERED
        if result is Result.DELIVERED:
            self.accepted.append(found.headers["event_id"])
        return result, "http 503", 0.0

    def is_busy(self):
        return False

    def free_connections(self):
        return 8

    def abort_overdue(self, seconds):
        pass

    def record_damaged(self, file):
        raise AssertionError("nothing is damaged")

    def record_lost(self, envelope, reason):
        pass


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A directory, a Sentry, and processes one after the other."""
    return World(tmp_path / "spool", monkeypatch)


class World:
    def __init__(self, directory, monkeypatch):
        self.directory = directory
        self.sentry = Sentry()
        self.life = 0
        owner = current()
        for module in ("files", "writer", "backlog", "presence", "ledger"):
            monkeypatch.setattr(
                f"sentry_paste.spool.{module}.current", lambda: owner._replace(started=self.life + 1)
            )
        monkeypatch.setattr(Owner, "is_alive", lambda found: found.started == self.life + 1)
        monkeypatch.setattr(backlog_module, "Uploads", Inline)
        monkeypatch.setattr("sentry_paste.spool.backoff.FIRST", 0.0)
        monkeypatch.setattr("sentry_paste.spool.backoff._SLOW", 1e9)
        monkeypatch.setattr("sentry_paste.spool.backoff._SLOWEST", 1e9)
        self.calls = Calls(monkeypatch, directory)
        self.kept = []

    def process(self):
        """Return the spool and the backlog of a process that begins."""
        self.life += 1
        self.calls.next_life()
        spool = Spool(self.directory)
        bounds = Bounds(spool, 10**9, 10**9, lambda file, reason: None)
        backlog = Backlog(spool, ("any",), self.sentry, bounds, LogThrottle(self.directory), 1e9)
        self.kept.append(spool)  # its file stays open until the end, as no destructor runs in a kill
        return spool, backlog


def lead(spool, backlog, written, dropped):
    found = spool.write(envelope(), owner=current())
    written.append(found.id)
    spool.release(found)
    backlog._look()
    backlog._look()
    other = spool.write(envelope())
    written.append(other.id)
    spool.drop(other, "too many")
    dropped.append(other.id)


def go_on(world):
    """Let another process send what is left, and check that nothing is lost or miscounted."""
    _, backlog = world.process()
    for _ in range(3):
        backlog._tidy()
        backlog._look()


def count_calls(world):
    spool, backlog = world.process()
    world.sentry.results = [Result.LATER]
    lead(spool, backlog, [], [])
    return world.calls.made


def check(world, written, dropped, most):
    if not world.directory.exists():
        assert written == []
        return
    status = read_status(world.directory)
    assert status.unaccounted == {}
    files = Spool(world.directory).files()
    assert [file for file in files if file.state != "aside"] == []
    # What could not be read for lack of a right is set aside.
    aside = {file.id for file in files if file.detail == "eacces"}
    missing = set(written) - set(world.sentry.accepted) - set(dropped) - aside
    # What was being dropped may have been dropped.
    assert len(missing) <= (status.dropped["too many"] - len(dropped))
    assert max(map(world.sentry.accepted.count, world.sentry.accepted), default=0) <= most


@pytest.mark.parametrize("how", ["before", "after", errno.EIO, errno.ENOSPC, errno.EACCES], ids=str)
def test_each_call_of_a_delivery(tmp_path, monkeypatch, how):
    with monkeypatch.context() as patch:
        total = count_calls(World(tmp_path / "counted", patch))
    assert total > 50
    for at in range(1, total + 1):
        with monkeypatch.context() as patch:
            world = World(tmp_path / f"spool{at}", patch)
            spool, backlog = world.process()
            world.sentry.results = [Result.LATER]
            world.calls.made, world.calls.at, world.calls.how = 0, at, how
            written, dropped = [], []
            with contextlib.suppress(Ended, OSError):
                lead(spool, backlog, written, dropped)
            if how in ("before", "after"):
                go_on(world)
            else:
                world.calls.next_life()
                for _ in range(3):
                    backlog._tidy()
                    backlog._look()
                go_on(world)
            check(world, written, dropped, most=2)


HOWS = ("before", "after", errno.EIO, errno.ENOSPC, errno.EACCES)


def test_calls_that_a_seed_chooses(tmp_path, monkeypatch):
    """Processes that end while they go on with what others have left, and calls that fail meanwhile."""
    steps = seed = 0
    while steps < STEPS:
        seed += 1
        chance = random.Random(seed)
        with monkeypatch.context() as patch:
            world = World(tmp_path / f"spool{seed}", patch)
            written, dropped = [], []
            for _ in range(chance.randrange(1, 5)):
                spool, backlog = world.process()
                world.sentry.results = [Result.LATER] * chance.randrange(3)
                world.calls.at, world.calls.how = chance.randrange(1, 130), chance.choice(HOWS)
                with contextlib.suppress(Ended, OSError):
                    for _ in range(chance.randrange(1, 4)):
                        lead(spool, backlog, written, dropped)
                    backlog.stop(0.0)
            go_on(world)
            try:
                check(world, written, dropped, most=5)
            except AssertionError as error:
                raise AssertionError(f"with the seed {seed}: {error}") from error
            steps += world.calls.total
        shutil.rmtree(world.directory, ignore_errors=True)
