"""What the simulation has found, each as a rule of its own on a real disk."""

import errno
import fcntl
import os

import pytest

from sentry_paste.spool.files import Spool
from sentry_paste.spool.ledger import read_totals
from sentry_paste.spool.presence import Silence, exclusive_sender

from spooled import envelope


@pytest.fixture
def spool(tmp_path):
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    return spool


def failing(code):
    def call(*args):
        raise OSError(code, os.strerror(code))

    return call


@pytest.mark.parametrize(
    ("code", "sends"), [(errno.ENOLCK, True), (errno.EAGAIN, False), (errno.EACCES, False)]
)
def test_processes_send_without_a_lock_where_the_disk_has_none(spool, monkeypatch, code, sends):
    monkeypatch.setattr(fcntl, "lockf", failing(code))
    with exclusive_sender(spool, "any", Silence()) as lock:
        assert (lock is not None) is sends


def test_counts_go_on_in_their_file_if_it_cannot_be_looked_up_for_a_moment(spool, monkeypatch):
    spool.write(envelope())
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", failing(errno.EIO))
        patch.setattr(os, "lstat", failing(errno.EACCES))
        spool.ledger.count("error", "captured")
    spool.ledger.ensure()
    assert len(list(spool.directory.glob(".counts-*"))) == 1
    assert read_totals(spool.directory).counts["error", "captured"] == 2


def test_processes_that_were_stopped_together_take_each_other_for_alive(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    silence = Silence()
    looks = []
    for now[0] in (0.0, 50.0, 86400.0, 86460.0, 86520.0):
        looks.append(silence.of("other", "as before"))
    assert looks == [0.0, 50.0, 110.0, 170.0, 230.0]
    assert silence.of("other", "alive") == 0.0
