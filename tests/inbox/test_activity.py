"""What happened, worked out again when a file comes or goes: as if it were worked out for the first time."""

import random
from datetime import datetime, timezone

import pytest

from sentry_paste.inbox.activity import activity
from sentry_paste.inbox.index import Index

from spooled import (
    error_event,
    segment_item,
    span_item,
    transaction_event,
    write_event,
    write_item,
    write_spans,
)


def one_of_each(spool, number):
    """Write something of the same few traces."""
    trace, span = f"{number % 5:032x}", f"{number % 3}" * 16
    at = {"trace": {"trace_id": trace, "span_id": span}}
    kind = number % 6
    if kind == 0:
        return write_event(spool, transaction_event(event_id=f"{number:032x}", contexts=at))
    if kind in (1, 2):
        return write_event(spool, error_event(event_id=f"{number:032x}", contexts=at))
    if kind == 3:
        return write_spans(spool, segment_item(f"{number % 3}", trace_id=trace), span_item("7", "late"))
    if kind == 4:
        return write_spans(spool, span_item("4", "early", segment=f"{number % 3}", trace_id=trace))
    aggregates = [{"started": "2026-11-22T07:13:00Z", "exited": number}]
    write_item(spool, "log", {"items": [{"body": f"{number}", "timestamp": number}]})
    return write_item(spool, "sessions", {"aggregates": aggregates})


def listed(found):
    """What a list shows of it."""
    return (
        [(item.entry.name, item.facts, item.request) for item in found.errors],
        [(item.entry.name, item.number, item.request) for item in found.requests],
        {place: [error.entry.name for error in errors] for place, errors in found.errors_of.items()},
        found.place_of,
        [(item.line, item.entry.name) for item in found.lines],
        [item.numbers for item in found.sessions],
        [(item.entry.name, [one.entry.name for one in errors]) for item, errors in found.everything()],
        {kind: [made.entry.name for made in files] for kind, files in found.by_kind.items()},
    )


@pytest.mark.parametrize("seed", range(5))
def test_it_is_the_same_as_from_the_beginning(spool, seed):
    chance = random.Random(seed)
    looked, files = Index(spool), []
    for step in range(60):
        if files and chance.random() < 0.3:
            spool.remove(files.pop(chance.randrange(len(files))))
        else:
            files.append(one_of_each(spool, chance.randrange(1000) * 60 + step))
        if chance.random() < 0.6:
            found = activity(looked.look())
            assert listed(found) == listed(activity(Index(spool).look()))


def test_what_was_before_is_not_kept_for_ever(spool):
    looked = Index(spool)
    for number in range(4):
        one_of_each(spool, number)
        looked.look()  # as the page of an error does
        snapshot = looked.look()
        assert "before" not in snapshot.derived.get("before", {})
    activity(snapshot)
    assert "before" not in snapshot.derived


@pytest.mark.parametrize("is_cleared", [False, True])
def test_file_that_has_not_changed_is_not_worked_out_again(spool, is_cleared):
    looked = Index(spool)
    if is_cleared:
        looked.cleared.clear(datetime(2020, 1, 1, tzinfo=timezone.utc))
    one_of_each(spool, 3)
    first = activity(looked.look())
    one_of_each(spool, 9)
    second = activity(looked.look())
    assert second is not first
    assert second.requests[-1] is first.requests[-1]
