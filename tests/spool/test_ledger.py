"""captured = delivered + waiting + set aside + dropped, whoever did it and whatever ended it."""

import os
import signal
import subprocess
import sys

import pytest

from sentry_paste.cli.main import main
from sentry_paste.client.registry import registry
from sentry_paste.spool import Spool
from sentry_paste.spool import ledger as ledger_module
from sentry_paste.spool import totals as totals_module
from sentry_paste.spool.owner import current
from sentry_paste.spool.presence import Presence
from sentry_paste.spool.status import read_status
from sentry_paste.spool.totals import add_dead, read_totals

import servers
from faulty import Answer
from spooled import as_in_1_0, close_clients, envelope, states, warnings_of


def counts(spool):
    status = read_status(spool.directory)
    assert status.unaccounted == {}
    return {kind: +found for kind, found in status.counts.items() if +found}


def test_what_is_written_and_removed_is_counted_by_kind(spool):
    error = spool.write(envelope(), owner=current())
    spool.write(envelope("transaction"))
    assert counts(spool) == {
        "error": {"captured": 1, "waiting": 1},
        "transaction": {"captured": 1, "waiting": 1},
    }
    spool.remove(error)
    (transaction,) = spool.files()
    spool.drop(transaction, "too many")
    assert counts(spool) == {
        "error": {"captured": 1, "delivered": 1},
        "transaction": {"captured": 1, "dropped": 1},
    }
    assert read_status(spool.directory).dropped == {"too many": 1}


def test_what_was_set_aside_is_counted_by_reason(spool):
    spool.set_aside(spool.write(envelope()), "http 413")
    assert counts(spool) == {"error": {"captured": 1, "aside": 1}}
    assert read_status(spool.directory).aside == {"http_413": 1}


def test_file_that_is_gone_is_counted_once(spool):
    file = spool.write(envelope())
    other = Spool(spool.directory)
    assert [spool.remove(file), other.remove(file), other.drop(file, "purged")] == [True, False, False]
    assert counts(spool) == {"error": {"captured": 1, "delivered": 1}}


def test_file_of_version_1_0_is_counted_when_it_goes(spool):
    file = as_in_1_0(spool.write(envelope()))
    old = as_in_1_0(Spool(spool.directory).write(envelope()))
    for path in spool.directory.glob(".counts*"):
        path.unlink()
    other = Spool(spool.directory)
    other.ledger.ensure()
    assert counts(spool) == {"error": {"captured": 2, "waiting": 2}}
    other.remove(file)
    assert counts(spool) == {"error": {"captured": 2, "waiting": 1, "delivered": 1}}
    assert old.path.exists()


def test_file_that_somebody_removes_is_unaccounted(spool):
    spool.write(envelope()).path.unlink()
    assert read_status(spool.directory).unaccounted == {"error": 1}


def test_write_that_fails_counts_nothing(spool, monkeypatch):
    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr("os.rename", fail)
    with pytest.raises(OSError, match="disk full"):
        spool.write(envelope())
    assert counts(spool) == {}


def test_directory_that_is_made_again_is_counted_anew(spool):
    spool.write(envelope())
    for name in os.listdir(spool.directory):
        (spool.directory / name).unlink()
    spool.directory.rmdir()
    spool.write(envelope())
    assert counts(spool) == {"error": {"captured": 1, "waiting": 1}}


def test_clients_of_one_process_count_for_themselves(spool):
    others = [Spool(spool.directory) for _ in range(3)]
    for other in others:
        other.write(envelope())
    assert counts(spool) == {"error": {"captured": 3, "waiting": 3}}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a fork is of Unix")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_child_counts_for_itself(spool):
    spool.write(envelope())
    child = os.fork()
    if child == 0:  # pragma: no cover
        spool.write(envelope())
        os._exit(0)
    os.waitpid(child, 0)
    spool.write(envelope())
    assert counts(spool) == {"error": {"captured": 3, "waiting": 3}}
    assert len(list(spool.directory.glob(".counts-*"))) == 2


def dead(spool, number=1):
    """Make the counts of this process look like those of one that has ended."""
    name = str(current()._replace(started=current().started + number))
    for path in spool.directory.glob(f".counts-{current()}*"):
        path.rename(path.with_name(path.name.replace(str(current()), name)))
    return {name: False}


def test_counts_of_dead_processes_are_added_to_the_total(spool):
    spool.write(envelope())
    spool.ledger.say(succeeded=5.0, sends=True)
    gone = dead(spool)
    for _ in range(2):
        add_dead(spool.directory, gone)
    assert [path.name for path in spool.directory.glob(".counts-*")] == []
    assert counts(spool) == {"error": {"captured": 1, "waiting": 1}}
    status = read_status(spool.directory)
    assert (status.succeeded, status.senders) == (5.0, {})


def test_kill_after_the_total_was_written_adds_nothing_twice(spool, monkeypatch):
    spool.write(envelope())
    gone = dead(spool)
    other = Spool(spool.directory)
    other.write(envelope())

    def end(self, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", end)
        with pytest.raises(KeyboardInterrupt):
            add_dead(spool.directory, gone)
    assert counts(spool) == {"error": {"captured": 2, "waiting": 2}}
    add_dead(spool.directory, {**gone, **dead(spool, 2)})
    assert counts(spool) == {"error": {"captured": 2, "waiting": 2}}
    assert list(spool.directory.glob(".counts-*")) == []


DYING = """
import os, signal, sys
from sentry_paste.cli.main import main
from sentry_paste.client.registry import registry
from sentry_paste.spool import Spool
from sentry_paste.spool.owner import current
from spooled import envelope

spool, place = Spool(sys.argv[1]), sys.argv[2]
rename = os.rename

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

if place.endswith("rename"):
    os.rename = die if place == "before rename" else lambda *paths: die(rename(*paths))
    spool.write(envelope(), owner=current())
file = spool.write(envelope(), owner=current() if "remove" in place else None)
unlink = os.unlink
os.unlink = die if place.startswith("before") else lambda path: die(unlink(path))
if "remove" in place:
    spool.remove(file)
else:
    spool.drop(file, "too many")
"""


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("before rename", {"captured": 1, "aside": 1}),
        ("after rename", {"captured": 1, "delivered": 1}),
        # Sentry has accepted it: it is not sent again, unlike what was only claimed.
        ("before remove", {"captured": 1, "delivered": 1}),
        ("after remove", {"captured": 1, "delivered": 1}),
        ("before drop", {"captured": 1, "delivered": 1}),
        ("after drop", {"captured": 1, "dropped": 1}),
    ],
)
def test_kill_in_the_middle_is_counted_to_the_unit(site, spool, sentry, place, expected):
    spool.prepare()
    process = subprocess.run(
        [sys.executable, "-c", DYING, str(spool.directory), place], env=servers.environment(), check=False
    )
    assert process.returncode == -signal.SIGKILL
    made = site()
    made.ok()
    total = spool.directory / ".counts"
    sentry.wait_for(total.exists)
    sentry.wait_for(lambda: not [file for file in spool.files() if file.state != "aside"])
    assert len(sentry.delivered()) == (place in ("after rename", "before drop"))
    status = read_status(spool.directory)
    assert status.unaccounted == {}
    assert +status.counts["error"] == expected


def test_all_that_is_captured_is_accounted_for_through_an_outage(site, sentry, spool, impatient):
    made = site(traces_sample_rate="1.0")
    made.crash(5)
    sentry.answer = Answer(503)
    made.crash(10)
    sentry.answer = Answer(413)
    made.crash(3)
    sentry.answer = Answer()
    made.crash(3)
    sentry.wait_for(lambda: not spool.files(state="waiting") and not spool.files(state="claimed"))
    close_clients()
    status = read_status(spool.directory)
    assert status.unaccounted == {}
    assert status.counts["error"]["captured"] == 21
    assert status.counts["error"]["delivered"] == len(sentry.delivered())
    assert status.total("captured") == sum(map(status.total, ("delivered", "aside", "dropped")))
    assert status.aside.keys() <= {"http_413"}
    assert status.succeeded >= status.failed - 60


def test_what_the_server_says_is_in_the_status(site, sentry, spool):
    sentry.answer = Answer(429, {"X-Sentry-Rate-Limits": "60:error:organization"})
    made = site()
    made.crash()
    sentry.wait(arrivals=1)
    sentry.wait_for(lambda: read_status(spool.directory).limits)
    status = read_status(spool.directory)
    assert status.reason == "http 429"
    assert list(status.limits) == ["error"]
    assert status.succeeded is None
    assert status.oldest is not None


@pytest.mark.parametrize("text", [b"", b"{}", b"[]", b'{"counts": 5, "state": 7}', b"\xff" * 9000])
def test_counts_of_any_form_are_none_or_counts(spool, text):
    spool.write(envelope())
    (spool.directory / ".counts").write_bytes(text)
    (spool.directory / ".counts-x").write_bytes(text)
    assert read_totals(spool.directory).counts["error", "captured"] == 1


def claimed_by_dead(spool, number=1):
    """Write a file that a process claims and dies, whose counts are not added yet; return the file."""
    owner = current()._replace(started=current().started + number)
    file = spool.write(envelope(), owner=owner)
    dead(spool, number)
    return file


def fail(*args, **kwargs):
    raise OSError("no space left on device")


def no_lock(*args):
    raise PermissionError("the lock is another user's")


@pytest.mark.parametrize("what", ["_write_total", "_only_one", "_read_total", "_counts_of"])
def test_counts_that_cannot_be_added_keep_no_file_back(spool, monkeypatch, caplog, what):
    claimed_by_dead(spool)
    presence = Presence(Spool(spool.directory))
    with monkeypatch.context() as patch:
        patch.setattr(totals_module, what, no_lock if what == "_only_one" else fail)
        presence.reclaim()
        presence.reclaim()
    assert states(spool) == [("error", "waiting")]
    assert [text for text in warnings_of(caplog) if "counts" in text] == warnings_of(caplog)
    assert len(warnings_of(caplog)) == 1
    presence.reclaim()
    assert counts(spool) == {"error": {"captured": 1, "waiting": 1}}
    assert list(spool.directory.glob(".counts-*")) == []


@pytest.mark.parametrize("what", ["_write_total", "_only_one", "_read_total"])
def test_delivered_file_is_not_sent_again_where_its_counts_cannot_be_added(spool, monkeypatch, what):
    owner = current()._replace(started=current().started + 1)
    file = spool.write(envelope(), owner=owner)
    spool.ledger._intend(b"d", file, "delivered")
    dead(spool)
    with monkeypatch.context() as patch:
        patch.setattr(totals_module, what, no_lock if what == "_only_one" else fail)
        Presence(Spool(spool.directory)).reclaim()
        assert states(spool) == []
    Presence(Spool(spool.directory)).reclaim()
    assert counts(spool) == {"error": {"captured": 1, "delivered": 1}}


@pytest.mark.parametrize(
    "text",
    [
        b'{"counts": {"error": 5}}',
        b'{"counts": {"error": {"captured": "x"}, "evil": {"captured": 1}}}',
        b'{"state": [1]}',
        b"[" * 100_000,
        b'{"counts": {"error": {"captured": ' + b"1" * 5000 + b"}}}",
    ],
)
def test_total_of_any_form_is_added_to(spool, text):
    spool.write(envelope())
    (spool.directory / ".counts").write_bytes(text)
    add_dead(spool.directory, dead(spool))
    assert list(spool.directory.glob(".counts-*")) == []
    assert counts(spool) == {"error": {"captured": 1, "waiting": 1}}


def test_file_of_counts_that_was_never_written_is_removed(spool):
    spool.write(envelope())
    gone = dead(spool)
    path = spool.directory / f".counts-{next(iter(gone))}.7"
    path.touch()
    add_dead(spool.directory, gone)
    assert not path.exists()


def test_counts_of_another_user_are_left_out(spool, monkeypatch):
    spool.write(envelope())
    other = Spool(spool.directory)
    other.write(envelope())
    read, refused = os.open, spool.ledger._path

    def refuse(path, *args, **kwargs):
        if str(path) == str(refused):
            raise PermissionError("another user's")
        return read(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", refuse)
    assert read_totals(spool.directory).counts["error", "captured"] == 1
    gone = dead(other)
    refused = refused.with_name(refused.name.replace(str(current()), next(iter(gone))))
    add_dead(spool.directory, gone)
    assert list(spool.directory.glob(".counts-*")) == [refused]
    assert read_totals(spool.directory).counts["error", "captured"] == 1


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 1)() != 0, reason="only root writes for another user")
def test_what_root_counts_belongs_to_the_owner_of_the_directory(spool):
    spool.write(envelope())
    os.chown(spool.directory, 65534, 65534)
    assert main(["spool", "purge", str(spool.directory), "--yes"]) == 0
    (own,) = spool.directory.glob(f".counts-{current()}.0")
    (roots,) = {*spool.directory.glob(".counts*")} - {own}
    assert (roots.stat().st_uid, roots.stat().st_gid) == (65534, 65534)
    assert counts(spool) == {"error": {"captured": 1, "dropped": 1}}


@pytest.mark.skipif(not hasattr(os, "fchown"), reason="owners are of Unix")
def test_counts_that_nobody_else_could_add_are_kept_in_memory(spool, monkeypatch):
    spool.prepare()
    monkeypatch.setattr(os, "geteuid", lambda: os.stat(spool.directory).st_uid + 1)
    monkeypatch.setattr(os, "fchown", no_lock)
    spool.ledger.ensure()
    assert not spool.ledger.has_file
    assert list(spool.directory.glob(".counts*")) == []


def test_descriptor_that_the_app_has_closed_and_opened_again_is_not_written_to(spool, tmp_path):
    spool.write(envelope())
    os.close(spool.ledger._descriptor)
    with open(tmp_path / "app.dat", "w+b", buffering=0) as opened:
        assert opened.fileno() == spool.ledger._descriptor
        opened.write(b"precious")
        spool.write(envelope())
        spool.ledger.say(succeeded=1.0)
        spool.ledger.close()
        opened.seek(0)
        assert opened.read() == b"precious"
    assert counts(spool) == {"error": {"captured": 2, "waiting": 2}}
    assert len(list(spool.directory.glob(".counts-*"))) == 1


def test_descriptor_that_the_app_has_closed_is_opened_again(spool):
    spool.write(envelope())
    os.close(spool.ledger._descriptor)
    spool.write(envelope())
    assert counts(spool) == {"error": {"captured": 2, "waiting": 2}}


def test_counts_go_on_where_others_have_added_them(spool):
    """As another host does, if this process was silent."""
    file = spool.write(envelope(), owner=current())
    add_dead(spool.directory, {str(current()): False})
    spool.remove(file)
    spool.write(envelope())
    assert counts(spool) == {"error": {"captured": 2, "delivered": 1, "waiting": 1}}


def test_long_reason_leaves_the_rest_of_what_is_said(spool):
    spool.ledger.ensure()
    spool.prepare()
    spool.ledger.ensure()
    spool.ledger.say(succeeded=5.0)
    spool.ledger.say(failed=6.0, reason="a redirect to " + "é" * 4200)
    status = read_status(spool.directory)
    assert (status.succeeded, status.failed, len(status.reason)) == (5.0, 6.0, 200)


def test_one_client_of_a_process_adds_at_a_time(spool):
    spool.write(envelope())
    gone = dead(spool)
    with totals_module._only_one(spool.directory) as is_mine:
        assert is_mine
        add_dead(spool.directory, gone)
    assert len(list(spool.directory.glob(".counts-*"))) == 1
    add_dead(spool.directory, gone)
    assert list(spool.directory.glob(".counts-*")) == []


def test_incomplete_file_of_version_1_0_is_counted_when_it_goes(spool):
    file = as_in_1_0(spool.write(envelope()))
    for path in spool.directory.glob(".counts*"):
        path.unlink()
    ended = current()._replace(started=1)
    file.path.rename(spool.directory / f".{file.path.name}.{ended}.partial")
    other = Spool(spool.directory)
    other.ledger.ensure()
    Presence(other).reclaim()
    assert counts(spool) == {"error": {"captured": 1, "aside": 1}}


@pytest.mark.parametrize("is_backing_off", [False, True])
def test_envelope_whose_file_is_lost_is_captured_once(site, sentry, spool, monkeypatch, is_backing_off):
    sentry.answer = Answer(503)
    spool.prepare()
    site().ok()
    (client,) = registry.clients()
    rename = os.rename

    def remove_and_fail(source, target):
        if ".claimed-" in str(source):
            os.unlink(source)
            raise OSError("no space left on device")
        return rename(source, target)

    with monkeypatch.context() as patch:
        patch.setattr("os.rename", remove_and_fail)
        if is_backing_off:
            patch.setattr(client.transport._live, "remaining", lambda: 1.0)
        client.transport.capture_envelope(envelope("transaction"))
        sentry.wait_for(lambda: read_status(spool.directory).failed)
        close_clients()
    assert read_status(spool.directory).total("captured") == 1


def test_client_that_finds_no_place_for_its_counts_does_not_look_again(spool, monkeypatch):
    monkeypatch.setattr(ledger_module, "_MOST_FILES", 2)
    others = [Spool(spool.directory) for _ in range(2)]
    for other in others:
        other.write(envelope())
    spool.write(envelope())
    monkeypatch.setattr(ledger_module, "_create", lambda path: pytest.fail("looked again"))
    spool.write(envelope())
    assert len(spool.files()) == 4
