"""The list of a spool on a terminal: short ids first, as many columns as it is wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sentry_paste.cli.spool.text import RIGHT_ALIGNED, shortened, table_row
from sentry_paste.spool.names import SpoolFile

_COLUMNS = (
    "ID",
    "AGE",
    "KIND",
    "LEVEL",
    "TITLE",
    "TRANSACTION",
    "STATE",
    "SIZE",
    "DESTINATION",
    "TIME (UTC)",
)
# The columns that are left out where there is no room for them, in this order.
_DISPENSABLE = ("TIME (UTC)", "DESTINATION", "SIZE", "LEVEL", "STATE", "TRANSACTION", "KIND", "AGE")
# The columns that go first if they have the same value in each row.
_TOTALLED = ("DESTINATION", "STATE", "LEVEL")
# The columns that are shortened, and how many characters of each have to stay.
_LEAST = {"TITLE": 24, "TRANSACTION": 14}
# What a title has at least of the width, before there is a further column.
_TITLE_SHARE = 3
_GAP = 2


def terminal_table(
    files: Sequence[SpoolFile], names: Mapping[str, str], short: Mapping[str, str], width: int
) -> str:
    """Return a table of envelope files that fits a terminal.

    Args:
        files: files in the order of the table.
        names: known names of destinations, by hash.
        short: short form of each id.
        width: width of the terminal.
    """
    rows = [{column: column for column in _COLUMNS}]
    rows += [
        {**row, "ID": short.get(row["ID"], row["ID"])} for row in (table_row(one, names) for one in files)
    ]
    natural = {column: max(len(row[column]) for row in rows) for column in _COLUMNS}
    same = [column for column in _TOTALLED if len({row[column] for row in rows[1:]}) == 1]
    widths = _fitted(natural, (*same, *_DISPENSABLE), width)
    if "TRANSACTION" not in widths:
        rows[1:] = [{**row, "TITLE": _with_name(row)} for row in rows[1:]]
        widths = _fitted({**natural, "TITLE": width}, (*same, *_DISPENSABLE), width)
    return "\n".join(
        (" " * _GAP)
        .join(
            _cell(shortened(row[column], widths[column]), widths[column], column)
            for column in _COLUMNS
            if column in widths
        )
        .rstrip()
        for row in rows
    )


def _cell(text: str, width: int, column: str) -> str:
    return text.rjust(width) if column in RIGHT_ALIGNED else text.ljust(width)


def _with_name(row: Mapping[str, str]) -> str:
    """Return a title that names the transaction if it is about one."""
    is_named = row["KIND"] in ("transaction", "span") and row["TRANSACTION"] not in row["TITLE"]
    return f"{row['TRANSACTION']}: {row['TITLE']}" if is_named else row["TITLE"]


def _fitted(natural: Mapping[str, int], dispensable: Sequence[str], width: int) -> dict[str, int]:
    """Return the widths of the columns that there is room for."""
    columns = [column for column in _COLUMNS if natural[column]]
    leasts = {**_LEAST, "TITLE": max(_LEAST["TITLE"], width // _TITLE_SHARE)}
    for column in (None, *dispensable):
        columns = [name for name in columns if name != column]
        least = {name: min(natural[name], leasts.get(name, natural[name])) for name in columns}
        if sum(least.values()) + _GAP * (len(columns) - 1) <= width:
            break
    room = width - sum(least.values()) - _GAP * (len(columns) - 1)
    widths = dict(least)
    # A title says more than the name of the transaction.
    for name in ("TITLE", "TRANSACTION"):
        if name in widths:
            more = max(0, min(natural[name] - widths[name], room))
            widths[name] += more
            room -= more
    return widths
