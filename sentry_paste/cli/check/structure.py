"""The structure of an ini: which filters and composites are around which app."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sentry_paste.cli.check.source import LoadProblem, Source

_INBOX = re.compile(r"sentry[_.-]paste(#inbox|\.inbox:)", re.IGNORECASE)

# Swift's error catcher: a filter outside it sees an ordinary response, one inside it the exception.
_CATCHER = re.compile(r"egg:swift#catch_errors|swift\.common\.middleware\.catch_errors:", re.IGNORECASE)

# Answers an exception of the app's by another request to the app.
_REPEATS = re.compile(r"egg:paste#recursive|paste\.recursive:", re.IGNORECASE)

# CKAN has had no PasteDeploy factory since 2.9: its own class reads the section.
_READS_ITSELF = re.compile(r"egg:ckan(#|$)", re.IGNORECASE)

_HEALTHCHECK = re.compile(r"oslo_middleware(\.healthcheck)?:Healthcheck\.")

#: Place of Sentry if a script puts it around the app, with options from the app's section.
SCRIPT = "script"
#: Place of Sentry if Pyramid puts it around the app, with options from the app's settings.
INCLUDES = "pyramid.includes"
#: Place of Sentry if ``sentry-paste run`` puts it around the apps of a command.
RUN = "run"


class IniError(ValueError):
    """PasteDeploy would not load the ini; the message is one line."""


@dataclass(frozen=True)
class Layer:
    """An app, or a filter or composite around others.

    Attributes:
        name: its name in the ini.
        kind: ``app``, ``filter``, ``composite`` or ``sentry``.
        section: its section, without brackets; empty for a bare ``egg:`` in a pipeline.
        spec: its factory: ``egg:Paste#urlmap``, ``myapp.wsgi:factory``.
        path: absolute path of the ini that it is in.
        inner: layers that it calls, by mount point or key; the key is empty if there is only one.
        missing: distribution or module that it needs and that is not installed here.
        placed: how Sentry got here: ``pipeline``, ``filter-with``, ``filter-app``, ``composite``,
            ``pyramid.includes``, ``script``, ``run``.
        placed_in: section that puts it here.
        pipeline: names in that section, if it is a pipeline.
        global_conf: what the factory of Sentry or of the inbox receives.
        local_conf: what the factory of Sentry or of the inbox receives.
    """

    name: str
    kind: str
    section: str
    spec: str
    path: str
    inner: tuple[tuple[str, Layer], ...] = ()
    missing: str = ""
    placed: str = ""
    placed_in: str = ""
    pipeline: tuple[str, ...] = ()
    global_conf: Mapping[str, str] | None = None
    local_conf: Mapping[str, str] | None = None

    @property
    def is_sentry(self) -> bool:
        """Return whether this is ours."""
        return self.kind == "sentry"

    @property
    def is_inbox(self) -> bool:
        """Return whether this is our inbox, an app that needs no Sentry around it."""
        return self.kind == "app" and bool(_INBOX.search(self.spec))

    @property
    def is_catcher(self) -> bool:
        """Return whether this turns all exceptions into responses, so that Sentry belongs inside it."""
        return self.kind == "filter" and _CATCHER.match(self.spec) is not None

    @property
    def is_repeating(self) -> bool:
        """Return whether this may make two requests to the app of one, so that it belongs inside Sentry."""
        return self.kind == "filter" and _REPEATS.match(self.spec) is not None

    @property
    def is_healthcheck(self) -> bool:
        """Return whether this is oslo.middleware's health check, which needs no Sentry."""
        return self.kind == "app" and _HEALTHCHECK.match(self.spec) is not None

    @property
    def reads_itself(self) -> bool:
        """Return whether this is an app that reads the ini itself, without PasteDeploy."""
        return self.kind == "app" and _READS_ITSELF.match(self.spec) is not None

    @property
    def has_sentry(self) -> bool:
        """Return whether this, or any layer inside it, is ours."""
        waiting = [self]
        while waiting:
            layer = waiting.pop()
            if layer.is_sentry:
                return True
            waiting += [inner for _, inner in layer.inner]
        return False

    def walk(self, outside: tuple[Layer, ...] = ()) -> Iterator[tuple[tuple[Layer, ...], Layer]]:
        """Yield this and every layer inside it, each with the layers around it, outermost first.

        Args:
            outside: layers around this one.
        """
        # Not recursive: a pipeline may have hundreds of filters, each of which is inside the one before.
        waiting = [(outside, self)]
        while waiting:
            around, layer = waiting.pop()
            yield around, layer
            waiting += [((*around, layer), inner) for _, inner in reversed(layer.inner)]


@dataclass(frozen=True)
class Structure:
    """The layers of one app in an ini.

    Attributes:
        root: the outermost layer.
        path: absolute path of the ini.
        section: section of the app, without brackets.
        outermost: section in which ``filter-with`` puts a filter around everything.
        ignored: names of filters that do nothing, as the app reads the ini itself.
        problems: what keeps PasteDeploy from loading it; what can be read nevertheless is in the structure.
        sources: the text of each file that was read.
    """

    root: Layer
    path: str
    section: str
    outermost: str
    ignored: tuple[str, ...] = ()
    problems: tuple[LoadProblem, ...] = ()
    sources: tuple[Source, ...] = ()

    @property
    def reads_itself(self) -> bool:
        """Return whether the app reads the ini itself, so that no filter in it does anything."""
        return any(layer.reads_itself for _, layer in self.root.walk())

    @property
    def is_inbox(self) -> bool:
        """Return whether every app is an inbox."""
        apps = [layer for _, layer in self.root.walk() if layer.kind == "app"]
        return bool(apps) and all(app.is_inbox for app in apps)

    def is_inside_sentry(self, layer: Layer) -> bool:
        """Return whether Sentry is around a layer.

        Args:
            layer: a layer of this structure.
        """
        return any(other.is_sentry for other in self._outside_of(layer))

    def is_caught(self, layer: Layer) -> bool:
        """Return whether a layer is inside a filter that turns all exceptions into responses.

        Args:
            layer: a layer of this structure.
        """
        return any(other.is_catcher for other in self._outside_of(layer))

    def _outside_of(self, layer: Layer) -> Iterator[Layer]:
        for outside, found in self.root.walk():
            if found is layer:
                yield from outside
