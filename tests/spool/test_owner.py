"""Which process has claimed a file, and whether it lives."""

import os
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.spool import owner as owner_module
from sentry_paste.spool.owner import Owner, current

from_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="the system has no /proc")


def test_this_process_lives():
    assert current().is_alive() is True


@given(text=st.text() | st.from_regex(r"\A[0-9a-f]{8}-[0-9a-f]{6}-\d{1,12}-\d{1,22}\Z"))
def test_any_text_is_an_owner_or_none(text):
    found = Owner.from_text(text)
    if found is not None:
        assert Owner.from_text(str(found)) == found
        assert found.is_alive() in (True, False, None)


def test_process_that_has_ended_is_dead_before_and_after_it_is_waited_for():
    child = subprocess.Popen([sys.executable, "-c", ""])
    owner = current()._replace(pid=child.pid, started=owner_module._started(child.pid) or 0)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert owner.is_alive() is False  # a zombie
    child.wait()
    assert owner.is_alive() is False


@from_proc
def test_process_that_has_got_the_number_of_another_is_not_that_one():
    assert current()._replace(started=current().started - 1).is_alive() is False


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
    assert owner_module._started(os.getpid()) == 0
    assert owner_module._started(2**22 + 1) is None
