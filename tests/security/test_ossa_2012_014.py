"""OSSA-2012-014: taking a role back must take it from the tokens that are out already."""

import pytest

from tests.cloud import Local
from tests.identity.stage import Stage


@pytest.mark.parametrize("by_group", [False, True])
@pytest.mark.parametrize("inherited", [False, True])
def test_a_role_taken_back_is_in_no_token(local: Local, by_group: bool, inherited: bool) -> None:
    stage = Stage(local, f"ossa-2012-014-{by_group}-{inherited}")
    user, project = stage.user(), stage.project()
    actor = f"groups/{stage.group(user)}" if by_group else f"users/{user}"
    target = f"domains/{stage.domain}" if inherited else f"projects/{project}"
    path = stage.give("admin", actor, target, inherited=inherited)
    token = stage.token(user, project={"id": project})
    assert local.ask("GET", "/identity/v3/users", token=token).status == 200
    local.admin.delete(path)
    assert local.ask("GET", "/identity/v3/users", token=token).status == 401
    stage.give("reader", actor, f"projects/{project}")
    assert local.ask("GET", "/identity/v3/users", token=token).status == 401


def test_a_role_implied_no_more_is_in_no_token(local: Local) -> None:
    stage = Stage(local, "ossa-2012-014-implied")
    prior, implied = stage.role(), stage.role()
    user, project = stage.user(), stage.project()
    stage.give(prior, f"users/{user}", f"projects/{project}")
    rule = f"/roles/{prior}/implies/{implied}"
    local.admin.put(rule, status=201)
    token = stage.token(user, project={"id": project})
    local.admin.delete(rule)
    shown = local.admin.get("/auth/tokens", X_Subject_Token=token)["token"]["roles"]
    assert [role["id"] for role in shown] == [prior]
