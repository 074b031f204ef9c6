"""An interrupted command ends at once, without a traceback."""

import os
import pty
import signal
import socket
import subprocess
import sys
import time

import pytest

from sentry_paste.cli.arguments import INTERRUPTED
from sentry_paste.spool import Spool

from spooled import error_event, write_event


def start(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "sentry_paste", *arguments],
        encoding="utf-8",
        stderr=subprocess.PIPE,
        **options,
    )


def interrupt(process):
    process.send_signal(signal.SIGINT)
    return process.communicate(timeout=180)[1]


def test_send_test_that_waits_for_an_answer(write_ini):
    with socket.create_server(("127.0.0.1", 0)) as server:
        path = write_ini(
            f"[filter:sentry]\nuse = egg:sentry_paste\ndsn = http://key@127.0.0.1:{server.getsockname()[1]}/1\n"
            "shutdown_timeout = 0.1\n[app:main]\nuse = egg:myapp\nfilter-with = sentry\n"
        )
        process = start("send-test", str(path), stdout=subprocess.DEVNULL)
        connection, _ = server.accept()
        with connection:
            time.sleep(0.2)
            shown = interrupt(process)
    assert "Traceback" not in shown
    assert shown.endswith("\n")
    assert process.returncode == INTERRUPTED


def test_question_of_purge(tmp_path):
    spool = Spool(tmp_path / "spool")
    write_event(spool, error_event())
    leader, follower = pty.openpty()
    try:
        process = start(
            "spool", "purge", str(spool.directory), stdin=follower, stdout=subprocess.PIPE, bufsize=0
        )
        question = process.stdout.read(6)
        time.sleep(0.2)
        assert (question, interrupt(process)) == ("Remove", "\n")
    finally:
        os.close(leader)
        os.close(follower)
    assert process.returncode == INTERRUPTED
    assert len(spool.files()) == 1


@pytest.mark.parametrize("commands", [["check"], ["spool", "list"], ["sample"]])
def test_any_command(commands, monkeypatch, capsys):
    from sentry_paste.cli import main

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(main, "_run", interrupted)
    assert main.main(commands) == INTERRUPTED
    assert capsys.readouterr() == ("", "\n")
