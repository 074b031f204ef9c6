"""Changes to an ini that may be advised, in order of preference; ``Trial`` finds out which of them work."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sentry_paste.cli.check.edits import Edit, EditError, new_section, remove, rename, write
from sentry_paste.cli.check.files import Files, Place
from sentry_paste.cli.check.structure import INCLUDES, Layer, Structure
from sentry_paste.cli.check.stubs import Loss, Uncallable
from sentry_paste.cli.check.trial import Change, Goal, Trial, inherits

#: Options of a new filter.
NEW_FILTER = ("use = egg:sentry_paste", "dsn = ${SENTRY_DSN}")


def add_sentry(trial: Trial, structure: Structure, name: str, section: Edit | None) -> Iterator[Change]:
    """Yield changes that put a filter around everything.

    Args:
        trial: with the files.
        structure: structure of the ini.
        name: name of the filter.
        section: what to do to its section first, None for nothing.
    """
    path, main = structure.path, Place(structure.path, structure.section)
    more = () if section is None else (section,)
    # With filter-with, PasteDeploy would drop what sections that inherit from this one set one day.
    is_inherited = any(inherits(trial.files, heir) == (path, main.name) for heir in trial.heirs)
    around = list(_filter_around(trial, structure, name, more))
    if not is_inherited:
        yield from around
    inner = _inner_name(trial.files, main)
    if section is None:
        own = Place(path, f"filter:{name}")
        composite = _composite_of(trial.files, own, main.name, app=inner)
    elif section.added:
        composite = new_section(path, f"composite:{main.name}", *NEW_FILTER, f"app = {inner}")
    else:
        options = (*section.options, ("app", inner))
        composite = replace(section, title=f"composite:{main.name}", options=options)
    renamed = [
        edit
        for one in _renamed(trial, main, f"{main.kind}:{inner}")
        for edit in (
            # With the app alone, it would have no Sentry.
            _composite_users(trial.files, [(one.place,)], inner) if _inherits_all(trial, path, one) else [one]
        )
    ]
    yield Change("", (composite, *renamed), Goal.ALL)
    if is_inherited:
        yield from around
    yield from _pipeline_around(trial, main, name, more)


def _inner_name(files: Files, place: Place) -> str:
    """Return a name for what a section has now, if something around it takes the section's own."""
    taken = {Place(place.path, section).name for section in files.parser(place.path).sections()}
    names = (f"{place.name}-app{number}" for number in ("", *range(2, len(taken) + 3)))
    return next(name for name in names if name not in taken)


def _filter_around(
    trial: Trial, structure: Structure, name: str, more: tuple[Edit, ...] = ()
) -> Iterator[Change]:
    outermost = Place(structure.path, structure.outermost)
    if outermost.kind == "pipeline":
        words = [word for word in _pipeline(trial.files, outermost) if word != name]
        first = write(outermost, pipeline=" ".join([name, *words]))
        yield Change(f"put {name} first in [{outermost.section}]", (*more, first), Goal.ALL)
    else:
        line = write(outermost, filter_with=name)
        yield Change(f"write filter-with = {name} in [{outermost.section}]", (*more, line), Goal.ALL)


def _pipeline_around(
    trial: Trial, main: Place, name: str, more: tuple[Edit, ...] = (), *removed: str
) -> Iterator[Change]:
    """Yield a pipeline of a filter and an app, which gets a section of its own."""
    inner = _inner_name(trial.files, main)
    pipeline = new_section(main.path, f"pipeline:{main.name}", f"pipeline = {name} {inner}")
    yield Change(
        f"write [pipeline:{main.name}] with pipeline = {name} {inner}, and rename [{main.section}] to "
        f"[{main.kind}:{inner}]" + "".join(f", without {key}" for key in removed),
        (*more, pipeline, *_renamed(trial, main, f"{main.kind}:{inner}", *removed)),
        Goal.ALL,
    )


def _renamed(trial: Trial, place: Place, title: str, *removed: str) -> Iterator[Edit]:
    """Yield the edits that rename a section, and refer to it by its new name where it is inherited."""
    yield rename(place, title, *removed)
    name = title.partition(":")[2]
    users = [Place(place.path, section) for section in trial.files.parser(place.path).sections()]
    for user in (*users, *trial.heirs):
        if user != place and inherits(trial.files, user) == (place.path, place.name):
            yield write(user, use=_refer(trial.files, user, name))


def _inherits_all(trial: Trial, path: str, edit: Edit) -> bool:
    """Return whether an edit is to a section of another file that sets nothing."""
    if edit.place.path == path:
        return False
    parser = trial.files.parser(edit.place.path)
    defaults = parser.defaults()
    options = parser.items(edit.place.section, raw=True)
    return [key for key, value in options if defaults.get(key) != value] == ["use"]


def _refer(files: Files, user: Place, name: str) -> str:
    """Return the value of ``use`` that refers to another section of the same file."""
    use: str = files.parser(user.path).get(user.section, "use", raw=True).strip()
    return f"{use.partition('#')[0]}#{name}" if use.startswith("config:") else name


def _pipeline(files: Files, place: Place) -> list[str]:
    parser = files.parser(place.path)
    if not parser.has_option(place.section, "pipeline"):
        raise EditError(f"[{place.section}] has no pipeline")
    words: list[str] = parser.get(place.section, "pipeline").split()
    return words


def move_outermost(
    trial: Trial, structure: Structure, outside: tuple[Layer, ...], sentry: Layer
) -> Iterator[Change]:
    """Yield changes that put a filter around everything instead of where it is.

    Args:
        trial: with the files.
        structure: structure of the ini.
        outside: layers around the filter.
        sentry: the filter.
    """
    if sentry.placed == INCLUDES:
        new = (new_section(structure.path, "filter:sentry", *NEW_FILTER),)
        for change in _filter_around(trial, structure, "sentry", new):
            yield Change(f"add a [filter:sentry], and {change.phrase}", change.edits, Goal.ALL)
        return
    place = Place(sentry.path, sentry.placed_in)
    if sentry.placed == "pipeline":
        place = _pipeline_of(trial, sentry)
    catcher = next((layer.name for layer in outside if layer.is_catcher), "")
    if catcher:
        words = [word for word in _pipeline(trial.files, place) if word != sentry.name]
        if catcher in words:
            words.insert(words.index(catcher) + 1, sentry.name)
            yield Change(
                f"put {sentry.name} right after {catcher}", (write(place, pipeline=" ".join(words)),)
            )
        return
    taken: tuple[Edit, ...] = ()
    if sentry.placed == "pipeline" and place != Place(structure.path, structure.outermost):
        words = [word for word in _pipeline(trial.files, place) if word != sentry.name]
        taken = (write(place, pipeline=" ".join(words)),)
    elif sentry.placed == "filter-with":
        taken = (remove(place, "filter-with"),)
    for change in _filter_around(trial, structure, sentry.name, taken):
        yield Change(change.phrase + (" instead" if taken else ""), change.edits, Goal.ALL)
    main = Place(structure.path, structure.section)
    if sentry.placed == "filter-with" and place == main:
        return
    for change in _pipeline_around(trial, main, sentry.name, taken):
        yield change


def cover_all(trial: Trial, structure: Structure, sentry: Layer) -> Iterator[Change]:
    """Yield changes that put a filter around everything, in addition to where it is.

    Args:
        trial: with the files.
        structure: structure of the ini.
        sentry: one of our filters.
    """
    if sentry.placed in ("pipeline", "filter-with") and sentry.section.startswith("filter:"):
        yield from _filter_around(trial, structure, sentry.name)
        yield from _pipeline_around(trial, Place(structure.path, structure.section), sentry.name)
    else:
        for change in _filter_around(
            trial,
            structure,
            "sentry",
            (new_section(structure.path, "filter:sentry", *NEW_FILTER),),
        ):
            yield Change(f"add a [filter:sentry], and {change.phrase}", change.edits, Goal.ALL)


def make_callable(trial: Trial, found: Uncallable) -> Iterator[Change]:
    """Yield changes for a section of which PasteDeploy makes no app.

    Args:
        trial: with the files.
        found: the section.
    """
    place, name = found.place, found.filter_with
    if place.kind == "pipeline":
        words = [name, *_pipeline(trial.files, place)]
        edit = Edit(place, options=(("pipeline", " ".join(words)),), removed=("filter-with",))
        yield Change(f"put {name} first in its pipeline, in place of filter-with", (edit,), Goal.SAME)
    for change in _pipeline_around(trial, place, name, (), "filter-with"):
        yield Change(change.phrase, change.edits, Goal.SAME)


def start_first(trial: Trial, layer: Layer) -> Iterator[Change]:
    """Yield changes that start Sentry before the app.

    Args:
        trial: with the files.
        layer: one of our filters, in a pipeline or as a filter app.
    """
    files = trial.files
    if layer.placed == "filter-app":
        place = Place(layer.path, layer.section)
        app = files.parser(place.path).get(place.section, "next").strip()
        yield Change("", (_composite_of(files, place, place.name, "next", app=app),), Goal.SAME)
    elif layer.placed == "pipeline":
        place = _pipeline_of(trial, layer)
        inner = _inner_name(files, place)
        words = [word for word in _pipeline(files, place) if word != layer.name]
        if layer.section:
            composite = _composite_of(files, Place(layer.path, layer.section), place.name, app=inner)
        else:
            lines = f"use = {layer.spec}", f"app = {inner}"
            composite = new_section(place.path, f"composite:{place.name}", *lines)
        pipeline = rename(place, f"pipeline:{inner}", pipeline=" ".join(words))
        pipeline = replace(pipeline, remark=f"without {layer.name}")
        yield Change("", (composite, pipeline), Goal.SAME)


def _pipeline_of(trial: Trial, layer: Layer) -> Place:
    """Return the pipeline that a filter is in; its place may be a section that inherits it."""
    for path in dict.fromkeys((trial.path, layer.path)):
        parser = trial.files.parser(path)
        for section in (layer.placed_in, *parser.sections()):
            if section.startswith("pipeline:") and layer.name in _words(parser, section):
                return Place(path, section)
    raise EditError(f"no pipeline has {layer.name}")


def _words(parser: Any, section: str) -> list[str]:
    words: list[str] = parser.get(section, "pipeline", fallback="").split()
    return words


def make_ours(files: Files, place: Place) -> Edit:
    """Return the edit that makes another filter ours.

    Args:
        files: the files.
        place: the filter's section.
    """
    options = dict(files.parser(place.path).items(place.section, raw=True))
    factories = [key for key in options if key.startswith("paste.filter") and key.endswith("factory")]
    spec = options.get("use") or next((options[key] for key in factories), "")
    use = (("use", "egg:sentry_paste"),)
    return Edit(place, options=use, removed=tuple(factories), remark=f"in place of {spec}" if spec else "")


def replace_entry(files: Files, path: str, spec: str) -> Iterator[Edit]:
    """Yield the edits that write ours for another filter in the pipelines of a file.

    Args:
        files: the files.
        path: of the file.
        spec: the entry, such as ``egg:raven``.
    """
    parser = files.parser(path)
    for section in parser.sections():
        words = _words(parser, section)
        if spec in words:
            changed = ["egg:sentry_paste" if word == spec else word for word in words]
            yield write(Place(path, section), pipeline=" ".join(changed))


def restore_options(trial: Trial, loss: Loss) -> Iterator[Change]:
    """Yield changes after which lost options reach the app or filter that they are written for.

    Args:
        trial: with the files.
        loss: the options; those that other sections lose to the same one are restored, too.
    """
    base, files = loss.base, trial.files
    parser = files.parser(base.path)
    if base.kind == "filter" or not parser.has_section(base.section):
        return
    options = dict(parser.items(base.section))
    inner = _inner_name(files, base)
    everyone = [use.users for use in trial.uses(base)]
    losers = [other.users for other in trial.losses() if other.base == base]
    if loss.how == "composite":
        app = options.get("app", "").strip()
        yield Change("", tuple(_composite_users(files, losers, app)), Goal.SAME, base)
    elif loss.how == "pipeline":
        *filters, app = _pipeline(files, base)
        yield Change("", tuple(_pipeline_users(files, base, losers, filters, app)), Goal.SAME, base)
    elif loss.how == "filter-app":
        app = options["next"].strip()
        edit = _composite_of(files, base, base.name, "next", app=app)
        yield Change("", (edit, *_composite_users(files, everyone, app)), Goal.SAME, base)
        name = options.get("use", "").strip()
        if name and ":" not in name:  # of a [filter:...], of which no composite can be made here
            yield Change("", tuple(_pipeline_users(files, base, losers, [name], app)), Goal.SAME, base)
    else:
        name = options["filter-with"].strip()
        app_edit = rename(base, f"{base.kind}:{inner}", "filter-with")
        own = Place(base.path, f"filter:{name}")
        if parser.has_section(own.section):
            composite = _composite_of(files, own, base.name, app=inner)
            users = _composite_users(files, everyone, inner)
            yield Change("", (composite, app_edit, *users), Goal.SAME, base)
        pipeline = new_section(base.path, f"pipeline:{base.name}", f"pipeline = {name} {inner}")
        users = _pipeline_users(files, base, everyone, [name], inner)
        yield Change("", (app_edit, pipeline, *users), Goal.SAME, base)


def _composite_of(files: Files, place: Place, name: str, *removed: str, app: str) -> Edit:
    """Return the edit that makes our composite of the section of our filter."""
    options = files.parser(place.path).items(place.section, raw=True)
    factories = [key for key, _ in options if key.startswith("paste.filter") and key.endswith("factory")]
    use = {"use": "egg:sentry_paste"} if factories else {}
    return rename(place, f"composite:{name}", *removed, *factories, **use, app=app)


def _chains(files: Files, users: list[tuple[Place, ...]], app: str) -> Iterator[tuple[Place, str]]:
    """Yield each section of chains of sections that inherit, with the name of the app that it inherits."""
    seen = set()
    for chain in users:
        inherited = app
        for user in chain:
            if user not in seen:
                yield user, inherited
            seen.add(user)
            inherited = _inner_name(files, user)


def _composite_users(files: Files, users: list[tuple[Place, ...]], app: str) -> Iterator[Edit]:
    """Yield the edits to sections that inherit: one then inherits Sentry, and another the app."""
    for user, inherited in _chains(files, users, app):
        inner = _inner_name(files, user)
        use = files.parser(user.path).get(user.section, "use", raw=True).strip()
        yield new_section(user.path, f"composite:{user.name}", f"use = {use}", f"app = {inner}")
        yield rename(user, f"{user.kind}:{inner}", use=_refer(files, user, inherited))


def _pipeline_users(
    files: Files, base: Place, users: list[tuple[Place, ...]], filters: list[str], app: str
) -> Iterator[Edit]:
    """Yield the edits to sections that inherit: each file has the pipeline, and inherits what is in it."""
    added = set()
    for user, inherited in _chains(files, users, app):
        inner = _inner_name(files, user)
        line = " ".join(["pipeline =", *filters, inner])
        yield new_section(user.path, f"pipeline:{user.name}", line)
        for name in filters:
            title = f"filter:{name}"
            has_own = user.path == base.path or files.parser(user.path).has_section(title)
            if ":" not in name and not has_own and (user.path, name) not in added:
                yield new_section(user.path, title, f"use = {_refer(files, user, name)}")
                added.add((user.path, name))
        yield rename(user, f"{user.kind}:{inner}", use=_refer(files, user, inherited))
