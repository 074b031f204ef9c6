"""Nested parameters, parts of values and text made of mappings: from the ini to what is sent."""

import base64
import json
import logging
from contextlib import suppress
from urllib.parse import parse_qs, quote, urlencode

import pytest
from webtest import TestApp

from sentry_paste import sdk
from sentry_paste.client.registry import registry
from sentry_paste.redaction.names import FILTERED

import apps
from traced_apps import set_span_data

log = logging.getLogger("shop")


@pytest.fixture
def sent(load, monkeypatch, captured):
    """Run a function in a request; return everything that is sent, as text."""

    def sent(do, url="/shop?page=3", body=None, **environ):
        def app(environ, start_response):
            do(environ)
            start_response("200 OK", [])
            return [b""]

        monkeypatch.setitem(apps.APPS, "of_the_test", app)
        wrapped = TestApp(
            load(
                """
                [filter:sentry]
                use = egg:sentry_paste
                traces_sample_rate = 1

                [app:main]
                paste.app_factory = apps:make_app
                app = of_the_test
                filter-with = sentry
                """
            )
        )
        with suppress(ValueError):
            wrapped.request(url, method="POST" if body else "GET", body=body, environ=environ)
        for client in registry.clients():
            client.flush()
        payloads = [item.payload.json for envelope in captured for item in envelope.items]
        assert payloads
        return json.dumps([without_source(payload) for payload in payloads])

    return sent


def without_source(node):
    if isinstance(node, dict):
        source = ("pre_context", "context_line", "post_context")
        return {key: without_source(value) for key, value in node.items() if key not in source}
    return [without_source(value) for value in node] if isinstance(node, list) else node


def in_every_way(*texts):
    """An app with texts in variables, messages, breadcrumbs, logs and spans when it crashes."""

    def do(environ):
        for text in texts:
            log.warning("seen %s", text)
            set_span_data(sdk.start_child_span("db", f"SELECT '{text}'"), thing=text)
        held = {"texts": list(texts), "inside": [f"before {text} after" for text in texts]}
        raise ValueError("crash", *texts, len(held))

    return do


class TestNested:
    SECRET = "k7-0123456789"

    @pytest.mark.parametrize("levels", range(1, 5))
    def test_parameter_of_a_url_in_a_url(self, sent, levels):
        inner = f"/reset?token={self.SECRET}&page=3"
        for _ in range(levels):
            inner = "/login?" + urlencode({"next": inner})
        found = sent(in_every_way(self.SECRET, f"/reset?token={self.SECRET}", inner), inner)
        assert self.SECRET not in found
        assert found.count(FILTERED) > 5

    def test_in_the_referer(self, sent):
        url = f"https://shop.example/?next=%2Freset%3Ftoken%3D{self.SECRET}"
        found = sent(in_every_way(self.SECRET), HTTP_REFERER=url)
        assert self.SECRET not in found
        assert f"https://shop.example/?next=%2Freset%3Ftoken%3D{FILTERED}" in found

    def test_json_in_a_parameter(self, sent):
        query = quote(json.dumps({"password": self.SECRET, "page": 3}), safe="")
        found = sent(in_every_way(self.SECRET), f"/shop?filter={query}&page=4")
        assert self.SECRET not in found
        assert "page=4" in found


def encoded(found):
    return base64.urlsafe_b64encode(json.dumps(found).encode()).decode().rstrip("=")


CLAIMS = {"sub": "48151623", "email": "alice@shop.example"}
TOKEN = f"{encoded({'alg': 'HS256'})}.{encoded(CLAIMS)}.SflKxwRJSMeKKF2QT4"


class TestParts:
    @pytest.mark.parametrize(
        ("environ", "parts"),
        [
            (
                {"HTTP_AUTHORIZATION": f"Bearer {TOKEN}"},
                ["48151623", "alice@shop.example", "SflKxwRJSMeKKF2QT4"],
            ),
            ({"HTTP_COOKIE": "sid=user-48151.ZkQ3Vw.F8EQWAfKAW8dAIjN"}, ["user-48151", "F8EQWAfKAW8dAIjN"]),
            (
                {"HTTP_COOKIE": "id=3f2b8c1e111142228333444abcdefabc"},
                ["3f2b8c1e-1111-4222-8333-444abcdefabc"],
            ),
            ({"HTTP_AUTHORIZATION": "ApiKey aliddell:k3y-0123456789"}, ["aliddell", "k3y-0123456789"]),
            (
                {"HTTP_AUTHORIZATION": 'Digest username="aliddell", nonce="dcd98b71"'},
                ["aliddell", "dcd98b71"],
            ),
            ({"REMOTE_USER": "CORP\\aliddell"}, ["aliddell"]),
            ({"REMOTE_USER": "aliddell@SHOP.EXAMPLE"}, ["aliddell"]),
            ({"REMOTE_USER": "ALiddell@Shop.example"}, ["aliddell@shop.example"]),
            (
                {"SSL_CLIENT_S_DN": "CN=Alice Liddell,emailAddress=al@shop.example"},
                ["Alice Liddell", "al@shop.example"],
            ),
            ({"HTTP_REFERER": "https://aliddell:hunter2x@shop.example/"}, ["aliddell", "hunter2x"]),
        ],
    )
    def test_part_of_a_value_is_hidden(self, sent, environ, parts):
        found = sent(in_every_way(*parts), **environ)
        for part in parts:
            assert part not in found

    def test_words_of_values_stay(self, sent):
        cookie = (
            "_ga=GA1.2.1234567890.1234567890; tz=Europe/Berlin; utm=google.organic.search; theme=dark-blue"
        )
        words = ["the dark search of google", "organic Berlin", "Europe at 1234567890", "GA1"]
        found = sent(in_every_way(*words), HTTP_COOKIE=cookie)
        for word in words:
            assert f"before {word} after" in found


class TestMappings:
    def test_body_that_was_parsed(self, sent):
        def do(environ):
            raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
            parsed = parse_qs(raw.decode())
            shown = repr(parsed)
            raise ValueError(f"cannot take {shown} or {json.dumps(parsed)} or {list(parsed.items())}")

        found = sent(do, body=b"password=hunter2&page=3")
        assert "hunter2" not in found
        assert "'page': ['3']" in found

    @pytest.mark.parametrize(
        "text",
        [
            "<QueryDict: {'password': ['hunter2'], 'page': ['3']}>",
            "ImmutableMultiDict([('page', '3'), ('password', 'hunter2')])",
            '{"page": "3", "pwd": ["hunter2"], "session_id": "hunter2", "jwt": "hunter2"}',
            '{"page": "3", "password": "it\\"s hunter2"}',
            'page\r\nContent-Disposition: form-data; name="password"\r\n\r\nhunter2\r\n--b--',
            "<page>3</page><password>hunter2</password>",
            "page\npassword\n  Too short [type=too_short, input_value='hunter2', input_type=str]",
        ],
    )
    def test_mapping_as_text(self, sent, text):
        found = sent(in_every_way(text))
        assert "hunter2" not in found
        assert "page" in found
