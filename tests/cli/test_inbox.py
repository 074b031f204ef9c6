"""``sentry-paste inbox DIR``."""

import http.client
import os
import re
import signal
import socket
import subprocess
import sys

import pytest

from sentry_paste.cli.main import main
from sentry_paste.spool import Spool

from spooled import error_event, write_event

BROWSER = {"Connection": "keep-alive", "Sec-Fetch-Site": "none"}


@pytest.fixture
def run(tmp_path):
    """Start the command, and return the process and the line that it begins with."""
    started = []

    def run(*words, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "sentry_paste", "inbox", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **environment},
        )
        started.append(process)
        return process, process.stdout.readline()

    yield run
    for process in started:
        process.kill()
        process.communicate()


def fetch(address, **headers):
    host, _, path = address.removeprefix("http://").partition("/")
    connection = http.client.HTTPConnection(host, timeout=180)
    connection.request("GET", f"/{path}", headers=headers or BROWSER)
    answer = connection.getresponse()
    found = answer.status, answer.read().decode()
    connection.close()
    return found


def address_in(line):
    return re.search(r"http://127\.0\.0\.1:\d+/", line)[0]


def test_directory_is_shown_until_it_is_interrupted(run, tmp_path):
    write_event(Spool(tmp_path / "spool"), error_event(exception=[{"type": "OrderError"}]))
    process, line = run("spool", "--port", "0", "--editor", "vscode")
    assert line.startswith("Inbox for spool: http://127.0.0.1:")
    status, page = fetch(address_in(line))
    assert status == 200
    assert "OrderError" in page
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=180)
    assert (process.returncode, errors.strip()) == (0, "")


def test_program_that_is_no_browser_needs_the_token(run, tmp_path):
    _, line = run("spool", "--port", "0")
    assert fetch(address_in(line), Connection="close")[0] == 403


def test_only_this_machine_is_listened_to(run):
    _, line = run("spool", "--port", "0")
    port = int(address_in(line).rpartition(":")[2].strip("/"))
    names = {found[4][0] for found in socket.getaddrinfo(socket.gethostname(), port, socket.AF_INET)}
    for name in names - {"127.0.0.1"}:
        if not name.startswith("127."):
            with pytest.raises(OSError):
                socket.create_connection((name, port), timeout=5).close()


def test_directory_need_not_exist_yet(run):
    _, line = run("absent", "--port", "0")
    assert line.startswith("Inbox for absent, which does not exist yet: http://")
    assert "Nothing yet" in fetch(address_in(line))[1]


def test_another_port_is_used_if_the_usual_one_is_taken(run):
    lines = [run("spool")[1] for _ in range(2)]
    assert len(set(map(address_in, lines))) == 2


def test_browser_is_opened_when_asked(run, tmp_path):
    opener = tmp_path / "opener"
    opener.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    opener.chmod(0o700)
    process, line = run("spool", "--port", "0", "--open", BROWSER=f"{opener} %s")
    process.stdout.readline()
    fetch(address_in(line))
    assert (tmp_path / "opened").read_text().strip() == address_in(line)


def test_taken_port_is_an_error(capsys, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["inbox", str(tmp_path), "--port", port]) == 2
    assert f"port {port}: " in capsys.readouterr().err


def test_file_is_no_directory(capsys, tmp_path):
    (tmp_path / "app.ini").write_text("")
    assert main(["inbox", str(tmp_path / "app.ini")]) == 2
    assert "is not a directory: give the spool_dir of the filter" in capsys.readouterr().err


def test_unknown_editor_is_an_error(capsys, tmp_path):
    assert main(["inbox", str(tmp_path), "--editor", "javascript:{path}"]) == 2
    assert "expected one of" in capsys.readouterr().err


@pytest.mark.parametrize("port", ["x", "-1", "65536", "1.5"])
def test_malformed_port_is_an_error(capsys, tmp_path, port):
    with pytest.raises(SystemExit) as caught:
        main(["inbox", str(tmp_path), f"--port={port}"])
    assert caught.value.code == 2
    assert "expected a port from 0 to 65535" in capsys.readouterr().err


def test_what_to_install_is_said_where_jinja2_is_missing(capsys, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    assert main(["inbox", str(tmp_path), "--port", "0"]) == 2
    assert "pip install 'sentry-paste[inbox]'" in capsys.readouterr().err
