"""``sentry-paste check``: reads an ini file and says what is wrong with it, without starting the app."""
