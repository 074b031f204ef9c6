"""Views of clients that have other rules, once an ini has been read again."""

from __future__ import annotations

from sentry_paste import sdk
from sentry_paste.client.error_budget import ErrorBudget, budget_for
from sentry_paste.client.error_rules import rules_for, with_error_rules
from sentry_paste.client.guarded import GuardedClient
from sentry_paste.client.registry import registry, with_guards
from sentry_paste.config.settings import Settings


class ClientsAgain:
    """The clients of filters whose settings have been read again; none changes before ``use`` is called.

    What has begun with a client ends with it: nothing in it changes. A client and its views have the same
    transport, sessions, integrations. Of a client that was made only the newest view is kept.

    Args:
        settings: which differ from the clients' only in what is reloadable.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # By the client that was made: the one that captures so far, and its view with the settings.
        self._found: dict[GuardedClient, tuple[GuardedClient, GuardedClient]] = {}
        self._budgets: list[ErrorBudget] = []

    def of(self, client: GuardedClient) -> GuardedClient:
        """Return the view of a client that has the settings, one for all filters that share the client.

        Args:
            client: that captures so far, made or a view.
        """
        made: GuardedClient = sdk.origin(client)
        if made not in self._found:
            self._found[made] = client, self._view_of(made)
        return self._found[made][1]

    def _view_of(self, made: GuardedClient) -> GuardedClient:
        view, settings = made.current or made, self._settings
        if view.settings.client_key == settings.client_key:
            return view
        budget = view.budget
        if budget is None:
            budget = budget_for(settings)
        else:  # it has counts, which an event is still to report
            self._budgets.append(budget)
        is_same = made.settings.client_key == settings.client_key and made.budget is budget
        return made if is_same else _view_of(made, settings, budget)

    def use(self) -> None:
        """Let the views capture from now on."""
        for budget in self._budgets:
            budget.change(self._settings)
        for made, (client, view) in self._found.items():
            registry.capture_with(made, client, view)


def _view_of(made: GuardedClient, settings: Settings, budget: ErrorBudget | None) -> GuardedClient:
    """Return a view of a client with other rules; redaction and the user's hooks are the client's."""
    options = {**settings.sdk}
    # They are built again where a client is made.
    for name in ("integrations", "transport"):
        options.pop(name, None)
    options = with_error_rules(settings, with_guards(options), budget)
    given = sdk.for_client(made.redaction.with_hooks(options))
    names = _changed_options(made.settings, settings, has_budget=budget is not None)
    view: GuardedClient = sdk.with_reloaded(made, given, names)
    view.tags, view.contexts = settings.tags, settings.contexts
    view.rules, view.budget = rules_for(settings), budget
    if settings.sdk.get("before_send") is None:
        view.last_hook = view.options.get("before_send")
    view.settings, view.current = settings, None
    return view


def _changed_options(before: Settings, after: Settings, *, has_budget: bool) -> set[str]:
    """Return the SDK's options that have other values, and the hooks that the ini's rules are made into."""
    names = {name for name in sdk.RELOADABLE if before.sdk.get(name) != after.sdk.get(name)}
    if has_budget or before.error_sample_rates or after.error_sample_rates:
        names.add("error_sampler")
    groups = [(found.fingerprints, found.fingerprint_without_ids) for found in (before, after)]
    if groups[0] != groups[1]:
        names.add("before_send")
    return names
