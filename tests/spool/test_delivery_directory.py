"""A spool directory that cannot be used, is full, or changes while a process uses it."""

import os
import shutil
import time

import pytest

from sentry_paste.spool.writer import destination_names

from faulty import Answer
from spooled import close_clients, states, warnings_of


def spoil_by_a_file(directory, monkeypatch):
    directory.write_text("mine")


def spoil_by_a_link(directory, monkeypatch):
    (directory.parent / "elsewhere").mkdir()
    directory.symlink_to(directory.parent / "elsewhere")


def spoil_by_letting_others_read(directory, monkeypatch):
    directory.mkdir(0o755)
    directory.chmod(0o755)


def spoil_by_a_read_only_disk(directory, monkeypatch):
    directory.mkdir(0o700)
    real = os.open

    def opening(path, flags, *args, **kwargs):
        if str(path).startswith(str(directory)) and flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(30, "Read-only file system", str(path))
        return real(path, flags, *args, **kwargs)

    monkeypatch.setattr("os.open", opening)


SPOILERS = [spoil_by_a_file, spoil_by_a_link, spoil_by_letting_others_read, spoil_by_a_read_only_disk]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_directory_that_cannot_be_used_costs_one_warning_and_sending_goes_on(
    site, sentry, spool, caplog, monkeypatch, spoil
):
    spoil(spool.directory, monkeypatch)
    made = site(traces_sample_rate="1.0")
    made.crash(5)
    made.ok(5)
    sentry.wait_for(lambda: len(sentry.delivered("transaction")) == 10)
    sentry.wait(errors=5)
    assert len(warnings_of(caplog)) == 1
    assert "nothing is stored until this is fixed" in warnings_of(caplog)[0]


def test_errors_are_tried_after_a_failure_where_they_cannot_be_kept(site, sentry, spool, monkeypatch):
    """Without a spool an error is sent, or lost because it could not be; never because another could not."""
    spoil_by_a_file(spool.directory, monkeypatch)
    sentry.answer = Answer(503, {"Retry-After": "20"})
    made = site()
    made.crash()
    sentry.wait(arrivals=1)
    sentry.answer = Answer()
    made.crash(3)
    sentry.wait(errors=3, seconds=15)


def test_directory_that_is_made_again_records_the_destination_again(site, sentry, spool):
    made = site()
    made.crash()
    sentry.wait(errors=1)
    shutil.rmtree(spool.directory)
    sentry.answer = Answer(hangs=True)
    made.crash()
    (file,) = spool.files()
    assert destination_names(spool.directory) == {file.destination: f"127.0.0.1:{sentry.port}/1"}


def test_directory_that_is_removed_while_running_is_made_again(site, sentry, spool, caplog):
    sentry.answer = Answer(hangs=True)
    made = site()
    made.crash(2)
    shutil.rmtree(spool.directory)
    made.crash(1)
    assert states(spool) == [("error", "claimed")]
    assert warnings_of(caplog) == []
    sentry.answer = Answer()
    sentry.hang_up()


def test_directory_whose_parent_is_gone_and_cannot_be_made_costs_one_warning(
    site, sentry, spool, caplog, monkeypatch
):
    made = site()
    made.crash(1)
    sentry.wait(errors=1)
    shutil.rmtree(spool.directory)
    spool.directory.write_text("")
    made.crash(3)
    sentry.wait(errors=4)
    assert len(warnings_of(caplog)) == 1


def test_warning_comes_again_after_the_directory_was_fixed(site, sentry, spool, caplog):
    made = site()
    for _ in range(2):
        spool.directory.write_text("")
        made.crash(2)
        spool.directory.unlink()
        made.crash(1)
        remove_directory(spool)
    assert len(warnings_of(caplog)) == 2


def remove_directory(spool):
    """Remove the directory of a process that goes on, whose thread may remove a file at the same time."""
    until = time.monotonic() + 30
    while os.path.lexists(spool.directory):
        try:
            shutil.rmtree(spool.directory)
        except OSError:
            assert time.monotonic() < until


def remove_all(spool):
    for file in spool.files():
        file.path.unlink()


def test_file_that_is_removed_while_it_is_sent_is_written_again_if_sending_fails(
    site, sentry, spool, impatient
):
    """What the process has in memory is not lost because of a hand in the directory."""
    sentry.answer_to = lambda envelope: remove_all(spool) or Answer(503)
    made = site()
    made.crash()
    sentry.wait(arrivals=1)
    sentry.answer_to = lambda envelope: None
    sentry.wait(errors=1)
    close_clients()
    assert states(spool) == []
    assert sentry.sent_twice() == 0


def test_file_that_is_removed_while_it_is_queued_is_written_again(site, sentry, spool):
    sentry.answer = Answer(hangs=True)
    made = site(shutdown_timeout="0.2")
    made.crash(4)
    sentry.wait(arrivals=1)
    remove_all(spool)
    close_clients()
    assert states(spool) == [("error", "waiting")] * 3
    sentry.answer = Answer()


@pytest.mark.parametrize(
    "answer", [Answer(503), Answer(429, {"Retry-After": "1"})], ids=lambda answer: str(answer.status)
)
def test_file_of_the_backlog_that_is_removed_while_it_is_sent_is_written_again(
    site, sentry, spool, impatient, answer
):
    sentry.answer = Answer(503)
    site().crash()
    close_clients()
    sentry.answer_to = lambda envelope: remove_all(spool) or answer
    before = len(sentry.arrivals)
    site().ok()
    sentry.wait(arrivals=before + 1)
    sentry.answer, sentry.answer_to = Answer(), lambda envelope: None
    sentry.wait(errors=1)
    assert sentry.sent_twice() == 0


def spoil(spool):
    shutil.rmtree(spool.directory)
    spool.directory.write_text("mine")


def test_error_whose_file_is_gone_and_cannot_be_written_again_is_counted(site, sentry, spool):
    sentry.answer_to = lambda envelope: spoil(spool) or Answer(503)
    made = site()
    made.crash()
    sentry.wait(arrivals=1)
    sentry.answer_to = lambda envelope: None
    close_clients()
    assert sentry.lost()["error", "network_error"] == 1


def test_error_of_the_backlog_whose_file_is_gone_and_cannot_be_written_again_is_counted(site, sentry, spool):
    sentry.answer = Answer(503)
    site().crash()
    close_clients()
    before = len(sentry.arrivals)
    sentry.answer_to = lambda envelope: spoil(spool) or Answer(503)
    site().ok()
    sentry.wait(arrivals=before + 1)
    sentry.answer, sentry.answer_to = Answer(), lambda envelope: None
    close_clients()
    assert sentry.lost()["error", "network_error"] == 1


@pytest.fixture
def small_disk(mounted):
    """A disk of 64 kB, where we may mount one."""
    return mounted("size=64k")


def test_full_disk_costs_one_warning_and_sending_goes_on(site, sentry, spool, small_disk, caplog):
    spool.directory = small_disk / "spool"
    sentry.answer = Answer(503)
    site().crash(60)
    close_clients()
    kept = len(spool.files())
    assert 3 < kept < 60
    assert not [name for name in os.listdir(spool.directory) if name.endswith(".partial")]
    assert len(warnings_of(caplog)) == 1
    caplog.clear()
    sentry.answer = Answer()
    (small_disk / "ballast").write_bytes(b"")
    made = site()
    made.crash(2, "new")
    # What is kept is sent, which makes room.
    sentry.wait(errors=kept + 2, seconds=120)
    close_clients()
    assert states(spool) == []


def test_disk_with_little_room_costs_one_warning_and_sending_goes_on(site, sentry, spool, caplog):
    made = site(spool_min_free="1000000 GB")
    made.crash(3)
    sentry.wait(errors=3)
    (warning,) = warnings_of(caplog)
    assert "spool_min_free" in warning
    assert not [name for name in os.listdir(spool.directory) if name[0] != "."]


def test_files_are_flushed_by_the_thread(site, sentry, spool, monkeypatch):
    synced = []
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(descriptor))
    sentry.answer = Answer(hangs=True)
    site(spool_fsync="50 ms").crash()
    sentry.wait_for(lambda: len(synced) == 2)
    sentry.answer = Answer()


def test_last_files_are_flushed_when_the_client_is_closed(site, sentry, spool, synced):
    sentry.answer = Answer(503)
    made = site(spool_fsync="1 hour")
    made.crash()
    sentry.wait_for(lambda: synced)
    before = spool.files()
    synced.clear()
    made.crash(2)
    close_clients()
    last = {file.name for file in spool.files()} - {file.name for file in before}
    assert last <= {*synced} - {"spool"}
