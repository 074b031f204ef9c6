import pytest

from sentry_paste import sdk
from sentry_paste.client.registry import registry


@pytest.fixture
def flushed(captured):
    """Return what was captured, once clients have sent what they hold back: sessions, spans, log items."""

    def flush():
        for client in registry.clients():
            client.flush()
        return captured

    return flush


@pytest.fixture
def streamed_spans(flushed):
    """Return all spans that were streamed."""
    return lambda: [span for payload in flushed().payloads("span") for span in payload["items"]]


@pytest.fixture
def open_scopes_at_once(monkeypatch):
    """Turn off scopes that wait until they are used."""
    return lambda: monkeypatch.setattr(sdk.scopes, "has_unused_scopes", lambda: False)
