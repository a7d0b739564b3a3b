"""Every kind of thing that has tags has them in the same way."""

from typing import Any

import pytest

from tests.cloud import Local
from tests.network import actors, places

NOUNS = ("network", "subnet", "subnetpool", "port", "router", "floatingip", "security_group")


def made(local: Local, owner: actors.Actor, noun: str) -> Any:
    if noun == "subnetpool":
        return owner.make(noun, prefixes=["10.0.0.0/8"])
    if noun in ("router", "security_group"):
        return owner.make(noun, name="x")
    if noun == "floatingip":
        return owner.make(noun, floating_network_id=places.outside(local).network["id"])
    network = owner.make("network")
    if noun == "network":
        return network
    if noun == "port":
        return owner.make(noun, network_id=network["id"])
    return owner.make(noun, network_id=network["id"], cidr="10.0.0.0/24", ip_version=4)


@pytest.mark.parametrize("noun", NOUNS)
def test_tags_are_put_found_and_taken_off(local: Local, noun: str) -> None:
    owner = actors.newcomer(local, f"tags-of-{noun}")
    thing, other = made(local, owner, noun), made(local, owner, noun)
    path = f"/{actors.plural(noun)}/{thing['id']}/tags"
    assert owner.put(path, {"tags": ["b", "a"]}) == {"tags": ["a", "b"]}
    owner.put(f"{path}/c", status=201)
    owner.get(f"{path}/c", status=204)
    assert owner.get(path) == {"tags": ["a", "b", "c"]}
    assert owner.show(noun, thing)["tags"] == ["a", "b", "c"]
    assert owner.ids(noun, "tags=a,c") == [thing["id"]]
    assert other["id"] in owner.ids(noun, "not-tags=a")
    owner.delete(f"{path}/a")
    owner.delete(path)
    assert owner.show(noun, thing)["tags"] == []
    stranger = actors.newcomer(local, f"no-tags-of-{noun}")
    stranger.put(path, {"tags": ["x"]}, status=404)


def test_a_scope_is_shown_and_deleted(local: Local) -> None:
    owner = actors.newcomer(local, "scope-owner")
    scope = owner.make("address_scope", name="s", ip_version=6)
    assert owner.show("address_scope", scope) == scope
    owner.drop("address_scope", scope)
    owner.show("address_scope", scope, status=404)
    owner.make("address_scope", 400, name="s", ip_version=5)
    owner.make("address_scope", 403, name="s", ip_version=4, shared=True)
