"""The rules of ``test_servers`` under servers that have to be installed first.

Slow: each is installed into an environment of its own, and uWSGI and mod_wsgi are compiled.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

# All rules and the fixtures that they need, so that what is added there holds here as well. The module's own
# ``kind`` and ``folder`` take the place of the others.
from test_servers import *  # noqa: F403

import servers

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
TESTS = Path(__file__).parent

# As whom mod_wsgi-express runs the app where root starts it.
WEB_USER = "www-data"


@dataclass(frozen=True)
class Installed:
    """A server that pip installs.

    Attributes:
        kind: the server.
        packages: that make it.
        needs: the programs that must be there to compile it, each with the package of Debian's that has it.
        system: whether it needs a Python that other users can read, where root runs the tests.
    """

    kind: servers.Kind
    packages: tuple[str, ...]
    needs: tuple[tuple[str, str], ...] = ()
    system: bool = False


_UWSGI = "{bin}/uwsgi --http-socket 127.0.0.1:{port} --ini-paste {ini} --master --workers 1 --enable-threads"
_MOD_WSGI = (
    "{bin}/mod_wsgi-express start-server {ini} --application-type paste --host 127.0.0.1 --port {port} "
    "--server-root {root} --python-path {folder} --log-to-terminal"
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
            # A wheel of it knows the Apache of the day when it was made, or that there was none.
            ("--no-cache-dir", "mod_wsgi"),
            (("apxs", "apache2-dev"), ("apache2", "apache2-bin")),
            system=True,
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
    """Return a Python that any user can read, or skip; root's own may lie in root's home."""
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin")
    if python is None:
        pytest.skip(f"there is no Python that {WEB_USER} can read")
    return python


def install(python, folder, packages):
    """Make an environment with the project and some packages in it, and return its Python, or skip."""
    made = folder / "venv"
    said = complaint(python, "-m", "venv", str(made))
    if said is not None:
        pytest.skip(f"{python} makes no environment: {said}")
    mine = str(made / "bin" / "python")
    # That the project cannot be installed is no reason to skip.
    said = complaint(mine, "-m", "pip", "install", "-q", str(ROOT))
    assert said is None, said
    said = complaint(mine, "-m", "pip", "install", "-q", *packages)
    if said is not None:
        pytest.skip(f"{' '.join(packages)} cannot be installed on Python {sys.version.split()[0]}: {said}")
    return mine


@pytest.fixture(scope="module", params=INSTALLED)
def kind(request):
    """Each server, in an environment in a folder that all users can read, as pytest's are not."""
    installed = INSTALLED[request.param]
    for program, package in installed.needs:
        provide(program, package)
    other_user = installed.system and is_root()
    with tempfile.TemporaryDirectory(prefix="sentry-paste-") as made:
        found = Path(made)
        found.chmod(0o755)
        # The apps, too, for a user who cannot read the repository.
        for name in ("apps.py", "servers.py"):
            shutil.copy(TESTS / name, found)
        python = install(system_python() if other_user else sys.executable, found, installed.packages)
        users = ("--user", WEB_USER, "--group", WEB_USER) if other_user else ()
        yield replace(installed.kind, python=python, command=(*installed.kind.command, *users))


@pytest.fixture(scope="module")
def folder(kind):
    return Path(kind.python).parents[2]
