"""Which parameters are secret, and what becomes of them in queries, URLs and forms."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.redaction.names import FILTERED, Names, Rule
from sentry_paste.redaction.parameters import clean_parameters

SECRET_PARAMETERS = [
    "token", "access_token", "accessToken", "csrf_token", "password", "newPassword", "passwd", "pwd",
    "secret", "client_secret", "api_key", "apikey", "key", "X-Amz-Signature", "sig", "auth", "session",
    "sessionid", "PHPSESSID", "jwt", "id_token", "authenticity_token", "user%5Btoken%5D", "private_key",
]  # fmt: skip

ORDINARY_PARAMETERS = [
    "page", "q", "lang", "theme", "author", "keyword", "keywords", "monkey", "size", "side", "inside",
    "sort", "order", "next", "redirect", "code", "state", "id", "name", "limit",
]  # fmt: skip


@pytest.mark.parametrize("name", SECRET_PARAMETERS)
def test_parameter_is_secret(name):
    assert Names().is_parameter(name)
    assert clean_parameters(f"a=1&{name}=x#b", Names()) == f"a=1&{name}={FILTERED}#b"


@pytest.mark.parametrize("name", ORDINARY_PARAMETERS)
def test_parameter_is_ordinary(name):
    assert not Names().is_parameter(name)
    assert clean_parameters(f"?{name}=x;b=2", Names()) == f"?{name}=x;b=2"


def test_parameter_is_added_by_name_or_glob():
    names = Names(parameters=["code", "x_*"])
    assert clean_parameters("code=1&x_a=2&y=3", names) == f"code={FILTERED}&x_a={FILTERED}&y=3"
    assert names.key_rule("code") is Rule.SECRET


@given(st.text())
def test_text_without_secret_parameters_stays(text):
    text = text.replace("=", "")
    assert clean_parameters(text, Names()) == text


@given(st.lists(st.tuples(st.sampled_from(ORDINARY_PARAMETERS), st.text(alphabet="abc%20+-", max_size=9))))
def test_ordinary_parameters_stay(pairs):
    query = "&".join(f"{name}={value}" for name, value in pairs)
    assert clean_parameters(query, Names()) == query
