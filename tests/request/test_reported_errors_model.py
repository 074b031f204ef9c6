"""Whatever an app does with its errors, each arrives once, as what the request has made of it."""

import logging

import sentry_sdk
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste import SentryMiddleware
from sentry_paste.testing import CapturedEnvelopes, MemoryTransport, capture_envelopes

from wsgi_calls import call

STATUSES = {200: "200 OK", 404: "404 Not Found", 500: "500 Oops", 503: "503 Busy"}
ERRORS = st.integers(0, 3)
ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["log", "capture", "give up", "for another project"]), ERRORS),
        st.tuples(st.just("answer"), st.sampled_from(list(STATUSES))),
        st.tuples(st.just("flush"), st.none()),
    ),
    max_size=8,
)
ENDS = st.one_of(st.none(), ERRORS)


ANOTHER = sentry_sdk.Client(transport=MemoryTransport(CapturedEnvelopes()), default_integrations=False)


class AppError(Exception):
    """One of the app's."""


class Expected:
    """What has to arrive: for each error whether it is handled, by the rules of ``docs/correctness.rst``."""

    def __init__(self):
        self.handled = {}  # as it is sent
        self.waiting = {}  # error: how it was captured first
        self.given_up = set()
        self.status = None

    def captured(self, how, error):
        if how == "for another project":
            return
        if error not in self.handled and error not in self.waiting:
            self.waiting[error] = how
        if how == "give up":
            self.given_up.add(error)

    def answered(self, status):
        logged = [error for error, how in self.waiting.items() if how == "log"]
        if status == 500 and logged and not self.given_up & {*self.waiting, *self.handled}:
            self.given_up.add(logged[-1])
        for error in list(self.waiting):
            self.settle(error, error in self.given_up and (status is None or status >= 500))

    def settle(self, error, is_unhandled):
        del self.waiting[error]
        self.handled[error] = not is_unhandled


def do(action, value, errors, start_response):
    if action == "answer":
        start_response(STATUSES[value], [])
    elif action == "flush":
        sentry_sdk.flush()
    elif action == "log":
        try:
            raise errors[value]
        except AppError:
            logging.getLogger("app").exception("logged")
    elif action == "for another project":
        with sentry_sdk.new_scope() as scope:
            scope.set_client(ANOTHER)
            scope.capture_exception(errors[value])
    elif action == "capture":
        sentry_sdk.capture_exception(errors[value])
    else:
        mechanism = {"type": "framework", "handled": False}
        event, hint = sentry_sdk.utils.event_from_exception(errors[value], mechanism=mechanism)
        sentry_sdk.capture_event(event, hint)


def expect(actions, end):
    """Return, for each error that has to arrive, whether it is handled."""
    expected, early = Expected(), {}
    for action, value in actions:
        if action == "answer":
            expected.status = value
            expected.answered(value)
        elif action == "flush":
            for error, how in expected.waiting.items():
                early.setdefault(error, how != "give up")
        else:
            expected.captured(action, value)
    if end is not None:
        expected.captured("raise", end)
        if end in expected.waiting:
            expected.settle(end, is_unhandled=True)
        expected.given_up.add(end)
    expected.answered(expected.status)
    return {**expected.handled, **early}


@given(ACTIONS, ENDS)
def test_each_error_arrives_once_and_as_what_the_answer_has_made_of_it(actions, end):
    answers = [action for action in actions if action[0] == "answer"]
    actions = [action for action in actions if action[0] != "answer" or action is answers[0]]
    errors = [AppError(number) for number in range(4)]

    def app(environ, start_response):
        for action, value in actions:
            do(action, value, errors, start_response)
        if end is not None:
            raise errors[end]
        if not answers:
            start_response("200 OK", [])
        return [b""]

    with capture_envelopes() as captured:
        call(SentryMiddleware(app, release="1"))
    found = {}
    for event in captured.errors:
        value = event["exception"]["values"][-1]
        assert value["value"] not in found
        found[value["value"]] = value["mechanism"]["handled"]
    if end is None and not answers:
        actions = [*actions, ("answer", 200)]
    assert found == {str(number): is_handled for number, is_handled in expect(actions, end).items()}
