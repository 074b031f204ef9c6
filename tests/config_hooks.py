"""Hooks that test inis name."""


def hook(event, hint):
    return event


not_callable = 5
collection = {"user_info": True}
experiments = {"max_spans": 5}
