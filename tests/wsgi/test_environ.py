"""What an event says of its request."""

import pytest
import sentry_sdk
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste import SentryMiddleware
from sentry_paste.wsgi import environ as environ_module
from sentry_paste.wsgi.environ import headers_of, host_of, native, path_of, snapshot, url_of
from sentry_paste.wsgi.naming import default_name

import apps
from wsgi_calls import call, environ_of

PERSONAL = {
    "HTTP_COOKIE": "session=cookie-secret",
    "HTTP_AUTHORIZATION": "Bearer auth-secret",
    "HTTP_X_FORWARDED_FOR": "203.0.113.9",
    "HTTP_X_REAL_IP": "203.0.113.10",
    "REMOTE_ADDR": "203.0.113.11",
}


def event(captured, environ, **options):
    call(
        SentryMiddleware(lambda environ, start_response: sentry_sdk.capture_message("x") and [], **options),
        environ,
    )
    return captured.errors[-1]


class TestPersonal:
    def test_nothing_personal_is_in_the_request_by_default(self, captured):
        found = event(captured, environ_of(**PERSONAL))
        text = str(found["request"]) + str(found.get("user"))
        for secret in ("cookie-secret", "auth-secret", "203.0.113"):
            assert secret not in text
        assert found["request"]["env"] == {"SERVER_NAME": "localhost", "SERVER_PORT": "80"}

    def test_it_is_on_request(self, captured):
        found = event(captured, environ_of(**PERSONAL), send_default_pii=True)
        assert found["request"]["headers"]["X-Forwarded-For"] == "203.0.113.9"
        assert found["request"]["env"]["REMOTE_ADDR"] == "203.0.113.11"
        assert found["user"] == {"ip_address": "203.0.113.11"}

    def test_address_that_the_app_set_wins(self, captured):
        def app(environ, start_response):
            sentry_sdk.set_user({"id": "7", "ip_address": "192.0.2.7"})
            raise ValueError

        call(SentryMiddleware(app, send_default_pii=True), environ_of(**PERSONAL))
        assert captured.errors[0]["user"] == {"id": "7", "ip_address": "192.0.2.7"}

    @pytest.mark.skipif(not hasattr(sentry_sdk, "traces"), reason="this sentry-sdk has no data_collection")
    def test_data_collection_of_the_sdk_decides_where_it_is_set(self, captured):
        collection = {"user_info": False, "http_headers": {"request": {"mode": "off"}},
                      "url_query_params": {"mode": "denylist", "terms": ["page"]}}  # fmt: skip
        found = event(captured, environ_of(QUERY_STRING="page=2&x=1", **PERSONAL), data_collection=collection)
        assert found["request"]["headers"] == {}
        assert "REMOTE_ADDR" not in found["request"]["env"]
        assert "page=2" not in found["request"]["query_string"]
        assert "x=1" in found["request"]["query_string"]


class TestHostileEnviron:
    @pytest.mark.parametrize(
        "change",
        [
            {"PATH_INFO": None},
            {"PATH_INFO": "/\xff\xfe\x80"},
            {"PATH_INFO": "/\u2603 decoded by the server"},
            {"HTTP_HOST": "a host with spaces"},
            {"HTTP_HOST": ""},
            {"HTTP_X_LONG": "x" * 100_000},
            {"HTTP_SENTRY_TRACE": "\xff-broken"},
            {"HTTP_BAGGAGE": "sentry-trace_id=,;%ZZ" * 1000},
            {"REMOTE_ADDR": None},
            {"REMOTE_ADDR": "not an address"},
            {"REQUEST_METHOD": None},
            {"REQUEST_METHOD": "BREW THE COFFEE"},
            {"QUERY_STRING": "\xff=\x00&" * 100},
            {"SERVER_NAME": None, "SERVER_PORT": None, "HTTP_HOST": None},
            {"wsgi.url_scheme": None},
            {"HTTP_COOKIE": "\x00"},
            {"CONTENT_LENGTH": "many"},
        ],
        ids=lambda change: "-".join(change),
    )
    @pytest.mark.parametrize("options", [{}, {"send_default_pii": True}], ids=["", "pii"])
    def test_nothing_changes_and_no_event_is_lost(self, captured, change, options):
        environ = {name: value for name, value in environ_of(**change).items() if value is not None}
        app = SentryMiddleware(apps.crash, traces_sample_rate=1.0, **options)
        assert call(app, environ).facts() == call(apps.crash, environ).facts()
        assert captured.errors[0]["request"]["url"]
        assert len(captured.errors) == 1


class TestUrl:
    @pytest.mark.parametrize(
        ("environ", "url"),
        [
            ({"SCRIPT_NAME": "no slash", "PATH_INFO": "none"}, "http://localhost/no slash/none"),
            ({}, "http://localhost/"),
            ({"PATH_INFO": ""}, "http://localhost/"),
            ({"SCRIPT_NAME": "/shop", "PATH_INFO": "/basket"}, "http://localhost/shop/basket"),
            ({"SCRIPT_NAME": "/shop/", "PATH_INFO": ""}, "http://localhost/shop/"),
            ({"PATH_INFO": "/caf\xc3\xa9"}, "http://localhost/café"),
            ({"HTTP_HOST": "shop.example:80"}, "http://shop.example/"),
            ({"HTTP_HOST": "shop.example:8080"}, "http://shop.example:8080/"),
            ({"HTTP_HOST": "shop.example:443", "wsgi.url_scheme": "https"}, "https://shop.example/"),
            ({"HTTP_HOST": "", "SERVER_NAME": "inside", "SERVER_PORT": "6543"}, "http://inside:6543/"),
            ({"HTTP_HOST": "", "SERVER_NAME": "inside", "SERVER_PORT": "80"}, "http://inside/"),
            ({"HTTP_X_FORWARDED_HOST": "evil.example"}, "http://localhost/"),
        ],
    )
    def test_url(self, environ, url):
        assert url_of(snapshot(environ_of(**environ))) == url

    def test_name_is_method_and_path(self):
        def _name(environ):
            strings = snapshot(environ)
            return default_name(strings, path_of(strings))

        assert _name(environ_of("/caf\xc3\xa9", "post", SCRIPT_NAME="/a")) == "POST /a/café"


class TestHeaders:
    def test_headers_have_their_names(self):
        environ = environ_of(CONTENT_TYPE="text/plain", CONTENT_LENGTH="", HTTP_X_API_VERSION="2")
        headers = headers_of(snapshot(environ))
        assert headers == {"Content-Type": "text/plain", "Host": "localhost", "X-Api-Version": "2"}

    def test_bytes_are_read_as_utf_8(self):
        assert headers_of({"HTTP_X": "caf\xc3\xa9"}) == {"X": "café"}


def test_snapshot_holds_text_only():
    environ = environ_of(custom=object())
    assert all(type(value) is str for value in snapshot(environ).values())
    assert "wsgi.input" not in snapshot(environ)


@given(st.text())
def test_native_text_can_be_encoded(text):
    native(text).encode("utf-8")


@given(st.text())
def test_native_undoes_what_a_server_does(text):
    data = text.encode("utf-8", "surrogatepass") if text.isascii() else text.encode("utf-8", "replace")
    assert native(data.decode("latin-1")) == data.decode("utf-8", "replace")


@given(st.dictionaries(st.sampled_from(["SCRIPT_NAME", "PATH_INFO", "HTTP_HOST", "SERVER_NAME"]), st.text()))
def test_path_and_host_are_text_that_can_be_sent(environ):
    path_of(environ).encode("utf-8")
    host_of(environ).encode("utf-8")
    assert path_of(environ).startswith("/")


def test_names_of_headers_that_clients_make_up_are_not_kept_for_ever():
    for number in range(3000):
        long = "LONG" * 20
        found = headers_of({f"HTTP_X_{number}": "a", f"HTTP_X_{long}_{number}": "b"})
        assert found == {f"X-{number}": "a", f"X-{long.title()}-{number}": "b"}
    known = environ_module._known_header.cache_info()
    assert known.currsize <= 512
    assert known.misses >= 3000
