"""What all log items of a request cost together, and what of them is examined at all."""

import copy

import pytest

from sentry_paste.redaction import Names, extents, finder, values, views
from sentry_paste.redaction.bounds import Allowance, Allowances, Sharing
from sentry_paste.redaction.finder import Finder
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.payloads import clean_item
from sentry_paste.redaction.texts import clean_texts

SHORT = "; ".join(f"c{number}=a{number:04}b" for number in range(1000))
ALIKE = "; ".join(f"c{number}=abcdefg2h{number:04}kl" for number in range(800))
ORDINARY = {
    "sentry.message.template": "no basket %s",
    "sentry.message.parameter.0": "12",
    "logger.name": "shop.basket",
    "code.file.path": "/srv/shop/basket.py",
    "code.line.number": 12,
    "sentry.sdk.name": "sentry.python",
}


def matcher_of(cookie):
    matcher = Matcher(values.of_request({"HTTP_COOKIE": cookie}, Names()))
    matcher.clean("x" * 20_000)  # from here on it has its index
    return matcher


def log_item(text, **attributes):
    return {"body": text, "severity_text": "info", "attributes": {**ORDINARY, **attributes}}


class Counting:
    """A pattern whose searches are counted."""

    def __init__(self, pattern):
        self.searches = 0
        self._pattern = pattern

    def __getattr__(self, name):
        self.searches += 1
        return getattr(self._pattern, name)


@pytest.mark.parametrize(
    ("cookie", "text"),
    [
        (ALIKE, "abcdefg2..." * 90),
        (ALIKE, "abcdefg! " * 90),
        ("sid=abcdefg2hijkl", "abcdefg2... " * 60),
        (SHORT, "a000%41b c\\x41 %41" * 200),
        ("sid=ab$cdefg$1", "cdefg" + "%41" * 300),
        (SHORT, " ".join(f"a{number:04}b" for number in range(40)) + "! a" * 400),
    ],
    ids=["ellipses", "parts of beginnings", "cut ones", "words with escapes", "runs of escapes", "words"],
)
def test_work_for_places_that_are_no_secret_is_limited_too(cookie, text):
    matcher = matcher_of(cookie)
    allowances = Allowances()
    allowances._until = float("inf")
    with Sharing(allowances):
        for number in range(2000):
            matcher.clean(f"{text}{number}")
        assert allowances.values.left < 500
        assert matcher.clean("an ordinary line") == "an ordinary line"


@pytest.mark.parametrize(
    ("module", "name", "text"),
    [
        (views, "_ESCAPE", "& " * 450),
        (views, "_ESCAPE", "%25" * 300),
        (finder, "_ESCAPES", "%3a%2f%2f" * 100),
    ],
    ids=["signs that begin escapes", "runs of escapes", "escapes before words"],
)
def test_no_escape_is_looked_for_once_all_is_spent(monkeypatch, module, name, text):
    matcher = matcher_of(SHORT)
    pattern = Counting(getattr(module, name))
    monkeypatch.setattr(module, name, pattern)
    allowances = Allowances()
    allowances._until = float("inf")
    with Sharing(allowances):
        while allowances.values.left > 0:
            matcher.clean(text)
        pattern.searches = 0
        assert matcher.clean(text) == "[Filtered]"
        assert pattern.searches == 0
        assert matcher.clean("an ordinary line, 7% of it") == "an ordinary line, 7% of it"


def test_lines_beyond_it_are_not_searched_twice(monkeypatch):
    matcher = matcher_of(SHORT)
    allowances = Allowances()
    allowances._until = float("inf")
    allowances.values.left = 0
    searched = []
    starts = Finder.starts
    monkeypatch.setattr(Finder, "starts", lambda *args: searched.append(1) or starts(*args))
    with Sharing(allowances):
        assert matcher.clean("no a0001b, no a0002b") == "[Filtered]"
    assert searched == [1]


def test_ordinary_lines_cost_none_of_it():
    matcher = matcher_of("sid=q8fh23fh28hf2k; csrftoken=b1946ac92492d2347c6235b4d2611184")
    allowances = Allowances()
    allowances._until = float("inf")
    before = allowances.values.left
    with Sharing(allowances):
        for number in range(2000):
            assert matcher.clean(f"order {number} of 7% is paid\n") == f"order {number} of 7% is paid\n"
    assert allowances.values.left == before


def test_no_ellipsis_is_looked_for_in_what_is_hidden_already(monkeypatch):
    pattern = Counting(extents._ELLIPSIS)
    monkeypatch.setattr(extents, "_ELLIPSIS", pattern)
    assert (
        matcher_of("sid=abcdefg2hijkl").clean("see abcdefg2" + "...x" * 1000 + "-" * 600) == "see [Filtered]"
    )
    assert pattern.searches < 5


@pytest.mark.parametrize("word", ["a0007b", "\u0436a007", "\u0436\u0436\u0436\u0436\u04367", "\xfc0007b"])
@pytest.mark.parametrize("before", ["", "see ", "see%20", "see\\n", "\u0436 "])
def test_each_of_many_short_ones_is_found_as_a_word(word, before):
    found = Finder([*(f"a{number:04}b" for number in range(20, 220)), word])
    text = f"{before}{word} and{' more' * 2000}"
    assert found.starts(text, Allowance(100)) == [len(before)]


def test_escaped_urls_without_a_password_are_limited_too():
    allowances, names = Allowances(), Names()
    allowances._until = float("inf")
    texts = [f"{'%3a%2f%2f' * 100}{number}" for number in range(300)]
    with Sharing(allowances):
        hidden = [text for text in texts if clean_texts([text], names).get(text, text).endswith("[Filtered]")]
        assert 0 < len(hidden) < 300
        assert clean_texts(["an ordinary line"], names) == {}


class TestLogItem:
    def test_what_none_of_the_request_changed_is_not_examined_again(self, monkeypatch):
        matcher, names, examined = matcher_of("sid=q8fh23fh28hf2k"), Names(), []
        clean_all = Matcher.clean_all

        def recorded(self, texts, is_url=False):
            examined.extend(texts)
            return clean_all(self, texts, is_url)

        monkeypatch.setattr(Matcher, "clean_all", recorded)
        clean_item(log_item("no basket 12"), matcher, names)
        assert "shop.basket" in examined
        examined.clear()
        clean_item(log_item("no basket 13", **{"sentry.message.parameter.0": "13"}), matcher, names)
        assert set(examined) == {"no basket 13", "13", "sentry.message.parameter.0"}

    def test_result_is_the_same_as_for_the_first(self):
        matcher, names = matcher_of("sid=q8fh23fh28hf2k; page=alicebrown"), Names()
        items = [
            log_item("no basket of q8fh23fh28hf2k", **{"sentry.message.parameter.0": "q8fh23fh28hf2k"}),
            log_item("password='hunter22'", password="hunter22", path="/alicebrown"),
            log_item("for alicebrown", **{"key q8fh23fh28hf2k": 1, "logger.name": "alicebrown"}),
            log_item(
                '10.1.2.3 - - [10/Oct/2000:13:55:36 +0000] "GET / HTTP/1.1" 200 1',
                **{"logger.name": "access"},
            ),
            log_item("x", **{"sentry.message.parameter.password": "hunter22"}),
        ]
        for item in items * 2:
            first, again = copy.deepcopy(item), copy.deepcopy(item)
            clean_item(first, Matcher(matcher._secrets), names)
            clean_item(again, matcher, names)
            assert again == first
            assert "q8fh23fh28hf2k" not in str(again)
            assert "hunter22" not in str(again)
            assert "10.1.2.3" not in str(again)
