"""``sentry-paste run``: what it starts, and in which environment; servers are in ``tests/test_run.py``."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import sentry_paste
from sentry_paste.cli import run
from sentry_paste.cli.main import main

import receiver
import servers

TESTS = Path(__file__).parent.parent
SITE = Path(sentry_paste.__file__).parent / "autoload" / "site"
APP = "[app:main]\npaste.app_factory = apps:make_app\n"


def started(*words, python=sys.executable, **variables):
    """Run a command to its end; return what it printed."""
    ended = subprocess.run(
        [python, "-m", "sentry_paste", "run", *map(str, words)],
        env=servers.environment(**variables),
        capture_output=True,
        encoding="utf-8",
        timeout=180,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def shown(expression, *words, **variables):
    """Return the value of an expression in a Python that is started."""
    script = f"import json, os, sys; print(json.dumps({expression}))"
    return json.loads(started(*words, sys.executable, "-c", script, **variables))


@pytest.fixture
def executed(monkeypatch):
    """What would be executed: program, words, environment."""
    found = []
    monkeypatch.setattr(os, "execve", lambda *arguments: found.append(arguments))
    monkeypatch.setattr(os, "name", "posix")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 0))
    return found


def test_command_has_its_own_options(executed):
    main(["run", "--config", os.devnull, sys.executable, "-c", "pass", "--config", "x", "--help"])
    ((program, words, environment),) = executed
    assert (program, words[1:]) == (sys.executable, ["-c", "pass", "--config", "x", "--help"])
    assert environment["SENTRY_PASTE_CONFIG"] == os.devnull


def test_folder_is_first_on_the_path_and_there_once(executed, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/srv", str(SITE), "/opt"]))
    main(["run", sys.executable])
    assert executed[0][2]["PYTHONPATH"].split(os.pathsep) == [str(SITE), "/srv", "/opt"]


def test_empty_entry_of_the_path_is_the_current_directory_and_stays(executed, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", f"{os.pathsep}/srv")
    main(["run", sys.executable])
    assert executed[0][2]["PYTHONPATH"].split(os.pathsep) == [str(SITE), "", "/srv"]
    monkeypatch.setenv("PYTHONPATH", "")
    main(["run", sys.executable])
    assert executed[1][2]["PYTHONPATH"] == str(SITE)


@pytest.mark.parametrize("words", [["--"], []])
def test_two_dashes_may_stand_before_the_command_and_stay_after_it(executed, words):
    main(["run", *words, sys.executable, "-c", "pass", "--", "x"])
    assert executed[0][1][1:] == ["-c", "pass", "--", "x"]


def test_without_a_file_the_variable_stays(executed, monkeypatch):
    monkeypatch.setenv("SENTRY_PASTE_CONFIG", "/etc/sentry.ini")
    main(["run", sys.executable])
    assert executed[0][2]["SENTRY_PASTE_CONFIG"] == "/etc/sentry.ini"


def test_program_is_searched_for_on_the_path_and_then_next_to_python(tmp_path, monkeypatch):
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "tool").touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "second" / "python"))
    assert run.find_program("tool") == str(tmp_path / "second" / "tool")
    monkeypatch.setenv("PATH", str(tmp_path / "first"))
    assert run.find_program("tool") == str(tmp_path / "first" / "tool")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["nosuchprogram"], "there is no program 'nosuchprogram' on PATH or in "),
        (["--config", "nosuch.ini", "pserve"], "No such file or directory: 'nosuch.ini'"),
    ],
)
def test_what_is_not_there_is_said_with_status_2(capsys, executed, words, reason):
    assert main(["run", *words]) == 2
    assert capsys.readouterr().err.startswith("sentry-paste: ")
    assert executed == []


@pytest.mark.parametrize(
    ("line", "flag"),
    [
        ("#!/usr/bin/python3 -sE", "-sE"),
        ("#!/usr/bin/python3 -I", "-I"),
        ("#!/usr/bin/env python3", ""),
        ("#!/srv/Email/bin/python3 -s", ""),
        ("#!/bin/sh -E", ""),
        ("\x7fELF", ""),
    ],
)
def test_script_that_ignores_the_path_is_warned_of(tmp_path, executed, capsys, line, flag):
    script = tmp_path / "tool"
    script.write_text(f"{line}\npass\n")
    script.chmod(0o755)
    main(["run", str(script)])
    expected = f"sentry-paste: {flag} in the first line of {script} has Python ignore run\n" if flag else ""
    assert capsys.readouterr().err == expected
    assert len(executed) == 1


def test_command_takes_the_place_of_the_process():
    words = [
        sys.executable,
        "-m",
        "sentry_paste",
        "run",
        sys.executable,
        "-c",
        "import os; print(os.getpid())",
    ]
    with subprocess.Popen(words, env=servers.environment(), stdout=subprocess.PIPE) as process:
        assert int(process.communicate(timeout=180)[0]) == process.pid


def test_exit_status_is_that_of_the_command():
    words = [sys.executable, "-m", "sentry_paste", "run", sys.executable, "-c", "raise SystemExit(7)"]
    assert subprocess.run(words, env=servers.environment(), timeout=180).returncode == 7


def test_sdk_is_imported_only_where_an_app_is_loaded(write_ini):
    assert shown("[name for name in sys.modules if name.startswith('sentry')]") == []
    script = "import sys, paste.deploy; print('sentry_sdk' in sys.modules)"
    assert started(sys.executable, "-c", script) == "False\n"
    path = write_ini(APP)
    script = f"import sys; from paste.deploy import loadapp; print(type(loadapp('config:{path}')).__name__)"
    assert (
        started(sys.executable, "-c", script, SENTRY_PASTE_SPOOL_DIR=path.parent / "var")
        == "SentryMiddleware\n"
    )


def test_processes_that_the_command_starts_are_covered(write_ini):
    path = write_ini(APP)
    inner = f"from paste.deploy import loadapp; print(type(loadapp('config:{path}')).__name__)"
    script = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {inner!r}], check=True)"
    assert (
        started(sys.executable, "-c", script, SENTRY_PASTE_SPOOL_DIR=path.parent / "var")
        == "SentryMiddleware\n"
    )


def test_sys_path_is_as_without_it():
    assert str(SITE) not in shown("sys.path")


def test_sitecustomize_that_was_there_is_imported(tmp_path):
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.was_there = True\n")
    found = shown("[sys.was_there, __import__('sitecustomize').__file__]", PYTHONPATH=str(tmp_path))
    assert found == [True, str(tmp_path / "sitecustomize.py")]


def test_agent_that_executes_ours_again_changes_nothing(tmp_path, write_ini):
    again = f"runpy.run_path({str(SITE / 'sitecustomize.py')!r})"
    text = f"import runpy, sys\nsys.modules['sitecustomize'] = sys\n{again}\n"
    (tmp_path / "sitecustomize.py").write_text(text)
    script = (
        f"from paste.deploy import loadapp; app = loadapp('config:{write_ini(APP)}'); "
        "print(type(app).__name__, type(app.app).__name__)"
    )
    variables = {"PYTHONPATH": f"{tmp_path}:{TESTS}", "SENTRY_PASTE_SPOOL_DIR": str(tmp_path / "var")}
    assert started(sys.executable, "-c", script, **variables) == "SentryMiddleware function\n"


def test_paste_deploy_that_is_imported_before_is_patched(tmp_path, write_ini):
    """As a .pth file could."""
    path = write_ini(APP)
    script = (
        f"import runpy, paste.deploy; runpy.run_path({str(SITE / 'sitecustomize.py')!r}); "
        f"print(type(paste.deploy.loadwsgi.loadapp('config:{path}')).__name__)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.modules['sitecustomize'] = sys; {script}"],
        env=servers.environment(SENTRY_PASTE_SPOOL_DIR=str(tmp_path / "var")),
        capture_output=True,
        encoding="utf-8",
        timeout=180,
    )
    assert ended.stdout == "SentryMiddleware\n", ended.stderr


def test_process_without_an_app_has_no_other_modules_than_before():
    bare = [sys.executable, "-c", "import json, sys; print(json.dumps(sorted(sys.modules)))"]
    before = subprocess.run(
        bare, env=servers.environment(), capture_output=True, check=True, timeout=180
    ).stdout
    assert set(shown("sorted(sys.modules)")) - set(json.loads(before)) <= {"sitecustomize", "os"}


def test_without_another_sitecustomize_ours_is_the_module():
    assert shown("__import__('sitecustomize').__file__") == str(SITE / "sitecustomize.py")


def test_sitecustomize_that_fails_fails_as_before_and_apps_are_covered(tmp_path, write_ini):
    (tmp_path / "sitecustomize.py").write_text("import nosuchmodule\n")
    path = write_ini(APP)
    script = f"from paste.deploy import loadapp; print(type(loadapp('config:{path}')).__name__)"
    ended = subprocess.run(
        [sys.executable, "-m", "sentry_paste", "run", sys.executable, "-c", script],
        env=servers.environment(
            SENTRY_PASTE_SPOOL_DIR=str(tmp_path / "var"),
            PYTHONPATH=f"{tmp_path}:{TESTS}",
        ),
        capture_output=True,
        encoding="utf-8",
        timeout=180,
    )
    assert ended.stdout == "SentryMiddleware\n"
    assert "No module named 'nosuchmodule'" in ended.stderr


def test_python_without_sentry_paste_says_so_and_loads_the_app(tmp_path, write_ini):
    """As in an environment of its own: here an import hook hides the package."""
    hide = "import sys\nsys.modules['sentry_paste.autoload'] = None\n"
    script = (
        f"{hide}from paste.deploy import loadapp\nprint(type(loadapp('config:{write_ini(APP)}')).__name__)"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "sentry_paste", "run", sys.executable, "-c", script],
        env=servers.environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=180,
    )
    assert ended.stdout == "function\n"
    assert f"sentry-paste run: no Sentry in this process of {sys.executable}: " in ended.stderr


SERVER = "[server:main]\nuse = egg:waitress#main\nlisten = 127.0.0.1:{port}\n"


def serve(command, folder, ini, **variables):
    """Start a server by run, for an ini that says nothing of Sentry; variables are its options."""
    port = servers.free_port()
    (folder / "app.ini").write_text(ini + SERVER.format(port=port))
    words = [word.format(port=port) for word in command]
    options = {f"SENTRY_PASTE_{name}": value for name, value in variables.items()}
    return servers.started([sys.executable, "-m", "sentry_paste", "run", *words], port, folder, **options)


GUNICORN = ("gunicorn", "--paste", "app.ini", "-b", "127.0.0.1:{port}", "-w", "2")
PSERVE = ("pserve", "app.ini")


_STARTED = "Booting worker|Starting server in PID"


def crash(server):
    return server.ask(servers.request_bytes("/crash"))


@pytest.mark.parametrize(
    ("command", "reload"),
    [
        ((*GUNICORN, "--preload"), None),
        (GUNICORN, lambda server, folder: server.process.send_signal(signal.SIGHUP)),
        ((*PSERVE, "--reload"), lambda server, folder: (folder / "app.ini").touch()),
    ],
    ids=["gunicorn --preload", "gunicorn, SIGHUP", "pserve --reload"],
)
def test_workers_are_covered_after_a_reload(tmp_path, command, reload):
    with receiver.serve() as received, serve(command, tmp_path, APP, DSN=received.dsn) as server:
        crash(server)
        received.wait(errors=1)
        if reload is not None:
            said, seconds = len(re.findall(_STARTED, server.output())), 3
            while len(re.findall(_STARTED, server.output())) == said:
                assert seconds < 100, server.output()
                # Again, as the monitor may only now look at the file for the first time; later each time, as
                # a busy machine may need longer to start, and each reload begins anew.
                reload(server, tmp_path)
                time.sleep(seconds)
                seconds *= 2
            # The last reload may have come when one was under way.
            while said != (said := len(re.findall(_STARTED, server.output()))):
                time.sleep(3)
            crash(server)
            received.wait(errors=2)
    assert len(received.errors) == (1 if reload is None else 2)


def test_wrong_option_stops_the_start_with_the_usual_error(tmp_path):
    (tmp_path / "app.ini").write_text(APP + SERVER.format(port=servers.free_port()))
    ended = subprocess.run(
        [sys.executable, "-m", "sentry_paste", "run", "pserve", "app.ini"],
        env=servers.environment(SENTRY_PASTE_SAMPLE_RATE="2"),
        cwd=tmp_path,
        capture_output=True,
        encoding="utf-8",
        timeout=180,
    )
    assert ended.returncode == 1
    assert "environment: 1 mistake in the options of sentry_paste" in ended.stderr
    assert "SENTRY_PASTE_SAMPLE_RATE = 2: expected a number from 0 to 1" in ended.stderr


@pytest.mark.parametrize("command", [GUNICORN, PSERVE], ids=["gunicorn", "pserve"])
def test_crash_at_start_up_is_reported(tmp_path, command):
    port = servers.free_port()
    ini = "[app:main]\npaste.app_factory = apps:make_crashing_factory\n"
    (tmp_path / "app.ini").write_text(ini + SERVER.format(port=port))
    words = [word.format(port=port) for word in command]
    with receiver.serve() as received:
        ended = subprocess.run(
            [sys.executable, "-m", "sentry_paste", "run", *words],
            env=servers.environment(SENTRY_PASTE_DSN=received.dsn),
            cwd=tmp_path,
            capture_output=True,
            timeout=180,
        )
        assert ended.returncode != 0
    assert {event["exception"]["values"][-1]["value"] for event in received.errors} == {
        "the app's factory crashed"
    }


def test_filter_in_the_ini_is_the_only_one_and_the_log_says_so(tmp_path):
    ini = f"{APP}filter-with = sentry\n[filter:sentry]\nuse = egg:sentry_paste\nrelease = of-the-ini\n"
    with receiver.serve() as received:
        variables = {"DSN": "https://key@sentry.example/1", "RELEASE": "of-run"}
        with serve(PSERVE, tmp_path, f"[DEFAULT]\nsentry.dsn = {received.dsn}\n{ini}", **variables) as server:
            crash(server)
            received.wait(errors=1)
            assert f"sentry-paste run adds no filter to {tmp_path / 'app.ini'}" in server.output()
        assert [event["release"] for event in received.errors] == ["of-the-ini"]
