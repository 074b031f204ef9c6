"""The command line: ``sentry-paste check``, ``send-test``, ``sample`` and ``spool``."""
