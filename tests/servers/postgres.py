"""PostgreSQL in a temporary folder, quick and without any care for a power cut."""

import signal
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.install import program
from tests.servers.process import Folder, Process, answers, free_ports

USER = "onestack"
FAST = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
    # Shared memory that lives in the folder goes with the folder.
    "dynamic_shared_memory_type": "mmap",
    "timezone": "UTC",
}


class Postgres:
    """A PostgreSQL of its own, on loopback and on a socket in its folder."""

    def __init__(self) -> None:
        self.programs = program("initdb").parent
        self.folder = Folder("postgres", "postgres")
        self.data = self.folder.path / "data"
        (self.port,) = free_ports(1)
        settings = FAST | {
            "port": str(self.port),
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": str(self.folder.path),
        }
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        # SIGINT is what PostgreSQL calls a fast shutdown: clients are cut off.
        self.process = self._process("postgres", "-D", self.data, *options, stop=signal.SIGINT)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        if not self.data.exists():
            self._process(
                "initdb", "-D", self.data, "-U", USER, "--auth=trust", "--encoding=UTF8",
                "--locale=C", "--no-sync", "--no-instructions",
            ).run()  # fmt: skip
        self.process.start(self._is_ready)

    def stop(self) -> None:
        self.process.stop()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.folder.remove()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.stop()
        self.folder.remove()

    def _process(self, name: str, *arguments: str | Path, stop: int = signal.SIGTERM) -> Process:
        command = [self.programs / name, *arguments]
        return Process(command, self.folder, {"LC_ALL": "C"}, stop)

    def _is_ready(self) -> bool:
        """PostgreSQL listens before it accepts: ask it to begin a session, and see no error."""
        name = f"user\0{USER}\0database\0postgres\0\0".encode()
        head = (8 + len(name)).to_bytes(4, "big") + (196608).to_bytes(4, "big")
        return answers(self.port, head + name, 1, b"R")
