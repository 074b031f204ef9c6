"""The commands that look into a spool, send it, requeue and purge it."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sentry_sdk.envelope import Envelope

import sentry_paste
from sentry_paste.cli.main import main
from sentry_paste.cli.spool.inventory import take_inventory
from sentry_paste.cli.spool.sending import MAX_WAIT, EnvelopeSender, Progress, SpoolSender
from sentry_paste.cli.spool.text import age_text, state_text
from sentry_paste.cli.terminal import ProgressMeter, bar, progress_text
from sentry_paste.spool import Spool
from sentry_paste.spool.backlog import Result
from sentry_paste.spool.names import destination_of
from sentry_paste.spool.owner import Owner, current
from sentry_paste.spool.writer import record_destination

from spooled import error_event, feedback_event, frame, write_event, write_feedback
from steps import steps_of

# A process id that no process has: Linux gives none above 4,194,304.
DEAD = Owner(current().host, current().boot, 4_194_999, 5)
ELSEWHERE = Owner("0" * 8, "0" * 6, 77, 5)


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


def put(spool, destination="any", owner=None, message="hello"):
    identity = uuid.uuid4().hex
    envelope = Envelope(headers={"event_id": identity, "sent_at": "2001-01-01T00:00:00.000000Z"})
    envelope.add_event({"event_id": identity, "message": message, "level": "error"})
    return spool.write(envelope, destination, owner)


def put_of_kind(spool, type_):
    data = b'{}\n{"type":"%s"}\n{}\n' % type_.encode()
    return spool.write(Envelope.deserialize(data))


def command(spool, *arguments):
    name, *rest = arguments
    return main(["spool", name, str(spool.directory), *rest])


def started(spool, *arguments, **options):
    """Start a command in a process of its own."""
    name, *rest = arguments
    environment = {**os.environ, "PYTHONPATH": str(Path(sentry_paste.__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-m", "sentry_paste", "spool", name, str(spool.directory), *rest],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        **options,
    )


def names(spool):
    """The names in a spool, except those of counts."""
    return sorted(name for name in os.listdir(spool.directory) if not name.startswith(".counts"))


def arrived(receiver):
    return Counter(error["event_id"] for error in receiver.errors)


@pytest.fixture
def impatient(monkeypatch):
    """Pauses after failures are short."""
    monkeypatch.setattr("sentry_paste.spool.backoff.FIRST", 0.001)


# list and show


def test_list_shows_state_owner_reason_and_destination(spool, capsys):
    put(spool)
    put(spool, "0123456789ab", owner=current())
    put(spool, owner=DEAD)
    put(spool, owner=ELSEWHERE)
    spool.set_aside(put(spool), "http 413")
    assert command(spool, "list") == 0
    lines = capsys.readouterr().out.splitlines()
    for line, expected in zip(
        lines[1:],
        [
            "set aside: http_413",
            "claimed by 77 (on another host)",
            "claimed by 4194999 (ended)",
            f"claimed by {os.getpid()} (running)",
            "waiting",
        ],
    ):
        assert f"  {expected}  " in line
    assert "  0123456789ab  " in lines[4]


def test_list_ends_with_number_and_size_by_state(spool, capsys):
    put(spool)
    size = put(spool).path.stat().st_size
    spool.set_aside(put(spool), "http 413")
    (spool.directory / "notes.txt").touch()
    (spool.directory / f".x.envelope.{DEAD}.partial").touch()
    assert command(spool, "list") == 0
    assert capsys.readouterr().out.splitlines()[-1] == (
        f"3 files: 2 waiting ({2 * size} B), 1 set aside ({size} B), 1 half-written, "
        "1 not from a spool, left alone"
    )


def test_destination_is_shown_by_name_where_the_spool_has_it(spool, capsys):
    destination = destination_of("sentry.example/", "7")
    file = put(spool, destination)
    put(spool, "0123456789ab")
    record_destination(spool.directory, "sentry.example/7")
    assert command(spool, "list") == 0
    _, unknown, known, *foot = capsys.readouterr().out.splitlines()
    assert "  sentry.example/7  " in known
    assert "  0123456789ab  " in unknown
    assert foot[0] == "0123456789ab: hash of host and project of a DSN that this spool has no name for"
    assert foot[1].startswith("2 files: ")
    assert command(spool, "show", file.id) == 0
    assert f"Destination: sentry.example/7 ({destination})\n" in capsys.readouterr().out


def test_named_pipe_does_not_block_recording_a_destination(tmp_path):
    os.mkfifo(tmp_path / f".destination-{destination_of('sentry.example/', '7')}")
    recording = threading.Thread(target=record_destination, args=(tmp_path, "sentry.example/7"), daemon=True)
    recording.start()
    recording.join(30)
    assert not recording.is_alive()


def test_name_that_does_not_match_the_hash_is_not_shown(spool, capsys, tmp_path):
    """Whatever the file is: the hash of its text has to match."""
    directory, elsewhere = spool.directory, tmp_path / "elsewhere"
    elsewhere.write_text("sentry.example/7")
    wanted = destination_of("sentry.example/", "7")
    put(spool, "0123456789ab")
    put(spool, wanted)
    (directory / ".destination-0123456789ab").write_text("sentry.example/7")
    (directory / f".destination-{wanted}").symlink_to(elsewhere)
    (directory / ".destination-x").mkdir()
    os.mkfifo(directory / ".destination-y")
    assert command(spool, "list") == 0
    assert "sentry.example" not in capsys.readouterr().out


@pytest.mark.parametrize("state", ["waiting", "claimed", "aside"])
def test_list_of_a_state(spool, capsys, state):
    ids = {"waiting": put(spool).id, "claimed": put(spool, owner=current()).id}
    ids["aside"] = spool.set_aside(put(spool), "http 413").id
    assert command(spool, "list", "--state", state) == 0
    _, line, summary = capsys.readouterr().out.splitlines()
    assert line.endswith(ids[state])
    assert summary.startswith("1 file: ")


def test_list_counts_foreign_files(spool, capsys):
    spool.prepare()
    (spool.directory / "\x1b[2J.envelope").touch()
    assert command(spool, "list") == 1
    assert capsys.readouterr().out == (
        f"{spool.directory} holds no envelopes (0 files: 1 not from a spool, left alone)\n"
    )


def test_steps_to_list_files_grow_with_their_number(spool, capsys):
    data = put(spool).path.read_bytes()

    def steps(count):
        for number in range(len(names(spool)), count):
            name = f"20261122T071300.{number:06d}Z-error-{uuid.uuid4().hex}-any.envelope"
            (spool.directory / name).write_bytes(data)
        found = steps_of(lambda: command(spool, "list"))
        assert capsys.readouterr().out.count("\n") == count + 2
        return found

    few = steps(100)
    assert steps(1000) < 12 * few


def test_list_and_show_change_nothing(spool):
    put(spool)
    put(spool, owner=DEAD)
    before = names(spool)
    command(spool, "list")
    command(spool, "show", spool.files()[0].id)
    assert names(spool) == before


def test_show_has_the_state_and_the_destination(spool, capsys):
    file = spool.set_aside(put(spool), "http 413")
    assert command(spool, "show", file.id) == 0
    out = capsys.readouterr().out
    assert "State:       set aside: http_413\n" in out
    assert "Destination: any\n" in out


def test_claim_of_an_unknown_process_is_shown(spool):
    assert state_text(replace(put(spool), state="claimed", detail="me")) == "claimed by an unknown process"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-5, "0 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"), (172800, "2 d")],
)
def test_ages(seconds, text):
    assert age_text(seconds) == text


# send


def test_waiting_files_are_sent_oldest_first_and_removed(spool, receiver, capsys):
    files = [put(spool) for _ in range(5)]
    assert command(spool, "send", "--dsn", receiver.dsn) == 0
    assert [error["event_id"] for error in receiver.errors] == [file.id for file in files]
    assert names(spool) == []
    out = capsys.readouterr().out
    assert "Sending 5 files (5 error; " in out
    assert "Sent 5 files (" in out


def test_time_of_sending_is_renewed(spool, receiver):
    file = put(spool)
    assert command(spool, "send", "--dsn", receiver.dsn) == 0
    (envelope,) = receiver.envelopes
    assert envelope.headers["event_id"] == file.id
    assert envelope.headers["sent_at"] > "2026"


def test_dsn_of_the_environment_is_used(spool, receiver, monkeypatch):
    put(spool)
    monkeypatch.setenv("SENTRY_DSN", receiver.dsn)
    assert command(spool, "send") == 0
    assert len(receiver.errors) == 1


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "no DSN: give one with --dsn"),
        (["--dsn", "nonsense"], "the DSN cannot be used: Unsupported scheme"),
    ],
)
def test_send_without_a_dsn_is_an_error(spool, capsys, arguments, expected):
    put(spool)
    assert command(spool, "send", *arguments) == 2
    assert expected in capsys.readouterr().err


def test_send_of_an_empty_spool_succeeds(spool, receiver, capsys):
    spool.prepare()
    assert command(spool, "send", "--dsn", receiver.dsn) == 0
    assert capsys.readouterr().out.startswith("Nothing is waiting for 127.0.0.1:")


def test_file_for_another_dsn_is_sent_only_if_asked(spool, receiver, capsys):
    put(spool, "0123456789ab")
    put(spool)
    put(spool, EnvelopeSender(receiver.dsn, str(spool.directory)).destination)
    assert command(spool, "send", "--dsn", receiver.dsn) == 0
    expected = "Not sent: 1 file for another destination (0123456789ab); --all-destinations sends it here"
    assert expected in capsys.readouterr().out
    assert len(receiver.errors) == 2
    assert command(spool, "send", "--dsn", receiver.dsn, "--all-destinations") == 0
    assert len(receiver.errors) == 3


def test_other_dsns_are_shown_by_name(spool, receiver, capsys):
    for project in "778":
        put(spool, destination_of("sentry.example", project))
        record_destination(spool.directory, f"sentry.example/{project}")
    assert command(spool, "send", "--dsn", receiver.dsn) == 0
    expected = "Not sent: 3 files for other destinations (sentry.example/7, sentry.example/8); "
    assert expected in capsys.readouterr().out


def test_exit_status_of_dry_run_is_whether_there_is_something_to_send(spool, receiver, capsys):
    put(spool, "0123456789ab")
    assert command(spool, "send", "--dsn", receiver.dsn, "--dry-run") == 1
    assert command(spool, "send", "--dsn", receiver.dsn, "--dry-run", "--all-destinations") == 0
    out = capsys.readouterr().out
    assert out.startswith("Nothing is waiting for 127.0.0.1:")
    assert "Would send 1 file (" in out


def test_dry_run_changes_nothing(spool, receiver, capsys):
    put(spool)
    put(spool, owner=DEAD)
    put(spool, owner=current())
    before = names(spool), spool.directory.stat().st_mtime_ns
    assert command(spool, "send", "--dsn", receiver.dsn, "--dry-run") == 0
    assert (names(spool), spool.directory.stat().st_mtime_ns) == before
    assert len(receiver.envelopes) == 0
    out = capsys.readouterr().out
    assert "Would send 2 files (2 error; " in out
    assert "Not sent: 1 file claimed by another process" in out


def test_claims_of_dead_processes_are_sent_and_of_living_ones_are_not(spool, receiver):
    put(spool, owner=DEAD)
    mine = put(spool, owner=current())
    assert command(spool, "send", "--dsn", receiver.dsn) == 0
    assert len(receiver.errors) == 1
    assert spool.files() == [mine]


def test_failing_server_leaves_all_files(spool, receiver, capsys, impatient):
    files = [put(spool) for _ in range(8)]
    receiver.status = 503
    assert command(spool, "send", "--dsn", receiver.dsn) == 1
    assert spool.files(state="waiting")[::-1] == files
    assert names(spool) == sorted(file.path.name for file in files)
    out = capsys.readouterr().out
    assert "Left 8 files unchanged: 5 failures in a row; " in out
    assert "HTTP 503 Service Unavailable" in out


def test_unreachable_host_leaves_all_files(spool, capsys, impatient):
    put(spool)
    assert command(spool, "send", "--dsn", "http://key@127.0.0.1:9/1") == 1
    assert len(spool.files(state="waiting")) == 1
    out, err = capsys.readouterr()
    assert "127.0.0.1:9 refuses the connection" in out
    assert err == ""


def test_final_answer_sets_aside_with_the_reason(spool, receiver, capsys):
    put(spool)
    receiver.status = 413
    assert command(spool, "send", "--dsn", receiver.dsn) == 1
    (file,) = spool.files()
    assert (file.state, file.detail) == ("aside", "http_413")
    out = capsys.readouterr().out
    assert "Set aside 1 file: 1 http_413\n" in out
    assert "the server refuses it as too large" in out


def test_file_that_is_not_an_envelope_is_set_aside_and_not_sent(spool, receiver, capsys):
    broken = put(spool)
    broken.path.write_bytes(b'{}\n{"type":"event","length":100}\n{"mess')
    put(spool)
    assert command(spool, "send", "--dsn", receiver.dsn) == 1
    assert [file.detail for file in spool.files()] == ["damaged"]
    assert len(receiver.errors) == 1


def test_symbolic_link_is_not_followed_and_does_not_block_the_rest(spool, receiver, tmp_path, capsys):
    trap = put(spool)
    trap.path.rename(tmp_path / "elsewhere")
    trap.path.symlink_to(tmp_path / "elsewhere")
    put(spool)
    assert command(spool, "send", "--dsn", receiver.dsn) == 1
    assert spool.files() == [trap]
    assert len(receiver.errors) == 1
    assert "Cannot read 1 file: " in capsys.readouterr().out


def test_directory_that_is_open_to_others_is_refused(spool, receiver, capsys):
    put(spool)
    spool.directory.chmod(0o755)
    for arguments in ([], ["--dry-run"]):
        assert command(spool, "send", "--dsn", receiver.dsn, *arguments) == 2
        assert "is open to other users: chmod 700" in capsys.readouterr().err
    assert len(receiver.envelopes) == 0
    assert len(spool.files(state="waiting")) == 1


def test_file_that_was_set_aside_is_sent_only_if_asked(spool, receiver, capsys, impatient):
    aside = spool.set_aside(put(spool), "http 413")
    assert command(spool, "send", "--dsn", receiver.dsn) == 0
    assert "Not sent: 1 file set aside; --aside tries it again" in capsys.readouterr().out
    receiver.status = 503
    assert command(spool, "send", "--dsn", receiver.dsn, "--aside") == 1
    assert spool.files() == [aside]
    receiver.status = 200
    assert command(spool, "send", "--dsn", receiver.dsn, "--aside") == 0
    assert arrived(receiver)[aside.id] == 5 + 1  # with those that were answered with 503


LIVE = """
import sys, time
sys.path[:0] = [{tests!r}]
from sentry_paste import SentryMiddleware
import apps
from wsgi_calls import call, environ_of
options = dict(dsn={dsn!r}, spool_dir={spool!r}, auto_session_tracking=False)
app = SentryMiddleware(apps.by_path, **options)
for _ in range(40):
    call(app, environ_of("/crash"))
    time.sleep(0.02)
time.sleep(1)
app.client.close()
"""


def test_send_next_to_a_live_process_sends_nothing_twice(spool, receiver):
    waiting = {put(spool).id for _ in range(150)}
    text = LIVE.format(tests=str(Path(__file__).parents[1]), dsn=receiver.dsn, spool=str(spool.directory))
    environment = {**os.environ, "PYTHONPATH": str(Path(sentry_paste.__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", text], env=environment) as live:
        while live.poll() is None:
            assert command(spool, "send", "--dsn", receiver.dsn) == 0
    assert command(spool, "send", "--dsn", receiver.dsn) == 0
    found = arrived(receiver)
    assert len(found) == 150 + 40
    assert waiting <= set(found)
    assert set(found.values()) == {1}
    assert spool.files() == []


def test_two_sends_at_once_send_nothing_twice(spool, receiver):
    files = [put(spool) for _ in range(60)]
    with (
        started(spool, "send", "--dsn", receiver.dsn) as one,
        started(spool, "send", "--dsn", receiver.dsn) as two,
    ):
        one.communicate(timeout=180)
        two.communicate(timeout=180)
    assert arrived(receiver) == {file.id: 1 for file in files}


@pytest.mark.parametrize(("interruption", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 1)])
def test_interrupted_send_leaves_no_claims_and_can_be_resumed(spool, receiver, interruption, status):
    files = [put(spool) for _ in range(60)]
    with started(spool, "send", "--dsn", receiver.dsn, "--rate", "20") as sending:
        receiver.wait(errors=5)
        sending.send_signal(interruption)
        out, err = sending.communicate(timeout=180)
    assert sending.returncode == status
    assert "unchanged: interrupted" in out
    assert "Interrupted: the current file is finished first" in err
    assert "Traceback" not in err
    left = spool.files()
    assert {file.state for file in left} == {"waiting"}
    assert len(left) == 60 - len(receiver.errors)
    assert names(spool) == sorted(file.path.name for file in left)
    assert command(spool, "send", "--dsn", receiver.dsn) == 0
    assert arrived(receiver) == {file.id: 1 for file in files}


def test_killed_send_can_be_resumed(spool, receiver):
    files = [put(spool) for _ in range(40)]
    with started(spool, "send", "--dsn", receiver.dsn, "--rate", "50") as sending:
        receiver.wait(errors=5)
        sending.kill()
        sending.communicate(timeout=180)
    assert command(spool, "send", "--dsn", receiver.dsn) == 0
    assert set(arrived(receiver)) == {file.id for file in files}
    assert names(spool) == []


class ScriptedSender:
    """Gives scripted answers, and then accepts everything."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.sent = []
        self.times = []

    def send(self, envelope, kind):
        self.sent.append(kind)
        self.times.append(time.monotonic())
        result, seconds = self.answers.pop(0) if self.answers else (Result.DELIVERED, 0.0)
        return result, "http 429", seconds, "wait"


def sent_with(spool, sender, rate=1000.0):
    sending = SpoolSender(spool, sender, rate, lambda _: None, lambda: False)
    return sending.send(take_inventory(spool.directory).entries[::-1])


def test_server_that_asks_to_wait_is_waited_for(spool, impatient):
    put(spool)
    sender = ScriptedSender((Result.LATER, 0.3))
    assert sent_with(spool, sender).sent == 1
    assert sender.times[1] - sender.times[0] >= 0.3


@pytest.mark.parametrize("result", [Result.LATER, Result.LIMITED])
def test_server_that_asks_for_a_long_pause_is_not_waited_for(spool, result):
    put(spool)
    progress = sent_with(spool, ScriptedSender((result, MAX_WAIT + 10)))
    assert progress.left == 1
    assert progress.stop_reason.endswith(" for 310 s")
    assert [file.state for file in spool.files()] == ["waiting"]


def test_rate_limit_of_a_kind_does_not_block_the_others(spool):
    put(spool)
    put(spool)
    put_of_kind(spool, "log")
    sender = ScriptedSender((Result.LIMITED, 0.3))
    assert sent_with(spool, sender).sent == 3
    assert sender.sent == ["error", "log", "error", "error"]
    assert sender.times[2] - sender.times[0] >= 0.3


def test_server_that_limits_forever_is_given_up(spool):
    put(spool)
    progress = sent_with(spool, ScriptedSender(*[(Result.LIMITED, 0.01)] * 99))
    assert progress.stop_reason == "the server accepted nothing in 5 rounds"


def test_file_that_always_fails_does_not_block_the_rest(spool, impatient):
    files = [put(spool) for _ in range(4)]

    class Picky(ScriptedSender):
        def send(self, envelope, kind):
            if envelope.headers["event_id"] == files[0].id:
                return Result.LATER, "http 500", 0.0, "problem"
            return super().send(envelope, kind)

    progress = sent_with(spool, Picky())
    assert (progress.sent, progress.left) == (3, 1)
    assert spool.files(state="waiting") == [files[0]]


def test_rate_is_kept(spool):
    for _ in range(6):
        put(spool)
    sender = ScriptedSender()
    # Measured from the start: on a busy machine the first may be late and the others not.
    started_at = time.monotonic()
    sent_with(spool, sender, rate=50.0)
    assert sender.times[-1] - started_at >= 5 * 0.02


def test_error_in_the_middle_leaves_the_file_as_it_was(spool):
    file = put(spool)

    class Broken(ScriptedSender):
        def send(self, envelope, kind):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sent_with(spool, Broken())
    assert spool.files() == [file]
    assert names(spool) == [file.path.name]


# progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_terminal_has_a_bar_that_is_cleared_at_the_end(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    times = iter([0.0, 1.0, 1.01, 2.0, 2.0])
    stream = Terminal()
    meter = ProgressMeter(stream, lambda: next(times))
    meter(Progress(10, sent=3))
    meter(Progress(10, sent=4))  # too soon
    meter(Progress(10, sent=10))
    meter.end()
    assert stream.getvalue().split("\r")[1:] == [
        "[#########.....................] 3 of 10  3.0/s  2 s left",
        "[##############################] 10 of 10  5.0/s  0 s left",
        " " * 58,
        "",
    ]


def test_without_a_terminal_there_is_a_line_now_and_then():
    times = iter([0.0, 1.0, 10.0, 11.0, 12.0])
    stream = io.StringIO()
    meter = ProgressMeter(stream, lambda: next(times))
    for sent in (1, 5, 6):
        meter(Progress(10, sent=sent))
    meter.end()
    assert stream.getvalue() == "5 of 10  0.5/s  10 s left\n"


def test_progress_shows_why_it_waits_without_control_characters():
    progress = Progress(10, aside=Counter(x=2), waiting=3.0, problem="no\x1b[2J")
    assert progress_text(progress, 1.0) == "2 of 10  2.0/s  4 s left  2 set aside  waiting 3 s: no\\x1b[2J"


def test_bar_of_nothing_is_full():
    assert bar(Progress(0)) == f"[{'#' * 30}]"


# requeue


def test_requeued_file_is_sent(spool, receiver, capsys):
    put(spool)
    receiver.status = 413
    assert command(spool, "send", "--dsn", receiver.dsn) == 1
    receiver.status = 200
    assert command(spool, "requeue") == 0
    assert capsys.readouterr().out.endswith("Requeued 1 file\n")
    assert command(spool, "send", "--dsn", receiver.dsn) == 0
    assert names(spool) == []


def test_requeue_of_ids_and_of_a_reason(spool, capsys):
    large, refused = spool.set_aside(put(spool), "http 413"), spool.set_aside(put(spool), "http 403")
    assert command(spool, "requeue", "--reason", "http 403") == 0
    assert [file.id for file in spool.files(state="waiting")] == [refused.id]
    assert command(spool, "requeue", large.id[:8]) == 0
    assert spool.files(state="aside") == []


@pytest.mark.parametrize("name", ["show", "requeue"])
@pytest.mark.parametrize("identity", ["", " ", "-"])
def test_id_without_a_digit_is_refused(spool, name, identity, capsys):
    put(spool)
    with pytest.raises(SystemExit) as caught:
        command(spool, name, identity)
    assert caught.value.code == 2
    assert f"expected an event id or its first digits, not {identity!r}" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["list", "show", "send", "requeue", "purge"])
def test_help_of_a_command_says_what_it_does(spool, name, capsys):
    with pytest.raises(SystemExit):
        main(["spool", name, "--help"])
    expected = " ".join(capsys.readouterr().out.split())
    assert {
        "list": "List the files of a spool, newest first",
        "show": "Show the contents of one file",
        "send": "With --dry-run: 0 if something would be sent, 1 if not.",
        "requeue": "Queue files that were set aside, to be sent again",
        "purge": "Remove files that were not sent",
    }[name] in expected


def test_requeue_reports_unknown_ids(spool, capsys):
    waiting = put(spool)
    assert command(spool, "requeue", waiting.id, "\x1b[2J") == 1
    out, err = capsys.readouterr()
    assert out == "Requeued 0 files\n"
    assert f"no file that was set aside has the id {waiting.id}" in err
    assert "\x1b" not in err


# purge


def answer(monkeypatch, text):
    monkeypatch.setattr("sys.stdin", Terminal(text))


@pytest.mark.parametrize(("text", "removed"), [("y\n", True), ("yes\n", True), ("\n", False), ("", False)])
def test_purge_asks(spool, capsys, monkeypatch, text, removed):
    put(spool)
    answer(monkeypatch, text)
    assert command(spool, "purge") == (0 if removed else 1)
    assert (names(spool) == []) is removed
    out = capsys.readouterr().out
    assert out.startswith("Remove 1 file (1 error; ")
    assert "Sentry does not have it. [y/N] " in out


def test_purge_without_a_terminal_needs_yes(spool, capsys, monkeypatch):
    put(spool)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert command(spool, "purge") == 2
    assert "1 file would be removed; without a terminal to ask on, use --yes" in capsys.readouterr().err
    assert len(spool.files()) == 1
    assert command(spool, "purge", "--yes") == 0
    assert "Removed 1 file (1 error; " in capsys.readouterr().out
    assert names(spool) == []


def test_purge_of_what_was_set_aside_of_a_kind_and_of_an_age(spool, capsys):
    waiting, log = put(spool), put_of_kind(spool, "log")
    spool.set_aside(put(spool), "http 413")
    assert command(spool, "purge", "--yes", "--aside") == 0
    assert spool.files() == [log, waiting]
    assert command(spool, "purge", "--yes", "--kind", "log") == 0
    assert spool.files() == [waiting]
    assert command(spool, "purge", "--yes", "--older-than", "2") == 1
    stamp = f"{waiting.time - timedelta(days=3):%Y%m%dT%H%M%S.%fZ}"
    waiting.path.rename(spool.directory / f"{stamp}-{waiting.path.name.split('-', 1)[1]}")
    assert command(spool, "purge", "--yes", "--older-than", "2") == 0
    assert names(spool) == []


def test_purge_leaves_what_is_being_sent_and_what_is_not_ours(spool, capsys):
    mine, elsewhere = put(spool, owner=current()), put(spool, owner=ELSEWHERE)
    put(spool, owner=DEAD)
    (spool.directory / "notes.txt").touch()
    assert command(spool, "purge", "--yes") == 0
    assert spool.files() == [elsewhere, mine]
    assert (spool.directory / "notes.txt").exists()
    assert "Left: 2 files claimed by another process" in capsys.readouterr().out


def test_purge_goes_on_after_what_cannot_be_removed(spool, capsys):
    files = [put(spool) for _ in range(3)]
    files[1].path.unlink()
    files[1].path.mkdir()
    assert command(spool, "purge", "--yes") == 0
    assert spool.files() == [files[1]]
    out = capsys.readouterr().out
    assert "Left: 1 file that cannot be removed (Is a directory)" in out
    assert "Removed 2 files" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ["list", "--state", "lost"],
        ["send", "--rate", "0"],
        ["send", "--rate", "nan"],
        ["send", "--rate", "fast"],
        ["purge", "--older-than", "-1"],
        ["purge", "--older-than", "1e99"],
    ],
)
def test_wrong_arguments_print_the_usage(spool, arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        command(spool, *arguments)
    assert caught.value.code == 2
    assert "usage: sentry-paste spool" in capsys.readouterr().err


def test_no_command_prints_control_characters_of_names_or_contents(spool, receiver, capsys):
    spool.prepare()
    for name in ("\x1b]0;owned\x07.envelope", "\x1b[2J", "x.envelope.aside-\x1b[2J", ".alive-\x1b[2J"):
        (spool.directory / name).touch()
    put(spool, message="\x1b]0;owned\x07\x1b[2J")
    put(spool).path.write_bytes(b"\x1b[2J\n\x1b[2J")
    for arguments in (
        ["list"],
        ["show", spool.files()[1].id],
        ["send", "--dsn", receiver.dsn, "--dry-run"],
        ["send", "--dsn", receiver.dsn],
        ["requeue"],
        ["purge", "--yes"],
    ):
        command(spool, *arguments)
        out, err = capsys.readouterr()
        assert all(char.isprintable() or char == "\n" for char in out + err)
    assert len(names(spool)) == 4


def test_show_has_the_stack_of_a_message(spool, capsys):
    threads = [{"current": True, "stacktrace": {"frames": [frame("charge", True)]}}]
    file = write_event(spool, error_event(exception=None, message="late", threads=threads))
    assert command(spool, "show", file.id) == 0
    assert "\nStack\n  File charge.py, line 12, in charge\n" in capsys.readouterr().out


def test_feedback_is_shown_with_its_message(spool, capsys):
    file = write_feedback(spool, feedback_event(message="The soup was cold."))
    assert command(spool, "list") == 0
    assert "  The soup was cold.  " in capsys.readouterr().out
    assert command(spool, "show", file.id) == 0
    out = capsys.readouterr().out
    assert out.startswith("The soup was cold.\n")
    assert "\nFeedback\n  name: Ada Lovelace\n" in out
    assert "\nTags\n  kitchen: north\n" in out
