"""Which process has claimed a file, and whether it lives."""

import os
import shutil
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.spool import owner as owner_module
from sentry_paste.spool.owner import Owner, current

from_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="the system has no /proc")


def test_this_process_lives():
    assert current().is_alive() is True


@given(text=st.text() | st.from_regex(r"\A[0-9a-f]{8}-[0-9a-f]{6}-\d{1,12}-\d{1,22}-[0-9a-f]{6}\Z"))
def test_any_text_is_an_owner_or_none(text):
    found = Owner.from_text(text)
    if found is not None:
        assert Owner.from_text(str(found)) == found
        assert found.is_alive() in (True, False, None)


def test_process_that_has_ended_is_dead_before_and_after_it_is_waited_for():
    # It stays a zombie until it was checked, however long that takes here.
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    owner = current()._replace(pid=child.pid, started=owner_module._process_info(child.pid).started)
    child.stdin.close()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert owner.is_alive() is False  # a zombie
    child.wait()
    assert owner.is_alive() is False


@from_proc
@pytest.mark.parametrize("name", ["a b", ") Z 1 (", "(((", "\n) X"])
def test_program_may_have_any_name(tmp_path, name):
    """``/proc`` has it in parentheses, before most other fields."""
    program = tmp_path / name
    shutil.copy("/bin/sleep", program)
    process = subprocess.Popen([program, "30"])
    try:
        found, own = owner_module._process_info(process.pid), owner_module._process_info(os.getpid())
        until = time.monotonic() + 10
        # Its stack is placed a moment after Popen knows that the program has begun.
        while found.program == "000000" and time.monotonic() < until:
            time.sleep(0.01)
            found = owner_module._process_info(process.pid)
        assert own.started <= found.started
        assert found.program not in (own.program, "000000")
    finally:
        process.kill()
        process.wait()


def test_process_that_has_got_the_number_of_another_is_not_that_one():
    assert current()._replace(started=current().started - 1).is_alive() is False


EXEC = """
import os, sys
from sentry_paste.spool.owner import current
print(current(), flush=True)
if len(sys.argv) == 1:
    os.execv(sys.executable, [sys.executable, "-c", os.environ["TEXT"], "again"])
sys.stdin.read()
"""


@from_proc
def test_program_that_has_replaced_another_in_its_process_is_not_that_one():
    with subprocess.Popen(
        [sys.executable, "-c", EXEC],
        env={**os.environ, "TEXT": EXEC},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        first, second = (Owner.from_text(process.stdout.readline().strip()) for _ in range(2))
        assert (first.pid, first.started) == (second.pid, second.started)
        assert first.is_alive() is False
        assert second.is_alive() is True
        process.stdin.close()


@from_proc
def test_unknown_program_of_a_process_counts_as_the_same(monkeypatch):
    """As of a server that has given up root: /proc has a 0 for the stack then."""
    mine = current()
    assert mine.program != "000000"
    hidden = owner_module._process_info(os.getpid())._replace(program="000000")
    monkeypatch.setattr(owner_module, "_process_info", lambda pid: hidden)
    assert mine.is_alive() is True
    assert mine._replace(program="000000").is_alive() is True


def test_program_is_unknown_under_an_emulator(monkeypatch):
    """qemu-user's file of the process itself: a made-up stack, and no size."""
    fields = "0 " * 17 + "77 0 0 0 0 0 274886295584 " + "0 " * 16
    monkeypatch.setattr(owner_module, "_read", lambda path: f"7 (python) R 1 {fields}")
    assert owner_module._process_info(7) == (77, "000000")


def test_process_from_before_the_last_boot_is_dead():
    assert current()._replace(boot="abcdef").is_alive() is False


def test_process_of_another_host_is_not_known():
    assert current()._replace(host="00000000").is_alive() is None


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a fork is of Unix")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_process_that_is_forked_is_another():
    parent = current()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:  # pragma: no cover
        os.write(writing, str(current()).encode())
        os._exit(0)
    os.waitpid(child, 0)
    found = Owner.from_text(os.read(reading, 200).decode())
    os.close(reading)
    os.close(writing)
    assert found.pid == child != parent.pid


def test_system_without_proc_knows_processes_by_their_numbers(monkeypatch):
    monkeypatch.setattr(owner_module, "_read", lambda path: "")
    assert owner_module._process_info(os.getpid()) == (0, "000000")
    assert owner_module._process_info(2**22 + 1) is None
