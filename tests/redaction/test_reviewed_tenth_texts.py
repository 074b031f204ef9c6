"""Findings of a tenth review, in texts: colours of terminals, what databases, HTML and YAML write."""

import html
import json

import pytest
from timing import cpu_seconds

from sentry_paste.redaction import values
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.texts import clean_text, clean_texts

NAMES = Names()
VALUES = ["swordfish", "q8fh23fh28hf2"]
SHOWN = {
    "as it is": str,
    "in a repr": repr,
    "in JSON": json.dumps,
    "in HTML": html.escape,
    "in JSON in JSON": lambda text: json.dumps(json.dumps(text)),
}
UNESCAPED = {name: show for name, show in SHOWN.items() if name != "in HTML"}


def cleaned(text):
    return clean_texts([text], NAMES).get(text, text)


class TestColours:
    """Logs that are made for a terminal, as structlog's are."""

    @pytest.mark.parametrize("show", UNESCAPED.values(), ids=UNESCAPED)
    @pytest.mark.parametrize("value", VALUES)
    @pytest.mark.parametrize(
        "text",
        [
            "\x1b[36mpassword\x1b[0m=\x1b[35m{}\x1b[0m \x1b[36muser\x1b[0m=\x1b[35mbob\x1b[0m",
            "\x1b[1mapi_token\x1b[0m=\x1b[38;5;208m'{}'\x1b[0m user",
            "{{'password': \x1b[32m'{}'\x1b[39m, 'a': 1}}",
            "\x1b[1mpassword: {}\x1b[0m",
            "\x1b[31m?api_token={}\x1b[0m&a=b",
        ],
    )
    def test_value_goes_and_the_rest_stays(self, text, value, show):
        assert cleaned(show(text.format(value))) == show(text.format(FILTERED))

    @pytest.mark.parametrize("count", [0, 100])
    @pytest.mark.parametrize("before", ["", "word " * 5000])
    @pytest.mark.parametrize("show", UNESCAPED.values(), ids=UNESCAPED)
    def test_word_of_the_request_goes(self, show, before, count):
        others = "; ".join(f"c{n}=word{chr(97 + n % 26)}{chr(97 + n // 26)}ing" for n in range(count))
        found = {"HTTP_X_API_KEY": "swordfish", "HTTP_COOKIE": others, "REMOTE_USER": "bob7x"}
        matcher = Matcher(values.of_request(found, NAMES))
        for value in ("swordfish", "bob7x"):
            text = before + show(f"\x1b[36ma\x1b[0m=\x1b[1;35m{value}\x1b[0m b")
            assert matcher.clean(text) == text.replace(value, FILTERED)

    @pytest.mark.parametrize(
        "unit", ["\x1b[", "\x1b[1m", "\x1b[36mtoken\x1b[0m=", "\\x1b[;", "\x1b[1;1;1;1;1;"]
    )
    def test_time_is_linear(self, unit):
        text = unit * (400_000 // len(unit))
        assert cpu_seconds(lambda: clean_text(text, NAMES), 1) < 1
