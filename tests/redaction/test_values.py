"""Which values of a request are secret, and where they are sought."""

import base64
import json
import uuid
import zlib
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.redaction import Names
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.needles import Where, needles_of, seed_of
from sentry_paste.redaction.values import MOST, cookies_of, of_cookies, of_environ, of_request, of_users


def sought(**strings):
    """Text by where it is sought, without its encoded forms."""
    return {
        needle.text: needle.where
        for secret in of_request(strings, Names())
        for needle in needles_of(secret)
        if not needle.is_run
    }


def test_credential_of_basic_is_decoded():
    text = base64.b64encode(b"margarete:s3cret-of-hers").decode()
    found = sought(HTTP_AUTHORIZATION=f"Basic {text}")
    assert found[f"Basic {text}"] is found[text] is found["margarete:s3cret-of-hers"] is Where.ANYWHERE
    assert found["s3cret-of-hers"] is Where.ANYWHERE
    assert found["margarete"] is Where.WORD


def test_parts_of_other_credentials():
    found = sought(HTTP_AUTHORIZATION='Digest username="margarete", response="6629fae49393a053"')
    assert found["6629fae49393a053"] is Where.ANYWHERE


@pytest.mark.parametrize("text", ["Basic !", "Basic", "", "Bearer", "Basic " + "=" * 50, "\xff \xff"])
def test_nonsense_of_a_client_is_no_error(text):
    of_request({"HTTP_AUTHORIZATION": text, "HTTP_COOKIE": text, "QUERY_STRING": text}, Names())


def test_each_cookie_and_all_of_them():
    found = sought(HTTP_COOKIE='a=1; sid=abcdef123456; q="quoted-7-value"; lang=en')
    assert found["abcdef123456"] is found["quoted-7-value"] is Where.ANYWHERE
    assert 'a=1; sid=abcdef123456; q="quoted-7-value"; lang=en' in found
    assert not {"1", "en"} & set(found)


def test_header_of_short_cookies_is_no_text_to_seek():
    assert sought(HTTP_COOKIE="theme=dark") == {}


def test_addresses_of_a_list_with_ports():
    found = sought(HTTP_FORWARDED='for=198.51.100.7:80;proto=https, for="[2001:db8::1]:4711";by=_hidden')
    assert found["198.51.100.7"] is found["2001:db8::1"] is Where.ADDRESS


def test_parameters_of_every_place_that_has_a_url():
    for key in ("QUERY_STRING", "REQUEST_URI", "RAW_URI", "HTTP_REFERER", "HTTP_X_ORIGINAL_URL"):
        assert sought(**{key: "/x?token=ab&page=3"})["token=ab"] is Where.PAIR


def test_parameter_is_sought_decoded_too():
    found = sought(QUERY_STRING="token=a%2Fb%3Dc-12345")
    assert {"token=a%2Fb%3Dc-12345", "token=a/b=c-12345", "a/b=c-12345"} <= set(found)


class TestEnviron:
    def test_user_that_the_framework_has_put_there(self):
        environ = {"REMOTE_USER": "margarete", "repoze.who.identity": {"repoze.who.userid": "m-4711", "x": 1}}
        assert set(of_environ(environ, Names())) == {"margarete", "m-4711"}

    def test_keys_that_the_ini_names(self):
        names = Names(environ=["shop.*"])
        assert of_environ({"shop.tenant": "tenant-17", "shop.number": 5}, names) == ("tenant-17",)

    def test_role_is_sought_alone(self):
        assert {secret.where for secret in of_users(["admin"])} == {Where.WHOLE}


def test_cookies_that_a_response_sets():
    headers = [("Set-Cookie", "sid=abcdef123456; Path=/; HttpOnly"), ("Content-Type", "text/html")]
    assert list(cookies_of(headers)) == ["sid=abcdef123456; Path=/; HttpOnly"]
    assert "abcdef123456" in {secret.text for secret in of_cookies(cookies_of(headers))}


@pytest.mark.parametrize("headers", [None, 5, "abc", [1], [("a",)], [("a", "b", "c")], [(1, 2)], {"a": "b"}])
def test_headers_of_a_wrong_shape_are_no_error(headers):
    assert list(cookies_of(headers)) == []


KEYS = ["HTTP_COOKIE", "HTTP_AUTHORIZATION", "QUERY_STRING", "HTTP_FORWARDED", "REMOTE_ADDR", "REMOTE_USER"]


@given(st.dictionaries(st.sampled_from([*KEYS, "HTTP_X_API_KEY"]), st.text()))
def test_any_text_has_its_secrets(strings):
    found = of_request(strings, Names())
    needles = [needle for secret in found for needle in needles_of(secret)]
    assert all(needle.text for needle in needles)
    assert all(seed_of(needle.text) in needle.text for needle in needles)


def texts_of(found):
    return {secret.text for secret in found}


def of(**strings):
    """Text by where it is sought, as the request has it."""
    return {secret.text: secret.where for secret in of_request(strings, Names())}


def jwt(claims):
    parts = [json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps(claims)]
    made = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts]
    return ".".join([*made, "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"])


class TestParts:
    def test_token_says_who_it_is_of(self):
        token = jwt(
            {
                "sub": 48151623,
                "name": "Alice Liddell",
                "email": "Alice@Example.com",
                "preferred_username": "alice",
                "jti": "4f5e-8a7b",
                "nested": {"upn": "CORP\\aliddell"},
                "iss": "https://idp1.example/",
                "aud": "shop-frontend-7a8b9c",
                "scope": "openid profile",
                "exp": 1735689600,
                "realm_access": {"roles": ["offline_access", "shopkeeper"]},
            }
        )
        found = of(HTTP_AUTHORIZATION=f"Bearer {token}")
        assert {token, *token.split(".")[1:]} <= set(found)
        assert {"48151623", "Alice Liddell", "Alice@Example.com", "alice@example.com", "alice"} <= set(found)
        assert {"4f5e-8a7b", "CORP\\aliddell", "aliddell"} <= set(found)
        assert not {"https://idp1.example/", "shop-frontend-7a8b9c", "openid", "1735689600"} & set(found)
        assert not {"openid profile", "offline_access", "shopkeeper", "HS256", "JWT"} & set(found)
        assert found["alice"] is found["Alice Liddell"] is Where.WORD

    def test_signed_cookies_of_itsdangerous_and_flask(self):
        serializer = pytest.importorskip("itsdangerous").URLSafeTimedSerializer("key")
        cookie = serializer.dumps({"_user_id": "48151623", "flash": "hello there", "nonce": "q8fh23fh28hf2"})
        found = of(HTTP_COOKIE=f"session={cookie}")
        payload, _, signature = cookie.split(".")
        assert {cookie, payload, signature, "48151623", "q8fh23fh28hf2"} <= set(found)
        assert not {"hello there", "flash"} & set(found)

    def test_compressed_session(self):
        serializer = pytest.importorskip("itsdangerous").URLSafeTimedSerializer("key")
        cookie = serializer.dumps({"_user_id": "alice7", "page": "shop" * 200})
        assert cookie.startswith(".")
        assert "alice7" in of(HTTP_COOKIE=f"session={cookie}")

    def test_signed_cookies_of_django(self):
        signing = pytest.importorskip("django.core.signing")
        signer = signing.TimestampSigner(key="key", fallback_keys=())
        cookie, signed = signer.sign_object({"user_id": "48151623"}), signer.sign("user-48151-alice")
        found = of(HTTP_COOKIE=f"a={cookie}; b={signed}")
        assert {"48151623", cookie.split(":")[0], cookie.split(":")[2]} <= set(found)
        assert {"user-48151-alice", signed.split(":")[2]} <= set(found)

    def test_signed_cookies_of_webob_and_pyramid(self):
        cookies = pytest.importorskip("webob.cookies")
        cookie = cookies.SignedSerializer("key", "salt").dumps([1, 2, {"userid": "48151623"}]).decode()
        assert "48151623" in of(HTTP_COOKIE=f"session={cookie}")

    @pytest.mark.parametrize("hashalg", ["md5", "sha512"])
    @pytest.mark.parametrize("user", ["alice", "alice7@example.com"])
    def test_ticket_of_pyramid(self, user, hashalg):
        tkt = pytest.importorskip("pyramid.authentication").AuthTicket(
            "key", user, "0.0.0.0", tokens=("a",), user_data="", hashalg=hashalg
        )
        assert user in of(HTTP_COOKIE=f"auth_tkt={tkt.cookie_value()}")
        assert user in of(HTTP_COOKIE=f'auth_tkt="{tkt.cookie_value()}"')

    def test_session_of_beaker(self):
        signature, session_id = "e0e5f2cbb5a0d6c2f0d64a5ef34e2b5d7b0f6e1c", "0d3f4a5b6c7d8e9fa0b1c2d3e4f5a6b7"
        assert {signature, session_id} <= set(of(HTTP_COOKIE=f"beaker={signature}{session_id}"))

    def test_id_in_every_spelling_of_uuid(self):
        spelled = "3f2b8c1e-1111-4222-8333-44abcdefabcd"
        for text in (spelled, spelled.upper(), spelled.replace("-", ""), f"{{{spelled}}}"):
            found = set(of(HTTP_COOKIE=f"sid={text}"))
            assert {spelled, spelled.upper(), uuid.UUID(spelled).hex, text} <= found

    def test_hexadecimal_number_in_either_case(self):
        assert "abcdef0123456789ab" in of(HTTP_X_API_KEY="ABCDEF0123456789AB")

    def test_encoded_cookie_in_its_parts(self):
        found = of(HTTP_COOKIE="sid=s%3Aq8fh-23fh-28.sigSIG123%2Bxx")
        assert {"s:q8fh-23fh-28.sigSIG123+xx", "q8fh-23fh-28", "sigSIG123+xx"} <= set(found)

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("ApiKey alice:k3y-0123456789", {"alice", "k3y-0123456789"}),
            ("ApiKey YWxpY2U6azN5LTAxMjM0NTY3ODk=", {"alice", "k3y-0123456789"}),
            ("Token k3y-0123456789", {"k3y-0123456789"}),
            ('Token token="k3y-0123456789"', {"k3y-0123456789"}),
            ('Digest username="alice", nonce="dcd98b7102dd2f0e8", uri="/x"', {"alice", "dcd98b7102dd2f0e8"}),
            (
                "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
                "SignedHeaders=host;x-amz-date, Signature=fe5f80f77d5fa3beca038a248ff027d",
                {"AKIAIOSFODNN7EXAMPLE", "fe5f80f77d5fa3beca038a248ff027d"},
            ),
            ("Basic YWxpY2UlNDB4OmglMjB1bnRlcjIy", {"alice%40x", "alice@x", "h%20unter22", "h unter22"}),
        ],
    )
    def test_credentials_of_every_scheme(self, text, expected):
        found = set(of(HTTP_AUTHORIZATION=text))
        assert expected <= found
        assert not {"aws4_request", "us-east-1", "20130524", "host", "x-amz-date", "/x"} & found

    @pytest.mark.parametrize(
        ("user", "expected"),
        [
            ("CORP\\alice", {"alice"}),
            ("alice@EXAMPLE.COM", {"alice", "alice@example.com"}),
            ("Alice.Liddell@Example.com", {"Alice.Liddell", "alice.liddell@example.com"}),
            ("alice7", {"alice7"}),
            ("a7x@b.c", {"a7x@b.c"}),
        ],
    )
    def test_user_by_the_account(self, user, expected):
        for found in (of_users([user]), of_request({"REMOTE_USER": user}, Names())):
            assert {user, *expected} <= texts_of(found)

    @pytest.mark.parametrize("user", ["info@example.com", "sales@example.com"])
    def test_mailbox_is_no_name(self, user):
        assert not {"info", "sales"} & texts_of(of_users([user]))

    @pytest.mark.parametrize(
        "text",
        [
            "CN=Alice Liddell,OU=Engineering Department,O=Wonderland Inc,emailAddress=alice@example.com",
            "emailAddress=alice@example.com, CN = Alice Liddell, O = Wonderland Inc, C = GB",
            "/C=GB/O=Wonderland Inc/CN=Alice Liddell/emailAddress=alice@example.com",
            'By=spiffe://c/x;Hash=468ed33b;Subject="CN=Alice Liddell,emailAddress=alice@example.com";URI=',
            "CN%3DAlice%20Liddell%2CemailAddress%3Dalice%40example.com",
        ],
    )
    @pytest.mark.parametrize(
        "key", ["SSL_CLIENT_S_DN", "HTTP_X_FORWARDED_CLIENT_CERT", "HTTP_X_CLIENT_CERT_DN"]
    )
    def test_subject_of_a_certificate(self, key, text):
        found = set(of(**{key: text}))
        assert {"Alice Liddell", "alice@example.com"} <= found
        assert not {"Wonderland Inc", "Engineering Department", "Engineering", "Wonderland", "GB"} & found

    def test_other_names_of_a_certificate(self):
        found = set(
            of(
                SSL_CLIENT_SAN_Email_0="alice@example.com",
                HTTP_X_FORWARDED_CLIENT_CERT="Hash=468ed33be74eee65;URI=spiffe://c/ns/sa/alice7;DNS=alice.example.com",
            )
        )
        assert {
            "alice@example.com",
            "468ed33be74eee65",
            "spiffe://c/ns/sa/alice7",
            "alice.example.com",
        } <= found

    def test_user_and_password_of_a_url_in_any_header(self):
        for key in ("HTTP_REFERER", "HTTP_DESTINATION", "HTTP_X_SOURCE"):
            found = of(**{key: "https://alice:hunter2%40x@host.example/"})
            assert {"alice", "hunter2%40x", "hunter2@x"} <= set(found)
            assert found["alice"] is Where.WORD

    def test_header_that_nobody_has_heard_of(self):
        found = of(
            HTTP_X_WHATEVER="q8fh23fh28hf2q8fh23fh28hf2", HTTP_X_OTHER="green", HTTP_X_REQUEST_ID="a" * 20
        )
        assert set(found) == {"q8fh23fh28hf2q8fh23fh28hf2"}

    def test_certificate_by_its_lines(self):
        lines = ["MIIB4711" + "aZ3+" * 14, "/bK9" + "x7/Q" + "mN0w" * 14]
        pem = "-----BEGIN CERTIFICATE-----\n" + "\n".join(lines) + "\n-----END CERTIFICATE-----\n"
        assert set(lines) <= set(of(HTTP_X_AMZN_MTLS_CLIENTCERT=quote(pem, safe="+=/")))
        assert set(lines) <= set(of(SSL_CLIENT_CERT=pem))

    def test_baggage_of_a_person(self):
        found = of(
            HTTP_BAGGAGE="userId=aliddell,colour=green,sentry-trace_id=771a43a4192642f0b136d5159a501700"
        )
        assert set(found) == {"aliddell"}

    def test_nested_parameter(self):
        for key in ("QUERY_STRING", "HTTP_REFERER", "REQUEST_URI"):
            found = of(**{key: "/login?next=%2Freset%3Ftoken%3Dk7-0123456789%26page%3D3"})
            assert {"k7-0123456789", "token=k7-0123456789"} <= set(found)


class TestInnocent:
    """What is no secret by itself is not sought because a secret is made of it."""

    @pytest.mark.parametrize(
        "cookie",
        [
            "_ga=GA1.2.1234567890.1234567890", "_fbp=fb.1.1596403881668.1116446470", "tz=Europe/Berlin",
            "theme=dark-blue-high-contrast", "utm=google.organic.search", "accept=text/html,*/*",
            "next=https%3A%2F%2Fexample.com%2Fshop%2Fproduct-12345678%3Fpage%3D3", "lang=en-US,en",
            "prefs=%7B%22sidebar%22%3A%22collapsed%22%2C%22theme%22%3A%22dark%22%2C%22columns%22%3A12%7D",
            'prefs={"sidebar":"collapsed","width":"width250","beta":true}', "date=2026-11-29T07:12:00Z",
            "consent=version:1.2.3|marketing:yes|analytics:no", "ua=Mozilla/5.0 (X11)",
            "basket=lamp:3,table:1,chair:12", "price=CHF 12.50", "page=product42",
        ],
    )  # fmt: skip
    def test_words_of_a_cookie_are_not_sought_by_themselves(self, cookie):
        value = cookie.partition("=")[2]
        whole = {cookie, value, unquote(value), value.strip('"')}
        assert texts_of(of_request({"HTTP_COOKIE": cookie}, Names())) <= whole


class TestBounds:
    """Whatever a client sends, there are so many values, and so many things are looked at."""

    HEADERS = {
        "cookies of nothing": {"HTTP_COOKIE": "a=b;" * 60_000},
        "many cookies": {"HTTP_COOKIE": ";".join(f"a={number:012}x" for number in range(16_000))},
        "many parts": {f"HTTP_X_KEY_{n}": ".".join(f"x{n}y{i:06}" for i in range(800)) for n in range(100)},
        "equals signs": {f"HTTP_X_KEY_{n}": f"{n}" + "=" * 8000 for n in range(100)},
        "of two bytes": {f"HTTP_X_KEY_{n}": f"{n}" + "\xfc" * 8000 for n in range(100)},
        "dots": {f"HTTP_X_KEY_{n}": f"{n}" + "a." * 4000 for n in range(100)},
        "parameters": {f"HTTP_Y_{n}": f"{n}?" + "pin=1&spin=2&" * 600 for n in range(100)},
        "encoded names": {f"HTTP_Y_{n}": f"{n}?" + "%41=1&" * 1300 for n in range(100)},
        "nested": {"QUERY_STRING": "u=%3Fu=" * 1000, "HTTP_REFERER": "?a=%" + "25" * 4000 + "=1"},
        "addresses": {f"HTTP_X_{n}_FORWARDED_FOR": "10.0.0.1," * 900 for n in range(100)},
        "names": {f"HTTP_X_{n}_CLIENT_CERT": ",CN=alice7" * 800 for n in range(100)},
        "users": {f"HTTP_Y_{n}": "http://a:b@" * 700 for n in range(100)},
        "accounts": {f"HTTP_X_USER_{n}": "CORP\\" * 1600 for n in range(100)},
        "baggage": {"HTTP_BAGGAGE": "userid=a," * 30_000},
        "pairs": {"HTTP_AUTHORIZATION": "Digest " + "a=b," * 60_000},
    }

    @pytest.mark.parametrize("what", HEADERS)
    def test_values_and_steps_are_bounded(self, what, monkeypatch):
        steps, first = [], Bounds.first
        monkeypatch.setattr(Bounds, "first", lambda *args: steps.extend(found := first(*args)) or found)
        found = of_request(self.HEADERS[what], Names())
        assert len(found) <= MOST + 1 + 200
        assert len(steps) <= 3000

    @pytest.mark.parametrize(
        "what", ["many cookies", "many parts", "parameters", "pairs", "addresses", "users", "baggage"]
    )
    def test_of_more_it_is_said_that_there_are_more(self, what):
        assert len(of_request(self.HEADERS[what], Names())) > MOST

    def test_of_an_ordinary_request_there_are_few(self):
        cookies = "; ".join(f"name{n}=value-{n}.{n * 7919:x}abc{n}.{n * 104729:x}" for n in range(100))
        assert len(of_request({"HTTP_COOKIE": cookies}, Names())) < 600

    def test_bomb_in_a_session_is_not_inflated(self):
        bomb = base64.urlsafe_b64encode(zlib.compress(b"[" + b"[]," * 4_000_000)).decode()
        assert len(of_request({"HTTP_COOKIE": f"session=.{bomb}.abc.def"}, Names())) < 20
