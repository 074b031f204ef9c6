"""An error budget, whatever happens to its processes: each error goes, is reported, or waits for that."""

import contextlib
import itertools
import multiprocessing
import os
import shutil
import signal
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sentry_paste.spool import budget as budget_module
from sentry_paste.spool.budget import SharedBudget
from sentry_paste.spool.budget_table import Kind, Limits, Memory, NotSent, Table

HOUR, DAY = 3600, 86400
LIMITS = Limits(3, HOUR, 20, HOUR)


def kind(number):
    return Kind((number + 1).to_bytes(8, "little") * 2, f"kind {number}")


def waiting(table):
    return sum(slot.left + slot.owed for slot in table._slots())


class World:
    """Processes that share a spool, of which everything can fail, and what has become of each error."""

    def __init__(self, directory, pages, limits=LIMITS):
        self.directory = directory
        self.limits = limits
        self.now = 400_000.0 * HOUR
        self.fails = []
        self.errors = self.gone = self.reported = 0
        self.taken = []
        self.stack = contextlib.ExitStack()
        for name, value in (
            ("now", lambda: self.now),
            ("_TRY_AGAIN", 0.0),
            ("Memory", lambda: Memory(pages)),
            ("Table", lambda storage: Table(storage, pages)),
            ("warn", lambda *args: None),
        ):
            self.stack.enter_context(mock.patch.object(budget_module, name, value))
        for name in ("read", "write"):
            method = getattr(budget_module._File, name)
            self.stack.enter_context(mock.patch.object(budget_module._File, name, self.failing(method)))
        self.processes = [self.process() for _ in range(3)]

    def failing(self, method):
        def call(*args):
            if self.fails and self.fails.pop():
                raise OSError("the disk fails")
            return method(*args)

        return call

    def process(self):
        return SharedBudget(self.limits, str(self.directory) if self.directory else None)

    def take(self, process, number, release=1):
        taken = self.processes[process].take(kind(number), release)
        self.errors += 1
        self.gone += taken.goes
        self.reported += taken.reports + sum(each.errors for each in taken.stopped)
        assert taken.goes or not taken.reports
        self.taken.append((process, taken))
        return taken

    def undo(self, at):
        if self.taken:
            process, taken = self.taken.pop(at % len(self.taken))
            self.processes[process].undo(taken)
            self.errors -= 1
            self.gone -= taken.goes
            self.reported -= taken.reports

    def report(self, found):
        self.reported += sum(each.errors for each in found)

    def end(self, process):
        self.report(self.processes[process].rest())
        self.fails = []
        self.report(self.processes[process].rest())
        self.processes[process] = self.process()
        self.taken = [each for each in self.taken if each[0] != process]

    def remaining(self):
        """What waits in tables, in memory and in the file."""
        self.fails = []
        found = 0
        for each in self.processes:
            found += waiting(each._own) if each._own is not None else 0
            # A file that was removed is moved by whoever sees it first.
            if each._file is not None and each._file._descriptor is not None:
                self.files[each._file._file] = each._file.table
        return found + sum(map(waiting, self.files.values()))

    def check(self):
        self.files = {}
        assert self.errors == self.gone + self.reported + self.remaining()


NUMBERS = st.integers(0, 40)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, 2), NUMBERS, st.integers(1, 3)),
        st.tuples(st.just("take"), st.integers(0, 2), st.just(1), st.just(1)),
        st.tuples(st.just("undo"), st.integers(0, 9)),
        st.tuples(st.just("stopped"), st.integers(0, 2)),
        st.tuples(st.just("end"), st.integers(0, 2)),
        st.tuples(
            st.just("later"), st.sampled_from([1, 600, HOUR, 2 * HOUR, 30 * HOUR, -600, -HOUR, -9 * HOUR])
        ),
        st.tuples(st.just("remove")),
        st.tuples(st.just("fail"), st.lists(st.booleans(), max_size=12)),
        st.tuples(st.just("put back"), st.integers(0, 2), NUMBERS),
        st.tuples(st.just("change"), st.integers(0, 2), st.sampled_from([60, HOUR, DAY])),
    ),
    max_size=80,
)


@settings(max_examples=int(os.environ.get("SENTRY_PASTE_BUDGETS", "150")), deadline=None)
@given(STEPS, st.sampled_from([1, 8]), st.booleans())
def test_sum_is_exact_whatever_happens(steps, pages, has_spool):
    with tempfile.TemporaryDirectory() as directory:
        spool = Path(directory) / "spool"
        world = World(spool if has_spool else None, pages)
        with world.stack:
            for step, *args in steps:
                if step == "take":
                    world.take(*args)
                elif step == "undo":
                    world.undo(*args)
                elif step == "stopped":
                    world.report(world.processes[args[0]].stopped())
                elif step == "end":
                    world.end(*args)
                elif step == "later":
                    world.now += args[0]
                elif step == "remove":
                    shutil.rmtree(spool, ignore_errors=True)
                elif step == "fail":
                    world.fails = args[0]
                elif step == "change":
                    world.fails = []
                    world.processes[args[0]].change(Limits(3, args[1], 20, args[1]))
                else:
                    found = world.processes[args[0]].stopped()
                    world.report(found)
                    for each in found:
                        world.processes[args[0]].owe(each)
                        world.reported -= each.errors
                world.check()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 4), st.integers(1, 2), st.sampled_from([0, 0, 0, 900])),
        max_size=120,
    ),
    st.sampled_from([(3, 20), (2, 5), (0, 4), (float("inf"), 6), (4, float("inf"))]),
)
def test_decisions_are_those_of_the_rules(errors, numbers):
    limits = Limits(numbers[0], HOUR, numbers[1], HOUR)
    with tempfile.TemporaryDirectory() as directory:
        world = World(Path(directory) / "spool", 8, limits)
        with world.stack:
            period, sent, every, known, beyond, owed = None, Counter(), 0, set(), Counter(), Counter()
            for process, number, release, seconds in errors:
                world.now += seconds
                if period != world.now // HOUR:
                    period, every = world.now // HOUR, 0
                    sent.clear()
                    owed.update(beyond)
                    beyond.clear()
                expected = (
                    (number, release) not in known
                    or owed[number] > 0
                    or (sent[number] < limits.of_kind and every < limits.in_all)
                )
                known.add((number, release))
                taken = world.take(process, number, release)
                assert taken.goes is expected
                for each in taken.stopped:
                    owed[int(each.kind.title.split()[1])] -= each.errors
                if expected:
                    assert taken.reports == owed.pop(number, 0)
                    sent[number] += 1
                    every += 1
                else:
                    beyond[number] += 1


@pytest.mark.parametrize("has_kinds", [True, False])
def test_budgets_with_different_periods_keep_their_own_counts(tmp_path, monkeypatch, has_kinds):
    now = 20_000.0 * DAY
    monkeypatch.setattr(budget_module, "now", lambda: now)
    periods = (60, HOUR, DAY)
    numbers = (3, float("inf")) if has_kinds else (float("inf"), 3)
    budgets = [SharedBudget(Limits(numbers[0], each, numbers[1], each), str(tmp_path)) for each in periods]
    taken = {period: [] for period in periods}
    for _ in range(24):
        for _ in range(5):
            for period, budget in zip(periods, budgets):
                taken[period] += [budget.take(kind(1), 1) for _ in range(2)]
            now += 1
        now += HOUR - 5
    sent = {period: sum(each.goes for each in taken[period]) for period in periods}
    assert sent == {60: 3 * 24, HOUR: 3 * 24, DAY: 3}
    now += 2 * DAY
    counts = [each.errors for budget in budgets for each in budget.stopped()]
    counts += [each.errors for found in taken.values() for one in found for each in one.stopped]
    reported = sum(one.reports for found in taken.values() for one in found)
    assert sum(counts) + reported + sum(sent.values()) == 3 * 24 * 10


def test_budget_with_another_period_is_one_of_its_own_at_the_next_start(tmp_path, monkeypatch):
    now = 20_000.0 * DAY
    monkeypatch.setattr(budget_module, "now", lambda: now)
    for period, expected in ((HOUR, 3), (DAY, 3), (HOUR, 0)):
        budget = SharedBudget(Limits(3, period, 20, period), str(tmp_path))
        assert sum(budget.take(kind(1), 1).goes for _ in range(5)) == expected
        assert budget.rest() == []
    now += 2 * DAY
    assert sum(each.errors for each in SharedBudget(Limits(3, DAY, 9, DAY), str(tmp_path)).stopped()) == 9


@pytest.mark.parametrize("has_spool", [True, False])
def test_change_of_the_period_keeps_counts_and_does_not_touch_those_of_others(
    tmp_path, monkeypatch, has_spool
):
    monkeypatch.setattr(budget_module, "now", lambda: 20_000.0 * DAY + 100)
    of_hour, of_day = Limits(3, HOUR, 20, HOUR), Limits(3, DAY, 20, DAY)
    directory = str(tmp_path) if has_spool else None
    workers = [SharedBudget(of_hour, directory) for _ in range(2 if has_spool else 1)]
    other = SharedBudget(of_hour, directory) if has_spool else None
    assert [workers[0].take(kind(1), 1).goes for _ in range(5)] == [True, True, True, False, False]
    for worker in workers:
        worker.change(of_day)
        assert not worker.take(kind(1), 1).goes
    workers[0].change(Limits(5, DAY, 20, DAY))
    assert [workers[0].take(kind(1), 1).goes for _ in range(3)] == [True, True, False]
    assert waiting(tables_of(workers[0])) == 2 + len(workers) + 1
    if other is not None:
        assert not other.take(kind(1), 1).goes


@pytest.mark.parametrize("is_c", [False, True])
def test_forked_process_shares_the_file_and_has_none_of_what_is_in_memory(tmp_path, is_c):
    for directory, expected in ((tmp_path / "spool", [0, 0, 0, 0]), (None, [1, 1, 1, 0])):
        budget = SharedBudget(LIMITS, str(directory) if directory else None)
        for _ in range(4):
            budget.take(kind(1), 1)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            if is_c:
                budget._pid = -1  # no hook has run
            goes = [budget.take(kind(1), 1).goes for _ in range(4)]
            os.write(write, bytes(goes))
            os._exit(0)
        os.waitpid(child, 0)
        assert list(os.read(read, 9)) == expected
        (rest,) = budget.rest() or [None]
        assert rest is None if directory else rest.errors == 1
        assert sum(waiting(table) for table in [tables_of(budget)]) == (5 if directory else 0)
        os.close(read)
        os.close(write)


def tables_of(budget):
    return budget._own if budget._own is not None else budget._file.table


def test_child_that_is_forked_while_another_thread_has_the_lock_goes_on(tmp_path):
    budget = SharedBudget(LIMITS, str(tmp_path / "spool"))
    budget.take(kind(1), 1)
    entered, leaves = threading.Event(), threading.Event()

    def hold():
        with budget._locked(), budget._shared():
            entered.set()
            leaves.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    entered.wait(10)
    child = os.fork()
    if child == 0:
        # The parent has the lock of the file: the child has a budget of its own for now.
        os._exit(budget.take(kind(2), 1) is None)
    assert os.waitpid(child, 0)[1] == 0
    leaves.set()
    thread.join()


def test_process_that_is_stopped_with_the_lock_holds_up_nobody_for_long(tmp_path):
    budgets = [SharedBudget(LIMITS, str(tmp_path / "spool")) for _ in range(2)]
    budgets[0].take(kind(1), 1)
    with budgets[0]._locked(), budgets[0]._shared():
        begun = time.monotonic()
        for _ in range(50):
            budgets[1].take(kind(1), 1)
        assert time.monotonic() - begun < 8  # 12 s if each waited
    budgets[1]._again = 0.0
    budgets[1].take(kind(1), 1)
    assert budgets[1]._own is None
    assert waiting(budgets[0]._file.table) == 52 - 4


def work(directory, errors, queue):
    budget = SharedBudget(Limits(50, 86400 * 365, 1e9, 86400 * 365), directory)
    goes = sum(budget.take(kind(number % 3), 1).goes for number in range(errors))
    queue.put((goes, waiting(budget._file.table) if budget._own is None else None))


def test_processes_share_the_budget_exactly(tmp_path):
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    processes = [context.Process(target=work, args=(str(tmp_path / "spool"), 600, queue)) for _ in range(2)]
    for process in processes:
        process.start()
    found = [queue.get() for _ in processes]
    for process in processes:
        process.join()
    assert sum(goes for goes, _ in found) == 150
    assert max(left for _, left in found) == 1200 - 150


def endless(directory, write):
    budget = SharedBudget(Limits(5, HOUR, 1e9, HOUR), directory)
    while True:
        taken = budget.take(kind(1), 1)
        os.write(write, b"+" if taken.goes else b"-")


def test_killed_process_loses_nothing_that_it_has_counted(tmp_path):
    directory = str(tmp_path / "spool")
    for _ in range(5):
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            endless(directory, write)
        seen = os.read(read, 1)
        time.sleep(0.01)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(write)
        while data := os.read(read, 65536):
            seen += data
        os.close(read)
        (path,) = Path(directory).glob(".budget-*")
        budget = SharedBudget(Limits(5, HOUR, 1e9, HOUR), directory)
        budget._path = path
        taken = budget.take(kind(1), 1)
        left = waiting(budget._file.table)
        # The last one may be counted, but not written to the pipe.
        assert 0 <= left - (not taken.goes) - seen.count(b"-") <= 1
        shutil.rmtree(directory)


def test_table_with_any_numbers_goes_on():
    extremes = (2**63 - 1, -(2**63))
    for start, sent, left, owed in itertools.product(
        (0, *extremes), (1, *extremes), (1, *extremes), (1, *extremes)
    ):
        table = Table(Memory(2), 2)
        table.prepare()
        slot = table._slot(kind(1), HOUR, 0.0)
        slot.start, slot.sent, slot.left, slot.owed = start, sent, left, owed
        table._write(slot)
        for release in (1, 2):
            table.undo(table.take(kind(1), release, 400_000.0 * HOUR, LIMITS), 400_001.0 * HOUR)
        table.owe(NotSent(kind(1), 2), 400_003.0 * HOUR, LIMITS)
        table.move_to(Table(Memory(2), 2), 400_009.0 * HOUR)


def test_directory_that_cannot_be_searched_has_nothing(monkeypatch, tmp_path):
    def exists(path):
        raise PermissionError(13, "no")

    monkeypatch.setattr(Path, "exists", exists)
    budget = SharedBudget(LIMITS, str(tmp_path / "spool"))
    assert budget.stopped() == budget.rest() == []
