"""Exports over iSCSI by a tgtd of our own: one target for each attachment, with a password and with
the initiator that may use it.

The tgtd goes on when we stop, so that guests keep their disks, and is found again. What is exported
is also in files: another tgtd exports the same, under the same names and passwords.
"""

import re
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import msgspec

from onestack.core import clock, log, shell
from onestack.core.shell import CommandFailed, Daemon, Secret
from onestack.volume.backend import Connection, Connector

IQN = "iqn.2026-01.org.onestack"
LUN = 1
TIMEOUT_S = 20.0
CONNECTION = re.compile(
    r"Session: (\d+)\s+Connection: (\d+)\s+Initiator: (\S+).*\s+IP Address: (\S+)"
)
STOP_PATIENCE_S = 0.3
START_TRIES = 100
START_WAIT_S = 0.02
PASSWORD_BYTES = 12  # 16 characters: the most that all initiators take


class Portal(msgspec.Struct, frozen=True):
    """Where a tgtd answers initiators (port 0: one that is free, and the same from then on)."""

    address: str
    port: int


class Export(msgspec.Struct):
    """A volume's file, in the hands of whoever knows the password."""

    id: str
    volume_id: str
    path: str
    user: str
    password: str
    initiators: list[str]

    @property
    def target(self) -> str:
        return f"{IQN}:{self.id}"


class TargetDaemon:
    """A tgtd, started when it is needed first, and adopted when it runs already."""

    def __init__(self, folder: Path, portal: Portal) -> None:
        self._folder, self._portal = folder, portal
        self._lock = threading.RLock()

    def export(
        self, export_id: str, volume_id: str, path: Path, to: Connector, *, is_shared: bool
    ) -> Connection:
        """Let an initiator reach a file, alone unless it is shared; asked again, with the same
        name and password."""
        with self._running():
            export = self._known(export_id) or Export(
                export_id, volume_id, str(path), f"u{secrets.token_hex(8)}",
                secrets.token_urlsafe(PASSWORD_BYTES), [],
            )  # fmt: skip
            initiator = to.initiator or to.address or "ALL"
            others = [each for each in export.initiators if each != initiator]
            export.initiators = [*(others if is_shared else ()), initiator]
            self._write(export)  # before the target is there: none is ever forgotten
            number = self._offer(export, self._targets())
            if not is_shared:
                self._shut_out(number, others)
            return self._connection(export)

    def unexport(self, export_id: str) -> None:
        """Cut off whoever uses an export, now."""
        with self._running():
            export = self._known(export_id)
            if export is not None:
                self._withdraw(export)

    def unexport_all(self, volume_id: str) -> None:
        """Cut off whoever uses a volume."""
        if all(each.volume_id != volume_id for each in self.exports()):
            return
        with self._running():
            for export in self.exports():
                if export.volume_id == volume_id:
                    self._withdraw(export)

    @contextmanager
    def still(self, volume_id: str) -> Iterator[None]:
        """Nothing is written to an exported volume within the block: whoever uses it waits."""
        if all(each.volume_id != volume_id for each in self.exports()):
            yield
            return
        with self._running() as daemon:
            shell.pause(daemon)
            try:
                yield
            finally:
                shell.resume(daemon)

    def exports(self) -> list[Export]:
        """What should be exported."""
        found = []
        for path in sorted(self._exports_folder.glob("*.json")):
            with suppress(FileNotFoundError):
                found.append(msgspec.json.decode(path.read_bytes(), type=Export))
        return found

    def look_after(self) -> None:
        """Start tgtd again where it died while something is exported, or let it go on where we
        died while it was paused."""
        # Whoever has the lock does this himself, or keeps tgtd paused on purpose.
        if self.exports() and self._lock.acquire(blocking=False):
            try:
                with self._running():
                    pass
            finally:
                self._lock.release()

    def stop(self) -> None:
        """End tgtd; what is exported stays so for the next one."""
        with self._lock:
            daemon = self._daemon()
            if daemon is not None and shell.is_alive(daemon):
                # It ends by itself only when nobody uses a target; what it wrote is in the files.
                shell.stop(daemon, patience_s=STOP_PATIENCE_S)
            shell.stop_spawned(self._log, STOP_PATIENCE_S)
            self._daemon_file.unlink(missing_ok=True)
            for leftover in (self._socket, self._socket.with_name(f"{self._socket.name}.lock")):
                leftover.unlink(missing_ok=True)

    # The daemon

    @contextmanager
    def _running(self) -> Iterator[Daemon]:
        """One change at a time, with a tgtd that exports all that should be."""
        with self._lock:
            daemon = self._daemon()
            if daemon is None or not shell.is_alive(daemon):
                daemon = self._start()
            else:
                shell.resume(daemon)
            yield daemon

    def _start(self) -> Daemon:
        self._exports_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        argv = ["tgtd", "-f", "--iscsi", f"portal={self._address}"]
        daemon = shell.spawn(argv, log_path=self._log, environment=self._environment)
        _replace(self._daemon_file, msgspec.json.encode(daemon))
        self._wait_until_ready(daemon)
        targets = self._targets()
        for export in self.exports():
            self._offer(export, targets)
        log.info("started tgtd", pid=daemon.pid, portal=self._address)
        return daemon

    def _wait_until_ready(self, daemon: Daemon) -> None:
        for attempt in range(START_TRIES):
            try:
                self._run(["tgtadm", "--mode", "system", "--op", "show"])
                return
            except CommandFailed:
                if attempt + 1 == START_TRIES or not shell.is_alive(daemon):
                    raise
            clock.sleep(START_WAIT_S)

    def _daemon(self) -> Daemon | None:
        try:
            return msgspec.json.decode(self._daemon_file.read_bytes(), type=Daemon)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    # Targets

    def _offer(self, export: Export, targets: dict[str, int]) -> int:
        """Make an export's target what it should be, whatever there is of it; its number."""
        number = targets.get(export.target)
        if number is None:
            number = max(targets.values(), default=0) + 1
            self._tell("target", "new", number, "--targetname", export.target)
            targets[export.target] = number
        with _already_there():
            self._tell("logicalunit", "new", number, "--lun", str(LUN),
                       "--backing-store", export.path)  # fmt: skip
        user = ("--user", Secret(export.user))
        account = (*user, "--password", Secret(export.password))
        with _already_there():
            self._run(["tgtadm", "--lld", "iscsi", "--mode", "account", "--op", "new", *account])
        with _already_there():
            self._tell("account", "bind", number, *user)
        for initiator in export.initiators:
            with _already_there():
                self._tell("target", "bind", number, *_named(initiator))
        return number

    def _shut_out(self, number: int, initiators: list[str]) -> None:
        """Let initiators in no more, and end what they have begun."""
        for initiator in initiators:
            with _already_there():
                self._tell("target", "unbind", number, *_named(initiator))
        shown = self._run(["tgtadm", "--lld", "iscsi", "--mode", "conn", "--op", "show",
                           "--tid", str(number)]) if initiators else ""  # fmt: skip
        for session, connection, name, address in CONNECTION.findall(shown):
            if name in initiators or address in initiators:
                with _already_there():
                    self._tell("conn", "delete", number, "--sid", session, "--cid", connection)

    def _withdraw(self, export: Export) -> None:
        number = self._targets().get(export.target)
        if number is not None:
            self._tell("target", "delete", number, "--force")
        with _already_there():
            self._run(["tgtadm", "--lld", "iscsi", "--mode", "account", "--op", "delete",
                       "--user", Secret(export.user)])  # fmt: skip
        self._file_of(export.id).unlink(missing_ok=True)

    def _targets(self) -> dict[str, int]:
        """The targets that tgtd has, and their numbers."""
        shown = self._run(["tgtadm", "--lld", "iscsi", "--mode", "target", "--op", "show"])
        found = re.findall(r"^Target (\d+): (\S+)$", shown, re.MULTILINE)
        return {name: int(number) for number, name in found}

    def _tell(self, mode: str, operation: str, number: int, *more: str | Secret) -> None:
        self._run(["tgtadm", "--lld", "iscsi", "--mode", mode, "--op", operation,
                   "--tid", str(number), *more])  # fmt: skip

    def _run(self, argv: list[str | Secret]) -> str:
        return shell.run(argv, timeout_s=TIMEOUT_S, environment=self._environment).text

    def _connection(self, export: Export) -> Connection:
        data = {
            "target_portal": self._address,
            "target_iqn": export.target,
            "target_lun": LUN,
            "auth_method": "CHAP",
            "auth_username": export.user,
            "auth_password": export.password,
            "target_discovered": False,
            "volume_id": export.volume_id,
            "discard": False,
        }
        return Connection("iscsi", data)

    @property
    def _address(self) -> str:
        address = self._portal.address
        return f"{f'[{address}]' if ':' in address else address}:{self._port}"

    # Files

    @property
    def _port(self) -> int:
        """The port: guests know it by heart, so it stays what it was."""
        if self._portal.port:
            return self._portal.port
        kept = self._folder / "port"
        if not kept.exists():
            with socket.create_server((self._portal.address, 0)) as free:
                _replace(kept, str(free.getsockname()[1]).encode())
        return int(kept.read_text())

    @property
    def _environment(self) -> dict[str, str]:
        return {"TGT_IPC_SOCKET": str(self._socket.with_suffix(""))}

    @property
    def _socket(self) -> Path:
        """In the folder of run files: a path in the data folder may be too long for a socket.

        Named after the folder, so that no other cloud's tgtd of this host has the same.
        """
        mark = sha256(str(self._folder.resolve()).encode()).hexdigest()[:16]
        return Path(f"/run/onestack-tgtd-{mark}.0")

    @property
    def _daemon_file(self) -> Path:
        return self._folder / "tgtd.json"

    @property
    def _log(self) -> Path:
        return self._folder / "tgtd.log"

    @property
    def _exports_folder(self) -> Path:
        return self._folder / "exports"

    def _file_of(self, export_id: str) -> Path:
        return self._exports_folder / f"{shell.value(export_id)}.json"

    def _known(self, export_id: str) -> Export | None:
        try:
            return msgspec.json.decode(self._file_of(export_id).read_bytes(), type=Export)
        except FileNotFoundError:
            return None

    def _write(self, export: Export) -> None:
        self._exports_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _replace(self._file_of(export.id), msgspec.json.encode(export))


def _replace(path: Path, content: bytes) -> None:
    """Write a file that only we read, whole or not at all."""
    new = path.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)
    new.write_bytes(content)
    new.rename(path)


def _named(initiator: str) -> tuple[str, str]:
    kind = "--initiator-name" if initiator.startswith("iqn.") else "--initiator-address"
    return kind, initiator


@contextmanager
def _already_there() -> Iterator[None]:
    """tgtadm cannot be asked first: what is there already, or gone already, is as it should be."""
    try:
        yield
    except CommandFailed as error:
        said = error.reason
        if not any(known in said for known in ("already", "exist", "can't find")):
            raise
