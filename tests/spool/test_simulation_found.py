"""What the simulation has found, each as a rule of its own on a real disk."""

import errno
import fcntl
import os
import stat
import time

import pytest

from sentry_paste.spool.bounds import Bounds
from sentry_paste.spool.files import Spool
from sentry_paste.spool.ledger import Ledger
from sentry_paste.spool.owner import current
from sentry_paste.spool.presence import Presence, Silence, exclusive_sender
from sentry_paste.spool.status import read_status
from sentry_paste.spool.totals import add_dead, read_totals
from sentry_paste.spool.transport import SpoolSettings, SpoolTransport
from sentry_paste.spool.writer import is_there

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


def test_counts_are_not_begun_twice_if_their_file_cannot_be_examined_for_a_moment(spool, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", failing(errno.EIO))
        spool.ledger.count("error", "captured")
        spool.ledger.ensure()
    spool.ledger.ensure()
    assert len(list(spool.directory.glob(".counts-*"))) == 1
    assert read_totals(spool.directory).counts["error", "captured"] == 1


def test_counting_raises_nothing_if_a_file_cannot_be_closed(spool, monkeypatch):
    spool.ledger.ensure()
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", failing(errno.EIO))
        patch.setattr(os, "close", failing(errno.EIO))
        spool.ledger.count("error", "captured")
    spool.ledger.ensure()
    assert read_totals(spool.directory).counts["error", "captured"] == 1


class Killed(BaseException):
    pass


@pytest.mark.parametrize("is_before", [True, False])
def test_incomplete_file_counts_once_whenever_the_process_is_killed_that_sets_it_aside(
    spool, monkeypatch, is_before
):
    dead = current()._replace(started=current().started + 1)
    file = spool.write(envelope())
    file.path.rename(spool.directory / f".{file.name}.{dead}.partial")
    rename = os.rename

    def killed(*paths):
        if not is_before:
            rename(*paths)
        raise Killed

    other, third = Spool(spool.directory), Spool(spool.directory)
    other.ledger.ensure()
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", killed)
        patch.setattr(other.ledger, "wrote", lambda *args: None)
        with pytest.raises(Killed):
            other.reclaim({str(dead): False})
    add_dead(spool.directory, {str(current()): False})
    third.ledger.ensure()
    third.reclaim({str(dead): False})
    status = read_status(spool.directory)
    # The first writer had counted it.
    assert (status.counts["error"]["captured"], status.aside["partial"]) == (2, 1)


def test_file_is_written_if_its_directory_cannot_be_flushed(tmp_path, monkeypatch):
    spool = Spool(tmp_path / "spool", fsync=True)
    fsync = os.fsync

    def only_files(descriptor):
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EIO, "it cannot be flushed")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    assert spool.write(envelope()).path.exists()
    assert read_status(spool.directory).unaccounted == {}


def test_file_that_cannot_be_looked_up_for_a_moment_is_not_lost(spool, monkeypatch):
    file = spool.write(envelope(), owner=current())
    monkeypatch.setattr(os, "lstat", failing(errno.EIO))
    assert is_there(file)


def test_claims_of_another_host_stay_as_long_as_its_counts_may_change(spool, monkeypatch):
    elsewhere = current()._replace(host="00000000")
    file = spool.write(envelope(), owner=elsewhere)
    (spool.directory / f".counts-{elsewhere}.0").touch()
    monkeypatch.setattr(spool, "owners", lambda: {str(elsewhere): time.time() - 200})
    presence = Presence(spool)
    presence.show()
    presence.reclaim()
    assert file.path.exists()


def test_wrong_clock_empties_no_spool_without_a_dsn(spool, monkeypatch):
    transport = SpoolTransport(SpoolSettings(str(spool.directory)))
    file = transport.hold(envelope())
    transport.send_held(envelope(), file)
    year = 365 * 86400
    for waiting in spool.files():
        os.utime(waiting.path, (time.time() - year,) * 2)
    transport._bounds.enforce()
    assert [found.state for found in spool.files()] == ["waiting"]
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 2 * 86400)
    transport._bounds.enforce()
    assert spool.files() == []


def test_file_that_can_neither_be_dropped_nor_given_back_is_given_back_later(spool, monkeypatch):
    file = spool.write(envelope())
    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", failing(errno.EROFS))
        rename = os.rename

        def only_claims(path, renamed):
            return rename(path, renamed) if ".claimed" in renamed.name else os.unlink(path)

        patch.setattr(os, "rename", only_claims)
        with pytest.raises(OSError, match="Read-only"):
            spool.drop(file, "too many")
    assert [found.state for found in spool.files()] == ["claimed"]
    Bounds(spool, 10**9, 10**9, lambda *args: None).enforce_if_due()
    assert [found.path for found in spool.files()] == [file.path]
    assert read_status(spool.directory).unaccounted == {}


def test_counts_are_added_once_if_the_next_host_does_not_know_that_their_process_is_dead(spool, monkeypatch):
    first, second = (str(current()._replace(host=host)) for host in ("00000000", "11111111"))
    for owner in (first, second):
        monkeypatch.setattr("sentry_paste.spool.ledger.current", lambda owner=owner: owner)
        ledger = Ledger(spool.directory)
        ledger.ensure()
        ledger.count("error", "captured", "delivered")

    def killed(path):
        if ".new" not in str(path):
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", killed)
        with pytest.raises(Killed):
            add_dead(spool.directory, {first: False})
    add_dead(spool.directory, {first: True, second: False})
    add_dead(spool.directory, {first: False})
    assert read_totals(spool.directory).counts["error", "captured"] == 2
