"""Nothing is lost, whatever happens: several processes on one spool, counted where it arrives.

``SENTRY_PASTE_KILLS=2000`` has so many processes killed in the slow test of random moments.
"""

import contextlib
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from datetime import timedelta

import pytest

from sentry_paste.spool import Spool
from sentry_paste.spool.status import read_status

import crashing
import faulty
import servers
from faulty import Answer

KILLS = int(os.environ.get("SENTRY_PASTE_KILLS", "200"))


def ini_of(*where, **options):
    """Return an ini without integrations of frameworks: they have no part in this, and slow each start."""
    return crashing.ini(*where, auto_enabling_integrations="false", **options)


class Field:
    """A spool, a receiver, and the processes between them.

    Attributes:
        sentry: the receiver.
        spool: the directory.
        log: of what was captured.
    """

    def __init__(self, folder, sentry):
        self.folder = folder
        self.sentry = sentry
        self.spool = Spool(folder / "spool")
        self.log = folder / "captured.log"
        self._ended = 0

    def ini(self, name="site", dsn=None, **options):
        path = self.folder / f"{name}.ini"
        path.write_text(ini_of(dsn or self.sentry.dsn, self.log, self.spool.directory, **options))
        return path

    def processes(self, *names, path=None, **options):
        return crashing.processes(path or self.ini(**options), *names)

    def left(self):
        return [file for file in self.spool.files() if file.state != "aside"]

    def drain(self, seconds=30.0, **options):
        """Have a last process send what is left; return what has not arrived, and what came twice."""
        self._ended += 1
        with self.processes(f"last{self._ended}", **options) as (last,):
            last.do("ok", 1)
            self.sentry.wait_for(lambda: not self.left(), seconds=seconds)
            last.exit()
            quiet(last)
        # On a busy machine all processes may have been killed before they captured anything.
        if self.spool.directory.exists():
            status = read_status(self.spool.directory)
            assert status.unaccounted == {}, status
        return self.result()

    def result(self):
        missing = set(crashing.captured(self.log)) - set(self.sentry.tags())
        return sorted(missing), self.sentry.sent_twice()

    def count(self):
        return len(crashing.captured(self.log))


@pytest.fixture
def field(tmp_path):
    with faulty.serve() as sentry:
        yield Field(tmp_path, sentry)


NOTHING = ([], 0)


# What the spool reports, and what the SDK does at the end of a process.
EXPECTED = ("spool_dir: ", "Sentry is attempting", "Waiting up", "Press ")


def quiet(*running):
    """No traceback, and no warning of Python's."""
    for process in running:
        assert [line for line in process.said().splitlines() if not line.startswith(EXPECTED)] == []


# Networks and servers.


def test_outage_loses_nothing_and_sends_nothing_twice(field):
    """Of 200 errors, 100 while the server answers 503."""
    with field.processes("a", "b") as (a, b):
        for process in (a, b):
            process.do("crash", 25)
        field.sentry.wait(errors=50)
        field.sentry.answer = Answer(503)
        for process in (a, b):
            process.do("crash", 50)
        field.sentry.answer = Answer()
        for process in (a, b):
            process.do("crash", 25)
            process.exit()
        quiet(a, b)
    assert field.drain() == NOTHING
    assert field.count() == 200


@pytest.mark.slow
def test_processes_that_go_on_after_an_outage_send_all_of_it_themselves(field):
    with field.processes("a", "b") as running:
        for process in running:
            process.do("crash", 25)
        field.sentry.refuse()
        for process in running:
            process.do("crash", 50, 0.05)
        field.sentry.listen()
        for process in running:
            process.do("crash", 25, 0.1)
        field.sentry.wait(errors=200, seconds=60)
        for process in running:
            process.exit()
        quiet(*running)
    assert field.result() == NOTHING


def test_refused_connections(field):
    field.sentry.refuse()
    with field.processes("a", "b") as (a, b):
        a.do("crash", 20)
        b.do("crash", 20)
        a.exit()
        b.kill()
    field.sentry.listen()
    assert field.drain() == NOTHING


@pytest.mark.parametrize(
    "answer",
    [
        Answer(429, {"Retry-After": "1"}),
        pytest.param(Answer(429, {"X-Sentry-Rate-Limits": "1:error:organization"}), marks=pytest.mark.slow),
        pytest.param(Answer(200, {"X-Sentry-Rate-Limits": "1::organization"}), marks=pytest.mark.slow),
        pytest.param(Answer(500), marks=pytest.mark.slow),
        pytest.param(Answer(502), marks=pytest.mark.slow),
        Answer(503, {"Retry-After": "1"}),
        pytest.param(Answer(504), marks=pytest.mark.slow),
    ],
    ids=lambda answer: "-".join([str(answer.status), *answer.headers]),
)
def test_answers_after_which_it_may_be_taken_later(field, answer):
    field.sentry.answer = answer
    with field.processes("a", "b") as (a, b):
        a.do("crash", 10)
        b.do("crash", 10)
        time.sleep(0.3)
        field.sentry.answer = Answer()
        a.do("crash", 5)
        a.exit()
        b.kill()
    assert field.drain() == NOTHING
    assert field.count() == 25


def test_413_is_set_aside_and_all_else_goes_on(field):
    field.sentry.answer_to = lambda envelope: Answer(413) if b"a-3" in envelope.serialize() else None
    with field.processes("a", "b") as (a, b):
        a.do("crash", 5)
        b.do("crash", 5)
        a.exit()
        b.exit()
    assert field.drain() == (["a-3"], 0)
    assert [file.detail for file in field.spool.files()] == ["http_413"]


@pytest.mark.slow
def test_connections_that_time_out(field):
    field.sentry.answer = Answer(hangs=True)
    with field.processes("a", "b") as (a, b):
        for process in (a, b):
            process.do("timeout", 0.3)
            process.do("crash", 10)
        time.sleep(1)
        a.exit()
        b.kill()
    field.sentry.answer = Answer()
    assert field.drain() == NOTHING


@pytest.mark.slow
def test_receiver_that_hangs_delays_the_end_of_a_process_by_a_second_at_most(field):
    field.sentry.answer = Answer(503)
    with field.processes("a") as (a,):
        a.do("crash", 10)
        a.exit()
    field.sentry.answer = Answer(hangs=True)
    with field.processes("b", traces_sample_rate=1.0) as (b,):
        b.do("ok", 1)
        time.sleep(0.3)
        b.do("crash", 10)
        # The SDK's own shutdown_timeout is 2 s, and a busy machine takes its time to end a process. To wait
        # for the receiver would take the 30 s of the SDK's requests.
        assert b.exit() < 2 + 1 + 7
        quiet(b)
    field.sentry.answer = Answer()
    assert field.drain() == NOTHING


@pytest.mark.slow
def test_receiver_that_answers_byte_by_byte(field):
    field.sentry.answer = Answer(between=0.02)
    with field.processes("a", "b") as (a, b):
        a.do("crash", 10)
        b.do("crash", 10)
        time.sleep(0.5)
        b.kill()
        a.exit()
    field.sentry.answer = Answer()
    missing, twice = field.drain()
    # What was being answered as its process died has come again.
    assert missing == []
    assert twice <= 4


def test_host_that_has_no_address(field):
    dsn = "http://public@nowhere.invalid/1"
    with field.processes("a", "b", path=field.ini("lost", dsn=dsn)) as (a, b):
        a.do("crash", 10)
        b.do("crash", 10)
        a.exit()
        b.kill()
        quiet(a)
    assert len(field.left()) == 20
    # The address comes to be: the same host and project, which the files are for.
    for file in field.left():
        name = file.waiting().path.name.replace(file.destination, "any")
        file.path.rename(field.spool.directory / name)
    assert field.drain() == NOTHING


@pytest.fixture
def certificate(tmp_path):
    """A certificate that nobody trusts."""
    path, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=here"]
    try:
        subprocess.run([*command, "-keyout", key, "-out", path], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no certificate can be made here")
    return path, key


@contextlib.contextmanager
def untrusted(certificate):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    listening = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def accept():
        while not ended.is_set():
            with contextlib.suppress(OSError):
                connection, _ = listening.accept()
                with connection, contextlib.suppress(OSError):
                    context.wrap_socket(connection, server_side=True).close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            socket.create_connection(listening.getsockname(), 1).close()
        thread.join()
        listening.close()


def test_certificate_that_is_not_trusted(field, certificate):
    with untrusted(certificate) as port:
        dsn = f"https://public@127.0.0.1:{port}/1"
        with field.processes("a", "b", path=field.ini("tls", dsn=dsn)) as (a, b):
            a.do("crash", 10)
            b.do("crash", 10)
            time.sleep(0.3)
            a.exit()
            b.exit()
            quiet(a, b)
    assert len(field.left()) == 20


# Ends of processes.


def test_burst_before_the_end_loses_nothing(field):
    """The queue holds 100, and the SDK waits for two seconds."""
    field.sentry.answer = Answer(delay=0.02)
    with field.processes("a", "b") as (a, b):
        for process in (a, b):
            process.begin("crash", 250)
        for process in (a, b):
            process.end()
            process.exit()
        quiet(a, b)
    field.sentry.answer = Answer()
    assert field.drain() == NOTHING
    assert field.count() == 500


def test_kill_after_the_last_capture_loses_nothing(field):
    field.sentry.answer = Answer(delay=0.02)
    with field.processes("a", "b") as (a, b):
        for process in (a, b):
            process.begin("crash", 50)
        for process in (a, b):
            process.end()
            process.kill()
    field.sentry.answer = Answer()
    missing, twice = field.drain()
    assert missing == []
    # Of each process as many may have been on their way as it has connections.
    assert twice <= 2 * 8
    assert field.count() == 100


@pytest.mark.parametrize("part", ["half", "whole"])
def test_kill_in_the_middle_of_a_write_sends_no_part(field, part):
    with field.processes("a", "b") as (a, b):
        a.do("crash", 3)
        b.do("crash", 3)
        # One that is on its way when its process is killed comes twice.
        field.sentry.wait_for(lambda: not field.left())
        a.begin("die_writing", part)
        assert a.process.wait(30) == -signal.SIGKILL
        assert len([name for name in os.listdir(field.spool.directory) if name.endswith(".partial")]) == 1
        b.exit()
    assert field.drain() == NOTHING
    assert [file.detail for file in field.spool.files()] == ["partial"]
    assert set(field.sentry.tags()) == {f"{name}-{number}" for name in "ab" for number in (1, 2, 3)}


def missing_after_kills(field, count, seed, captured=0):
    """Kill so many processes, and more where they have captured too little, as on a busy machine."""
    with field.processes("a") as (a,):
        kills = 0
        while not kills or field.count() < captured:
            a.begin("kills", count, 0.12, seed + kills)
            a.end()
            kills += count
    # 2,000 kills leave some fifteen thousand.
    missing, twice = field.drain(30 + len(field.left()) / 20, spool_rate=1000)
    # What was on its way when its process was killed, or when the one was that sent it for another.
    assert twice <= 2 * kills
    return missing


def test_kills_at_random_moments_lose_nothing(field):
    assert missing_after_kills(field, 20, 1, captured=50) == []


@pytest.mark.slow
def test_many_kills_at_random_moments_lose_nothing(field):
    assert missing_after_kills(field, KILLS, 2) == []


def test_kills_at_random_moments_while_the_server_fails_lose_nothing(field):
    field.sentry.answer = Answer(503)
    with field.processes("a") as (a,):
        a.begin("kills", 15, 0.12, 3)
        time.sleep(0.6)
        field.sentry.answer = Answer()
        time.sleep(0.4)
        field.sentry.refuse()
        time.sleep(0.3)
        field.sentry.listen()
        a.end()
    missing, _ = field.drain(60)
    assert missing == []


# Servers that are stopped.

WAITRESS = servers.SERVERS["waitress"]
GUNICORN = servers.Kind("gunicorn", (*servers.GUNICORN[:-1], "2", "-k", "sync", "--graceful-timeout", "5"))


@pytest.mark.parametrize("kind", [WAITRESS, GUNICORN], ids=lambda kind: kind.name)
def test_sigterm_loses_nothing(field, kind):
    field.sentry.answer = Answer(delay=0.02)
    text = field.ini().read_text()
    with servers.serving(kind, text, field.folder) as server:
        for number in range(100):
            assert server.ask(servers.request_bytes(f"/crash/{number}")).startswith(b"HTTP/1.1 500 ")
        code = server.end(signal.SIGTERM)
        assert code in (0, -signal.SIGTERM, 128 + signal.SIGTERM)
    missing, twice = field.drain()
    assert missing == []
    # What a killed process was sending: spool_connections, and one more for what has just been captured.
    assert twice <= 9
    assert field.count() == 100


# Clocks, forks, bulk.


@pytest.mark.parametrize("seconds", [-86400, pytest.param(3600, marks=pytest.mark.slow)])
def test_clock_that_is_set_loses_nothing(field, seconds):
    field.sentry.answer = Answer(503)
    with field.processes("a", "b") as (a, b):
        a.do("crash", 5)
        b.do("crash", 5)
        a.do("clock", seconds)
        a.do("crash", 5)
        field.sentry.answer = Answer()
        a.exit()
        b.exit()
    assert field.drain() == NOTHING
    assert field.count() == 15


def test_fork_under_load_loses_nothing_and_sends_nothing_twice(field):
    field.sentry.answer = Answer(delay=0.005)
    with field.processes("a", "b") as (a, b):
        for process in (a, b):
            process.begin("fork", 4, 5)
        for process in (a, b):
            process.end()
            process.exit()
        quiet(a, b)
    assert field.drain() == NOTHING
    assert field.count() == 2 * 4 * 8


@pytest.mark.parametrize("spooled", [True, False], ids=["spool", "no spool"])
def test_fork_while_threads_serve_requests_loses_nothing_and_sends_nothing_twice(field, spooled):
    """A child has its parent's memory as it was, in the middle of what the parent's threads did."""
    field.sentry.answer = Answer(delay=0.002)
    options = {"traces_sample_rate": 1.0, "transport_queue_size": 10000, "shutdown_timeout": 30}
    path = field.folder / "forking.ini"
    spool = field.spool.directory if spooled else None
    path.write_text(ini_of(field.sentry.dsn, field.log, spool, release="one", **options))
    with field.processes("a", path=path) as (a,):
        count = int(a.do("fork_while_serving", 15, 3, 10))
        a.exit(60)
        quiet(a)
    errors, transactions = field.sentry.tags(), field.sentry.transactions()
    assert sorted(errors) == sorted(crashing.captured(field.log))
    assert set(errors.values()) == set(transactions.values()) == {1}
    assert len(transactions) == count
    assert sum(field.sentry.sessions().values()) == count
    assert not field.sentry.lost()


@pytest.mark.parametrize(
    "lock",
    [
        "session_flusher/_aggregate_lock",
        "session_flusher/_thread_lock",
        "monitor/_thread_lock",
        "transport/_worker/_lock",
        "transport/_worker/_queue/mutex",
        "transport/_pool/pools/lock",
        "transport/_pool/pools/_container/*/pool/mutex",
    ],
)
@pytest.mark.parametrize("spooled", [True, False], ids=["spool", "no spool"])
def test_child_does_not_wait_for_a_lock_that_a_thread_of_its_parent_held(field, spooled, lock):
    path = field.folder / "forking.ini"
    spool = field.spool.directory if spooled else None
    path.write_text(ini_of(field.sentry.dsn, field.log, spool, release="one", traces_sample_rate=1.0))
    with field.processes("a", path=path) as (a,):
        a.do("crash", 1)
        field.sentry.wait(errors=1)
        a.do("fork_while_held", lock)
        field.sentry.wait(errors=2)
        a.exit()
    assert sum(field.sentry.sessions().values()) == 2


@pytest.mark.parametrize("spooled", [True, False], ids=["spool", "no spool"])
def test_what_was_lost_before_a_fork_is_counted_by_the_parent_alone(field, spooled):
    path = field.folder / "forking.ini"
    path.write_text(ini_of(field.sentry.dsn, field.log, field.spool.directory if spooled else None))
    with field.processes("a", path=path) as (a,):
        # The thread that sends runs: Python 3.12 starts none at the end of a process.
        a.do("crash", 1)
        a.do("lose_and_fork", 3)
        a.exit()
    assert field.sentry.lost() == {("error", "before_send"): 3}


def test_threads_of_several_processes_lose_nothing_and_leave_nothing_open(field):
    with field.processes("a", "b") as (a, b):
        for process in (a, b):
            process.do("crash", 1)
            process.open = int(process.do("open_files"))
            process.begin("threads", 8, 20)
        for process in (a, b):
            process.end()
        field.sentry.wait(errors=2 * 161)
        for process in (a, b):
            # Connections are kept, up to the most that there were.
            assert int(process.do("open_files")) <= process.open + 10
            threads = set(process.do("count_threads").split())
            # The last one ends soon after the last error.
            assert threads - {"sentry-paste.held"} == {
                "MainThread",
                "sentry-paste.spool",
                "sentry-sdk.BackgroundWorker",
            }
            process.exit()
        quiet(a, b)
    assert field.drain() == NOTHING


def test_backlog_goes_on_while_captures_never_pause(field):
    """Two processes capture more than is answered: their queues are never empty."""
    field.sentry.answer = Answer(503)
    with field.processes("old") as (old,):
        old.do("crash", 10)
        old.kill()
    for file in field.spool.files():  # a day old: what is fresh goes before it
        day = (file.time - timedelta(days=1)).strftime("%Y%m%d")
        file.path.rename(field.spool.directory / f"{day}{file.waiting().path.name[8:]}")
    field.sentry.answer = Answer(delay=0.1)
    with field.processes("a", "b") as (a, b):
        for process in (a, b):
            process.begin("crash", 200, 0.02)
        for process in (a, b):
            process.end()
        # What is queued takes ten seconds more.
        assert sum(tag.startswith("old") for tag in field.sentry.tags()) >= 3
        for process in (a, b):
            process.kill()


@pytest.mark.slow
def test_backlog_of_500_is_gone_within_15_seconds_of_the_first_request(field):
    field.sentry.answer = Answer(503)
    with field.processes("a", "b") as running:
        for process in running:
            process.do("crash", 250)
            process.kill()
    field.sentry.answer = Answer(delay=0.02)
    with field.processes("c") as (c,):
        begun = time.monotonic()
        c.do("ok", 1)
        field.sentry.wait(errors=500, seconds=15)
        print(f"{time.monotonic() - begun:.1f} s")
        c.exit()
    assert field.result()[0] == []


@pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc to see a program")
def test_program_that_begins_anew_under_its_process_id_loses_nothing(field):
    """As servers do that reload their code: no hook of Python's runs, and the process lives on."""
    field.sentry.answer = Answer(hangs=True)
    with field.processes("a") as (a,):
        a.do("crash", 5)
        a.do("exec_again")
        field.sentry.answer = Answer()
        a.do("ok", 1)
        field.sentry.wait(errors=5)
        a.exit()
    assert field.result()[0] == []


@pytest.mark.slow
def test_neighbour_that_is_stopped_keeps_the_backlog_but_nothing_that_is_captured_now(field):
    field.sentry.answer = Answer(503)
    with field.processes("a") as (a,):
        a.do("crash", 10)
        a.kill()
    field.sentry.answer = Answer()
    with field.processes("b", "c", path=field.ini("slow", spool_rate=1)) as (b, c):
        b.do("ok", 1)
        field.sentry.wait(errors=1)
        b.process.send_signal(signal.SIGSTOP)
        c.do("crash", 5)
        field.sentry.wait_for(lambda: sum(tag.startswith("c") for tag in field.sentry.tags()) == 5)
        b.process.send_signal(signal.SIGCONT)
        c.exit()
        b.exit()
    assert field.drain()[0] == []
