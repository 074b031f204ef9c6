"""What a function costs in steps of Python code: the same however slow or busy the machine is.

A call of C code, such as a search with a regular expression, is none, however long it takes.
"""

import gc
import sys


def steps_of(work):
    """Call a function, and return how many lines, calls and returns of Python code run in this thread."""
    steps = 0

    def trace(frame, event, arg):
        nonlocal steps
        steps += 1
        return trace

    # Finalizers of what other tests have left behind would run in between.
    had_gc = gc.isenabled()
    gc.disable()
    # That of coverage or of a debugger.
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
        if had_gc:
            gc.enable()
    return steps
