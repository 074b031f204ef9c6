"""Each option is one that a running process takes over, or one that waits for the next start."""

import os
import threading

import pytest
from paste.deploy import loadwsgi

from sentry_paste.config import ConfigError, read_ini
from sentry_paste.config.examples import example
from sentry_paste.config.inifile import IniFile
from sentry_paste.config.options import options
from sentry_paste.config.reload import read_again
from sentry_paste.config.reload_sources import find_source
from sentry_paste.config.watched import Texts

INI = """
    [filter:sentry]
    use = egg:sentry_paste
    {line}
"""
# What a filter cannot be started with here, or what is not there: files, other packages.
LINES = {
    "dsn": "dsn = https://k@o0.ingest.sentry.io/1",
    "release": "release = 2.0",
    "integrations": "integrations = redis",
    "disabled_integrations": "disabled_integrations = threading",
    "integration.NAME.ARGUMENT": "integration.logging.event_level = WARNING",
    "functions_to_trace": "functions_to_trace = os.path.join",
    "user_feedback": "user_feedback = true",
    "expected_exceptions": "expected_exceptions = KeyError",
    "error_sample_rates": "error_sample_rates = KeyError 0.5",
    "ignore_exceptions": "ignore_exceptions = KeyError",
    "proxy_headers": "proxy_headers.Proxy-Authorization = Basic x",
    "default_integrations": "default_integrations = false",
}
HOOKS = {"hook", "object", "transport", "dict", "scrubber"}


def line_of(name):
    return LINES.get(name) or example(name)


def names():
    for name in options():
        line = line_of(name)
        yield name, line if "=" in line.split("\n")[0] else f"{name} = {line}"


def read(path):
    context = loadwsgi.loadcontext(loadwsgi.FILTER, f"config:{path}", "sentry")
    return read_ini(context.global_conf, context.local_conf), find_source(
        context.global_conf, context.local_conf
    )


@pytest.mark.parametrize(("name", "line"), list(names()))
def test_option_applies_at_once_or_at_the_next_start(write_ini, tmp_path, name, line):
    if name == "dsn_file":
        (tmp_path / "dsn").write_text("https://k@o0.ingest.sentry.io/1")
        line = "dsn_file = dsn"
    line = line.replace("${SENTRY_DSN}", "https://k@o0.ingest.sentry.io/1")
    settings, source = read(write_ini(INI.format(line="")))
    path = write_ini(INI.format(line=line.replace("\n", "\n        ")))
    found = read_again(source, settings, Texts())
    changed, fixed = {change.option for change in found.changes}, set(found.fixed)
    assert len(changed | fixed) == 1
    (seen,) = changed | fixed
    assert seen.split(".")[0] == name.split(".")[0]
    waits = not options()[name].reloadable or name == "profiles_sample_rate"
    assert bool(fixed) == waits
    if fixed:
        assert found.settings.sdk == settings.sdk
    else:
        assert found.settings != settings
    # What a process is started with is the same when it is read again.
    if options()[name].kind.name in HOOKS:
        return
    try:
        started, source = read(path)
    except ConfigError:  # files and packages that are not here
        return
    again = read_again(source, started, Texts())
    assert (again.changes, again.fixed) == ((), ())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes")
def test_pipe_that_another_section_names_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    reader = threading.Thread(target=IniFile.read, args=(str(tmp_path / "pipe"),), daemon=True)
    reader.start()
    reader.join(30)
    assert not reader.is_alive()


def test_profiles_may_be_sampled_differently_once_the_profiler_runs(write_ini):
    if not options()["profiles_sample_rate"].reloadable:
        pytest.skip("decided when a client is made")
    settings, source = read(write_ini(INI.format(line="profiles_sample_rate = 0.5")))
    write_ini(INI.format(line="profiles_sample_rate = 0.1"))
    found = read_again(source, settings, Texts())
    assert found.settings.sdk["profiles_sample_rate"] == 0.1
    assert not found.fixed


@pytest.mark.parametrize(
    ("start", "steps", "waits"),
    [
        ("0.0", ["0.5"], [True]),
        ("0.5", ["0.0", "0.5"], [False, False]),
        ("0.0", ["0.0", "0.0"], [False, False]),
    ],
)
def test_profiles_wait_for_the_profiler_that_a_rate_of_zero_does_not_start(write_ini, start, steps, waits):
    if not options()["profiles_sample_rate"].reloadable:
        pytest.skip("decided when a client is made")
    started, source = read(write_ini(INI.format(line=f"profiles_sample_rate = {start}")))
    settings, found = started, []
    for rate in steps:
        write_ini(INI.format(line=f"profiles_sample_rate = {rate}"))
        settings, _, fixed = read_again(source, settings, Texts(), started)
        found.append(fixed == ("profiles_sample_rate",))
    assert found == waits


def test_what_waits_keeps_its_value_next_to_what_applies(write_ini):
    settings, source = read(write_ini(INI.format(line="environment = a\n    sample_rate = 0.5")))
    write_ini(INI.format(line="environment = b\n    sample_rate = 0.1\n    tags.x = y"))
    found = read_again(source, settings, Texts())
    assert dict(found.settings.sdk) == {"environment": "a", "sample_rate": 0.1}
    assert found.settings.tags == {"x": "y"}
    assert [tuple(change) for change in found.changes] == [
        ("sample_rate", "0.5", "0.1"),
        ("tags.x", None, "y"),
    ]
    assert found.fixed == ("environment",)
