"""What is decided at load for all requests of one filter."""

from __future__ import annotations

from typing import Any

from sentry_paste import sdk
from sentry_paste.client import GuardedClient, secret_names
from sentry_paste.config import Settings
from sentry_paste.redaction import Redaction
from sentry_paste.rules import PathRules


class Plan:
    """The settings of a filter, in the form in which a request looks them up.

    Args:
        settings: of the filter.
        client: what captures, None for the client that is active in the request.
    """

    __slots__ = ("_at_rate", "_hooked", "_rates", "client", "ignored", "names", "secret_names", "settings")

    def __init__(self, settings: Settings, client: Any) -> None:
        self.settings = settings
        self.client = client
        self.ignored = PathRules([(glob, True) for glob in settings.ignore_paths])
        self.names: PathRules[str] = PathRules(settings.transaction_names)
        self._rates: PathRules[float] = PathRules(settings.traces_sample_rates)
        self._at_rate: dict[tuple[Any, float], Any] = {}
        self._hooked: tuple[Any, dict[str, Any]] = (None, {})
        self.secret_names = (
            client.redaction.names if isinstance(client, GuardedClient) else secret_names(settings)
        )

    def redacting(self, client: Any) -> Any:
        """Return what an active client of the app's is to be for a request: the same with redaction.

        Args:
            client: that is active.
        """
        if isinstance(client, GuardedClient) or sdk.sends_user_info(client.options):
            return client
        if self._hooked[0] is not client:
            redaction = Redaction(self.secret_names)
            redaction.made(client.options)
            self._hooked = (client, redaction.with_hooks(client.options))
        return sdk.with_options(client, **self._hooked[1])

    def client_for(self, client: Any, path: str) -> Any | None:
        """Return the client by whose options a path is sampled, None where no rate is given for it.

        It is the same client with another ``traces_sample_rate``, so that everything else about the decision
        is the SDK's: what the caller decided is kept, and a ``traces_sampler`` wins.

        Args:
            client: that captures.
            path: decoded, the script's name included.
        """
        rate = self._rates.find(path) if self._rates else None
        if rate is None or callable(client.options.get("traces_sampler")):
            return None
        found = self._at_rate.get((client, rate))
        if found is None:
            found = self._at_rate[client, rate] = sdk.with_options(client, traces_sample_rate=rate)
        return found
