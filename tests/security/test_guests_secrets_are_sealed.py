"""What a guest is told once, its administrator's password and its files, is in no row in clear."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import select

from onestack.core.db import Database, Record
from onestack.core.engine import Engine
from onestack.core.flow_record import FlowRecord
from tests.compute.clients import Client
from tests.conftest import Clouds
from tests.settle import settle

PASSWORD = "c4n4ry-of-the-guest"
FILE = base64.b64encode(b"c4n4ry in a file").decode()


@pytest.fixture
def client(another: Clouds) -> Client:
    return Client(another(), "2.56")  # the last version in which files are given


@pytest.fixture
def personality() -> list[dict[str, str]]:
    return [{"path": "/secret", "contents": FILE}]


def test_while_a_server_is_built(client: Client, personality: Any) -> None:
    client.create(config_drive=True, adminPass=PASSWORD, personality=personality)
    assert sent(client) == ["Hypervisor.create"]


def test_while_a_server_is_rebuilt(client: Client, personality: Any) -> None:
    server = client.built(config_drive=True)
    body = {"imageRef": client.image, "adminPass": PASSWORD, "personality": personality}
    assert client.act(server, "rebuild", body).status == 202
    assert sent(client) == ["Hypervisor.create"]
    settle(client.local)
    assert client.show(server)["status"] == "ACTIVE"


def sent(client: Client) -> list[str]:
    """What is asked of hosts with the secrets in it, while none of them is in a row: not even
    after the process died, and another one took the errand up."""
    engine = client.local.cloud.get(Engine)
    found = []
    while (row := engine.take()) is not None:
        work = engine.advance(row)
        check_rows(client)
        while work is not None:
            taken_up = engine.advance(stored(client, row.id))
            assert taken_up is not None
            assert taken_up.errand == work.errand
            if any(each in str(work.errand.arguments) for each in written()):
                found.append(str(work.errand.method))
            work = engine.settle(work, engine.carry_out(work))
            check_rows(client)
    return found


def stored(client: Client, flow_id: str) -> FlowRecord:
    with client.local.cloud.get(Database).transaction(write=False) as session:
        return session.get_one(FlowRecord, flow_id)


def check_rows(client: Client) -> None:
    with client.local.cloud.get(Database).transaction(write=False) as session:
        for table in Record.metadata.sorted_tables:
            for row in session.execute(select(table)):
                whole = str(tuple(row))  # a row itself shows long values in part
                assert not any(each in whole for each in written()), table.name


def written() -> Iterator[str]:
    """How the secrets look in a row, in clear and wherever they stand within base64."""
    yield from (PASSWORD, FILE)
    for before in range(3):
        text = base64.b64encode(b" " * before + PASSWORD.encode()).decode()
        yield text[4 : -4 if text.endswith("=") else None]
