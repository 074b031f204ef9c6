"""An app whose requests crash, and processes that serve it, take commands, and die as ordered.

Each crash has a tag of its own, and is written to a log when the filter has captured it: what is in the log
and has not arrived is lost.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time

import sentry_sdk
from paste.deploy import loadapp

import servers
from wsgi_calls import call, environ_of

INI = """
    [pipeline:main]
    pipeline = noting sentry app

    [filter:noting]
    paste.filter_factory = crashing:noting
    log = {log}

    [filter:sentry]
    use = egg:sentry_paste
    dsn = {dsn}
    {spool}
    {options}

    [app:app]
    paste.app_factory = crashing:make_app
    """


def make_app(global_conf):
    return app


def app(environ, start_response):
    kind, _, tag = environ["PATH_INFO"].strip("/").partition("/")
    sentry_sdk.set_tag("n", tag)
    if kind == "crash":
        raise RuntimeError(tag)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"fine"]


def noting(global_conf, log):
    """A filter around the filter: it answers for the app that has crashed, and records what is captured."""

    def make(inner):
        def recording(environ, start_response):
            try:
                return inner(environ, start_response)
            except RuntimeError as error:
                # In one piece, and not lost with the process.
                with open(log, "ab", buffering=0) as file:
                    file.write(f"{error}\n".encode())
                start_response("500 Internal Server Error", [("Content-Type", "text/plain")], sys.exc_info())
                return [b"crashed"]

        return recording

    return make


def ini(dsn, log, spool=None, **options):
    """Return the text of an ini; no ``spool`` is the SDK alone."""
    lines = "\n".join(f"{name} = {value}" for name, value in options.items())
    where = "" if spool is None else f"spool_dir = {spool}"
    return textwrap.dedent(INI).format(dsn=dsn, log=log, spool=where, options=lines)


def captured(log):
    """Return the tags whose capture had returned."""
    return log.read_text().split() if log.exists() else []


class Process:
    """A process that serves the app to itself, one command after the other.

    Args:
        path: of the ini.
        name: with which its tags begin.
        python: that runs it.
    """

    def __init__(self, path, name, python=sys.executable, **variables):
        self.name = name
        self.stderr = path.with_name(f"{name}.stderr")
        with self.stderr.open("wb") as output:
            self.process = subprocess.Popen(
                # Of libraries: Pyramid imports pkg_resources.
                [
                    *(python, "-W", "ignore::DeprecationWarning"),
                    *("-W", "ignore:pkg_resources is deprecated:UserWarning"),
                    *(__file__, str(path), name),
                ],
                env=servers.environment(**variables),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                cwd=path.parent,
                text=True,
                bufsize=1,
            )

    def begin(self, command, *arguments):
        """Give a command."""
        self.process.stdin.write(" ".join(map(str, (command, *arguments))) + "\n")
        self.process.stdin.flush()

    def end(self):
        """Wait until the last command was done, and return what came of it."""
        line = self.process.stdout.readline().strip()
        assert line, f"{self.name} has ended: {self.said()}"
        return line.partition(" ")[2]

    def do(self, command, *arguments):
        self.begin(command, *arguments)
        return self.end()

    def exit(self, seconds=120.0):
        """Have it end in good order, and return how many seconds that took."""
        begun = time.monotonic()
        self.process.stdin.close()
        assert self.process.wait(seconds) == 0, self.said()
        return time.monotonic() - begun

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        return self.process.wait(30)

    def said(self):
        return self.stderr.read_text(errors="replace")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with contextlib.suppress(OSError):
                stream.close()


@contextlib.contextmanager
def processes(path, *names, **variables):
    """Start processes on one ini; those that are left at the end are killed."""
    with contextlib.ExitStack() as stack:
        found = [Process(path, name, **variables) for name in names]
        for process in found:
            stack.callback(process.close)
        yield found


# What follows runs in such a process.


class _Commands:
    """The commands that a process accepts."""

    def __init__(self, path, name):
        self._path = path
        self._name = name
        self._count = 0
        self._app = loadapp(f"config:{path}")

    def _request(self, kind):
        self._count += 1
        begun = time.perf_counter()
        call(self._app, environ_of(f"/{kind}/{self._name}-{self._count}"))
        return time.perf_counter() - begun

    def crash(self, count, pause=0.0):
        """Crash so many times; return the median and the longest request, in seconds."""
        return self._requests("crash", count, pause)

    def ok(self, count, pause=0.0):
        return self._requests("ok", count, pause)

    def mixed(self, count, pause):
        """Crash in one request of ten; return what each took, in seconds."""
        taken = []
        for number in range(count):
            kind = "ok" if number % 10 else "crash"
            taken.append(f"{kind}:{self._request(kind):.7f}")
            time.sleep(pause)
        return " ".join(taken)

    def _requests(self, kind, count, pause):
        taken = []
        for _ in range(count):
            taken.append(self._request(kind))
            if pause:
                time.sleep(pause)
        return f"{sorted(taken)[len(taken) // 2]:.6f} {max(taken):.6f}"

    def threads(self, count, each):
        """Crash in so many threads at once, each so many times."""
        found = [threading.Thread(target=self.crash, args=(each,)) for _ in range(count)]
        for thread in found:
            thread.start()
        for thread in found:
            thread.join()

    def timeout(self, seconds):
        """Have the SDK wait no longer than this for an answer."""
        from sentry_sdk import transport

        for name in ("HttpTransportCore", "BaseHttpTransport", "HttpTransport"):
            if hasattr(transport, name):
                getattr(transport, name).TIMEOUT = seconds

    def clock(self, seconds):
        """Set the clock forward, or back."""
        from datetime import datetime

        import sentry_paste.spool.backlog as backlog
        import sentry_paste.spool.bounds as bounds
        import sentry_paste.spool.names as names

        class Shifted(datetime):
            @classmethod
            def now(cls, tz=None):
                return datetime.fromtimestamp(time.time(), tz)

        now = time.time
        time.time = lambda: now() + seconds
        for module in (names, bounds, backlog):
            module.datetime = Shifted

    def fork(self, count, each):
        """Fork so many children that crash so many times each, in the middle of the parent's own crashes."""
        children = []
        for number in range(count):
            self.crash(3)
            child = os.fork()
            if not child:
                self._name, self._count = f"{self._name}-child{number}", 0
                self.crash(each)
                sentry_sdk.get_client().close()
                os._exit(0)
            children.append(child)
        for child in children:
            status = os.waitpid(child, 0)[1]
            assert status == 0, status

    def fork_while_serving(self, count, threads, each):
        """Fork so many children while threads serve requests; all of them go on, parent and children.

        Returns how many requests were served, in all processes.
        """
        served, is_over = [], threading.Event()

        def serve(name):
            number = 0
            while not is_over.is_set() or number % 2:
                number += 1
                self._serve(name, number)
            served.append(number)

        found = [threading.Thread(target=serve, args=(f"{self._name}-t{n}",)) for n in range(threads)]
        self._serve(self._name, 0)
        for thread in found:
            thread.start()
        children = []
        chance = random.Random(7)
        for number in range(count):
            time.sleep(chance.uniform(0.02, 0.06))
            child = os.fork()
            if not child:
                signal.alarm(60)  # it hangs
                name = f"{self._name}-child{number}"
                for one in range(each):
                    self._serve(name, one)
                sentry_sdk.get_client().close()
                os._exit(0)
            children.append(child)
        is_over.set()
        for thread in found:
            thread.join()
        ended = [os.waitpid(child, 0)[1] for child in children]
        assert not any(ended), ended
        return 1 + sum(served) + count * each

    def fork_while_held(self, path):
        """Fork a child that crashes once, while another thread has a lock of the client's."""
        found = sentry_sdk.get_client()
        for name in path.split("/"):
            # The SDK's transport is inside the spool's.
            found = (
                next(iter(found.values())) if name == "*" else getattr(getattr(found, "_inner", found), name)
            )
        held, is_over = threading.Event(), threading.Event()

        def hold():
            with found:
                held.set()
                is_over.wait()

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait()
        child = os.fork()
        if not child:
            signal.alarm(20)  # it hangs
            self._serve(f"{self._name}-child", 0)
            sentry_sdk.get_client().close()
            os._exit(0)
        # It may hang in the fork itself, before its alarm is set.
        killer = threading.Timer(25, os.kill, (child, signal.SIGKILL))
        killer.start()
        status = os.waitpid(child, 0)[1]
        killer.cancel()
        is_over.set()
        thread.join()
        assert status == 0, status

    def lose_and_fork(self, count):
        """Note that so many errors were lost, and fork a child that ends in good order."""
        client = sentry_sdk.get_client()
        for _ in range(count):
            client.transport.record_lost_event("before_send", data_category="error")
        child = os.fork()
        if not child:
            self._serve(f"{self._name}-child", 0)
            client.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0

    def _serve(self, name, number):
        call(self._app, environ_of(f"/{'ok' if number % 2 else 'crash'}/{name}-{number}"))

    def die_writing(self, part):
        """Be killed in the next write, when ``half`` of the file is there, or the ``whole``."""

        def die(*args, **kwargs):
            os.kill(os.getpid(), signal.SIGKILL)

        if part == "whole":
            os.rename = die
        else:
            fdopen = os.fdopen

            def opening(descriptor, *args, **kwargs):
                opened = fdopen(descriptor, *args, **kwargs)
                if "w" not in args[0]:
                    return opened
                return _Half(opened, die)

            os.fdopen = opening
        self.crash(1)

    def kills(self, count, longest, seed):
        """Fork processes and kill each, at a random moment while it crashes; two are at it at any time."""
        chance = random.Random(seed)
        children = []
        for number in range(count):
            child = os.fork()
            if not child:
                self._name, self._count = f"{self._name}-kill{seed}.{number}", 0
                signal.alarm(60)
                while True:
                    self.crash(1)
            children.append(child)
            time.sleep(chance.uniform(0, longest))
            if len(children) > 1:
                _end(children.pop(chance.randrange(2)))
        for child in children:
            time.sleep(chance.uniform(0, longest))
            _end(child)

    def open_files(self):
        return len(os.listdir("/proc/self/fd"))

    def count_threads(self):
        return " ".join(sorted(thread.name for thread in threading.enumerate()))

    def exec_again(self):
        """Become a new program under the same process id."""
        sys.stdout.flush()
        os.execv(sys.executable, [sys.executable, __file__, self._path, f"{self._name}-again", "done"])


class _Half:
    def __init__(self, opened, die):
        self._opened = opened
        self._die = die

    def __enter__(self):
        return self

    def __exit__(self, *args):
        self._opened.close()

    def write(self, data):
        self._opened.write(data[: len(data) // 2])
        self._opened.flush()
        self._die()


def _end(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def main():
    commands = _Commands(sys.argv[1], sys.argv[2])
    if len(sys.argv) > 3:
        print(sys.argv[3], flush=True)
    for line in sys.stdin:
        command, *arguments = line.split()
        numbers = [
            float(word) if "." in word else int(word) if word.lstrip("-").isdigit() else word
            for word in arguments
        ]
        print("done", getattr(commands, command)(*numbers), flush=True)


if __name__ == "__main__":
    main()
