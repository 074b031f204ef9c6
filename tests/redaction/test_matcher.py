"""Finding secret values in text: all of them, in any of their forms, and nothing else."""

import base64
import html
import json
import string
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, quote_plus
from xml.sax import saxutils

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sentry_paste.redaction import candidates, values
from sentry_paste.redaction.bounds import Allowance
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.needles import Secret, Where

RANDOM = st.text(alphabet=string.ascii_letters + string.digits + "-_+/=.", min_size=8, max_size=300).filter(
    lambda text: text.strip("=+/.-_") == text and text not in candidates._NOTHING
)
BEFORE = st.sampled_from(["", " ", "'", '"', "=", "token: ", "\n", "\\n", ", ", "(", "b'", "/", "%3D"])
AFTER = st.sampled_from(["", " ", "'", '"', "=", "\n", "\\n", ", ", ")", "/", "%3D"])


def matcher_of(more=0, **strings):
    """A matcher for the secrets of a request; ``more`` others make it one for many."""
    others = [Secret(f"other-{number:06}", Where.ANYWHERE) for number in range(more)]
    return Matcher(values.of_request(strings, Names()).union(others))


@pytest.fixture(params=[0, 100], ids=["few", "many"])
def make(request):
    return lambda **strings: matcher_of(request.param, **strings)


class TestAnywhere:
    @given(RANDOM, BEFORE, AFTER, st.sampled_from([0, 100]))
    def test_no_random_value_survives(self, value, before, after, more):
        matcher = matcher_of(more, HTTP_X_API_KEY=value)
        assert value not in matcher.clean(f"seen {before}{value}{after}.")

    @given(RANDOM, st.sampled_from([0, 100]))
    def test_no_random_value_of_a_cookie_survives(self, value, more):
        assume(value not in candidates._NOTHING)
        matcher = matcher_of(more, HTTP_COOKIE=f"a=1; sid={value}; b=2")
        assert value not in matcher.clean(f"bad session {value}")
        assert value not in matcher.clean(f"'a=1; sid={value}; b=2'")

    @given(st.text(min_size=8, max_size=60).filter(lambda text: text.strip() == text and "\x00" not in text))
    def test_no_form_of_a_value_survives(self, value):
        assume(not value.isspace() and value not in candidates._NOTHING)
        assume(len(set(value)) > 5 and value not in FILTERED)
        # Servers decode headers as Latin-1.
        matcher = matcher_of(HTTP_X_API_KEY=value.encode("utf-8", "replace").decode("latin-1"))
        value = value.encode("utf-8", "replace").decode()
        based = base64.b64encode(value.encode()).decode().rstrip("=")
        for form in (value, repr(value), quote(value, safe=""), quote_plus(value), json.dumps(value), based):
            assert form.strip("'\"") not in matcher.clean(f"a {form} b"), form

    @given(st.text(alphabet=string.ascii_letters + " ,.:=&?/", max_size=300))
    def test_text_without_it_stays(self, text):
        matcher = matcher_of(
            HTTP_X_API_KEY="0123456789abcdef", HTTP_COOKIE="sid=fedcba9876543210; lang=en; x=1"
        )
        assert matcher.clean(text) == text

    @given(st.lists(RANDOM, min_size=1, max_size=8), st.text(max_size=50))
    def test_many_values_are_found_as_few_are(self, found, text):
        secrets = [Secret(value, Where.ANYWHERE) for value in found]
        # None of the others occurs in the text or shares a beginning with these.
        others = [Secret(f"\ue000{number:08}", Where.ANYWHERE) for number in range(100)]
        together = text + " ".join(found) + text
        assert Matcher(secrets).clean(together).count(FILTERED) > 0
        assert all(value not in Matcher(secrets + others).clean(together) for value in found)
        assert all(value not in Matcher(secrets).clean(together) for value in found)

    def test_value_that_is_there_in_base64_only_is_hidden(self, make):
        based = base64.b64encode(b"k7-0123456789").decode().rstrip("=")
        assert make(HTTP_X_API_KEY="k7-0123456789").clean(f"x {based} y") == f"x {FILTERED} y"

    def test_longer_of_two_that_begin_alike_goes_whole(self, make):
        matcher = make(HTTP_X_API_KEY="abcdefgh1", HTTP_X_AUTH_TOKEN="abcdefgh1-and-more")
        assert matcher.clean("x abcdefgh1-and-more y abcdefgh1 z") == f"x {FILTERED} y {FILTERED} z"

    def test_two_long_ones_that_begin_alike_go_whole(self, make):
        first, second = "k7" * 50 + "first", "k7" * 50 + "second"
        matcher = make(HTTP_X_API_KEY=first, HTTP_X_AUTH_TOKEN=second)
        assert matcher.clean(f"{first} {second}") == f"{FILTERED} {FILTERED}"


class TestCut:
    VALUE = "".join(f"{number:x}" for number in range(1000, 1400))

    @pytest.mark.parametrize("length", [6, 20, 63, 64, 65, 100, 500])
    @pytest.mark.parametrize("end", ["...", "...'", "\u2026"])
    def test_value_that_was_cut_is_hidden(self, make, length, end):
        cut = f"'sid={self.VALUE[:length]}{end}"
        cleaned = make(HTTP_X_API_KEY=self.VALUE).clean(cut)
        assert cleaned == f"'sid={FILTERED}{'' if length < 64 else end}"

    def test_text_that_is_cut_elsewhere_stays(self, make):
        assert make(HTTP_X_API_KEY=self.VALUE).clean("and so on 3e8...") == "and so on 3e8..."

    def test_beginning_of_a_long_value_is_hidden(self, make):
        cleaned = make(HTTP_X_API_KEY=self.VALUE).clean(f"x {self.VALUE[:200]}-other y")
        assert cleaned == f"x {FILTERED}-other y"

    def test_what_begins_as_a_long_value_goes_as_far_as_it_does(self, make):
        text = f"x {self.VALUE[:70]}-and something else that is no secret"
        assert (
            make(HTTP_X_API_KEY=self.VALUE).clean(text)
            == f"x {FILTERED}-and something else that is no secret"
        )

    def test_value_that_was_cut_in_its_middle_is_hidden(self, make):
        cut = f"input_value='{self.VALUE[:20]}...{self.VALUE[-20:]}', input_type=str"
        cleaned = make(HTTP_X_API_KEY=self.VALUE).clean(cut)
        assert cleaned == f"input_value='{FILTERED}', input_type=str"

    def test_value_that_was_cut_goes_in_its_escaped_form(self, make):
        matcher = make(HTTP_X_API_KEY="q8/fh+23 fh28'hf2-and-more-of-it")
        assert matcher.clean("x q8%2Ffh%2B23%20fh...") == f"x {FILTERED}"
        assert matcher.clean(r"'q8\/fh+23 fh28\'hf2...'") == f"'{FILTERED}"

    def test_value_that_goes_on_beyond_what_is_compared_goes_to_the_end(self, make):
        value = "'" + self.VALUE * 4
        cleaned = make(HTTP_X_API_KEY=value).clean(f"a b %27{self.VALUE * 4}%20tail")
        assert cleaned.startswith("a b [Filtered]")
        assert self.VALUE[:64] not in cleaned


class TestForms:
    """A value is found in every form in which it is shown, sent or stored."""

    VALUE = "k7'Ä/ü \"+&<\\x9"

    @pytest.mark.parametrize(
        "form",
        [
            repr,
            ascii,
            json.dumps,
            lambda text: json.dumps(text, ensure_ascii=False),
            lambda text: json.dumps(json.dumps(text)),
            lambda text: json.dumps(json.dumps(json.dumps(text))),
            lambda text: repr(repr(text)),
            lambda text: repr([text]),
            lambda text: repr(text.encode()),
            lambda text: json.dumps(text).replace("/", r"\/"),
            quote,
            quote_plus,
            lambda text: quote(text, safe=""),
            lambda text: quote(quote(text, safe=""), safe=""),
            lambda text: quote(text, safe="").lower(),
            html.escape,
            lambda text: html.escape(text).replace("&#x27;", "&#39;"),
            lambda text: html.escape(text, quote=False),
            saxutils.escape,
            saxutils.quoteattr,
            lambda text: html.escape(repr(text)),
            lambda text: text.encode("ascii", "xmlcharrefreplace").decode(),
            lambda text: base64.b64encode(text.encode()).decode(),
            lambda text: base64.urlsafe_b64encode(text.encode()).decode().rstrip("="),
            lambda text: base64.b64encode(b"x" + text.encode()).decode(),
            lambda text: base64.b64encode(b"xy" + text.encode()).decode(),
            lambda text: base64.b64encode(f"name={text};more".encode()).decode(),
            lambda text: quote(base64.b64encode(text.encode()).decode(), safe=""),
            lambda text: text.encode().hex(),
            lambda text: text.encode().hex().upper(),
        ],
    )
    def test_form_of_a_value_is_hidden(self, make, form):
        raw = self.VALUE.encode().decode("latin-1")  # as a server has it
        shown = form(self.VALUE)
        cleaned = make(HTTP_X_API_KEY=raw).clean(f"before {shown} after")
        core = shown.strip("'\"\\=")[4:-4]
        assert core not in cleaned
        assert "k7" not in cleaned or "x9" not in cleaned
        assert cleaned.startswith("before ")
        assert FILTERED in cleaned

    @given(
        st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=8, max_size=40),
        st.lists(st.sampled_from([repr, json.dumps, quote, html.escape]), max_size=2),
    )
    def test_no_form_of_a_form_survives(self, value, forms):
        value = value.encode("utf-8", "replace").decode()
        assume(len(set(value)) > 7)
        shown = value
        for form in forms:
            shown = form(shown)
        cleaned = matcher_of(HTTP_X_API_KEY=value.encode().decode("latin-1")).clean(f"a {shown} b")
        assert shown.strip("'\"\\") not in cleaned

    def test_all_of_its_base64_is_hidden(self, make):
        token = "k7-0123456789"
        based = base64.b64encode(f"name={token}&more=of it".encode()).decode()
        assert make(HTTP_X_API_KEY=token).clean(f"x {based} y") == f"x {FILTERED} y"

    def test_all_lines_of_its_base64_go(self, make):
        token = "".join(f"{number:x}" for number in range(1000, 1100))
        shown = repr(base64.encodebytes(token.encode()))
        assert make(HTTP_X_API_KEY=token).clean(f"x {shown} y") in (
            f"x b'{FILTERED}\\n' y",
            f"x b'{FILTERED}' y",
        )

    def test_name_of_a_user_is_found_next_to_any_escape(self, make):
        matcher = make(REMOTE_USER="alice")
        for before in ("\\n", "%3D", "\\x27", "\\u0027", "\\047", "&#39;", "&quot;"):
            assert matcher.clean(f"{before}alice") == f"{before}{FILTERED}"

    def test_user_s_name_in_unicode_is_found_as_bytes(self):
        matcher = Matcher(values.of_users(["jürgen-9"]))
        for form in ("jürgen-9", repr("jürgen-9".encode()), ascii("jürgen-9"), quote("jürgen-9")):
            assert matcher.clean(f"x {form}").count("rgen") == 0


class TestWithoutHarm:
    @pytest.mark.parametrize("value", ["1", "en", "dark", "true", "de-CH", "abc", "12345", "light"])
    def test_short_value_of_a_cookie_is_not_searched_for(self, make, value):
        text = f"'{value}' {value} lang={value}"
        assert make(HTTP_COOKIE=f"lang={value}").clean(text) == text
        assert make(HTTP_COOKIE=f"lang={value}").clean(value) == value

    @pytest.mark.parametrize(
        "value", ["production", "dark-theme", "Europe/Berlin", "accepted", "/shop/basket"]
    )
    def test_value_that_could_be_a_word_is_searched_for_as_one(self, make, value):
        matcher = make(HTTP_COOKIE=f"page={value}")
        assert matcher.clean(f"page is {value}!") == f"page is {FILTERED}!"
        assert matcher.clean(f"x{value}s") == f"x{value}s"
        assert matcher.clean(f"/{value}/", is_url=True) == f"/{value}/"

    def test_word_is_found_next_to_an_escape(self, make):
        matcher = make(HTTP_COOKIE="a=b; page=production")
        assert matcher.clean(r"'a\nproduction'") == rf"'a\n{FILTERED}'"
        assert matcher.clean("page%3Dproduction") == f"page%3D{FILTERED}"

    def test_name_of_a_user_is_searched_for_as_a_word(self, make):
        matcher = make(REMOTE_USER="alice")
        assert matcher.clean("no basket of alice, Malice") == f"no basket of {FILTERED}, Malice"
        assert matcher.clean("/users/alice", is_url=True) == "/users/alice"

    def test_name_that_is_a_word_of_every_program_must_be_all_of_a_text(self, make):
        matcher = make(REMOTE_USER="admin")
        assert matcher.clean("the admin's page") == "the admin's page"
        assert matcher.clean("'admin'") == FILTERED

    @pytest.mark.parametrize("text", ["110.0.0.1", "10.0.0.12", "1.10.0.0.1", "10.0.0.1.5"])
    def test_part_of_another_address_stays(self, make, text):
        assert make(REMOTE_ADDR="10.0.0.1").clean(text) == text

    @pytest.mark.parametrize("text", ["from {}.", "('{}', 8080)", "http://{}:80/", "for={};", "{}", "x-{}-y"])
    def test_address_is_hidden(self, make, text):
        for address in ("10.0.0.1", "2001:db8::7"):
            assert make(REMOTE_ADDR=address).clean(text.format(address)) == text.format(FILTERED)

    def test_loopback_is_not_a_clients_address(self, make):
        text = "http://127.0.0.1:6543/ [::1]"
        assert make(REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR="::1").clean(text) == text

    def test_loopback_is_not_a_clients_host_either(self, make):
        text = "cannot reach 127.0.0.1:5432 or [::1]"
        assert make(REMOTE_HOST="127.0.0.1").clean(text) == make(REMOTE_HOST="::1").clean(text) == text

    def test_host_of_a_client_is_hidden_by_address_and_by_name(self, make):
        assert (
            make(REMOTE_HOST="10.0.0.1").clean("from 10.0.0.1, not 10.0.0.12")
            == f"from {FILTERED}, not 10.0.0.12"
        )
        assert make(REMOTE_HOST="pc-7.example").clean("from pc-7.example") == f"from {FILTERED}"

    def test_parameter_is_hidden_and_its_name_stays(self, make):
        matcher = make(QUERY_STRING="token=abc&page=3")
        assert matcher.clean("GET /?page=3&token=abc") == f"GET /?page=3&token={FILTERED}"
        assert matcher.clean("token=abcd mytoken=abc") == "token=abcd mytoken=abc"

    def test_url_loses_a_random_value(self, make):
        assert make(HTTP_COOKIE="sid=a1b2c3d4e5").clean("/x/a1b2c3d4e5/y", is_url=True) == f"/x/{FILTERED}/y"


class TestLinear:
    """Nothing that a client sends is scanned twice: steps are counted, not timed."""

    @pytest.fixture
    def spent(self, monkeypatch):
        counted = []
        spend = Allowance.spend
        monkeypatch.setattr(
            Allowance, "spend", lambda self, places: counted.append(places) or spend(self, places)
        )
        return counted

    @pytest.mark.parametrize(
        ("strings", "text"),
        [
            ({"HTTP_X_API_KEY": "a" * 100 + "b" + "a" * 20_000}, "a" * 200_000),
            ({"HTTP_COOKIE": "sid=" + "a" * 64 + "1" + "b" * 8000}, "a" * 200_000),
            ({"HTTP_COOKIE": "sid=" + "k7" * 100_000}, "k7" * 100_000),
            ({"QUERY_STRING": "&".join(f"token=aaaaaaaa{n:08}" for n in range(900))}, "aaaaaaaa" * 20_000),
            ({"QUERY_STRING": "&".join(f"token={'k7' * 40}{n:08}" for n in range(200))}, "k7" * 100_000),
            ({"HTTP_COOKIE": "; ".join(f"c{n}={'a1' * n}" for n in range(4, 90))}, "a1" * 100_000),
            ({"HTTP_COOKIE": "; ".join(f"c{n}=a{n:03}b" for n in range(900))}, "a001b " * 30_000),
            ({"REMOTE_USER": "alice"}, "alice " * 30_000),
            ({"HTTP_COOKIE": "sid=" + "U" * 40}, "a" * 180_000 + "V" * 80),
            ({"HTTP_COOKIE": "sid=/" + "a1b2c3d4" * 5000}, "x/" + "a1b2c3d4" * 20_000),
            ({"HTTP_COOKIE": "sid=ab$cd$1"}, "%41a" * 50_000),
            ({"HTTP_COOKIE": "sid=ab$cd$1"}, "\\a" * 100_000),
            ({"HTTP_COOKIE": "sid=ab$cd$1"}, "&amp;" * 40_000),
            ({"HTTP_COOKIE": "sid=abcdefg2hijkl"}, "abcdefg2..." * 20_000),
            ({"HTTP_COOKIE": "sid=abcdefg2hijkl"}, "..." * 70_000),
            ({"HTTP_X_API_KEY": "k7-0123456789"}, base64.b64encode(b"k7-0123456789zz").decode() * 10_000),
        ],
    )
    @pytest.mark.parametrize("pieces", [1, 100])
    def test_text_made_of_beginnings(self, spent, strings, text, pieces):
        size = len(text) // pieces
        texts = [f"{number} {text[number * size : (number + 1) * size]}" for number in range(pieces)]
        changed = matcher_of(**strings).clean_all(texts)
        # Each level of escapes, and once more for the texts that are not too long.
        assert sum(spent) <= 8 * (500 + len(text) / 64 + 64)
        for text in texts:
            cleaned = changed.get(text, text)
            assert all(secret.text not in cleaned for secret in values.of_request(strings, Names()))

    def test_text_that_is_not_worth_the_time_goes_whole_and_others_stay(self):
        matcher = matcher_of(HTTP_X_API_KEY="k7-0123456789")
        texts = ["no such basket", "k7-0123456789 " * 10_000, "by k7-0123456789", "x" * 5000]
        changed = matcher.clean_all(texts)
        assert changed[texts[1]] == FILTERED
        assert changed[texts[2]] == f"by {FILTERED}"
        assert texts[0] not in changed

    def test_too_many_values_to_search_for(self):
        matcher = Matcher(Secret(f"value-{number:08}", Where.ANYWHERE) for number in range(10_000))
        assert matcher.is_exceeded
        assert matcher.clean("anything") == FILTERED


class TestThreads:
    """Several threads of a request can redact at the same time."""

    def test_threads_that_ask_at_once(self):
        secrets = [Secret(f"k7-{number:08}", Where.ANYWHERE) for number in range(1500)]
        texts = [f"see k7-{number:08}" for number in range(0, 1500, 100)]
        interval = sys.getswitchinterval()
        sys.setswitchinterval(1e-5)
        try:
            for _ in range(5):
                matcher = Matcher(secrets)
                start = threading.Barrier(8)

                def ask(matcher=matcher, start=start):
                    start.wait()
                    return [matcher.clean(text) for text in texts]

                with ThreadPoolExecutor(8) as pool:
                    found = [future.result() for future in [pool.submit(ask) for _ in range(8)]]
                assert found == [[f"see {FILTERED}"] * len(texts)] * 8
        finally:
            sys.setswitchinterval(interval)


class TestMany:
    """Many values are found as few are, in short texts and in long ones."""

    @given(
        st.lists(RANDOM, min_size=1, max_size=5),
        st.sampled_from([0, 30, 300]),
        st.integers(0, 7),
        st.sampled_from([0, 60_000]),
    )
    @settings(max_examples=60, deadline=None)
    def test_values_are_found_at_any_place(self, found, more, shift, padding):
        secrets = {Secret(value, Where.ANYWHERE) for value in found}
        others = {Secret(f"\ue000{number:08}", Where.ANYWHERE) for number in range(more)}
        text = "." * (padding + shift) + " ".join(found) + "." * shift
        cleaned = Matcher(secrets | others).clean(text)
        assert all(value not in cleaned for value in found)

    @pytest.mark.parametrize("count", [2, 400])
    def test_short_words_among_many(self, count):
        secrets = [Secret(f"a{number:03}b", Where.WORD) for number in range(count)]
        padding = "x y " * 20_000
        cleaned = Matcher(secrets).clean(f"{padding} a001b xa001b %3Da000b\\na001b {padding}")
        assert cleaned == f"{padding} {FILTERED} xa001b %3D{FILTERED}\\n{FILTERED} {padding}"
