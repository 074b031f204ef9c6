"""Options from an ini, or from keywords, to ``Settings``.

All mistakes are found before any is told. The user's own code (hooks, classes,
transports) is imported last, when all syntax has been checked.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sentry_paste.config import integrations, values
from sentry_paste.config.aliases import plain_dsn
from sentry_paste.config.errors import ConfigError, NotInstalledError, Problem
from sentry_paste.config.families import assemble, family_of, parse_member
from sentry_paste.config.kinds import Option
from sentry_paste.config.mistakes import (
    COMMENT,
    reason_of,
    refuse_a_colon,
    shown_value,
    unknown,
    without_secrets,
)
from sentry_paste.config.options import options
from sentry_paste.config.references import Reference
from sentry_paste.config.settings import Origin, Settings
from sentry_paste.config.sources import (
    Gathered,
    Given,
    add_variables,
    from_keywords,
    gather,
    next_source,
    tell_of_dsn,
    without_aliases,
)
from sentry_paste.config.values import expand
from sentry_paste.sdk.failures import warn


def read_ini(
    global_conf: Mapping[str, str],
    local_conf: Mapping[str, str],
    elsewhere: bool = False,
    section: str = "",
) -> Settings:
    """Read the options that PasteDeploy hands to a factory.

    An option without a value counts as not given.

    Args:
        global_conf: ``[DEFAULT]``, and what the loader adds: ``here`` and ``__file__``.
        local_conf: the filter's section.
        elsewhere: whether the app is installed somewhere else: what is not installed here is no mistake.
        section: that the options stand in, where that is known; without brackets.

    Raises:
        ConfigError: an option is unknown, has a wrong value, or names what cannot be imported.
    """
    return _Reader(gather(global_conf, local_conf, section), elsewhere).settings()


def read_keywords(keywords: Mapping[str, Any]) -> Settings:
    """Read options that Python code gives; text is read as in an ini, other values are taken as they are.

    Args:
        keywords: options by name.

    Raises:
        ConfigError: as for an ini.
    """
    return _Reader(from_keywords(keywords)).settings()


class _Reader:
    """Reads the options of one filter, step by step, and collects its mistakes."""

    def __init__(self, gathered: Gathered, elsewhere: bool = False) -> None:
        self.elsewhere = elsewhere
        self.absent: dict[str, tuple[str, ...]] = {}
        self.source = gathered.source
        self.base = gathered.base
        self.hidden = gathered.hidden
        self.problems = list(gathered.problems)
        self.given = self._with_values(without_aliases(gathered.given, self.source))
        add_variables(self.given)
        self._make_dsn_plain()
        self.texts: dict[str, Any] = {}
        self.values: dict[str, Any] = {}
        self.members: dict[str, dict[str, Any]] = {}

    def settings(self) -> Settings:
        """Return the settings, or raise all mistakes."""
        for name in self.given:
            self._guard(name, self._parse_uncut, name)
        for name, value in list(self.values.items()):
            if isinstance(value, Reference):
                self._guard(name, self._resolve, name, value)
        self._assemble()
        self._add_integrations()
        for name, make in values.DERIVED.items():
            if name in self.values:
                self._guard(name, self._derive, name, make)
        for name, look in values.LOOKED_AT.items():
            if name in self.values:
                self._guard(name, look, self.values[name])
        self._imply()
        if self.problems:
            raise ConfigError(self.source, sorted(self.problems, key=lambda p: (p.line or 0, p.option)))
        return self._frozen()

    def _guard(self, name: str, step: Any, *args: Any) -> None:
        try:
            step(*args)
        except Exception as error:  # whatever a value makes of a converter, it is the ini's mistake
            self.values.pop(name, None)
            if self.elsewhere and isinstance(error, NotInstalledError):
                self.absent[name] = (error.name,)
                return
            item = self.given[name]
            value = None if str(error).startswith("is no ") else shown_value(name, item.value)
            self.problems.append(Problem(item.written, value, str(error) or type(error).__name__, item.line))

    def _with_values(self, given: Mapping[str, Given]) -> dict[str, Given]:
        """Return the options that have a value, their variables replaced."""
        found = {}
        waiting = list(given.items())
        while waiting:
            name, item = waiting.pop()
            if item.value is None:
                continue
            if not isinstance(item.value, str):
                found[name] = item
                continue
            where, instead = f"{self.source}: {item.written}", next_source(item, given)
            try:
                text = expand(where, item.value, os.environ, instead).strip()
            except ValueError as error:
                self.problems.append(
                    Problem(item.written, shown_value(name, item.value), str(error), item.line)
                )
                continue
            if text:
                self._look_for_traces_of_the_parser(item, text)
                found[name] = Given(name, item.written, text, item.origin, item.line, item.text)
            elif item.below is not None:
                waiting.append((name, item.below))
        return {name: found[name] for name in given if name in found}

    def _look_for_traces_of_the_parser(self, item: Given, text: str) -> None:
        if "%%" in text:
            warn(
                "%s: %s has a doubled %%: PasteDeploy has already made one of two", self.source, item.written
            )
        if len(text) > 2 and text[0] in "\"'" and text.find(text[0], 1) == len(text) - 1:
            where = f"{self.source}: {item.written} = {shown_value(item.name, text)}"
            warn("%s: the quotes are part of the value", where)

    def _make_dsn_plain(self) -> None:
        item = self.given.get("dsn")
        if item is not None and isinstance(item.value, str):
            tell_of_dsn(item, item.value, self.source)
            self.given["dsn"] = replace(item, value=plain_dsn(item.value))

    def _parse_uncut(self, name: str) -> None:
        try:
            self._parse(name)
        except ValueError:
            refuse_a_colon(self.given[name])
            raise

    def _parse(self, name: str) -> None:
        item = self.given[name]
        family = family_of(name)
        if family is not None:
            refuse_a_colon(item)
            value = item.value
            if isinstance(value, str):
                value = parse_member(name, value)
                self._look_for_a_comment(item, item.value)
            self.members.setdefault(family, {})[name[len(family) + 1 :]] = value
            self.texts[name] = item.value
            return
        option = options().get(name)
        if option is None or "." in name:
            raise ValueError(unknown(item))
        self.texts[name], self.values[name] = self._value(option, item)

    def _value(self, option: Option, item: Given) -> tuple[Any, Any]:
        if not isinstance(item.value, str):
            return item.value, item.value
        text = item.value
        try:
            value = option.kind.parse(text)
        except ValueError as error:
            raise ValueError(reason_of(option, text, str(error))) from None
        self._look_for_a_comment(item, text)
        if option.kind.is_path and isinstance(value, str):
            text = value = os.path.abspath(os.path.join(self.base, os.path.expanduser(value)))
        return text, value

    def _look_for_a_comment(self, item: Given, text: str) -> None:
        if COMMENT.search(text):
            where = f"{self.source}: {item.written} = {shown_value(item.name, text)}"
            warn("%s: comments belong on lines of their own", where)

    def _resolve(self, name: str, value: Reference) -> None:
        self.values[name] = value.resolve()

    def _derive(self, name: str, make: Any) -> None:
        make(self.values, self.base)
        self.texts[name] = self.values.get(name, self.texts[name])

    def _assemble(self) -> None:
        pii = bool(self.values.get("send_default_pii"))
        for family, members in self.members.items():
            if family != "integration":
                first = next(name for name in self.given if family_of(name) == family)
                self._guard(first, self._assemble_one, family, members, pii)

    def _assemble_one(self, family: str, members: dict[str, Any], pii: bool) -> None:
        self.values[family] = assemble(family, members, self.values.get(family), pii)

    def _add_integrations(self) -> None:
        arguments: dict[str, dict[str, Any]] = {}
        for key, text in self.members.get("integration", {}).items():
            name, _, argument = key.rpartition(".")
            arguments.setdefault(name, {})[argument] = text
        names = self.values.get("integrations", [])
        given = [entry for entry in names if not isinstance(entry, str)]
        named = [entry for entry in names if isinstance(entry, str)]
        sends_user_info = integrations.may_send_user_info(self.values)
        made, wrong = integrations.build_all(named, arguments, sends_user_info)
        if names or arguments:
            self.values["integrations"] = [*given, *made]
        off = self.values.get("disabled_integrations", [])
        classes, wrong_off = integrations.disabled([entry for entry in off if isinstance(entry, str)])
        if off:
            self.values["disabled_integrations"] = [*(e for e in off if not isinstance(e, str)), *classes]
        for found in [*wrong, *wrong_off]:
            self._tell_of_integration(found)

    def _tell_of_integration(self, found: integrations.Wrong) -> None:
        names = [n for n in self.given if n == found.option or n.startswith(found.option + ".")]
        if self.elsewhere and isinstance(found.error, NotInstalledError):
            for name in names:
                self.absent[name] = (*self.absent.get(name, ()), found.error.name)
            return
        reason = without_secrets(str(found.error), [self.given[name] for name in names])
        item, value = self.given[names[0]], None
        written = f"{item.written} {found.entry}".strip()
        if found.option not in self.given:  # what is wrong is with all of them
            written = written.rpartition(".")[0]
        elif not (found.entry or reason.startswith("is no ")):
            value = shown_value(found.option, item.value)
        self.problems.append(Problem(written, value, reason, item.line))

    def _imply(self) -> None:
        """Turn tracing on where rates are given for some paths: for the others the rate is 0."""
        if "traces_sample_rates" in self.values and not {"traces_sample_rate", "traces_sampler"} & set(
            self.values
        ):
            self.values["traces_sample_rate"] = self.texts["traces_sample_rate"] = 0.0

    def _frozen(self) -> Settings:
        table = options()
        own = {
            name: self.values.get(name, option.default)
            for name, option in table.items()
            if not option.is_sdk and name.isidentifier() and name not in values.DERIVED
        }
        shared = [name for name in self.texts if name not in own or name in values.OF_THE_CLIENT]
        return Settings(
            sdk=MappingProxyType({n: v for n, v in self.values.items() if n in table and table[n].is_sdk}),
            contexts=MappingProxyType(self.values.get("contexts", {})),
            origins=MappingProxyType(
                {name: Origin(i.origin, i.line, shown_value(name, i.value)) for name, i in self.given.items()}
            ),
            hidden=tuple(self.hidden),
            source=self.source,
            absent=MappingProxyType(self.absent),
            client_key=tuple(sorted((name, _hashable(self.texts[name])) for name in shared)),
            **{**own, "tags": MappingProxyType(own["tags"] or {})},
        )


def _hashable(value: Any) -> Hashable:
    """Return something hashable that is equal for equal values, and for other objects the object's id."""
    if isinstance(value, Mapping):
        return tuple(sorted((str(key), _hashable(item)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(map(_hashable, value))
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    return ("object", id(value))
