"""Sentry around every app that PasteDeploy loads in a process that ``sentry-paste run`` has started.

The folder ``site`` is first on that process's ``PYTHONPATH``. Its ``sitecustomize`` calls ``patch``
when PasteDeploy is imported.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

# The app that is being loaded: whatever is loaded meanwhile is a part of it.
_loading: ContextVar[Any] = ContextVar("sentry_paste_loading")

_SWIFT = "swift.common.wsgi"


def patch(loadwsgi: Any) -> None:
    """Have PasteDeploy put Sentry around each app that it loads, once, outermost.

    Args:
        loadwsgi: the module ``paste.deploy.loadwsgi``.
    """
    create, loadcontext = loadwsgi.LoaderContext.create, loadwsgi.loadcontext
    if create.__module__ == __name__:  # by another start of the same sitecustomize, as other agents cause it
        return

    def create_in_sentry(context: Any) -> Any:
        """Create an app with Sentry around it, or a part of one as PasteDeploy does."""
        outer = _loading.get(None)
        if outer is not None:
            outer.look_at(context)
            return create(context)
        if not _is_app(loadwsgi, context) or _is_part(context):
            return create(context)
        return _load(context, lambda: create(context))

    def loadcontext_for_swift(*args: Any, **kwargs: Any) -> Any:
        """Load a context, with our filter among the parts if Swift is going to create these itself."""
        context = loadcontext(*args, **kwargs)
        if type(context.loader).__module__ == _SWIFT and context.object_type is loadwsgi.PIPELINE:
            from sentry_paste.autoload.loading import insert

            insert(loadwsgi, context)
        return context

    loadwsgi.LoaderContext.create = create_in_sentry
    loadwsgi.loadcontext = loadcontext_for_swift


def _is_app(loadwsgi: Any, context: Any) -> bool:
    if context.object_type is loadwsgi.FILTER_WITH:
        return _is_app(loadwsgi, context.next_context)
    return context.object_type in (loadwsgi.APP, loadwsgi.PIPELINE, loadwsgi.FILTER_APP)


def _is_part(context: Any) -> bool:
    """Return whether a context belongs to a pipeline whose parts Swift creates itself."""
    loader = type(context.loader)
    # From text Swift makes clients for its daemons, no servers.
    is_client = loader.__module__ == _SWIFT and loader.__name__ == "ConfigString"
    return is_client or getattr(context, "sentry_is_inside", False)


def _load(context: Any, create: Any) -> Any:
    from sentry_paste.autoload.loading import Load

    load = Load(context)
    token = _loading.set(load)
    try:
        return load.run(create)
    finally:
        _loading.reset(token)
