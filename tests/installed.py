"""Servers that have to be installed first, in one environment for all tests of a run.

``PYTHON_OF_SERVERS`` names a Python that has everything already, which is used as it is.
"""

import atexit
import contextlib
import functools
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import servers

HERE = sys.executable
ROOT = Path(__file__).parent.parent
TESTS = Path(__file__).parent

# As whom mod_wsgi-express runs the app where root starts it.
WEB_USER = "www-data"

# Besides the project: what the servers' apps are made with, and what makes them.
COMMON = (
    *("bottle", "Django", "falcon", "Flask", "gevent", "gunicorn", "packaging", "Paste", "pyramid"),
    *("pyramid_retry", "TurboGears2", "waitress", "Zope"),
)


@dataclass(frozen=True)
class Installed:
    """A server that pip installs.

    Attributes:
        kind: the server.
        packages: that make it.
        needs: the programs that must be there to compile it, each with the package of Debian's that has it.
        other_user: whether it needs a Python that other users can read, where root runs the tests.
    """

    kind: servers.Kind
    packages: tuple[str, ...]
    needs: tuple[tuple[str, str], ...] = ()
    other_user: bool = False


_UWSGI = "{bin}/uwsgi --http-socket 127.0.0.1:{port} --ini-paste {ini} --master --workers 1 --enable-threads"
_MOD_WSGI = (
    "{bin}/mod_wsgi-express start-server {ini} --application-type paste --host 127.0.0.1 --port {port} "
    "--server-root {root} --python-path {folder} --locale C.UTF-8 --log-to-terminal"
)
INSTALLED = {
    found.kind.name: found
    for found in (
        Installed(
            # gevent's socket reads a file that is to be sent by sendfile.
            servers.Kind("gunicorn-gevent", (*servers.GUNICORN, "-k", "gevent")),
            ("gunicorn", "gevent", "packaging"),
        ),
        Installed(
            servers.Kind(
                "uwsgi",
                (*_UWSGI.split(), "--die-on-term", "-H", "{bin}/.."),
                sends_files=True,
                # It runs no atexit hook in a worker that is busy, and is so for a moment after its answer:
                # what is queued then is lost.
                done="[pid: ",
                unlike={
                    "crash_started_twice": "uWSGI lets an app call start_response twice",
                    "answer_exc_info": "uWSGI's start_response sends the new status and raises SystemError",
                },
            ),
            ("uwsgi",),
        ),
        Installed(
            servers.Kind(
                "mod_wsgi",
                tuple(_MOD_WSGI.split()),
                sends_files=True,
                # Apache gets the answer from another process, in whatever pieces.
                cuts_anew=True,
                unlike={"crash_started_twice": "mod_wsgi lets an app call start_response twice"},
            ),
            ("mod_wsgi",),
            (("apxs", "apache2-dev"), ("apache2", "apache2-bin")),
            other_user=True,
        ),
    )
}


def is_root():
    return os.geteuid() == 0


def complaint(*command, seconds=900):
    """Run a command and return the end of what it said, None if it went well."""
    variables = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=seconds, env=variables)
    return None if ended.returncode == 0 else (ended.stdout + ended.stderr)[-2000:]


def provide(program, package):
    """See that a program is there, or skip."""
    if shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin"):
        return
    if not (is_root() and shutil.which("apt-get")):
        pytest.skip(f"there is no {program}; Debian has it in {package}, and only root can install that")
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", package]):
        said = complaint(*command)
        if said is not None:
            pytest.skip(f"there is no {program}, and {' '.join(command)} failed: {said}")


def system_python():
    """Return a Python that any user can read, None if there is none; root's own may lie in root's home."""
    return shutil.which("python3", path="/usr/bin:/usr/local/bin")


# Not that of a test which has one of its own: what is made in it serves the others as well.
_TEMPORARY = tempfile.gettempdir()


@contextlib.contextmanager
def readable_folder():
    """Make a folder that other users can read, as pytest's are not."""
    with tempfile.TemporaryDirectory(prefix="sentry-paste-", dir=_TEMPORARY) as made:
        Path(made).chmod(0o755)
        yield Path(made)


def copy_to(folder, *names):
    """Copy modules of the tests for a user who cannot read the repository."""
    for name in names:
        shutil.copy(TESTS / name, folder)


@functools.cache
def _environment():
    """Make an environment with the project in it, and return its Python, or what was said instead."""
    made = readable_folder()
    folder = made.__enter__()
    atexit.register(made.__exit__, None, None, None)
    python = (system_python() if is_root() else None) or sys.executable
    said = complaint(python, "-m", "venv", str(folder / "venv"))
    if said is not None:
        return None, f"{python} makes no environment: {said}"
    mine = str(folder / "venv" / "bin" / "python")
    # That the project cannot be installed is no reason to skip.
    said = complaint(mine, "-m", "pip", "install", "-q", str(ROOT))
    assert said is None, said
    return mine, complaint(mine, "-m", "pip", "install", "-q", *COMMON)


@functools.cache
def _complaint_about(packages):
    # Not from the cache: what another Python has compiled, such as uWSGI, is linked to that one.
    return complaint(_environment()[0], "-m", "pip", "install", "-q", "--no-cache-dir", *packages)


def python_with(*packages):
    """Return a Python with the project and some packages, or skip."""
    given = os.environ.get("PYTHON_OF_SERVERS")
    if given:
        return given
    python, said = _environment()
    said = said or _complaint_about(packages)
    if said is not None:
        pytest.skip(f"{' '.join(packages)} cannot be installed: {said}")
    return python


def kind(name):
    """Return a kind of server, installed; or skip."""
    found = INSTALLED[name]
    for program, package in found.needs:
        provide(program, package)
    if found.other_user and is_root() and system_python() is None:
        pytest.skip(f"there is no Python that {WEB_USER} can read")
    users = ("--user", WEB_USER, "--group", WEB_USER) if found.other_user and is_root() else ()
    command = (*found.kind.command, *users)
    return replace(found.kind, python=python_with(*found.packages), command=command)
