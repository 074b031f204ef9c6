"""What the SDK captures lies in the spool before the call returns, whatever the disk does."""

import os
import shutil

import pytest

from sentry_paste import SentryMiddleware
from sentry_paste.spool import Spool, read_contents
from sentry_paste.spool.owner import current
from sentry_paste.spool.status import read_status
from sentry_paste.spool.transport import SpoolSettings, SpoolTransport

import apps
from spooled import TRACE_KIND, envelope, states, wait_for_files
from wsgi_calls import call, environ_of


@pytest.fixture
def app(tmp_path):
    return SentryMiddleware(
        apps.by_path, spool_dir=str(tmp_path / "spool"), traces_sample_rate=1.0, release="1"
    )


def test_crash_and_its_transaction_are_files(app, tmp_path):
    call(app, environ_of("/crash"))
    files = wait_for_files(Spool(tmp_path / "spool"), 2)
    assert [file.kind for file in files] == [TRACE_KIND, "error"]
    contents = [read_contents(file) for file in files]
    assert [found.title for found in contents] == ["GET /crash", "ValueError: in the call"]
    assert contents[0].trace_id == contents[1].trace_id != ""
    assert contents[1].file.id == read_contents(files[1]).payloads[0][1]["event_id"]


def test_sessions_are_files_when_they_are_flushed(app, tmp_path):
    call(app, environ_of("/answer_list"))
    call(app, environ_of("/crash"))
    app.client.flush()
    (file,) = Spool(tmp_path / "spool").files("session")
    assert read_contents(file).title == "2 request sessions"


def spoil_by_a_file(path):
    path.write_text("not a directory")


def spoil_by_removal(path):
    path.mkdir()
    shutil.rmtree(path)
    path.parent.chmod(0o500)


@pytest.mark.parametrize("spoil", [spoil_by_a_file, spoil_by_removal])
def test_spool_that_cannot_be_written_costs_one_warning_and_no_request(
    app, tmp_path, caplog, monkeypatch, spoil
):
    if spoil is spoil_by_removal and os.geteuid() == 0:
        # root may write anywhere: the refusal that another user would meet
        monkeypatch.setattr(
            "pathlib.Path.mkdir", lambda *args, **kwargs: (_ for _ in ()).throw(PermissionError("no"))
        )
        (tmp_path / "spool").exists()
    else:
        spoil(tmp_path / "spool")
    for _ in range(3):
        assert str(call(app, environ_of("/crash")).error) == "in the call"
        assert call(app, environ_of("/answer_list")).chunks == [b"hello"]
    warnings = [record for record in caplog.records if record.name == "sentry_paste"]
    assert len(warnings) == 1
    assert "nothing is stored until this is fixed" in warnings[0].getMessage()


def envelopes_of_another(spool, number, owner=None):
    """Write an envelope as a process that has ended meanwhile; return the name of the process."""
    ended = current()._replace(started=current().started + number)
    other = Spool(spool.directory)
    other.write(envelope(), owner=ended if owner else None)
    for path in spool.directory.glob(f".counts-{current()}*"):
        path.rename(path.with_name(path.name.replace(str(current()), str(ended))))
    return ended


def test_counts_of_ended_processes_are_added_without_a_dsn(tmp_path):
    spool = Spool(tmp_path / "spool")
    for number in range(1, 6):
        envelopes_of_another(spool, number)
    assert len(list(spool.directory.glob(".counts-*"))) == 5
    SpoolTransport(SpoolSettings(str(spool.directory))).capture_envelope(envelope())
    (own,) = spool.directory.glob(".counts-*")
    assert str(current()) in own.name
    assert read_status(spool.directory).total("captured") == 6
    assert list(spool.directory.glob(".alive-*")) == []


def test_what_ended_processes_had_claimed_waits_without_a_dsn(tmp_path):
    spool = Spool(tmp_path / "spool")
    envelopes_of_another(spool, 1, owner=True)
    SpoolTransport(SpoolSettings(str(spool.directory))).capture_envelope(envelope())
    assert states(spool) == [("error", "waiting")] * 2


def test_reclaiming_that_fails_costs_nothing(tmp_path, monkeypatch, caplog):
    spool = Spool(tmp_path / "spool")
    monkeypatch.setattr(Spool, "owners", lambda self: 1 / 0)
    SpoolTransport(SpoolSettings(str(spool.directory))).capture_envelope(envelope())
    assert states(spool) == [("error", "waiting")]
    assert caplog.records == []


def fail(*args):
    raise OSError("read-only")


@pytest.mark.parametrize("end", ["next", "kill"])
@pytest.mark.parametrize("is_wanted", [True, False])
def test_held_file_that_cannot_be_renamed_or_removed_is_tried_again(tmp_path, monkeypatch, end, is_wanted):
    spool = Spool(tmp_path / "spool")
    transport = SpoolTransport(SpoolSettings(str(spool.directory)))
    held = envelope()
    file = transport.hold(held)
    with monkeypatch.context() as patch:
        patch.setattr("os.rename", fail)
        patch.setattr("os.unlink", fail)
        if is_wanted:
            transport.send_held(held, file)
        else:
            transport.withdraw(file)
    assert states(spool) == [("error", "claimed")]
    if end == "kill":
        transport.kill()
    else:
        transport.capture_envelope(envelope())
    assert states(spool) == [("error", "waiting")] * (is_wanted + (end == "next"))
