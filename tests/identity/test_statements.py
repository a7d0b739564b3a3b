"""How often identity asks its database: a client's reads stay cheap however much there is.

Proving who asks takes one statement, and most reads one more. Those that take more are named in
`statements.txt`; `python -m tests.identity.test_statements` writes it anew.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from onestack.core.api import Operation
from onestack.core.db import counted
from onestack.identity import SERVICE
from tests.cloud import Local
from tests.conftest import CHEAP, Clouds
from tests.security.world import World

STATEMENTS_MAX = 2
KEPT = Path(__file__).parent / "statements.txt"
# Lists that still read the parts of each of their things by a statement of its own.
ONE_BY_ONE = {
    "/v3/OS-EP-FILTER/endpoint_groups/{endpoint_group_id}/projects",
    "/v3/OS-EP-FILTER/endpoints/{endpoint_id}/projects",
    "/v3/limits",
    "/v3/policies/{policy_id}/OS-ENDPOINT-POLICY/endpoints",
    "/v3/users/{user_id}/application_credentials",
}
REVISION = "SELECT value FROM revisions"
READS = [each for each in SERVICE.operations if each.method == "GET" and not each.is_public]


def world_of(local: Local) -> World:
    return World(local, "counted", {(op.method, op.path) for op in SERVICE.operations})


@pytest.fixture
def world(another: Clouds) -> World:
    return world_of(another())


def statements(world: World, operation: Operation) -> tuple[int, list[str]]:
    """The answer's status and its statements, when the same was asked before."""
    path = world.path(operation, SERVICE)
    headers = {"x-subject-token": world.owner.token or ""}
    token = world.local.token("admin")
    for _ in range(2):
        with counted() as seen:
            answer = world.local.ask("GET", path, None, token, headers)
    return answer.status, seen


def costly(world: World) -> Iterator[tuple[str, int]]:
    """The reads that take more than two statements, and how many."""
    for operation in READS:
        _, seen = statements(world, operation)
        if operation.path not in ONE_BY_ONE and len(seen) > STATEMENTS_MAX:
            yield operation.path, len(seen)


def allowed() -> dict[str, int]:
    lines = [line.split() for line in KEPT.read_text().splitlines()]
    return {path: int(count) for count, path in lines}


def test_a_read_takes_few_statements_once_warm(world: World) -> None:
    more = {path: count for path, count in costly(world) if count > allowed().get(path, 0)}
    assert more == {}


def test_proving_who_asks_takes_one_statement(world: World) -> None:
    asked = 0
    for operation in READS:
        status, seen = statements(world, operation)
        asked += status < 300
        assert seen[0] == REVISION, operation.path
        assert seen.count(REVISION) == 1, operation.path
    assert asked > len(READS) * 3 / 4


def test_what_clients_ask_most_takes_two(world: World) -> None:
    often = ("/v3/auth/tokens", "/v3/roles", "/v3/services", "/v3/endpoints", "/v3/regions",
             "/v3/groups/{group_id}", "/v3/credentials", "/v3/role_assignments")  # fmt: skip
    by_path = {operation.path: operation for operation in READS}
    for path in often:
        assert len(statements(world, by_path[path])[1]) <= STATEMENTS_MAX, path


def test_reads_take_as_many_statements_however_much_there_is(world: World) -> None:
    before = {each.path: len(statements(world, each)[1]) for each in READS}
    _fill(world)
    grown = {}
    for each in READS:
        count = len(statements(world, each)[1])
        if count > before[each.path] + 1:
            grown[each.path] = before[each.path], count
    assert grown.keys() <= ONE_BY_ONE, grown


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


if __name__ == "__main__":
    made = Local(Path(tempfile.mkdtemp()), CHEAP)
    found = sorted(costly(world_of(made)))
    KEPT.write_text("".join(f"{count} {path}\n" for path, count in found))
    made.close()
