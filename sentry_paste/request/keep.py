"""Decide, when a request has ended, whether its trace is sent although sampling has not chosen it."""

from __future__ import annotations

from collections.abc import Sequence

from sentry_paste.config.keep_rules import KeepRule
from sentry_paste.wsgi.path_rules import PathRules


class KeepRules:
    """The rules of ``traces_keep``.

    Of the rules with a path, those of the first path that matches apply, and all rules without one. If
    several apply to a request, the one with the highest rate does.

    Args:
        rules: in the order of the ini.
    """

    __slots__ = ("_errors", "_for_all", "_for_paths", "_least", "_statuses")

    def __init__(self, rules: Sequence[KeepRule]) -> None:
        self._for_all = [rule for rule in rules if rule.glob is None]
        by_glob: dict[str, list[KeepRule]] = {}
        for rule in rules:
            if rule.glob is not None:
                by_glob.setdefault(rule.glob, []).append(rule)
        self._for_paths: PathRules[list[KeepRule]] = PathRules(list(by_glob.items()))
        # What no rule is about is decided without looking at the path or at single rules.
        times = [rule.slower_than for rule in rules if rule.slower_than is not None]
        self._least = min(times, default=float("inf"))
        self._statuses = frozenset().union(*(rule.statuses for rule in rules if rule.statuses is not None))
        self._errors = any(rule.errors for rule in rules)

    def __bool__(self) -> bool:
        return bool(self._for_all or self._for_paths)

    def may_apply(self, seconds: float, status: int | None, has_error: bool) -> bool:
        """Return whether a rule may apply to a request, whatever its path is.

        Args:
            seconds: that the request took.
            status: of the response, None if there was none.
            has_error: whether the request has reported an error.
        """
        return seconds > self._least or status in self._statuses or (has_error and self._errors)

    def find(self, path: str, seconds: float, status: int | None, has_error: bool) -> KeepRule | None:
        """Return the rule that applies to a request, None if none does.

        Args:
            path: decoded, the script's name included.
            seconds: that the request took.
            status: of the response, None if there was none.
            has_error: whether the request has reported an error.
        """
        rules = self._for_all
        if self._for_paths:
            rules = rules + (self._for_paths.find(path) or [])
        found: KeepRule | None = None
        for rule in rules:
            if (found is None or rule.rate > found.rate) and _applies(rule, seconds, status, has_error):
                found = rule
        return found


def _applies(rule: KeepRule, seconds: float, status: int | None, has_error: bool) -> bool:
    if rule.slower_than is not None:
        return seconds > rule.slower_than
    return has_error if rule.errors else status in (rule.statuses or ())
