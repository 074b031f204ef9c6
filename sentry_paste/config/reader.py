"""Read options from an ini, or from keywords, into ``Settings``.

All mistakes are collected and raised together. The user's own code (hooks, classes,
transports) is imported last, once all syntax has been checked.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from sentry_paste import sdk
from sentry_paste.config import integrations, values
from sentry_paste.config.aliases import plain_dsn
from sentry_paste.config.backtracking import slowness
from sentry_paste.config.error_rules import EXPRESSION, classes_in, doubtful_variables
from sentry_paste.config.errors import ConfigError, LinesError, NotInstalledError, Problem, shown
from sentry_paste.config.families import assemble, family_of, parse_member
from sentry_paste.config.kinds import Option
from sentry_paste.config.mistakes import (
    COMMENT,
    WITH_MARKS,
    explain,
    mask_secrets,
    near_exceptions,
    refuse_colon,
    shown_value,
    unknown_option,
    unreplaced,
)
from sentry_paste.config.options import options
from sentry_paste.config.references import Reference
from sentry_paste.config.sdk_options import REPLACED_BY
from sentry_paste.config.settings import Origin, Settings
from sentry_paste.config.sources import (
    RawOption,
    RawOptions,
    add_environment,
    collect,
    fallback_of,
    from_keywords,
    place,
    resolve_aliases,
    warn_of_raven_dsn,
)
from sentry_paste.config.values import expand
from sentry_paste.sdk.failures import warn


def read_ini(
    global_conf: Mapping[str, str],
    local_conf: Mapping[str, str],
    allow_missing: bool = False,
    section: str = "",
    path: str = "",
) -> Settings:
    """Read the options that PasteDeploy passes to a factory.

    An option without a value counts as not set.

    Args:
        global_conf: ``[DEFAULT]``, with the loader's ``here`` and ``__file__``.
        local_conf: the filter's section.
        allow_missing: whether packages that are not installed are no mistake: the app may be installed
            somewhere else.
        section: name of the options' section, without brackets, if it is known.
        path: path of the file that has the section, if it is known and another one than in ``__file__``.

    Raises:
        ConfigError: an option is unknown, has a wrong value, or names what cannot be imported.
    """
    return _Reader(collect(global_conf, local_conf, section, path), allow_missing).settings()


def read_keywords(keywords: Mapping[str, Any]) -> Settings:
    """Read options from Python code; text is parsed as in an ini, other values are used as they are.

    Args:
        keywords: options by name.

    Raises:
        ConfigError: as for an ini.
    """
    return _Reader(from_keywords(keywords)).settings()


def read_raw(raw: RawOptions) -> Settings:
    """Read options that have been collected.

    Args:
        raw: the options as they were written.

    Raises:
        ConfigError: as for an ini.
    """
    return _Reader(raw).settings()


def read_rules(raw: RawOptions) -> Settings:
    """Read options of a process that is running: all are checked, but only reloadable ones are complete.

    Nothing is imported or built for the others, and nothing is started. Their texts, in ``client_key``, show
    whether they have changed.

    Args:
        raw: the options as they were written.

    Raises:
        ConfigError: as for an ini.
    """
    return _Reader(raw).rules()


class _Reader:
    """Reads the options of one filter, step by step, and collects all mistakes."""

    def __init__(self, raw: RawOptions, allow_missing: bool = False) -> None:
        self.allow_missing = allow_missing
        self.absent: dict[str, tuple[str, ...]] = {}
        self.source = raw.source
        self.base = raw.base
        self.ini = raw.ini
        self.hidden = raw.hidden
        self.problems = list(raw.problems)
        self.unreplaced: dict[str, str] = {}
        self.given = self._with_values(resolve_aliases(raw.given, self.source))
        add_environment(self.given)
        self._clean_dsn()
        self.texts: dict[str, Any] = {}
        self.values: dict[str, Any] = {}
        self.members: dict[str, dict[str, Any]] = {}

    def settings(self) -> Settings:
        """Return the settings, or raise all mistakes at once."""
        for name in self.given:
            self._attempt(name, self._parse_option, name)
        for name, value in list(self.values.items()):
            if isinstance(value, Reference):
                self._attempt(name, self._resolve, name, value)
        self._assemble()
        self._add_integrations()
        for name, make in values.DERIVED.items():
            if name in self.values:
                self._attempt(name, self._derive, name, make)
        for name, check in values.CHECKS.items():
            if name in self.values:
                self._attempt(name, check, self.values[name])
        self._apply_implied()
        self._raise_problems()
        self._warn_of_gone_options()
        return self._freeze()

    def rules(self) -> Settings:
        """Return the settings with those options that are reloadable, or raise all mistakes at once."""
        for name in self.given:
            self._attempt(name, self._parse_option, name)
        for name, value in list(self.values.items()):
            if isinstance(value, Reference) and options()[name].reloadable:
                self._attempt(name, self._resolve, name, value)
        self._assemble()
        if values.can_be_read_once(self.values.get("dsn_file")):
            del self.values["dsn_file"]
        for name, make in values.DERIVED.items():
            # git would be another process, and what it says applies to the code on the disk.
            if name in self.values and self.values[name] != "git":
                self._attempt(name, self._derive, name, make)
        self._apply_implied()
        self._raise_problems()
        return self._freeze()

    def _raise_problems(self) -> None:
        if self.problems:
            raise ConfigError(
                self.source, sorted(self.problems, key=lambda p: (p.source, p.line or 0, p.option))
            )

    def _attempt(self, name: str, step: Any, *args: Any) -> None:
        try:
            step(*args)
        except Exception as error:  # whatever a converter raises for a value, the mistake is in the ini
            self.values.pop(name, None)
            if self.allow_missing and isinstance(error, NotInstalledError):
                self.absent[name] = (error.name,)
                return
            item = self.given[name]
            if isinstance(error, LinesError):
                self._add_lines(item, error)
                return
            value = None if str(error).startswith("is not ") else shown_value(name, item.value)
            reason = str(error) or type(error).__name__
            self.problems.append(Problem(item.written, value, reason, item.line, item.source))

    def _add_lines(self, item: RawOption, error: LinesError) -> None:
        for found in error.mistakes:
            value, line = shown_value(item.name, found.line), item.rows.get(found.line, item.line)
            self.problems.append(Problem(item.written, value, found.message + found.hint, line, item.source))

    def _with_values(self, given: Mapping[str, RawOption]) -> dict[str, RawOption]:
        """Return the options that have a value, with variables replaced."""
        found = {}
        waiting = list(given.items())
        while waiting:
            name, item = waiting.pop()
            if item.value is None:
                continue
            if not isinstance(item.value, str):
                found[name] = item
                continue
            try:
                text = expand(
                    place(self.source, item), item.value, os.environ, fallback_of(item, given)
                ).strip()
            except ValueError as error:
                self.problems.append(
                    Problem(item.written, shown_value(name, item.value), str(error), item.line, item.source)
                )
                continue
            if text:
                self._warn_of_leftovers(item, text)
                self.unreplaced[name] = unreplaced(text, item.value)
                found[name] = replace(item, name=name, value=text, fallback=None)
            elif item.fallback is not None:
                waiting.append((name, item.fallback))
        return {name: found[name] for name in given if name in found}

    def _warn_of_leftovers(self, item: RawOption, text: str) -> None:
        """Warn of marks that a parser, a shell or a template would have taken out."""
        if "%%" in text:
            message = "%s contains %%%%: PasteDeploy has already replaced each %%%% in the file by one %%"
            warn(message, place(self.source, item), code="doubled-percent")
        if len(text) > 2 and text[0] in "\"'" and text.find(text[0], 1) == len(text) - 1:
            where = f"{place(self.source, item)} = {shown_value(item.name, text)}"
            warn("%s: the quotes are part of the value", where, code="quotes")
        if re.fullmatch(r"\[.*[\"'].*\]|\(.*[\"'].*\)", text, re.DOTALL):
            where = f"{place(self.source, item)} = {shown_value(item.name, text)}"
            message = "%s: brackets and quotes are part of the value; write only what they enclose"
            warn(message, where, code="brackets")

    def _warn_of_unreplaced(self, item: RawOption) -> None:
        reason = self.unreplaced.get(item.name)
        if reason and item.name not in WITH_MARKS and not item.name.startswith("proxy_headers"):
            warn("%s: %s", place(self.source, item), reason, code="unreplaced")

    def _warn_of_exceptions(self, item: RawOption, names: list[str]) -> None:
        for name, nearest in near_exceptions(names):
            message = "%s: there is no built-in exception %s; did you mean %s?"
            warn(message, place(self.source, item), name, nearest, code="exception-name")

    def _warn_of_slowness(self, item: RawOption, rules: Sequence[str]) -> None:
        """Warn of expressions for messages, which may hold whatever a client has sent."""
        for rule in rules:
            reason = slowness(rule[len(EXPRESSION) :]) if rule.startswith(EXPRESSION) else ""
            if reason:
                message = "%s: %s has %s, and can stop a server for minutes with some messages"
                warn(message, place(self.source, item), shown(rule), reason, code="slow-expression")

    def _clean_dsn(self) -> None:
        item = self.given.get("dsn")
        if item is not None and isinstance(item.value, str):
            warn_of_raven_dsn(item, item.value, self.source)
            self.given["dsn"] = replace(item, value=plain_dsn(item.value))

    def _parse_option(self, name: str) -> None:
        try:
            self._parse(name)
        except ValueError:
            refuse_colon(self.given[name])
            raise

    def _parse(self, name: str) -> None:
        item = self.given[name]
        family = family_of(name)
        if family is not None:
            refuse_colon(item)
            value = item.value
            if isinstance(value, str):
                value = parse_member(name, value)
                self._warn_of_comment(item, item.value)
                self._warn_of_unreplaced(item)
            self.members.setdefault(family, {})[name[len(family) + 1 :]] = value
            self.texts[name] = item.value
            return
        option = options().get(name)
        if option is None or "." in name:
            raise ValueError(unknown_option(item))
        self.texts[name], self.values[name] = self._value(option, item)

    def _value(self, option: Option, item: RawOption) -> tuple[Any, Any]:
        if not isinstance(item.value, str):
            return item.value, item.value
        text = item.value
        try:
            value = option.kind.parse(text)
        except NotInstalledError:
            raise
        except LinesError as error:
            raise LinesError(
                [f._replace(message=explain(option, f.line, f.message)) for f in error.mistakes]
            ) from None
        except ValueError as error:
            raise ValueError(explain(option, text, str(error))) from None
        self._warn_of_comment(item, text)
        self._warn_of_unreplaced(item)
        self._warn_of_exceptions(item, classes_in(option.name, text))
        if option.name == "ignore_messages":
            self._warn_of_slowness(item, value)
        for reason in doubtful_variables(text) if option.name == "fingerprints" else ():
            warn("%s: %s", place(self.source, item), reason, code="fingerprint-variable")
        if option.kind.is_path and isinstance(value, str):
            text = value = os.path.abspath(os.path.join(self.base, os.path.expanduser(value)))
        return text, value

    def _warn_of_comment(self, item: RawOption, text: str) -> None:
        if COMMENT.search(text):
            where = f"{place(self.source, item)} = {shown_value(item.name, text)}"
            warn("%s: put comments on separate lines", where, code="comment")

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
                self._attempt(first, self._assemble_one, family, members, pii)

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
        built, problems = integrations.build_all(named, arguments, sends_user_info)
        if names or arguments:
            self.values["integrations"] = [*given, *built]
        off = self.values.get("disabled_integrations", [])
        classes, more_problems = integrations.disabled([entry for entry in off if isinstance(entry, str)])
        if off:
            self.values["disabled_integrations"] = [*(e for e in off if not isinstance(e, str)), *classes]
        for found in [*problems, *more_problems]:
            self._add_integration_problem(found)

    def _add_integration_problem(self, found: integrations.IntegrationProblem) -> None:
        names = [n for n in self.given if n == found.option or n.startswith(found.option + ".")]
        if self.allow_missing and isinstance(found.error, NotInstalledError):
            for name in names:
                self.absent[name] = (*self.absent.get(name, ()), found.error.name)
            return
        reason = mask_secrets(str(found.error), [self.given[name] for name in names])
        item, value = self.given[names[0]], None
        written = f"{item.written} {found.entry}".strip()
        if found.option not in self.given:  # the mistake concerns all arguments together
            written = written.rpartition(".")[0] or written
        elif not (found.entry or reason.startswith("is not ")):
            value = shown_value(found.option, item.value)
        self.problems.append(Problem(written, value, reason, item.line, item.source))

    def _apply_implied(self) -> None:
        """Turn tracing on if some requests are traced: for all others the rate is 0."""
        given = set(self.values)
        traces_some = {"traces_sample_rates", "traces_keep"} & given
        if traces_some and not {"traces_sample_rate", "traces_sampler"} & given:
            self.values["traces_sample_rate"] = self.texts["traces_sample_rate"] = 0.0

    def _warn_of_gone_options(self) -> None:
        """Warn of what the installed SDK no longer has, unless it means what it meant."""
        for name, note in sdk.notes_on_options({name: self.values.get(name) for name in self.given}):
            warn("%s %s", place(self.source, self.given[name]), note, code="sdk-change")
        for old, new in REPLACED_BY.items():
            newer = next((name for name in self.given if name == new or name.startswith(f"{new}.")), None)
            if old in self.given and newer is not None:
                where = place(self.source, self.given[old])
                message = "%s has no effect: %s is set as well, and takes precedence"
                warn(message, where, newer, code="replaced-option")

    def _freeze(self) -> Settings:
        table = options()
        own = {
            name: self.values.get(name, option.default)
            for name, option in table.items()
            if not option.is_sdk and name.isidentifier() and name not in values.DERIVED
        }
        shared = [name for name in self.texts if name not in own or name in values.CLIENT_OPTIONS]
        return Settings(
            sdk=MappingProxyType({n: v for n, v in self.values.items() if n in table and table[n].is_sdk}),
            contexts=MappingProxyType(self.values.get("contexts", {})),
            origins=MappingProxyType(
                {name: Origin(i.origin, i.line, shown_value(name, i.value)) for name, i in self.given.items()}
            ),
            hidden=tuple(self.hidden),
            source=self.source,
            ini=self.ini,
            absent=MappingProxyType(self.absent),
            client_key=tuple(sorted((name, _hashable(self.texts[name])) for name in shared)),
            **{**own, "tags": MappingProxyType(own["tags"] or {})},
        )


def _hashable(value: Any) -> Hashable:
    """Return a hashable value that is equal for equal plain values, and for the same other object."""
    if isinstance(value, Mapping):
        return tuple(sorted((str(key), _hashable(item)) for key, item in value.items()))
    if isinstance(value, (list, tuple)):
        return tuple(map(_hashable, value))
    if isinstance(value, (str, int, float, bool, type(None))):
        return value
    return ("object", id(value))
