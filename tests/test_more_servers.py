"""The rules of ``test_servers`` under servers that have to be installed first.

Slow: uWSGI and mod_wsgi are compiled.
"""

import pytest

# All rules and the fixtures that they need, so that what is added there holds here as well. The module's own
# ``kind`` and ``folder`` take the place of the others.
from test_servers import *  # noqa: F403

import installed

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=installed.INSTALLED)
def kind(request):
    return installed.kind(request.param)


@pytest.fixture(scope="module")
def folder(kind):
    """A folder that all users can read, with the apps in it."""
    with installed.readable_folder() as found:
        installed.copy_to(found, "apps.py", "servers.py")
        yield found
