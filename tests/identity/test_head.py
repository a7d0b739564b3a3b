"""HEAD: what GET would answer, without its body, for every operation."""

from onestack import main
from tests.cloud import Local
from tests.security.world import World

# Where upstream tells by HEAD only that it is so.
TELLS_LESS = {"/v3/roles/{prior_role_id}/implies/{implied_role_id}": (200, 204)}


def test_head_answers_as_get_does(fresh: Local) -> None:
    service = main.services()["identity"]
    operations = {(each.method, each.path) for each in service.operations}
    world = World(fresh, "head", operations)
    token = fresh.token("admin")
    headers = {"X-Subject-Token": token}
    differences = []
    for operation in service.operations:
        if operation.method != "GET":
            continue
        path = world.path(operation, service)
        shown = fresh.ask("GET", path, token=token, headers=headers)
        head = fresh.ask("HEAD", path, token=token, headers=headers)
        alike = TELLS_LESS.get(operation.path, (shown.status, shown.status))
        if (shown.status, head.status) != alike or head.content:
            differences.append((operation.path, shown.status, head.status))
        if shown.status >= 500:
            differences.append((operation.path, shown.status, 0))
    assert differences == []
