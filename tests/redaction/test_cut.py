"""Secrets of which a limit has left only the beginning, cut anywhere: within an escape, within base64."""

import base64
import html
import json
from urllib.parse import quote

import pytest

from sentry_paste.redaction import values
from sentry_paste.redaction.bounds import Allowance, TooMuchError
from sentry_paste.redaction.extents import Heads
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.needles import ANYWHERE, Needle

NAMES = Names()
ESCAPES = {
    "a URL": lambda text: quote(text, safe=""),
    "a URL in a URL": lambda text: quote(quote(text, safe=""), safe=""),
    "a URL in a URL in a URL": lambda text: quote(quote(quote(text, safe=""), safe=""), safe=""),
    "HTML": html.escape,
    "HTML in HTML": lambda text: html.escape(html.escape(text)),
    "JSON": lambda text: json.dumps(text).replace("/", "\\/"),
    "JSON in JSON": lambda text: json.dumps(json.dumps(text)),
    "bytes": lambda text: repr(text.encode()),
    "ascii": ascii,
    "HTML in a repr": lambda text: repr(html.escape(text)),
}
#: With its first six characters as they are: a value is recognised by these.
SECRETS = ("R4KtQa/VlHK+xuwO4kc&mnk'uV<A=", "q8fh23ü/7é&日x\U0001f600'x9")


def matcher(value):
    return Matcher(values.of_request({"HTTP_X_API_KEY": value}, NAMES))


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
@pytest.mark.parametrize("value", SECRETS)
@pytest.mark.parametrize("end", ["...", '..."', "…'"])
def test_value_is_hidden_wherever_its_escaped_form_was_cut(escape, value, end):
    found = matcher(value.encode().decode("latin-1"))
    shown = escape(value)
    begin = shown.index(value[:6])
    for length in range(begin + 6, len(shown)):
        cleaned = found.clean(f"bad token {shown[:length]}{end}")
        assert value[:6] not in cleaned
        assert cleaned.startswith("bad token ")


@pytest.mark.parametrize("encode", [lambda raw: base64.b64encode(raw).decode(), bytes.hex])
@pytest.mark.parametrize("before", ["", "a", "ab"])
@pytest.mark.parametrize("value", ["u!$%&|7f3k9x2m8q1z5w", "K1[A^Lu>)@*`/lSs21D&hfmY_aWGSmOYe7"])
def test_base64_of_a_value_with_parts_is_hidden_wherever_it_was_cut(encode, before, value):
    found = matcher(value)
    shown = encode((before + value).encode())
    recognised = 10 if encode is bytes.hex else 12
    for length in range(len(before) * 2 + recognised, len(shown)):
        left, hidden, rest = found.clean(f"see {shown[:length]}...").partition(FILTERED)
        assert hidden
        assert rest == ""
        # What is before the value may stay, with the character of base64 that both share.
        assert len(left) <= len("see ") + 2 * len(before)


def test_run_of_backslashes_before_an_ellipsis_is_read_once():
    heads = Heads([Needle("abcdef123456", ANYWHERE)])
    assert list(heads.cut_spans("\\" * 100_000 + "...", Allowance(1000))) == []


def test_looking_into_base64_that_was_cut_is_paid_for():
    heads = Heads([Needle("abcdef123456", ANYWHERE)], lambda: ["YWJjZGVmMTIz"])
    with pytest.raises(TooMuchError):
        list(heads.cut_spans("zzzzzzzzz... " * 50, Allowance(60)))


def test_repr_of_what_the_server_has_decoded_is_found_as_bytes():
    value = "dgRZcüéTMXk日q7".encode().decode("latin-1")
    assert matcher(value).clean(repr(repr(value).encode())) == f"b\"'{FILTERED}'\""
