"""Where captured data is now: in the spool, set aside there, or with Sentry."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from sentry_sdk.envelope import Envelope

from sentry_paste.debugtoolbar.payload import SENT, Event, Trace
from sentry_paste.spool import SpoolFile
from sentry_paste.spool.names import ASIDE, group_of

SPOOLED = "spooled"
WAITING = "spooled, to be sent"
MISSING = "not in the spool"
REFUSED = "set aside: {}"

_Captured = TypeVar("_Captured", Event, Trace)


@dataclass(frozen=True)
class Whereabouts:
    """Where a filter's data goes.

    Attributes:
        directory: of the spool, empty if there is none.
        is_kept: whether it stays there, because there is no DSN.
    """

    directory: str = ""
    is_kept: bool = False

    def find(
        self, events: list[Event], traces: list[Trace], trace_id: str
    ) -> tuple[list[Event], list[Trace]]:
        """Return events and traces as they are now: what was captured may be in the spool, or sent.

        Args:
            events: that were captured.
            traces: likewise.
            trace_id: of the request.
        """
        if not self.directory:
            return events, traces
        # Streamed spans are in envelopes without an id of their own; their names have a hash of the trace.
        group = group_of(Envelope(headers={"trace": {"trace_id": trace_id}}))[4:]
        keys = {*(event.id for event in events), *(trace.id for trace in traces)} - {""}
        files = self._files([*(f"-{key}-" for key in keys), f"{group}-"])
        by_id = {file.id: file for file in files if file.id in keys}
        of_spans = next((file for file in files if file.kind == "span" and file.group[4:] == group), None)
        return (
            [self._placed(event, by_id.get(event.id)) for event in events],
            [self._placed(trace, by_id.get(trace.id) if trace.id else of_spans) for trace in traces],
        )

    def _files(self, parts: Iterable[str]) -> list[SpoolFile]:
        """Return the files whose names have one of some parts, without parsing all names of a large spool."""
        names: list[str] = []
        with suppress(OSError):
            names = [name for name in os.listdir(self.directory) if any(part in name for part in parts)]
        found = [SpoolFile.from_path(Path(self.directory, name)) for name in names]
        return [file for file in found if file is not None]

    def _placed(self, captured: _Captured, file: SpoolFile | None) -> _Captured:
        if captured.outcome != SENT:
            return captured
        if file is None:
            return replace(captured, outcome=MISSING) if self.is_kept else captured
        outcome = SPOOLED if self.is_kept else WAITING
        if file.state == ASIDE:
            outcome = REFUSED.format(file.detail)
        return replace(captured, outcome=outcome, is_spooled=True)
