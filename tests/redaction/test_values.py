"""Which values of a request are secret, and where they are searched for."""

import base64
import json
import uuid
import zlib
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.redaction import Matcher, Names
from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.needles import Where, needles_of, seed_of
from sentry_paste.redaction.values import MOST, cookies_of, of_cookies, of_environ, of_request, of_users


def searched_for(**strings):
    """Return texts and where they are searched for, without encoded forms."""
    return {
        needle.text: needle.where
        for secret in of_request(strings, Names())
        for needle in needles_of(secret)
        if not needle.is_run
    }


def test_credential_of_basic_is_decoded():
    text = base64.b64encode(b"margarete:s3cret-of-hers").decode()
    found = searched_for(HTTP_AUTHORIZATION=f"Basic {text}")
    assert found[f"Basic {text}"] is found[text] is found["margarete:s3cret-of-hers"] is Where.ANYWHERE
    assert found["s3cret-of-hers"] is Where.ANYWHERE
    assert found["margarete"] is Where.WORD


def test_parts_of_other_credentials():
    found = searched_for(HTTP_AUTHORIZATION='Digest username="margarete", response="6629fae49393a053"')
    assert found["6629fae49393a053"] is Where.ANYWHERE


@pytest.mark.parametrize("text", ["Basic !", "Basic", "", "Bearer", "Basic " + "=" * 50, "\xff \xff"])
def test_nonsense_of_a_client_is_no_error(text):
    of_request({"HTTP_AUTHORIZATION": text, "HTTP_COOKIE": text, "QUERY_STRING": text}, Names())


def test_each_cookie_and_all_of_them():
    found = searched_for(HTTP_COOKIE='a=1; sid=abcdef123456; q="quoted-7-value"; lang=en')
    assert found["abcdef123456"] is found["quoted-7-value"] is Where.ANYWHERE
    assert 'a=1; sid=abcdef123456; q="quoted-7-value"; lang=en' in found
    assert not {"1", "en"} & set(found)


def test_header_of_short_cookies_is_no_text_to_seek():
    assert searched_for(HTTP_COOKIE="theme=dark") == {}


def test_addresses_of_a_list_with_ports():
    found = searched_for(
        HTTP_FORWARDED='for=198.51.100.7:80;proto=https, for="[2001:db8::1]:4711";by=_hidden'
    )
    assert found["198.51.100.7"] is found["2001:db8::1"] is Where.ADDRESS


def test_parameters_of_every_place_that_has_a_url():
    for key in ("QUERY_STRING", "REQUEST_URI", "RAW_URI", "HTTP_REFERER", "HTTP_X_ORIGINAL_URL"):
        assert searched_for(**{key: "/x?token=ab&page=3"})["token=ab"] is Where.PAIR


def test_parameter_is_searched_for_decoded_too():
    found = searched_for(QUERY_STRING="token=a%2Fb%3Dc-12345")
    assert {"token=a%2Fb%3Dc-12345", "token=a/b=c-12345", "a/b=c-12345"} <= set(found)


class TestEnviron:
    def test_user_that_the_framework_has_put_there(self):
        environ = {"REMOTE_USER": "margarete", "repoze.who.identity": {"repoze.who.userid": "m-4711", "x": 1}}
        assert set(of_environ(environ, Names())) == {"margarete", "m-4711"}

    def test_keys_that_the_ini_names(self):
        names = Names(environ=["shop.*"])
        assert of_environ({"shop.tenant": "tenant-17", "shop.number": 5}, names) == ("tenant-17",)

    def test_role_must_be_all_of_a_text(self):
        assert {secret.where for secret in of_users(["admin"])} == {Where.WHOLE}


class OwnText(str):
    """A text with methods of the app's."""

    __slots__ = ()

    def _fail(self, *args):
        raise AssertionError("redaction calls no code of the app's")

    __str__ = __repr__ = lower = startswith = rpartition = _fail


def test_names_of_the_environ_may_be_subclasses_of_str():
    names = Names(environ=["shop.tenant"])
    assert of_environ({OwnText("shop.tenant"): "tenant-17"}, names) == ("tenant-17",)


@pytest.mark.parametrize("name", ["Set-Cookie", b"Set-Cookie", OwnText("Set-Cookie")])
@pytest.mark.parametrize("value", ["sid=abcdef123456", b"sid=abcdef123456", OwnText("sid=abcdef123456")])
def test_headers_of_a_response_may_be_bytes(name, value):
    assert list(cookies_of([(name, value), (b"\xff", b"\xff"), (1, None)])) == ["sid=abcdef123456"]


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
    """Return texts and where they are searched for, as in the request."""
    return {secret.text: secret.where for secret in of_request(strings, Names())}


def is_exceeded(**strings):
    """Return whether more values are reported than were looked at."""
    return len(of_request(strings, Names())) > MOST


def flask(session):
    """Return a compressed session as Flask signs it."""
    packed = base64.urlsafe_b64encode(zlib.compress(json.dumps(session).encode())).decode().rstrip("=")
    return f".{packed}.aBcDeF.q8fh23fh28hf2q8fh23fh28hf2abc"


def jwt(claims):
    parts = [json.dumps({"alg": "HS256", "typ": "JWT"}), json.dumps(claims)]
    made = [base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts]
    return ".".join([*made, "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c"])


class TestParts:
    def test_token_identifies_its_user(self):
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

    def test_unknown_header(self):
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


class TestReadings:
    """One text that different programs read differently."""

    @pytest.mark.parametrize("cookie", ['x="a; sid=correcthorse; y="b"', 'a="1;sid=correcthorse;b=2"'])
    def test_cookie_between_quotes_of_others(self, cookie):
        assert "correcthorse" in of(HTTP_COOKIE=cookie)

    def test_quoted_cookie_with_semicolons(self):
        assert "correct;horse-22" in of(HTTP_COOKIE='a=1; sid="correct;horse-22"; b=2')

    @pytest.mark.parametrize("depth", range(1, 6))
    @pytest.mark.parametrize("key", ["QUERY_STRING", "REQUEST_URI", "HTTP_REFERER", "HTTP_X_SOURCE"])
    @pytest.mark.parametrize("password", ["hunter22", "correcthorse", "p/w?r:d@22"])
    def test_user_of_an_encoded_url(self, key, depth, password):
        url = f"https://margarete:{quote(password, safe='')}@host.example/x"
        for _ in range(depth):
            url = quote(url, safe="")
        found = of(**{key: f"/login?next={url}&page=3"})
        assert {"margarete", password} <= set(found)
        assert found["margarete"] is Where.WORD

    @pytest.mark.parametrize(
        "url",
        [
            "https://margarete%3Ahunter22%40host.example/",
            "https:%2f%2fmargarete:hunter22%40host.example%2f",
            "https%3A//margarete:hunter22@host.example",
            "https%3A%2F%2Fmargarete:hunter22@host.example#x",
        ],
    )
    def test_user_of_a_url_that_is_encoded_in_part(self, url):
        assert {"margarete", "hunter22"} <= set(of(QUERY_STRING=f"a=1&next={url}"))

    @pytest.mark.parametrize(
        "query",
        [
            "next=https%3A%2F%2Fexample.com%2Fshop&mail=info%40example.com",
            "next=https%3A%2F%2Fexample.com%2F%40shop%3Fpage%3D3",
            "next=https%3A%2F%2Fexample.com%3A8080&t=12%3A40",
            "q=a%3A%2F%2Fb+c+%40d",
        ],
    )
    def test_url_without_a_user(self, query):
        assert not {"example.com", "shop", "example.com/"} & set(of(QUERY_STRING=query))

    @pytest.mark.parametrize("length", [201, 301, 5000])
    def test_user_and_password_of_any_length(self, length):
        user, password = "alice" + "x" * length, "hunter22" + "x" * length
        assert {user, password} <= set(of(HTTP_REFERER=f"https://{user}:{password}@host.example/"))
        assert password in of(HTTP_REFERER=f"https://:{password}@host.example/")
        assert {user, password} <= set(of(QUERY_STRING=f"u=https%3A%2F%2F{user}%3A{password}%40host.example"))

    @pytest.mark.parametrize(
        "text",
        [
            "J\\xC3\\xBCrgen M\\xC3\\xBCller",  # mod_ssl
            "J\\C3\\BCrgen M\\c3\\bcller",  # nginx, RFC 4514
            '"J\\C3\\BCrgen M\\C3\\BCller"',
            "J\\xFCrgen M\\xFCller",
            "\\x00J\\x00\\xFC\\x00r\\x00g\\x00e\\x00n\\x00 \\x00M\\x00\\xFC\\x00l\\x00l\\x00e\\x00r",
            "J\xc3\xbcrgen M\xc3\xbcller",
        ],
    )
    @pytest.mark.parametrize(
        "form", ["CN={},O=x", "O=x, CN = {}", "/O=x/CN={}/C=CH", 'Hash=1;Subject="CN={}"']
    )
    def test_letters_of_a_distinguished_name(self, text, form):
        assert "J\xfcrgen M\xfcller" in searched_for(SSL_CLIENT_S_DN=form.format(text))

    @pytest.mark.parametrize(
        "text",
        [
            "CN=Liddell\\, Alice,O=x",
            'CN="Liddell, Alice",O=x',
            'O=x, CN = "Liddell, Alice"',
            "/O=x/CN=Liddell, Alice/C=GB",
            "CN=Liddell\\2C Alice,O=x",
            'Hash=1;Subject="CN=\\"Liddell, Alice\\",O=x";URI=y',
            "CN%3D%22Liddell%2C%20Alice%22%2CO%3Dx",
        ],
    )
    def test_comma_in_a_distinguished_name(self, text):
        assert "Liddell, Alice" in of(SSL_CLIENT_S_DN=text)

    def test_name_in_a_certificate_of_any_length(self):
        name = "Alice " * 100 + "Liddell"
        assert name in of(SSL_CLIENT_S_DN=f"O=x,CN={name}")

    @pytest.mark.parametrize(
        "text",
        [
            "Digest username*=UTF-8''J%C3%A4nson%20Liddell, realm=\"x\"",
            "Digest realm=\"x\", username*=iso-8859-1'en'J%E4nson%20Liddell",
            'Digest username="J\xe4nson Liddell"',
        ],
    )
    def test_user_of_digest_in_other_letters(self, text):
        assert "J\xe4nson Liddell" in of(HTTP_AUTHORIZATION=text)

    @pytest.mark.parametrize(
        "text", ["margarete:q8fh23fh28hf2", "Key margarete:q8fh23fh28hf2==", "Key  margarete:q"]
    )
    def test_user_before_a_key(self, text):
        assert of(HTTP_AUTHORIZATION=text)["margarete"] is Where.WORD

    def test_credentials_after_a_tab(self):
        assert "margarete" in of(HTTP_AUTHORIZATION="Basic\tbWFyZ2FyZXRlOmh1bnRlcjIy")

    def test_token_without_a_scheme(self):
        assert "alice-7" in of(HTTP_AUTHORIZATION=jwt({"sub": "alice-7"}))

    def test_quoted_credential_of_any_length(self):
        key = "q8fh" * 2000
        assert key in of(HTTP_AUTHORIZATION=f'Custom x-key2="{key}", b=1')

    @pytest.mark.parametrize(
        "key", ["REMOTE_USER", "HTTP_X_REMOTE_USER", "HTTP_X_FORWARDED_USER", "HTTP_X_USER_NAME"]
    )
    @pytest.mark.parametrize(
        "text",
        [
            "=?utf-8?q?J=C3=A4nson_Liddell?=",
            "=?UTF-8?Q?J=C3=A4nson_?= =?utf-8?q?Liddell?=",
            "=?iso-8859-1?Q?J=E4nson_Liddell?=",
            "=?utf-8*en?b?SsOkbnNvbiBMaWRkZWxs?=",
            "=?utf-8?B?SsOkbnNvbg?= Liddell",
            "UTF-8''J%C3%A4nson%20Liddell",
            "J\\xC3\\xA4nson Liddell",
        ],
    )
    def test_user_in_other_letters(self, key, text):
        assert "J\xe4nson Liddell" in searched_for(**{key: text})

    @pytest.mark.parametrize(
        "text", ["=?", "=?a?b?", "=?x?b?!!?=", "=?idna?q?a?=", "=?punycode?b?QQ?=", "''", "\\x"]
    )
    def test_nonsense_in_the_name_of_a_user_is_no_error(self, text):
        assert len(of(REMOTE_USER=text)) < 4

    def test_apostrophes_in_the_name_of_a_user(self):
        assert set(of(REMOTE_USER="O'Brien'x")) == {"O'Brien'x"}

    def test_certificate_of_many_units(self):
        assert "alice-7" in of(HTTP_X_CLIENT_CERT_DN="OU=" + ",OU=".join(["unit"] * 300) + ",CN=alice-7")

    def test_claims_of_azure_and_of_wsfederation(self):
        claims = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
        principal = {"claims": [{"typ": f"{claims}emailaddress", "val": "alice@example.com"}]}
        text = base64.b64encode(json.dumps(principal).encode()).decode()
        assert "alice@example.com" in of(HTTP_X_MS_CLIENT_PRINCIPAL=text)
        assert "alice-7" in of(HTTP_AUTHORIZATION=f"Bearer {jwt({claims + 'name': 'alice-7'})}")
        assert "alice-7" in of(HTTP_AUTHORIZATION=f"Bearer {jwt({'cognito:username': 'alice-7'})}")

    def test_bracket_in_a_signature_is_no_payload(self):
        signed = b"s" * 20 + b"{" + b"s" * 11 + json.dumps([1, {"userid": "48151623"}]).encode()
        assert "48151623" in of(HTTP_COOKIE="session=" + base64.urlsafe_b64encode(signed).decode())

    def test_client_that_a_proxy_does_not_name(self):
        assert "_q8fh23fh28hf2" in of(HTTP_FORWARDED="for=_q8fh23fh28hf2;proto=http")


class TestInnocent:
    """An innocent part of a secret is not searched for."""

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
    def test_words_of_a_cookie_are_not_searched_for_by_themselves(self, cookie):
        value = cookie.partition("=")[2]
        whole = {cookie, value, unquote(value), value.strip('"')}
        assert texts_of(of_request({"HTTP_COOKIE": cookie}, Names())) <= whole


class TestBounds:
    """Whatever a client sends, the number of values and of steps is bounded."""

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
        "user info": {"QUERY_STRING": "a=" + "http%3A%2F%2Fb%3Ac%40h&x=" * 9000},
        "compressed": {f"HTTP_X_KEY_{n}": flask({"x": "y" * 15_000, "n": n}) for n in range(100)},
        "in quotes": {"HTTP_COOKIE": ";".join(f'a="b{n:06}z;c={n:06}z"' for n in range(13_000))},
        "escaped": {"HTTP_COOKIE": 'a="' + "\\101" * 60_000 + '"'},
        "quoted names": {f"HTTP_X_{n}_CLIENT_CERT": 'CN="a,b",' * 900 for n in range(100)},
        "encoded words": {f"HTTP_X_USER_{n}": "=?utf-8?q?a=41?= " * 400 for n in range(100)},
    }

    @pytest.mark.parametrize("what", HEADERS)
    def test_values_and_steps_are_bounded(self, what, monkeypatch):
        steps, first = [], Bounds.first
        monkeypatch.setattr(Bounds, "first", lambda *args: steps.extend(found := first(*args)) or found)
        found = of_request(self.HEADERS[what], Names())
        assert len(found) <= MOST + 1 + 200
        assert len(steps) <= 3000

    @pytest.mark.parametrize(
        "what",
        [
            *("many cookies", "many parts", "parameters", "pairs", "addresses", "users", "baggage"),
            *("user info", "compressed", "in quotes", "escaped", "quoted names", "encoded words"),
        ],
    )
    def test_more_values_are_reported_as_exceeded(self, what):
        assert len(of_request(self.HEADERS[what], Names())) > MOST

    def test_of_an_ordinary_request_there_are_few(self):
        cookies = "; ".join(f"name{n}=value-{n}.{n * 7919:x}abc{n}.{n * 104729:x}" for n in range(100))
        assert len(of_request({"HTTP_COOKIE": cookies}, Names())) < 600

    def test_bomb_in_a_session_is_not_inflated(self, monkeypatch):
        read, may_read = [], Bounds.may_read
        monkeypatch.setattr(Bounds, "may_read", lambda own, size: read.append(size) or may_read(own, size))
        bomb = base64.urlsafe_b64encode(zlib.compress(b"[" + b"[]," * 4_000_000)).decode()
        assert is_exceeded(HTTP_COOKIE=f"session=.{bomb}.abc.def")
        assert sum(read) < 100_000

    @pytest.mark.parametrize("length", [12_500, 14_000, 60_000])
    def test_token_that_is_too_long_to_be_read(self, length):
        claims = {"sub": "alice-7", "x": "y" * length}
        assert is_exceeded(HTTP_AUTHORIZATION=f"Bearer {jwt(claims)}")
        assert is_exceeded(HTTP_COOKIE=f"sid={jwt(claims)}")

    @pytest.mark.parametrize("length", [41_000, 400_000])
    def test_session_that_inflates_to_more_than_is_read(self, length):
        assert is_exceeded(HTTP_COOKIE="session=" + flask({"_user_id": "alice-7", "x": "y" * length}))

    def test_json_that_is_too_long_to_be_read(self):
        assert is_exceeded(HTTP_COOKIE="user=" + quote(json.dumps({"x": ["yz"] * 4000, "sub": "alice-7"})))
        assert is_exceeded(HTTP_X_SESSION=json.dumps({"x": "y" * 17_000, "sub": "alice-7"}))

    def test_json_that_is_nested_too_deep_to_be_read(self):
        assert is_exceeded(HTTP_X_SESSION='{"a":' + "[" * 8000 + "]" * 8000 + ',"sub":"alice-7"}')

    def test_token_of_more_members_than_are_looked_at(self):
        assert is_exceeded(HTTP_X_TOKEN="." + flask({f"k{n}": "v" for n in range(3100)}).lstrip("."))

    def test_parts_behind_what_is_looked_at(self):
        assert is_exceeded(HTTP_COOKIE="sid=" + "ab." * 6000 + "q8fh23fh28hf2")
        assert is_exceeded(HTTP_COOKIE="sid=" + "ab%2E" * 4000 + "q8fh23fh28hf2")

    def test_long_ticket_without_parts_is_no_secret_too_many(self):
        # Kerberos tickets have up to 48,000 bytes.
        assert not is_exceeded(HTTP_AUTHORIZATION="Negotiate YII" + "Q4x/" * 12_000 + "==")

    def test_distinguished_name_longer_than_is_looked_at(self):
        assert is_exceeded(SSL_CLIENT_S_DN="CN=a," + "OU=b," * 4000 + "UID=alice-7")

    def test_credentials_longer_than_are_decoded(self):
        text = base64.b64encode(b"a" * 13_000 + b":hunter22").decode()
        assert is_exceeded(HTTP_AUTHORIZATION=f"Basic {text}")

    @pytest.mark.parametrize(
        "key", ["groups", "roles", "wids", "https://shop.example/roles", "cognito:groups"]
    )
    @pytest.mark.parametrize("count", [1, 200, 260])
    def test_token_of_many_groups_identifies_its_user(self, key, count):
        groups = [str(uuid.UUID(int=number * 7919)) for number in range(count)]
        for claims in ({"sub": "alice-7", key: groups}, {key: groups, "email": "alice-7"}):
            found = of(HTTP_AUTHORIZATION=f"Bearer {jwt(claims)}")
            assert found["alice-7"] is Where.WORD
            assert len(found) < 200

    def test_two_dashes_in_a_payload(self):
        for number in range(2000):
            cookie = flask({"_user_id": "alice-7", "n": [n * number for n in range(50)]})
            if "--" in cookie:
                break
        assert "--" in cookie
        assert "alice-7" in of(HTTP_COOKIE=f"session={cookie}")

    def test_two_dashes_before_a_signature(self):
        text = base64.b64encode(json.dumps({"user_id": "alice-7"}).encode()).decode()
        assert "alice-7" in of(HTTP_COOKIE=f"_session={quote(text)}--{'0123456789abcdef' * 3}")

    def test_group_that_identifies_a_person(self):
        groups = [*(f"group-{n}" for n in range(100)), {"owner": {"email": "alice@example.com"}}]
        assert "alice@example.com" in of(HTTP_AUTHORIZATION=f"Bearer {jwt({'groups': groups})}")

    @pytest.mark.parametrize("is_first", [True, False])
    @pytest.mark.parametrize("count", [250, 800])
    def test_token_of_many_members_identifies_its_user(self, is_first, count):
        many = {f"k{n}": "v" for n in range(count)}
        claims = {"sub": "alice-7", **many} if is_first else {**many, "sub": "alice-7"}
        assert "alice-7" in of(HTTP_AUTHORIZATION=f"Bearer {jwt(claims)}")

    def test_session_that_inflates_to_ten_times_its_length(self):
        assert "alice-7" in of(HTTP_COOKIE="session=" + flask({"_user_id": "alice-7", "x": "y" * 30_000}))

    def test_tokens_of_the_longest_headers_that_servers_take(self):
        groups = [str(uuid.uuid5(uuid.NAMESPACE_DNS, str(number))) for number in range(140)]
        token = jwt({"oid": "alice-7", "groups": groups})
        assert 7000 < len(token) < 8190
        session = flask({"_user_id": "margarete-4711", "basket": [f"lamp-{n}" for n in range(500)]})
        assert len(session) < 4096
        found = of(
            HTTP_AUTHORIZATION=f"Bearer {token}",
            HTTP_X_FORWARDED_ACCESS_TOKEN=token,
            HTTP_COOKIE=f"session={session}; id={token[:3800]}; lang=en",
            QUERY_STRING="mail=alice%40example.com&next=" + quote("https://shop.example/?q=" + "a" * 2000),
        )
        assert {"alice-7", "margarete-4711"} <= set(found)
        assert len(found) < 1000


@pytest.mark.parametrize(
    "cookie",
    [
        'a=1234567, sid="x1\\054 q8fh23fh#28hf2k"',
        'sid="x1\\054 q8fh23fh#28hf2k", a=1, c="x"',
    ],
)
def test_quoted_cookie_of_a_header_that_a_server_joined_to_another_is_found_as_parsed(cookie):
    matcher = Matcher(of_request({"HTTP_COOKIE": cookie}, Names()))
    assert matcher.clean("bad session x1, q8fh23fh#28hf2k!") == "bad session [Filtered]!"
