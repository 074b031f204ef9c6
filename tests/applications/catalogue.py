"""The applications."""

import shutil
import signal

from sentry_paste import sdk

import servers
from applications.environments import pip, run
from applications.served import Application, Exchange, filter_with, first_in_pipeline

_BOOM = """
    @expose()
    def boom(self):
        raise ValueError("boom")
"""


def _turbogears(workshop, folder, environment):
    """Make the full quickstart, with its database, and a method that crashes."""
    run(environment / "gearbox", "quickstart", "shop", cwd=folder)
    project = folder / "shop"
    with (project / "shop" / "controllers" / "root.py").open("a") as root:
        root.write(_BOOM)
    pip(environment, "install", "-e", project)
    ini = project / "development.ini"
    ini.write_text(ini.read_text().replace("debug = true", "debug = false"))
    run(environment / "gearbox", "setup-app", "-c", ini, cwd=project)
    return ini


_ZCML = """
  <browser:page name="hello" for="*" class="zope_views.Hello" permission="zope2.Public" />
  <browser:page name="boom" for="*" class="zope_views.Boom" permission="zope2.Public" />
</configure>
"""


def _zope(workshop, folder, environment):
    """Make an instance, with two views."""
    run(environment / "mkwsgiinstance", "-d", folder / "instance", "-u", "admin:admin")
    etc = folder / "instance" / "etc"
    site = (etc / "site.zcml").read_text()
    site = site.replace("<configure", '<configure xmlns:browser="http://namespaces.zope.org/browser"', 1)
    (etc / "site.zcml").write_text(site.replace("</configure>", _ZCML))
    return etc / "zope.ini"


_ROUTES = """
    config.add_route('boom', '/boom/{number}')
"""

_VIEW = """

@view_config(route_name='boom')
def boom(request):
    raise ValueError('boom')
"""


def _pyramid(workshop, folder, environment):
    """Take the starter as Pyramid's documentation has it, and give it a view that crashes."""
    project = folder / "myproject"
    sources = workshop.sources(environment, "pyramid", "2.1")
    shutil.copytree(sources / "docs" / "narr" / "myproject", project)
    for name, text in (("routes.py", _ROUTES), ("views/default.py", _VIEW)):
        with (project / "myproject" / name).open("a") as file:
            file.write(text)
    pip(environment, "install", "-e", project)
    return project / "development.ini"


_RESTFUL = """
[app:restful]
paste.app_factory = restful_app:make_app

[pipeline:main]
pipeline =
    restful
"""


def _restful(workshop, folder, environment):
    """Write an ini for the application of ``sites``."""
    ini = folder / "restful.ini"
    ini.write_text(_RESTFUL)
    return ini


_PECAN = """
[app:main]
paste.app_factory = pecan_app:make_app
config = %(here)s/config.py
"""


def _pecan(workshop, folder, environment):
    """Make what ``pecan create`` makes, and a method that crashes."""
    run(environment / "pecan", "create", "shop", cwd=folder)
    project = folder / "shop"
    with (project / "shop" / "controllers" / "root.py").open("a") as root:
        root.write(_BOOM)
    config = project / "config.py"
    config.write_text(config.read_text().replace("'debug': True", "'debug': False"))
    pip(environment, "install", "-e", project)
    ini = project / "production.ini"
    ini.write_text(_PECAN)
    return ini


_ROOT, _DEMO = "shop.controllers.root.RootController", "shop.controllers.demo.DemoController"

APPLICATIONS = (
    Application(
        "TurboGears, full quickstart",
        ("tg.devtools", "TurboGears2", "SQLAlchemy", "repoze.who", "alembic"),
        _turbogears,
        filter_with,
        ("{bin}/gearbox", "serve", "-c", "{ini}"),
        (
            Exchange("/", 302, f"{_ROOT}.index"),
            Exchange("/demo", 200, f"{_DEMO}.index"),
            Exchange("/css/style.css", 200, "GET /css/style.css"),
            Exchange("/demo/add", 200, f"{_DEMO}.add", form="title=milk"),
            Exchange("/demo/protected", 302, f"{_DEMO}.protected"),
            Exchange(
                "/login_handler?came_from=/demo/protected",
                302,
                "POST /login_handler",
                form="login=manager&password=managepass",
            ),
            Exchange("/demo/protected", 200, f"{_DEMO}.protected"),
            Exchange("/missing", 404, "GET /missing"),
            Exchange("/boom", 500, f"{_ROOT}.boom", "ValueError: boom", "crashed"),
        ),
        volatile=('authtkt="[^"]*"',),
        port=r"(?m)^(port = )8080",
    ),
    Application(
        "Zope",
        ("Zope", "Paste"),
        _zope,
        first_in_pipeline,
        ("{bin}/runwsgi", "{ini}"),
        (
            Exchange("/", 200, "Products.PageTemplates.ZopePageTemplate.ZopePageTemplate.index_html"),
            Exchange("/hello?name=ann", 200, "zope_views.Hello.hello"),
            Exchange("/hello", 200, "zope_views.Hello.hello", form="name=ann"),
            Exchange("/manage_main", 401, "GET /manage_main"),
            Exchange("/missing", 404, "GET /missing"),
            Exchange("/boom", 500, "zope_views.Boom.boom", "ValueError: boom", "crashed"),
        ),
        port=r"(?m)^(port = )8080",
    ),
    Application(
        "Pyramid, starter with toolbar",
        ("pyramid==2.1", "pyramid_debugtoolbar"),
        _pyramid,
        filter_with,
        ("{bin}/pserve", "{ini}"),
        (
            Exchange("/", 200, "home"),
            Exchange("/static/theme.css", 200, "__static/"),
            Exchange("/missing", 404, "GET /missing"),
            Exchange("/boom/42", 500, "boom", "ValueError: boom", "crashed", shows_stack=True),
        ),
        volatile=("_debug_toolbar/[0-9a-f]+",),
        port=r"(listen = localhost:)6543",
    ),
    Application(
        "Flask-RESTful",
        ("Flask-RESTful", "gunicorn"),
        _restful,
        first_in_pipeline,
        (*servers.GUNICORN, "-k", "gthread", "--threads", "4"),
        (
            Exchange("/todos", 200, "/todos"),
            Exchange("/todos", 201, "/todos", form="task=milk"),
            Exchange("/todos", 400, "/todos", form="other=milk"),
            Exchange("/todos/todo1", 200, "/todos/<thing_id>"),
            Exchange("/todos/todo9", 404, "/todos/<thing_id>"),
            Exchange("/notyours", 401, "/notyours", "NotYoursError: not yours (handled)", "errored"),
            Exchange("/missing", 404, "GET /missing"),
            Exchange("/boom", 500, "/boom", "ValueError: boom", "crashed"),
        ),
        # With sentry-sdk 3 names are patterns anyway, and the filter warns that the option has no effect.
        options="integration.flask.transaction_style = url" if sdk.MAJOR == 2 else "",
        end=signal.SIGTERM,
    ),
    Application(
        "Pecan",
        ("pecan", "gunicorn"),
        _pecan,
        filter_with,
        (*servers.GUNICORN, "-k", "sync"),
        (
            Exchange("/", 200, "GET /"),
            Exchange("/", 302, "POST /", form="q=milk"),
            Exchange("/missing", 404, "GET /missing"),
            Exchange("/boom", 500, "GET /boom", "ValueError: boom", "crashed"),
        ),
        end=signal.SIGTERM,
    ),
)
