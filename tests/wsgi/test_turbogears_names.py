"""Controllers of TurboGears, where something around its app holds the start of the response back."""

import pytest

from sentry_paste.wsgi.naming import COMPONENT, framework_name

from wsgi_calls import call, environ_of

pytest.importorskip("tg")


def held_back(app):
    """Start the response once the app has returned, as repoze.who does: TurboGears' quickstart has it."""

    def middleware(environ, start_response):
        started = []
        body = app(environ, lambda *args: started.append(args))
        start_response(*started[0])
        return body

    return middleware


def made_app():
    from tg import FullStackApplicationConfigurator, TGController, expose

    class Root(TGController):
        @expose()
        def hello(self):
            return "hello"

    configurator = FullStackApplicationConfigurator()
    configurator.update_blueprint({"root_controller": Root(), "renderers": ["json"]})
    return configurator.make_wsgi_app(wrap_app=held_back)


def test_controller_is_known_when_the_response_starts_late():
    environ, names = environ_of("/hello"), []
    app = made_app()

    def watched(environ, start_response):
        def start(*args):
            names.append(framework_name(environ))
            return start_response(*args)

        return app(environ, start)

    call(watched, environ)
    ((name, source),) = names
    assert (name.rpartition("<locals>.")[2], source) == ("Root.hello", COMPONENT)
    assert framework_name(environ) is None


def test_only_the_registry_of_turbogears_is_read():
    asked = []

    class Registry:
        def __getattr__(self, name):
            asked.append(name)
            raise AttributeError(name)

    assert framework_name({"paste.registry": Registry()}) is None
    assert asked == []
