"""Which environ a thread works with, judging by its frames, and that none of the app's code runs."""

import functools
import sys
import threading
import types
import weakref

import pytest

from sentry_paste.redaction.environs import environs_in, environs_near, frames_from, frames_of

KEEPS_LOCALS = sys.version_info < (3, 13)

ENVIRON = {"wsgi.input": None, "HTTP_COOKIE": "sid=q8fh23fh28hf2"}


def traced_by(trace):
    """Return the variables of a function that runs under a debugger."""

    def traced():
        first = [1]
        second = [*first, 2]
        return first, second

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return traced()
    finally:
        sys.settrace(before)


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
    """Each of these methods is the app's code, and must not run."""

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


def test_cycle_is_looked_at_once():
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


class Held:
    """An object that is freed when nothing refers to it."""


class TestFramesThatRun:
    """Reading the local variables of a frame changes nothing for it."""

    def test_what_is_deleted_later_is_freed(self):
        held = Held()
        seen = weakref.ref(held)
        environs_in([sys._getframe()])
        environs_near(sys._getframe())
        del held
        assert seen() is None

    def test_in_a_generator_and_in_a_closure(self):
        def generate():
            held, cell = Held(), Held()
            seen = weakref.ref(held), weakref.ref(cell)
            environs_in([sys._getframe(), sys._getframe().f_back])
            yield lambda: cell
            held = cell = None
            yield [found() for found in seen]

        generator = generate()
        next(generator)
        assert next(generator) == [None, None]

    def test_local_variables_stay(self):
        first, second = 1, [2]
        cell = {"a": 1}

        def inner():
            environs_in([sys._getframe(), sys._getframe().f_back])
            environs_near(sys._getframe())
            return cell

        assert inner() == {"a": 1}
        assert (first, second) == (1, [2])
        assert locals()["second"] == [2]

    def test_mapping_that_the_app_has_stays_as_it_is(self):
        number = 1
        mine = locals()
        mine["other"] = 2
        number += 1
        before = dict(mine) if KEEPS_LOCALS else None
        environs_near(sys._getframe())
        assert mine["other"] == 2
        if before is not None:
            assert mine == {**before, "before": before} or mine == before
            assert mine["number"] == 1

    def test_mapping_that_somebody_else_has_is_not_emptied(self):
        number = 1
        held = sys._getframe().f_locals
        environs_in([sys._getframe()])
        assert held["number"] == number

    def test_namespaces_of_classes_and_modules_stay(self):
        namespace = {"environs_in": environs_in, "environs_near": environs_near, "sys": sys}
        exec(
            "a = 1\nenvirons_in([sys._getframe()])\nenvirons_near(sys._getframe())\n"
            "class C:\n    b = 2\n    environs_in([sys._getframe()])\n    environs_near(sys._getframe())\n",
            namespace,
        )
        assert namespace["a"] == 1
        assert namespace["C"].b == 2

    def test_variables_stay_while_a_debugger_traces(self):
        def trace(frame, event, arg):
            environs_in([frame])
            environs_near(frame)
            return trace

        assert traced_by(trace) == ([1], [1, 2])

    def test_variables_stay_while_a_profiler_runs(self):
        def profile(frame, event, arg):
            if frame.f_code.co_name == "profiled":
                environs_in([frame])
                environs_near(frame)

        def profiled():
            first = [1]
            second = [*first, len("a")]
            return first, second

        before = sys.getprofile()
        sys.setprofile(profile)
        try:
            found = profiled()
        finally:
            sys.setprofile(before)
        assert found == ([1], [1, 1])

    @pytest.mark.parametrize("look", [environs_near, lambda frame: environs_in([frame])], ids=["near", "in"])
    @pytest.mark.parametrize(
        "iterated",
        [
            lambda held: held.items(),
            lambda held: held.values(),
            lambda held: zip(held, held),
            iter,
            reversed,
            enumerate,
        ],
    )
    def test_mapping_may_be_iterated_over_whoever_has_got_it(self, look, iterated):
        def of_caller():
            return sys._getframe(1).f_locals

        def generated():
            yield from iterated(sys._getframe(1).f_locals)

        def read_by_name():
            first, second = 1, 2
            for found in iterated(sys._getframe().f_locals):
                third = (found, first, second)
                look(sys._getframe())
                fourth = third
                look(sys._getframe())
            return fourth

        def read_by_the_builtin():
            first, second = 1, 2
            for found in iterated(locals()):
                third = (found, first, second)
                look(sys._getframe())
            return third

        def read_in_another_way():
            first, second = 1, 2
            names = getattr(sys._getframe(), "f_" + "locals")
            before = dict(names)
            for found in iterated(names):
                third = (found, first, second, before)
                look(sys._getframe())
                fourth = third
                look(sys._getframe())
            return fourth

        def read_by_a_helper():
            first, second = 1, 2
            for found in iterated(of_caller()):
                third = (found, first, second)
                look(sys._getframe())
            return third

        def read_by_a_generator():
            first = 1
            for found in generated():
                second = (found, first)
                look(sys._getframe())
            return second

        for read in (read_by_name, read_by_the_builtin, read_in_another_way, read_by_a_helper):
            assert read()
        assert read_by_a_generator()

    @pytest.mark.skipif(not KEEPS_LOCALS, reason="exec() has a separate mapping from Python 3.13 on")
    def test_variables_that_exec_has_made_stay(self):
        def run():
            exec("made = 1")
            environs_in([sys._getframe()])
            return eval("made")

        def run_named_otherwise(execute, evaluate, frame=sys._getframe):
            execute("made = 1")
            environs_in([frame()])
            environs_near(frame())
            return evaluate("made")

        assert run() == 1
        assert run_named_otherwise(exec, eval) == 1

    def test_variables_stay_in_a_thread_that_another_one_traces(self):
        """A debugger in one thread; another thread reports an error whose frames are still running there."""

        def look(frame):
            thread = threading.Thread(target=environs_in, args=([frame],))
            thread.start()
            thread.join()

        def trace(frame, event, arg):
            if frame.f_code.co_name == "traced":
                look(frame)
            return trace

        assert traced_by(trace) == ([1], [1, 2])


def test_request_of_a_thread_is_found_for_an_item():
    def handle(job):
        return environs_near(sys._getframe())

    assert handle(Job(Request())) == [ENVIRON]


def test_more_requests_of_a_job_are_found():
    found = [Request(dict(ENVIRON, n=number)) for number in range(4)]

    def handle(jobs):
        return environs_near(sys._getframe())

    assert handle(found) == [request.environ for request in found]


def test_what_was_too_far_from_one_function_is_found_from_its_caller():
    def inner(deep):
        return environs_near(sys._getframe())

    def outer():
        request = Request()
        return inner([[[request]]]), request

    assert outer()[0] == [ENVIRON]


def test_what_was_near_its_end_from_one_function_is_found_from_its_caller():
    def inner(deep):
        return environs_near(sys._getframe())

    def outer():
        job = Job(Request())
        return inner([[job]]), job

    assert outer()[0] == [ENVIRON]
