"""Findings of a hostile review: leaks where a limit was reached or text was cut."""

import base64
import json

import pytest

from sentry_paste.redaction import Names
from sentry_paste.redaction.bounds import Allowance
from sentry_paste.redaction.extents import Heads
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.needles import ANYWHERE, Needle
from sentry_paste.redaction.payloads import clean_event
from sentry_paste.redaction.texts import clean_text
from sentry_paste.redaction.values import MOST, of_cookies, of_request

NAMES = Names()
SECRET = "q8fh23fh28hf2k7"


def long(count):
    """A random text of some length that has a mark at its end."""
    return ("Zx9" * count)[: count - len(SECRET)] + SECRET


def part(claims):
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    "text",
    [
        f"<e><wsse:BinarySecurityToken>{long(20_000)}</wsse:BinarySecurityToken></e>",
        f"<soap:Header><wsse:BinarySecurityToken>{long(2000)}",
        f"<a><password>correct horse {SECRET}</pass...",
        f"'<a><password>correct horse {SECRET}...'",
        f"<a><password><![CDATA[{long(2000)}",
        f"<a><password><![CDATA[{SECRET}]]></password>",
        json.dumps({"value": long(300), "name": "access_token"}),
        json.dumps({"value": long(6000), "name": "access_token"}),
        f'<input type="hidden" value="{long(300)}" name="csrf_token">',
        json.dumps({"name": "password", "description": "d " * 120, "value": SECRET}),
        f'<input name="password" class="{"d " * 220}" value="{SECRET}">',
        '--x\r\nContent-Disposition: form-data; name="password"; filename="'
        + "f" * 250
        + f'"\r\n\r\n{SECRET}\r\n--x',
        f"curl -u bot:{long(600)} https://h/",
        f"{{'password': {long(5000)}}}",
        f"password = {'a1' * 50}'{long(400)}\n",
        f"/?d=%7B%22password%22+%3A+%22{SECRET}%22%7D",
        f'/?d={{"password"+:+"{SECRET}"}}',
        f"/?d=%7B%0A%22password%22%09%3A%09%22{SECRET}%22%7D",
        f"/?d=%22password%22%3A{'%20' * 41}%22{SECRET}%22",
        f"/?d={'%5c' * 65}%22password{'%5c' * 65}%22%3A{'%5c' * 65}%22{SECRET}",
    ],
)
def test_value_is_hidden_whole(text):
    event = {"request": {"query_string": text.partition("?")[2]}, "message": text}
    clean_event(event, Matcher(()), NAMES)
    assert SECRET not in (
        event["request"]["query_string"] if text.startswith("/?") else clean_text(text, NAMES)
    )


def test_usage_text_stays():
    text = "usage: login <user> <password> [--realm <realm>]"
    assert clean_text(text, NAMES) == text


def test_pair_whose_name_is_long():
    event = {"extra": {"form": [[f"'{'x' * 110}_password'", f"'{SECRET}'"]]}}
    clean_event(event, Matcher(()), NAMES)
    assert SECRET not in json.dumps(event)


def test_name_of_a_certificate_far_behind():
    found = of_request({"SSL_CLIENT_S_DN": "OU=" + "x " * 2000 + ",CN=Alice Quarx"}, NAMES)
    assert "Quarx" not in Matcher(found).clean("who is Alice Quarx here")


def test_more_cookies_of_a_response_than_are_looked_at():
    cookies = [
        f"c{n}={part({'alg': 'x'})}.{part({'sub': f'user-{n}', 'pad': 'x' * 2500})}.s" for n in range(40)
    ]
    assert len(set(of_cookies(cookies))) > MOST


def test_more_headers_than_servers_take():
    assert len(of_request({f"HTTP_A{number}": "1" for number in range(12_000)}, NAMES)) > MOST


def test_ellipsis_after_ellipsis_is_looked_at_once():
    allowance = Allowance(100_000)
    heads = Heads([Needle("abcdefg2hijkl", ANYWHERE)])
    text = ("abcdefg2..." + "x" * 79) * 3000
    spans = list(heads.cut_spans(text, allowance))
    assert sum(end - start for start, end in spans) <= len(text)
    assert all(before[1] <= after[0] for before, after in zip(spans, spans[1:]))


def test_queries_of_a_payload_share_a_bound(monkeypatch):
    given = []
    monkeypatch.setattr(
        "sentry_paste.redaction.headers.clean_query",
        lambda text, names, bounds=None: given.append(bounds) or text,
    )
    event = {"extra": {"rows": [{f"X-{name}": "?pass=1" for name in "ABC"} for _ in range(5)]}}
    clean_event(event, Matcher(()), NAMES)
    assert len(given) > 1
    assert given[0] is not None
    assert all(bounds is given[0] for bounds in given)
