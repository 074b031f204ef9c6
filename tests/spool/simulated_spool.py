"""Processes that share a simulated spool, with the real transport in each, and a Sentry that counts.

What a seed decides: how many processes there are and what they capture, who is interrupted where, which call
ends a process or fails, what Sentry answers and after how long, and when clocks jump.
"""

import importlib
import random
from collections import defaultdict
from contextlib import ExitStack
from unittest import mock

from sentry_sdk.envelope import Envelope, Item, PayloadRef

from sentry_paste.sdk.answers import Attempt
from sentry_paste.spool import Spool, backlog, delivery, reading
from sentry_paste.spool.backoff import Backoff
from sentry_paste.spool.delivery import DeliveringTransport
from sentry_paste.spool.ledger import Ledger
from sentry_paste.spool.names import category_of_kind, kind_of
from sentry_paste.spool.owner import Owner
from sentry_paste.spool.status import read_status
from sentry_paste.spool.transport import LogThrottle, SpoolSettings, SpoolTransport

from simulated import Computer, Ended, Process, SimpleQueue
from simulated_files import DIRECTORY, ERRORS, Disk

_MODULES = [
    f"sentry_paste.spool.{name}"
    for name in (
        "files",
        "ledger",
        "totals",
        "presence",
        "private",
        "bounds",
        "backlog",
        "writer",
        "reading",
        "status",
        "transport",
        "delivery",
        "names",
        "uploads",
    )
]
# What may happen in a run, besides interruptions and answers of all kinds.
KILLS, ERRNOS, BOTH, STOPS = "kills", "errnos", "kills and errnos", "stops"
# What Sentry may do instead of accepting an envelope.
TROUBLES = ("hangs", "refused", 500, 429, 413, "lost", "killed")
# Seconds without a sign of life after which a process may count as stopped.
_SILENT = 100.0
# How many processes run at the same time.
_MOST_AT_ONCE = 3
# Bytes of the largest envelope.
_LARGEST = 5300
# Seconds in which everything is sent that waits.
_LONG = 4000.0
# In this time the counts of processes that have ended are added to the total.
_SETTLED = 300.0
_YEAR = 365 * 86400.0


class Sentry:
    """Counts what it accepts.

    Attributes:
        accepted: ids of the envelopes, and the processes that have sent each.
        tried: ids that it was asked to accept.
    """

    def __init__(self, world):
        self.world = world
        self.accepted = defaultdict(list)
        self.tried = set()
        self.is_down = False
        self.is_well = False
        self.trouble = world.chance.choice((0.0, 0.05, 0.3))
        self.latency = world.chance.choice((0.0, 0.02, 0.15, 2.0))

    def answer(self, envelope, process, attempt, is_aborted):
        """Take some time, and then accept an envelope or not."""
        world, identity = self.world, envelope.headers.get("event_id")
        taken = self.latency * world.chance.uniform(0.5, 1.5)
        is_troubled = not self.is_well and world.chance.random() < self.trouble
        trouble = world.chance.choice(TROUBLES) if is_troubled else ""
        self.tried.add(identity)
        if trouble == "hangs":
            world.computer.wait(is_aborted, 100.0)
        else:
            world.computer.wait(is_aborted, taken)
        if is_aborted() or trouble in ("hangs", "refused") or (self.is_down and not self.is_well):
            attempt.error = ConnectionError()
        elif trouble == "killed" and world.has_kills and not process.is_last:
            self.accept(identity, envelope, process)
            process.end()
            raise Ended
        elif isinstance(trouble, int):
            attempt.status, attempt.retry_after = trouble, world.chance.choice((0.0, 5.0, 60.0))
            if trouble in (413, 429):
                world.refused.add(identity)
        else:
            self.accept(identity, envelope, process)
            if trouble == "lost":
                attempt.error = ConnectionError()
                world.excused.add(identity)
            else:
                attempt.status = 200

    def accept(self, identity, envelope, process):
        world = self.world
        assert envelope.items[0].payload.get_bytes() in world.contents[identity], f"{identity} was altered"
        before, self.accepted[identity] = self.accepted[identity], [*self.accepted[identity], process]
        excuses = (
            identity in world.excused
            or any(found.has_ended or found.was_stopped for found in before)
            # Another one may have sent what this process has claimed before it was stopped.
            or process.was_stopped
            or world.has_errnos
        )
        assert not before or excuses, f"{identity} was sent twice"


class Connection:
    """Stands for the SDK's transport in a process."""

    def __init__(self, world, process):
        self.world, self.process = world, process
        self.computer = world.computer
        self.queue = []
        self.requests = {}
        # Functions that were queued and have not returned.
        self.unfinished = 0
        self.limits = {}
        self.has_thread = self.is_killed = False
        self.size = world.chance.choice((1, 5, 100))

    def submit(self, function):
        if self.is_killed or len(self.queue) >= self.size:
            return False
        self.queue.append(function)
        self.unfinished += 1
        if not self.has_thread:
            self.has_thread = True
            self.computer.spawn(self.process, self._work, "sdk")
        return True

    def _work(self):
        while not self.is_killed:
            self.computer.wait(lambda: bool(self.queue) or self.is_killed)
            if self.queue:
                self._call()

    def _call(self):
        try:
            self.queue.pop(0)()
        finally:
            self.unfinished -= 1

    def work(self, is_needed):
        while self.queue and is_needed():
            self._call()

    def is_busy(self):
        return bool(self.queue)

    def attempt(self, envelope):
        attempt, request = Attempt(), [self.computer.monotonic(), False]
        if self.limited_for(kind_of(envelope)):
            self.world.refused.add(envelope.headers["event_id"])
            return attempt
        self.requests[id(request)] = request
        try:
            self.world.sentry.answer(envelope, self.process, attempt, lambda: request[1])
        finally:
            del self.requests[id(request)]
        if attempt.status == 429:
            until = self.computer.monotonic() + (attempt.retry_after or 1.0)
            self.limits[category_of_kind(kind_of(envelope))] = until
        return attempt

    def limited_for(self, category):
        return max(self.limits.get(category, 0.0) - self.computer.monotonic(), 0.0)

    def abort_overdue(self, seconds):
        for request in list(self.requests.values()):
            request[1] |= self.computer.monotonic() - request[0] > seconds

    def count_stuck(self, seconds):
        return sum(self.computer.monotonic() - begun > seconds for begun, _ in self.requests.values())

    def is_sending(self):
        return bool(self.requests)

    def flush(self, timeout, callback=None):
        self.computer.wait(lambda: not self.unfinished, timeout)

    def kill(self):
        self.is_killed = True

    def record_lost_event(self, reason, data_category=None, item=None):
        pass

    def count_lost(self, attempt):
        pass


class SpooledProcess(Process):
    """A process with a transport, which captures."""

    def __init__(self, world, number, is_last=False):
        host = world.chance.choice(world.hosts)
        super().__init__(Owner(host, "0" * 6, 100 + number, 1, "0" * 6))
        self.world = world
        self.is_last = is_last
        self.stores = False
        self.on_end.append(lambda: world.disk.release(self))

    def transport(self):
        world = self.world
        transport = CheckedTransport(
            {"dsn": "https://key@sentry.example/1"}, Connection(world, self), world.settings
        )
        world.kept.append(transport)
        return transport

    def main(self):
        """Capture, and end in good order."""
        world, computer = self.world, self.world.computer
        computer.sleep(world.chance.choice((0.0, 0.0, 1.0, 30.0)))
        if world.chance.random() < 0.15:
            self.store()
            return
        transport = self.transport()
        for _ in range(world.chance.randrange(1, 15)):
            world.capture(transport)
            computer.sleep(world.chance.choice((0.0, 0.0, 0.01, 1.0, 12.0, 70.0)))
        if world.has_errnos:
            # What could not be counted is counted when the disk is well again, if the process lives so long.
            world.disk_is_well_for(self)
            computer.sleep(30.0)
            # Nobody else touches what this process has claimed, so it has to let go of it some time.
            for _ in range(3):  # the machine may be frozen meanwhile
                computer.wait(lambda: not world.claimed_by(self), 300.0)
            assert not world.claimed_by(self), f"still claimed: {world.claimed_by(self)}"
        transport.kill()
        # The process may end while something is being sent, which was stored, but not while it is stored.
        if world.chance.random() < 0.5 or len(transport.inner.requests) < transport.inner.unfinished:
            computer.wait(lambda: not transport.inner.unfinished, 100.0)
        self.end()

    def store(self):
        """Capture without a DSN, with a transport that only stores."""
        world = self.world
        self.stores = True
        transport = SpoolTransport(world.settings, {})
        world.kept_ledgers.append(transport.spool.ledger)
        for _ in range(world.chance.randrange(1, 15)):
            world.capture(transport)
            world.computer.sleep(world.chance.choice((0.0, 0.0, 1.0, 70.0)))
        if world.has_errnos:
            world.disk_is_well_for(self)
            transport.spool.ledger.ensure()
        transport.kill()
        self.end()

    def send_rest(self):
        """Send all that waits, and check the counts."""
        world, computer = self.world, self.world.computer
        transport = self.transport()
        transport.open()
        spool = Spool(DIRECTORY)
        world.kept_ledgers.append(spool.ledger)
        until = computer.now + _LONG
        computer.sleep(_SETTLED)
        while computer.now < until and world.left():
            computer.sleep(10.0)
        assert not world.left(), f"stuck: {world.left()}"
        transport.kill()
        world.check_end()
        self.end()


class CheckedTransport(DeliveringTransport):
    """Records what is lost."""

    world = None

    def record_lost(self, envelope, reason):
        self.world.lost[envelope.headers["event_id"]] = reason
        super().record_lost(envelope, reason)


class World:
    """A run.

    Attributes:
        begun: ids of all that was captured.
        written: ids of what has a file since its capture.
        dropped: ids of what the bounds were about to drop, and why.
        lost: ids of what could neither be sent nor stored, and why.
        excused: ids that Sentry has accepted, but its answer was lost.
        stored: ids of what was captured without a DSN.
        refused: ids that Sentry has refused, also for a rate limit: what has no file is dropped then.
        rewritten: how many files were written again because they had gone.
    """

    def __init__(self, chance, mode):
        self.chance = chance
        self.mode = mode
        self.has_kills = mode in (KILLS, BOTH)
        self.has_errnos = mode in (ERRNOS, BOTH)
        self.computer = Computer(chance)
        self.disk = Disk(self.computer)
        self.disk.fault = self.fault
        self.disk.is_large = chance.random() < 0.3
        self.disk.has_locks = chance.random() > 0.1
        # Processes on other hosts, whose disk is in a third place, and has a clock that is right.
        self.hosts = chance.choice((["0" * 8], ["0" * 8], ["0" * 8, "1" * 8]))
        self.sentry = Sentry(self)
        self.begun, self.written, self.contents = [], [], {}
        self.dropped, self.lost, self.excused, self.refused = {}, {}, set(), set()
        self.stored = set()
        self.kept, self.kept_ledgers = [], []
        self.processes = []
        self.errors = []
        self.is_over = False
        self.rewritten = 0
        self.disk.renamed = self.check_size
        self.frozen_again = 0.0
        self.settings = SpoolSettings(
            DIRECTORY,
            max_size=chance.choice((10**9, 10**9, 40_000, 20_000)),
            max_age=chance.choice((30 * 86400.0, 3600.0)),
            rate=chance.choice((100.0, 1000.0)),
            fsync=chance.choice((False, False, True, 0.5)),
            connections=chance.choice((1, 2, 8)),
            min_free=chance.choice((None, 0)),
        )
        self.jumps = chance.choice((0.0, 0.0, 0.003, 0.03))
        self.failing = chance.choice((0.001, 0.01, 0.05)) if self.has_errnos else 0.0

    # What happens by chance.

    def fault(self, process, name):
        """Return what happens in a call of the file system; let clocks jump and processes stop meanwhile."""
        if self.is_over or process.is_last:
            return None
        chance = self.chance
        if self.jumps and chance.random() < self.jumps:
            self.jump()
        if chance.random() < 0.002:
            self.sentry.is_down = not self.sentry.is_down
        if self.mode == STOPS and chance.random() < 0.005:
            self.stop(process)
        if process.ends_at is not None and process.calls >= process.ends_at[0]:
            return process.ends_at[1]
        if self.failing and process.is_failing:
            if chance.random() < self.failing / 10:
                self.disk.is_full = not self.disk.is_full
            if chance.random() < self.failing / 20:
                self.disk.is_read_only = not self.disk.is_read_only
            if chance.random() < self.failing:
                return chance.choice(ERRORS[name])
        return None

    def jump(self):
        chance = self.chance
        seconds = chance.choice((1.0, 30.0, 3600.0, 86400.0, _YEAR, 30 * _YEAR))
        signed = chance.choice((-1, 1)) * seconds
        which = chance.choice(("wall", "disk", "monotonic", "all") if len(self.hosts) == 1 else ("wall",))
        if which == "wall":
            chance.choice(self.processes).wall += signed
        elif which == "disk":
            self.disk.clock += signed
        elif self.computer.now >= self.frozen_again:
            # Those who were stopped together need some time to give signs of life.
            seconds = min(seconds, 86400.0)
            if which == "monotonic":
                chance.choice(self.processes).monotonic += seconds
            else:
                self.computer.now += seconds
            self.frozen_again = self.computer.now + 300.0

    def stop(self, process):
        seconds = self.chance.choice((1.0, 50.0, 500.0))
        process.stopped_until = self.computer.now + seconds
        process.was_stopped |= seconds > _SILENT

    def disk_is_well_for(self, process):
        process.is_failing = False
        self.failing = 0.0
        self.disk.is_full = self.disk.is_read_only = False

    # What processes do.

    def begin(self, is_last=False):
        process = SpooledProcess(self, len(self.processes), is_last)
        process.is_failing = self.has_errnos
        self.processes.append(process)
        if self.has_kills and not is_last and self.chance.random() < 0.8:
            process.ends_at = (
                self.chance.randrange(1, self.chance.choice((60, 300, 1500))),
                self.chance.choice(("before", "middle", "after")),
            )
        return process

    def envelope(self):
        identity = f"{self.chance.getrandbits(128):032x}"
        type_ = "event" if self.chance.random() < 0.8 else "transaction"
        made = Envelope(headers={"event_id": identity})
        size = self.chance.choice((10, 300, 300, 5000))
        event = {"event_id": identity, "type": type_, "message": "x" * size}
        made.items.append(Item(PayloadRef(json=event), type=type_))
        return identity, made

    def capture(self, transport):
        identity, envelope = self.envelope()
        self.contents[identity] = (envelope.items[0].payload.get_bytes(),)
        self.begun.append(identity)
        if isinstance(transport, SpoolTransport):
            # If it cannot be written, there is nowhere else to go.
            self.stored.add(identity)
        file = transport.hold(envelope)
        if file is not None:
            self.written.append(identity)
        if file is not None and self.chance.random() < 0.05:
            self.dropped[identity] = "withdrawn"
            transport.withdraw(file)
        else:
            transport.send_held(envelope, file)

    def left(self):
        """Return the names of files that somebody still has to do something with."""
        return [
            name
            for name in self.disk.names
            if name.endswith((".envelope", ".partial")) or ".claimed-" in name
        ]

    def claimed_by(self, process):
        """Return the names of files that a process has claimed."""
        return [name for name in self.disk.names if name.endswith(f".claimed-{process.owner}")]

    # What has to hold.

    def check_drop(self, file, reason):
        self.dropped[file.id] = reason
        if reason == "too old":
            was_tried = file.id in self.sentry.tried or file.state == "aside"
            # Without a DSN nothing is tried, and a machine that sleeps has waited for a day.
            may_be_dropped = self.computer.process.stores and self.frozen_again
            assert was_tried or may_be_dropped, f"{file.id} was dropped as too old before it was tried"

    def check_size(self):
        """Check that the spool exceeds its size by a quarter at most, and a few files of each process."""
        sizes = [
            len(inode.data)
            for name, inode in self.disk.names.items()
            if name.endswith(".envelope") or ".aside-" in name
        ]
        # Those who were killed before they looked at the size have written as well.
        most = self.settings.max_size * 1.25 + 2 * _MOST_AT_ONCE * _LARGEST
        assert self.has_errnos or sum(sizes) <= most, f"{sum(sizes)} bytes are more than {most}"

    def failed(self, error):
        """Check what the spool logs as a failure: only what the file system has raised."""
        assert isinstance(error, OSError), repr(error)
        # Another process has set aside what this one was writing when it was stopped.
        assert self.has_errnos or (self.mode == STOPS and isinstance(error, FileNotFoundError)), repr(error)

    def check_end(self):
        if self.disk.root is None:
            assert not self.written
            return
        status = read_status(self.kept[-1]._spool.directory)
        aside = {file.id for file in self.kept[-1]._spool.files(state="aside")}
        known = {*self.sentry.accepted, *aside, *self.dropped, *self.lost}
        missing = [identity for identity in self.written if identity not in known]
        assert not missing, f"lost: {missing}"
        if not self.has_kills:
            may_lack = known | self.refused | self.stored
            missing = [identity for identity in self.begun if identity not in may_lack]
            assert not missing, f"lost at the end of a process: {missing}"
        # What a process had begun when it ended is only added with a lock. A process on another host that has
        # given no sign of life for two minutes may count something while those are added.
        is_silent = self.mode != KILLS or any(process.stores for process in self.processes)
        may_miscount = self.mode == BOTH or not self.disk.has_locks or (len(self.hosts) > 1 and is_silent)
        if not may_miscount:
            # A process that was stopped writes once more what another has sent or dropped meanwhile.
            least = -self.rewritten if self.mode == STOPS else 0
            rest = sum(status.unaccounted.values())
            assert least <= rest <= 0, f"unaccounted: {status.unaccounted}"
        # What a process was writing when it was stopped may have been set aside, and is captured once more.
        if not self.has_errnos and self.mode != STOPS:
            assert not self.lost, f"recorded as lost: {self.lost}"
            assert len(self.written) <= status.total("captured") <= len(self.begun)
        self.status = status

    def run(self):
        """Run processes next to each other and one after the other; then one sends all that is left."""
        with ExitStack() as stack:
            self.patch(stack)
            for _ in range(self.chance.randrange(1, 4)):
                for _ in range(self.chance.randrange(_MOST_AT_ONCE) + 1):
                    process = self.begin()
                    self.computer.spawn(process, process.main)
                self.computer.run()
            self.is_over = True
            self.sentry.is_well = True
            self.disk.is_full = self.disk.is_read_only = False
            process = self.begin(is_last=True)
            self.computer.spawn(process, process.send_rest)
            self.computer.run()

    def patch(self, stack):
        """Replace what the spool calls, until the end of a run."""
        disk, computer = self.disk, self.computer
        everywhere = {
            "os": disk.os_module(),
            "fcntl": disk.fcntl_module(),
            "time": computer.time_module(),
            "random": computer.random_module(),
            "threading": computer.threading_module(),
            "datetime": computer.datetime_class(),
            "Path": disk.path_class(),
            "SimpleQueue": lambda: SimpleQueue(computer),
            "current": lambda: computer.process.owner,
        }

        def replace(where, name, found):
            stack.enter_context(mock.patch.object(where, name, found, create=name == "open"))

        # First, and so the last to end: those of earlier tests may be collected at any moment.
        replace(Ledger, "__del__", lambda ledger: None)
        for module in map(importlib.import_module, _MODULES):
            for name, found in everywhere.items():
                if hasattr(module, name):
                    replace(module, name, found)
        replace(reading, "open", disk.open_file)
        for module in (delivery, backlog):
            replace(module, "Backoff", self.backoff)
        drop = Spool.drop

        def checked_drop(spool, file, reason):
            self.check_drop(file, reason)
            return drop(spool, file, reason)

        put = Spool._put

        def counted_put(spool, data, file, owner, *, is_new):
            self.rewritten += not is_new
            return put(spool, data, file, owner, is_new=is_new)

        replace(Spool, "drop", checked_drop)
        replace(Spool, "_put", counted_put)
        replace(LogThrottle, "failed", lambda log, error: self.failed(error))
        replace(Owner, "is_alive", self.is_alive())
        replace(CheckedTransport, "world", self)

    def backoff(self, *args):
        return Backoff(*args, clock=self.computer.monotonic, chance=self.chance.random)

    def is_alive(self):
        def is_alive(owner):
            if owner.host != self.computer.process.owner.host:
                return None
            return not any(process.owner == owner and process.has_ended for process in self.processes)

        return is_alive


def simulate(seed, mode=None):
    """Make a run; return the world, in which all that has to hold holds."""
    chance = random.Random(seed)
    world = World(chance, mode or chance.choice((KILLS, KILLS, ERRNOS, BOTH, STOPS)))
    try:
        world.run()
    except BaseException as error:
        raise AssertionError(
            f"with the seed {seed} ({world.mode}{'' if world.disk.has_locks else ', no locks'}), at step "
            f"{world.computer.steps}: {type(error).__name__}: {error}; repeat it with "
            f"SENTRY_PASTE_SEED={seed} pytest tests/spool/test_simulation.py"
        ) from error
    return world
