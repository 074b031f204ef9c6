"""A value in base64, whatever becomes of its signs and of its lines."""

import base64
from urllib.parse import quote

import pytest

from sentry_paste.redaction.bounds import Allowance
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import FILTERED
from sentry_paste.redaction.needles import ANYWHERE, Secret
from sentry_paste.redaction.views import unfolded

OTHERS = [Secret(f"other-s3cret-{number:04}", ANYWHERE) for number in range(100)]
SHORT = ["ab~cdef1", "2K3J>?7H~", "t~?3uzKB", "AtK1?beq", "abcd~efgh", "9zBa~tmn?"]
LONG = ["J575Cqk>a7>9c18E", "392h3u~s?1qatJv>", "7zGAkis~7Dw2Gvhk4KirsCrAnuwACn", "k7 \xe9\xe9~~~ \xe9k7k7"]
ENCODED = {
    "as it is": str,
    "for URLs": lambda text: text.replace("+", "-").replace("/", "_"),
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded, lower case": lambda text: text.replace("+", "%2b").replace("/", "%2f"),
    "percent-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "JSON, slashes escaped": lambda text: text.replace("/", "\\/"),
    "JSON, signs escaped": lambda text: text.replace("+", "\\u002b").replace("/", "\\u002F"),
    "HTML": lambda text: text.replace("+", "&#43;").replace("/", "&#x2F;"),
}
BROKEN = {
    "lines": str,
    "lines of mail": lambda text: text.replace("\n", "\r\n"),
    "repr": lambda text: repr(text)[1:-1],
    "repr of lines of mail": lambda text: repr(text.replace("\n", "\r\n"))[1:-1],
    "JSON in JSON": lambda text: text.replace("\n", "\\\\n"),
    "a form": lambda text: quote(text, safe=""),
    "a form of lines of mail": lambda text: quote(text.replace("\n", "\r\n"), safe=""),
}


def matcher_of(value, others=(), is_ready=True):
    matcher = Matcher([Secret(value, ANYWHERE), *others])
    if is_ready:
        matcher.clean("x" * 20_000)  # from here on it has its index
    return matcher


@pytest.mark.parametrize("is_ready", [False, True], ids=["first text", "later text"])
@pytest.mark.parametrize("others", [[], OTHERS], ids=["one", "many"])
@pytest.mark.parametrize("form", ENCODED)
@pytest.mark.parametrize("value", SHORT + LONG)
def test_all_of_it_is_hidden_however_its_signs_are_written(value, form, others, is_ready):
    matcher = matcher_of(value, others, is_ready)
    for before in ("", "x", "=?", "a=b", "a=~"):
        encoded = ENCODED[form](base64.b64encode(f"{before}{value}".encode()).decode())
        cleaned = matcher.clean(f"see {encoded} there")
        # What was before the value may stay.
        assert cleaned.endswith(("[Filtered] there", "[Filtered]= there", "[Filtered]== there"))
        assert len(cleaned) < len("see [Filtered]== there") + 12


@pytest.mark.parametrize("form", BROKEN)
@pytest.mark.parametrize("size", [9, 14, 126, 1200])
def test_value_may_be_on_any_line(form, size):
    value = ("q8fh23fh~8hf2k" * 100)[:size]
    matcher = matcher_of(value)
    for count in range(40, 160):
        text = base64.encodebytes(b"x" * count + value.encode() + b"y" * 60).decode()
        cleaned = matcher.clean(f"see {BROKEN[form](text)} there")
        assert cleaned.count("[Filtered]") == 1
        # Nothing is left behind it.
        assert len(cleaned.partition("[Filtered]")[2]) < len("\\\\r\\\\n there") + 3


def test_lines_of_pem():
    lines = base64.b64encode(b"x" * 40 + b"q8fh23fh28hf2k" * 4).decode()
    text = "\n".join(lines[start : start + 64] for start in range(0, len(lines), 64))
    assert "OGZoMjNm" not in matcher_of("q8fh23fh28hf2k").clean(
        f"-----BEGIN KEY-----\n{text}\n-----END KEY-----"
    )


@pytest.mark.parametrize(
    "texts",
    [
        ["a" * 80, "OGZoMjNmaDI4aGYyaw=="],
        ["f" * 64 + "\n" + "e" * 64, "x"],
        ["/srv/" + "a/" * 40 + "\n/srv/app.py"],
        ["x" * 80 + "%" * 80],
    ],
)
def test_other_texts_with_long_words_stay(texts):
    assert matcher_of("q8fh23fh28hf2k").clean_all(texts) == {}


def test_places_in_joined_lines_correspond_to_those_in_the_text():
    text = "a: " + "A" * 76 + "\r\n" + "B" * 76 + "\n" + "C" * 20 + "\nend"
    view = unfolded(text, Allowance(100))
    assert view.text == "a: " + "A" * 76 + "B" * 76 + "C" * 20 + "\nend"
    for word in ("BBBB", "CCCC", "end"):
        place = view.text.index(word)
        assert view.start(place) == text.index(word)
        assert view.end(place + len(word)) == text.index(word) + len(word)


def test_many_escaped_signs_are_paid_for():
    text = base64.b64encode(b"q8fh23fh28hf2k7").decode() + "%2B" * 100_000 + " end"
    assert matcher_of("q8fh23fh28hf2k7").clean(text) == "[Filtered]"


def test_lines_of_base64_end_with_their_text():
    """Texts are searched together, and one is no line of another."""
    names = [f"s3cret-{number}~{'k7' * 9}" for number in range(4)]
    texts = [shown for name in names for shown in (base64.b64encode((name * 3).encode()).decode(), name)]
    matcher = Matcher([*OTHERS, *(Secret(name, ANYWHERE) for name in names)])
    for order in (texts, texts[::-1], sorted(texts), texts[1:] + texts[:1]):
        found = matcher.clean_all(order, is_url=True)
        assert [text for text in order if FILTERED not in found.get(text, "")] == []
