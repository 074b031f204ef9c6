"""Simulate whether many processes overload a Sentry that comes back: ``python -m benchmarks.herd``.

This is a simulation of discrete events: no real time passes, nothing is sent. Each host has a spool
directory, which one of the host's workers empties; all capture errors all the time. Their server is away for
an hour, then accepts so many envelopes a second, and refuses more at once. The spool's own classes decide who
waits.
"""

from __future__ import annotations

import argparse
import heapq
import importlib
import random
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sentry_paste.spool.backoff import FRESH, LONGEST, LONGEST_LIVE, Backoff, Pace

#: Seconds: the server is away from the beginning on.
OUTAGE = 3600.0
#: Seconds after the return during which the waits of live errors are recorded.
WATCHED = 900.0
#: Seconds from one live error of a process to the next, on average.
BETWEEN = 30.0
#: The server's capacity as a multiple of the envelopes captured, and the seconds' worth of them that it
#: accepts at one moment.
CAPACITY, BURST = 6.0, 0.1
#: Envelopes a second that one sender sends at most.
RATE = 100.0
#: Seconds after which, at the latest, a sender looks again into a directory that was empty.
IDLE = 10.0

# Not a sender: the capture of the next live error.
_CAPTURE = -1


class FullSpeed(Pace):
    """A pace that failures do not slow down."""

    def failed(self) -> None:
        """Go on as before."""


@dataclass(frozen=True)
class Policy:
    """How processes behave.

    Attributes:
        title: what it is called.
        live: seconds that waits of what is captured just now are chosen below at last.
        backlog: the same of what lies in the directory.
        jitter: whether waits are randomised.
        pace: how fast a sender goes.
    """

    title: str
    live: float = LONGEST_LIVE
    backlog: float = LONGEST
    jitter: bool = True
    pace: type[Pace] = Pace


POLICIES = (
    Policy("with back-off"),
    Policy("without jitter", jitter=False),
    # One second after each failure, none for new errors.
    Policy("without back-off", live=0.0, backlog=1.0, jitter=False, pace=FullSpeed),
)


class Server:
    """A server that is away at first, then accepts as many envelopes a second as its capacity."""

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self._most = max(capacity * BURST, 1.0)
        self._room, self._seen = self._most, OUTAGE
        self.offered: Counter[int] = Counter()
        self.taken: Counter[int] = Counter()

    def takes(self, now: float) -> bool:
        """Return whether an envelope sent now is accepted."""
        self.offered[int(now)] += 1
        if now < OUTAGE:
            return False
        self._room = min(self._room + (now - self._seen) * self.capacity, self._most)
        self._seen = now
        if self._room < 1.0:
            return False
        self._room -= 1.0
        self.taken[int(now)] += 1
        return True


@dataclass
class Sender:
    """The process of a host that empties its directory: what is in it, and when to send it."""

    backoff: Backoff
    pace: Pace
    backlog: deque[float] = field(default_factory=deque)
    due: float | None = None


class Herd:
    """All the processes and their server.

    Args:
        policy: how they behave.
        hosts: each with a directory.
        workers: processes of a host.
        seed: of the random numbers.
        fresh: seconds; what was captured so lately goes before the rest of a directory.
    """

    def __init__(self, policy: Policy, hosts: int, workers: int, seed: int = 1, fresh: float = FRESH) -> None:
        self.server = Server(hosts * workers / BETWEEN * CAPACITY)
        self.now = 0.0
        self.captured = self.sent = 0
        #: Seconds from the return on until nothing that was captured before is left.
        self.gone: float | None = None
        #: Seconds of each error captured in the watched time, shortest first at the end.
        self.waits: list[float] = []
        self._fresh = fresh
        self._chance = random.Random(seed)
        jitter = self._chance.random if policy.jitter else lambda: 1.0

        def backoff(longest: float) -> Backoff:
            return Backoff(longest, lambda: self.now, jitter)

        self._live = [backoff(policy.live) for _ in range(hosts * workers)]
        self._senders = [Sender(backoff(policy.backlog), policy.pace(RATE)) for _ in range(hosts)]
        self._events: list[tuple[float, int]] = []
        self._old = 0

    def run(self) -> Herd:
        """Process events until nothing is left to send."""
        self._capture_later()
        while self._events:
            self.now, who = heapq.heappop(self._events)
            if who == _CAPTURE:
                self._capture()
            else:
                self._send(who)
        self.waits.sort()
        return self

    def _after(self, seconds: float, who: int) -> None:
        heapq.heappush(self._events, (self.now + seconds, who))

    def _capture_later(self) -> None:
        """Let another error be captured, until the backlog is gone and the watched time over."""
        if self.gone is None or self.now < OUTAGE + WATCHED:
            self._after(self._chance.expovariate(len(self._live) / BETWEEN), _CAPTURE)

    def _capture(self) -> None:
        """Let one of the processes capture an error."""
        process = self._chance.randrange(len(self._live))
        backoff = self._live[process]
        self.captured += 1
        if not backoff.remaining() and self._try(backoff):
            self._taken(self.now)
            self._wake(process % len(self._senders))
        else:
            self._keep(process % len(self._senders))
        self._capture_later()

    def _keep(self, host: int) -> None:
        """Put a new error into a host's directory."""
        sender = self._senders[host]
        sender.backlog.append(self.now)
        self._old += self.now < OUTAGE
        if sender.due is None:
            self._send_later(host, max(IDLE * self._chance.random(), sender.backoff.remaining()))

    def _wake(self, host: int) -> None:
        """End a host's wait: the server has accepted a new error."""
        sender = self._senders[host]
        if sender.due is not None and sender.backoff.remaining():
            sender.backoff.succeeded()
            self._send_later(host, sender.pace.interval())

    def _send_later(self, host: int, seconds: float) -> None:
        self._senders[host].due = self.now + seconds
        self._after(seconds, host)

    def _try(self, backoff: Backoff) -> bool:
        taken = self.server.takes(self.now)
        (backoff.succeeded if taken else backoff.failed)()
        return taken

    def _send(self, host: int) -> None:
        """Let a host's sender send one envelope."""
        sender = self._senders[host]
        if sender.due != self.now:
            return  # woken meanwhile
        if self._try(sender.backoff):
            sender.pace.succeeded()
            is_fresh = self.now - sender.backlog[-1] < self._fresh
            self._taken(sender.backlog.pop() if is_fresh else sender.backlog.popleft(), 1)
        else:
            sender.pace.failed()
        if sender.backlog:
            self._send_later(host, max(sender.backoff.remaining(), sender.pace.interval()))
        else:
            sender.due = None

    def _taken(self, captured: float, kept: int = 0) -> None:
        """Count an accepted envelope, from a directory or not."""
        self.sent += 1
        if captured < OUTAGE:
            self._old -= kept
        elif captured < OUTAGE + WATCHED:
            self.waits.append(self.now - captured)
        if not self._old and self.gone is None and self.now >= OUTAGE:
            self.gone = self.now - OUTAGE

    def load(self, begin: int, end: int) -> float:
        """Return the requests per second between two seconds, counted from the return on."""
        return sum(self.server.offered[int(OUTAGE) + second] for second in range(begin, end)) / (end - begin)


def summary(herd: Herd) -> dict[str, str]:
    """Return the figures of a simulation."""
    gone = herd.gone or 0.0
    recovery = range(int(OUTAGE), int(OUTAGE + gone) + 1)
    offered = [herd.server.offered[second] for second in recovery]
    taken = sum(herd.server.taken[second] for second in recovery)
    waits, last = herd.waits or [0.0], max(len(herd.waits) - 1, 0)
    return {
        "requests while it is away": f"{herd.load(-1800, 0):,.0f}/s",
        "requests after, peak": f"{max(offered):,}/s",
        "share of them refused": f"{1 - taken / sum(offered):.1%}",
        "until the backlog is gone": f"{gone:.0f} s",
        "wait of live errors, median": f"{waits[last // 2]:.1f} s",
        "99 %": f"{waits[int(last * 0.99)]:.1f} s",
        "99.9 %": f"{waits[int(last * 0.999)]:.1f} s",
        "longest": f"{waits[last]:.1f} s",
        "errors captured": f"{herd.captured:,}",
        "errors lost": f"{herd.captured - herd.sent:,}",
    }


def report(herds: dict[str, Herd]) -> None:
    """Print the results, with a column for each policy."""

    def row(title: str, columns: Iterable[str]) -> None:
        print(f"{title:28}" + "".join(f"{column:>18}" for column in columns))

    row("", herds)
    figures = [summary(herd) for herd in herds.values()]
    for title in figures[0]:
        row(title, (column[title] for column in figures))
    print("\nrequests a second, by minutes from the return on")
    for begin in range(0, int(max(herd.gone or 0.0 for herd in herds.values())) + 1, 60):
        row(str(begin // 60 + 1), (f"{herd.load(begin, begin + 60):,.0f}" for herd in herds.values()))


def plot(herds: dict[str, Herd], file: Path) -> None:
    """Draw the load on the server, from some minutes before its return until the backlog is gone."""
    # Only needed for drawing.
    matplotlib: Any = importlib.import_module("matplotlib")
    grey, step = "#808080", 5
    names = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color")
    matplotlib.rcParams.update(dict.fromkeys(names, grey) | {"svg.fonttype": "none", "svg.hashsalt": "herd"})
    figure: Any = importlib.import_module("matplotlib.figure").Figure((8, 4), layout="tight")
    axes = figure.subplots()
    begins = range(-300, int(max(herd.gone or 0.0 for herd in herds.values())) + 120, step)
    for (title, herd), colour in zip(herds.items(), ("#2a9d8f", "#e07a3f")):
        loads = [herd.load(begin, begin + step) for begin in begins]
        axes.plot([begin / 60 for begin in begins], loads, color=colour, linewidth=1.2, label=title)
    axes.axhline(herd.server.capacity, color=grey, linestyle="--", linewidth=1, label="capacity")
    axes.set(xlabel="minutes from the server's return on", ylabel="requests a second", ylim=(0, None))
    axes.set_xticks(range(-5, begins[-1] // 60 + 1, 5 if begins[-1] > 1800 else 1))
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(0.8, 0.05))
    figure.savefig(file, transparent=True, metadata={"Date": None})


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.herd", description=__doc__)
    parser.add_argument("--hosts", type=int, default=500, help="default: 500")
    parser.add_argument("--workers", type=int, default=20, help="processes of a host (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="of what is left to chance (default: 1)")
    parser.add_argument(
        "--fresh", type=float, default=FRESH, help="seconds: what goes before the rest (default: %(default)g)"
    )
    parser.add_argument("--plot", type=Path, help="draw the load into this SVG file; needs matplotlib")
    return parser.parse_args()


def main() -> None:
    """Simulate each policy, and print the results."""
    options = arguments()
    fleet = (options.hosts, options.workers, options.seed, options.fresh)
    herds = {policy.title: Herd(policy, *fleet).run() for policy in POLICIES}
    capacity = herds["with back-off"].server.capacity
    print(
        f"{options.hosts} hosts of {options.workers} processes, an error of each in {BETWEEN:.0f} s;", end=" "
    )
    print(f"away for {OUTAGE:.0f} s, then {capacity:,.0f} envelopes/s\n")
    report(herds)
    if options.plot:
        plot({title: herds[title] for title in ("with back-off", "without back-off")}, options.plot)


if __name__ == "__main__":
    main()
