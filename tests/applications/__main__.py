"""``python -m applications FOLDER``: install, compare, print two tables; exit 1 if anything differs."""

import argparse
import sys
import traceback
from pathlib import Path

from applications import catalogue, served, suites
from applications.environments import Workshop

_ROOT = Path(__file__).parents[2]


def main():
    parser = argparse.ArgumentParser(prog="python -m applications")
    parser.add_argument("folder", type=Path, help="for what is installed; it must be empty or not exist")
    parser.add_argument("--project", default=_ROOT, help="a wheel of the filter, or the folder of a clone")
    parser.add_argument("--sdk", default="sentry-sdk<3", help="the requirement for sentry-sdk")
    parser.add_argument("--only", nargs="+", default=(), metavar="TITLE", help="of applications and suites")
    options = parser.parse_args()
    workshop = Workshop(options.folder, options.project, options.sdk)
    failed = False
    for headings, check, entries in (
        (served.HEADINGS, served.check, catalogue.APPLICATIONS),
        (suites.HEADINGS, suites.check, suites.SUITES),
    ):
        chosen = [entry for entry in entries if entry.title in options.only or not options.only]
        results = [_checked(check, entry, workshop) for entry in chosen]
        if chosen:
            _print_table([headings, *(result.row() for result in results if result)])
        for entry, result in zip(chosen, results):
            faults = ["could not be run"] if result is None else list(result.faults)
            for line in (*faults, *(result.known if result else ())):
                print(f"{entry.title}: {line}")
            failed = failed or bool(faults)
    return failed


def _checked(check, entry, workshop):
    print(f"... {entry.title}", file=sys.stderr, flush=True)
    try:
        return check(entry, workshop)
    except Exception:
        # The others still run.
        traceback.print_exc()
        return None


def _print_table(rows):
    widths = [max(map(len, column)) for column in zip(*rows)]
    for row in [rows[0], ["=" * width for width in widths], *rows[1:]]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
