"""Programs of others, each installed into a virtual environment of its own outside the tree."""

import os
import subprocess
import sys
import venv
from pathlib import Path


def cache_folder() -> Path:
    """Where the environments are kept between runs."""
    named = os.environ.get("XDG_CACHE_HOME")
    return (Path(named) if named else Path("~/.cache").expanduser()) / "onestack"


def installed(cache: Path, name: str, requirement: str) -> Path:
    """The folder of programs of an environment that holds requirements from PyPI."""
    folder = cache / name
    programs = folder / "bin"
    marker = folder / "requirement"
    if marker.is_file() and marker.read_text() == requirement:
        return programs
    print(f"installing {requirement} into {folder}", file=sys.stderr)
    venv.create(folder, clear=True, with_pip=True)
    pip = [str(programs / "pip"), "install", "-qq", "--disable-pip-version-check"]
    subprocess.run([*pip, *requirement.split()], check=True)
    marker.write_text(requirement)
    return programs
