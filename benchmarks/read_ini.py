"""Measure how long reading a section of forty options takes, including line numbers."""

from __future__ import annotations

import statistics
import tempfile
import time
from pathlib import Path

from sentry_paste.config import kinds, read_ini
from sentry_paste.config.options import default_text, options

REPEATS = 500


def forty_options() -> dict[str, str]:
    """Return forty options with values that need no import: defaults, and one of each kind that has none."""
    made_up = {
        kinds.BOOLEAN: "true",
        kinds.RATE: "0.5",
        kinds.COUNT: "5",
        kinds.TEXT: "text",
        kinds.NAMES: "a b",
    }
    found = {}
    for option in options().values():
        text = default_text(option) or made_up.get(option.kind, "")
        if text and option.name.isidentifier() and "integrations" not in option.name:
            found[option.name] = text.replace("%", "%%")
    return dict(list(found.items())[:40])


def main() -> None:
    """Print the median, and the first time, which finds the modules."""
    section = forty_options()
    with tempfile.TemporaryDirectory() as folder:
        ini = Path(folder, "app.ini")
        lines = [f"{name} = {text}" for name, text in section.items()]
        ini.write_text("\n".join(["[filter:sentry]", "use = egg:sentry_paste", *lines]), encoding="utf-8")
        times = []
        for _ in range(REPEATS):
            begin = time.perf_counter()
            read_ini({"here": folder, "__file__": str(ini)}, section)
            times.append((time.perf_counter() - begin) * 1000)
    median = statistics.median(times)
    print(f"{len(section)} options: {median:.2f} ms (median of {REPEATS}), first {times[0]:.2f} ms")


if __name__ == "__main__":
    main()
