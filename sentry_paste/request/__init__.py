"""One request, from the call of the app to the last byte: scopes, trace, events and body."""
