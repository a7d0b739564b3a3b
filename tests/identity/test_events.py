"""What identity reports of its changes: NOUN.created, NOUN.updated, NOUN.deleted."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import func, select

from onestack.core.db import Database
from onestack.core.event import EventRecord
from tests.cloud import Local
from tests.identity.people import make_user
from tests.identity.programs import Person

NOUNS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("region", "/regions", {"description": "north"}, {"description": "south"}),
    ("service", "/services", {"type": "told", "name": "told"}, {"name": "tolder"}),
    ("policy", "/policies", {"type": "text/plain", "blob": "tell-nobody"}, {"blob": "nor-me"}),
    ("endpoint_group", "/OS-EP-FILTER/endpoint_groups",
     {"name": "told", "filters": {"interface": "public"}}, {"description": "heard"}),
    ("user", "/users", {"name": "told", "password": "tell-nobody"}, {"password": "nor-me"}),
    ("group", "/groups", {"name": "told", "domain_id": "default"}, {"description": "heard"}),
    ("role", "/roles", {"name": "told"}, {"description": "heard"}),
    ("project", "/projects", {"name": "told"}, {"description": "heard"}),
    ("credential", "/credentials",
     {"type": "cert", "blob": "tell-nobody", "user_id": "USER"}, {"blob": "nor-me"}),
]  # fmt: skip


class Told(list[tuple[str, dict[str, Any]]]):
    """The events of a block, in their order."""

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self]


@contextmanager
def telling(local: Local) -> Iterator[Told]:
    """Collect what is told within the block."""
    database, told = local.cloud.get(Database), Told()
    with database.transaction(write=False) as session:
        last = session.scalar(select(func.max(EventRecord.id))) or 0
    yield told
    with database.transaction(write=False) as session:
        later = select(EventRecord).where(EventRecord.id > last).order_by(EventRecord.id)
        told += [(each.name, each.payload) for each in session.scalars(later)]


@pytest.mark.parametrize(("noun", "path", "body", "change"), NOUNS, ids=[row[0] for row in NOUNS])
def test_a_noun_tells_its_life(
    local: Local, noun: str, path: str, body: dict[str, Any], change: dict[str, Any]
) -> None:
    admin = local.admin
    if "user_id" in body:
        body = {**body, "user_id": make_user(local, "events-owner")["id"]}
    with telling(local) as told:
        made = admin.post(path, {noun: body})[noun]
        admin.patch(f"{path}/{made['id']}", {noun: change})
        admin.delete(f"{path}/{made['id']}")
    assert told.names == [f"identity.{noun}.{what}" for what in ("created", "updated", "deleted")]
    assert all(payload == {"resource_info": made["id"]} for _, payload in told)
    assert not {"tell-nobody", "nor-me"} & {*json.dumps(told).split('"')}


def test_what_is_refused_is_not_told(local: Local) -> None:
    local.admin.post("/roles", {"role": {"name": "told-once"}})
    with telling(local) as told:
        local.admin.post("/roles", {"role": {"name": "told-once"}}, status=409)
        local.admin.delete("/policies/nobody", status=404)
    assert told == []


def test_endpoints_and_limits_tell_their_lives(local: Local) -> None:
    admin = local.admin
    service = admin.post("/services", {"service": {"type": "events"}})["service"]["id"]
    project = admin.post("/projects", {"project": {"name": "events-limited"}})["project"]["id"]
    with telling(local) as told:
        body = {"service_id": service, "interface": "public", "url": "http://x", "region": "told"}
        endpoint = admin.post("/endpoints", {"endpoint": body})["endpoint"]["id"]
        admin.patch(f"/endpoints/{endpoint}", {"endpoint": {"enabled": False}})
        admin.delete(f"/endpoints/{endpoint}")
        default = {"service_id": service, "resource_name": "told", "default_limit": 5}
        (made,) = admin.post("/registered_limits", {"registered_limits": [default]})[
            "registered_limits"
        ]
        limit = {"service_id": service, "resource_name": "told", "resource_limit": 3}
        (own,) = admin.post("/limits", {"limits": [{**limit, "project_id": project}]})["limits"]
        admin.patch(f"/limits/{own['id']}", {"limit": {"resource_limit": 4}})
        admin.delete(f"/limits/{own['id']}")
        admin.patch(f"/registered_limits/{made['id']}", {"registered_limit": {"default_limit": 6}})
        admin.delete(f"/registered_limits/{made['id']}")
    assert told.names == [f"identity.{name}" for name in (
        "region.created", "endpoint.created", "endpoint.updated", "endpoint.deleted",
        "registered_limit.created", "limit.created", "limit.updated", "limit.deleted",
        "registered_limit.updated", "registered_limit.deleted",
    )]  # fmt: skip


def test_trusts_implications_and_configurations_tell_their_lives(local: Local) -> None:
    admin, person = local.admin, Person(local, "events-trustor")
    domain = admin.post("/domains", {"domain": {"name": "events-domain"}})["domain"]["id"]
    one, other = (
        admin.post("/roles", {"role": {"name": name}})["role"]["id"] for name in ("e-one", "e-two")
    )
    with telling(local) as told:
        trust = {
            "trustor_user_id": person.id, "trustee_user_id": make_user(local, "e-trustee")["id"],
            "impersonation": False,
        }  # fmt: skip
        lent = person.me.post("/OS-TRUST/trusts", {"trust": trust})["trust"]["id"]
        person.me.delete(f"/OS-TRUST/trusts/{lent}")
        admin.put(f"/roles/{one}/implies/{other}", status=201)
        admin.delete(f"/roles/{one}/implies/{other}")
        config = {"config": {"ldap": {"url": "ldap://told", "password": "tell-nobody"}}}
        admin.put(f"/domains/{domain}/config", config, status=201)
        admin.patch(f"/domains/{domain}/config", config)
        admin.delete(f"/domains/{domain}/config")
    assert [name for name in told.names if name != "identity.user.created"] == [
        f"identity.{name}" for name in (
            "OS-TRUST:trust.created", "OS-TRUST:trust.deleted",
            "implied_role.created", "implied_role.deleted",
            "domain_config.created", "domain_config.updated", "domain_config.deleted",
        )
    ]  # fmt: skip
    assert "tell-nobody" not in json.dumps(told)


def test_a_domain_tells_of_everything_that_goes_with_it(local: Local) -> None:
    admin = local.admin
    domain = admin.post("/domains", {"domain": {"name": "events-gone"}})["domain"]["id"]
    inside = {"name": "events-inside", "domain_id": domain}
    made = {
        noun: admin.post(f"/{noun}s", {noun: inside})[noun]["id"]
        for noun in ("project", "group", "user", "role")
    }
    admin.patch(f"/domains/{domain}", {"domain": {"enabled": False}})
    with telling(local) as told:
        admin.delete(f"/domains/{domain}")
    expected = [(f"identity.{noun}.deleted", each) for noun, each in made.items()]
    assert [(name, payload["resource_info"]) for name, payload in told] == [
        *expected, ("identity.domain.deleted", domain),
    ]  # fmt: skip
