"""Text with escapes: values that it names as secret are removed, the rest stays byte for byte."""

import html
import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste import SentryMiddleware
from sentry_paste.redaction.escaped import READERS, read_markup
from sentry_paste.redaction.names import FILTERED, Names
from sentry_paste.redaction.texts import clean_text, clean_texts
from sentry_paste.testing import capture_envelopes

from wsgi_calls import call, environ_of

NAMES = Names()


def go_json(text):
    """As encoding/json of Go and Django's json_script write it."""
    for plain, escaped in (("<", "\\u003c"), (">", "\\u003E"), ("&", "\\u0026")):
        text = text.replace(plain, escaped)
    return text


def js_string(text):
    """As Django's escapejs writes it."""
    return "".join(f"\\u{ord(c):04X}" if c in "\\'\"<>&=-;`" else c for c in text)


def nginx_log(text):
    return text.replace("\\", "\\x5C").replace('"', "\\x22")


def numbered(text):
    return "".join(f"&#{ord(c)};" if c in "<>&\"'" else c for c in text)


def in_hexadecimal(text):
    return "".join(f"&#x{ord(c):x};" if c in "<>&\"'" else c for c in text)


TEXTS = [
    "<user><password>{}</password><id>1</id></user>",
    '<ns:Password a="b">{}</ns:Password>',
    '<user id="1" password="{}"/>',
    '<input name="csrf_token" value="{}">',
    '{"password": "{}", "page": 3}',
    "{'password': '{}', 'page': 3}",
]
MARKUP = [html.escape, js_string, numbered, in_hexadecimal, lambda text: html.escape(html.escape(text))]
CUT = ["<a><password>{}", "<a><password><![CDATA[{}", '{"password": "{}', "{'password': '{}"]


def both(text):
    """Clean a text; the result is the same alone and together with others."""
    cleaned = clean_text(text, NAMES)
    assert clean_texts(["colour", text, "green"], NAMES).get(text, text) == cleaned
    return cleaned


@pytest.mark.parametrize("secret", ["swordfish", "two words", "Zq8r7t6y5u4i"])
class TestValues:
    @pytest.mark.parametrize("escape", MARKUP)
    @pytest.mark.parametrize("text", TEXTS)
    def test_value_is_hidden_and_the_rest_stays(self, text, escape, secret):
        assert both(escape(text.replace("{}", secret))) == escape(text.replace("{}", "@")).replace(
            "@", FILTERED
        )

    @pytest.mark.parametrize("escape", [*MARKUP, go_json])
    @pytest.mark.parametrize("text", CUT)
    @pytest.mark.parametrize("end", ["...", "\u2026"])
    def test_value_that_was_cut_is_hidden(self, text, escape, secret, end):
        assert secret not in both(escape(text.replace("{}", secret)) + end)

    @pytest.mark.parametrize("text", TEXTS[:2])
    def test_element_in_json(self, text, secret):
        text = text.replace("{}", secret)
        assert both(go_json(text)) == go_json(text).replace(secret, FILTERED)
        shown = json.dumps({"body": go_json(text)})
        assert both(shown) == shown.replace(secret, FILTERED)

    def test_json_in_the_log_of_a_server(self, secret):
        text = nginx_log(json.dumps({"a": 1, "password": secret, "b": 2}))
        assert both(text) == text.replace(secret, FILTERED)

    @pytest.mark.parametrize("escape", [quote, quote_plus, lambda text: quote(quote(text))])
    @pytest.mark.parametrize("text", TEXTS[:4])
    def test_element_in_a_parameter(self, text, escape, secret):
        text = f"body={escape(text.replace('{}', secret))}&page=3"
        assert escape(secret) not in both(text)
        assert both(text).endswith("&page=3")

    @pytest.mark.parametrize("end", ["</pass...", "</...", "<..."])
    def test_text_that_was_cut_in_the_end_of_the_element(self, secret, end):
        assert secret not in both(html.escape(f"<a><password>{secret}{end}"))


@pytest.mark.parametrize(
    "text",
    [
        '"pass\\u0077ord": "{}"',
        '"\\u0070assword": "{}"',
        "&lt;pass&#119;ord&gt;{}&lt;/pass&#119;ord&gt;",
        "{{&#34;tok&#x65;n&#34;: &#34;{}&#34;}}",
        '{{"api\\u005fkey": "{}"}}',
    ],
)
def test_name_with_escapes_is_the_name(text):
    assert "swordfish" not in clean_text(text.format("swordfish"), NAMES)


@pytest.mark.parametrize(
    "text",
    [
        "https:\\/\\/alice:{}@example.com\\/",
        "https:&#x2F;&#x2F;alice:{}@example.com; http://example.com",
        "\\u0026lt;password\\u0026gt;{}\\u0026lt;/password\\u0026gt;",
        "password \\u003D '{}'",
        "%3Cuser+password+%3D+%22{}%22%3E",
    ],
)
def test_signs_with_escapes_are_signs(text):
    assert "swordfish" not in both(text.format("swordfish"))


@pytest.mark.parametrize(
    "text",
    [
        "{&quot;password&quot;: &quot;a&amp;quot;swordfish&quot;}",
        "{\\u0022password\\u0022: \\u0022a\\\\u0022swordfish\\u0022}",
        "password='it&#39;s swordfish'",
        'password="a &quot;swordfish&quot;"',
    ],
)
def test_quote_in_a_value_does_not_end_it(text):
    assert "swordfish" not in both(text)


@pytest.mark.parametrize(
    "text",
    [
        "&lt;b&gt;password&lt;/b&gt; is needed",
        "usage: login &lt;user&gt; &lt;password&gt; [--page]",
        "&copy; 2026 &amp; token &#8211; colour",
        "C:\\x64\\users \\/ path\\/token\\/x",
        "\\u0022token\\u0022 is missing",
        "?html=%3Cb%3Epassword%3C%2Fb%3E&page=3",
        "{&quot;colour&quot;: &quot;green&quot;, &quot;password&quot;: null}",
        "https:\\/\\/example.com\\/@alice",
    ],
)
def test_innocent_text_stays(text):
    assert both(text) == text


@given(st.text(alphabet="&lt;gquo#x36amp\\u0/%5c <'\"\u20ac", max_size=60))
def test_places_in_a_reading_are_places_in_the_text(text):
    for read in READERS:
        reading = read(text)
        if reading is None:
            continue
        places = [reading.place_in_text(place) for place in range(len(reading.text) + 1)]
        assert places == sorted(places)
        assert places[-1] == len(text)
        for place, letter in enumerate(reading.text[:-1]):
            if places[place + 1] == places[place] + 1:
                assert text[places[place]] == letter


@given(st.text(max_size=60))
def test_html_reads_as_what_was_escaped(text):
    reading = read_markup(html.escape(text).replace("&amp;", "+"))
    if reading is not None:
        assert reading.text == text.replace("&", "+") or "\\" in text


@given(st.text(alphabet="<>/pasword=:\"'{}&;\\ ", max_size=80), st.sampled_from([*MARKUP, go_json, quote]))
def test_any_text_is_cleaned(text, escape):
    both(escape(f"{text}<password>{text}"))


@pytest.mark.parametrize(
    "piece",
    [
        "&lt;", "&amp;", "\\", "\\u00", "\\u003c", "\\/", "%3c", "%25", "&lt;password&gt;", "&#x3c;&#62;",
        "%3Cpassword%3E", "\\/\\/a", "&quot;token&quot;:", "://a:", "&lt;token&gt;a b ",
    ],
)  # fmt: skip
def test_time_grows_with_the_text(piece):
    # Linear time takes milliseconds, so the speed of the machine does not matter.
    began = time.thread_time()
    clean_texts([(piece * 1_000_000)[:1_000_000]], NAMES)
    assert time.thread_time() - began < 5


def test_rest_of_too_many_places_is_hidden():
    cleaned = clean_text("&lt;token&gt;a&lt;/token&gt;" * 600 + "&lt;token&gt;swordfish", NAMES)
    assert "swordfish" not in cleaned
    assert cleaned.startswith(f"&lt;token&gt;{FILTERED}&lt;")


def test_no_text_of_an_event_has_the_value():
    held = [escape(text.replace("{}", "mellon-" + "speak")) for escape in MARKUP for text in TEXTS]
    held += [html.escape(f"<a><password>{'mellon' + 'speak'} {'colour ' * 300}...")]

    def app(environ, start_response):
        shown = list(held)
        raise LookupError(shown[0], shown[-1])

    with capture_envelopes() as captured:
        call(SentryMiddleware(app, release="1", send_default_pii=False), environ_of("/a"))
    assert len(captured.errors) == 1
    assert "mellon" not in json.dumps([frame.get("vars") for frame in frames_of(captured.errors[0])])
    assert "mellon" not in captured.errors[0]["exception"]["values"][0]["value"]


def frames_of(event):
    return event["exception"]["values"][0]["stacktrace"]["frames"]


@pytest.mark.parametrize("unit", ["a\\/b", "\\/", "\\/\\/c", "&lt;x", "x\\u0026lt;", "plain\\x22"])
@pytest.mark.parametrize("order", [1, -1])
def test_every_place_of_a_long_reading_is_a_place_of_the_text(unit, order):
    text = unit * 2500 + "end"
    reading = read_markup(text)
    places = range(0, len(reading.text) + 1, 7)[::order]
    found = {place: reading.place_in_text(place) for place in places}
    one = read_markup(unit + "end")
    in_unit = len(one.text) - len("end")
    for place, at in found.items():
        # As in a text that is short, but for the slashes of a run, which stand where that begins.
        count, rest = divmod(place, in_unit)
        expected = min(count * len(unit) + one.place_in_text(rest), len(text))
        assert at == expected or set(text[at : expected + 1]) <= set("\\/")
    assert reading.place_in_text(len(reading.text)) == len(text)


@pytest.mark.parametrize("slashes", range(1, 12))
def test_slashes_in_a_row(slashes):
    text = "x:" + "\\/" * slashes + 'a <input name="password" value="\\u0027hunter22">'
    reading = read_markup(text)
    assert reading.text == "x:" + "/" * slashes + 'a <input name="password" value="\'hunter22">'
    start = reading.text.index("hunter22")
    assert text[reading.place_in_text(start) :].startswith("hunter22")


def test_users_in_escaped_urls_of_all_texts_share_a_bound():
    texts = ["https:\\/\\/a:hunter22@h " * 100 + str(number) for number in range(100)]
    found = clean_texts(texts, NAMES)
    assert all("hunter22" not in shown for shown in found.values())
    assert len(found) == 100
    assert sum(shown.count(FILTERED) for shown in found.values()) <= 2100
