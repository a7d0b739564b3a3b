"""Network namespaces: made, entered by a thread of their own, and removed."""

import contextlib
import ctypes
import errno
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

FOLDER = Path("/run/netns")
CLONE_NEWNET = 0x40000000
TRIES = 5
MS_BIND, MS_REC, MS_SHARED, MNT_DETACH = 4096, 16384, 1 << 20, 2

T = TypeVar("T")


class Namespace:
    """A network namespace, by a file that leads to it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def identity(self) -> int:
        """Another one for a namespace that was made anew under the same name."""
        return self.path.stat().st_ino

    def run(self, work: Callable[[], T]) -> T:
        """Do something within it: a thread is moved there, and the process stays where it is."""
        results: list[T] = []
        failures: list[BaseException] = []

        def enter() -> None:
            try:
                _enter(self.path)
                results.append(work())
            except BaseException as error:
                failures.append(error)

        thread = threading.Thread(target=enter, name=f"in {self.path.name}")
        thread.start()
        thread.join()
        if failures:
            raise failures[0]
        return results[0]


class Here(Namespace):
    """The namespace that the calling thread is in, for as long as this object is kept."""

    def __init__(self) -> None:
        self._file = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        super().__init__(Path(f"/proc/self/fd/{self._file}"))

    def close(self) -> None:
        os.close(self._file)


def named(name: str) -> Namespace:
    return Namespace(FOLDER / name)


def listed(prefix: str) -> list[str]:
    """The namespaces whose names begin so."""
    return sorted(each.name for each in FOLDER.glob(f"{prefix}*")) if FOLDER.exists() else []


def ensure(name: str) -> bool:
    """Make a namespace unless it is there; whether it was made."""
    path = FOLDER / name
    if os.path.ismount(path):
        return False
    _reserve(path)
    here = Here()

    def make() -> None:
        _call("unshare", CLONE_NEWNET)
        _call("mount", b"/proc/thread-self/ns/net", _path(path), b"none", MS_BIND, None)

    try:
        here.run(make)
    except BaseException:
        path.unlink()
        raise
    finally:
        here.close()
    return True


def remove(name: str) -> bool:
    """Remove a namespace; its devices go with it. Whether it was there."""
    path = FOLDER / name
    try:
        _call("umount2", _path(path), MNT_DETACH)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EINVAL):
            raise
    is_there = path.exists()
    path.unlink(missing_ok=True)
    return is_there


def tidy() -> None:
    """Remove the folder of namespaces, and its mount, when nobody has one there any more."""
    if not FOLDER.exists() or any(FOLDER.iterdir()):
        return
    with contextlib.suppress(OSError):  # somebody may have just come
        _call("umount2", _path(FOLDER), 0)
    with contextlib.suppress(OSError):
        FOLDER.rmdir()


def _reserve(path: Path) -> None:
    """Make the file that a namespace will be mounted on."""
    for _ in range(TRIES):
        FOLDER.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # somebody tidied up at the same moment
            _share(FOLDER)
            path.touch(mode=0o400)
            return
    raise FileNotFoundError(f"{FOLDER} goes as often as it is made")


def _share(folder: Path) -> None:
    """Make a folder a mount whose mounts are seen by whoever sees the folder."""
    shared = ("mount", b"", _path(folder), b"none", MS_SHARED | MS_REC, None)
    try:
        _call(*shared)
    except OSError as error:
        if error.errno != errno.EINVAL:  # which says that it is no mount yet
            raise
        _call("mount", _path(folder), _path(folder), b"none", MS_BIND | MS_REC, None)
        _call(*shared)


def _enter(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _call("setns", file, CLONE_NEWNET)
    finally:
        os.close(file)


def _path(path: Path) -> bytes:
    return os.fsencode(path)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


_libc = ctypes.CDLL(None, use_errno=True)
