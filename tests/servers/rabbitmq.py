"""RabbitMQ in a temporary folder, with an epmd of its own."""

import os
import shutil
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.certificates import Certificate
from tests.servers.install import program
from tests.servers.process import Folder, Process, answers, free_ports

LOCAL = "127.0.0.1"
START_S = 120.0  # Erlang takes its time where others work too
SETTINGS = """\
{listeners}
disk_free_limit.absolute = 1MB
vm_memory_high_watermark.absolute = 512MB
raft.wal_max_size_bytes = 8388608
log.console = true
log.console.level = warning
log.file = false
"""
TLS_SETTINGS = """\
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {authority}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {key}
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
"""
LOOPBACK = "-kernel inet_dist_use_interface {127,0,0,1}"
GREETING = b"AMQP\x00\x00\x09\x01"


class RabbitMQ:
    """A broker of its own on loopback; with a certificate it listens for TLS as well, and with an
    address on that one too, where anybody may come from who knows the password."""

    def __init__(self, certificate: Certificate | None = None, address: str = LOCAL) -> None:
        program("rabbitmq-server")
        self.folder = Folder("rabbitmq", "rabbitmq")
        self.port, self.tls_port, self.epmd_port, distribution_port = free_ports(4)
        self.address = address
        settings = SETTINGS.format(listeners=self._listeners())
        if certificate is not None:
            settings += self._tls(certificate)
        environ = {
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"onestack{os.getpid()}x{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_CONFIG_FILE": str(self.folder.file("rabbitmq.conf", settings)),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self.folder.file("plugins", "[].\n")),
            "RABBITMQ_CONF_ENV_FILE": str(self.folder.file("environment", "")),
            "RABBITMQ_MNESIA_BASE": str(self.folder.folder("data")),
            "RABBITMQ_LOG_BASE": str(self.folder.folder("log")),
            "RABBITMQ_PID_FILE": str(self.folder.path / "pid"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(self.folder.folder("generated")),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"-noinput +S 2:2 +sbwt none {LOOPBACK}",
            # Makes the start script become the server instead of watching over it.
            "RABBITMQ_ALLOW_INPUT": "1",
        }
        # Without one of ours, the server would leave a daemon behind.
        self.epmd = Process([program("epmd")], self.folder, environ)
        server = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        self.process = Process([server], self.folder, environ)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@{self.address}:{self.port}/"

    def tls_url(self, host: str = "localhost") -> str:
        authority = self.folder.path / "authority.pem"
        return f"amqps://guest:guest@{host}:{self.tls_port}/?cafile={authority}"

    def start(self) -> None:
        if self.epmd.running is None:
            self.epmd.start(lambda: answers(self.epmd_port))
        self.process.start(lambda: answers(self.port, GREETING, 1, b"\x01"), START_S)

    def stop(self) -> None:
        """Stop as on an ordinary day; what is durable is there after the next start."""
        self.process.stop()

    def kill(self) -> None:
        """Stop as in a power cut."""
        self.process.kill()

    def forget(self) -> None:
        """Lose everything that was durable, as a broker does whose disk was replaced."""
        for path in (self.folder.path / "data").iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.stop()
        self.epmd.stop()
        self.folder.remove()

    def _listeners(self) -> str:
        only_here = "true" if self.address == LOCAL else "false"
        lines = [f"loopback_users.guest = {only_here}"]
        for number, address in enumerate(dict.fromkeys((LOCAL, self.address)), 1):
            lines.append(f"listeners.tcp.{number} = {address}:{self.port}")
        return "\n".join(lines)

    def _tls(self, certificate: Certificate) -> str:
        return TLS_SETTINGS.format(
            port=self.tls_port,
            authority=self.folder.file("authority.pem", certificate.authority),
            certificate=self.folder.file("certificate.pem", certificate.certificate),
            key=self.folder.file("key.pem", certificate.key),
        )
