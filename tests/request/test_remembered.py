"""What an app has put into the environ while a span ran is searched for in it, though it is gone by then."""

from types import SimpleNamespace

import pytest

from sentry_paste.redaction import values
from sentry_paste.redaction.names import Names
from sentry_paste.redaction.recent import Recent
from sentry_paste.request.event_processor import RequestData


@pytest.fixture
def environ():
    return {"HTTP_HOST": "shop.example", "PATH_INFO": "/"}


@pytest.fixture
def data(environ):
    """The event processor of a request whose environ the app changes."""
    filter_state = SimpleNamespace(secret_names=Names(), recent=Recent())
    return RequestData(dict(environ), environ, None, filter_state, None, None)


def mail(number):
    """Return a text that nothing else holds."""
    return "".join([f"user-{number:06}", "@shop.example"])


def made_at(identity, make):
    """Return what is made in the place of an object that was just released; anything if it still exists."""
    held = []
    for number in range(1000, 2000):
        held.append(make(number))
        if id(held[-1]) == identity:
            break
    return held[-1]


def is_hidden(data, text):
    return text not in data.matcher().clean(f"of {text} and others")


def test_user_is_not_taken_for_one_who_had_the_same_identity(data, environ):
    for _ in range(2):
        environ["REMOTE_USER"] = mail(1)  # equal, but another object
        data.remember()
    identity = id(environ["REMOTE_USER"])
    environ["REMOTE_USER"] = "another"
    data.matcher()  # as for an event
    environ["REMOTE_USER"] = second = made_at(identity, mail)
    data.remember()
    del environ["REMOTE_USER"]
    assert is_hidden(data, mail(1))
    assert is_hidden(data, second)


def test_header_is_not_taken_for_an_object_that_had_its_identity(data, environ):
    environ["HTTP_X_USER_EMAIL"] = bytes(40)  # as large as the text
    data.remember()
    environ["HTTP_X_USER_EMAIL"] = second = made_at(id(environ.pop("HTTP_X_USER_EMAIL")), mail)
    data.remember()
    del environ["HTTP_X_USER_EMAIL"]
    assert is_hidden(data, second)


def test_key_is_not_taken_for_one_that_had_its_identity(data, environ):
    environ["".join(["shop.", "user.email.1"])] = value = mail(1)
    data.remember()
    identity = id(next(reversed(environ)))
    del environ["shop.user.email.1"]
    environ[made_at(identity, lambda _: "".join(["HTTP_X_", "USER_EMAIL"]))] = value
    data.remember()
    del environ["HTTP_X_USER_EMAIL"]
    assert is_hidden(data, value)


def test_user_stays_known_when_the_request_ends(data, environ):
    environ["REMOTE_USER"] = mail(1)
    data.remember()
    data.close(None)
    environ.clear()
    assert is_hidden(data, mail(1))


def test_request_that_has_ended_holds_nothing_of_the_environ(data, environ):
    class Text(str):
        pass

    environ["HTTP_X_USER_EMAIL"] = Text("user@shop.example")
    data.remember()
    data.close(None)
    assert data._read == data._remembered


def test_user_is_known_at_each_moment_of_the_end(data, environ):
    environ["REMOTE_USER"] = mail(1)
    found = []

    class Watching(RequestData):
        __slots__ = ()

        def __setattr__(self, name, value):
            super().__setattr__(name, value)
            if name == "_environ" and value is None:
                found.append(is_hidden(self, mail(1)))

    filter_state = SimpleNamespace(secret_names=Names(), recent=Recent())
    Watching({}, environ, None, filter_state, None, None).close(None)
    assert found == [True]


def test_users_that_threads_remember_at_the_same_time_stay_known(data, environ, monkeypatch):
    original, others = values.of_environ, [mail(2)]

    def of_environ(*args):
        found = original(*args)
        if others:
            environ["REMOTE_USER"] = others.pop()
            data.remember()
        return found

    monkeypatch.setattr(values, "of_environ", of_environ)
    environ["REMOTE_USER"] = mail(1)
    data.remember()
    del environ["REMOTE_USER"]
    assert is_hidden(data, mail(1))
    assert is_hidden(data, mail(2))


def test_cookies_that_threads_remember_at_the_same_time_stay_known(data, monkeypatch):
    original, others = values.cookies_of, ["sid=q8fh23fh28hf2"]

    def cookies_of(headers):
        found = list(original(headers))
        if others:
            data.response_headers = [("Set-Cookie", others.pop())]
            data.remember()
        return found

    monkeypatch.setattr(values, "cookies_of", cookies_of)
    data.response_headers = [("Set-Cookie", "sid=f3f29fj2093fj203fj")]
    data.remember()
    data.response_headers = []
    assert is_hidden(data, "f3f29fj2093fj203fj")
    assert is_hidden(data, "q8fh23fh28hf2")
