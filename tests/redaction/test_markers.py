"""Markers are looked for first: whatever contains a value contains one of them."""

from hypothesis import given
from hypothesis import strategies as st

from sentry_paste.redaction.needles import (
    ADDRESS,
    ANYWHERE,
    PAIR,
    WORD,
    Secret,
    markers_of,
    needles_of,
)

TEXTS = st.one_of(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=4, max_size=40),
    st.text(st.sampled_from("abcXYZ019?>~;=+/%-_. "), min_size=4, max_size=20),
    st.text(min_size=4, max_size=20),
)
SECRETS = st.one_of(
    st.builds(Secret, TEXTS, st.sampled_from([ANYWHERE, WORD])),
    TEXTS.map(lambda text: Secret(f"token={text}", PAIR, 6)),
    st.ip_addresses().map(lambda address: Secret(str(address), ADDRESS)),
)


@given(st.lists(SECRETS, min_size=1, max_size=6))
def test_base64_and_hex_of_a_value_contain_a_marker(secrets):
    markers = markers_of(secrets)
    for secret in secrets:
        for encoded in (needle.text for needle in needles_of(secret) if needle.is_run):
            assert any(marker in encoded for marker in markers)


def test_markers_of_one_value_do_not_depend_on_the_others():
    tokens = [
        Secret(text, ANYWHERE) for text in ("8f7d6s5a", "8f7d6s5a4f", "8f7d6s5a4f3", "8f7d6s5a4f3d2s1a0f")
    ]
    alone = {marker for secret in tokens for marker in markers_of([secret])}
    assert set(markers_of(tokens)) == alone
