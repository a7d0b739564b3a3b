"""libvirt's own Python module, imported when it is first used: only hosts with guests have it."""

import sys
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Lock
from typing import Any

# Debian's module fits every Python of its version, but virtual environments do not see it.
SYSTEM = Path("/usr/lib/python3/dist-packages")


class _Bindings:
    """Stands for the module; it speaks through its errors, not on the terminal."""

    def __init__(self) -> None:
        self._lock = Lock()

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if find_spec("libvirt") is None:
                _adopt("libvirtmod", [f"libvirtmod{each}" for each in EXTENSION_SUFFIXES])
                _adopt("libvirt", ["libvirt.py"])
            import libvirt as module

            module.registerErrorHandler(_say_nothing, None)
        self.__dict__.update(vars(module))
        return getattr(module, name)


def _adopt(name: str, files: list[str]) -> None:
    """Import one module of the system's."""
    path = next((SYSTEM / each for each in files if (SYSTEM / each).exists()), None)
    spec: ModuleSpec | None = spec_from_file_location(name, path) if path is not None else None
    if spec is None or spec.loader is None:
        raise ModuleNotFoundError(f"there is no {name}: apt-get install python3-libvirt", name=name)
    module = module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)


def _say_nothing(context: object, error: object) -> None:
    """Errors are raised as exceptions in any case."""


libvirt = _Bindings()
