"""Findings of a hostile review: values of headers that leaked, and searches that took too long."""

import base64
import json
import threading
import tracemalloc

import pytest

from sentry_paste import SentryMiddleware
from sentry_paste.redaction import Names, appearance, extents, finder, names, nearby, views
from sentry_paste.redaction import matcher as matcher_module
from sentry_paste.redaction.appearance import looks_secret
from sentry_paste.redaction.bounds import Allowance, TooMuchError
from sentry_paste.redaction.extents import Heads
from sentry_paste.redaction.finder import Finder
from sentry_paste.redaction.matcher import Matcher
from sentry_paste.redaction.names import FILTERED
from sentry_paste.redaction.nearby import Nearby
from sentry_paste.redaction.needles import ANYWHERE, Needle, Secret, Where, needles_of
from sentry_paste.redaction.values import MOST, of_environ, of_request

from wsgi_calls import call, environ_of

NAMES = Names()


def of(**strings):
    """Return the texts of a request's secrets, by where they are searched for."""
    return {secret.text: secret.where for secret in of_request(strings, NAMES)}


def jwt(**claims):
    made = [json.dumps(part).encode() for part in ({"alg": "HS256"}, claims)]
    encoded = [base64.urlsafe_b64encode(part).decode().rstrip("=") for part in made]
    return ".".join([*encoded, "c2lnbmF0dXJlc2lnbmF0dXJl"])


def basic(text, alphabet=base64.b64encode):
    return alphabet(text.encode("latin-1")).decode()


class TestManyForms:
    """How many values can be searched for depends on how many forms each has."""

    KINDS = {
        "plain": "a{:04}bcdefgh",
        "base64": "a{:04}/bcd+efgh",
        "percent-encoded": "a{:04}%2Bb%25cd+efgh",
        "UTF-8": "a{:04}\xc3\xa9bcdefgh",
        "other bytes": "{:04}+\xff+ab\xff+\xe9",
        "both": "{:04}+\xff%41ab\xff+\xe9\\x41",
    }

    def matcher(self, kind, count):
        return Matcher(Secret(self.KINDS[kind].format(number), ANYWHERE) for number in range(count))

    @pytest.mark.parametrize("kind", KINDS)
    def test_needles_of_a_request_are_bounded(self, kind):
        count = max(count for count in range(50, MOST + 1, 50) if not self.matcher(kind, count).is_exceeded)
        needles = sum(1 for secret in self.matcher(kind, count)._secrets for _ in needles_of(secret))
        assert needles < 15_000

    def test_text_goes_where_there_are_too_many_forms(self):
        headers = {
            f"HTTP_X_KEY_{n}": " ".join(f"{n:02}{i:02}+\xff+\xe9" for i in range(22)) for n in range(44)
        }
        matcher = Matcher(of_request(headers, NAMES))
        assert matcher.is_exceeded
        assert matcher.clean("anything") == FILTERED

    @pytest.mark.parametrize("kind", ["UTF-8", "other bytes"])
    def test_as_many_as_browsers_send_are_searched_for(self, kind):
        assert not self.matcher(kind, 150).is_exceeded

    @pytest.mark.parametrize("kind", ["base64", "percent-encoded"])
    def test_cookies_of_a_long_header_are_searched_for(self, kind):
        assert not self.matcher(kind, 600).is_exceeded

    @pytest.mark.parametrize("text", ["J\xe4nson-Liddell-7", "J\xc3\xa4nson-Liddell-7"])
    def test_bytes_are_found_in_base64(self, text):
        matcher = Matcher([Secret(text, ANYWHERE)])
        for raw in (
            text.encode("latin-1"),
            text.encode(),
            text.encode("latin-1").decode("utf-8", "replace").encode(),
        ):
            assert matcher.clean(f"x {base64.b64encode(raw).decode()} y") == f"x {FILTERED} y"


class TestShortTexts:
    """The cost of a short text depends on its length, not on the number of values."""

    def test_many_keys_are_searched_for_one_by_one_in_few_texts_only(self, monkeypatch):
        searched, each = [], finder._search_each
        monkeypatch.setattr(
            finder, "_search_each", lambda keys, *rest: searched.append(len(keys)) or each(keys, *rest)
        )
        many = Finder(f"key-{number:05}" for number in range(3000))
        for number in range(1000):
            assert many.starts(f"item {number}", Allowance(100)) == []
            assert many.starts(f"item key-{number:05}", Allowance(100)) == [5]
        assert len(searched) < 10

    def test_texts_are_looked_through_for_many_values_a_few_times_only(self, monkeypatch):
        looked, has_markers = [], matcher_module._has_markers
        monkeypatch.setattr(
            matcher_module,
            "_has_markers",
            lambda text, known: looked.append(text) or has_markers(text, known),
        )
        matcher = Matcher(Secret(f"key-{number:05}", ANYWHERE) for number in range(300))
        assert [matcher.clean(f"item {number}") for number in range(1000)] == [
            f"item {n}" for n in range(1000)
        ]
        assert 0 < len(looked) < 30
        assert matcher.clean("item key-00250") == f"item {FILTERED}"

    def test_short_keys_that_share_a_word(self, monkeypatch):
        searched, each = [], finder._search_each

        def count(keys, *rest):
            listed = list(keys)
            searched.extend(listed)
            return each(listed, *rest)

        signs = "+-=/!$"
        keys = [f"{a}1a{b}{c}" for a in signs for b in signs for c in signs]
        many = Finder([*keys, *(f"key-{number:05}" for number in range(3000))])
        many.starts("x" * 1000, Allowance(100))
        monkeypatch.setattr(finder, "_search_each", count)
        assert many.starts("see =1a/! there", Allowance(100)) == [4]
        assert len(searched) < 50

    def test_too_many_keys_of_signs_hide_the_text(self):
        signs = "+-=/!$"
        secrets = [
            Secret(f"{a}{b}{c}{d}@", Where.WORD) for a in signs for b in signs for c in signs for d in signs
        ]
        assert Matcher(secrets).clean("x" * 9000) == FILTERED

    def test_seed_of_a_value_that_is_encoded_twice_is_found_in_many_texts(self):
        matcher = Matcher(
            [*(Secret(f"key-{n:05}", ANYWHERE) for n in range(5)), Secret("/ab7d/=/&", ANYWHERE)]
        )
        for number in range(200):
            matcher.clean(f"item {number} key-00001 %41")
        assert matcher.clean("see %252Fab7d%252F%253D%252F%2526 there") == f"see {FILTERED} there"

    def test_end_of_a_short_text_is_looked_up_at_once(self, monkeypatch):
        looked = []
        monkeypatch.setattr(Heads, "_cut_start", lambda _own, window, _: looked.append(window))
        heads = Heads([Needle(f"key-{number:05}-{number}", ANYWHERE) for number in range(300)])
        for text in ("loading...", "item 5: key-0... no", "..." * 20, "so on \u2026"):
            assert list(heads.cut_spans(text, extents.Allowance(1000))) == []
        assert looked == []

    @pytest.mark.parametrize("count", [1, 300])
    @pytest.mark.parametrize(
        "cut", ["key-00000-abc...", "see key-00000-...", "a%20key-00000-...'", "key-00..."]
    )
    def test_value_that_was_cut_goes_from_a_short_text(self, count, cut):
        matcher = Matcher(Secret(f"key-{number:05}-abcdefgh", ANYWHERE) for number in range(count))
        for number in range(100):
            matcher.clean(f"item {number} ...")
        assert "key-00" not in matcher.clean(cut)


class TestAddressesThatAreNone:
    """A value of near-addresses takes little time."""

    UNITS = [
        "1:1:1:1:1:1:x1.1.1.1:, ", "1::1:1:1:1:1:1:1.1:,", "1.1.1.999,", "1::1.1.999.1.:,", "{0}::1.1.{0}.1,",
        "1:1:1:1:1:1:1:{0}g,", "{0}.1.1.999,",
    ]  # fmt: skip

    @pytest.mark.parametrize("unit", UNITS)
    def test_few_are_parsed(self, monkeypatch, unit):
        parsed, parse = [], appearance.socket.inet_pton
        monkeypatch.setattr(appearance.socket, "inet_pton", lambda *args: parsed.append(args) or parse(*args))
        looks_secret("".join(unit.format(number) for number in range(100))[:1000])
        assert len(parsed) <= 16

    def test_list_of_many_different_ones_is_secret(self):
        assert looks_secret(",".join(f"{number}.1.1.999" for number in range(20)))

    @pytest.mark.parametrize(
        "text", ["10:15:30, 10:15:31", "1.2.3, 1.2.4, 1.2.5", "Chrome/120.0.0.0", "127.0.0.1:80, [::1]:80",
                 "::ffff:127.0.0.1", "127.0.0.1, " * 50]
    )  # fmt: skip
    def test_what_is_no_address_of_a_client_stays(self, text):
        assert not looks_secret(text)

    def test_value_is_looked_at_once(self, monkeypatch):
        looked, look = [], appearance._looks_secret
        monkeypatch.setattr(appearance, "_looks_secret", lambda text: looked.append(text) or look(text))
        value = "seen once 203.0.113.7 only here"
        assert looks_secret(value) is looks_secret(value) is True
        assert looked == [value]

    def test_no_value_is_remembered_itself_and_not_for_ever(self):
        for number in range(appearance._CACHE_SIZE + 10):
            looks_secret(f"value {number}")
        assert len(appearance._verdicts) <= appearance._CACHE_SIZE
        assert all(type(key) is int for key in appearance._verdicts)


class TestTokensOfProxies:
    @pytest.mark.parametrize(
        "name",
        ["X_FORWARDED_ACCESS_TOKEN", "X_FORWARDED_ID_TOKEN", "X_FORWARDED_API_KEY", "X_FORWARDED_SESSION",
         "X_IP_TOKEN", "X_REMOTE_SECRET", "X_USER_TOKEN"],
    )  # fmt: skip
    def test_token_in_a_header_that_is_named_after_addresses_too(self, name):
        assert "q8fh23fh28hf2" in of(**{f"HTTP_{name}": "q8fh23fh28hf2"})
        assert "alice-7" in of(**{f"HTTP_{name}": jwt(sub="alice-7")})

    @pytest.mark.parametrize(
        "name", ["X_FORWARDED_FOR", "FORWARDED", "X_REAL_IP", "REMOTE_ADDR", "X_IP_TOKEN"]
    )
    def test_addresses_are_still_found(self, name):
        assert of(**{f"HTTP_{name}": "203.0.113.7:80, 198.51.100.7"})["203.0.113.7"] is Where.ADDRESS

    def test_word_of_a_header_of_addresses_is_not_searched_for(self):
        assert of(HTTP_X_FORWARDED_FOR="production") == {}

    @pytest.mark.parametrize("name", ["X_ACME_PEER", "X_PEER_ENDPOINT", "X_API_KEY"])
    @pytest.mark.parametrize("form", ["{}", "{}:51234", "tcp://{}:51234", "peer={}:80;x"])
    @pytest.mark.parametrize("address", ["203.0.113.7", "[2001:db8::77]"])
    def test_address_in_any_header(self, name, form, address):
        assert of(**{f"HTTP_{name}": form.format(address)})[address.strip("[]")] is Where.ADDRESS

    def test_address_of_this_machine_is_not_a_clients(self):
        assert "127.0.0.1" not in of(HTTP_X_API_KEY="tcp://127.0.0.1:80")

    def test_header_of_more_addresses_than_are_looked_at(self):
        text = ",".join(f"203.0.113.{number}:1" for number in range(200))
        assert len(of_request({"HTTP_X_API_KEY": text}, NAMES)) > MOST


class TestCredentials:
    @pytest.mark.parametrize(
        "key",
        ["HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION", "HTTP_X_FORWARDED_AUTHORIZATION",
         "HTTP_X_ORIGINAL_AUTHORIZATION", "HTTP_X_AUTHORIZATION", "REDIRECT_HTTP_AUTHORIZATION",
         "REDIRECT_REDIRECT_HTTP_AUTHORIZATION", "HTTP_X_AUTH_TOKEN", "HTTP_X_AMZN_REMAPPED_AUTHORIZATION"],
    )  # fmt: skip
    @pytest.mark.parametrize("scheme", ["Basic ", "basic\t", "BASIC  "])
    def test_user_and_password_in_any_header(self, key, scheme):
        assert {"margarete", "hunter22"} <= set(of(**{key: scheme + basic("margarete:hunter22")}))

    def test_user_and_password_in_a_cookie(self):
        assert {"margarete", "hunter22"} <= set(of(HTTP_COOKIE="auth=Basic%20" + basic("margarete:hunter22")))

    @pytest.mark.parametrize("password", ["hunter2", "hunter22", "hunter222", "hunter22\xff\xfe?>?"])
    def test_base64_without_padding_and_with_the_other_alphabet(self, password):
        for alphabet in (base64.b64encode, base64.urlsafe_b64encode):
            text = basic(f"margarete:{password}", alphabet)
            for shown in (text, text.rstrip("=")):
                assert {"margarete", password} <= set(of(HTTP_AUTHORIZATION=f"Basic {shown}"))

    @pytest.mark.parametrize(
        "strings",
        [
            {"HTTP_COOKIE": 'access_token="Bearer {}"'},
            {"HTTP_COOKIE": "access_token=Bearer%20{}"},
            {"HTTP_X_AUTH_TOKEN": "Bearer {}"},
            {"HTTP_X_AUTH_TOKEN": "v1, {}"},
            {"HTTP_X_AUTH_TOKEN": "JWT {}"},
            {"HTTP_SEC_WEBSOCKET_PROTOCOL": "bearer, {}"},
            {"HTTP_SEC_WEBSOCKET_PROTOCOL": "graphql-ws, {}"},
            {"QUERY_STRING": "token=Bearer+{}"},
        ],
    )
    def test_token_behind_a_scheme_identifies_its_user(self, strings):
        token = jwt(sub="alice-7")
        found = of(**{key: value.format(token) for key, value in strings.items()})
        assert {token, "alice-7"} <= set(found)

    def test_word_behind_a_scheme_in_a_cookie(self):
        assert "swordfishes" in of(HTTP_COOKIE='access_token="Bearer swordfishes"')

    def test_schemes_upon_schemes_take_no_longer(self):
        assert len(of_request({"HTTP_X_AUTH_TOKEN": "Bearer " * 1100 + "q8fh23fh28hf2"}, NAMES)) < 20

    def test_password_that_a_session_holds(self):
        session = base64.b64encode(json.dumps({"password": "swordfishes", "colour": "turquoise"}).encode())
        found = of(HTTP_COOKIE=f"session={session.decode()}")
        assert found["swordfishes"] is Where.WORD
        assert "turquoise" not in found


class TestPersonsInLongerValues:
    @pytest.mark.parametrize(
        ("name", "text", "expected"),
        [
            ("X_GOOG_AUTHENTICATED_USER_EMAIL", "accounts.google.com:alicia@h.example", {"alicia@h.example"}),
            ("X_GOOG_AUTHENTICATED_USER_ID", "accounts.google.com:117263849201558", {"117263849201558"}),
            ("FROM", "Alice Quarx <alicia.l@h.example>", {"Alice Quarx", "alicia.l@h.example", "alicia.l"}),
            ("FROM", '"Quarx, Alice" <alicia.l@h.example>', {"Quarx, Alice", "alicia.l@h.example"}),
            ("X_AUTH_REQUEST_EMAIL", "a7@h.example, bob.q@h.example", {"a7@h.example", "bob.q@h.example"}),
            ("X_USER", '{"sub":"alicia","name":"Alice Quarx"}', {"alicia", "Alice Quarx"}),
            ("X_USER", '{"sub":"alicia"}', {"alicia"}),
            ("X_USER_INFO", "name=Alice Quarx;mail=a7@h.example", {"Alice Quarx", "a7@h.example"}),
            ("X_USER_INFO", "uid=alicia; role=editor", {"alicia"}),
            ("X_WHO", "alice.liddell@h.example", {"alice.liddell"}),
            ("X_USER", "id:q8fh23fh28hf2", {"q8fh23fh28hf2"}),
        ],
    )
    def test_person_is_found(self, name, text, expected):
        assert expected <= set(of(**{f"HTTP_{name}": text}))

    def test_user_of_the_server_within_a_longer_name(self):
        assert "alicia@h.example" in of(REMOTE_USER="accounts.google.com:alicia@h.example")

    @pytest.mark.parametrize(
        ("name", "text"),
        [
            ("X_GOOG_AUTHENTICATED_USER_EMAIL", "accounts.google.com:alicia@h.example"),
            ("X_AUTHENTIK_GROUPS", "admins|Engineering Department|accounts"),
            ("X_USER_ROLES", "editor, publisher, Engineering"),
            ("X_USER_INFO", "department=Engineering;role=publisher;locale=en-US;team=accounts"),
        ],
    )
    def test_words_next_to_a_person_are_not_searched_for(self, name, text):
        words = {"accounts.google.com", "accounts", "google", "admins", "Engineering", "editor", "publisher"}
        assert not words & set(of(**{f"HTTP_{name}": text}))


class TestOtherPlaces:
    def test_parameter_of_a_fragment(self):
        assert "access_token=correct" in of(HTTP_HX_CURRENT_URL="https://h/a#access_token=correct")

    @pytest.mark.parametrize("comma", [",", ", "])
    @pytest.mark.parametrize("first", ["lang=en", "token=abc==", "a=b; lang=en"])
    def test_cookie_of_a_second_header(self, comma, first):
        assert "correcthorse" in of(HTTP_COOKIE=f"{first}{comma}sid=correcthorse")

    def test_pairs_within_one_cookie_are_no_cookies(self):
        assert "monospace" not in of(HTTP_COOKIE="prefs=theme=dark,font=monospace")

    def test_cookie_that_was_copied_by_a_redirect(self):
        assert "correcthorse" in of(REDIRECT_HTTP_COOKIE="lang=en; sid=correcthorse")


class TestKeysThatAreNoText:
    STRINGS = {5: "x", None: "q8fh23fh28hf2=7", "HTTP_X_API_KEY": "q8fh23fh28hf2"}

    def test_other_keys_are_looked_at(self):
        assert {secret.text for secret in of_request(self.STRINGS, NAMES)} == {"q8fh23fh28hf2"}
        assert of_environ({**self.STRINGS, "shop.user": "alice"}, Names(environ=["shop.*"])) == ("alice",)

    @pytest.mark.parametrize("key", [5, None, ("a", "b"), b"HTTP_X"])
    def test_event_keeps_its_text(self, captured, key):
        def app(environ, start_response):
            raise LookupError("no such basket")

        call(SentryMiddleware(app), {**environ_of(), key: "x"})
        (event,) = captured.errors
        assert event["exception"]["values"][0]["value"] == "no such basket"
        assert "sentry_paste.redaction" not in event.get("tags", {})


class TestManyRequestsOfOneThread:
    """A thread that serves the elements of a batch as requests of their own, outside of their scopes."""

    COOKIES = "; ".join(f"a{number}=q8fh23fh{number:08}" for number in range(400))

    @pytest.fixture
    def built(self, monkeypatch):
        """Return the sizes of the matchers that are created."""
        sizes, init = [], Matcher.__init__

        def counted(own, secrets):
            init(own, secrets)
            sizes.append(len(own._secrets))

        monkeypatch.setattr(Matcher, "__init__", counted)
        return sizes

    @pytest.fixture
    def clock(self, monkeypatch):
        """Return a clock that the test sets."""
        now = [1000.0]
        monkeypatch.setattr(nearby.time, "monotonic", lambda: now[0])
        return now

    def matcher(self, found, **strings):
        return found.matcher([{**environ_of(), "HTTP_COOKIE": self.COOKIES, **strings}])

    def test_requests_that_differ_in_their_paths_share_a_matcher(self, built):
        found = Nearby(NAMES)
        matchers = [self.matcher(found, PATH_INFO=f"/item/{number}") for number in range(100)]
        assert len(built) == 1
        assert not any(matcher.is_exceeded for matcher in matchers)
        assert matchers[99].clean("got q8fh23fh00000001") == f"got {FILTERED}"

    @pytest.mark.parametrize(
        ("key", "value", "secret"),
        [
            ("QUERY_STRING", "token=correcthorse", "token=correcthorse"),
            ("PATH_INFO", "/basket;token=correcthorse", ";token=correcthorse"),
            ("REMOTE_USER", "margarete", "margarete"),
            ("REMOTE_ADDR", "198.51.100.77", "198.51.100.77"),
            ("HTTP_X_API_KEY", "correcthorse", "correcthorse"),
            ("HTTP_X_ACME", "q8fh23fh28hf2", "q8fh23fh28hf2"),
            ("REDIRECT_HTTP_X_ACME", "q8fh23fh28hf2", "q8fh23fh28hf2"),
            ("shop.backend", "amqp://margarete:hunter22@h", "hunter22"),
            ("shop.next", "https%3A%2F%2Fmargarete%3Ahunter22%40h", "hunter22"),
        ],
    )
    def test_requests_that_differ_in_a_secret_share_none(self, key, value, secret):
        found = Nearby(NAMES)
        self.matcher(found)
        assert secret not in self.matcher(found, **{key: value}).clean(f"x {secret} y")

    def test_own_address_of_the_server_stays(self):
        found = Nearby(NAMES)
        self.matcher(found, REMOTE_ADDR="198.51.100.7", SERVER_NAME="h")
        own = self.matcher(found, REMOTE_ADDR="198.51.100.7", SERVER_NAME="198.51.100.7")
        assert own.clean("at 198.51.100.7") == "at 198.51.100.7"

    def test_matchers_of_a_second_are_limited(self, built, clock):
        found = Nearby(NAMES)
        matchers = [self.matcher(found, QUERY_STRING=f"token=abcdefg{number}") for number in range(100)]
        assert 10 < len([matcher for matcher in matchers if not matcher.is_exceeded]) < 30
        assert matchers[99].is_exceeded
        assert matchers[99].clean("token=abcdefg99") == FILTERED
        clock[0] += 1
        assert not self.matcher(found, QUERY_STRING="token=abcdefg99").is_exceeded

    @pytest.mark.usefixtures("clock")
    def test_ordinary_requests_are_not_limited(self):
        found = Nearby(NAMES)
        for number in range(150):
            strings = {"HTTP_COOKIE": f"sid=q8fh23fh{number}", "QUERY_STRING": f"token=abcdefg{number}"}
            assert not self.matcher(found, **strings).is_exceeded

    @pytest.mark.usefixtures("clock")
    def test_each_thread_has_its_own_limit(self):
        found, matchers = Nearby(NAMES), []
        for number in range(100):
            self.matcher(found, QUERY_STRING=f"token=abcdefg{number}")
        thread = threading.Thread(
            target=lambda: matchers.append(self.matcher(found, QUERY_STRING="token=other"))
        )
        thread.start()
        thread.join()
        assert not matchers[0].is_exceeded


class TestNamesOfHeaders:
    def test_long_names_are_too_much_together(self):
        headers = {"HTTP_X_" + "AB_" * 33 + str(number): "q" for number in range(1940)}
        assert len(of_request(headers, NAMES)) > MOST

    def test_as_many_short_names_are_not(self):
        assert of_request({f"HTTP_X_AB_{number}": "q" for number in range(1940)}, NAMES) == set()

    def test_name_that_is_no_text_counts_too(self):
        assert of_request(dict.fromkeys(range(1940), "q"), NAMES) == set()

    def test_name_is_normalised_once(self):
        names._normal.cache_clear()
        of_request({f"HTTP_X_SEEN_{number}": "q" for number in range(20)}, Names())
        assert names._normal.cache_info().misses == 20

    @pytest.mark.parametrize(
        "name", ["x_appkey", "key", "x_monkeykey", "monkey_appkey", "sessions", "x_session2"]
    )
    def test_part_of_a_word_is_secret(self, name):
        assert NAMES.is_header(name)
        assert NAMES.is_parameter(name)

    @pytest.mark.parametrize(
        "name",
        ["monkey", "x_turkey", "whiskey_x", "keys", "keyboard", "x_monkeys", "obsession", "hockey_jockey"],
    )
    def test_other_words_are_not(self, name):
        assert not NAMES.is_header(name)
        assert not NAMES.is_parameter(name)


class TestManyEscapes:
    PIECES = ("%41", "%C3%A9", "\\n", "\\u00e9\\u00e8", "&amp;", "abc", "\n", "%", "\\x41")

    def test_text_is_undone_in_shares(self, monkeypatch):
        text = "".join(self.PIECES[number * number % 9] + "x" * (number % 3) for number in range(200))
        expected = views.decoded(text, Allowance(1000))
        for at_once in (1, 2, 3, 7):
            monkeypatch.setattr(views, "_AT_ONCE", at_once)
            monkeypatch.setattr(views, "_SHARES", 10**6)
            assert views.decoded(text, Allowance(1000)) == expected

    @pytest.mark.parametrize("at_once", [1, 5, 6, 7, 4000])
    def test_limit_is_the_same_in_shares(self, monkeypatch, at_once):
        monkeypatch.setattr(views, "_AT_ONCE", at_once)
        monkeypatch.setattr(views, "_SHARES", 10**6)
        assert views.decoded("%41x" * 12, Allowance(2)).text == "Ax" * 12
        with pytest.raises(TooMuchError):
            views.decoded("%41x" * 13, Allowance(2))

    @pytest.mark.parametrize("allowed", [5000, 9000])
    def test_undoing_takes_little_memory(self, allowed):
        text = "".join(f"{number:07}\\n%41 " for number in range(25_000))
        tracemalloc.start()
        try:
            view = views.decoded(text, Allowance(allowed))
        except TooMuchError:
            view = None
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert (view is not None) is (allowed == 9000)
        assert peak < 10 * len(text) if view else peak < len(text)


class TestAddressWithinAnother:
    """An IPv4 address that the server shows as IPv6 is found however it is written, in a short text too."""

    FORMS = (
        "::ffff:cb00:7107",
        "::FFFF:CB00:7107",
        "::ffff:203.0.113.7",
        "0:0:0:0:0:ffff:cb00:7107",
        "0000:0000:0000:0000:0000:ffff:cb00:7107",
        "203.0.113.7",
    )

    @pytest.mark.parametrize("sent", FORMS)
    @pytest.mark.parametrize("shown", ["203.0.113.7", "::ffff:203.0.113.7", "::ffff:cb00:7107"])
    @pytest.mark.parametrize("key", ["REMOTE_ADDR", "HTTP_X_FORWARDED_FOR"])
    def test_it_goes_from_a_short_text(self, sent, shown, key):
        matcher = Matcher(of_request({key: sent}, NAMES))
        cleaned = matcher.clean(f"client {shown}")
        assert cleaned.removeprefix("client ").removeprefix("::ffff:") == FILTERED

    @pytest.mark.parametrize("sent", FORMS)
    def test_other_addresses_stay(self, sent):
        matcher = Matcher(of_request({"REMOTE_ADDR": sent}, NAMES))
        for text in ("client 203.0.113.70", "client 2001:db8::ffff", "at 198.51.100.1", "0xffff"):
            assert matcher.clean(text) == text
