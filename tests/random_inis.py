"""Inis by chance: sections of every kind around each other, across up to three files, with Sentry in some."""

import random

FILTERS = "[filter:gzip]\nuse = egg:gzip\nlevel = 1\n"
SENTRY = "[filter:sentry]\nuse = egg:sentry_paste\ndsn = http://key@127.0.0.1:9/1\n"


def write_random_inis(folder, seed):
    """Write base.ini, middle.ini and test.ini, or the last of them; return their texts by path."""
    chance = random.Random(seed)
    names = ["base.ini", "middle.ini", "test.ini"][chance.randint(0, 2) :]
    texts = {}
    for name in names:
        texts[folder / name] = _ini(chance, name, [path.name for path in texts])
    for path, text in texts.items():
        path.write_text(text)
    return texts


def _ini(chance, name, others):
    names = ["main", "a", "b", "c"][: chance.randint(1, 4)]
    sections = [FILTERS, SENTRY + ("filter-with = gzip\n" if chance.random() < 0.1 else "")]
    if others and chance.random() < 0.3:
        sections[1] = f"[filter:sentry]\nuse = config:{others[0]}#sentry\n"
    for number, title in enumerate(names):
        later = names[number + 1 :]
        options = f"db = {name} {title}\n" if chance.random() < 0.6 else ""
        options += f"set zone = {title}\n" if chance.random() < 0.15 else ""
        filter_with = f"filter-with = {chance.choice(['sentry', 'gzip'])}\n" if chance.random() < 0.3 else ""
        sections.append(_section(chance, title, later, others, options, filter_with))
    chance.shuffle(sections)
    return "".join(sections)


def _section(chance, title, later, others, options, filter_with):
    if others and chance.random() < 0.25:
        part = chance.choice(["", "#a"])
        return f"[app:{title}]\nuse = config:{chance.choice(others)}{part}\n{options}{filter_with}"
    kind = chance.choice(["app", "use", "pipeline", "filter-app", "urlmap", "ours"]) if later else "app"
    if kind == "app":
        factory = chance.choice(["use = egg:myapp", "paste.app_factory = myapp:main"])
        return f"[app:{title}]\n{factory}\n{options}{filter_with}"
    inner = chance.choice(later)
    if kind == "use":
        return f"[app:{title}]\nuse = {inner}\n{options}{filter_with}"
    if kind == "pipeline":
        filters = " ".join(chance.sample(["sentry", "gzip"], chance.randint(1, 2)))
        unusable = filter_with if chance.random() < 0.3 else ""
        return f"[pipeline:{title}]\npipeline = {filters} {inner}\n{unusable}"
    if kind == "filter-app":
        return f"[filter-app:{title}]\nuse = egg:{chance.choice(['log', 'sentry_paste'])}\nnext = {inner}\n"
    if kind == "urlmap":
        return f"[composite:{title}]\nuse = egg:Paste#urlmap\n/ = {inner}\n/x = {inner}\n{filter_with}"
    return f"[composite:{title}]\nuse = egg:sentry_paste\napp = {inner}\n{filter_with}"
