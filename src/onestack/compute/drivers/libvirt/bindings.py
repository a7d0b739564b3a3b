"""libvirt's own Python module, imported when it is first used: only hosts with guests have it."""

from typing import Any


class _Bindings:
    """Stands for the module; it speaks through its errors, not on the terminal."""

    def __getattr__(self, name: str) -> Any:
        import libvirt as module

        module.registerErrorHandler(_say_nothing, None)
        self.__dict__.update(vars(module))
        return getattr(module, name)


def _say_nothing(context: object, error: object) -> None:
    """Errors are raised as exceptions in any case."""


libvirt = _Bindings()
