"""How far a secret extends, and that no place in a text takes long."""

import pytest

from sentry_paste.redaction import Secret, extents
from sentry_paste.redaction.bounds import Allowance, TooMuchError
from sentry_paste.redaction.extents import Heads
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import FILTERED
from sentry_paste.redaction.needles import ANYWHERE, PAIR, WORD, Needle

LONG = "/" + "a1b2c3d4" * 20_000


def spans(needles, text, places, is_url=False, allowance=None):
    return list(Heads(needles).spans(text, places, is_url, allowance or Allowance(1000)))


def test_value_that_begins_within_another_is_hidden_to_its_own_end():
    matcher = Matcher([Secret("abcdefgh12345678", ANYWHERE), Secret("12345678zzzzzzzz", ANYWHERE)])
    assert matcher.clean("see abcdefgh12345678zzzzzzzz!") == f"see {FILTERED}!"


def test_long_value_goes_as_far_as_it_is_there():
    text = f"see {LONG[:5000]}!"
    assert spans([Needle(LONG, ANYWHERE)], text, [4]) == [(4, 5004)]


@pytest.mark.parametrize("texts", [["nnn " + "n" * 70], ["n" * 70, "another", "more"], ["n" * 70 + "=", "x"]])
def test_long_name_of_a_pair_without_its_value_is_no_secret(texts):
    matcher = Matcher(
        [Secret("n" * 70 + "=" + "v4lu3" * 20, PAIR, 71), Secret("t0k3n-t0k3n-t0k3n", ANYWHERE)]
    )
    assert matcher.clean_all(texts) == {}
    assert matcher.clean("n" * 70 + "=v4lu3!") == "n" * 70 + f"={FILTERED}!"


def test_nothing_is_compared_that_a_letter_before_it_rules_out(monkeypatch):
    compared = []
    monkeypatch.setattr(extents, "_longest", lambda *_: compared.append(1))
    assert spans([Needle(LONG, WORD)], f"x{LONG}", [1]) == []
    assert compared == []


def test_long_comparison_is_paid_for():
    with pytest.raises(TooMuchError):
        spans([Needle(LONG, WORD)], LONG, [0] * 40, is_url=True, allowance=Allowance(500))


def test_base64_around_a_place_is_looked_at_once(monkeypatch):
    looked = []
    around = extents._run_around
    monkeypatch.setattr(extents, "_run_around", lambda *args: looked.append(1) or around(*args))
    text = "A" * 1000 + "V" * 500
    found = spans([Needle("V" * 10, ANYWHERE, is_run=True)], text, list(range(1000, 1490)))
    assert found == [(0, 1500)]
    assert looked == [1]


@pytest.mark.parametrize("is_ready", [False, True], ids=["at first", "with an index"])
class TestValueThatWasCut:
    SECRETS = (Secret("nRXCku>Tk:UbqCzwDvMZVMlwp$DdkBiF", ANYWHERE), Secret("UbqCzwDvMZVMlwp", ANYWHERE))

    def matcher(self, is_ready):
        matcher = Matcher(self.SECRETS)
        if is_ready:
            matcher.clean("x" * 20_000)
        return matcher

    def test_escaped_one_goes_as_a_whole_although_it_ends_with_a_part_of_it(self, is_ready):
        assert self.matcher(is_ready).clean("key nRXCku%3ETk%3AUbqCzwDvMZV...'") == f"key {FILTERED}"

    @pytest.mark.parametrize(
        "ellipsis",
        [
            "...",
            "\u2026",
            "\\u2026",
            "%E2%80%A6",
            "%25E2%2580%25A6",
            "%25e2%2580%25a6",
            "&hellip;",
            "&amp;#8230;",
        ],
    )
    def test_ellipsis_may_be_escaped_again(self, ellipsis, is_ready):
        assert self.matcher(is_ready).clean(f"key nRXCku>Tk:UbqCzwD{ellipsis}") == f"key {FILTERED}"
