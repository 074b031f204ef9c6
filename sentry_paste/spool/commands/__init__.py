"""What the command line does with a spool: look into it, send it, requeue and purge.

``survey`` looks and changes nothing; ``sending`` sends what waits, through ``courier``;
``tending`` decides which files wait again or go. None of them prints.
"""
