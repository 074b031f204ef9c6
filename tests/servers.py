"""Real servers, each in a process of its own, and what they say byte for byte."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import sentry_sdk

import apps

_TESTS = Path(__file__).parent

# Below those that connections get, which begin at 32768 with Linux and at 49152 elsewhere.
_PORTS = (15_000, 32_000)


@dataclass(frozen=True)
class Kind:
    """A server, and the command that makes it serve an ini file.

    Attributes:
        name: of the server and, where it has several, of its worker.
        command: the program and its arguments, in which ``{python}``, ``{bin}`` (the folder of that python),
            ``{ini}``, ``{port}``, ``{folder}`` and ``{root}`` (a path there for it alone) are filled in.
        section: what the ini needs.
        end: the signal on which it ends in good order.
        python: of the environment in which server, app and filter are installed.
        sends_files: whether it sends a file by its descriptor (``sendfile``), without a call of ``read``.
        cuts_anew: whether it sends a body in chunks of what sizes time makes.
        done: what it logs when a request is done, where it ends in no good order before that.
        unlike: names of apps that end there as nowhere else, with and without the filter, and why.
    """

    name: str
    command: tuple[str, ...]
    section: str = ""
    end: signal.Signals = signal.SIGTERM
    python: str = sys.executable
    sends_files: bool = False
    cuts_anew: bool = False
    done: str = ""
    unlike: dict[str, str] = field(default_factory=dict)


_PSERVE = ("{python}", "-m", "pyramid.scripts.pserve", "{ini}")
GUNICORN = ("{python}", "-m", "gunicorn", "--paste", "{ini}", "-b", "127.0.0.1:{port}", "-w", "1")
SERVERS = {
    kind.name: kind
    for kind in (
        # pserve is ended by Ctrl-C; on SIGTERM it dies at once and nothing that is queued is sent.
        Kind(
            "waitress",
            _PSERVE,
            "[server:main]\nuse = egg:waitress#main\nlisten = 127.0.0.1:{port}\n",
            signal.SIGINT,
        ),
        Kind(
            "wsgiref",
            _PSERVE,
            "[server:main]\nuse = egg:pyramid#wsgiref\nhost = 127.0.0.1\nport = {port}\n",
            signal.SIGINT,
        ),
        Kind("gunicorn-sync", (*GUNICORN, "-k", "sync"), sends_files=True),
        Kind("gunicorn-gthread", (*GUNICORN, "-k", "gthread", "--threads", "4"), sends_files=True),
    )
}


class Server:
    """A server that runs.

    Attributes:
        port: on loopback, where it accepts connections.
        process: its process; others may belong to its group.
        log: the file that has all it printed.
    """

    def __init__(self, process, port, log):
        self.process = process
        self.port = port
        self.log = log

    def output(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def ask(self, request, seconds=120.0):
        """Send the bytes of a request and return all bytes that come until the server hangs up."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(request)
            answer = bytearray()
            while True:
                chunk = connection.recv(65536)
                if not chunk:
                    return bytes(answer)
                answer += chunk

    def end(self, signal_number, seconds=60.0):
        """Send a signal to the process and return the exit code.

        gunicorn waits 30 seconds for a worker that it was just forking, which does not get the signal.
        """
        self.process.send_signal(signal_number)
        return self.process.wait(seconds)


def free_port():
    """Return a port on loopback that nobody has, and that the system gives to no connection meanwhile.

    Chosen by chance, as other runs of the tests on this machine choose theirs.
    """
    while True:
        port = random.SystemRandom().randrange(*_PORTS)
        with contextlib.suppress(OSError), socket.socket() as found:
            found.bind(("127.0.0.1", port))
            return port


def request_bytes(path, method="GET", body=b""):
    """Return a request after which the server hangs up; the same for whatever port it is sent to."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextlib.contextmanager
def started(command, port, folder, name="server", seconds=120.0, **variables):
    """Start a process, wait until it accepts connections, and end it and all of its group.

    Args:
        command: the program and its arguments.
        port: where it is to accept connections.
        folder: its working directory, and where its output goes.
        name: of the file for its output.
        seconds: how long it may take to start.
        variables: of its environment, besides ours.
    """
    log = folder / f"{name}.log"
    with log.open("wb") as output, _interruptible():
        process = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env=environment(XDG_RUNTIME_DIR=str(folder), **variables),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    server = Server(process, port, log)
    try:
        _wait_for(server, seconds)
        yield server
    except BaseException:
        # pytest shows this with the failure.
        print(f"--- {' '.join(map(str, command))} said:\n{server.output()}")
        raise
    finally:
        # The whole group: gunicorn's worker outlives its master, if only for a moment.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def serving(kind, ini, folder, name="server"):
    """Serve the text of an ini file by a ``Kind`` of server."""
    port = free_port()
    path = folder / f"{name}.ini"
    path.write_text(ini + kind.section.format(port=port), encoding="utf-8")
    blanks = {
        "python": kind.python,
        "bin": Path(kind.python).parent,
        "ini": path,
        "port": port,
        "folder": folder,
        "root": folder / f"{name}.root",
    }
    command = [word.format(**blanks) for word in kind.command]
    with started(command, port, folder, name) as server:
        yield server


def environment(**variables):
    """Return an environment in which the tests' apps can be imported and that says nothing of Sentry."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("SENTRY_")}
    path = os.pathsep.join(filter(None, [str(_TESTS), ours.get("PYTHONPATH")]))
    # XDG_RUNTIME_DIR, where it is given, is where gunicorn puts a socket, which would be in ~ otherwise.
    return {**ours, "PYTHONPATH": path, "PYTHONDEVMODE": "1", "PYTHONUNBUFFERED": "1", **variables}


@contextlib.contextmanager
def _interruptible():
    """Start processes that SIGINT ends, even where a shell has made us ignore it (``pytest &``)."""
    if threading.current_thread() is not threading.main_thread():  # which cannot set handlers
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _wait_for(server, seconds):
    deadline = time.monotonic() + seconds
    while True:
        assert server.process.poll() is None, f"the server has ended with {server.process.returncode}"
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", server.port), timeout=1).close()
            return
        assert time.monotonic() < deadline, f"the server accepts no connections after {seconds} s"
        time.sleep(0.05)


# What follows runs in the server's process: apps that record what the server does with them. They write to a
# file, because a server that is asked for it may have its one worker busy with the very request.

CHUNK = b"x" * 65536
CHUNKS = 512  # 32 MB: far more than all the buffers between an app and a client that does not read
UPLOAD = 1000000


class WatchedFile:
    """A file on disk that records which of the server's functions reads it.

    Args:
        record: takes a line.
    """

    def __init__(self, record):
        self._record = record
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - the server closes it
        self._file.write(b"z" * 100000)
        self._file.seek(0)

    def read(self, size=-1):
        try:
            caller = sys._getframe(1).f_code.co_name
        except ValueError:  # a server written in C has no frame
            caller = "the server itself"
        self._record(f"read by {caller}")
        return self._file.read(size)

    def __iter__(self):
        # uWSGI's file_wrapper returns the file itself, which is iterated where it is not taken for one.
        return iter(lambda: self.read(8192), b"")

    def __getattr__(self, name):
        return getattr(self._file, name)


class _Ending:
    """A body that records that it was closed."""

    def __init__(self, chunks, record):
        self._chunks = chunks
        self._record = record

    def __iter__(self):
        return iter(self._chunks)

    def close(self):
        self._record("closed")


def watched_file(environ, start_response, record):
    # Without Content-Length: waitress knows that of a file.
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ.get("wsgi.file_wrapper", iter)(WatchedFile(record))


def long_stream(environ, start_response, record):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return _Ending((CHUNK for _ in range(CHUNKS)), record)


def long_writing(environ, start_response, record):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(CHUNKS):
        write(CHUNK)
    return _Ending([], record)


def upload(environ, start_response, record):
    missing = int(environ["CONTENT_LENGTH"])
    while missing:
        found = environ["wsgi.input"].read(min(missing, len(CHUNK)))
        if not found:
            record("got less than was announced")
            break
        missing -= len(found)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return _Ending([b"thank you"], record)


def tagged_stream(environ, start_response, record):
    """Tag the scope, stream slowly, and say so at the end, after others have had their turn."""
    variant = environ["PATH_INFO"].rpartition("/")[2]
    sentry_sdk.set_tag("variant", variant)
    start_response("200 OK", [("Content-Type", "text/plain")])
    for _ in range(4):
        time.sleep(0.05)
        yield CHUNK[:100]
    sentry_sdk.capture_message(f"end of {variant}", level="error")


WATCHED = {app.__name__: app for app in (watched_file, long_stream, long_writing, upload, tagged_stream)}


def make_app(global_conf, notes, **local_conf):
    """A ``paste.app_factory`` for these apps and those of ``apps``; ``notes`` is the path of the file."""

    def app(environ, start_response):
        name, _, variant = environ["PATH_INFO"].strip("/").partition("/")
        if name not in WATCHED:
            return apps.by_path(environ, start_response)

        def record(line):
            with open(notes, "a", encoding="utf-8") as file:
                file.write(f"{name}/{variant}: {line}\n")

        record("called")
        try:
            return WATCHED[name](environ, start_response, record)
        except BaseException:
            record("raised")
            raise

    return app
