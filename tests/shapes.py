"""Ordinary values of every kind that a server logs, and values that are personal by their shape, in contexts.

All are made from a seed: of no real person, account or card.
"""

# ruff: noqa: E501 - a table reads better with its lines whole

import base64
import json
import random
import re
import string
from urllib.parse import quote, quote_plus

from sentry_paste.redaction.numbers import _BRANDS, _IBAN_LENGTHS

WORDS = """
the a request user basket order failed retry cache miss hit connection pool timeout error warning started finished
job worker queue page item price session token view template render query row column index key
"""

# By kind, with {d3} for three digits, {x8} for eight of hexadecimal ones, {B12} for letters and digits (each also
# with a least and a most, {d1-4}), {w} for a word, {W} for one with a capital, {n} for a name of some words, and
# {kind} for another value of a kind.
TEMPLATES = {
    "moment": ["20{d1}5-0{d1}-1{d1} 1{d1}:3{d1}:2{d1}", "20{d1}1-1{d1}-2{d1}T0{d1}:4{d1}:5{d1}"],
    "iso time": [
        "{moment}", "{moment},{d3}", "{moment}.{d3}Z", "{moment}.{d6}+00:00", "{moment}+0200", "{moment}-05:30",
        "{moment}+12:45", "{moment} UTC+2", "GMT+1 {moment}", "Thu, 0{d1} Jan 20{d2} 00:00:00 GMT",
    ],
    "access log": [
        '{address} - - [1{d1}/Oct/20{d2}:1{d1}:2{d1}:3{d1} +0{d1}00] "GET {path} HTTP/1.1" 200 {d1-7} "-" "{agent}" {d1-6}',
        '{address} - - [{moment}] "POST {path}?{n}={d1-9} HTTP/2" {d3} {d4} {d1}.{d3}',
    ],
    "log line": [
        "{moment},{d3} INFO  [{n}:{d2-4}][{n}-{d1-3}] {w} {w} {w} {w} in {d1-4} ms",
        "[{moment}] [{d2-6}] [ERROR] {w} {w}: {w} ({d1-3} of {d1-5})",
        "{W} {w} {w} {w} {w} {w}. ({d1-2}) {d1-3}-{d1-4}, {w}-{d1-4} {w}",
    ],
    "address": ["{d1}.1{d2}.{d2}.1{d1}", "10.{d2}.{d1}.2{d1}:{d4-5}", "2001:db8::{x4}:{x4}", "[::{x4}]:{d4}"],
    "path": [
        "/{n}/{d1-9}", "/{n}/{n}/{n}.py", "/srv/{n}/image@2x.png", "/node_modules/@{w}/{n}/index.js", "C:\\{n}\\{n}\\{n}.dll",
        "/{n}/{uuid}/{n}", "/{n}/{hash}.min.js",
    ],
    "url": [
        "https://{w}-{w}.example.com{path}?page={d1-3}&q={w}+{w}+{d1-4}&t={d10}&next=%2F{n}%3Fa%3D{d1-9}",
        "http://{address}/{n}?{n}={d1-12}&_={epoch}#{n}", "redis://{w}:6379/{d1}", "postgresql://{w}.{w}:5432/{n}",
    ],
    "representation": [
        "<{n}.{W} object at 0x7f{x10}>", "<Thread(Thread-{d1-2}, started daemon 14{d13})>", "<function {n} at 0x{x12}>",
        "<Response [{d3}]>", "<{W} {d1-9}>", "{W}(id={d1-9}, at=datetime.datetime(20{d2}, {d1}, 1{d1}, {d1}, {d2}))",
        "Decimal('{d1-9}.{d2}')", "{address} = <socket.socket fd={d1-2}, raddr=('{address}', {d5})>",
    ],
    "version": [
        "{d1}.{d1-2}.{d1-3}", "v{d1}.{d1-2}.{d1-3}", "{n}@{d1}.{d2}.{d1}", "{n}=={d1}.{d1}.dev{d1-3}", "{d1}.{d1}+{d8}.g{x7}",
        "{d1}.{d1}.{d1}-rc.{d1}", "python@3.{d1-2}", "@{w}/{w}@{d1-2}.{d1}.{d1}-beta.alpha", "{w} {d4}.{d2}.{d2}.{d3}",
    ],
    "price": [
        "{d1-4}.{d2} EUR", "${d1-3},{d3}.{d2}", "+{d1-3} {d3} {d3}", "{d1-2}.{d3},{d2} €", "-{d1-6}.00", "+{d1-3}.{d2}%",
        "CHF {d1-3}'{d3}.{d2}", "{d1-3} {d3} {d3},{d2}",
    ],
    "decimal": [
        "0.{d16}", "{d1-6}.{d9-16}", "-{d1-3}.{d1-16}e-{d2}", "+{d1}.{d10}", "{d2}.{d7},-{d1-3}.{d7}", "[0.{d4} 0.{d4} 1.{d4}]",
        "{d1-3},{d2-9}",
    ],
    "integer": ["{d1-12}", "-{d1-9}", "0x{x1-16}", "{d1-3},{d3},{d3}", "1_{d3}_{d3}", "+{d1-7}"],
    "numbers": [
        "[{d1-4}, {d1-4}, {d1-4}, {d1-4}, {d1-4}, {d1-4}, {d1-4}]", "1{d3} 2{d3} {d4} {d4} {d4} {d4} {d4}", "{d1-3} {d1-3} {d1-3} {d1-3}",
        "{d3}-{d3}", "{d4}-{d4}", "{d1-3}/{d1-3}", "({d1-5}, {d1-5})", "{d3}:{d3}", "{d4}x{d4}",
    ],
    "hash": ["{x40}", "{x7}", "commit {x40}", "{x64}", "{x32}", "sha256:{x64}", "index {x7}..{x7} 100644"],
    "trace": [
        "00-{x32}-{x16}-01", "{x32}-{x16}-1", "{x16}", "sentry-trace_id={x32},sentry-sample_rand=0.{d6},sentry-public_key={x32}",
        "Root=1-{x8}-{x24}",
    ],
    "uuid": ["{x8}-{x4}-4{x3}-a{x3}-{x12}", "UUID('{x8}-{x4}-4{x3}-9{x3}-{x12}')", "urn:uuid:{x8}-{x4}-1{x3}-8{x3}-{x12}"],
    "order": [
        "ORD-{d6-10}", "#{d5-8}", "20{d2}-{d6}", "{d8-12}", "{d3}-{d7}-{d7}", "INV/20{d2}/{d5}", "DE{d2}-{d4}-{d4}", "{B12-24}",
        "{B5}-{B5}-{B5}-{B5}", "cs_test_{x24}", "pi_{d1}{B24}",
    ],
    "epoch": ["1{d9}", "1{d9}.{d6}", "1{d12}", "1{d15}", "1{d18}"],
    "snowflake": ["1{d16-18}", "id 1{d17}"],
    "agent": [
        "Mozilla/5.0 (X11; Linux x86_64; rv:{d3}.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{d3}.0.{d4}.{d2-3} Safari/537.36",
        "curl/{version}", "python-requests/{d1}.{d2}.{d1}", "Mozilla/5.0 (compatible; {W}Bot/{d1}.{d1}; +https://example.com/{w})",
    ],
    "header": [
        "Accept: text/html;q=0.{d1},*/*;q=0.8", 'ETag: W/"{x10}-{x12}"', "Content-Length: {d1-8}", "Range: bytes={d6}-{d8}",
        'If-None-Match: "{x32}"', "Content-Security-Policy: default-src 'self'; img-src https://cdn{d1}.example.com",
        "('Accept-Language', 'de-CH,en;q=0.{d1}')", "X-Request-Id: {uuid}", "traceparent: {trace}",
    ],
    "SQL": [
        "SELECT {n}, count(*) FROM {n} WHERE id IN ({d4}, {d5}, {d1-9}) AND created > '{moment}' LIMIT {d2}",
        "UPDATE {n} SET {n} = %({n})s WHERE mail LIKE '%@example.com' AND id = %s", "DEFINER=`root`@`localhost` PROCEDURE {n}",
        "INSERT INTO {n} VALUES ({d1-9}, '{w}', {d1-5}.{d2}, '{uuid}')",
    ],
    "traceback": [
        'Traceback (most recent call last):\n  File "{path}", line {d1-4}, in {n}\n    x = a@b\n{W}Error: {d3}',
        "{W}Error: expected {d1-3}, got '{n}' at line {d1-4} column {d1-3} (char {d1-6})", "    @{w}.{w}({d1})\n    def {n}(self):",
        "KeyError: '{n}'", "at com.example.{W}.{w}({W}.java:{d1-4})",
    ],
    "source": [
        "@{w}.route('/{n}/<int:id>')", "y = weights @ inputs + {decimal}", "{w} = x@w.T", "'%(asctime)s@%(name)s %s@%s'",
        "<a @click.stop='{w}' :key='{w}'>", "com.example.{W}@{x8}", "@media (min-width: {d3-4}px)", "{n} = {n}[{d1-3}:{d1-3}]",
    ],
    "JSON": [
        '{"{n}": {d1-12}, "id": {d4-9}, "at": 17{d11}, "ok": true, "uuid": "{uuid}", "price": "{price}", "of": ["{n}", {d1-5}]}',
        '{"lat": {d2}.{d6}, "lon": -{d2}.{d6}, "ids": [{d4-9}, {d4-9}, {d4-9}]}',
    ],
    "host": [
        "git@github.com:{w}/{w}.git", "root@{w}-{d2}", "user@localhost:8080", "getty@tty{d1}.service", "user@{d4}.service",
        "root@10.{d2}.{d1}.{d2}", "actions/checkout@v4", "{w}@sha256:{x64}", "postgresql@{d2}-main.service", "{w}-{d2}.{w}.internal",
    ],
    "encoded": [
        "{base64}", "{bytes}", "{quoted}", "eyJ1c2VyIjogNX0.{x6}.{x20}", "%{x2}%{x2}{w}%20{d1-9}", "\\x{x2}\\x{x2}{w}", "\\u{x4}{d1-9}",
    ],
    "dump": ["{x8}  {x4} {x4} {x4} {x4} {x4} {x4} {x4} {x4}", "{x2}:{x2}:{x2}:{x2}:{x2}:{x2}", "{x2}-{x2}-{x2}-{x2}-{x2}-{x2}"],
    "diff": ["@@ -{d1-4},{d1-2} +{d1-4},{d1-2} @@ def {n}():\n+{d1-6}\n", "+++ b/{path}\n--- a/{path}"],
    "article": ["{ean}", "EAN {ean}", "978-3-16-{d6}-{d1}", "0-306-{d5}-2"],
}  # fmt: skip

_PLACE = re.compile(r"\{([dxB])(\d+)(?:-(\d+))?\}|\{([A-Za-z][a-zA-Z0-9 ]*)\}")
_SIGNS = {"d": string.digits, "x": "0123456789abcdef", "B": string.ascii_uppercase + string.digits}


class Ordinary:
    """Makes values that have nothing personal in them.

    Args:
        seed: the same values for the same seed.
    """

    def __init__(self, seed):
        self.chance = random.Random(seed)

    def values(self, count):
        """Return so many values, of all kinds in turn."""
        kinds = list(TEMPLATES)
        return [self.value(kinds[number % len(kinds)]) for number in range(count)]

    def value(self, kind):
        """Return a value of a kind."""
        if kind in TEMPLATES:
            return _PLACE.sub(self._fill, self.chance.choice(TEMPLATES[kind]))
        return getattr(self, "_" + kind)()

    def _fill(self, place):
        signs, least, most, kind = place.groups()
        if signs is None:
            return self.value({"w": "word", "W": "capital", "n": "name"}.get(kind, kind))
        length = self.chance.randint(int(least), int(most or least))
        return "".join(self.chance.choices(_SIGNS[signs], k=length))

    def _word(self):
        return self.chance.choice(WORDS.split())

    def _capital(self):
        return self._word().title()

    def _name(self):
        return "_".join(self._word() for _ in range(self.chance.randint(1, 3)))

    def _raw(self):
        return bytes(self.chance.getrandbits(8) for _ in range(self.chance.randint(9, 60)))

    def _base64(self):
        return self.chance.choice((base64.b64encode, base64.urlsafe_b64encode))(self._raw()).decode()

    def _bytes(self):
        return repr(self._raw())

    def _quoted(self):
        return quote(self._raw())

    def _ean(self):
        body = self.chance.choice(("40", "50", "45", "64", "978", "979", "30", "69", "57"))
        body = (body + "".join(self.chance.choices(string.digits, k=12)))[:12]
        return f"{body}{-sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body)) % 10}"


def with_luhn(digits):
    """Return digits with the one that makes them right."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 if place % 2 else 2)
        total += value - 9 if value > 9 else value
    return digits + str(-total % 10)


def with_iban_check(country, account):
    """Return an account's number with its country and the check digits that make it right."""
    rest = "".join(str(int(sign, 36)) for sign in account + country)
    return f"{country}{98 - int(rest + '00') % 97:02}{account}"


class Personal:
    """Makes values that are to be found.

    Args:
        seed: the same values for the same seed.
    """

    def __init__(self, seed):
        self.chance = random.Random(seed)

    def _digits(self, length):
        return "".join(self.chance.choices(string.digits, k=length))

    def _word(self, least=2, most=12, signs=string.ascii_lowercase):
        return "".join(self.chance.choices(signs, k=self.chance.randint(least, most)))

    def email(self):
        w = self._word
        names = [
            w(), f"{w()}.{w()}", f"{w()}+{w()}", f"{w()}_{self._digits(2)}", f"{w()}-{w()}".title(), w(1, 1),
            "jörg.müller", "用户",
        ]  # fmt: skip
        domains = [
            f"{w()}.com", f"mail.{w()}.co.uk", f"{w()}-{w()}.example", f"{w().upper()}.ORG", "163.com", "x.museum",
            "corp.internal", "bücher.example", f"xn--{w()}-kva.example", f"{w()}.xn--p1ai", "почта.рф",
        ]  # fmt: skip
        return f"{self.chance.choice(names)}@{self.chance.choice(domains)}"

    def credit_card(self):
        name, _, lengths = self.chance.choice(_BRANDS)
        length = self.chance.choice(lengths)
        prefixes = {
            "Visa": ["4"],
            "Mastercard": ["51", "55", "2221", "2300", "2699", "2715", "2720"],
            "American Express": ["34", "37"],
            "Diners Club": ["300", "305", "36", "38", "39"],
            "Discover": ["6011", "644", "649", "65"],
            "JCB": ["3528", "3540", "3589"],
            "UnionPay": ["62"],
            "Maestro": ["50", "56", "58", "6304", "6759"],
        }
        while True:
            prefix = self.chance.choice(prefixes[name])
            number = with_luhn(prefix + self._digits(length - 1 - len(prefix)))
            if length > 13 or sum(int(d) * (3 if place % 2 else 1) for place, d in enumerate(number)) % 10:
                break
        return self.chance.choice(self._cards_as_written(number))

    def _cards_as_written(self, number):
        separator = self.chance.choice(" -")
        forms = [number, separator.join(number[at : at + 4] for at in range(0, len(number), 4))]
        if len(number) in (14, 15):
            forms.append(separator.join((number[:4], number[4:10], number[10:])))
        if len(number) == 13:
            forms.append(separator.join((number[:4], number[4:7], number[7:10], number[10:])))
        if len(number) == 19:
            forms.append(separator.join((number[:6], number[6:])))
        return forms

    def iban(self):
        country, length = self.chance.choice(sorted(_IBAN_LENGTHS.items()))
        letters = self.chance.random() < 0.5
        account = "".join(
            self.chance.choices(string.digits + (string.ascii_uppercase if letters else ""), k=length - 4)
        )
        number = with_iban_check(country.decode(), account)
        grouped = " ".join(number[at : at + 4] for at in range(0, length, 4))
        return self.chance.choice((number, grouped, number.lower()))

    def jwt(self):
        def part(value):
            return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

        header = self.chance.choice(
            (
                {"alg": "HS256", "typ": "JWT"},
                {"typ": "JWT", "alg": "RS256", "kid": self._digits(8)},
                {"alg": "none"},
            )
        )
        claims = part(json.dumps({"sub": self._digits(8), "name": self._word()}).encode())
        signature = part(self.chance.randbytes(32)) if header["alg"] != "none" else ""
        signed = f"{part(json.dumps(header).encode())}.{claims}.{signature}"
        key = self.chance.choice((part(self.chance.randbytes(40)), ""))
        encrypted = (
            f"{part(b'{%salg%s:%sdir%s,%senc%s:%sA128GCM%s}' % ((b'%c' % 34,) * 8))}.{key}."
            + ".".join(part(self.chance.randbytes(length)) for length in (12, 60, 16))
        )
        return self.chance.choice((signed, signed, encrypted))

    def phone(self):
        d = self._digits
        area, line = f"{self.chance.randint(2, 9)}{d(2)}", d(4)
        forms = [
            f"+1{area}555{line}", f"+1 ({area}) 555-{line}", f"+1-{area}-555-{line}", f"+1 {area} 555 {line}",
            f"+1.{area}.555.{line}", f"({area}) 555-{line}", f"{area}-555-{line}", f"1-{area}-555-{line}",
            f"+44 20 {d(4)} {d(4)}", f"+49 30 {d(7)}", f"+49 (0)89/{d(6)}", f"+33 1 {d(2)} {d(2)} {d(2)} {d(2)}",
            f"+41 44 {d(3)} {d(2)} {d(2)}", f"+3545{d(6)}", f"+358 40 {d(7)}", f"+86 138 {d(4)} {d(4)}",
            f"+91-98{d(3)}-{d(5)}", f"+7 912 {d(3)}-{d(2)}-{d(2)}", f"+420{d(9)}", f"+34 612 {d(3)} {d(3)}",
            f"tel:+1-{area}-555-{line}", f"tel:{d(7)}",
        ]  # fmt: skip
        return self.chance.choice(forms)


#: What a value can stand in: text before it, text after it, and how it is written there.
CONTEXTS = {
    "alone": ("", "", str),
    "in a sentence": ("of ", ", twice", str),
    "at the end of a sentence": ("it is ", ".", str),
    "quoted": ("'", "'", str),
    "in angle brackets": ("<", ">", str),
    "as JSON": ('{"a": "', '", "b": 1}', str),
    "as escaped JSON": ('{\\"a\\": \\"', '\\"}', str),
    "behind an escaped line's end": ("first\\n", "\\nlast", str),
    "behind an escaped quote": ("\\u0022", "\\u0022", str),
    "behind a colour": ("\x1b[31m", "\x1b[0m", str),
    "in lines": ("first\n", "\nlast", str),
    "as bytes": ("b'", "'", str),
    "as a parameter": ("a=1&b=", "&c=2", lambda text: text.replace("+", "%2B").replace(" ", "+")),
    "in a URL": ("https://x.example/?b=", "&c=2", quote),
    "in a URL, all quoted": ("/?b=", "&c=2", lambda text: quote(text, safe="")),
    "in a form": ("b=", "&c=2", quote_plus),
    "in a URL in a URL": ("/?next=%2Fa%3Fb%3D", "%26c%3D2", lambda text: quote(text, safe="")),
    "in a path": ("/a/", "/b", str),
    "before when it ends": ("", " 12/27 123", str),
    "in a table": ("1|", "|12/27|x", str),
    "as an item": ("['a', '", "', 'b']", str),
    "behind a colon": ("value:", ";", str),
    "in a tag": ("<td>", "</td>", str),
    "behind a time": ("2024-01-02 12:30:00 ", " declined", str),
}
