"""The index: what is listed again, and what is checked in turn."""

import os

import pytest

from sentry_paste.inbox import index
from sentry_paste.inbox.index import Index

from spooled import error_event, write_event, write_item


def an_error(spool, number):
    return write_event(spool, error_event(event_id=f"{number:032x}"))


@pytest.fixture
def listings(monkeypatch):
    """Count how often a directory is listed."""
    found = []
    real = os.listdir
    monkeypatch.setattr(index.os, "listdir", lambda path: found.append(path) or real(path))
    return found


def long_ago(spool):
    """Give the directory a time of change that no file can have been added at since."""
    os.utime(spool.directory, (1, 1))


def test_directory_that_has_not_changed_is_not_listed_again(spool, listings):
    an_error(spool, 1)
    long_ago(spool)
    looked = Index(spool)
    first = looked.look()
    assert looked.look() is first
    assert len(listings) == 1
    an_error(spool, 2)
    assert len(looked.look().entries) == 2
    assert len(listings) == 2


def test_directory_that_changed_just_now_is_listed_again(spool, listings):
    an_error(spool, 1)
    looked = Index(spool)
    assert looked.look() is looked.look()
    assert len(listings) == 2


def test_file_that_changes_in_place_is_noticed_in_turn(spool, monkeypatch):
    monkeypatch.setattr(index, "_CHECKED", 2)
    files = [an_error(spool, number) for number in range(5)]
    long_ago(spool)
    looked = Index(spool)
    looked.look()
    files[0].path.write_bytes(an_error(spool, 0).path.read_bytes().replace(b"table 7", b"table 8"))
    os.utime(files[0].path, ns=(1, 1))
    long_ago(spool)
    for _ in range(4):
        snapshot = looked.look()
    assert snapshot.entries[-1].summary.value == "table 8"


def test_file_that_is_gone_is_not_shown(spool):
    file = an_error(spool, 1)
    an_error(spool, 2)
    looked = Index(spool)
    looked.look()
    spool.remove(file)
    assert [entry.file.id for entry in looked.look().entries] == [f"{2:032x}"]


def test_directory_that_goes_and_comes_is_looked_at_again(spool):
    file = an_error(spool, 1)
    looked = Index(spool)
    assert looked.look().is_there
    spool.directory.rename(spool.directory.with_name("away"))
    assert not looked.look().is_there
    spool.directory.with_name("away").rename(spool.directory)
    assert [entry.file.id for entry in looked.look().entries] == [file.id]


def test_version_is_the_same_in_each_process(spool):
    an_error(spool, 1)
    assert Index(spool).look().version == Index(spool).look().version


def test_lines_of_the_newest_files_are_kept(spool, monkeypatch):
    monkeypatch.setattr(index, "MAX_LINES", 3)
    for number in range(3):
        write_item(spool, "log", {"items": [{"body": f"{number}"}, {"body": "more"}]})
    entries = Index(spool).look().entries
    assert [len(entry.summary.lines) for entry in entries] == [2, 2, 0]
    assert [entry.summary.amount for entry in entries] == [2, 2, 2]
