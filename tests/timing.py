"""How long something takes, on a machine that has other things to do."""

import time


def cpu_seconds(work, bound):
    """Return the CPU time of a call in this thread: the shortest of three, unless one is below the bound.

    What else the machine does makes it longer, as caches are shared: a bound is 20 times the usual or more.
    """
    least = float("inf")
    for _ in range(3):
        begun = time.thread_time()
        work()
        least = min(least, time.thread_time() - begun)
        if least < bound:
            break
    return least
