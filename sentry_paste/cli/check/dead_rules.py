"""Rules of an ini that can never apply, because of one before them."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from sentry_paste.config import Settings
from sentry_paste.config.error_rules import EXPRESSION

# A glob with other wildcards may leave something out.
_OTHER_WILD = re.compile(r"[?\[]")


class DeadRule(NamedTuple):
    """A rule that can never apply.

    Attributes:
        option: to which it belongs.
        subject: what it is about.
        earlier: what the rule is about that applies in its place.
    """

    option: str
    subject: str
    earlier: str


def dead_rules(settings: Settings) -> Iterator[DeadRule]:
    """Yield the rules that can never apply, for those options of which the first rule does.

    Args:
        settings: of a filter.
    """
    globs = {
        "traces_sample_rates": [glob for glob, _ in settings.traces_sample_rates],
        "transaction_names": [glob for glob, _ in settings.transaction_names],
        # All rules of a path apply together.
        "traces_keep": list(dict.fromkeys(rule.glob for rule in settings.traces_keep if rule.glob)),
        "ignore_messages": [rule for rule in settings.ignore_messages if not rule.startswith(EXPRESSION)],
        "levels": [rule.subject for rule in settings.levels if rule.is_logger],
    }
    for about in ("message", "transaction", "module"):
        yield from _globs(
            "fingerprints",
            [rule.subject for rule in settings.fingerprints if rule.about == about],
            f"{about} ",
        )
    for option, found in globs.items():
        yield from _globs(option, found)
    yield from _classes("error_sample_rates", [cls for cls, _ in settings.error_sample_rates])
    yield from _classes("levels", [rule.subject for rule in settings.levels if not rule.is_logger])
    yield from _classes("fingerprints", [r.subject for r in settings.fingerprints if r.about == "class"])


def _globs(option: str, globs: Sequence[str], prefix: str = "") -> Iterator[DeadRule]:
    seen: dict[str, None] = {}
    wide: list[tuple[str, re.Pattern[str]]] = []
    for glob in globs:
        earlier = glob if glob in seen else None
        # A wildcard of this glob is text for the earlier one, and only a star takes it.
        if earlier is None and "[" not in glob:
            earlier = next((other for other, pattern in wide if pattern.match(glob)), None)
        if earlier is not None:
            yield DeadRule(option, prefix + glob, prefix + earlier)
        seen[glob] = None
        if "*" in glob and not _OTHER_WILD.search(glob):
            wide.append((glob, re.compile(fnmatch.translate(glob))))


def _classes(option: str, classes: Iterable[Any]) -> Iterator[DeadRule]:
    seen: dict[Any, None] = {}
    for cls in classes:
        bases = () if isinstance(cls, str) else cls.__mro__
        names = [base.__name__ for base in bases]
        earlier = next((found for found in (cls, *bases, *names) if found in seen), None)
        if earlier is not None:
            yield DeadRule(option, _name(cls), _name(earlier))
        seen[cls] = None


def _name(cls: Any) -> str:
    return cls if isinstance(cls, str) else str(cls.__name__)
