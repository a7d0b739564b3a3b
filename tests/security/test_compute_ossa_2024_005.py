"""OSSA-2024-005, 2014-031, 2013-034: an operation on a part of a server is open to strangers."""

from typing import Any

import pytest

from onestack import compute
from onestack.core.api import Operation
from tests.cloud import Local
from tests.compute.actors import Actor
from tests.compute.clients import Client
from tests.image import actors as image_actors

OPERATIONS = [
    each
    for each in compute.SERVICE.operations
    if each.path.startswith("/v2.1/servers/{server_id}") and not each.is_public
]
READS = ("GET", "HEAD")
# Bodies that say enough to get as far as the server.
BODIES: dict[str, Any] = {
    "/metadata": {"metadata": {"k": "v"}},
    "/metadata/{key}": {"meta": {"a": "v"}},
    "/tags": {"tags": ["t"]},
    "/os-interface": {"interfaceAttachment": {}},
    "/os-volume_attachments": {
        "volumeAttachment": {"volumeId": "00000000-0000-4000-8000-000000000000"}
    },
    "/os-volume_attachments/{volume_id}": {
        "volumeAttachment": {"volumeId": "00000000-0000-4000-8000-000000000000"}
    },
    "": {"server": {"name": "x"}},
    "/remote-consoles": {"remote_console": {"protocol": "vnc", "type": "novnc"}},
}
ACTIONS: dict[str, Any] = {
    "reboot": {"type": "HARD"}, "rebuild": {"imageRef": "00000000-0000-4000-8000-000000000000"},
    "resize": {"flavorRef": "1"}, "createImage": {"name": "x"}, "os-resetState": {"state": "error"},
    "addFixedIp": {"networkId": "n"}, "removeFixedIp": {"address": "192.0.2.1"},
    "addFloatingIp": {"address": "192.0.2.9"}, "removeFloatingIp": {"address": "192.0.2.9"},
    "addSecurityGroup": {"name": "default"}, "removeSecurityGroup": {"name": "default"},
    "os-migrateLive": {"host": None, "block_migration": "auto"}, "evacuate": {},
    "createBackup": {"name": "x", "backup_type": "daily", "rotation": 1},
    "os-getVNCConsole": {"type": "novnc"}, "os-getSerialConsole": {"type": "serial"},
}  # fmt: skip
VALUES = {"key": "a", "tag": "t", "volume_id": "v", "port_id": "p", "request_id": "r",
          "network": "n", "migration_id": "1"}  # fmt: skip


class Matrix:
    """A server, and people who look at it."""

    def __init__(self, local: Local) -> None:
        self.client = Client(local)
        owner = self.client.member
        self.server = self.client.built(metadata={"a": "b"}, tags=["t"])["id"]
        known = image_actors.newcomer(local, f"reader-{self.server}", "reader", owner.project)
        self.reader = Actor(local, known.token, known.project)
        self.stranger = Client(local).member
        self.nobody = Actor(local, None)


@pytest.fixture(scope="module")
def matrix(local: Local) -> Matrix:
    return Matrix(local)


def named(operation: Operation) -> str:
    return f"{operation.method} {operation.path} {operation.action or ''}".strip()


def asked(matrix: Matrix, operation: Operation, who: Actor) -> int:
    """What somebody is answered who asks for this."""
    path = operation.path.removeprefix("/v2.1").replace("{server_id}", matrix.server)
    for name, value in VALUES.items():
        path = path.replace(f"{{{name}}}", value)
    assert "{" not in path, path
    body = BODIES.get(operation.path.removeprefix("/v2.1/servers/{server_id}"))
    if operation.action is not None:
        body = {operation.action: ACTIONS.get(operation.action)}
    version = operation.window.until if operation.window.until.major < 999 else "2.104"
    return who.at(str(version)).ask(
        operation.method, path, None if operation.method in (*READS, "DELETE") else body
    ).status  # fmt: skip


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_strangers_do_not_learn_that_there_is_a_server(
    matrix: Matrix, operation: Operation
) -> None:
    assert asked(matrix, operation, matrix.nobody) == 401
    assert asked(matrix, operation, matrix.stranger) in (403, 404)


@pytest.mark.parametrize(
    "operation",
    [each for each in OPERATIONS if each.method not in READS and not each.reads],
    ids=named,
)
def test_readers_change_nothing(matrix: Matrix, operation: Operation) -> None:
    assert asked(matrix, operation, matrix.reader) in (403, 404)


def test_the_server_is_as_it_was(matrix: Matrix) -> None:
    shown = matrix.client.show({"id": matrix.server})
    assert (shown["name"], shown["status"], shown["OS-EXT-STS:task_state"]) == (
        "one", "ACTIVE", None,
    )  # fmt: skip
    assert (shown["metadata"], shown["tags"]) == ({"a": "b"}, ["t"])
