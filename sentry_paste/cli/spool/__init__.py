"""``sentry-paste spool``: lists, shows, sends and deletes what waits in a spool directory."""
