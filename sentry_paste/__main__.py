"""``python -m sentry_paste``: the command line."""

import sys

from sentry_paste.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
