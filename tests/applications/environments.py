"""Environments for what is not of this project, and its sources."""

import shutil
import subprocess
import sys
from pathlib import Path


class Workshop:
    """A folder in which applications and suites are installed.

    Args:
        folder: it is made where it is not there.
        project: what pip installs for the filter: a wheel, or the folder of a clone.
        sdk: the requirement for sentry-sdk.
    """

    def __init__(self, folder, project, sdk):
        self.folder = Path(folder).resolve()
        self.folder.mkdir(parents=True, exist_ok=True)
        self._project = str(Path(project).resolve())
        self._sdk = sdk

    def environment(self, name, packages):
        """Make an environment with the filter and some packages in it, and return its ``bin``."""
        made = self.folder / "environments" / name
        run(sys.executable, "-m", "venv", made)
        pip(made / "bin", "install", self._sdk, self._project, *packages)
        return made / "bin"

    def sources(self, environment, project, version):
        """Unpack the sdist of a release, and return its folder."""
        found = self.folder / "sources" / project
        release = f"{project}=={version}"
        # pip asks an sdist for its metadata before it keeps it, so for what builds it.
        pip(environment, "download", "--no-deps", "--no-binary", ":all:", "-d", found, release)
        (archive,) = found.glob("*.tar.gz")
        shutil.unpack_archive(archive, found)
        (unpacked,) = (entry for entry in found.iterdir() if entry.is_dir())
        return unpacked


def pip(environment, *arguments):
    """Run an environment's pip."""
    run(environment / "python", "-m", "pip", "-q", "--disable-pip-version-check", *arguments)


def run(*command, cwd=None):
    """Run a command, and fail with what it printed if it fails."""
    ended = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=900,
    )
    if ended.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{(ended.stdout + ended.stderr)[-4000:]}")
