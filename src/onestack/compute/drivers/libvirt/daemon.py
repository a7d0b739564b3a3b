"""A libvirtd of the agent's own: started, adopted and ended by it; its guests outlive both."""

import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from onestack.compute.drivers.libvirt.bindings import libvirt
from onestack.compute.drivers.libvirt.layout import SHADOWED, Layout
from onestack.core import clock, log, shell

READY_S = 30.0
LOOK_S = 0.05
# Only what runs guests: libvirt's networks, storage and devices are the business of others here.
DRIVERS = ("qemu", "secret")
DRIVER_FOLDERS = ("/usr/lib/x86_64-linux-gnu/libvirt", "/usr/lib64/libvirt", "/usr/lib/libvirt")
# Unmounting on the host still reaches the namespace; mounts in it are nobody else's.
NAMESPACE = ("unshare", "--mount", "--propagation", "slave")
ENTER = (
    "\n".join(f'mount --bind "$1/{name}" {path}' for name, path in SHADOWED.items())
    + '\nshift\nexec "$@"\n'
)
# A guest's process has nobody who waits for its end but the first process of the machine, and in
# containers that often waits for none: libvirt then thinks that the guest will not die. So the
# daemon has a parent that takes in its orphans (PR_SET_CHILD_SUBREAPER), and ends with it.
PARENT = """\
import ctypes, os, signal, sys
prctl = ctypes.CDLL(None).prctl
prctl(36, 1, 0, 0, 0)
child = os.fork()
if child == 0:
    prctl(1, signal.SIGTERM, 0, 0, 0)
    os.execvp(sys.argv[1], sys.argv[1:])
signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
while os.wait()[0] != child:
    pass
"""
LIBVIRTD = (
    "libvirtd", "--config", "/etc/libvirt/libvirtd.conf", "--pid-file", "/run/libvirt/libvirtd.pid",
)  # fmt: skip
QEMU_SETTINGS = """\
security_driver = "none"
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
namespaces = []
cgroup_controllers = []
stdio_handler = "file"
"""
DAEMON_SETTINGS = """\
listen_tls = 0
listen_tcp = 0
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_ro_perms = "0700"
unix_sock_rw_perms = "0700"
log_outputs = "2:file:/var/log/libvirt/libvirtd.log"
"""


class NoLibvirt(Exception):
    """libvirtd could not be started."""


class _Kept(msgspec.Struct):
    """What is known of the running daemon, and the identity of the host."""

    host_uuid: str
    pid: int = 0
    started_ticks: int = 0
    boot_id: str = ""
    made: list[str] = []  # folders of the host that were not there, and that ours lie over

    @property
    def daemon(self) -> shell.Daemon:
        return shell.Daemon(self.pid, self.started_ticks, self.boot_id)


class Libvirtd:
    """The daemon, and one connection to it that all threads share."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._lock = threading.Lock()
        self._connection: Any = None

    def connection(self) -> Any:
        """A connection that answers; what is broken is mended first."""
        with self._lock:
            if self._connection is not None and _answers(self._connection):
                return self._connection
            self._connection = None
            self._connection = self._reached()
            return self._connection

    def stop(self) -> None:
        """End the daemon; its guests go on."""
        with self._lock:
            if self._connection is not None:
                with suppress(libvirt.libvirtError):
                    self._connection.close()
                self._connection = None
            kept = self._kept()
            if kept.pid:
                shell.stop(kept.daemon)
            shell.stop_spawned(self._log)
            self._layout.socket.unlink(missing_ok=True)
            for path in kept.made:
                with suppress(OSError):  # it is gone, or others use it now
                    Path(path).rmdir()

    def _reached(self) -> Any:
        """A new connection. A daemon that is dead is started; one that dies of that is broken."""
        until, is_started, reason = clock.monotonic() + READY_S, False, ""
        while clock.monotonic() < until:
            kept = self._kept()
            if not kept.pid or not shell.is_alive(kept.daemon):
                if is_started:
                    break
                self._start(kept)
                is_started = True
            try:
                return libvirt.open(f"qemu+unix:///system?socket={self._layout.socket}")
            except libvirt.libvirtError as error:
                reason = str(error)
            clock.sleep(LOOK_S)
        raise NoLibvirt(f"{reason}; see {self._layout.folder}/log")

    def _start(self, kept: _Kept) -> None:
        if kept.boot_id != _boot_id():
            # What is said there of running guests was true before the machine started anew.
            shutil.rmtree(self._layout.folder / "run")
        self._layout.make()
        self._write_settings(kept)
        (self._layout.folder / "run/libvirtd.pid").unlink(missing_ok=True)
        made = [path for path in SHADOWED.values() if not Path(path).exists()]
        for path in made:
            Path(path).mkdir(parents=True, exist_ok=True)
        folder = str(self._layout.folder)
        parent = (sys.executable, "-I", "-S", "-c", PARENT)
        daemon = shell.spawn(
            [*NAMESPACE, "sh", "-ec", ENTER, "sh", folder, *parent, *LIBVIRTD],
            log_path=self._log,
            environment={"LIBVIRT_DRIVER_DIR": str(self._drivers())},
        )
        made = sorted({*made, *kept.made})
        self._keep(_Kept(kept.host_uuid, daemon.pid, daemon.started_ticks, daemon.boot_id, made))
        log.info("started libvirtd", folder=folder, pid=daemon.pid)

    def _drivers(self) -> Path:
        """A folder with those of libvirt's drivers that are wanted, and no other."""
        there = [Path(each, "connection-driver") for each in DRIVER_FOLDERS]
        source = next((each for each in there if each.is_dir()), None)
        if source is None:
            raise NoLibvirt("libvirt's driver of QEMU is not installed")
        target = self._layout.folder / "drivers"
        target.mkdir(exist_ok=True)
        for name in DRIVERS:
            link = target / f"libvirt_driver_{name}.so"
            if not link.is_symlink():
                link.symlink_to(source / link.name)
        return target

    def _write_settings(self, kept: _Kept) -> None:
        etc = self._layout.folder / "etc"
        (etc / "qemu.conf").write_text(QEMU_SETTINGS)
        uuid = f'host_uuid = "{kept.host_uuid}"\n'
        (etc / "libvirtd.conf").write_text(DAEMON_SETTINGS + uuid)

    def _kept(self) -> _Kept:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=_Kept)
        except FileNotFoundError:
            kept = _Kept(clock.new_id())
            self._keep(kept)
            return kept

    def _keep(self, kept: _Kept) -> None:
        new = self._path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(kept))
        new.rename(self._path)

    @property
    def _path(self) -> Path:
        return self._layout.folder / "libvirtd.json"

    @property
    def _log(self) -> Path:
        return self._layout.folder / "log/start.log"


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _answers(connection: Any) -> bool:
    try:
        return bool(connection.isAlive()) and connection.getLibVersion() > 0
    except libvirt.libvirtError:
        return False


@contextmanager
def ignoring(*codes: str) -> Iterator[None]:
    """Let these errors of libvirt pass, by their names: what was asked for is so already."""
    try:
        yield
    except libvirt.libvirtError as error:
        if error.get_error_code() not in {getattr(libvirt, f"VIR_ERR_{code}") for code in codes}:
            raise
