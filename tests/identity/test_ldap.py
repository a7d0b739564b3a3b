"""Domains whose users and groups live in an LDAP directory, asked of a real server."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from onestack.core.contract import contract
from onestack.identity.directory.contract import Directory
from onestack.identity.directory.record import entry_id
from tests.cloud import Answer, As, Local
from tests.conftest import Clouds
from tests.identity.people import PASSWORD, being, change_password, make_user, role_id, sign_in
from tests.identity.trees import Tree, configure, domain_with, groups, users
from tests.servers.slapd import Slapd

STRANGE = [
    "a*b",
    "paren(thesis)",
    "back\\slash",
    "with space, and comma",
    "plus+equals=",
    "ünïcødé",
]


@pytest.fixture
def tree(ldap_server: Slapd) -> Iterator[Tree]:
    with Tree(ldap_server) as tree:
        yield tree


@pytest.fixture
def cloud(another: Clouds) -> Local:
    """A cloud that reads a directory for every list."""
    return another(ONESTACK_IDENTITY_DIRECTORY_CACHE_S="0")


def members(local: Local, group: dict[str, Any]) -> list[str]:
    listed = local.admin.get(f"/groups/{group['id']}/users")["users"]
    return sorted(user["name"] for user in listed)


def signed_in(local: Local, answer: Answer) -> As:
    assert answer.status == 201, answer
    return As(local, answer.headers["x-subject-token"])


def test_the_contract_could_travel() -> None:
    assert len(contract(Directory).methods) == 5


def test_a_user_of_the_directory_signs_in(local: Local, tree: Tree) -> None:
    tree.add("ann", mail="ann@example.org", description="Ann of Example")
    domain_id, name = domain_with(local, tree.config())
    answer = local.login("ann", "ann-secret", scope="unscoped", domain=name)
    assert answer.status == 201, answer
    user = answer.body["token"]["user"]
    assert user["id"] == entry_id(domain_id, "user", "ann")
    assert (user["name"], user["domain"]) == ("ann", {"id": domain_id, "name": name})
    shown = local.admin.get(f"/users/{user['id']}")["user"]
    assert (shown["email"], shown["description"]) == ("ann@example.org", "Ann of Example")
    assert shown["enabled"] is True
    assert sign_in(local, user, "ann-secret").status == 201


def test_first_logins_at_once_make_one_user(local: Local, tree: Tree) -> None:
    tree.add("amy")
    tree.add_group("early", "amy")
    domain_id, name = domain_with(local, tree.config())
    listing = f"/identity/v3/users?domain_id={domain_id}"
    who = {"name": "amy", "password": "amy-secret", "domain": {"name": name}}
    identity = {"methods": ["password"], "password": {"user": who}}
    body = json.dumps({"auth": {"identity": identity, "scope": "unscoped"}}).encode()
    headers = {"host": "h", "x-auth-token": local.token("admin")}

    async def at_once() -> list[Answer]:
        logins = [local._ask("POST", "/identity/v3/auth/tokens", body, {}) for _ in range(8)]
        return await asyncio.gather(*logins, local._ask("GET", listing, b"", headers))

    *answers, listed = local.loop.run_until_complete(at_once())
    assert {answer.status for answer in answers} == {201}
    assert {answer.body["token"]["user"]["id"] for answer in answers} == {
        entry_id(domain_id, "user", "amy")
    }
    assert listed.status == 200
    assert members(local, groups(local, domain_id)["early"]) == ["amy"]


def test_refusals_are_all_alike(local: Local, tree: Tree) -> None:
    tree.add("ben")
    tree.add("off", employeeType="FALSE")
    domain_id, name = domain_with(local, tree.config())
    answers = [
        local.login("ben", "wrong", domain=name),
        local.login("ben", "", domain=name),
        local.login("nobody", "ben-secret", domain=name),
        local.login("off", "off-secret", domain=name),
        local.login("off", "wrong", domain=name),
        sign_in(local, {"id": entry_id(domain_id, "user", "off")}, "off-secret"),
        sign_in(local, {"id": entry_id(domain_id, "user", "nobody")}, "ben-secret"),
    ]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert local.login("ben", "x" * 5000, domain=name).status == 400


def test_roles_of_its_groups_are_a_users_own(local: Local, tree: Tree) -> None:
    tree.add("cara")
    tree.add("dirk")
    tree.add_group("builders", "cara", description="They build")
    domain_id, name = domain_with(local, tree.config())
    group = groups(local, domain_id)["builders"]
    assert group["description"] == "They build"
    assert group["id"] == entry_id(domain_id, "group", "builders")
    local.admin.put(f"/domains/{domain_id}/groups/{group['id']}/roles/{role_id(local, 'member')}")
    scope = {"domain": {"id": domain_id}}
    answer = local.login("cara", "cara-secret", scope, name)
    assert [role["name"] for role in answer.body["token"]["roles"]] == ["member", "reader"]
    assert local.login("dirk", "dirk-secret", scope, name).status == 401
    tree.set_members("builders", "dirk")
    assert local.login("dirk", "dirk-secret", scope, name).status == 201
    assert local.login("cara", "cara-secret", scope, name).status == 401
    earlier = As(local, answer.headers["x-subject-token"])
    assert earlier.ask("GET", "/auth/catalog").status == 401
    assert members(local, group) == ["dirk"]


def test_lists_show_what_the_directory_has(cloud: Local, tree: Tree) -> None:
    for uid in ("eve", "finn", "gus"):
        tree.add(uid)
    tree.add_group("odd", "eve", "gus")
    domain_id, _ = domain_with(cloud, tree.config())
    before = users(cloud, domain_id)
    assert sorted(before) == ["eve", "finn", "gus"]
    assert members(cloud, groups(cloud, domain_id)["odd"]) == ["eve", "gus"]
    tree.remove("eve")
    tree.set("finn", mail="finn@example.org", employeeType="false")
    tree.add("hal")
    tree.set_members("odd", "finn", "hal")
    after = users(cloud, domain_id)
    assert sorted(after) == ["finn", "gus", "hal"]
    assert after["finn"] == before["finn"] | {"email": "finn@example.org", "enabled": False}
    assert after["gus"] == before["gus"]
    assert members(cloud, groups(cloud, domain_id)["odd"]) == ["finn", "hal"]
    assert users(cloud, domain_id) == after


def test_who_is_gone_leaves_nothing_behind(cloud: Local, tree: Tree) -> None:
    tree.add("ida")
    domain_id, name = domain_with(cloud, tree.config())
    ida = users(cloud, domain_id)["ida"]
    grant = f"/domains/{domain_id}/users/{ida['id']}/roles/{role_id(cloud, 'member')}"
    cloud.admin.put(grant)
    her = signed_in(cloud, cloud.login("ida", "ida-secret", {"domain": {"id": domain_id}}, name))
    tree.remove("ida")
    assert users(cloud, domain_id) == {}
    assert her.ask("GET", "/auth/catalog").status == 401
    cloud.admin.get(f"/users/{ida['id']}", status=404)
    tree.add("ida")
    assert users(cloud, domain_id)["ida"]["id"] == ida["id"]
    assert cloud.login("ida", "ida-secret", {"domain": {"id": domain_id}}, name).status == 401


def test_disabled_in_the_directory_ends_tokens(cloud: Local, tree: Tree) -> None:
    tree.add("jon")
    domain_id, name = domain_with(cloud, tree.config())
    his = signed_in(cloud, cloud.login("jon", "jon-secret", "unscoped", name))
    assert his.ask("GET", "/auth/projects").status == 200
    tree.set("jon", employeeType="FALSE")
    assert users(cloud, domain_id)["jon"]["enabled"] is False
    assert his.ask("GET", "/auth/projects").status == 401
    tree.set("jon", employeeType="TRUE")
    assert cloud.login("jon", "jon-secret", "unscoped", name).status == 201


def test_a_new_name_is_the_same_user(cloud: Local, tree: Tree) -> None:
    tree.add("kim", employeeNumber="7")
    tree.add("lea", employeeNumber="8")
    domain_id, name = domain_with(cloud, tree.config(user_id_attribute="employeeNumber"))
    before = users(cloud, domain_id)
    tree.rename("kim", "spare")
    tree.rename("lea", "kim")
    tree.rename("spare", "lea")
    after = users(cloud, domain_id)
    assert {name: user["id"] for name, user in after.items()} == {
        "kim": before["lea"]["id"],
        "lea": before["kim"]["id"],
    }
    assert sign_in(cloud, before["kim"], "kim-secret").status == 201
    assert cloud.login("lea", "kim-secret", "unscoped", name).status == 201
    # The name went to somebody new, who signs in before any list was read.
    tree.rename("kim", "left")
    tree.add("kim", employeeNumber="9", userPassword="new-secret")
    answer = cloud.login("kim", "new-secret", "unscoped", name)
    assert answer.body["token"]["user"]["name"] == "kim"
    assert answer.body["token"]["user"]["id"] == entry_id(domain_id, "user", "9")
    assert set(users(cloud, domain_id)) == {"kim", "lea", "left"}


def test_an_account_of_ones_own_is_not_taken_over(cloud: Local, tree: Tree) -> None:
    domain_id, name = domain_with(cloud, {"identity": {"driver": "sql"}})
    ours = make_user(cloud, "root", domain_id=domain_id)
    tree.add("root", userPassword="theirs")
    cloud.admin.put(f"/domains/{domain_id}/config", {"config": tree.config()}, status=200)
    assert cloud.login("root", "theirs", domain=name).status == 401
    answer = cloud.login("root", PASSWORD, "unscoped", name)
    assert answer.body["token"]["user"]["id"] == ours["id"]
    theirs = entry_id(domain_id, "user", "root")
    assert {user["id"] for user in users(cloud, domain_id).values()} == {ours["id"], theirs}
    assert users(cloud, domain_id)["root"]["id"] == ours["id"]
    assert sign_in(cloud, {"id": theirs}, "theirs").status == 201
    cloud.admin.patch(f"/users/{ours['id']}", {"user": {"email": "root@example.org"}})


def test_nothing_of_the_directory_can_be_changed_here(local: Local, tree: Tree) -> None:
    tree.add("mia")
    tree.add_group("readers", "mia")
    domain_id, name = domain_with(local, tree.config())
    mia, readers = users(local, domain_id)["mia"], groups(local, domain_id)["readers"]
    user, group = f"/users/{mia['id']}", f"/groups/{readers['id']}"
    other = make_user(local, "ldap-outsider")
    refused = [
        ("PATCH", user, {"user": {"enabled": False}}),
        ("PATCH", user, {"user": {"password": "another"}}),
        ("DELETE", user, None),
        ("POST", "/users", {"user": {"name": "new", "domain_id": domain_id}}),
        ("PATCH", group, {"group": {"name": "writers"}}),
        ("DELETE", group, None),
        ("POST", "/groups", {"group": {"name": "new", "domain_id": domain_id}}),
        ("PUT", f"{group}/users/{other['id']}", None),
        ("DELETE", f"{group}/users/{mia['id']}", None),
        (
            "POST",
            f"{user}/password",
            {"user": {"original_password": "mia-secret", "password": "b"}},
        ),
    ]
    for method, path, body in refused:
        answer = local.admin.ask(method, path, body)
        assert (answer.status, method, path) == (403, method, path)
        assert "LDAP does not support write operations" in answer.message
    assert change_password(local, mia, "mia-secret", "another").status == 401
    assert local.login("mia", "mia-secret", "unscoped", name).status == 201
    assert members(local, readers) == ["mia"]


def test_the_rest_of_identity_knows_no_difference(local: Local, tree: Tree) -> None:
    tree.add("nan")
    domain_id, name = domain_with(local, tree.config())
    nan = users(local, domain_id)["nan"]
    project = {"name": "nans", "domain_id": domain_id}
    project_id = local.admin.post("/projects", {"project": project})["project"]["id"]
    member = role_id(local, "member")
    local.admin.put(f"/projects/{project_id}/users/{nan['id']}/roles/{member}")
    hers = being(local, nan, "nan-secret", {"project": {"id": project_id}})
    made = hers.post(
        f"/users/{nan['id']}/application_credentials", {"application_credential": {"name": "ci"}}
    )["application_credential"]
    identity = {
        "methods": ["application_credential"],
        "application_credential": {"id": made["id"], "secret": made["secret"]},
    }
    answer = local.ask("POST", "/identity/v3/auth/tokens", {"auth": {"identity": identity}})
    assert answer.body["token"]["user"]["name"] == "nan"
    friends = {"group": {"name": f"friends of {name}", "domain_id": "default"}}
    group = local.admin.post("/groups", friends)["group"]
    local.admin.put(f"/groups/{group['id']}/users/{nan['id']}")
    assert local.login("nan", "nan-secret", "unscoped", name).status == 201
    assert members(local, group) == ["nan"]


@pytest.mark.parametrize("uid", STRANGE)
def test_names_are_names_and_no_filters(local: Local, tree: Tree, uid: str) -> None:
    tree.add(uid)
    tree.add("bystander")
    tree.add_group("special", uid)
    domain_id, name = domain_with(local, tree.config())
    answer = local.login(uid, tree.password(uid), "unscoped", name)
    assert answer.body["token"]["user"]["name"] == uid
    his = being(local, answer.body["token"]["user"], tree.password(uid))
    found = his.get(f"/users/{answer.body['token']['user']['id']}/groups")["groups"]
    assert [group["name"] for group in found] == ["special"]
    assert members(local, groups(local, domain_id)["special"]) == [uid]


@pytest.mark.parametrize(
    "name", ["*", "p*t", "pat)(uid=*", "*)(|(uid=*", "\\2a", "pat)(objectClass=*", "p\u00e4t"]
)
def test_no_name_reaches_beyond_itself(local: Local, tree: Tree, name: str) -> None:
    tree.add("pat")
    _, domain = domain_with(local, tree.config())
    assert local.login(name, "pat-secret", domain=domain).status == 401


def test_of_two_users_with_one_name_neither_signs_in(cloud: Local, tree: Tree) -> None:
    tree.add("one", displayName="twin")
    tree.add("two", displayName="twin")
    domain_id, name = domain_with(cloud, tree.config(user_name_attribute="displayName"))
    assert cloud.login("twin", "one-secret", domain=name).status == 401
    listed = users(cloud, domain_id)
    second = entry_id(domain_id, "user", "two")
    assert {name: user["id"] for name, user in listed.items()} == {
        "twin": entry_id(domain_id, "user", "one"),
        second: second,
    }
    assert sign_in(cloud, listed[second], "two-secret").status == 201
    assert users(cloud, domain_id) == listed


def test_of_two_users_with_one_key_neither_signs_in(cloud: Local, tree: Tree) -> None:
    tree.add("una", displayName="same")
    tree.add("uta", displayName="same")
    tree.add("ute", displayName="other")
    domain_id, name = domain_with(cloud, tree.config(user_id_attribute="displayName"))
    assert len(users(cloud, domain_id)) == 2
    assert cloud.login("una", "una-secret", domain=name).status == 401
    assert cloud.login("uta", "uta-secret", domain=name).status == 401
    assert cloud.login("ute", "ute-secret", "unscoped", name).status == 201


@pytest.mark.parametrize(
    ("options", "value", "expected"),
    [
        ({}, None, True),
        ({}, "TRUE", True),
        ({}, "True", True),
        ({}, "FALSE", False),
        ({}, "false", False),
        ({}, "nonsense", False),
        ({"user_enabled_default": "False"}, None, False),
        ({"user_enabled_default": False}, None, False),
        ({"user_enabled_invert": True, "user_enabled_default": "False"}, None, True),
        ({"user_enabled_invert": True}, "TRUE", False),
        ({"user_enabled_invert": True}, "FALSE", True),
        ({"user_enabled_mask": 2, "user_enabled_default": "512"}, None, True),
        ({"user_enabled_mask": 2, "user_enabled_default": 514}, None, False),
        ({"user_enabled_mask": "2", "user_enabled_default": "512"}, "514", False),
        ({"user_enabled_mask": 2, "user_enabled_default": "512"}, "512", True),
        ({"user_enabled_mask": 2}, "nonsense", False),
        ({"user_attribute_ignore": "enabled,description"}, "FALSE", True),
    ],
)
def test_who_is_enabled(
    local: Local, tree: Tree, options: dict[str, Any], value: str | None, expected: bool
) -> None:
    tree.add("quin", **({} if value is None else {"employeeType": value}))
    domain_id, name = domain_with(local, tree.config(**options))
    answer = local.login("quin", "quin-secret", "unscoped", name)
    assert answer.status == (201 if expected else 401)
    assert users(local, domain_id)["quin"]["enabled"] is expected


def test_enabled_by_a_group(cloud: Local, tree: Tree) -> None:
    tree.add("rae")
    tree.add("sam")
    tree.add_group("active", "rae")
    listed = {"user_enabled_emulation": True}
    domain_id, name = domain_with(cloud, tree.config(**listed))
    assert {user["enabled"] for user in users(cloud, domain_id).values()} == {False}
    assert cloud.login("rae", "rae-secret", "unscoped", name).status == 401
    configure(cloud, domain_id, user_enabled_emulation_dn=f"cn=active,{tree.groups}")
    assert {name: user["enabled"] for name, user in users(cloud, domain_id).items()} == {
        "rae": True,
        "sam": False,
    }
    assert cloud.login("rae", "rae-secret", "unscoped", name).status == 201
    assert cloud.login("sam", "sam-secret", "unscoped", name).status == 401


def test_what_is_read_is_chosen(cloud: Local, tree: Tree) -> None:
    tree.add("tom", title="chosen", description="hidden", departmentNumber="42", ou="p1")
    tree.add("ulf")
    domain_id, name = domain_with(
        cloud,
        tree.config(
            user_filter="(title=chosen)",
            user_attribute_ignore=["description"],
            user_default_project_id_attribute="ou",
            user_additional_attribute_mapping=["departmentNumber:department", "uid:enabled"],
        ),
    )
    (tom,) = users(cloud, domain_id).values()
    assert (tom["department"], tom["default_project_id"], tom["enabled"]) == ("42", "p1", True)
    assert "description" not in tom
    assert cloud.login("ulf", "ulf-secret", domain=name).status == 401
    configure(cloud, domain_id, user_filter="title=none")
    assert users(cloud, domain_id) == {}
    configure(cloud, domain_id, user_filter="", user_objectclass="account")
    assert users(cloud, domain_id) == {}


def test_where_is_read_is_chosen(cloud: Local, tree: Tree) -> None:
    below = f"ou=below,{tree.users}"
    tree.connection.add(below, "organizationalUnit")
    tree.connection.add(f"uid=vic,{below}", "inetOrgPerson", {"cn": "vic", "sn": "vic"})
    domain_id, _ = domain_with(cloud, tree.config())
    assert users(cloud, domain_id) == {}
    configure(cloud, domain_id, query_scope="sub")
    assert set(users(cloud, domain_id)) == {"vic"}
    configure(cloud, domain_id, query_scope="one", user_tree_dn=below)
    assert set(users(cloud, domain_id)) == {"vic"}


def test_members_may_be_ids(cloud: Local, tree: Tree) -> None:
    tree.add("wes")
    listing = {"description": "wes"}
    tree.connection.add(f"cn=posix,{tree.groups}", "organizationalRole", listing)
    domain_id, name = domain_with(
        cloud,
        tree.config(
            group_objectclass="organizationalRole",
            group_member_attribute="description",
            group_members_are_ids=True,
            group_desc_attribute="telephoneNumber",
        ),
    )
    assert users(cloud, domain_id)
    assert members(cloud, groups(cloud, domain_id)["posix"]) == ["wes"]
    wes = cloud.login("wes", "wes-secret", "unscoped", name).body["token"]["user"]
    assert [g["name"] for g in cloud.admin.get(f"/users/{wes['id']}/groups")["groups"]] == ["posix"]


def test_rows_of_a_domain_without_a_directory_are_like_others(cloud: Local, tree: Tree) -> None:
    tree.add("bea")
    domain_id, name = domain_with(cloud, tree.config())
    bea = users(cloud, domain_id)["bea"]
    cloud.admin.delete(f"/domains/{domain_id}/config")
    assert users(cloud, domain_id) == {"bea": bea}
    assert cloud.login("bea", "bea-secret", domain=name).status == 401
    cloud.admin.patch(f"/users/{bea['id']}", {"user": {"password": "her own"}})
    assert cloud.login("bea", "her own", "unscoped", name).status == 201
    cloud.admin.put(f"/domains/{domain_id}/config", {"config": tree.config()}, status=201)
    assert cloud.login("bea", "her own", "unscoped", name).status == 401
    assert cloud.login("bea", "bea-secret", "unscoped", name).status == 201
    cloud.admin.delete(f"/domains/{domain_id}/config")
    cloud.admin.delete(f"/users/{bea['id']}")
    assert users(cloud, domain_id) == {}
    cloud.admin.put(f"/domains/{domain_id}/config", {"config": tree.config()}, status=201)
    assert set(users(cloud, domain_id)) == {"bea"}
