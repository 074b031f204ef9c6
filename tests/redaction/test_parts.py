"""Parts of tokens: groups and roles, of which there are many."""

import base64
import json
import uuid

import pytest

from sentry_paste.redaction.bounds import Bounds
from sentry_paste.redaction.parts import members


def found_in(claims):
    def encoded(text):
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    token = f"{encoded(json.dumps({'alg': 'none'}))}.{encoded(json.dumps(claims))}.x"
    return {text for _, text in members(token, Bounds(5000, 1_000_000))}


@pytest.mark.parametrize("key", ["groups", "roles", "https://shop.example/roles"])
class TestGroups:
    def test_all_that_a_header_of_8_kilobytes_has(self, key):
        groups = [str(uuid.UUID(int=number * 7919)) for number in range(150)]
        assert set(groups) <= found_in({key: groups})

    @pytest.mark.parametrize("person", ["alice@example.com", "CN=alice,OU=people"])
    def test_person_behind_them(self, key, person):
        groups = [*(f"g{number}" for number in range(400)), person]
        assert person in found_in({key: groups})
        assert "g399" not in found_in({key: groups})
