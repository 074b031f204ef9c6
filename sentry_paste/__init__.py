"""Sentry around the WSGI applications of an ini file."""
