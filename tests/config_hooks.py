"""Hooks that test inis name."""


def hook(event, hint):
    return event


not_callable = 5
