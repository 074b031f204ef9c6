"""Pure functions of a WSGI environ, without the SDK."""
