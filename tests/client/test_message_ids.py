"""Messages without ids, numbers and addresses."""

import random
import string
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timing import cpu_seconds

from sentry_paste.client import message_ids
from sentry_paste.client.message_ids import ID, without_ids


@pytest.mark.parametrize(
    ("message", "rest"),
    [
        # Ids
        ("User aB3xK9 failed", "User <id> failed"),
        ("user_123: req_8sd7f", "user_<id>: req_<id>"),
        ("order 01ARZ3NDEKTSV4RRFFQ69G5FAV is gone", "order <id> is gone"),
        ("cus_NffrFeUfNV2Hib, cus_9s6XKzkNRiz8i3", "cus_<id>, cus_<id>"),
        ("550e8400-e29b-41d4-a716-446655440000", "<id>"),
        ("job-550E8400-E29B-41D4-A716-446655440000!", "job-<id>!"),
        ("key='da39a3ee5e6b4b0d3255bfef95601890afd80709'", "key='<id>'"),
        ("commit 1234567a, a1234567 or 12345678", "commit <id>, <id> or <id>"),
        ("<Foo object at 0x7f3a2bff>", "<Foo object at <id>>"),
        # Numbers
        ("5 of 10, -3 and +4", "<id> of <id>, <id> and <id>"),
        ("took 1.5s, 20ms or 3s: 50%", "took <id>s, <id>ms or <id>s: <id>%"),
        ("the 1st, 2nd, 3rd and 4th", "the <id>, <id>, <id> and <id>"),
        ("2024-05-01 10:00:00 and 2024-05-01T10:00:00.123+02:00", "<id> <id> and <id>"),
        ("v1.2.3 of line 7", "v<id> of line <id>"),
        ("web01 and user12", "web<id> and user<id>"),
        ("/var/lib/7/app.py", "/var/lib/<id>/app.py"),
        # Addresses
        ("mail to bob@example.com, root@localhost", "mail to <id>, <id>"),
        ("GET https://example.com:80/a?b=c&d=(1)#e", "GET <id>(<id>)#e"),
        ("from 10.0.0.1:8080, [::1]:80 or fe80::1%eth0", "from <id>, [<id>]:<id> or <id>"),
        ("by aa:bb:cc:dd:ee:0f", "by <id>"),
        # Words
        ("Task %s failed after %d s", "Task %s failed after %d s"),
        ("Foo::Bar.baz() -> k8s, b2b; it's @all-in", "Foo::Bar.baz() -> k8s, b2b; it's @all-in"),
        ("\u00dcber stra\u00dfe", "\u00dcber stra\u00dfe"),
        ("", ""),
        (" \n\n a \r\n\n b 1 \nc", "a\nb <id>"),
    ],
)
def test_ids_numbers_and_addresses_are_left_out(message, rest):
    assert without_ids(message) == rest


WORDS = st.lists(
    st.sampled_from(
        ["failed", "User", "Task", "getItem", "HTTP", "no-such", "a/b", "it's", "gone:", "%s", "?"]
    ),
    min_size=1,
    max_size=5,
)
ALPHABET = string.ascii_letters + string.digits


def base62(drawn):
    """Make an id of letters and digits as they come, but none that looks like a word with a number."""
    rng = random.Random(drawn)
    while True:
        made = "".join(rng.choices(ALPHABET, k=rng.randrange(6, 30)))
        if any(map(str.isdigit, made.strip(string.digits))) and made[0].isalpha():
            return made


NUMBERS = st.integers(0, 2**64)
IDS = st.one_of(
    NUMBERS.map(base62),
    NUMBERS.map(str),
    NUMBERS.map(hex),
    NUMBERS.map(lambda drawn: str(uuid.UUID(int=drawn))),
    NUMBERS.map(lambda drawn: f"{drawn:040x}"),
    NUMBERS.map(lambda drawn: f"user{drawn % 1000}@example.com"),
    NUMBERS.map(lambda drawn: f"10.0.{drawn % 256}.{drawn % 255}:{drawn % 65536}"),
    NUMBERS.map(lambda drawn: f"fe80::{drawn % 65536:x}0"),
    NUMBERS.map("https://example.com/{}?a=b".format),
    st.datetimes().map(str).map(lambda text: text.replace(" ", "T")),
)


@settings(max_examples=80)
@given(WORDS, WORDS, IDS, IDS)
def test_same_message_with_other_ids_has_the_same_rest(before, after, one, other):
    found = {without_ids(" ".join([*before, each, *after])) for each in (one, other)}
    assert found == {" ".join([*before, ID, *after])}


@settings(max_examples=50)
@given(WORDS, WORDS, IDS)
def test_other_words_have_another_rest(one, other, drawn):
    found = [without_ids(" ".join([*words, drawn])) for words in (one, other)]
    assert (found[0] == found[1]) is (one == other)


@settings(max_examples=50)
@given(st.text(max_size=200))
def test_rest_of_any_text_has_no_ids(text):
    rest = without_ids(text)
    assert len(rest.splitlines()) <= 2
    assert without_ids(rest) == rest


@pytest.mark.parametrize(
    "text",
    [
        "a",
        "a1",
        "-",
        ID,
        f"{ID}-",
        ":1",
        "0-",
        "12345678-1234-",
        "@",
        "://",
        "x.",
        "\n ",
        "%a",
        "\u00b2",
        "A1b-",
    ],
)
def test_time_grows_with_the_text(text, monkeypatch):
    monkeypatch.setattr(message_ids, "_LONGEST", 50_000)
    text = (text * 50_000)[:50_000]
    # Linear time takes 10 ms at most, quadratic time many seconds.
    assert cpu_seconds(lambda: without_ids(text), 0.5) < 0.5
