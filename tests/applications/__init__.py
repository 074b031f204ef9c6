"""Real applications, and the test suites of other projects, with the filter and without.

``.ci/applications`` runs ``python -m applications FOLDER``, which installs everything into a folder.
"""
