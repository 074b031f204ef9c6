"""Options from ``SENTRY_PASTE_<OPTION>`` variables and a file of their own, for ``sentry-paste run``.

Highest first: the variables, the section of the file, ``sentry.NAME`` in its ``[DEFAULT]``, the
``SENTRY_*`` variables that the SDK reads, the default.
"""

from __future__ import annotations

import configparser
import difflib
import os
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from paste.deploy import loadwsgi

from sentry_paste import sdk
from sentry_paste.config.aliases import ALIASES, OBSOLETE
from sentry_paste.config.errors import ConfigError, Problem
from sentry_paste.config.families import DATA_COLLECTION, EVENT_SCRUBBER, family_of
from sentry_paste.config.options import options
from sentry_paste.config.reader import read_raw
from sentry_paste.config.settings import Settings
from sentry_paste.config.sources import RawOption, RawOptions, collect
from sentry_paste.sdk.failures import warn

#: The beginning of the variables' names. After it two underscores stand for a dot.
PREFIX = "SENTRY_PASTE_"
#: The variable that names the file.
CONFIG = "SENTRY_PASTE_CONFIG"

_OURS = re.compile(r"egg:sentry[-_.]paste(#.*)?", re.IGNORECASE)
#: The sections of the file that may have the options, in order of precedence.
SECTIONS = ("filter:sentry", "sentry")

_MEMBERS = frozenset(
    [f"data_collection.{key}" for key in DATA_COLLECTION]
    + [f"event_scrubber.{key}" for key in EVENT_SCRUBBER]
)
_FREE_FAMILIES = frozenset({"_experiments", "contexts", "integration", "proxy_headers", "tags"})


def variable_of(name: str) -> str:
    """Return the variable of an option.

    Args:
        name: of the option.
    """
    return PREFIX + name.replace(".", "__").upper()


def read_environment(environment: Mapping[str, str]) -> Settings:
    """Read the options from the variables, and from the file that ``SENTRY_PASTE_CONFIG`` names.

    Paths are relative to the file, or to the current directory if there is no file.

    Args:
        environment: the variables.

    Raises:
        ConfigError: a variable names no option, an option has a wrong value or names what cannot be imported,
            or the file cannot be read.
    """
    return read_raw(collect_environment(environment))


def collect_environment(environment: Mapping[str, str]) -> RawOptions:
    """Collect the options from the variables and the file.

    Args:
        environment: the variables.

    Raises:
        ConfigError: the file cannot be read.
    """
    path = environment.get(CONFIG, "")
    raw = _read_file(path) if path else RawOptions("environment", os.getcwd(), {}, [], [])
    for variable, value in environment.items():
        if not variable.startswith(PREFIX) or variable == CONFIG or not value.strip():
            continue
        name = variable[len(PREFIX) :].lower().replace("__", ".")
        if _is_known(name):
            if "%(here)s" in value:
                warn("%s: %%(here)s is replaced only in a file, not in a variable", variable)
            raw.given[name] = RawOption(
                name, variable, value, f"environment {variable}", fallback=raw.given.get(name)
            )
        else:
            raw.problems.append(Problem(variable, None, _unknown(variable)))
    return raw


def _is_known(name: str) -> bool:
    known = name in options() and name.isidentifier()
    old = name in ALIASES or name in OBSOLETE or name in sdk.NEW_IN
    return known or old or name in _MEMBERS or family_of(name) in _FREE_FAMILIES


def _unknown(variable: str) -> str:
    # Without the common prefix, which would make all of them similar.
    known = [variable_of(name)[len(PREFIX) :] for name in (*options(), *_MEMBERS) if "NAME" not in name]
    nearest = difflib.get_close_matches(variable[len(PREFIX) :].upper(), [*known, "CONFIG"], n=1, cutoff=0.7)
    hint = f"; did you mean {PREFIX}{nearest[0]}?" if nearest else ""
    return f"is not the variable of an option of sentry_paste or of sentry-sdk {sdk.VERSION}{hint}"


def _read_file(path: str) -> RawOptions:
    path = os.path.abspath(path)
    try:
        loader = loadwsgi.ConfigLoader(path)
        found = [name for name in SECTIONS if loader.parser.has_section(name)]
        if not found:
            _refuse(path, "has no section [filter:sentry] or [sentry]")
        section = found[0]
        if len(found) > 1:
            warn("%s has [filter:sentry] and [sentry]: only the options of the first are read", path)
        return collect(*_options_of(loader, section), section)
    except OSError as error:
        _refuse(path, f"cannot be read: {error.strerror}")
    except UnicodeDecodeError:
        _refuse(path, "is not encoded in UTF-8")
    except configparser.InterpolationError as error:
        # Not the parser's own text, which quotes the value: that may be a secret.
        _refuse(path, f"has a percent sign in {error.option} that is not %(NAME)s of [DEFAULT]; write %%")
    except configparser.Error as error:
        line = getattr(error, "lineno", None)
        _refuse(path, f"cannot be parsed{f': see line {line}' if line else ''} ({type(error).__name__})")
    except (LookupError, ImportError) as error:
        _refuse(path, f"cannot be loaded: {error}")


def _options_of(loader: Any, section: str) -> tuple[dict[str, str], dict[str, str]]:
    """Return what PasteDeploy passes to a factory, also for a section that says nothing of one."""
    if section.startswith("filter:") and loader.parser.has_option(section, "use"):
        context = loader.get_context(loadwsgi.FILTER, section.rpartition(":")[2])
        if getattr(context.object, "__module__", "") != "sentry_paste.factories":
            _refuse(loader.filename, f"has a section [{section}] that is not of egg:sentry_paste")
        return context.global_conf, context.local_conf
    use = loader.parser.get(section, "use", fallback="").strip()
    if use and not _OURS.fullmatch(use):
        reason = (
            f"has use in [{section}], which inherits nothing; name the section [filter:sentry], which does"
        )
        _refuse(loader.filename, reason)
    defaults = loader.parser.defaults()
    local = {key: loader.parser.get(section, key) for key in loader.parser.options(section)}
    left_out = {*defaults, "use", "paste.filter_factory"}
    return defaults, {key: value for key, value in local.items() if key not in left_out}


def _refuse(path: str, reason: str) -> NoReturn:
    raise ConfigError(path, [Problem(CONFIG, path, reason)]) from None
