import functools
import gc
import logging
import os
import sys
import tempfile
import textwrap
import time

import jinja2
import pytest
import sentry_relay.processing
import sentry_sdk
import sentry_sdk.integrations
import sentry_sdk.monitor
from hypothesis import settings
from paste.deploy import loadapp
from sentry_sdk.scope import Scope

from sentry_paste.client.registry import registry
from sentry_paste.client.reloading import reloading
from sentry_paste.config import watched
from sentry_paste.inbox.app import Templates
from sentry_paste.redaction import time_limit
from sentry_paste.testing import CapturedEnvelopes, capture_envelopes

import receiver as receiver_module

# How long an example takes is a matter of the disk, and of what else the machine does.
settings.register_profile("sentry_paste", deadline=None)
settings.load_profile("sentry_paste")

# No test depends on how fast the machine is: for redaction, time stands still.
time_limit._thread_time = lambda: 0.0

# Collecting 17,000 tests makes no garbage, and takes twice as long where some is looked for all the time.
gc.disable()


def pytest_collection_finish():
    """Keep the garbage collector out of the collected tests: to look at all takes nearly half a second."""
    gc.enable()
    gc.freeze()


@pytest.fixture(autouse=True, scope="module")
def _no_old_objects():
    """Keep the garbage collector, and who asks it for referrers, out of what the tests before have left."""
    gc.collect()
    gc.freeze()


class _TimeOfMonitors:
    """``time`` for the SDK's monitors, whose threads end soon after them here, not up to ten seconds later.

    Otherwise there are hundreds of them in a run, each of which the profiler samples.
    """

    def __getattr__(self, name):
        return getattr(time, name)

    @staticmethod
    def sleep(seconds, _monotonic=time.monotonic, _sleep=time.sleep):
        monitor = sys._getframe(1).f_locals.get("self")
        until = _monotonic() + seconds
        while getattr(monitor, "_running", True) and (left := until - _monotonic()) > 0:
            _sleep(min(left, 0.2))


sentry_sdk.monitor.time = _TimeOfMonitors()

# For each client the SDK imports again, in vain, what integrates libraries that are not installed: ten of the
# eleven milliseconds that a client takes.
_integrations = sentry_sdk.integrations.iter_default_integrations
sentry_sdk.integrations.iter_default_integrations = functools.cache(
    lambda with_auto_enabling_integrations: tuple(_integrations(with_auto_enabling_integrations))
)


class _CompiledTemplates(jinja2.BytecodeCache):
    """The inbox's templates, compiled once in a run: that is most of what an inbox's first page costs."""

    def __init__(self):
        self._code = {}

    def load_bytecode(self, bucket):
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket):
        self._code[bucket.key, bucket.checksum] = bucket.code


_compiled_templates = _CompiledTemplates()
_make_templates = Templates.__init__


def _make_compiled_templates(self, settings):
    _make_templates(self, settings)
    self._environment.bytecode_cache = _compiled_templates


Templates.__init__ = _make_compiled_templates

_NORMALIZER = sentry_relay.processing.StoreNormalizer(
    project_id=1,
    protocol_version="7",
    client=f"sentry.python/{sentry_sdk.VERSION}",
    remove_other=True,
    is_renormalize=False,
    enable_trimming=True,
    normalize_user_agent=True,
)


def assert_valid_for_sentry(envelopes):
    """Put every event through Sentry's own normaliser, which must have nothing against it."""
    for event in CapturedEnvelopes(envelopes).payloads("event", "transaction"):
        normal = _NORMALIZER.normalize_event(dict(event))
        assert not normal.get("errors"), normal["errors"]


@pytest.fixture(autouse=True)
def _clean_slate(monkeypatch, tmp_path):
    """No client, no scope and no variable of Sentry's comes from another test or from outside."""
    for name in [name for name in os.environ if name.startswith("SENTRY_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    # First, as its forks copy its attributes.
    sentry_sdk.get_global_scope().clear()
    Scope.set_isolation_scope(Scope.get_global_scope().fork())
    Scope.set_current_scope(Scope.get_global_scope().fork())
    levels = logging.root.manager.disable
    yield
    reloading.reset()
    registry.reset()
    sentry_sdk.get_client().close()
    sentry_sdk.get_global_scope().set_client(None)
    logging.disable(levels)
    _end_profiler()


def _end_profiler():
    """End the SDK's profiler of transactions, which would sample all threads until the end of the run."""
    profiler = sys.modules.get("sentry_sdk.profiler.transaction_profiler")
    if getattr(profiler, "_scheduler", None) is not None:
        profiler.teardown_profiler()


@pytest.fixture
def captured():
    """What is captured while the test runs; all of it must be valid for Sentry."""
    with capture_envelopes(warn=False) as envelopes:
        yield envelopes
    assert_valid_for_sentry(envelopes)


@pytest.fixture
def captured_unchecked():
    """What is captured where the test itself has put nonsense into it."""
    with capture_envelopes(warn=False) as envelopes:
        yield envelopes


@pytest.fixture
def receiver():
    """A receiver on loopback; all it gets must be valid for Sentry."""
    with receiver_module.serve() as found:
        yield found
        registry.reset()
    assert_valid_for_sentry(found.envelopes)


@pytest.fixture
def write_ini(tmp_path):
    """Write ini text to a file and return its path."""

    def write(text, name="test.ini"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return path

    return write


@pytest.fixture
def load(write_ini):
    """Load the app of an ini text as a server would."""

    def load(text, name="main", **kwargs):
        return loadapp(f"config:{write_ini(text)}#{name}", **kwargs)

    return load


@pytest.fixture
def files_of_reload(tmp_path, monkeypatch):
    """``reload`` applies files that were just written, and has its own in a directory of the test."""
    monkeypatch.setattr(watched, "FRESH", 0.0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
