"""What guests learn of themselves, and who else learns of it: nobody."""

import base64
import hmac
import json
from hashlib import sha256
from typing import Any

import pytest

from onestack.core.seal import Seal
from tests.cloud import Answer, Local
from tests.compute.clients import Client

SCRIPT = b"#!/bin/sh\necho hello\n"


@pytest.fixture
def client(local: Local) -> Client:
    return Client(local)


def ask(
    client: Client, server: Any, path: str, method: str = "GET", body: bytes | None = None,
    **headers: str,
) -> Answer:  # fmt: skip
    """Ask as a host does that vouches for a guest."""
    secret = client.local.cloud.get(Seal).derive("metadata").key.hex().encode()
    signature = hmac.new(secret, server["id"].encode(), sha256).hexdigest()
    known = {
        "X-Instance-ID": server["id"], "X-Tenant-ID": server["tenant_id"],
        "X-Instance-ID-Signature": signature, "X-Forwarded-For": "10.0.0.3",
    }  # fmt: skip
    given = {**known, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return client.local.ask(method, f"/compute/metadata{path}", body, None, given)


def test_a_guest_learns_of_itself(client: Client) -> None:
    encoded = base64.b64encode(SCRIPT).decode()
    server = client.built(name="Curious One", metadata={"role": "db"}, user_data=encoded)
    said = ask(client, server, "/openstack/latest/meta_data.json").body
    assert (said["uuid"], said["name"]) == (server["id"], "Curious One")
    assert (said["hostname"], said["meta"]) == ("curious-one", {"role": "db"})
    assert ask(client, server, "/openstack/latest/user_data").content == SCRIPT
    assert ask(client, server, "/latest/user-data").content == SCRIPT
    assert ask(client, server, "/latest/meta-data/hostname").content == b"curious-one"
    assert ask(client, server, "/2009-04-04/meta-data/placement/").content == b"availability-zone"
    assert b"meta-data/" in ask(client, server, "/latest").content
    listed = ask(client, server, "/openstack/latest/").content.decode().split()
    assert {"meta_data.json", "network_data.json", "user_data"} <= set(listed)
    assert b"latest" in ask(client, server, "/openstack").content
    assert b"latest" in ask(client, server, "/").content


@pytest.mark.parametrize(
    "path", ["/latest/meta-data/nothing", "/openstack/never", "/openstack/latest/user_data", "/x"]
)
def test_what_there_is_not(client: Client, path: str) -> None:
    server = client.built()
    assert ask(client, server, path).status == 404


def test_nobody_else_learns_of_it(client: Client) -> None:
    """OSSA-2013-033: a guest that says who it is, or a signature that is not ours."""
    server = client.built()
    path = "/openstack/latest/meta_data.json"
    assert ask(client, server, path, X_Instance_ID_Signature="0" * 64).status == 403
    assert ask(client, server, path, X_Instance_ID_Signature="").status == 403
    assert ask(client, server, path, X_Instance_ID="x").status == 403
    assert ask(client, server, path, X_Tenant_ID="another").status == 404
    assert client.local.ask("GET", f"/compute/metadata{path}").status == 403


def test_a_deleted_server_has_no_metadata(client: Client) -> None:
    server = client.built()
    client.delete(server)
    assert ask(client, server, "/openstack/latest/meta_data.json").status == 404


def test_a_config_drive_says_the_same(client: Client) -> None:
    from onestack.compute.servers.config_drive import Secrets
    from onestack.compute.servers.record import find
    from onestack.compute.servers.spec import spec_of
    from onestack.core.db import Database

    server = client.built(config_drive=True, metadata={"a": "b"})
    assert server["config_drive"] == "True"
    with client.local.cloud.get(Database).transaction(write=False) as session:
        row = find(session, server["id"])
        spec = spec_of(session, client.local.cloud, row, secrets=Secrets("pass", {"/x": "aGk="}))
    drive = next(each for each in spec.disks if each.id == "config").config_drive or {}
    said = json.loads(base64.b64decode(drive["openstack/latest/meta_data.json"]))
    asked = ask(client, server, "/openstack/latest/meta_data.json").body
    assert said.pop("admin_pass") == "pass"
    assert said.pop("files") == [{"path": "/x", "content_path": "/content/0000"}]
    assert said == asked
    assert base64.b64decode(drive["openstack/content/0000"]) == b"hi"


def test_a_guest_leaves_a_password_for_its_owner(client: Client) -> None:
    server = client.built()
    kept, path = f"/servers/{server['id']}/os-server-password", "/openstack/2013-10-17/password"
    form = "application/x-www-form-urlencoded"

    def leave(said: bytes) -> int:
        return ask(client, server, path, "POST", said, content_type=form).status

    assert client.member.get(kept) == {"password": ""}
    assert leave(b"x" * 1021) == 400
    assert leave(b"sealed") == 200
    assert ask(client, server, path).content == b"sealed"
    assert leave(b"another") == 409
    assert client.member.get(kept) == {"password": "sealed"}
    assert Client(client.local).member.ask("GET", kept).status == 404
    client.member.delete(kept)
    assert client.member.get(kept) == {"password": ""}
    assert leave(b"another") == 200
    assert ask(client, server, "/openstack/latest/meta_data.json", "POST", b"x").status == 404
