"""Findings of a fifth hostile review: what one place costs, and what a text without its escapes costs."""

import html
import tracemalloc

import pytest
from timing import cpu_seconds

from sentry_paste.redaction import Names, named_values, structures
from sentry_paste.redaction.bounds import Allowance, Bounds, TooMuchError
from sentry_paste.redaction.escaped import READERS, read_markup
from sentry_paste.redaction.names import FILTERED
from sentry_paste.redaction.patterns import Patterns
from sentry_paste.redaction.texts import clean_text, clean_texts
from sentry_paste.redaction.views import decoded

NAMES = Names()
SECRET = "mellon-speak9"
# What must not be read at each of many places.
REST = "x" * 4_000_000
# Texts of many places, each of which reads more than it hides.
PLACES = {
    "arguments that are not curl's": "-u=" * 2000,
    "placeholders": "token%22:%s" * 2000,
    "placeholders in mappings": "\"name\": \"token\", \"value\": %s" * 2000,
    "parts": ('name="password";' * 60 + "\n") * 5 + "\n" + ("\\" * 7900 + "n--") * 64,
    "heads of parts": ('name="password";' * 60 + "\n") * 100,
    "tables": ("into " * 51 + ";(" + "password," * 440 + ")") * 200,
    "lists of quotes": ("('password','" + "''" * 110 + "a','") * 3500,
    "cookies": ("cookie(version=0, name='" + "''" * 200) * 2000,
    "inputs": ("input_value=" + "\\" * 410 + "n") * 2000,
    "elements": "x:password>y" * 2000,
}  # fmt: skip
# Texts that re would remember much of, or that would be many pieces.
PIECES = {
    "escaped URLs": ":\\/\\/a:b" + "%41" * 280_000,
    "escaped slashes": "token=x " + "\\/x" * 212_000,
    "tags in URLs": "pwd=x1y2z3a4 &lt; %3c" + "%3f" * 280_000,
    "ampersands": "pwd=x1y2z3a4 &lt; %3c" + "&" * 850_000,
}


def clean(text):
    return clean_text(text, NAMES)


def read_with(bounds):
    """Return a function that reads a text as far as some bounds allow."""

    def read(text):
        return [reader(text, bounds) for reader in READERS]

    return read


class TestCost:
    """A place is charged for what it reads, or reads little."""

    @pytest.mark.parametrize("prefix", ["", "&lt; "], ids=["raw", "and read without escapes"])
    @pytest.mark.parametrize("text", PLACES.values(), ids=PLACES)
    def test_place_does_not_read_what_the_next_one_reads(self, prefix, text):
        # Some ten milliseconds; seconds if each place reads the rest.
        assert cpu_seconds(lambda: clean(prefix + text + REST), 1.2) < 1.2

    @pytest.mark.parametrize("text", PIECES.values(), ids=PIECES)
    def test_memory_is_a_few_times_that_of_the_text(self, text):
        tracemalloc.start()
        clean_texts([text], NAMES)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * len(text)

    @pytest.mark.parametrize(
        "text",
        ["%41" * 100_000, "\\u0041" * 50_000, "%e9" * 100_000],
        ids=["percent", "unicode", "latin-1"],
    )
    def test_run_of_escapes_is_undone_in_pieces(self, text):
        tracemalloc.start()
        view = decoded(text, Allowance(10**6))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert len(set(view.text)) == 1
        assert peak < 8 * len(text)

    def test_what_begins_no_escape_costs_too(self):
        with pytest.raises(TooMuchError):
            decoded("&" * 200_000, Allowance(1000))
        assert decoded("&" * 20_000, Allowance(1000)) is None

    def test_text_is_read_once_where_it_is_long(self):
        bounds = Bounds(500, 150_000)
        read = read_with(bounds)
        read("&lt;%3c" + "a" * 40_000)
        with pytest.raises(TooMuchError):
            read("&lt;%3c" + "a" * 40_000)

    def test_long_text_is_hidden_rather_than_read_twice(self):
        long = "password=x&lt;%3c" + "a " * 300_000
        assert clean(long) == FILTERED
        assert clean(long[: len(long) // 2]) != FILTERED

    def test_element_without_an_opening_bracket_is_named_by_what_is_near(self, monkeypatch):
        sizes = []

        class Text(str):
            def __getitem__(self, at):
                sizes.append(len(str(self)[at]))
                return str(self)[at]

        text = Text("a" * 10_000 + " x:password>abc")
        begin = text.index("password")
        place = named_values.Place("password", begin, "", ">", begin + len("password>"))
        structures.content_of_element(text, place, Bounds(500, 10**6))
        assert max(sizes) < 100


class TestRunsOfEscapes:
    """A run of escapes is cut where no character is."""

    @pytest.mark.parametrize("character", ["\xe9", "\u20ac", "\U0001f600"])
    @pytest.mark.parametrize("shift", range(8))
    def test_character_of_several_bytes_stays_whole(self, character, shift):
        text = "a" * shift + character * 100
        for escaped in (
            "".join(f"%{byte:02x}" for byte in text.encode()),
            "".join(f"\\u{unit:04x}" for unit in memoryview(text.encode("utf-16-le")).cast("H")),
        ):
            view = decoded(escaped, Allowance(10**6))
            assert view.text == text


class TestReading:
    """Places in a reading are those in the text, wherever it is cut into shares."""

    @pytest.mark.parametrize("size", [1, 999, 1000, 1001, 2500])
    def test_every_place_has_its_place_in_the_text(self, size):
        unit = "ab&quot;"
        reading = read_markup(unit * size)
        assert reading.text == 'ab"' * size
        places = [reading.place_in_text(at) for at in range(3 * size + 1)]
        assert places == [at // 3 * len(unit) + at % 3 for at in range(3 * size + 1)]
        backwards = [reading.place_in_text(at) for at in reversed(range(3 * size + 1))]
        assert backwards == places[::-1]

    def test_value_behind_many_escapes_is_hidden(self):
        before = "&lt;b&gt; " * 3000
        text = before + html.escape(f'<input name="password" value="{SECRET}">') + before
        assert clean(text) == text.replace(SECRET, FILTERED)


class TestEscapedURL:
    """User and password end at the @, however it is escaped."""

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            (":\\/\\/", "@"), (":\\u002f\\u002f", "\\u0040"), ("%3A%2F%2F", "%40"), ("%3a%2f%2f", "%40"),
            ("%253A%252F%252F", "%2540"), (":&#x2F;&#x2F;", "@"), (":&#47;&#47;", "&#64;"),
        ],
    )  # fmt: skip
    @pytest.mark.parametrize("user", ["bob:" + SECRET, "b%41b:x\\y" + SECRET, "b&amp;b:" + SECRET * 50])
    def test_user_and_password_are_hidden(self, before, after, user):
        assert clean(f"x https{before}{user}{after}h x") == f"x https{before}{FILTERED}{after}h x"

    @pytest.mark.parametrize(
        "text", ["https:\\/\\/h:80\\/x@y", "https%3A%2F%2Fh%3A80%2Fx%40y", "a:\\/\\/h b:c@d"]
    )
    def test_at_behind_the_authority_is_not_its_own(self, text):
        assert clean(text) == text


class TestValues:
    """What is judged by its beginning is hidden as a whole."""

    def test_long_scalar_is_hidden_as_a_whole(self):
        assert clean('{"token": a1' + "b2" * 1000 + ", 'x': 1}") == "{\"token\": [Filtered], 'x': 1}"

    @pytest.mark.parametrize("newline", ["\n", "\\n", "\\\\n"])
    def test_input_is_named_by_the_line_before(self, newline):
        text = f"1 error{newline}a.password{newline}  short [type=x, input_value='{SECRET}', input_type=str]"
        assert clean(text) == text.replace(f"'{SECRET}'", FILTERED)

    def test_empty_value_of_a_part_stays(self):
        text = f'--b\r\nContent-Disposition: form-data; name="password"\r\n\r\n\r\n--b--{SECRET}'
        assert clean(text) == text

    @pytest.mark.parametrize("table", ["users", "pinto", "into_x", "a.users"])
    def test_name_of_a_table_may_be_any(self, table):
        text = f"INSERT INTO {table} (id, password) VALUES (1, '{SECRET}')"
        assert SECRET not in clean(text)


@pytest.mark.parametrize("unit", [".", "%", "+-"])
def test_signs_before_an_address_take_little_memory(unit):
    text = unit * 200_000 + "bob@example.com"
    tracemalloc.start()
    cleaned = Patterns(["email"]).clean(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert cleaned == text.replace("bob@example.com", FILTERED)
    assert peak < 10 * len(text)
