"""Real servers, each in a process of its own, and what they say byte for byte."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

_TESTS = Path(__file__).parent

# How each server is told to serve an ini file: the section that the ini needs, and the command.
_PSERVE = ["-m", "pyramid.scripts.pserve", "{ini}"]
_GUNICORN = ["-m", "gunicorn", "--paste", "{ini}", "-b", "127.0.0.1:{port}", "-w", "1"]
SERVERS = {
    "waitress": ("[server:main]\nuse = egg:waitress#main\nlisten = 127.0.0.1:{port}\n", _PSERVE),
    "wsgiref": ("[server:main]\nuse = egg:pyramid#wsgiref\nhost = 127.0.0.1\nport = {port}\n", _PSERVE),
    "gunicorn-sync": ("", [*_GUNICORN, "-k", "sync"]),
    "gunicorn-gthread": ("", [*_GUNICORN, "-k", "gthread", "--threads", "4"]),
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

    def ask(self, request, seconds=10.0):
        """Send the bytes of a request and return all bytes that come until the server hangs up."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(request)
            answer = bytearray()
            while True:
                chunk = connection.recv(65536)
                if not chunk:
                    return bytes(answer)
                answer += chunk

    def end(self, signal_number, seconds=10.0):
        """Send a signal to the process and return the exit code."""
        self.process.send_signal(signal_number)
        return self.process.wait(seconds)


def free_port():
    """Return a port on loopback that nobody has, for the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def request_bytes(path, method="GET", body=b""):
    """Return a request after which the server hangs up; the same for whatever port it is sent to."""
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close"]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


@contextlib.contextmanager
def started(command, port, folder, name="server", seconds=30.0, **variables):
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
    """Serve the text of an ini file by one of ``SERVERS``."""
    section, arguments = SERVERS[kind]
    port = free_port()
    path = folder / f"{name}.ini"
    path.write_text(ini + section.format(port=port), encoding="utf-8")
    command = [sys.executable, *(word.format(ini=path, port=port) for word in arguments)]
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
