"""What each kind takes, and what it refuses."""

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.config import kinds

TAKES = [
    (kinds.BOOLEAN, "true", True),
    (kinds.BOOLEAN, "Off", False),
    (kinds.BOOLEAN, "0", False),
    (kinds.RATE, "0", 0.0),
    (kinds.RATE, "1", 1.0),
    (kinds.RATE, ".25", 0.25),
    (kinds.RATE, "1e-3", 0.001),
    (kinds.COUNT, "0", 0),
    (kinds.POSITIVE, "1", 1),
    (kinds.NUMBER, "-2.5", -2.5),
    (kinds.SECONDS, "2.5", 2.5),
    (kinds.TEXT, "any = text", "any = text"),
    (kinds.WORDS, "a, b\n\n c,,", ["a", "b", "c"]),
    (kinds.UPPER_WORDS, "get, Post", frozenset({"GET", "POST"})),
    (kinds.MAPPING, "X-A: b: c\nX-B = d", {"X-A": "b: c", "X-B": "d"}),
    (kinds.MAPPING, "empty:", {"empty": ""}),
    (kinds.STATUS_CODES, "404, 500-502", frozenset({404, 500, 501, 502})),
    (kinds.DSN, "https://key@sentry.example/42", "https://key@sentry.example/42"),
    (kinds.BOOLEAN_OR_URL, "yes", True),
    (kinds.BOOLEAN_OR_URL, "http://127.0.0.1:8969/stream", "http://127.0.0.1:8969/stream"),
    (kinds.FUNCTIONS, "a.b\nc.d", [{"qualified_name": "a.b"}, {"qualified_name": "c.d"}]),
    (kinds.choice(["never", "always"]), "Always", "always"),
]

REFUSES = [
    (kinds.BOOLEAN, ["maybe", "2", "tru", ""]),
    (kinds.RATE, ["10%", "nan", "-0.1", "1.5", "inf", "half", "0,5"]),
    (kinds.COUNT, ["-1", "1.5", "ten", "0x1"]),
    (kinds.POSITIVE, ["0", "-1"]),
    (kinds.NUMBER, ["nan", "inf", "one"]),
    (kinds.SECONDS, ["-1", "2 s", "nan"]),
    (kinds.MAPPING, ["no mark", ": no name"]),
    (kinds.STATUS_CODES, ["5xx", "99", "600", "502-500", "200-"]),
    (
        kinds.DSN,
        ["sentry.example/42", "https://sentry.example/42", "https://key@sentry.example/x", "ftp://k@h/1"],
    ),
    (kinds.BOOLEAN_OR_URL, ["maybe", "ftp://host"]),
    (kinds.HOOK, ["no_module", "a b.c", "1a.b", "a..b", "a.b:"]),
    (kinds.INTEGRATIONS, ["sqlalchemy"]),
    (kinds.choice(["never", "always"]), ["sometimes"]),
]


@pytest.mark.parametrize(("kind", "text", "value"), TAKES, ids=[f"{k.name}-{t!r}" for k, t, _ in TAKES])
def test_kind_takes(kind, text, value):
    found = kind.parse(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [(kind, text) for kind, texts in REFUSES for text in texts],
    ids=lambda value: str(value)[:20],
)
def test_kind_refuses(kind, text):
    with pytest.raises(ValueError):
        kind.parse(text)


ALL_KINDS = [value for value in vars(kinds).values() if isinstance(value, kinds.Kind)]


@pytest.mark.parametrize("kind", ALL_KINDS, ids=lambda kind: kind.name)
@given(text=st.text())
def test_kind_raises_nothing_but_value_error(kind, text):
    with contextlib.suppress(ValueError):
        kind.parse(text)


@given(st.floats(0, 1))
def test_every_rate_comes_back(rate):
    assert kinds.RATE.parse(repr(rate)) == rate


@given(st.integers(0))
def test_every_count_comes_back(count):
    assert kinds.COUNT.parse(str(count)) == count


@given(st.floats().filter(lambda number: not 0 <= number <= 1))
def test_no_other_number_is_a_rate(number):
    with pytest.raises(ValueError):
        kinds.RATE.parse(repr(number))


@given(st.lists(st.text("abc.-_ ").map(str.strip).filter(bool)))
def test_list_by_line_or_comma_comes_back(words):
    assert kinds.WORDS.parse(", ".join(words)) == words
    assert kinds.WORDS.parse("\n" + "\n  ".join(words)) == words


class TestImportName:
    @pytest.mark.parametrize("name", ["math:isnan", "math.isnan"])
    def test_function_by_colon_or_dot(self, name):
        assert kinds.import_name(name) is math.isnan

    def test_attribute_of_a_class(self):
        assert kinds.import_name("collections:OrderedDict.fromkeys").__name__ == "fromkeys"

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            (
                "nowhere.at_all:x",
                "cannot import nowhere.at_all: ModuleNotFoundError: No module named 'nowhere'",
            ),
            ("math.nothing", "math has no nothing"),
            ("math:a.b", "math has no a.b"),
            ("math", "'math' names no module: write package.module:attribute"),
            ("a b", "'a b' is no dotted name such as package.module:attribute"),
            ("config_test_crashes:x", "cannot import config_test_crashes: RuntimeError: at import"),
        ],
    )
    def test_reason_is_told(self, name, reason, tmp_path, monkeypatch):
        (tmp_path / "config_test_crashes.py").write_text("raise RuntimeError('at import')")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ValueError) as caught:
            kinds.import_name(name)
        assert str(caught.value) == reason
