"""What begins again in a process that was forked."""

import os

import pytest

from sentry_paste.sdk.forks import reset_when_forked


class Renewed:
    def __init__(self, fails):
        self.fails = fails
        self.has_begun = False

    def reset_after_fork(self):
        self.has_begun = True
        if self.fails:
            raise RuntimeError("it cannot begin again")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="a fork is of Unix")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_what_cannot_begin_again_keeps_nothing_else_from_it(capfd):
    renewed = [Renewed(fails) for fails in (True, False, True, False)]
    for one in renewed:
        reset_when_forked(one)
    child = os.fork()
    if not child:
        os._exit(0 if all(one.has_begun for one in renewed) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert not any(one.has_begun for one in renewed)
    # This is how Python reports what is raised in a fork, which cannot be caught.
    assert "Exception ignored" not in capfd.readouterr().err
