"""One request with a secret in every possible place, and the means to see whether any of them has leaked."""

# ruff: noqa: E501 - what is planted reads better whole

import base64
import hashlib
import hmac
import html
import io
import json
import random
import re
import reprlib
import string
import uuid
from functools import lru_cache
from itertools import accumulate
from urllib.parse import quote, quote_plus, urlencode
from xml.sax import saxutils

from wsgi_calls import environ_of

#: How many consecutive characters of a secret make a leak.
WINDOW = 8
# How many hexadecimal digits do. Events are full of ids: one run of the tests in a few hundred sees an id with
# eight digits of a hash. Twelve are as unlikely as eight letters and digits.
_DIGITS = 12
_ONLY_DIGITS = re.compile("[0-9a-fA-F-]+")
#: An innocent text that is in every channel, and must arrive there.
INNOCENT = "lamp-seventeen-is-blue_and.green"

# Only one Authorization header fits into a request.
SCHEMES = ("Bearer", "Digest", "AWS4-HMAC-SHA256")

_CODE = {"pre_context", "context_line", "post_context", "filename", "abs_path", "module", "function"}
_SHORT_REPR = reprlib.Repr()
_SHORT_REPR.maxstring = 24


def _urlsafe(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _lower(text):
    return "%".join(
        part[:2].lower() + part[2:] if index else part for index, part in enumerate(text.split("%"))
    )


#: Secrets that could be words of any text.
WORDS = frozenset(
    {
        "X-Authentik-Username",
        "X-Consumer-Username",
        "X-Amzn-Mtls-Clientcert-Subject, CN",
        "XFCC, CN",
        "displayName",
    }
    | {"CORP\\account", "account@REALM", "SSL_CLIENT_S_DN, CN", "CAS_USER", "CERT_SUBJECT, CN", "AJP_uid"}
    | {"user info, user"}
    # And URLs.
    | {"XFCC, URI", "persistent-id"}
)
# Half an address identifies nobody.
_ADDRESSES = frozenset(
    {"X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "REMOTE_ADDR", "CLIENT_IP"}
    # Digits are in all timestamps.
    | {"X-Acme-Peer", "X-Proxied-For", "X-MSISDN"}
)


def _cut(text):
    return text[: min(max(len(text) * 2 // 3, WINDOW), 60)]


#: How text can contain a value. The first is the value itself.
FORMS = {
    "raw": str,
    "repr": repr,
    "ascii": ascii,
    "repr of bytes": lambda text: repr(text.encode()),
    "JSON": json.dumps,
    "JSON, other characters as they are": lambda text: json.dumps(text, ensure_ascii=False),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "JSON, slashes escaped": lambda text: json.dumps(text).replace("/", "\\/"),
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded, but for slashes": quote,
    "percent-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent-encoded, lower case": lambda text: _lower(quote(text, safe="")),
    "a form's, with plus": quote_plus,
    "HTML (html.escape)": html.escape,
    "HTML (MarkupSafe)": lambda text: html.escape(text).replace("&#x27;", "&#39;").replace("&quot;", "&#34;"),
    "XML (saxutils)": lambda text: saxutils.escape(text, {"'": "&apos;", '"': "&quot;"}),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, URL alphabet": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64, no padding": lambda text: base64.b64encode(text.encode()).decode().rstrip("="),
    "base64 of a=value": lambda text: base64.b64encode(b"a=" + text.encode()).decode(),
    "base64 of ab=value": lambda text: base64.b64encode(b"ab=" + text.encode()).decode(),
    "base64 of abc=value": lambda text: base64.b64encode(b"abc=" + text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
    "hex, upper case": lambda text: text.encode().hex().upper(),
    "cut at the end (...)": lambda text: _cut(text) + "...",
    "cut at the end (\u2026)": lambda text: _cut(text) + "\u2026",
    "cut, and text goes on": lambda text: f"before {_cut(text)}... and after",
    "cut in the middle (reprlib)": _SHORT_REPR.repr,
}


# The part of a form that is the value, if there is more.
_VALUES_IN_FORMS = {"cut, and text goes on": _cut}


class Planted:
    """One request with a secret in every possible place; each secret is new, and made of random characters.

    Args:
        seed: of the random characters; also selects the scheme of ``Authorization``.
        more: of the environ.

    Attributes:
        secrets: text by what it is.
        environ: of the request.
        unseen: which of the secrets an app cannot know before it reads the body.
    """

    unseen = frozenset({"body"})

    def __init__(self, seed=0, **more):
        self.seed = seed
        self.secrets, self.environ = _plant(seed)
        self.environ.update(more)

    @property
    def texts(self):
        """The secrets that an app can have."""
        return [text for name, text in self.secrets.items() if name not in self.unseen]

    def headers(self):
        """Return the request's headers, for a client that sends them."""
        return {
            key[5:].replace("_", "-").title(): text
            for key, text in self.environ.items()
            if key.startswith("HTTP_") and key != "HTTP_HOST"
        }

    def sign_in(self, environ):
        """Do what a framework does that knows the user."""
        environ["REMOTE_USER"] = self.secrets["REMOTE_USER"]
        environ["repoze.who.identity"] = {"repoze.who.userid": self.secrets["REMOTE_USER"], "tokens": ()}

    def leaked(self, data, forms=tuple(FORMS)):
        """Return which secrets were sent, whole or as many consecutive characters of them as are nowhere by chance.

        Args:
            data: envelopes.
            forms: to search for.
        """
        revealed = _secrets_by_run(self.seed, tuple(forms))
        sizes = sorted({len(piece) for piece in revealed})
        found = set()
        for text in _texts_of(data):
            for size in sizes:
                for piece in revealed.keys() & windows(text, size):
                    found |= revealed[piece]
        return found


def shows(data, text):
    """Return whether a text was sent, however it is quoted."""
    wanted = windows(text)
    found = set()
    for sent in _texts_of(data):
        found |= wanted & windows(sent)
    return len(found) * 2 > len(wanted)


def windows(text, size=WINDOW):
    """Return all runs of ``size`` characters in a text."""
    return {text[start : start + size] for start in range(max(len(text) - size, 0) + 1)}


def revealing(text):
    """Return the runs of characters that show that a text was sent, because they are nowhere by chance."""
    runs = windows(text, _DIGITS if _ONLY_DIGITS.fullmatch(text) else WINDOW)
    return {run for run in runs if len(run) >= _DIGITS or not _ONLY_DIGITS.fullmatch(run)}


# How many characters of a run must differ from other requests: "@example" identifies nobody.
_OWN = 4


@lru_cache(maxsize=64)
def _secrets_by_run(seed, forms):
    """Return the secrets that each run of characters reveals."""
    secrets, _ = _plant(seed)
    others = _others(seed % len(SCHEMES))
    names = {}
    for name, text in secrets.items():
        for form in forms:
            for piece in _pieces(name, text, [other[name] for other in others], form):
                names.setdefault(piece, set()).add(name)
    return names


@lru_cache
def _others(scheme):
    return [_plant(scheme + len(SCHEMES) * number)[0] for number in range(1_000_003, 1_000_007)]


def _pieces(name, text, others, form):
    """Return the runs of characters of a secret in a form that no other request has."""
    make = _VALUES_IN_FORMS.get(form, FORMS[form])
    shown = make(text)
    size = _DIGITS if _ONLY_DIGITS.fullmatch(text) else WINDOW
    if "hex" in form:
        size = 2 * WINDOW
    if name in _ADDRESSES:
        # Its end, without what follows.
        return set() if form.startswith("cut") else {shown.rstrip("'\"=")[-size:]}
    others = [make(other) for other in others]
    differ = [len(set(letters)) > 1 for letters in zip(shown, *others)]
    differ += [True] * (len(shown) - len(differ))
    counts = [0, *accumulate(differ)]
    found = {
        shown[start : start + size]
        for start in range(len(shown) - size + 1)
        if counts[start + size] - counts[start] >= _OWN
    }
    if len({len(shown), *map(len, others)}) > 1:
        # Encoded, one character may become three, and equal parts move.
        found = found.difference(*(windows(other, size) for other in others))
        found = {piece for piece in found if "%25" not in piece and piece.count("%") < 2}
    return {piece for piece in found if len(piece) >= _DIGITS or not _ONLY_DIGITS.fullmatch(piece)}


def _texts_of(data):
    found = set()
    for line in data.decode("utf-8", "replace").splitlines():
        try:
            _collect(json.loads(line), found)
        except ValueError:
            found.add(line)
    return found


def _collect(node, found):
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in _CODE:
                found.add(key)
                _collect(value, found)
    elif isinstance(node, list):
        for value in node:
            _collect(value, found)
    elif isinstance(node, str):
        found.add(node)


def _plant(seed):
    """Return the secrets of a request, and its environ."""
    chance = random.Random(seed)

    def word(length=12, alphabet=string.ascii_letters + string.digits):
        return "".join(chance.choice(alphabet) for _ in range(length)) + "7q"

    def letters(length=9):
        return "".join(chance.choice("bcdfghjkmnpqrstvwxz") for _ in range(length))

    numbers = chance.sample(range(100, 250), 20)
    number = numbers.pop

    def digits(length=12):
        return "".join(chance.choice(string.digits) for _ in range(length))

    odd = f"{word(6)}/+ =&\u00fc'{word(8)}"
    secrets = {
        "cookie": word(),
        "cookie, quoted": odd,
        "cookie, long": word(600),
        "X-Api-Key": word(16),
        "X-CSRF-Token": word(16),
        "X-Session-Signature": word(30),
        "X-Amzn-Oidc-Data": f"{word(12)}.{word(20)}.{word(9)}",
        "X-Forwarded-For": f"203.0.113.{number()}",
        "Forwarded": f"198.51.100.{number()}",
        "X-Real-IP": f"2001:db8:{word(4, '0123456789abcdef')[:4]}::{number()}",
        "CF-Connecting-IP": f"192.0.2.{number()}",
        "REMOTE_ADDR": f"10.{number()}.{number()}.{number()}",
        "REMOTE_USER": f"user-{word(5)}",
        "X-Forwarded-User": f"{word(9)}@example.com",
        "query, token": word(),
        "query, password": odd[::-1],
        "referer, token": word(14),
        "Set-Cookie": word(18),
        "body": word(11),
        # Of no known kind.
        "X-Acme": word(20),
        "X-Acme-Contact": f"{letters()}@example.net",
        "X-Acme-Peer": f"203.0.113.{number()}",
        # Who somebody is, by proxies and identity providers.
        "X-ARR-ClientCert": base64.b64encode(chance.getrandbits(2400).to_bytes(300, "big")).decode(),
        "X-Authentik-Username": letters(),
        "X-Pomerium-Claim-Email": f"{letters()}.{letters()}@example.org",
        "X-Consumer-Username": letters(10),
        "IV-Creds": word(40),
        "SM-UserDN": f"uid={letters()},ou=people,o=example",
        "Jenkins-Crumb": word(30),
        "X-MSISDN": f"4179{digits(9)}",
        "X-Proxied-For": f"198.51.100.{number()}",
    }
    plain = {name: text for name, text in secrets.items() if name[:2] in ("X-", "CF", "IV", "SM", "Je")}
    headers = {"HTTP_" + name.upper().replace("-", "_"): text for name, text in plain.items()}
    headers["HTTP_X_FORWARDED_FOR"] += ", 10.0.0.9"
    mixed = f"{word(9).title()}@Example.com"
    headers["HTTP_X_AUTH_REQUEST_EMAIL"] = mixed
    secrets["e-mail, in lower case"] = mixed.lower()

    cookies = _plant_cookies(secrets, word, chance)
    headers |= _plant_certificates(secrets, word, letters, chance)
    headers |= _plant_credentials(secrets, word, SCHEMES[seed % len(SCHEMES)])
    of_server = _plant_attributes(secrets, word, letters, number)

    for name in ("code", "ticket", "assertion", "device_code", "passcode", "mfa", "sessid"):
        secrets[f"query, {name}"] = word(14)
    nested = {name: word(13) for name in ("in the query", "in JSON in the query", "in the referer")}
    for place, text in nested.items():
        secrets[f"parameter {place}"] = text
    secrets["fragment, access_token"] = word(22)
    secrets["baggage, userId"] = word(8)
    secrets["user info, user"], secrets["user info, password"] = letters(), word(9)
    query = {name: secrets[f"query, {name}"] for name in ("token", "password", "code", "ticket", "assertion",
                                                         "device_code", "passcode", "mfa", "sessid")}  # fmt: skip
    query |= {
        "next": f"/reset?token={nested['in the query']}&page=4",
        "filter": json.dumps({"password": nested["in JSON in the query"], "colour": "blue"}),
    }
    of_referer = {
        "token": secrets["referer, token"],
        "next": f"/confirm?code={nested['in the referer']}",
        "page": 3,
    }
    body = urlencode({"new_password": secrets["body"], "colour": "green"}).encode()
    environ = environ_of(
        "/shop/basket",
        "POST",
        HTTP_COOKIE=f"sid={secrets['cookie']}; theme=dark; odd={quote(odd, safe='')}; lang=en; "
        f"page=production; long={secrets['cookie, long']}; {cookies}",
        HTTP_FORWARDED=f'for={secrets["Forwarded"]};proto=https, for="[2001:db8::1]:4711"',
        HTTP_REFERER=f"https://example.com/login?{urlencode(of_referer)}"
        f"#access_token={secrets['fragment, access_token']}&state=open",
        HTTP_X_ORIGINAL_URL=f"https://{secrets['user info, user']}:{secrets['user info, password']}@example.com/x",
        HTTP_BAGGAGE=f"userId={secrets['baggage, userId']},colour=green",
        HTTP_USER_AGENT="canaries/1.0",
        HTTP_ACCEPT_LANGUAGE="de-CH,en",
        REMOTE_ADDR=secrets["REMOTE_ADDR"],
        QUERY_STRING=f"page=3&colour=green&{urlencode(query)}",
        CONTENT_TYPE="application/x-www-form-urlencoded",
        CONTENT_LENGTH=str(len(body)),
        **headers,
        **of_server,
        **{"wsgi.input": io.BytesIO(body)},
    )
    return secrets, environ


def _plant_cookies(secrets, word, chance):
    """Plant what common libraries parse: a JWT, a signed cookie, a UUID."""
    claims = {
        "iss": "https://idp.example.com",
        "sub": word(14),
        "email": f"{word(9)}@example.org",
        "exp": 1795948200,
    }
    payload = _urlsafe(json.dumps(claims).encode())
    signature = _urlsafe(chance.getrandbits(256).to_bytes(32, "big"))
    secrets["JWT"] = jwt = f"{_urlsafe(_JWT_HEAD)}.{payload}.{signature}"
    secrets |= {"JWT, payload": payload, "JWT, signature": signature}
    secrets |= {"JWT, sub": claims["sub"], "JWT, email": claims["email"]}
    uid = word(12)
    payload = _urlsafe(json.dumps({"uid": uid}).encode())
    signature = _urlsafe(hmac.new(b"%d" % chance.getrandbits(64), payload.encode(), hashlib.sha1).digest())
    secrets["signed cookie"] = signed = f"{payload}.Z1vVvA.{signature}"
    secrets |= {"signed cookie, payload": payload, "signed cookie, signature": signature}
    secrets["signed cookie, uid"] = uid
    number = uuid.UUID(int=chance.getrandbits(128), version=4)
    secrets |= {"UUID": number.hex, "UUID, as uuid.UUID": str(number)}
    return f"jwt={jwt}; session={signed}; visit={number.hex}"


_JWT_HEAD = b'{"alg": "HS256", "typ": "JWT"}'


def _plant_certificates(secrets, word, letters, chance):
    """Plant client certificates, as passed on by proxies and mod_ssl."""
    der = base64.encodebytes(chance.getrandbits(2400).to_bytes(300, "big")).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{der}-----END CERTIFICATE-----\n"
    secrets |= {"X-Amzn-Mtls-Clientcert": pem, "X-Amzn-Mtls-Clientcert, line": der.splitlines()[1]}
    secrets |= {
        "X-Amzn-Mtls-Clientcert-Subject, CN": letters(),
        "XFCC, hash": hashlib.sha256(pem.encode()).hexdigest(),
    }
    secrets |= {"XFCC, CN": letters(10), "XFCC, URI": f"spiffe://cluster.local/ns/shop/sa/{letters(11)}"}
    return {
        "HTTP_X_AMZN_MTLS_CLIENTCERT": quote(pem, safe="+=/"),
        "HTTP_X_AMZN_MTLS_CLIENTCERT_SUBJECT": f"CN={secrets['X-Amzn-Mtls-Clientcert-Subject, CN']},O=Example",
        "HTTP_X_FORWARDED_CLIENT_CERT": f'Hash={secrets["XFCC, hash"]};Subject="CN={secrets["XFCC, CN"]},O=Example";'
        f"URI={secrets['XFCC, URI']}",
    }


def _plant_credentials(secrets, word, scheme):
    if scheme == "Digest":
        secrets |= {"Digest, username": word(8), "Digest, response": hashlib.md5(word().encode()).hexdigest()}
        authorization = (
            f'Digest username="{secrets["Digest, username"]}", realm="shop", uri="/shop/basket", '
            f'response="{secrets["Digest, response"]}"'
        )
    elif scheme == "AWS4-HMAC-SHA256":
        secrets |= {
            "AWS, access key id": f"AKIA{word(14).upper()}",
            "AWS, signature": hashlib.sha256(word().encode()).hexdigest(),
        }
        authorization = (
            f"AWS4-HMAC-SHA256 Credential={secrets['AWS, access key id']}/20261122/eu-central-1/s3/aws4_request, "
            f"SignedHeaders=host;x-amz-date, Signature={secrets['AWS, signature']}"
        )
    else:
        secrets["Authorization"] = word(20)
        authorization = f"Bearer {secrets['Authorization']}"
    user, password = word(9), word(9)
    if scheme == "Bearer":
        secrets |= {"Basic, user": user, "Basic, password": f"{password}:x"}
        proxy = "Basic " + base64.b64encode(f"{user}:{password}:x".encode()).decode()
    else:
        secrets |= {"ApiKey, user": user, "ApiKey, key": password}
        proxy = f"ApiKey {user}:{password}"
    return {"HTTP_AUTHORIZATION": authorization, "HTTP_PROXY_AUTHORIZATION": proxy}


def _plant_attributes(secrets, word, letters, number):
    """Plant what the server in front puts into the environ: mod_ssl, Shibboleth, mod_auth_mellon and others."""
    windows_account, kerberos = letters(10), letters(10)
    secrets |= {"CORP\\account": windows_account, "account@REALM": kerberos}
    secrets |= {"SSL_CLIENT_S_DN, CN": letters(), "SSL_CLIENT_S_DN, emailAddress": f"{word(8)}@example.org"}
    secrets |= {"eppn": f"{letters()}@example.edu", "mail": f"{letters()}.{word(5)}@example.edu"}
    secrets |= {"displayName": letters().title(), "persistent-id": f"https://idp.example.edu!{word(20)}"}
    secrets |= {"MELLON_NAME_ID": word(12), "CAS_USER": letters(), "CERT_SUBJECT, CN": letters()}
    secrets |= {"CLIENT_IP": f"198.51.100.{number()}", "AJP_uid": letters()}
    direct = (
        "eppn",
        "mail",
        "displayName",
        "persistent-id",
        "MELLON_NAME_ID",
        "CAS_USER",
        "CLIENT_IP",
        "AJP_uid",
    )
    return {
        "LOGON_USER": f"CORP\\{windows_account}",
        "REDIRECT_REMOTE_USER": f"{kerberos}@EXAMPLE.COM",
        "SSL_CLIENT_S_DN": f"/C=CH/O=Example/CN={secrets['SSL_CLIENT_S_DN, CN']}"
        f"/emailAddress={secrets['SSL_CLIENT_S_DN, emailAddress']}",
        "CERT_SUBJECT": f"O=Example, CN={secrets['CERT_SUBJECT, CN']}",
        **{name: secrets[name] for name in direct},
    }
