"""Which values of a request are secret, and where they are sought."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.redaction import Names
from sentry_paste.redaction.forms import Where, base64_seed, expanded, seed
from sentry_paste.redaction.values import cookies_of, of_cookies, of_environ, of_request, of_users


def sought(**strings):
    """Text by where it is sought, without its encoded forms."""
    return {secret.text: secret.where for secret in expanded(of_request(strings, Names()))}


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
    assert all(secret.text for secret in expanded(found))
    for secret in found:
        # What is sought first is in every form that is sought then.
        first, encoded = seed(secret), base64_seed(secret)
        forms = [form.text for form in expanded([secret])] if encoded else []
        assert all(first in form or form.startswith(encoded[:6]) for form in forms)
