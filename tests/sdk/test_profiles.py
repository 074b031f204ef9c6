"""Profiles: to take them never hangs the process."""

import gc
import subprocess
import sys

import pytest

from sentry_paste import SentryMiddleware, sdk

import servers

only_311 = pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="only CPython 3.11 makes objects then")

# A thread that looks at all others as the SDK's profilers do, and leaves garbage such as transports of closed
# clients are. Without the guard CPython 3.11.7 hangs at once.
LOOKING = """
import gc, sys, threading, time
from sentry_sdk.profiler import continuous_profiler
from sentry_paste import SentryMiddleware

if sys.argv[1] == "guarded":
    SentryMiddleware(lambda environ, start_response: [], dsn="https://key@sentry.invalid/1")
gc.set_threshold(30)
until = time.monotonic() + 3


class Cycle:
    def __init__(self):
        self.local, self.me = threading.local(), self


def look():
    while time.monotonic() < until:
        Cycle()
        continuous_profiler.sys._current_frames()


def call(depth):
    return call(depth - 1) if depth else time.sleep(0.0005)


def work():
    while time.monotonic() < until:
        call(5)


threads = [threading.Thread(target=target, daemon=True) for target in (look, *[work] * 20)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_process_goes_on_while_the_profiler_looks(tmp_path):
    (tmp_path / "looking.py").write_text(LOOKING)
    command = [sys.executable, "-W", "ignore", "looking.py", "guarded"]
    ended = subprocess.run(command, cwd=tmp_path, env=servers.environment(), capture_output=True, timeout=180)
    assert ended.returncode == 0, ended.stderr


@only_311
def test_collector_is_off_only_while_the_profiler_looks(monkeypatch, captured):
    from sentry_sdk.profiler import continuous_profiler

    SentryMiddleware(lambda environ, start_response: [])
    seen = []
    monkeypatch.setattr(sys, "_current_frames", lambda: seen.append(gc.isenabled()) or {})
    assert continuous_profiler.sys._current_frames() == {}
    assert (seen, gc.isenabled()) == ([False], True)
    gc.disable()
    try:
        continuous_profiler.sys._current_frames()
        assert not gc.isenabled()
    finally:
        gc.enable()
    assert continuous_profiler.sys.version_info is sys.version_info
    before = continuous_profiler.sys
    sdk.guard_profilers()
    assert continuous_profiler.sys is before


@only_311
def test_collector_is_on_again_when_looking_fails(monkeypatch, captured):
    from sentry_sdk.profiler import continuous_profiler

    SentryMiddleware(lambda environ, start_response: [])

    def fail():
        raise RuntimeError

    monkeypatch.setattr(sys, "_current_frames", fail)
    with pytest.raises(RuntimeError):
        continuous_profiler.sys._current_frames()
    assert gc.isenabled()
