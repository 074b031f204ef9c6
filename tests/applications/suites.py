"""Test suites of others, run with the filter around every app in them and without it."""

import json
import os
import shutil
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

_HERE = Path(__file__).parent

_PYRAMID_INTEGRATION = (
    "the SDK's Pyramid integration reads status_int of what an exception view returns; the tests' have none; "
    "they fail with sentry_sdk.init() alone as well, and pass without the integration"
)


@dataclass(frozen=True)
class Suite:
    """The tests of a release.

    Attributes:
        title: in the table.
        project: on PyPI.
        version: of the release; pinned, as ``differs`` is about it.
        packages: that its tests need as well.
        arguments: for pytest.
        files: of ours, by where they go in the sources: what the sdist leaves out.
        disabled: integrations of the SDK that are off.
        differs: tests that may have another result with the filter, each with the reason.
    """

    title: str
    project: str
    version: str
    packages: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict)
    disabled: str = ""
    differs: dict[str, str] = field(default_factory=dict)


_PYRAMID = ("pyramid", "2.1", ("webtest", "zope.component", "pytest"))

SUITES = (
    Suite("WebTest", "WebTest", "3.0.7", ("WebTest[tests]",)),
    Suite("WebOb", "WebOb", "1.8.11", ("WebOb[testing]",)),
    Suite(
        "Pyramid",
        *_PYRAMID,
        differs={
            f"tests/test_router.py::TestRouter::test_{name}": _PYRAMID_INTEGRATION
            for name in (
                "call_newrequest_evllist_exc_can_be_caught_by_exceptionview",
                "call_route_raises_exception_view",
                "call_route_raises_exception_view_specializing",
                "call_route_raises_route_exception_view",
                "call_route_raises_sub_exception_super_exception_view",
                "call_view_exception_propagating",
                "call_view_raises_exception_view",
                "call_view_raises_sub_exception_super_exception_view",
                "root_factory_raises_exception_view",
                "traverser_raises_exception_view",
            )
        },
    ),
    Suite("Pyramid, its integration off", *_PYRAMID, disabled="pyramid"),
    Suite("pyramid_tm", "pyramid_tm", "2.6", ("pyramid_tm[testing]",)),
    Suite("pyramid_retry", "pyramid_retry", "2.1.1", ("pyramid_retry[testing]",)),
    Suite(
        "TurboGears",
        "TurboGears2",
        "2.5.1",
        ("TurboGears2[testing]",),
        ("--no-cov",),
        # Its sdist lacks the tests' base module and data: those that need the data fail in both runs.
        files={"tests/__init__.py": "turbogears_init.py", "tests/base.py": "turbogears_base.py"},
    ),
)


@dataclass(frozen=True)
class Result:
    """What became of a suite.

    Attributes:
        suite: that ran.
        bare: the outcome of each test without the filter.
        wrapped: the same with the filter.
        counts: what went through the filter: requests, and what of them was captured.
        seconds: that both runs took.
    """

    suite: Suite
    bare: dict[str, str]
    wrapped: dict[str, str]
    counts: dict[str, int]
    seconds: float

    @property
    def changed(self):
        """The tests that have another outcome, and both."""
        return {
            test: (self.bare.get(test, "missing"), self.wrapped.get(test, "missing"))
            for test in sorted({*self.bare, *self.wrapped})
            if self.bare.get(test) != self.wrapped.get(test)
        }

    @property
    def faults(self):
        """What is wrong, a line each."""
        yield from (
            f"{test}: {before} without the filter, {after} with it"
            for test, (before, after) in self.changed.items()
            if test not in self.suite.differs
        )
        yield from (
            f"{test}: listed as different, and is not: remove it from the list"
            for test in self.suite.differs
            if test not in self.changed
        )
        if not all(self.counts.values()):
            yield f"nothing went through the filter: {self.counts}"

    @property
    def known(self):
        """The tests that differ as they may, with the reason, a line each."""
        differs = self.suite.differs
        for reason in dict.fromkeys(differs.values()):
            tests = [test for test in self.changed if differs.get(test) == reason]
            yield f"{len(tests)} tests differ as expected: {reason}"
            yield from (f"  {test}" for test in tests)

    def row(self):
        """The line of the table."""
        passed = [str(Counter(outcomes.values())["passed"]) for outcomes in (self.bare, self.wrapped)]
        others = Counter(outcome for outcome in self.bare.values() if outcome != "passed")
        return (
            f"{self.suite.title} {self.suite.version}",
            *passed,
            ", ".join(f"{count} {outcome}" for outcome, count in sorted(others.items())) or "-",
            str(len(self.changed)) if self.changed else "-",
            str(self.counts["requests"]),
            f"{self.seconds:.0f} s",
        )


HEADINGS = ("suite", "passed bare", "passed wrapped", "others, bare", "differ", "calls in the filter", "took")


def check(suite, workshop):
    """Install a suite and run it twice."""
    name = suite.title.replace(" ", "-").replace(",", "")
    environment = workshop.environment(suite.project, (f"{suite.project}=={suite.version}", *suite.packages))
    sources = workshop.sources(environment, suite.project, suite.version)
    for place, ours in suite.files.items():
        shutil.copy(_HERE / "files" / ours, sources / place)
    begin = time.monotonic()
    bare, _ = _outcomes(suite, environment, sources, workshop.folder / "suites" / f"{name}-bare")
    wrapped, counts = _outcomes(
        suite,
        environment,
        sources,
        workshop.folder / "suites" / f"{name}-wrapped",
        ("-p", "filter_around_apps"),
    )
    return Result(suite, bare, wrapped, counts, time.monotonic() - begin)


def _outcomes(suite, environment, sources, folder, plugin=()):
    # Tests leave files behind, so each run has sources of its own.
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(sources, folder / "sources")
    outcomes, counts, log = (folder / name for name in ("outcomes.json", "counts.json", "log"))
    foreign = ("SENTRY_", "PYTEST", "PYTHON")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    variables = {
        "PYTHONPATH": str(_HERE / "plugins"),
        "OUTCOMES": str(outcomes),
        "THROUGH_THE_FILTER": str(counts),
        "DISABLED_INTEGRATIONS": suite.disabled,
    }
    command = [environment / "python", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "outcomes"]
    with log.open("wb") as output:
        ended = subprocess.run(
            [*map(str, command), *plugin, *suite.arguments],
            cwd=folder / "sources",
            env={**clean, **variables},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=900,
        )
    # 1 is that tests have failed; what is more has kept tests from running.
    if ended.returncode not in (0, 1):
        raise RuntimeError(f"pytest ended with {ended.returncode}: see {log}")
    return tuple(
        json.loads(path.read_text(encoding="utf-8")) if path.exists() else {} for path in (outcomes, counts)
    )
