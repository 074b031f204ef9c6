"""Load inis with PasteDeploy itself, with apps and filters in place of those that are not installed."""

import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from unittest import mock

from paste.deploy import loadapp, loadwsgi

from sentry_paste.cli.check.loader import is_ours


@dataclass
class Recorded:
    """What the factories of an ini received, and what a request reached."""

    apps: list = field(default_factory=list)
    covered: list = field(default_factory=list)
    outside: list = field(default_factory=list)

    def factory(self, context, spec):
        """Return a factory for a context of PasteDeploy."""
        if context.object_type is loadwsgi.FILTER:
            name = spec

            def make_filter(global_conf, /, **local_conf):
                def around(app):
                    def filtered(environ, start_response):
                        if not is_inside_sentry():
                            self.outside.append(name)
                        return app(environ, start_response)

                    return filtered

                return around

            context.protocol = "paste.filter_factory"
            return make_filter
        if "composit" in (context.protocol or "") or spec.lower().startswith("egg:paste#urlmap"):
            context.protocol = "paste.composite_factory"
            return self.make_composite

        def make_app(global_conf, /, **local_conf):
            self.apps.append((spec, local_conf, {**global_conf}))

            def app(environ, start_response):
                self.covered.append((spec, is_inside_sentry()))
                start_response("200 OK", [("Content-Type", "text/plain")])
                return [spec.encode()]

            return app

        context.protocol = "paste.app_factory"
        return make_app

    def make_composite(self, loader, global_conf, /, **local_conf):
        """Make an app that calls every app that the options name, with its filters."""
        apps = []
        for value in local_conf.values():
            *filters, app = value.split() or [""]
            try:
                made = loader.get_app(app, global_conf=global_conf)
                for name in reversed(filters):
                    made = loader.get_filter(name, global_conf=global_conf)(made)
            except LookupError:
                continue  # the value is no name
            apps.append(made)

        def composite(environ, start_response):
            chunks = []
            for app in apps:
                answer = app(dict(environ), start_response)
                chunks += answer
                getattr(answer, "close", lambda: None)()
            return chunks

        return composite


def is_inside_sentry():
    frame = sys._getframe()
    while frame is not None:
        if frame.f_code.co_filename.replace("\\", "/").endswith("sentry_paste/middleware.py"):
            return True
        frame = frame.f_back
    return False


@contextmanager
def _stand_ins(recorded):
    explicit, use = loadwsgi.ConfigLoader._context_from_explicit, loadwsgi.ConfigLoader._context_from_use
    loaders = dict(loadwsgi._loaders)

    class EntryPoint:
        def __init__(self, name, group, value):
            self.value = value

        def load(self):
            return self

    def context_from_explicit(loader, object_type, *args):
        context = explicit(loader, object_type, *args)
        spec = context.object.value
        if is_ours(spec):
            context.object = loadwsgi.lookup_object(spec)
        else:
            context.object = recorded.factory(context, spec)
        return context

    def load_egg(object_type, uri, spec, name, relative_to, global_conf):
        if is_ours(uri if "#" in uri else f"{uri}#{name or 'main'}"):
            return loaders[uri.partition(":")[0]](object_type, uri, spec, name, relative_to, global_conf)
        context = loadwsgi.LoaderContext(None, object_type, None, global_conf or {}, {}, None)
        context.stands_for = uri if name in (None, "main") else f"{uri}#{name}"
        return context

    def context_from_use(loader, object_type, local_conf, global_conf, additions, section):
        context = use(loader, object_type, local_conf, global_conf, additions, section)
        if hasattr(context, "stands_for") and context.object is None:
            context.object = recorded.factory(context, context.stands_for)
        return context

    def create(context):
        if hasattr(context, "stands_for") and context.object is None:  # alone in a pipeline
            context.object = recorded.factory(context, context.stands_for)
        return context.object_type.invoke(context)

    class Metadata:
        @staticmethod
        def distribution(name):
            return metadata.distribution("sentry-paste")  # also for `require`, which is not installed here

    Metadata.EntryPoint = EntryPoint

    with ExitStack() as stack:
        for patched, name, new in (
            (loadwsgi.ConfigLoader, "_context_from_explicit", context_from_explicit),
            (loadwsgi.ConfigLoader, "_context_from_use", context_from_use),
            (loadwsgi.LoaderContext, "create", create),
            (loadwsgi, "importlib_metadata", Metadata),
        ):
            stack.enter_context(mock.patch.object(patched, name, new))
        stack.enter_context(mock.patch.dict(loadwsgi._loaders, egg=load_egg, call=load_egg))
        yield


def load_and_ask(path, name="main", variables=None):
    """Load an app and send it a request; return what was recorded.

    Raises whatever PasteDeploy, or the request, raises.
    """
    recorded = Recorded()
    with _stand_ins(recorded):
        app = loadapp(f"config:{path}#{name}", global_conf=dict(variables or {}))
    answer = app({"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": "/"}, lambda *_: None)
    b"".join(answer)
    getattr(answer, "close", lambda: None)()
    return recorded
