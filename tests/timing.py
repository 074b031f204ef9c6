"""How long something takes, on a machine that has other things to do."""

import time


def cpu_seconds(work, bound):
    """Return the processor's time that a call takes: the shortest of three, unless one is below the bound.

    What else the machine does makes it longer, as they share caches; other threads count as well.
    """
    least = float("inf")
    for _ in range(3):
        begun = time.process_time()
        work()
        least = min(least, time.process_time() - begun)
        if least < bound:
            break
    return least
