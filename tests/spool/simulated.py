"""A simulated computer: its threads, locks and clocks, of which a seed decides who goes on and when.

One thread runs at a time. It hands over wherever it might be interrupted: at each call of the simulated
file system, and where it takes a lock or waits. Time passes with each call, and jumps to the next deadline
when all wait, so that hours take no time. Each simulated thread is a real one, because the code under test
does not know that it is simulated.
"""

import threading
from datetime import datetime, timezone
from queue import Empty
from types import SimpleNamespace

EPOCH = 1_800_000_000.0
# Clocks show times between 1970 and 2128, whatever their jumps.
EARLIEST, LATEST = 1e6, 5e9


class Ended(BaseException):
    """The process of this thread has ended, and with it the thread."""


class Process:
    """A simulated process.

    Attributes:
        owner: its identity.
        has_ended: whether it has ended; then each of its calls raises ``Ended``.
        calls: how many calls of the file system it has made.
        ends_at: the call at which it is killed, and whether before, in the middle or after it.
        stopped_until: until when a signal stops it.
        was_stopped: whether it was, for so long that others may take it for dead.
        wall: seconds by which its clock is wrong.
        monotonic: seconds by which its monotonic clock is ahead.
        failed_calls: how many of its calls have failed.
    """

    def __init__(self, owner):
        self.owner = owner
        self.has_ended = False
        self.calls = 0
        self.ends_at = None
        self.stopped_until = 0.0
        self.was_stopped = False
        self.wall = 0.0
        self.monotonic = 0.0
        self.failed_calls = 0
        self.on_end = []

    def end(self):
        if not self.has_ended:
            self.has_ended = True
            for action in self.on_end:
                action()


class Task:
    """A simulated thread.

    Attributes:
        ready: returns whether it may go on, None if it does not wait.
        until: until when it waits at most, by the monotonic clock of its process; None for ever.
    """

    def __init__(self, computer, process, target, name):
        self.computer = computer
        self.process = process
        self.name = name
        self.ready = None
        self.until = None
        self.baton = threading.Lock()
        self.baton.acquire()
        self.target = target
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)

    def _run(self):
        self.baton.acquire()
        try:
            self.computer.check()
            self.target()
        except Ended:
            pass
        except BaseException as error:
            self.computer.fail(error)
        finally:
            self.computer.leave(self)

    def may_run(self, now):
        process = self.process
        if process.has_ended:
            return True
        if now < process.stopped_until:
            return False
        if self.ready is None and self.until is None:
            return True
        return (self.ready is not None and self.ready()) or (
            self.until is not None and now + process.monotonic >= self.until
        )

    def next_time(self, now):
        """Return when it may run at the earliest without anybody's help, infinity if never."""
        if now < self.process.stopped_until:
            return self.process.stopped_until
        if self.until is None:
            return float("inf")
        return self.until - self.process.monotonic


class Computer:
    """Runs threads one at a time, in the order that a seed chooses.

    Attributes:
        chance: the source of all that happens by chance.
        now: seconds since the start, by a clock that is right.
        steps: calls of the file system.
        tasks: threads that have not ended.
        failure: the first exception that left a thread.
    """

    # Steps after which a run that has not ended is stuck.
    MOST_STEPS = 300_000

    def __init__(self, chance):
        self.chance = chance
        self.now = 0.0
        self.steps = 0
        self.tasks = []
        self.running = None
        self.failure = None
        # How often a thread is interrupted where it might be.
        self.switches = chance.choice((0.02, 0.2, 0.5, 1.0))
        self._main = threading.Lock()
        self._main.acquire()

    @property
    def process(self):
        return self.running.process

    def spawn(self, process, target, name="main"):
        task = Task(self, process, target, name)
        self.tasks.append(task)
        task.thread.start()
        return task

    def run(self):
        """Run until all threads have ended; raise what any has raised."""
        if self.tasks:
            self._choose().baton.release()
            self._main.acquire()
        if self.failure is not None:
            raise self.failure

    def fail(self, error):
        if self.failure is None:
            self.failure = error
        for task in self.tasks:
            task.process.end()

    def check(self):
        if self.running.process.has_ended:
            raise Ended

    def leave(self, task):
        self.tasks.remove(task)
        if not self.tasks:
            self._main.release()
            return
        try:
            chosen = self._choose()
        except AssertionError as error:
            self.fail(error)
            chosen = self._choose()
        chosen.baton.release()

    def _choose(self):
        may_run = [task for task in self.tasks if task.may_run(self.now)]
        while not may_run:
            at = min(task.next_time(self.now) for task in self.tasks)
            assert at < float("inf"), f"all wait for ever: {[task.name for task in self.tasks]}"
            self.now = max(at, self.now + 1e-6)
            may_run = [task for task in self.tasks if task.may_run(self.now)]
        self.running = may_run[0] if len(may_run) == 1 else self.chance.choice(may_run)
        return self.running

    def hand_over(self):
        """Let any thread go on, which may be this one."""
        task = self.running
        chosen = self._choose()
        if chosen is not task:
            chosen.baton.release()
            task.baton.acquire()
        self.check()

    def interrupt(self):
        """Hand over, if this thread is to be interrupted here."""
        self.check()
        if self.chance.random() < self.switches:
            self.hand_over()

    def wait(self, ready, timeout=None):
        """Wait until something is true; return whether it is."""
        self.check()
        task = self.running
        task.ready = ready
        task.until = None if timeout is None else self.monotonic() + max(timeout, 0.0)
        try:
            self.hand_over()
        finally:
            task.ready = task.until = None
        return ready()

    def sleep(self, seconds):
        self.wait(lambda: False, seconds)

    def monotonic(self):
        return self.now + self.process.monotonic

    def time(self):
        return min(max(EPOCH + self.now + self.process.wall, EARLIEST), LATEST)

    def time_module(self):
        return SimpleNamespace(time=self.time, monotonic=self.monotonic, sleep=self.sleep)

    def random_module(self):
        return SimpleNamespace(random=self.chance.random, uniform=self.chance.uniform)

    def datetime_class(self):
        computer = self

        class SimulatedDatetime(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.fromtimestamp(computer.time(), tz or timezone.utc)

        return SimulatedDatetime

    def threading_module(self):
        return SimpleNamespace(
            Thread=lambda target, name="", daemon=True, args=(): Thread(self, target, name, args),
            Lock=lambda: Lock(self),
            RLock=lambda: Lock(self),
            Event=lambda: Event(self),
            current_thread=lambda: self.running,
        )


class Thread:
    """``threading.Thread``."""

    def __init__(self, computer, target, name, args):
        self._computer = computer
        self._target = lambda: target(*args)
        self._name = name
        self._task = None

    def start(self):
        self._computer.check()
        self._task = self._computer.spawn(self._computer.process, self._target, self._name)
        self._computer.interrupt()

    def join(self, timeout=None):
        self._computer.wait(lambda: self._task not in self._computer.tasks, timeout)

    def __eq__(self, other):
        return other is self or (self._task is not None and other is self._task)

    __hash__ = None


class Lock:
    """``threading.RLock``; nothing takes a plain lock twice, which would only be found with real threads."""

    def __init__(self, computer):
        self._computer = computer
        self._owner = None
        self._times = 0

    def __enter__(self):
        self._computer.interrupt()
        task = self._computer.running
        if self._owner is not task:
            while self._owner is not None:
                self._computer.wait(lambda: self._owner is None)
            self._owner = task
        self._times += 1
        return True

    def __exit__(self, *args):
        self._times -= 1
        if not self._times:
            self._owner = None


class Event:
    """``threading.Event``."""

    def __init__(self, computer):
        self._computer = computer
        self._is_set = False

    def set(self):
        self._is_set = True

    def clear(self):
        self._is_set = False

    def is_set(self):
        return self._is_set

    def wait(self, timeout=None):
        return self._computer.wait(self.is_set, timeout)


class SimpleQueue:
    """``queue.SimpleQueue``."""

    def __init__(self, computer):
        self._computer = computer
        self._items = []

    def put(self, item):
        self._items.append(item)

    def get(self, timeout=None):
        while not self._items:
            if not self._computer.wait(lambda: bool(self._items), timeout) and timeout is not None:
                raise Empty
        return self._items.pop(0)
