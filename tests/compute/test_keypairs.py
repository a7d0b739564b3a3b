"""Key pairs: given or generated, in each version, and whose they are."""

from typing import Any

from cryptography.hazmat.primitives import serialization

from tests.cloud import Local
from tests.compute import actors
from tests.compute.actors import Actor

PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJKlmt4K2uEwtY4GJEHjrN4E5rTB3jhDFdJEXYRBI6zL me@there"
FINGERPRINT = "2a:f3:3d:55:91:36:95:3f:6d:bb:cb:13:d3:80:48:69"


def make(actor: Actor, name: str, status: int = 201, **attributes: Any) -> Any:
    answer = actor.post("/os-keypairs", {"keypair": {"name": name, **attributes}}, status)
    return answer["keypair"] if status < 300 else answer


def names(actor: Actor, query: str = "") -> list[str]:
    return [each["keypair"]["name"] for each in actor.get(f"/os-keypairs{query}")["keypairs"]]


def test_a_key_is_kept(local: Local) -> None:
    me = actors.newcomer(local, "key-keeper")
    made = make(me, "mine", public_key=PUBLIC)
    assert made.keys() == {"name", "public_key", "fingerprint", "type", "user_id"}
    assert made["public_key"] == PUBLIC
    assert made["type"] == "ssh"
    parts = made["fingerprint"].split(":")
    assert len(parts) == 16
    assert all(len(part) == 2 for part in parts)
    shown = me.get("/os-keypairs/mine")["keypair"]
    assert shown.items() >= made.items()
    assert shown["deleted"] is False
    assert shown["updated_at"] is None
    assert shown["id"] > 0
    assert me.at("2.1").get("/os-keypairs/mine")["keypair"].keys() == shown.keys() - {"type"}
    listed = me.at("2.1").get("/os-keypairs")["keypairs"]
    assert listed == [{"keypair": {n: made[n] for n in ("name", "public_key", "fingerprint")}}]
    assert "already exists" in me.message(
        "POST", "/os-keypairs", 409, {"keypair": {"name": "mine", "public_key": PUBLIC}}
    )
    me.delete("/os-keypairs/mine")
    me.delete("/os-keypairs/mine", status=404)
    me.get("/os-keypairs/mine", status=404)


def test_keys_are_generated_before_2_92(local: Local) -> None:
    me = actors.newcomer(local, "key-maker").at("2.91")
    made = make(me, "generated")
    private = serialization.load_pem_private_key(made["private_key"].encode(), None)
    public = private.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    assert made["public_key"].startswith(public.decode())
    assert "private_key" not in me.get("/os-keypairs/generated")["keypair"]
    certificate = make(me, "certificate", type="x509")
    assert certificate["public_key"].startswith("-----BEGIN CERTIFICATE-----")
    assert len(certificate["fingerprint"].split(":")) == 20
    message = me.at("2.92").message("POST", "/os-keypairs", 400, {"keypair": {"name": "none"}})
    assert "'public_key' is a required property" in message


def test_statuses_and_names_by_version(local: Local) -> None:
    me = actors.newcomer(local, "key-versions")
    first = me.at("2.1")
    make(first, "first", status=200, public_key=PUBLIC)
    make(first, "typed", status=400, public_key=PUBLIC, type="ssh")
    first.delete("/os-keypairs/first", status=202)
    make(me.at("2.91"), "a.b@c", status=400, public_key=PUBLIC)
    make(me, "a.b@c", public_key=PUBLIC)
    me.get("/os-keypairs/a.b@c")


def test_keys_that_cannot_be(local: Local) -> None:
    me = actors.newcomer(local, "key-errors")
    for name in ("", "x" * 256, "a/b", " a", "a ", "a\nb", None):
        me.post("/os-keypairs", {"keypair": {"name": name, "public_key": PUBLIC}}, status=400)
    for key in ("", "ssh-rsa", "ssh-rsa AAAA", "nonsense", "ssh-rsa !!! me", "é"):
        make(me, "bad", status=400, public_key=key)
    make(me, "bad", status=400, public_key=PUBLIC, type="x509")
    make(me, "bad", status=400, public_key=PUBLIC, type="other")
    me.post("/os-keypairs", {}, status=400)


def test_pages(local: Local) -> None:
    me = actors.newcomer(local, "key-pages")
    for name in ("b", "a", "c"):
        make(me, name, public_key=PUBLIC)
    page = me.get("/os-keypairs?limit=2")
    assert [each["keypair"]["name"] for each in page["keypairs"]] == ["a", "b"]
    assert "marker=b" in page["keypairs_links"][0]["href"]
    assert names(me, "?limit=2&marker=b") == ["c"]
    assert names(me.at("2.34"), "?limit=2") == ["a", "b", "c"]
    me.get("/os-keypairs?marker=none", status=400)


def test_only_administrators_see_others_keys(local: Local) -> None:
    admin = actors.admin(local)
    owner, stranger = actors.newcomer(local, "key-owner"), actors.newcomer(local, "key-stranger")
    user_id = make(owner, "owned", public_key=PUBLIC)["user_id"]
    assert names(stranger) == []
    stranger.get(f"/os-keypairs?user_id={user_id}", status=403)
    stranger.get(f"/os-keypairs/owned?user_id={user_id}", status=403)
    stranger.delete(f"/os-keypairs/owned?user_id={user_id}", status=403)
    make(stranger, "foisted", status=403, public_key=PUBLIC, user_id=user_id)
    assert names(admin, f"?user_id={user_id}") == ["owned"]
    assert names(admin.at("2.9"), f"?user_id={user_id}") == names(admin)
    make(admin, "given", public_key=PUBLIC, user_id=user_id)
    assert names(owner) == ["given", "owned"]
    admin.delete(f"/os-keypairs/owned?user_id={user_id}")
    assert names(owner) == ["given"]
