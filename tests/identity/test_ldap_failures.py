"""LDAP directories that are down, silent, too large or configured wrongly."""

import asyncio
from collections.abc import Iterator

import pytest

from onestack.identity.directory.record import entry_id
from onestack.identity.directory.synchronise import synchronise_all
from onestack.identity.drivers import ldap
from tests.cloud import Answer, As, Local
from tests.conftest import Clouds
from tests.identity.trees import Tree, configure, domain_with, silence, users
from tests.servers.slapd import Slapd


@pytest.fixture
def tree(ldap_server: Slapd) -> Iterator[Tree]:
    with Tree(ldap_server) as tree:
        yield tree


@pytest.fixture
def cloud(another: Clouds) -> Local:
    """A cloud that reads a directory for every list."""
    return another(ONESTACK_IDENTITY_DIRECTORY_CACHE_S="0")


def test_large_directories_are_read_in_pages_or_not_at_all(cloud: Local, tree: Tree) -> None:
    """The server gives 500 entries at once; a part of the users must not seem to be all."""
    config = tree.config(page_size=100)
    tree.add("first")
    domain_id, _ = domain_with(cloud, config)
    for number in range(510):
        tree.add(f"user{number}", userPassword=None)
    assert len(users(cloud, domain_id)) == 511
    configure(cloud, domain_id, page_size=0, user=None, password="")
    assert len(users(cloud, domain_id)) == 511


def test_all_domains_are_synchronised(cloud: Local, tree: Tree) -> None:
    tree.add("xia")
    domain_id, _ = domain_with(cloud, tree.config())
    domain_with(cloud, tree.config(url="ldap://127.0.0.1:1"))
    domain_with(cloud, tree.config(user_tree_dn="ou=nowhere,dc=example,dc=org"))
    disabled, _ = domain_with(cloud, tree.config())
    cloud.admin.patch(f"/domains/{disabled}", {"domain": {"enabled": False}})
    assert synchronise_all(cloud.cloud) == 1
    listed = cloud.admin.get("/users")["users"]
    assert [user["domain_id"] for user in listed if user["name"] == "xia"] == [domain_id]


def test_a_directory_that_fails_leaves_the_rows(cloud: Local, tree: Tree) -> None:
    tree.add("yan")
    domain_id, name = domain_with(cloud, tree.config())
    before = users(cloud, domain_id)
    for options in (
        {"url": "ldap://127.0.0.1:1"},
        {"url": "http://example.org"},
        {"url": ""},
        {"password": "wrong"},
        {"password": ""},
        {"page_size": "many"},
        {"tls_req_cert": "maybe"},
        {"user_tree_dn": "ou=nowhere,dc=example,dc=org"},
        {"user_filter": "((("},
        {"use_tls": True, "tls_cacertfile": "/nowhere"},
    ):
        config = {"config": tree.config(**options)}
        cloud.admin.put(f"/domains/{domain_id}/config", config, status=200)
        assert users(cloud, domain_id) == before, options
        assert cloud.login("yan", "yan-secret", domain=name).status == 503, options
    cloud.admin.put(f"/domains/{domain_id}/config", {"config": tree.config()}, status=200)
    assert cloud.login("yan", "yan-secret", "unscoped", name).status == 201


def test_the_next_server_answers_for_one_that_is_down(local: Local, tree: Tree) -> None:
    tree.add("zoe")
    urls = f"ldap://127.0.0.1:1, {tree.server.url}"
    _, name = domain_with(local, tree.config(url=urls))
    assert local.login("zoe", "zoe-secret", "unscoped", name).status == 201


def test_a_directory_without_accounts_is_read_by_nobody(local: Local, tree: Tree) -> None:
    tree.add("abe")
    config = tree.config()
    del config["ldap"]["user"], config["ldap"]["password"]
    _, name = domain_with(local, config)
    assert local.login("abe", "abe-secret", "unscoped", name).status == 201
    assert local.login("abe", "wrong", "unscoped", name).status == 401


def test_only_logins_and_lists_of_its_domain_ask_a_directory(local: Local, tree: Tree) -> None:
    with silence() as server:
        domain_id, _ = domain_with(local, tree.config(url=f"ldap://{server.address}"))
        admin = local.admin
        admin.get("/users")
        admin.get("/groups")
        admin.get("/users?name=anybody&limit=3")
        admin.get("/role_assignments?include_names=true")
        admin.get(f"/domains/{domain_id}")
        admin.get(f"/domains/{domain_id}/config")
        configure(local, domain_id, page_size=3)
        admin.get("/domains")
        admin.get(f"/users/{entry_id(domain_id, 'user', 'x')}", status=404)
        local.login("nobody", "nothing")
        assert As(local, None).ask("GET", f"/users?domain_id={domain_id}").status == 401
        admin.patch(f"/domains/{domain_id}", {"domain": {"enabled": False}})
        admin.get(f"/users?domain_id={domain_id}")
        local.login("nobody", "nothing", domain=domain_id)
        admin.delete(f"/domains/{domain_id}")
        assert server.visits == 0


@pytest.mark.parametrize("scheme", ["ldap", "ldaps"])
def test_a_silent_directory_holds_nobody_up(
    cloud: Local, tree: Tree, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ldap, "TIMEOUT_S", 2)
    with silence() as server:
        domain_id, name = domain_with(cloud, tree.config(url=f"{scheme}://{server.address}"))
        headers = {"host": "h", "x-auth-token": cloud.token("admin")}
        listing = f"/identity/v3/users?domain_id={domain_id}"
        body = b'{"group": {"name": "made meanwhile", "domain_id": "default"}}'

        async def meanwhile() -> tuple[Answer, Answer]:
            slow = asyncio.create_task(cloud._ask("GET", listing, b"", headers))
            while server.visits == 0:
                await asyncio.sleep(0.01)
            written = await cloud._ask("POST", "/identity/v3/groups", body, headers)
            assert not slow.done()
            return await slow, written

        listed, written = cloud.loop.run_until_complete(meanwhile())
        assert (listed.status, listed.body["users"]) == (200, [])
        assert written.status == 201
        visits = server.visits
        assert cloud.login("anybody", "anything", domain=name).status == 503
        assert users(cloud, domain_id) == {}
        assert server.visits == visits
