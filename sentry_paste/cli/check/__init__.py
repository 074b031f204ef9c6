"""``sentry-paste check``: find what is wrong with an ini file without starting its app."""
