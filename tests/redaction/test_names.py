"""Which names are secret: headers, keys of the environ, keys of anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.redaction.names import Names, Rule

SECRET_HEADERS = [
    "Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "X-ApiKey",
    "X-CSRF-Token", "X-XSRF-TOKEN", "X-Auth-Token", "X-Amz-Security-Token", "X-Session-Id",
    "X-Signature", "X-Hub-Signature-256", "X-Amzn-Oidc-Data", "X-Amzn-Oidc-Identity", "OIDC-Claim-Email",
    "Cf-Access-Jwt-Assertion", "X-Secret-Thing", "X-Password", "Idempotency-Key", "Sec-WebSocket-Key",
    "X-Access-Token", "X-Forwarded-For", "Forwarded", "X-Real-IP", "True-Client-IP", "CF-Connecting-IP",
    "X-Client-IP", "X-Cluster-Client-Ip", "Fastly-Client-IP", "X-Original-Forwarded-For",
    "X-Azure-ClientIP", "X-Azure-SocketIP", "X-Envoy-External-Address", "Remote-Addr", "X-Remote-User",
    "X-Forwarded-User", "X-Forwarded-Email", "X-User-Name", "X-User-Id", "From",
    "X-MS-CLIENT-PRINCIPAL-NAME", "X-SSL-Client-Cert", "X-Goog-Authenticated-User-Email",
    "Tailscale-User-Login", "X-Remote-Ip",
]  # fmt: skip

ORDINARY_HEADERS = [
    "Host", "User-Agent", "Accept", "Accept-Language", "Accept-Encoding", "Content-Type",
    "Content-Length", "Referer", "Origin", "Cache-Control", "Connection", "X-Request-Id",
    "X-Requested-With", "Traceparent", "Sentry-Trace", "Baggage", "Range", "If-None-Match", "DNT",
    "Priority", "Upgrade-Insecure-Requests", "Sec-Fetch-Mode", "Sec-Fetch-User", "Sec-Ch-Ua",
    "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Monkey",
    "X-Author", "X-Correlation-Id", "X-Inside", "X-Trivia", "X-Shipping",
    "Access-Control-Request-Method",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET_HEADERS)
def test_header_is_secret_in_every_spelling(name):
    names = Names()
    assert names.is_header(name)
    assert names.is_header(name.lower())
    assert names.is_environ("HTTP_" + name.upper().replace("-", "_"))
    assert names.key_rule("HTTP_" + name.upper().replace("-", "_")) is Rule.SECRET


@pytest.mark.parametrize("name", ORDINARY_HEADERS)
def test_header_is_ordinary(name):
    names = Names()
    assert not names.is_header(name)
    assert not names.is_environ("HTTP_" + name.upper().replace("-", "_"))
    assert names.key_rule("HTTP_" + name.upper().replace("-", "_")) in (Rule.KEEP, Rule.PARAMETERS)


@pytest.mark.parametrize(
    "key",
    ["REMOTE_ADDR", "REMOTE_USER", "SSL_CLIENT_S_DN", "OIDC_CLAIM_sub", "repoze.who.identity",
     "beaker.session", "webob._parsed_cookies", "AUTH_USER", "HTTP_COOKIE", "zope.user", "x_forwarded_for",
     "ip_address", "password", "http.request.header.cookie"],
)  # fmt: skip
def test_key_of_a_mapping_is_secret(key):
    assert Names().key_rule(key) is Rule.SECRET


@pytest.mark.parametrize(
    "key",
    ["PATH_INFO", "SERVER_NAME", "wsgi.version", "wsgi.errors", "colour", "key", "keys", "REQUEST_METHOD",
     "name", "webob.adhoc_attrs", "user_id", "author", "HTTP_HOST", "http.request.header.host"],
)  # fmt: skip
def test_key_of_a_mapping_is_ordinary(key):
    assert Names().key_rule(key) is Rule.KEEP


@pytest.mark.parametrize(
    "name", ["token", "tokens", "key", "session_count", "auth", "author", "cookies", "x"]
)
def test_local_variable_is_not_judged_by_a_word_of_every_program(name):
    assert Names().secret_variables({name: 1}) == []


@pytest.mark.parametrize(
    "name", ["new_password", "clientSecret", "api_key", "credentials", "authorization_header"]
)
def test_local_variable_is_secret(name):
    assert Names().secret_variables({name: 1, "x": 1}) == [name]


class TestOptions:
    def test_header_is_added_by_name_or_glob(self):
        names = Names(headers=["X-Tenant", "x-internal-*"])
        assert names.is_header("x-tenant")
        assert names.is_environ("HTTP_X_INTERNAL_THING")
        assert names.key_rule("X-Internal-Thing") is Rule.SECRET
        assert not names.is_header("X-Tenants")

    def test_header_is_kept_by_name_or_glob(self):
        names = Names(kept_headers=["Idempotency-Key", "X-Forwarded-*"])
        assert not names.is_header("Idempotency-Key")
        assert not names.is_environ("HTTP_X_FORWARDED_FOR")
        assert names.key_rule("HTTP_IDEMPOTENCY_KEY") is Rule.KEEP
        assert names.is_header("X-Api-Key")

    def test_key_of_the_environ_is_added_by_name_or_glob(self):
        names = Names(environ=["myapp.tenant", "MYAPP_*"])
        assert names.is_environ("myapp.tenant")
        assert names.key_rule("MYAPP_X") is Rule.SECRET
        assert not names.is_environ("myapp.tenants")

    def test_names_that_the_scrubber_denies_are_secret_at_any_depth(self):
        names = Names()
        assert names.key_rule("iban") is Rule.KEEP
        names.deny(["IBAN"])
        assert names.key_rule("iban") is Rule.SECRET


@given(st.text(), st.text())
def test_any_name_has_an_answer(name, glob):
    names = Names(headers=[glob], parameters=[glob], environ=[glob], kept_headers=[glob])
    for ask in (names.is_header, names.is_parameter, names.is_environ, names.key_rule):
        ask(name)


def test_names_that_clients_make_up_are_not_remembered_for_ever():
    names = Names()
    for number in range(20_000):
        names.secret_keys({f"name{number}": 1})
        names.secret_variables({f"name{number}": 1})
    assert len(names.plain_keys) < 10_000
    assert len(names.plain_variables) < 10_000
