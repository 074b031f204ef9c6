"""Findings of a ninth review: signs that only some escape, escapes that take much room, doubled quotes."""

import json
import re
import tracemalloc
from urllib.parse import quote

import pytest

from sentry_paste.redaction import escaped, parameters, values, views
from sentry_paste.redaction.bounds import Allowance
from sentry_paste.redaction.extents import Heads
from sentry_paste.redaction.hooks import Redaction
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import Names
from sentry_paste.redaction.needles import ANYWHERE, Needle

NAMES = Names()


def matcher(value, **more):
    return Matcher(values.of_request({"HTTP_X_API_KEY": value, **more}, NAMES))


#: Django's escapejs, encoders that escape all but letters and digits, Java's URLEncoder.
SIGNS = {
    "escapejs": {"-": r"\u002D", "~": "~"},
    "lower case": {"-": r"\u002d", "~": r"\u007e"},
    "JavaScript": {"-": r"\x2d", "~": r"\x7E"},
    "a URL": {"-": "%2D", "~": "%7E"},
    "a URL in a URL": {"-": "%252d", "~": "%257e"},
    "HTML": {"-": "&#45;", "~": "&#126;"},
    "HTML, hexadecimal": {"-": "&#x2D;", "~": "&#x7e;"},
}


@pytest.mark.parametrize("escape", SIGNS.values(), ids=SIGNS)
@pytest.mark.parametrize(
    "value",
    [
        "0b3c9f5e-6d1c-4f7e-9d58-1f2a3b4c5d6e",
        "q8-fh2-3f8-h2f",
        "Zb1-q8fh23fh28hf2_x9~k2m",
        "ab-q8fh-23fh+28hf2~x9",
    ],
)
@pytest.mark.parametrize("around", ["{}", "a text\nsid = '{}';", f"{'word ' * 3000}{{}}"], ids=len)
@pytest.mark.parametrize("count", [0, 40])
def test_value_is_hidden_if_only_its_dashes_are_escaped(escape, value, around, count):
    shown = value
    for sign, shown_as in escape.items():
        shown = shown.replace(sign, shown_as)
    others = "; ".join(f"c{number}=k{number:02}q7x9z{number}" for number in range(count))
    text = around.format(shown)
    cleaned = matcher(value, HTTP_COOKIE=others).clean(text)
    assert cleaned == around.format("[Filtered]")


@pytest.mark.parametrize("sign", [r"\u002D", r"\-", r"\+", "%2D", "&#45;"])
def test_base64_is_hidden_up_to_its_end_if_its_signs_are_escaped(sign):
    found = matcher("q8fh23fh28hf2k9x")
    cleaned = found.clean(f"x YWE9cThmaDIzZmgyOGhmMms5eA{sign}Yj1jYWJj{sign}xyz.")
    assert cleaned == "x [Filtered]."


DEEP = {
    "a URL in a URL in a URL": lambda text: quote(quote(quote(text))),
    "JSON in JSON in JSON": lambda text: json.dumps(json.dumps(json.dumps(text))),
    "ascii of ascii": lambda text: ascii(ascii(ascii(text))),
}


@pytest.mark.parametrize("escape", DEEP.values(), ids=DEEP)
@pytest.mark.parametrize("value", ["q8fh23" + "üé\xdf\xf1" * 14, "q8fh23" + "\U0001f600€" * 20])
def test_value_is_hidden_however_much_room_its_escapes_take_before_the_cut(escape, value):
    found = matcher(value.encode().decode("latin-1"))
    shown = escape(value)
    begin = shown.index(value[:6])
    for length in range(begin + 6, len(shown), 3):
        cleaned = found.clean(f"{'a word ' * 400}{shown[:length]}...")
        assert "q8fh23" not in cleaned
        assert cleaned.startswith("a word ")


@pytest.mark.parametrize(
    "encode", [lambda text: quote(text, safe=""), lambda text: text.replace("'", "&#39;")]
)
def test_backslash_before_an_escape_is_no_part_of_it(encode):
    value = "'q8fh23fh28hf2'/k9"
    cleaned = matcher(value).clean(f"C:\\{encode(value)} and \\% \\&a \\%d")
    assert cleaned == "C:[Filtered] and \\% \\&a \\%d"


@pytest.mark.parametrize("quote_sign", ["'", '"'])
@pytest.mark.parametrize("end", ["", "...", "…"])
def test_value_is_hidden_if_its_quotes_are_doubled(quote_sign, end):
    value = f"q8fh23{quote_sign}fh28h{quote_sign}{quote_sign}f2/k9x2m8q1"
    shown = value.replace(quote_sign, quote_sign * 2)
    found = matcher(value)
    shown = shown[:-4] if end else shown
    assert found.clean(f"WHERE a = {quote_sign}{shown}{end}") == f"WHERE a = {quote_sign}[Filtered]"


def test_value_is_hidden_if_it_is_escaped_for_a_regular_expression():
    cleaned = matcher("0b3c9f5e-6d1c-4f7e-9d58-1f2a3b4c5d6e").clean(
        re.escape("0b3c9f5e-6d1c-4f7e-9d58-1f2a3b4c5d6e")
    )
    assert cleaned == "[Filtered]"


def test_backslash_before_a_sign_that_begins_no_escape_is_undone():
    cleaned = matcher("q8fh23&fh28hf2%k9x2").clean(r"^q8fh23\&fh28hf2\%k9x2$")
    assert cleaned == "^[Filtered]$"


class Counted:
    """A pattern that counts what it finds."""

    def __init__(self, pattern):
        self.pattern, self.count = pattern, 0

    def __getattr__(self, name):
        return getattr(self.pattern, name)

    def finditer(self, *args):
        for found in self.pattern.finditer(*args):
            self.count += 1
            yield found


@pytest.mark.parametrize(
    "unit", ["\xe9%22%22%22%22-01cookie(version=0, name='", "Secret(a='", " cookie(version=0, name='"]
)
def test_beginning_of_a_name_is_looked_for_near_it_first(unit, monkeypatch):
    for name in ("_SEPARATOR", "_WORD"):
        monkeypatch.setattr(parameters, name, Counted(getattr(parameters, name)))
    query = unit * 400
    values.of_request({"QUERY_STRING": query}, NAMES)
    assert parameters._SEPARATOR.count + parameters._WORD.count < 60 * 400


def test_name_that_begins_far_before_its_sign_is_found():
    name = f"user password {'x' * 60}"
    secret = {found.text for found in values.of_request({"QUERY_STRING": f"a=b&{name}=q8fh23fh28hf2"}, NAMES)}
    assert "q8fh23fh28hf2" in secret


def test_spans_with_much_text_are_searched_a_few_at_a_time():
    seen = []

    class Request:
        def matcher(self):
            seen.append(len(spans) - sum("q8fh23" in str(span) for span in spans))
            return matcher("q8fh23fh28hf2")

        def allowances(self):
            return None

    spans = [
        {"name": "x", "attributes": {"a": f"{number} {'word ' * 20_000}q8fh23fh28hf2"}} for number in range(9)
    ]
    spans += [{"name": f"{number} q8fh23fh28hf2"} for number in range(9)]
    tracemalloc.start()
    Redaction(NAMES).clean_spans(Request(), spans)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "q8fh23" not in str(spans)
    assert seen == [0, 2, 4, 6, 8]
    assert peak < 4_000_000


def test_choosing_one_of_several_values_that_begin_alike_counts_as_a_place():
    value = "a1" * 40
    heads = Heads([Needle(value + end, ANYWHERE) for end in "xyz"])
    text = f"{value}x " * 50
    allowance = Allowance(1000)
    assert len(list(heads.spans(text, [len(f"{value}x ") * at for at in range(50)], False, allowance))) == 50
    assert allowance.left == 1000 - 2 * 50


@pytest.mark.parametrize("sign", "%&")
def test_text_of_signs_that_begin_no_escape_is_not_taken_apart(sign, monkeypatch):
    for module, name in ((views, "_ESCAPE"), (escaped, "_HTML"), (escaped, "_MARK_IN_URL")):
        monkeypatch.setattr(module, name, Counted(getattr(module, name)))
    monkeypatch.setattr(Counted, "split", None, raising=False)
    monkeypatch.setattr(Counted, "search", None, raising=False)
    assert views.decoded(sign * 1000, Allowance(20)) is None
    assert not escaped.has_escapes(sign * 1000)
    assert escaped.read_url(sign * 1000) is escaped.read_markup(sign * 1000) is None
