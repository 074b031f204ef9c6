"""Read the options of a running process again, and find out what of them applies at once."""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, NamedTuple

from sentry_paste import sdk
from sentry_paste.config.families import family_of
from sentry_paste.config.options import options
from sentry_paste.config.reader import read_rules
from sentry_paste.config.reload_sources import Source
from sentry_paste.config.settings import Settings
from sentry_paste.config.values import CLIENT_RULES
from sentry_paste.config.watched import Texts

_FAMILIES = {"tags": "tags.NAME", "contexts": "contexts.NAME.KEY"}
_FIELDS = frozenset(found.name for found in fields(Settings))


class Change(NamedTuple):
    """An option that has changed.

    Attributes:
        option: its name.
        before: its text, with credentials masked; None if it was not set.
        after: likewise.
    """

    option: str
    before: str | None
    after: str | None


class Reread(NamedTuple):
    """What has been read.

    Attributes:
        settings: those that apply from now on: the ones before, with the changes that are possible.
        changes: what has changed and applies from now on.
        fixed: names of options that have changed too, and that only the next start takes over.
    """

    settings: Settings
    changes: tuple[Change, ...]
    fixed: tuple[str, ...]


def is_reloadable(name: str) -> bool:
    """Return whether a running process takes over a change of an option.

    Args:
        name: of the option, also a member of a family such as ``tags.region``.
    """
    option = options().get(_FAMILIES.get(family_of(name) or "", name))
    return option is not None and option.reloadable


def needs_client(name: str) -> bool:
    """Return whether an option has no effect on a client that the app has made itself.

    Args:
        name: of the option, also a member of a family.
    """
    name = family_of(name) or name
    option = options().get(_FAMILIES.get(name, name))
    if option is not None and option.is_sdk:
        return name not in sdk.OPTIONS_IN_REQUESTS
    return name == "contexts" or name in CLIENT_RULES


def compare(before: Settings, after: Settings, start: Settings | None = None) -> Reread:
    """Return the settings that apply when options have been read again.

    Args:
        before: those that apply so far.
        after: as ``read_rules`` has returned them.
        start: those with which the process was started; by default the ones before.
    """
    old, new = _key(before), _key(after)
    fixed = {name for name in old.keys() | new.keys() if not _is_same(before, after, name, old, new)}
    fixed |= {name for name in _own_fixed() if getattr(before, name) != getattr(after, name)}
    is_known = "dsn" in after.sdk or "dsn_file" not in new  # a pipe is not read again
    if is_known and before.sdk.get("dsn") != after.sdk.get("dsn") and not fixed & {"dsn", "dsn_file"}:
        fixed.add("dsn_file" if "dsn_file" in new else "dsn")

    has_profiler = bool((start or before).sdk.get("profiles_sample_rate"))

    def stays(name: str) -> bool:
        # The profiler was not started without a rate, or with one of 0.
        return not is_reloadable(name) or (name == "profiles_sample_rate" and not has_profiler)

    changes = tuple(
        Change(name, _text(before, name), _text(after, name))
        for name in sorted(before.origins.keys() | after.origins.keys())
        if not stays(name) and _value(before, name, old) != _value(after, name, new)
    )
    fixed |= {
        name
        for name in after.sdk
        if is_reloadable(name) and stays(name) and before.sdk.get(name) != after.sdk[name]
    }
    own = {name: getattr(after, name) for name in _FIELDS if is_reloadable(name)}
    settings = replace(
        before,
        sdk=MappingProxyType(_merged(before.sdk, after.sdk, stays)),
        origins=MappingProxyType(_merged(before.origins, after.origins, stays)),
        contexts=after.contexts,
        client_key=tuple(sorted(_merged(old, new, stays).items())),
        **own,
    )
    return Reread(settings, changes, tuple(sorted(fixed)))


def _merged(old: Mapping[str, Any], new: Mapping[str, Any], stays: Any) -> dict[str, Any]:
    kept = {name: value for name, value in old.items() if stays(name)}
    return {**kept, **{name: value for name, value in new.items() if not stays(name)}}


def _own_fixed() -> Iterator[str]:
    for option in options().values():
        if not option.is_sdk and not option.reloadable and option.name in _FIELDS:
            yield option.name


def _key(settings: Settings) -> dict[str, Hashable]:
    return dict(settings.client_key)  # type: ignore[call-overload,no-any-return]


def _is_same(
    before: Settings, after: Settings, name: str, old: Mapping[str, Hashable], new: Mapping[str, Hashable]
) -> bool:
    if is_reloadable(name):
        return True
    # The commit that it stood for when the process was started.
    is_commit = name == "release" and _text(before, name) == _text(after, name) == "git"
    return is_commit or old.get(name) == new.get(name)


def _value(settings: Settings, name: str, key: Mapping[str, Hashable]) -> Any:
    return getattr(settings, name) if name in _FIELDS and name not in key else key.get(name)


def _text(settings: Settings, name: str) -> str | None:
    origin = settings.origins.get(name)
    return None if origin is None else origin.text


def read_again(source: Source, settings: Settings, texts: Texts, start: Settings | None = None) -> Reread:
    """Read the options again.

    Args:
        source: of the options.
        settings: those that apply so far.
        texts: reads the files.
        start: those with which the process was started; by default the ones that apply so far.

    Raises:
        ConfigError: the options cannot be used; every mistake that was found.
    """
    raw = source.read(texts)
    item = raw.given.get("dsn_file")
    if item is not None and isinstance(item.value, str):
        texts.paths.append(os.path.join(raw.base, os.path.expanduser(item.value.strip())))
    return compare(settings, read_rules(raw), start)
