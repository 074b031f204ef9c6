"""Which environ a thread works with, as far as its frames tell, and that nothing of the app's runs."""

import functools
import sys
import types

import pytest

from sentry_paste.redaction.environs import environs_in, frames_from, frames_of

ENVIRON = {"wsgi.input": None, "HTTP_COOKIE": "sid=q8fh23fh28hf2"}


class Request:
    def __init__(self, environ=ENVIRON):
        self.environ = environ

    def view(self):
        pass


class Slotted:
    __slots__ = ("environ",)

    def __init__(self, environ=ENVIRON):
        self.environ = environ


class Unset(Slotted):
    __slots__ = ()

    def __init__(self):
        pass


class Job:
    def __init__(self, *args, **kwargs):
        self.args, self.kwargs = args, kwargs


class Environ(dict):
    def __contains__(self, key):
        raise AssertionError("of the app's")

    def values(self):
        raise AssertionError("of the app's")


class Hostile:
    """Each of these is code of the app's."""

    def __getattribute__(self, name):
        raise AssertionError(name)

    def __iter__(self):
        raise AssertionError("__iter__")

    def __eq__(self, other):
        raise AssertionError("__eq__")

    __hash__ = None

    @property
    def environ(self):
        raise AssertionError("environ")

    @property
    def __dict__(self):
        raise AssertionError("__dict__")

    @property
    def __class__(self):
        raise AssertionError("__class__")


def found_with(held):
    def inside():
        kept = held
        return environs_in([sys._getframe()]), kept

    return inside()[0]


@pytest.mark.parametrize(
    "held",
    [
        ENVIRON,
        Environ(ENVIRON),
        Request(),
        Slotted(),
        [Request()],
        (1, (Request(),)),
        {"request": Request()},
        Job(Request()),
        functools.partial(print, Request()),
        functools.partial(print, request=Request()),
        Request().view,
        types.SimpleNamespace(request=Request()),
    ],
    ids=lambda held: type(held).__name__,
)
def test_environ_is_found_in(held):
    assert found_with(held) == [ENVIRON]


@pytest.mark.parametrize("held", [None, "x", {}, [], Unset(), object, sys, lambda: ENVIRON])
def test_nothing_is_found_in(held):
    assert found_with(held) == []


def test_nothing_of_the_app_s_runs():
    def inside():
        held = (Hostile(), [Hostile()])
        return environs_in([sys._getframe()]), type(held)

    assert inside()[0] == []


def test_those_that_are_nearest_come_first():
    near, far = dict(ENVIRON, n=1), dict(ENVIRON, n=2)
    assert found_with([Request(far), near]) == [near, far]


def test_what_holds_itself_is_looked_at_once():
    held = []
    held.append(held)
    assert found_with(held) == []


def test_no_more_is_looked_at_than_is_worth_it():
    wide = [[{str(n): [n] for n in range(100)} for _ in range(100)] for _ in range(100)]
    assert found_with([*wide, Request()]) == []


def test_frames_of_a_traceback_begin_with_the_innermost():
    def raising():
        raise ValueError

    try:
        raising()
    except ValueError as error:
        names = [frame.f_code.co_name for frame in frames_of(error.__traceback__)]
    assert names == ["raising", "test_frames_of_a_traceback_begin_with_the_innermost"]
    assert list(frames_of(None)) == []


def test_callers_of_a_frame():
    names = [frame.f_code.co_name for frame in frames_from(sys._getframe())]
    assert names[0] == "test_callers_of_a_frame"
    assert len(names) > 5


def test_frames_of_who_captures_are_passed_over():
    namespace = {"__name__": "sentry_sdk.client", "frames_from": frames_from, "sys": sys}
    exec("def capture(): return list(frames_from(sys._getframe()))", namespace)
    assert namespace["capture"]()[0] is sys._getframe()
