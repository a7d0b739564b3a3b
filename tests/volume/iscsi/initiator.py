"""QEMU's own initiator, as guests reach their volumes."""

import subprocess

from onestack.volume.backend import Connection, Connector

HOST = Connector(host="h", initiator="iqn.2026-01.org.onestack:h")
OTHER = Connector(host="o", initiator="iqn.2026-01.org.onestack:o")


class Initiator:
    """QEMU as it reaches a volume."""

    def __init__(self, connection: Connection, connector: Connector = HOST) -> None:
        self.data, self.name = connection.data, connector.initiator

    def options(self) -> list[str]:
        data = self.data
        secret = f"secret,id=s,data={data['auth_password']}"
        where = (
            f"driver=iscsi,transport=tcp,portal={data['target_portal']},"
            f"target={data['target_iqn']},lun={data['target_lun']},user={data['auth_username']},"
            f"password-secret=s,initiator-name={self.name}"
        )
        return ["--object", secret, "--image-opts", where]

    def begin(self) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["qemu-io", *self.options()],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip

    def run(self, *commands: str) -> str:
        said, _ = self.begin().communicate("\n".join([*commands, "quit"]) + "\n", timeout=60)
        return said

    def is_refused(self) -> bool:
        argv = ["qemu-img", "info", *self.options()]
        return subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode != 0


def reading(pattern: int, start: str = "0", length: str = "1M") -> str:
    return f"read -P {pattern} {start} {length}"


def is_read(said: str) -> bool:
    return "read 1048576/1048576" in said and "verification failed" not in said
