"""``sentry-paste reload``: which processes it finds, what it says of each, and its exit status."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from paste.deploy import loadapp
from webtest import TestApp

from sentry_paste.cli import main, reload
from sentry_paste.client import reloading as reloading_module
from sentry_paste.client.reloading import reloading
from sentry_paste.client.workers import directory_of_user

import installed
import servers

INI = """
    [filter:sentry]
    use = egg:sentry_paste
    spool_dir = %(here)s/spool
    reload = {reload}
    {options}

    [pipeline:main]
    pipeline = sentry app

    [app:app]
    paste.app_factory = apps:make_app
    app = answer_list

    [server:main]
    use = egg:waitress#main
    listen = 127.0.0.1:{port}
"""


@pytest.fixture(autouse=True)
def no_other_processes(files_of_reload, monkeypatch):
    monkeypatch.setattr(reload, "_BASES", ())


@pytest.fixture
def write(write_ini):
    def write(*options, mode="true", port=0, ini=INI):
        return write_ini(ini.format(options="\n    ".join(options), reload=mode, port=port))

    return write


@pytest.fixture
def app(write, captured):
    return TestApp(loadapp(f"config:{write('traces_sample_rate = 0.0')}"))


@pytest.fixture
def command(app, monkeypatch, capsys):
    """Run the command; while it waits, the process gets a request."""

    def command(*arguments, has_requests=True):
        def sleep(_seconds):
            if has_requests:
                reloading.due = float("-inf")
                app.get("/")

        answer = reload.reload
        with monkeypatch.context() as patch:
            patch.setattr(reload, "reload", lambda target, seconds: answer(target, seconds, sleep))
            status = main.main(["reload", *map(str, arguments)])
        output = capsys.readouterr()
        return status, output.out + output.err

    return command


def test_says_what_has_changed(command, write):
    path = write("traces_sample_rate = 0.5", "ignore_paths = /health")
    status, output = command(os.getpid())
    assert status == 0
    lines = output.splitlines()
    assert lines[0].startswith(f"{os.getpid()} ")
    assert lines[1:] == [
        f"  {path} [filter:sentry]",
        "    changed:",
        "      ignore_paths = /health",
        "      traces_sample_rate = 0.5 (was 0.0)",
    ]


def test_says_that_nothing_has_changed_and_what_did_before(app, command, write):
    status, output = command(os.getpid())
    assert (status, "nothing has changed since it was read last" in output) == (0, True)
    write("traces_sample_rate = 0.5")
    reloading.due = float("-inf")
    app.get("/")


def test_change_that_was_already_seen_is_said(app, command, write):
    write("traces_sample_rate = 0.5")
    reloading.due = float("-inf")
    app.get("/")
    _, output = command(os.getpid())
    assert re.search(r"last change, \d+ s ago:\n      traces_sample_rate = 0.5 \(was 0.0\)", output)


def test_mistake_is_said_with_its_line(command, write):
    path = write("traces_sample_rate = 0.5", "ignore_path = /health")
    status, output = command(os.getpid())
    assert status == 2
    assert "mistakes, so the rules that were read before still apply:" in output
    assert "line 7: ignore_path: is not an option" in " ".join(output.split())
    assert "did you mean ignore_paths?" in " ".join(output.split())
    assert str(path) in output


def test_many_mistakes_are_not_all_said(command, write):
    lines = "\n".join(f"        wrong{number} x y" for number in range(150))
    write(f"error_sample_rates =\n{lines}")
    status, output = command(os.getpid())
    assert status == 2
    assert "wrong99" in output
    assert "wrong100" not in output
    assert "and 50 more" in output


def test_what_waits_for_the_next_start_is_said(command, write):
    write("traces_sample_rate = 0.5", "environment = other")
    status, output = command(os.getpid())
    assert (status, "takes effect at the next start: environment" in output) == (0, True)


def test_what_the_apps_own_client_does_not_follow_is_said(command, write, monkeypatch):
    monkeypatch.setattr(reloading_module.Watch, "_has_client", lambda _: False)
    write("traces_sample_rate = 0.5", "ignore_messages = a")
    status, output = command(os.getpid())
    assert status == 0
    assert output.splitlines()[2:] == [
        "    no effect on the app's own client: ignore_messages, traces_sample_rate"
    ]


def test_process_without_requests_does_not_answer(command, write):
    write("traces_sample_rate = 0.5")
    status, output = command("--timeout", "0.1", os.getpid(), has_requests=False)
    assert status == 1
    assert "no request yet; it reads the ini before its next one" in output


def test_all_processes_of_an_ini_or_a_spool_are_found(command, write, tmp_path):
    path = write("traces_sample_rate = 0.5")
    for target in (path, tmp_path / "spool"):
        (tmp_path / "spool").mkdir(exist_ok=True)
        status, output = command(target)
        assert (status, str(os.getpid()) in output) == (0, True)


def test_process_is_found_by_the_one_that_has_started_it(command):
    assert command(os.getppid())[0] == 0


def test_json_has_all_of_it(command, write):
    write("traces_sample_rate = 0.5", "traces_keep = eror")
    status, output = command("--json", os.getpid())
    found = json.loads(output)
    assert (status, found["ok"]) == (2, False)
    (process,) = found["processes"]
    assert process["pid"] == os.getpid()
    assert process["answered"]
    (mistake,) = process["filters"][0]["mistakes"]
    assert (mistake["line"], mistake["option"], mistake["value"]) == (7, "traces_keep", "eror")


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("1", "process 1 has no filter with reload = true or command"),
        ("4194305", "there is no process 4194305"),
        ("nowhere.ini", "nowhere.ini is neither the id of a process nor a file or directory"),
        (".", "no process with the same TMPDIR that uses . has a filter with reload = true or command"),
    ],
)
def test_process_that_cannot_be_meant(target, text, capsys):
    assert main.main(["reload", target]) == 2
    assert text in capsys.readouterr().err


def test_file_of_a_process_that_has_ended_is_ignored_and_removed(app, write, tmp_path):
    own = Path(reloading._file._path)
    pid = str(os.getpid())
    old = own.with_name(own.name.replace(f"-{pid}-", "-4194303-"))
    old.write_text(own.read_text())
    found = reload.find_targets(str(tmp_path / "test.ini"))
    assert [worker.owner.pid for worker in found.serving] == [os.getpid()]
    reloading._file.forget()
    reloading.show()
    assert not old.exists()


def test_link_in_place_of_a_file_is_not_followed(app, write, tmp_path):
    own, other = Path(reloading._file._path), tmp_path / "other"
    other.write_text(own.read_text())
    before = other.stat().st_mtime_ns
    own.unlink()
    own.symlink_to(other)
    with pytest.raises(ValueError, match="no filter"):
        reload.reload(str(os.getpid()), 0.1)
    assert other.stat().st_mtime_ns == before


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root makes another user's")
@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the user of a process is not known")
def test_another_user_cannot_speak_for_a_process(app, tmp_path):
    own = Path(reloading._file._path)
    other = own.parent.with_name("sentry-paste-4242") / own.name
    other.parent.mkdir()
    other.write_text(own.read_text())
    for path in (other, other.parent):
        os.chown(path, 4242, 4242)
    (found,) = reload.find_targets(str(os.getpid())).serving
    assert found.path.endswith(str(own))  # perhaps by way of the root of the process
    own.unlink()
    with pytest.raises(ValueError, match="no filter"):
        reload.find_targets(str(os.getpid()))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root makes another user's")
def test_file_of_another_user_that_is_linked_is_not_read(app):
    os.chown(reloading._file._path, 4242, 4242)
    with pytest.raises(ValueError, match="no filter"):
        reload.find_targets(str(os.getpid()))


def test_process_notices_within_a_tick_of_the_clock(app, monkeypatch):
    path = reloading._file._path
    monkeypatch.setattr(time, "time_ns", lambda: os.stat(path).st_mtime_ns)
    (found,) = reload.find_targets(str(os.getpid())).serving
    found.touch()
    assert reloading._file.is_touched()


def test_failure_of_ours_is_said(app, command, write, monkeypatch):
    def fail(*_):
        raise OSError("no memory")

    write("traces_sample_rate = 0.5")
    with monkeypatch.context() as patch:
        patch.setattr(app.app, "prepare", fail)
        status, output = command(os.getpid())
    assert status == 2
    assert "could not be read again; the log of the process says why" in output
    assert "changed" not in output
    status, output = command(os.getpid())
    assert status == 0
    assert "traces_sample_rate = 0.5 (was 0.0)" in output


def test_output_has_no_control_characters(command, write):
    write("traces_sample_rate = 0.5", "tags.a = \x1b[31mred")
    assert "\x1b" not in command(os.getpid())[1]


def test_file_is_only_for_its_user(app):
    assert os.stat(directory_of_user()).st_mode & 0o777 == 0o700
    assert os.stat(reloading._file._path).st_mode & 0o777 == 0o600


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_worker_that_has_its_first_request_meanwhile_answers_for_its_master(app, write):
    write("traces_sample_rate = 0.5")
    children = []

    def sleep(_seconds):
        if not children:
            children.append(os.fork())
            if children[0] == 0:
                try:
                    app.get("/")
                    signal.pause()
                finally:
                    os._exit(0)

    try:
        answers = reload.reload(str(os.getpid()), 10, sleep)
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    assert [answer.worker.owner.pid for answer in answers] == children
    assert answers[0].filters()[0]["changes"][0]["after"] == "0.5"


def test_process_that_was_just_looking_is_asked_again(app, write):
    path, looks = write("traces_sample_rate = 0.0"), []

    def sleep(_seconds):
        if not looks:  # it has read the old text before it was asked, and says so afterwards
            reloading._write(time.monotonic())
            path.write_text(path.read_text().replace("0.0", "0.5"))
        else:
            reloading.due = float("-inf")
            app.get("/")
        looks.append(len(looks))

    (answer,) = reload.reload(str(os.getpid()), 10, sleep)
    assert answer.filters()[0]["changes"][0]["after"] == "0.5"


def test_process_that_ends_meanwhile_is_not_waited_for(app):
    with pytest.raises(ValueError, match=r"all processes have ended"):
        reload.reload(str(os.getpid()), 10, lambda _seconds: reloading.reset())


HOSTILE = [{}, [], "\x1b[2J", -1, 1e999, None, [{}], [[]], {"option": [], "read": 1e999}]


@pytest.mark.parametrize("value", HOSTILE, ids=str)
def test_file_that_says_nonsense_is_none(app, value):
    """Root may look at the files of any user."""
    own = Path(reloading._file._path)
    report = json.loads(own.read_text())
    report |= {"begun": 1e999, "asked": True}
    nested = dict.fromkeys(("source", "changes", "at_next_start", "mistakes", "last_change", "files"), value)
    for found in [
        *({**report, key: value} for key in report),
        *({**report, "filters": [{**report["filters"][0], key: value}]} for key in nested),
        *(
            {**report, "filters": [{"result": word, **nested}]}
            for word in ("changed", "unchanged", "mistake")
        ),
    ]:
        own.write_text(json.dumps(found))
        with contextlib.suppress(ValueError):
            answers = reload.reload(str(os.getpid()), 0)
            assert "\x1b" not in reload.answers_text(answers) + reload.answers_json(answers)


@pytest.mark.parametrize("text", ["", "[]", "[" * 100_000, "1" * 100_000, "\udc80"])
def test_file_that_cannot_be_read_is_none(app, text):
    Path(reloading._file._path).write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(ValueError, match="has no filter"):
        reload.reload(str(os.getpid()), 0)


# Real servers.


# Looks at its ini more often: these tests are to be short.
SOON = """
from apps import make_app
from sentry_paste.client import reloading

reloading.INTERVAL = 0.1
"""


def get(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=10) as answer:
        return answer.status


SERVERS = {
    "waitress": ["-m", "pyramid.scripts.pserve", "{ini}"],
    "gunicorn": ["-m", "gunicorn", "--paste", "{ini}", "-b", "127.0.0.1:{port}", "-w", "2"],
    "gevent": ["-m", "gunicorn", "--paste", "{ini}", "-b", "127.0.0.1:{port}", "-w", "2", "-k", "gevent"],
    "preloaded": ["-m", "gunicorn", "--paste", "{ini}", "-b", "127.0.0.1:{port}", "-w", "2", "--preload"],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "mode"),
    [
        ("waitress", "command"),
        ("gunicorn", "true"),
        ("preloaded", "command"),
        ("gevent", "true"),
    ],
)
def test_real_server_reads_its_ini_again(write, tmp_path, name, mode):
    python = installed.python_with(name) if name == "gevent" else sys.executable
    port = servers.free_port()
    (tmp_path / "soon.py").write_text(SOON)
    ini = INI.replace("apps:", "soon:")

    def save(rate):
        return write(f"traces_sample_rate = {rate}", mode=mode, port=port, ini=ini)

    path = save("0.0")
    tests = Path(__file__).parent
    paths = [str(tmp_path), str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "PYTHONPATH": os.pathsep.join(paths)}
    environment["XDG_RUNTIME_DIR"] = str(tmp_path)  # for a socket of gunicorn's
    places = {"{ini}": str(path), "{port}": str(port)}
    arguments = [places.get(each, each.replace("{port}", str(port))) for each in SERVERS[name]]
    server = subprocess.Popen([python, *arguments], env=environment, stderr=subprocess.PIPE)

    def ask(target):
        answers = reload.reload(str(target), 15, lambda _seconds: get(port))
        return reload.status(answers), {each.worker.owner.pid: each.filters()[0] for each in answers}

    try:
        wait_for(port)
        save("1.0")
        status, answers = ask(server.pid)
        # A worker that was forked has no file before its first request.
        assert (status, len(answers)) in [(0, 1), (0, 2)]
        for found in answers.values():
            changes = found["changes"] or found["last_change"]["changes"]
            assert changes == [{"option": "traces_sample_rate", "before": "0.0", "after": "1.0"}]
        save("2")
        status, answers = ask(path)
        assert status == 2
        for found in answers.values():
            assert found["mistakes"][0]["reason"] == "expected a number from 0 to 1"
    finally:
        server.send_signal(signal.SIGINT if name == "waitress" else signal.SIGTERM)
        output = server.communicate(timeout=180)[1]
    assert b"Traceback" not in output
    assert b"Sentry failed" not in output
    assert list((tmp_path / "spool").glob("*"))
    assert not list((tmp_path / "tmp").glob("*/*.json"))


def wait_for(port):
    deadline = time.monotonic() + 120
    while True:
        try:
            get(port)
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
