"""How often identity asks its database: a client's reads stay cheap however much there is."""

import re

import pytest

from onestack.core.api import Operation
from onestack.core.db import Database, Record, bump, counted
from onestack.identity import SERVICE
from tests.cloud import Local
from tests.conftest import Clouds
from tests.security.world import World

STATEMENTS_MAX = 2
TABLE = re.compile(r"(?:FROM|JOIN) (\w+)")
UNSEEN = {"revisions"}
REVISION = "SELECT value FROM revisions"
READS = [each for each in SERVICE.operations if each.method == "GET" and not each.is_public]


def world_of(local: Local) -> World:
    return World(local, "counted", {(op.method, op.path) for op in SERVICE.operations})


@pytest.fixture
def world(another: Clouds) -> World:
    return world_of(another())


def statements(world: World, operation: Operation, *, is_warm: bool) -> tuple[int, list[str]]:
    """The answer's status and its statements: when the same was asked before, or for the first
    time after something of identity changed."""
    path = world.path(operation, SERVICE)
    headers = {"x-subject-token": world.owner.token or ""} if path.endswith("/tokens") else {}
    token = world.local.token("admin")
    if is_warm:
        world.local.ask("GET", path, None, token, headers)
    else:
        with world.local.cloud.get(Database).transaction() as session:
            bump(session, "identity")
    with counted() as seen:
        answer = world.local.ask("GET", path, None, token, headers)
    return answer.status, seen


def test_a_read_takes_two_statements_at_most_once_warm(world: World) -> None:
    asked = 0
    costly = {}
    for operation in READS:
        status, seen = statements(world, operation, is_warm=True)
        asked += status < 300
        assert REVISION not in seen[1:], operation.path
        if status < 300 and len(seen) > STATEMENTS_MAX:
            costly[operation.path] = seen
    assert costly == {}
    assert asked > len(READS) * 3 / 4


def test_reads_take_as_many_statements_however_much_there_is(world: World) -> None:
    before = {each.path: len(statements(world, each, is_warm=False)[1]) for each in READS}
    _fill(world)
    grown = {}
    for each in READS:
        count = len(statements(world, each, is_warm=False)[1])
        if count > before[each.path] + 1:
            grown[each.path] = before[each.path], count
    assert grown == {}


def test_what_is_kept_is_good_for_its_caller_alone(world: World) -> None:
    path = f"/identity/v3/users/{world.owner_id}"
    assert world.local.ask("GET", path, None, world.local.token("admin")).status == 200
    assert world.local.ask("GET", path, None, world.local.token("demo")).status == 403
    assert world.local.ask("GET", path).status == 401


def test_what_is_kept_ends_with_the_change_that_it_is_about(world: World) -> None:
    path = f"/users/{world.owner_id}"
    world.admin.get(path)
    world.admin.patch(path, {"user": {"description": "changed"}})
    assert world.admin.get(path)["user"]["description"] == "changed"


def test_every_row_that_a_kept_answer_reads_ends_it_when_it_changes(world: World) -> None:
    """An answer is kept until its service's topic is bumped, so all its tables must do that."""
    silent = {mapper.class_.__tablename__ for mapper in Record.registry.mappers
              if mapper.class_.topic != "identity"} - UNSEEN  # fmt: skip
    wrong = {}
    for operation in READS:
        _, seen = statements(world, operation, is_warm=False)
        if operation.kept and not operation.threaded:
            names = {name for each in seen for name in TABLE.findall(each)}
            if names & silent:
                wrong[operation.path] = names & silent
    assert wrong == {}


def _fill(world: World) -> None:
    """Ten more of what lists are made of, beside what is there."""
    admin, ids = world.admin, world.ids
    member = world.roles["member"]
    for number in range(10):
        user = world.user(f"more-{number}")
        admin.put(f"/groups/{ids['group_id']}/users/{user}")
        admin.put(f"/projects/{world.project}/users/{user}/roles/{member}")
        body = {"name": f"more-{number}", "domain_id": world.domain, "tags": [str(number)]}
        project = world.made("project", body)
        admin.put(f"/projects/{project}/users/{world.owner_id}/roles/{member}")
        admin.put(f"/OS-EP-FILTER/projects/{project}/endpoints/{ids['endpoint_id']}")
        admin.put(f"/OS-EP-FILTER/endpoint_groups/{ids['endpoint_group_id']}/projects/{project}")
        limit = {
            "service_id": ids["service_id"], "resource_name": "things", "resource_limit": 1,
            "project_id": project,
        }  # fmt: skip
        admin.post("/limits", {"limits": [limit]})
        world.owner.post(
            f"/users/{world.owner_id}/credentials/OS-EC2", {"tenant_id": world.project}
        )
        lent = {"name": f"more-{number}", "access_rules": [
            {"service": "identity", "method": "GET", "path": f"/v3/{number}"}]}  # fmt: skip
        path = f"/users/{world.owner_id}/application_credentials"
        world.made("application_credential", lent, path, world.owner)
        endpoint = {
            "service_id": ids["service_id"], "region_id": ids["region_id"],
            "interface": "public", "url": f"http://127.0.0.1:1/{number}",
        }  # fmt: skip
        world.made("endpoint", endpoint)
