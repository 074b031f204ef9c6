"""``sentry-paste spool``: list, show, send, requeue and remove the files of a spool directory."""
