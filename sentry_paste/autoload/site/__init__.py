"""The folder that ``sentry-paste run`` puts first on ``PYTHONPATH``."""
