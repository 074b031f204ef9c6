"""Which names are secret: headers, keys of the environ, keys of anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.names import Names, Rule, environ_key, is_environ

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
    "Tailscale-User-Login", "X-Remote-Ip", "X-ARR-ClientCert", "X-Amzn-Mtls-Clientcert",
    "X-Amzn-Mtls-Clientcert-Serial-Number", "X-Amzn-Mtls-Clientcert-Subject", "X-Authentik-Username",
    "X-Authentik-Groups", "X-Authentik-Meta-Outpost", "X-Pomerium-Claim-Email", "X-Pomerium-Jwt-Assertion",
    "X-Consumer-Username", "X-Consumer-Custom-Id", "X-Credential-Identifier", "X-Authenticated-Userid",
    "IV-Creds", "IV-User", "IV-Groups", "SM-UserDN", "SM_USER", "SM-ServerSessionID", "Jenkins-Crumb",
    "X-MSISDN", "X-UP-Calling-Line-Id", "X-Proxied-For", "X-Original-Proxied-For", "Proxied-For",
    "X-Forward-For", "CF-Access-Client-Id", "CF-Access-Client-Secret", "Cf-Access-Authenticated-User-Email",
    "X-MS-CLIENT-PRINCIPAL", "X-MS-TOKEN-AAD-ACCESS-TOKEN", "X-Goog-IAP-JWT-Assertion",
    "Tailscale-User-Profile-Pic", "Remote-Groups", "Remote-Name", "X-Auth-Request-Email",
    "X-Forwarded-Client-Cert", "X-SSL-Client-Serial", "Ssl-Client-Verify", "X-Client-Cert", "Client-Cert",
    "Client-Cert-Chain", "X-TLS-Client-Subject", "X-Endpoint-API-UserInfo", "X-Vouch-IdP-Claims-Name",
    "X-WEBAUTH-NAME", "CAS-displayName", "Shib-Session-Index", "AJP_displayName", "X-Ticket", "X-MFA-Code",
]  # fmt: skip

ORDINARY_HEADERS = [
    "Host", "User-Agent", "Accept", "Accept-Language", "Accept-Encoding", "Content-Type",
    "Content-Length", "Referer", "Origin", "Cache-Control", "Connection", "X-Request-Id",
    "X-Requested-With", "Traceparent", "Sentry-Trace", "Baggage", "Range", "If-None-Match", "DNT",
    "Priority", "Upgrade-Insecure-Requests", "Sec-Fetch-Mode", "Sec-Fetch-User", "Sec-Ch-Ua",
    "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Monkey",
    "X-Author", "X-Correlation-Id", "X-Inside", "X-Trivia", "X-Shipping", "X-Original-User-Agent",
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
    shown = (Rule.KEEP, Rule.PARAMETERS, Rule.BAGGAGE, Rule.BY_VALUE)
    assert names.key_rule("HTTP_" + name.upper().replace("-", "_")) in shown


@pytest.mark.parametrize(
    "key",
    ["REMOTE_ADDR", "REMOTE_USER", "SSL_CLIENT_S_DN", "OIDC_CLAIM_sub", "repoze.who.identity",
     "beaker.session", "webob._parsed_cookies", "AUTH_USER", "HTTP_COOKIE", "zope.user", "x_forwarded_for",
     "ip_address", "password", "http.request.header.cookie", "eppn", "persistent-id", "Shib-Session-ID",
     "AJP_displayName", "MELLON_NAME_ID", "MELLON_mail", "CAS_USER", "HTTPS_DN", "CERT_SUBJECT",
     "UNMAPPED_REMOTE_USER", "CLIENT_IP", "REDIRECT_REMOTE_ADDR", "REDIRECT_REDIRECT_REMOTE_USER",
     "REDIRECT_HTTP_AUTHORIZATION", "REDIRECT_SSL_CLIENT_S_DN", "REDIRECT_eppn", "SM_USERDN",
     "PHP_AUTH_PW", "REMOTE_USER_EMAIL"],
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


@pytest.mark.parametrize("key", ["mail", "uid", "cn", "sn", "displayName", "givenName", "affiliation"])
def test_attribute_of_shibboleth_is_secret_in_an_environ_alone(key):
    assert Names().is_environ(key)
    assert Names().key_rule(key) is Rule.IN_ENVIRON
    assert is_environ({key: 1, "REQUEST_METHOD": "'GET'"})
    assert not is_environ({key: 1})


class TestHeaderOfNoKnownKind:
    @pytest.mark.parametrize(
        "value",
        [
            "q8fh23fh28hf2", "Bearer abcDEFghiJKLmnoPQR", "eyJhbGciOiJIUzI1NiJ9.e30.x", "203.0.113.7",
            "203.0.113.7:4711", "2001:db8::77", "[2001:db8::77]:443", "::ffff:203.0.113.7",
            "alice@example.com",
            "Alice <alice@example.com>", "alice%40example.com", "alice@EXAMPLE", "aa:bb:cc:dd:ee:ff",
            "-----BEGIN CERTIFICATE-----", "MIIBxTCCAW4CCQCkE2QT7rOZ", "CN=Alice,O=Example", "+41791234567",
            "771a43a4-1926-42f0-b136-d5159a501700", "x" * 2000, "'q8fh23fh28hf2'", "4/0AX4XfWhf3b9aP-Xk",
            "4111111111111111", "client=203.0.113.7; proto=https",
        ],
    )  # fmt: skip
    def test_value_decides(self, value):
        assert Names().is_secret_header("X-Acme", value)
        assert Names().is_unknown_header("HTTP_X_ACME")
        assert Names.is_secret_header_value(value)

    @pytest.mark.parametrize(
        "value",
        [
            "", "yes", "42", "1700000000", "1700000000000", "2026-11-22T10:15:30Z", "20261122T101530Z",
            "XMLHttpRequest", "text/html,*/*;q=0.8", "de-CH,en;q=0.5", "Chrome/120.0.0.0", "1.2.3",
            "10:15:30", "/shop/basket/17?page=3", "https://www.example.com/shop/basket", "gzip, br",
            "127.0.0.1", "::1",
            "eu-central-1", "web-12.example.com:8080", "Wed, 21 Oct 2026 07:28:00 GMT",
            "stale-while-revalidate", "ECDHE-RSA-AES128-GCM-SHA256",
            "ip-10-0-3-14.eu-west-1.compute.internal", "checkout-production",
            "InternationalizationSupport", "a=1; b=2", "TLSv1.3",
        ],
    )  # fmt: skip
    def test_ordinary_value_stays(self, value):
        assert not Names().is_secret_header("X-Acme", value)

    @pytest.mark.parametrize(
        "name",
        ["X-Request-Id", "X-Correlation-ID", "X-Amzn-Trace-Id", "X-Cloud-Trace-Context", "X-B3-TraceId",
         "X-Datadog-Trace-Id", "CF-Ray", "Traceparent", "If-None-Match", "X-Amz-Cf-Id", "X-Vercel-Id",
         "User-Agent", "Sec-Ch-Ua-Full-Version-List", "Content-Md5"],
    )  # fmt: skip
    def test_id_by_which_a_request_is_found_again_stays(self, name):
        assert not Names().is_secret_header(name, "771a43a4192642f0b136d5159a501700")

    @pytest.mark.parametrize(
        "value",
        ["bearer, q8fh23fh28hf2", "bearer, abc", "Bearer,abc", "BEARER abc", "graphql-ws, bearer, abc",
         "base64url.bearer.authorization.k8s.io.QWxhZGRpbjpvcGVuIHNlc2FtZQ, base64.binary.k8s.io"],
    )  # fmt: skip
    def test_subprotocol_of_a_websocket_may_be_a_token(self, value):
        names = Names()
        assert names.is_secret_header("Sec-WebSocket-Protocol", value)
        assert names.is_unknown_header("HTTP_SEC_WEBSOCKET_PROTOCOL")
        assert names.key_rule("HTTP_SEC_WEBSOCKET_PROTOCOL") is Rule.BY_VALUE

    @pytest.mark.parametrize(
        "value", ["chat", "graphql-transport-ws", "soap, wamp", "v12.stomp, v11.stomp", "bearer"]
    )
    def test_subprotocol_that_is_a_name_stays(self, value):
        assert not Names().is_secret_header("Sec-WebSocket-Protocol", value)

    def test_subprotocol_stays_by_option(self):
        names = Names(kept_headers=["Sec-WebSocket-Protocol"])
        for name in ("Sec-WebSocket-Protocol", "Sec-Websocket-Protocol", "HTTP_SEC_WEBSOCKET_PROTOCOL"):
            assert not names.is_secret_header(name, "bearer, q8fh23fh28hf2")

    @pytest.mark.parametrize(
        "name", ["Sec-WebSocket-Version", "Sec-WebSocket-Extensions", "Sec-Ch-Ua-Model", "Sec-Gpc"]
    )
    def test_other_headers_of_browsers_stay(self, name):
        assert not Names().is_secret_header(name, "q8fh23fh28hf2")

    def test_header_without_an_x_is_looked_at_too(self):
        assert Names().is_secret_header("Acme-Thing", "q8fh23fh28hf2")
        assert not Names().is_secret_header("Acme-Thing", "green")

    def test_option_wins_over_the_value(self):
        names = Names(kept_headers=["X-Acme-*"])
        assert not names.is_secret_header("X-Acme-Id", "q8fh23fh28hf2")
        assert not names.is_unknown_header("HTTP_X_ACME_ID")
        assert names.key_rule("HTTP_X_ACME_ID") is Rule.KEEP

    @pytest.mark.parametrize("key", ["SERVER_NAME", "HTTPS", "PATH_INFO", "acme", "X_ACME"])
    def test_key_without_a_headers_prefix_is_not_a_header(self, key):
        assert not Names().is_unknown_header(key)

    @given(st.text(alphabet="aA0.:-@/=+%, \n\xfc", max_size=3000))
    def test_any_value_has_an_answer(self, value):
        Names.is_secret_header_value(value)


@pytest.mark.parametrize(
    "name",
    ["code", "ticket", "assertion", "client_assertion", "device_code", "deviceCode", "auth_code", "nonce",
     "passcode", "mfa", "mfa_code", "cvv", "cvc", "sessid", "PHPSESSID", "otp", "pin", "pass"],
)  # fmt: skip
def test_parameter_is_secret(name):
    assert Names().is_parameter(name)


@pytest.mark.parametrize(
    "name",
    ["country_code", "postcode", "zip_code", "error_code", "language_code", "codes", "barcode", "encode",
     "ticket_id", "ticket_number", "state", "page", "process_id", "passenger", "spin", "compass"],
)  # fmt: skip
def test_parameter_is_ordinary(name):
    assert not Names().is_parameter(name)


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

    def test_header_with_humps_is_the_one_of_the_environ(self):
        names = Names(headers=["X-TenantName"], kept_headers=["Sec-WebSocket-Key"])
        for name in ("X-TenantName", "X-Tenantname", "HTTP_X_TENANTNAME", "x-tenant-name"):
            assert names.is_header(name)
        for name in ("Sec-WebSocket-Key", "Sec-Websocket-Key", "HTTP_SEC_WEBSOCKET_KEY"):
            assert not names.is_header(name)

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


class Unread(str):
    """A name of which only the length may be read, and the hash, which a key of a mapping has already."""

    __hash__ = str.__hash__

    def _read(self, *args):
        raise AssertionError("somebody reads a name that is too long")

    __contains__ = __iter__ = __getitem__ = startswith = endswith = lower = split = replace = rpartition = (
        _read
    )


class TestNameThatIsTooLong:
    LONG = "HTTP_" + "x_" * 4000

    @pytest.mark.parametrize("rule", ["is_header", "is_parameter", "is_environ"])
    def test_it_is_secret_without_being_read(self, rule):
        assert getattr(Names(), rule)(Unread(self.LONG)) is True

    def test_its_value_is_secret_under_any_key(self):
        assert Names().key_rule(Unread(self.LONG)) is Rule.SECRET
        assert Names().is_secret_header(Unread(self.LONG), "green")

    @pytest.mark.parametrize(
        "rule",
        ["is_unknown_header", "is_personal_header", "has_parameters", "holds_addresses", "is_own_environ"],
    )
    def test_it_is_of_no_other_kind(self, rule):
        assert getattr(Names(environ=["*"]), rule)(Unread(self.LONG)) is False

    def test_option_that_keeps_headers_does_not_match_it(self):
        names = Names(kept_headers=["*"])
        assert names.is_header(Unread(self.LONG))
        assert names.key_rule(self.LONG) is Rule.SECRET
        assert not names.is_header("HTTP_COOKIE")

    def test_longest_ordinary_name(self):
        assert Names().key_rule("a" * 200) is Rule.KEEP
        assert Names().key_rule("a" * 201) is Rule.SECRET

    def test_it_is_not_remembered(self):
        names = Names()
        mapping = {self.LONG: 1, "colour": "green"}
        assert names.secret_keys(mapping, Bounds(9, 0)) == names.secret_variables(mapping) == [self.LONG]
        assert self.LONG not in names.plain_keys | names.plain_variables
        assert names.is_header(self.LONG)
        assert not names._of_keys
        assert not names.is_header.__self__


@given(st.text(), st.text())
def test_any_name_has_an_answer(name, glob):
    names = Names(headers=[glob], parameters=[glob], environ=[glob], kept_headers=[glob])
    for ask in (names.is_header, names.is_parameter, names.is_environ, names.key_rule):
        ask(name)


def test_names_that_clients_make_up_are_not_remembered_for_ever():
    names = Names()
    for number in range(20_000):
        names.secret_keys({f"name{number}": 1}, Bounds(1, 0))
        names.secret_variables({f"name{number}": 1})
        names.is_header(f"X-Name-{number}")
    assert len(names.plain_keys) < 10_000
    assert len(names.plain_variables) < 10_000
    assert len(names.is_header.__self__) < 10_000


@pytest.mark.parametrize(
    ("name", "key"),
    [("remote_addr", "REMOTE_ADDR"), ("http_x_foo", "HTTP_X_FOO"), ("displayname", "displayName"),
     ("eppn", "eppn"), ("wsgi.input", "wsgi.input"), ("repoze.who.identity", "repoze.who.identity")],
)  # fmt: skip
def test_key_of_the_environ_that_gunicorn_has_put_into_lower_case(name, key):
    assert environ_key(name) == key
