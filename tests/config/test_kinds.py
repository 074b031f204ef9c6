"""What each kind takes, and what it refuses."""

import contextlib
import json.tool
import math
import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.config import kinds, references

TAKES = [
    (kinds.BOOLEAN, "true", True),
    (kinds.BOOLEAN, "Off", False),
    (kinds.BOOLEAN, "0", False),
    (kinds.RATE, "0", 0.0),
    (kinds.RATE, "-0", 0.0),
    (kinds.RATE, "1", 1.0),
    (kinds.RATE, ".25", 0.25),
    (kinds.RATE, "1e-3", 0.001),
    (kinds.COUNT, "0", 0),
    (kinds.POSITIVE, "1", 1),
    (kinds.NUMBER, "-2.5", -2.5),
    (kinds.SIZE, "1000", 1000),
    (kinds.SIZE, "10 MB", 10_000_000),
    (kinds.SIZE, "1.5kB", 1500),
    (kinds.SIZE, "2 GiB", 2**31),
    (kinds.duration("seconds"), "30 s", 30.0),
    (kinds.duration("seconds"), "30", 30.0),
    (kinds.duration("seconds"), "1.5 min", 90.0),
    (kinds.duration("seconds"), "250 ms", 0.25),
    (kinds.duration("days"), "7 days", 604800.0),
    (kinds.duration("days"), "1", 86400.0),
    (kinds.duration("milliseconds", "milliseconds", whole=True), "100", 100),
    (kinds.duration("milliseconds", "milliseconds", whole=True), "2 s", 2000),
    (kinds.LEVEL, "WARNING", 30),
    (kinds.LEVEL, "warn", 30),
    (kinds.LEVEL, "15", 15),
    (kinds.TEXT, "any = text", "any = text"),
    (kinds.WORDS, "a, b c\n\n d,,", ["a", "b c", "d"]),
    (kinds.NAMES, "a, b c\n\n d,,", ["a", "b", "c", "d"]),
    (kinds.METHODS, "get, Post put", frozenset({"GET", "POST", "PUT"})),
    (kinds.PATTERNS, "^https://api\\.\nlocal{1,3}host", [r"^https://api\.", "local{1,3}host"]),
    (kinds.SPAN_NAMES, "exact name\n/^GET .*/", ["exact name", re.compile("^GET .*")]),
    (kinds.GLOBS, "/health*\n/static/*", ("/health*", "/static/*")),
    (kinds.GLOB_RATES, "/api/* 0.5\n* 0", (("/api/*", 0.5), ("*", 0.0))),
    (kinds.GLOB_NAMES, "/users/*/edit  Edit a user", (("/users/*/edit", "Edit a user"),)),
    (kinds.MAPPING, "X-A: b: c\nX-B = d", {"X-A": "b: c", "X-B": "d"}),
    (kinds.MAPPING, "empty:", {"empty": ""}),
    (kinds.TAGS, "region: eu\nrack = 12", {"region": "eu", "rack": "12"}),
    (kinds.STATUS_CODES, "404, 500-502", frozenset({404, 500, 501, 502})),
    (kinds.DSN, "https://key@sentry.example/42", "https://key@sentry.example/42"),
    (kinds.DSN, "HTTPS://key@sentry.example/42", "HTTPS://key@sentry.example/42"),
    (kinds.BOOLEAN_OR_URL, "yes", True),
    (kinds.BOOLEAN_OR_URL, "http://127.0.0.1:8969/stream", "http://127.0.0.1:8969/stream"),
    (kinds.BOOLEAN_OR_PATH, "off", False),
    (kinds.BOOLEAN_OR_PATH, "error.html", "error.html"),
    (kinds.BOOLEAN_OR_PATH, "C:\\pages\\error.html", "C:\\pages\\error.html"),
    (kinds.BOOLEAN_OR_PATH, "/srv/a:b/error.html", "/srv/a:b/error.html"),
    (kinds.BOOLEAN_OR_PATH, "json:tool.py", json.tool.__file__),
    (kinds.HEADER_NAME, "X-Sentry-ID", "X-Sentry-ID"),
    (kinds.PROXY, "http://user:pw@proxy:3128", "http://user:pw@proxy:3128"),
    (kinds.PROXY, "socks5h://proxy", "socks5h://proxy"),
    (
        kinds.SOCKET_OPTIONS,
        "SOL_SOCKET SO_KEEPALIVE 1\n6, 1, 2",
        [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), (6, 1, 2)],
    ),
    (kinds.FUNCTIONS, "a.b\nc.d", [{"qualified_name": "a.b"}, {"qualified_name": "c.d"}]),
    (kinds.choice(["never", "always"]), "Always", "always"),
]

REFUSES = [
    (kinds.BOOLEAN, ["maybe", "2", "tru", ""]),
    (kinds.RATE, ["10%", "nan", "-0.1", "1.5", "inf", "half", "0,5"]),
    (kinds.COUNT, ["-1", "1.5", "ten", "0x1"]),
    (kinds.POSITIVE, ["0", "-1"]),
    (kinds.NUMBER, ["nan", "inf", "one"]),
    (kinds.SIZE, ["-1", "10 XB", "MB", "1,5 MB", "nan"]),
    (kinds.duration("seconds"), ["-1", "2 parsecs", "nan", "s", "1 2"]),
    (kinds.LEVEL, ["LOUD", "-1", "1.5"]),
    (kinds.PATTERNS, ["(", "a, ["]),
    (kinds.SPAN_NAMES, ["/(/"]),
    (kinds.GLOBS, ["health", "^/x"]),
    (kinds.GLOB_RATES, ["/x", "/x 2", "x 0.5", "/x ten"]),
    (kinds.GLOB_NAMES, ["/x", "x name"]),
    (kinds.MAPPING, ["no mark", ": no name"]),
    (kinds.TAGS, ["a b: c", "x" * 201 + ": c", "none"]),
    (kinds.STATUS_CODES, ["5xx", "99", "600", "502-500", "200-"]),
    (
        kinds.DSN,
        ["sentry.example/42", "https://sentry.example/42", "https://key@sentry.example/x", "ftp://k@h/1"],
    ),
    (kinds.BOOLEAN_OR_URL, ["maybe", "ftp://host", "http://"]),
    (kinds.METHODS, ["get, bogus!"]),
    (kinds.PROXY, ["user:pw@proxy", "http://"]),
    (kinds.HEADER_NAME, ["X Sentry", "X:", "ä"]),
    (kinds.SOCKET_OPTIONS, ["SOL_SOCKET SO_KEEPALIVE", "SOL_NONE SO_KEEPALIVE 1", "a b c d", "1 2 x"]),
    (kinds.FUNCTIONS, ["function", "a. b"]),
    (references.HOOK, ["no_module", "a b.c", "1a.b", "a..b", "a.b:"]),
    (references.EXCEPTIONS, ["a b-c", "pkg.*"]),
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


ALL_KINDS = [
    value
    for module in (kinds, references)
    for value in [*vars(module).values(), kinds.duration("days")]
    if isinstance(value, kinds.Kind)
]


# Python warns of patterns such as "[[", which a later version may read differently, also at start-up.
@pytest.mark.filterwarnings("ignore:Possible :FutureWarning")
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


@given(st.integers(0, 10**9), st.sampled_from(["s", "min", "hours", "d", "weeks"]))
def test_every_duration_comes_back(number, unit):
    seconds = {"s": 1, "min": 60, "hours": 3600, "d": 86400, "weeks": 604800}[unit]
    assert kinds.duration("seconds").parse(f"{number} {unit}") == number * seconds


@given(st.integers(0, 10**6), st.sampled_from(["", "B", "kB", "MB", "GiB"]))
def test_every_size_comes_back(number, unit):
    factor = {"": 1, "B": 1, "kB": 10**3, "MB": 10**6, "GiB": 2**30}[unit]
    assert kinds.SIZE.parse(f"{number} {unit}".strip()) == number * factor


class TestExceptions:
    def test_dotted_built_in_and_other_names(self):
        import zipfile

        found = references.EXCEPTIONS.parse("zipfile:BadZipFile, KeyError Http404").resolve()
        assert found == [zipfile.BadZipFile, KeyError, "Http404"]

    def test_what_is_no_exception_is_refused(self):
        with pytest.raises(ValueError, match="is not an exception class"):
            references.EXCEPTIONS.parse("zipfile.ZipFile").resolve()


class TestImportName:
    @pytest.mark.parametrize("name", ["math:isnan", "math.isnan"])
    def test_function_by_colon_or_dot(self, name):
        assert references.import_name(name) is math.isnan

    def test_attribute_of_a_class(self):
        assert references.import_name("collections:OrderedDict.fromkeys").__name__ == "fromkeys"

    @pytest.mark.parametrize(
        ("name", "reason"),
        [
            (
                "nowhere.at_all:x",
                "cannot import nowhere.at_all: ModuleNotFoundError: No module named 'nowhere'",
            ),
            ("math.nothing", "math has no nothing"),
            ("math:a.b", "math has no a.b"),
            ("math", "'math' does not name a module: write package.module:attribute"),
            ("a b", "'a b' is not a dotted name such as package.module:attribute"),
            ("config_test_crashes:x", "cannot import config_test_crashes: RuntimeError: at import"),
        ],
    )
    def test_reason_is_given(self, name, reason, tmp_path, monkeypatch):
        (tmp_path / "config_test_crashes.py").write_text("raise RuntimeError('at import')")
        monkeypatch.syspath_prepend(tmp_path)
        with pytest.raises(ValueError) as caught:
            references.import_name(name)
        assert str(caught.value) == reason
