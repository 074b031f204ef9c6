"""What an ini needs to load a Pecan application by its configuration file."""

from pecan import load_app


def make_app(global_conf, config):
    return load_app(config)
