"""Processes on a simulated disk, with simulated clocks, are interrupted, killed and failed at every call.

``SENTRY_PASTE_STEPS=1000000`` makes a million calls. A failure says its seed, and
``SENTRY_PASTE_SEED=... pytest tests/spool/test_simulation.py`` repeats it.
"""

import logging
import os

import pytest

from simulated_spool import simulate

STEPS = int(os.environ.get("SENTRY_PASTE_STEPS", "30000"))
SEED = int(os.environ.get("SENTRY_PASTE_SEED", "0"))


@pytest.fixture(autouse=True)
def _no_warnings():
    logging.disable(logging.CRITICAL)


def test_nothing_is_lost_or_miscounted_whatever_a_seed_chooses():
    if SEED:
        simulate(SEED)
        return
    steps = seed = 0
    while steps < STEPS:
        seed += 1
        steps += simulate(seed).computer.steps


def test_a_seed_repeats_a_run():
    runs = [simulate(seed) for seed in (7, 7, 8)]
    found = [(run.computer.steps, run.computer.now, sorted(run.sentry.accepted)) for run in runs]
    assert found[0] == found[1] != found[2]
