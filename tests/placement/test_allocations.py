"""Allocations, usages, the reshaper, and who may do all that."""

from typing import Any

import pytest

from tests.cloud import As, Local
from tests.placement.cloud import Placement, claim, new_id


def test_allocations_live(placement: Placement) -> None:
    one, two = placement.provider(VCPU=8, MEMORY_MB=1024), placement.provider(DISK_GB=100)
    consumer = new_id()
    path = f"/allocations/{consumer}"
    assert placement.get(path) == {"allocations": {}}
    placement.allocate(consumer, {one: {"VCPU": 2, "MEMORY_MB": 512}, two: {"DISK_GB": 10}})
    assert placement.get(path) == {
        "allocations": {
            one: {"generation": 2, "resources": {"VCPU": 2, "MEMORY_MB": 512}},
            two: {"generation": 2, "resources": {"DISK_GB": 10}},
        },
        "project_id": "project", "user_id": "user", "consumer_generation": 1,
        "consumer_type": "INSTANCE",
    }  # fmt: skip
    assert placement.get(f"/resource_providers/{one}/allocations") == {
        "resource_provider_generation": 2,
        "allocations": {
            consumer: {"resources": {"VCPU": 2, "MEMORY_MB": 512}, "consumer_generation": 1}
        },
    }
    assert placement.get(f"/resource_providers/{one}/usages") == {
        "resource_provider_generation": 2, "usages": {"VCPU": 2, "MEMORY_MB": 512},
    }  # fmt: skip
    # What is replaced is free for the one who replaces it.
    placement.allocate(consumer, {one: {"VCPU": 8}}, consumer_generation=1)
    assert placement.get(f"/resource_providers/{two}/usages")["usages"] == {"DISK_GB": 0}
    placement.delete(path)
    placement.refused("DELETE", path, 404, f"No allocations for consumer '{consumer}'")
    assert placement.get(path) == {"allocations": {}}


REFUSED: tuple[tuple[dict[str, Any], int, str], ...] = (
    ({"VCPU": 9}, 409, "would exceed the capacity"),
    ({"DISK_GB": 10}, 409, "Inventory for 'DISK_GB' on resource provider"),
    ({"MEMORY_MB": 64}, 409, "would violate inventory constraints"),
    ({"MEMORY_MB": 192}, 409, "would violate inventory constraints"),
    ({"MEMORY_MB": 1024}, 409, "would violate inventory constraints"),
    ({"NO_SUCH": 1}, 400, "No such resource class NO_SUCH"),
    ({"VCPU": 0}, 400, ""),
    ({"VCPU": 2**31}, 400, ""),
    ({"VCPU": "1"}, 400, ""),
    ({"vcpu": 1}, 400, ""),
    ({}, 400, ""),
)


@pytest.mark.parametrize(("amounts", "status", "said"), REFUSED)
def test_what_cannot_be_had_is_refused(
    placement: Placement, amounts: dict[str, Any], status: int, said: str
) -> None:
    memory = {"total": 4096, "min_unit": 128, "max_unit": 512, "step_size": 128}
    uuid = placement.provider(VCPU=8, MEMORY_MB=memory)
    path = f"/allocations/{new_id()}"
    placement.refused("PUT", path, status, said, body=claim({uuid: amounts}))
    assert placement.get(path) == {"allocations": {}}


def test_generations_of_consumers_are_checked(placement: Placement) -> None:
    uuid, consumer = placement.provider(VCPU=8), new_id()
    path = f"/allocations/{consumer}"
    for given, said in ((5, "expected null but got 5"), (0, "expected null but got 0")):
        body = claim({uuid: {"VCPU": 1}}, consumer_generation=given)
        placement.refused("PUT", path, 409, said, body=body, code="placement.concurrent_update")
    placement.allocate(consumer, {uuid: {"VCPU": 1}})
    for given, said in ((None, "expected 1 but got null"), (3, "expected 1 but got 3")):
        body = claim({uuid: {"VCPU": 1}}, consumer_generation=given)
        placement.refused("PUT", path, 409, said, body=body)
        placement.refused("POST", "/allocations", 409, said, body={consumer: body})
    placement.refused("PUT", "/allocations/no", 400, "Malformed consumer_uuid",
                      body=claim({uuid: {"VCPU": 1}}))  # fmt: skip
    placement.refused("PUT", path, 400, "that does not exist",
                      body=claim({new_id(): {"VCPU": 1}}, consumer_generation=1))  # fmt: skip


def test_several_consumers_swap_at_once(placement: Placement) -> None:
    one, two = placement.provider(VCPU=4), placement.provider(VCPU=4)
    server, migration = new_id(), new_id()
    placement.allocate(server, {one: {"VCPU": 4}})
    body = {
        migration: claim({one: {"VCPU": 4}}, consumer_type="MIGRATION"),
        server: claim({two: {"VCPU": 4}}, consumer_generation=1),
    }
    placement.post("/allocations", body, status=204)
    assert list(placement.get(f"/allocations/{server}")["allocations"]) == [two]
    assert list(placement.get(f"/allocations/{migration}")["allocations"]) == [one]
    placement.post("/allocations", {migration: claim({}, consumer_generation=1)}, status=204)
    assert placement.get(f"/resource_providers/{one}/usages")["usages"] == {"VCPU": 0}
    placement.refused("POST", "/allocations", 400, body={})


def test_usages_of_a_project(placement: Placement) -> None:
    uuid, project = placement.provider(VCPU=50), new_id()
    placement.allocate(new_id(), {uuid: {"VCPU": 1}}, project_id=project)
    placement.allocate(new_id(), {uuid: {"VCPU": 2}}, project_id=project, user_id="other")
    moving = {"project_id": project, "consumer_type": "MIGRATION"}
    placement.allocate(new_id(), {uuid: {"VCPU": 4}}, **moving)
    untyped = {k: v for k, v in claim({uuid: {"VCPU": 8}}).items() if k != "consumer_type"}
    placement.put(f"/allocations/{new_id()}", {**untyped, "project_id": project}, "1.37", 204)

    def usages(query: str, version: str = "1.39") -> Any:
        return placement.get(f"/usages?project_id={project}{query}", version)["usages"]

    assert usages("", "1.37") == {"VCPU": 15}
    assert usages("&user_id=other", "1.37") == {"VCPU": 2}
    by_type = {
        "INSTANCE": {"consumer_count": 2, "VCPU": 3},
        "MIGRATION": {"consumer_count": 1, "VCPU": 4},
        "unknown": {"consumer_count": 1, "VCPU": 8},
    }
    assert usages("") == by_type
    for name, expected in by_type.items():
        assert usages(f"&consumer_type={name}") == {name: expected}
    assert usages("&consumer_type=all") == {"all": {"consumer_count": 4, "VCPU": 15}}
    assert usages("&consumer_type=ALL") == {}
    assert usages("&user_id=nobody") == {}
    for query in ("", "?project_id=", "?project_id=p&colour=red", "?project_id=p&user_id=",
                  "?project_id=p&consumer_type=in-stance"):  # fmt: skip
        placement.refused("GET", f"/usages{query}", 400)


def _with_roles(local: Local, *roles: str) -> Placement:
    """A new user with these roles in a project of its own."""
    name = new_id()
    admin: As = local.admin
    project = admin.post("/projects", {"project": {"name": name}})["project"]["id"]
    user = admin.post("/users", {"user": {"name": name, "password": "secret-Word-1"}})["user"]["id"]
    known = {role["name"]: role["id"] for role in admin.get("/roles")["roles"]}
    for role in roles:
        admin.put(f"/projects/{project}/users/{user}/roles/{known[role]}")
    answer = local.login(name, "secret-Word-1", {"project": {"id": project}})
    assert answer.status == 201, answer
    found = Placement(local, answer.headers["x-subject-token"])
    found.project = project  # type: ignore[attr-defined]
    return found


def test_administrators_and_services_only(placement: Placement, local: Local) -> None:
    service, member = _with_roles(local, "service"), _with_roles(local, "member")
    uuid = placement.provider(VCPU=1)
    for path in ("/resource_providers", f"/resource_providers/{uuid}", "/traits",
                 f"/resource_providers/{uuid}/inventories", "/resource_classes",
                 f"/resource_providers/{uuid}/usages", f"/allocations/{new_id()}",
                 "/allocation_candidates?resources=VCPU:1"):  # fmt: skip
        service.get(path)
        placement.get(path)
        member.refused("GET", path, 403)
        Placement(local, None).refused("GET", path, 401)
    reader = _with_roles(local, "reader")
    for who in (member, reader):
        who.get(f"/usages?project_id={who.project}")  # type: ignore[attr-defined]
        who.refused("GET", "/usages?project_id=other", 403)
    service.get("/usages?project_id=other")
    placement.get("/usages?project_id=other")
    system = Placement(local, local.token("admin", {"system": {"all": True}}))
    system.refused("GET", "/resource_providers", 403)


def test_the_reshaper_moves_what_is_in_use(placement: Placement, local: Local) -> None:
    service = _with_roles(local, "service")
    root = placement.provider(VCPU=10, DISK_GB=100)
    child = placement.provider(parent=root)
    consumer = new_id()
    placement.allocate(consumer, {root: {"VCPU": 4, "DISK_GB": 10}})
    generation = placement.get(f"/resource_providers/{root}")["generation"]

    def inventories(of_root: int, of_child: int = 0) -> Any:
        return {
            root: {"resource_provider_generation": of_root,
                   "inventories": {"DISK_GB": {"total": 100}}},
            child: {"resource_provider_generation": of_child,
                    "inventories": {"VCPU": {"total": 10}}},
        }  # fmt: skip

    moved = claim({root: {"DISK_GB": 10}, child: {"VCPU": 4}}, consumer_generation=1)
    body = {"inventories": inventories(generation), "allocations": {consumer: moved}}
    service.refused("POST", "/reshaper", 409, body={**body, "allocations": {}},
                    code="placement.inventory.inuse")  # fmt: skip
    service.refused("POST", "/reshaper", 409, "generation conflict",
                    body={**body, "inventories": inventories(generation - 1)})  # fmt: skip
    stale = {consumer: {**moved, "consumer_generation": 9}}
    service.refused("POST", "/reshaper", 409, "consumer generation conflict",
                    body={**body, "allocations": stale})  # fmt: skip
    missing = {new_id(): inventories(0)[child]}
    service.refused("POST", "/reshaper", 400, body={**body, "inventories": missing},
                    code="placement.resource_provider.not_found")  # fmt: skip
    service.refused("POST", "/reshaper", 400, body={"cows": "moo"})
    before = placement.get(f"/allocations/{consumer}")
    assert before["allocations"][root]["resources"] == {"VCPU": 4, "DISK_GB": 10}
    service.post("/reshaper", body, status=204)
    assert placement.get(f"/resource_providers/{root}/usages")["usages"] == {"DISK_GB": 10}
    assert placement.get(f"/resource_providers/{child}/usages")["usages"] == {"VCPU": 4}
