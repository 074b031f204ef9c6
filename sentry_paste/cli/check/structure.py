"""What stands around what in an ini, from the outermost to the app."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

_INBOX = re.compile(r"sentry[_.-]paste(#inbox|\.inbox:)", re.IGNORECASE)

# Swift's own catcher of errors: in front of it Sentry sees an answer, behind it the error.
_CATCHER = re.compile(r"egg:swift#catch_errors|swift\.common\.middleware\.catch_errors:", re.IGNORECASE)

# CKAN has no factory for PasteDeploy since 2.9: a class of its own reads the section.
_READS_ITSELF = re.compile(r"egg:ckan(#|$)", re.IGNORECASE)

_HEALTHCHECK = re.compile(r"oslo_middleware(\.healthcheck)?:Healthcheck\.")

#: Where Sentry stands that a script puts around the app, with options from the app's section.
SCRIPT = "script"
#: Where Sentry stands that Pyramid puts around the app, with options from the app's settings.
INCLUDES = "pyramid.includes"


class IniError(ValueError):
    """An ini that PasteDeploy would not load, on one line."""


@dataclass(frozen=True)
class Layer:
    """An app, or a filter or composite around others.

    Attributes:
        name: as the ini refers to it.
        kind: ``app``, ``filter``, ``composite`` or ``sentry``.
        section: its section, without brackets; empty for a bare ``egg:`` in a pipeline.
        spec: what makes it: ``egg:Paste#urlmap``, ``myapp.wsgi:factory``.
        path: of the ini that it stands in, absolute.
        inner: what it calls, by mount point or key; by an empty key where there is one thing only.
        missing: the distribution or module that it needs and that is not installed here.
        placed: how Sentry came to stand here: ``pipeline``, ``filter-with``, ``filter-app``, ``composite``,
            ``pyramid.includes``, ``script``.
        placed_in: the section that says so.
        pipeline: what that section lists, where it is a pipeline.
        global_conf: what Sentry's factory, or the inbox's, gets.
        local_conf: what Sentry's factory, or the inbox's, gets.
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
        """Return whether this shows what was captured of others: nobody waits for errors of its own."""
        return self.kind == "app" and bool(_INBOX.search(self.spec))

    @property
    def is_catcher(self) -> bool:
        """Return whether this answers all errors, so that Sentry is right to stand behind it."""
        return self.kind == "filter" and _CATCHER.match(self.spec) is not None

    @property
    def is_healthcheck(self) -> bool:
        """Return whether this is oslo.middleware's health check, which can do without Sentry."""
        return self.kind == "app" and _HEALTHCHECK.match(self.spec) is not None

    @property
    def reads_itself(self) -> bool:
        """Return whether this is an app that reads the ini by itself."""
        return self.kind == "app" and _READS_ITSELF.match(self.spec) is not None

    @property
    def has_sentry(self) -> bool:
        """Return whether this, or anything in it, is ours."""
        return self.is_sentry or any(layer.has_sentry for _, layer in self.inner)

    def walk(self, outside: tuple[Layer, ...] = ()) -> Iterator[tuple[tuple[Layer, ...], Layer]]:
        """Yield this and all that is in it, each after those that stand around it, outermost first.

        Args:
            outside: what stands around this.
        """
        yield outside, self
        for _, layer in self.inner:
            yield from layer.walk((*outside, self))


@dataclass(frozen=True)
class Structure:
    """What an ini makes of one name.

    Attributes:
        root: the outermost.
        path: of the ini, absolute.
        section: the section of the name, without brackets.
        outermost: the section where ``filter-with`` puts a filter around all of it.
        ignored: names of filters that do nothing, as the app reads the ini by itself.
    """

    root: Layer
    path: str
    section: str
    outermost: str
    ignored: tuple[str, ...] = ()

    @property
    def reads_itself(self) -> bool:
        """Return whether the app reads the ini by itself, so that no filter in it does anything."""
        return any(layer.reads_itself for _, layer in self.root.walk())

    @property
    def is_inbox(self) -> bool:
        """Return whether there are inboxes and no other apps."""
        apps = [layer for _, layer in self.root.walk() if layer.kind == "app"]
        return bool(apps) and all(app.is_inbox for app in apps)

    def is_inside_sentry(self, layer: Layer) -> bool:
        """Return whether one of ours stands around a layer.

        Args:
            layer: of this structure.
        """
        return any(other.is_sentry for other in self._outside_of(layer))

    def is_caught(self, layer: Layer) -> bool:
        """Return whether a layer stands behind a filter that answers all errors.

        Args:
            layer: of this structure.
        """
        return any(other.is_catcher for other in self._outside_of(layer))

    def _outside_of(self, layer: Layer) -> Iterator[Layer]:
        for outside, found in self.root.walk():
            if found is layer:
                yield from outside
