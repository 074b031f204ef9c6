"""What could not be done with a claimed file, and is tried again."""

import os
from functools import partial

import pytest

from sentry_paste.spool import Spool
from sentry_paste.spool.owner import current
from sentry_paste.spool.transport import Unfinished

from spooled import envelope, states

needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="a fork is of Unix")


@pytest.fixture
def spool(tmp_path):
    return Spool(tmp_path / "spool")


def fail(*args):
    raise OSError("read-only")


def fail_to_release(spool, unfinished, monkeypatch, **options):
    file = spool.write(envelope(), owner=current()._replace(**options))
    with monkeypatch.context() as patch:
        patch.setattr("os.rename", fail)
        with pytest.raises(OSError, match="read-only"):
            unfinished.attempt(file, partial(spool.release, file))


def test_what_has_failed_is_tried_again_until_it_succeeds(spool, monkeypatch):
    unfinished = Unfinished()
    fail_to_release(spool, unfinished, monkeypatch)
    with monkeypatch.context() as patch:
        patch.setattr("os.rename", fail)
        unfinished.retry()
    assert states(spool) == [("error", "claimed")]
    unfinished.retry()
    assert states(spool) == [("error", "waiting")]


def test_file_of_another_process_is_left_to_it(spool, monkeypatch):
    unfinished = Unfinished()
    fail_to_release(spool, unfinished, monkeypatch, started=1)
    unfinished.retry()
    assert states(spool) == [("error", "claimed")]


@needs_fork
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_child_does_not_release_what_its_parent_has_claimed(spool, monkeypatch):
    unfinished = Unfinished()
    fail_to_release(spool, unfinished, monkeypatch)
    child = os.fork()
    if child == 0:  # pragma: no cover
        unfinished.retry()
        os._exit(0)
    os.waitpid(child, 0)
    assert states(spool) == [("error", "claimed")]
