"""Envelope files: names, permissions, whole or not at all."""

import hashlib
import os
import stat
import threading
import tracemalloc
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sentry_sdk.envelope import Envelope, Item

from sentry_paste.spool import Spool, SpoolError, SpoolFile
from sentry_paste.spool.names import group_of, kind_of
from sentry_paste.spool.owner import current
from sentry_paste.spool.reading import read_envelope

from spooled import as_in_1_0

EVENT_ID = "4c79f60c11214eb38604f4ae0781bfb2"


def error(event_id=EVENT_ID):
    envelope = Envelope(headers={"event_id": event_id})
    envelope.add_event({"event_id": event_id, "message": "hello"})
    return envelope


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "var" / "spool")


def test_file_is_a_standard_envelope(spool):
    file = spool.write(error())
    read = Envelope.deserialize(file.path.read_bytes())
    assert read.headers == {"event_id": EVENT_ID}
    assert read.get_event() == {"event_id": EVENT_ID, "message": "hello"}


def test_name_has_time_kind_id_and_destination(spool):
    before = datetime.now(timezone.utc)
    file = spool.write(error())
    assert SpoolFile.from_path(file.path) == file
    assert (file.kind, file.id, file.destination) == ("error", EVENT_ID, "any")
    assert before <= file.time <= datetime.now(timezone.utc)
    checksum = hashlib.sha256(file.path.read_bytes()).hexdigest()[:16]
    begin = f"{file.time:%Y%m%dT%H%M%S.%fZ}-error-{EVENT_ID}-any-{file.group}"
    assert file.path.name == f"{begin}-{checksum}.envelope"


def test_names_sort_by_time(spool):
    written = [spool.write(error()).path.name for _ in range(20)]
    assert sorted(written) == written
    assert [file.path.name for file in spool.files()] == written[::-1]


def test_directory_is_private(spool):
    file = spool.write(error())
    assert stat.S_IMODE(spool.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_directory_that_is_open_to_others_is_refused_and_not_changed(spool):
    spool.directory.mkdir(parents=True)
    spool.directory.chmod(0o755)
    with pytest.raises(SpoolError, match="is open to other users: chmod 700"):
        spool.write(error())
    assert stat.S_IMODE(spool.directory.stat().st_mode) == 0o755
    assert os.listdir(spool.directory) == []


def test_name_that_somebody_prepared_is_not_followed(spool, tmp_path, monkeypatch):
    spool.prepare()
    monkeypatch.setattr("sentry_paste.spool.names.datetime", FrozenTime)
    name = SpoolFile.new(spool.directory, error(), "any", error().serialize()).name
    assert name.startswith(FrozenTime.text)
    trap = spool.directory / f".{name}.{current()}.partial"
    trap.symlink_to(tmp_path / "target")
    with pytest.raises(FileExistsError):
        spool.write(error())
    assert not (tmp_path / "target").exists()


class FrozenTime(datetime):
    text = "20261122T070000.000000Z"

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 11, 22, 7, tzinfo=tz)


def test_symbolic_link_is_not_followed(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(SpoolError, match="is a symbolic link, which is not followed"):
        Spool(tmp_path / "link").write(error())
    assert os.listdir(tmp_path / "real") == []


def test_directory_of_another_user_is_refused(spool, monkeypatch):
    spool.prepare()
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    with pytest.raises(SpoolError, match="belongs to another user"):
        spool.write(error())


def test_write_that_fails_leaves_nothing(spool, monkeypatch):
    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("os.rename", fail)
    with pytest.raises(OSError, match="disk full"):
        spool.write(error())
    assert [name for name in os.listdir(spool.directory) if not name.startswith(".counts")] == []


def test_reader_never_sees_a_partial_file(spool):
    big = error()
    big.add_item(Item(payload=b"x" * 1_000_000, type="attachment"))
    spool.prepare()
    done = threading.Event()
    sizes = set()

    def look():
        while not done.is_set():
            sizes.update(file.path.stat().st_size for file in spool.files())

    thread = threading.Thread(target=look)
    thread.start()
    for _ in range(20):
        spool.write(big)
    done.set()
    thread.join()
    assert len(sizes) == 1


def test_envelope_without_an_event_id_gets_a_random_one(spool):
    envelope = Envelope()
    envelope.add_sessions({"aggregates": []})
    assert spool.write(envelope).id != spool.write(envelope).id


@pytest.mark.parametrize("event_id", ["../../etc/passwd", "", 7, "x" * 32])
def test_event_id_that_is_none_is_not_in_the_name(spool, event_id):
    file = spool.write(error(event_id))
    assert file.path.parent == spool.directory
    assert len(file.id) == 32


def test_file_that_was_removed_is_written_anew_under_its_name(spool):
    file = spool.write(error(), owner=current())
    file.path.unlink()
    assert spool.put_back(file, error()) == file.waiting()
    assert spool.files() == [file.waiting()]


def test_file_that_is_written_anew_has_the_checksum_of_its_contents(spool):
    """The backlog has set the time of sending meanwhile."""
    file = spool.write(error(), owner=current())
    file.path.unlink()
    sent = error()
    sent.headers["sent_at"] = "2026-11-22T07:13:00Z"
    again = spool.put_back(file, sent)
    assert again.checksum != file.checksum
    assert read_envelope(again).headers == sent.headers
    assert spool.put_back(file, error()) is None


def test_file_of_version_1_0_keeps_its_name(spool):
    file = as_in_1_0(spool.write(error()))
    claimed = spool.claim(file, current())
    assert claimed.path.name == f"{file.path.name}.claimed-{current()}"
    claimed.path.unlink()
    assert spool.put_back(claimed, error()) == file
    assert read_envelope(file).headers == {"event_id": EVENT_ID}


@pytest.mark.parametrize("state", ["waiting", "aside", "claimed"])
def test_file_that_another_process_has_taken_back_is_left_to_it(spool, state):
    file = spool.write(error(), owner=current())
    taken = {
        "waiting": SpoolFile.waiting,
        "aside": lambda file: file.aside("http 413"),
        "claimed": lambda file: file.claimed(current()._replace(pid=7)),
    }[state](file)
    file.path.rename(taken.path)
    assert spool.put_back(file, error()) is None
    assert spool.files() == [taken]


def test_foreign_files_are_left_alone(spool):
    spool.prepare()
    for name in ("notes.txt", ".x.partial", "20269999T999999.000000Z-error-" + EVENT_ID + "-any.envelope"):
        (spool.directory / name).write_text("mine")
    spool.write(error())
    assert len(spool.files()) == 1


def test_directory_that_is_not_there_has_no_files(spool):
    assert spool.files() == []
    assert spool.find(EVENT_ID) is None


def test_files_of_a_kind(spool):
    spool.write(error())
    sessions = Envelope()
    sessions.add_sessions({"aggregates": []})
    spool.write(sessions)
    assert [file.kind for file in spool.files("session")] == ["session"]
    assert [file.kind for file in spool.files("session", "error")] == ["session", "error"]


def test_find_takes_the_first_digits_and_dashes(spool):
    file = spool.write(error())
    assert spool.find("4c79") == spool.find("4C79F60C-1121-4eb3-8604-f4ae0781bfb2") == file
    assert spool.find("5") is None
    assert spool.find("") is None


@pytest.mark.parametrize(
    ("types", "kind"),
    [
        (["event", "attachment"], "error"),
        (["profile", "transaction"], "transaction"),
        (["client_report", "sessions"], "session"),
        (["check_in"], "checkin"),
        (["log"], "log"),
        (["something_new"], "other"),
        ([], "other"),
    ],
)
def test_kind_is_that_of_the_most_important_item(types, kind):
    assert kind_of(Envelope(items=[Item(payload=b"", type=type_) for type_ in types])) == kind


@given(st.text(st.characters(exclude_characters="/\0")))
def test_any_name_is_a_spool_file_or_not(tmp_path_factory, name):
    file = SpoolFile.from_path(tmp_path_factory.getbasetemp() / (name or "x"))
    assert file is None or file.path.name == name


def raised(type_, function, trace="a"):
    frames = [{"filename": "app.py", "function": "main"}, {"filename": "shop.py", "function": function}]
    envelope = Envelope(headers={"trace": {"trace_id": trace * 32}})
    envelope.add_event(
        {"exception": {"values": [{"type": type_, "value": "any", "stacktrace": {"frames": frames}}]}}
    )
    return envelope


def test_group_is_the_kind_of_error_and_its_trace():
    pay = group_of(raised("KeyError", "pay"))
    assert group_of(raised("KeyError", "pay")) == pay
    assert group_of(raised("KeyError", "pay", trace="b"))[:4] == pay[:4]
    assert group_of(raised("KeyError", "pay", trace="b"))[4:] != pay[4:]
    assert group_of(raised("ValueError", "pay"))[:4] != pay[:4]
    assert group_of(raised("KeyError", "cook"))[:4] != pay[:4]


@pytest.mark.parametrize("event", [{}, {"exception": 5}, {"exception": {"values": 7}}, {"logentry": "x"}, []])
def test_event_of_any_shape_has_a_group(event):
    envelope = Envelope(headers={"trace": 5})
    envelope.add_event(event)
    assert len(group_of(envelope)) == 8


class Disk:
    """A disk of 10 GB, as ``statvfs`` describes it."""

    f_frsize = 1000
    f_blocks = 10_000_000

    def __init__(self, free):
        self.f_bavail = free // 1000


@pytest.mark.parametrize(
    ("min_free", "free", "is_written"),
    [
        (None, 501_000_000, True),
        (None, 499_000_000, False),
        (10_000, 499_000_000, True),
        (10_000, 10_000, False),
        (0, 0, True),
    ],
)
def test_part_of_the_disk_stays_free(tmp_path, monkeypatch, min_free, free, is_written):
    spool = Spool(tmp_path / "spool", min_free=min_free)
    spool.prepare()
    monkeypatch.setattr(os, "statvfs", lambda path: Disk(free))
    if is_written:
        spool.write(error())
    else:
        with pytest.raises(SpoolError, match="have to stay free"):
            spool.write(error())
    assert len(spool.files()) == is_written


def test_five_percent_of_a_small_disk_stay_free(spool, monkeypatch):
    spool.prepare()
    disk = Disk(6_000_000)
    disk.f_blocks = 100_000  # 100 MB
    monkeypatch.setattr(os, "statvfs", lambda path: disk)
    spool.write(error())
    disk.f_bavail = 4000
    spool._free_until = 0.0
    with pytest.raises(SpoolError):
        spool.write(error())


def test_file_is_flushed_before_write_returns(tmp_path, synced):
    file = Spool(tmp_path / "spool", fsync=True).write(error())
    assert synced == [f".{file.name}.{current()}.partial", "spool"]


def test_files_are_flushed_together_some_time_later(tmp_path, synced, monkeypatch):
    spool = Spool(tmp_path / "spool", fsync=0.5)
    now = [100.0]
    monkeypatch.setattr("sentry_paste.spool.files.time.monotonic", lambda: now[0])
    spool.flush_if_due()
    sent, released, claimed = (spool.write(error(f"{n:032x}"), owner=current()) for n in range(3))
    assert synced == []
    spool.remove(sent)
    waiting = spool.release(released)
    spool.flush_if_due()
    assert sorted(synced) == sorted([waiting.path.name, claimed.path.name, "spool"])
    last = spool.write(error())
    now[0] += 0.3
    spool.flush_if_due()
    assert len(synced) == 3
    now[0] += 0.3
    spool.flush_if_due()
    assert synced[3:] == [last.path.name, "spool"]
    spool.flush_if_due()
    assert len(synced) == 5


def test_first_files_are_flushed_soon_after_the_machine_has_started(tmp_path, synced, monkeypatch):
    spool = Spool(tmp_path / "spool", fsync=3600.0)
    monkeypatch.setattr("sentry_paste.spool.files.time.monotonic", lambda: 60.0)
    file = spool.write(error())
    spool.flush_if_due()
    assert synced == [file.path.name, "spool"]


def test_file_that_another_process_had_claimed_is_flushed_when_it_waits_again(tmp_path, synced, monkeypatch):
    spool, sender = (Spool(tmp_path / "spool", fsync=0.5) for _ in range(2))
    elsewhere = current()._replace(pid=1)
    claimed = sender.claim(spool.write(error()), elsewhere)
    spool.flush_if_due()
    sender.flush()
    assert synced == []
    waiting = sender.release(claimed)
    sender.flush()
    assert synced == [waiting.path.name, "spool"]


def test_file_is_flushed_under_any_name_that_its_process_gives_it(tmp_path, synced):
    spool = Spool(tmp_path / "spool", fsync=0.5)
    claimed = spool.claim(spool.write(error()), current())
    aside = spool.set_aside(spool.write(error(f"{1:032x}")), "http 413")
    spool.flush()
    assert sorted(synced) == sorted([claimed.path.name, aside.path.name, "spool"])


def names_of(files):
    return [file.path.name for file in files]


def test_next_to_send_are_fresh_files_newest_first_and_then_the_oldest(spool):
    files = [spool.write(error(f"{number:032x}")) for number in range(12)]
    for number, file in enumerate(files[:6]):
        file.path.rename(file.path.with_name(f"20200101T00000{number}.000000Z{file.path.name[23:]}"))
    old = sorted(name for name in os.listdir(spool.directory) if name.startswith("2020"))
    new = names_of(files[6:])[::-1]
    found = names_of(spool.next_waiting(("any",), 300.0, 100, lambda kind: True))
    assert found == [*new, *old]
    for limit in (1, 3, 8):
        assert names_of(spool.next_waiting(("any",), 300.0, limit, lambda kind: True)) == found[:limit]


def test_next_to_send_are_of_the_destinations_and_due(spool):
    mine = spool.write(error())
    spool.write(error(), "elsewhere")
    spool.write(error(), "any", current())
    spool.set_aside(spool.write(error()), "http 413")
    (spool.directory / "notes-any.envelope").touch()
    (spool.directory / f"20261122T071300.123456Z-error-any-{EVENT_ID}.envelope").touch()
    assert spool.next_waiting(("any",), 300.0, 9, lambda kind: True) == [mine]
    assert spool.next_waiting(("any",), 300.0, 9, lambda kind: kind != "error") == []


def test_list_of_what_is_next_needs_little_memory(spool):
    first = spool.write(error())
    for number in range(20_000):
        name = first.path.name.replace(EVENT_ID, f"{number:032x}")
        (spool.directory / name).touch()
    tracemalloc.start()
    try:
        assert len(spool.next_waiting(("any",), 300.0, 100, lambda kind: True)) == 100
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
