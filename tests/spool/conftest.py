"""An app whose ini has a spool, and a receiver that can fail."""

import os
import subprocess

import pytest
from webtest import TestApp

from sentry_paste.client.registry import registry
from sentry_paste.spool import Spool
from sentry_paste.spool import backlog as backlog_module

import faulty
from faulty import Answer

INI = """
    [pipeline:main]
    pipeline = sentry app

    [filter:sentry]
    use = egg:sentry_paste
    dsn = {dsn}
    {options}

    [pipeline:second]
    pipeline = sentry-second app

    [filter:sentry-second]
    use = egg:sentry_paste
    dsn = {second}
    {options}

    [app:app]
    paste.app_factory = crashing:make_app
"""


@pytest.fixture
def sentry():
    """A receiver that can fail; the clients are closed before it ends."""
    with faulty.serve() as found:
        yield found
        found.hang_up()
        found.answer = Answer()
        registry.reset()


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


class Site:
    """The app of an ini, and what lies in its spool."""

    def __init__(self, app):
        self.app = TestApp(app)

    def crash(self, count=1, tag="x"):
        for number in range(count):
            with pytest.raises(RuntimeError):
                self.app.get(f"/crash/{tag}{number}")

    def ok(self, count=1):
        for _ in range(count):
            assert self.app.get("/ok/1").body == b"fine"


@pytest.fixture
def site(load, sentry, spool):
    def make(name="main", dsn=None, second="", **options):
        options = {"spool_dir": spool.directory, **options}
        lines = "\n    ".join(f"{name} = {value}" for name, value in options.items() if value != "")
        text = INI.format(
            dsn=sentry.dsn if dsn is None else dsn,
            second=second or sentry.dsn,
            options=lines,
        )
        return Site(load(text, name))

    return make


@pytest.fixture
def impatient(monkeypatch):
    """No wait for the next look at the directory, nor after a failure."""
    monkeypatch.setattr(backlog_module, "_LOOK_AGAIN", 0.1)
    monkeypatch.setattr("sentry_paste.spool.backoff.FIRST", 0.05)
    monkeypatch.setattr("sentry_paste.spool.backoff._SLOW", 50.0)
    monkeypatch.setattr("sentry_paste.spool.backoff._SLOWEST", 50.0)


@pytest.fixture
def synced(monkeypatch):
    """What is flushed to the disk: names of files, and of the directory."""
    found = []

    def fsync(descriptor):
        found.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))

    monkeypatch.setattr(os, "fsync", fsync)
    return found


@pytest.fixture
def mounted(tmp_path):
    """Return a function that mounts a disk with some options where we may, and returns its path."""
    path = tmp_path / "disk"

    def mounted(options):
        path.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(path)]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            pytest.skip("no disk can be mounted here")
        return path

    yield mounted
    if os.path.ismount(path):
        subprocess.run(["umount", "-l", str(path)], check=True)
