"""Quotas: the limits of projects, users and everybody, and what tenants are told of them."""

from tests.cloud import Local
from tests.compute import actors
from tests.compute.clients import Client
from tests.conftest import Clouds

ALL = {
    "instances", "cores", "ram", "metadata_items", "key_pairs", "server_groups",
    "server_group_members",
}  # fmt: skip
FILES = {"injected_files", "injected_file_content_bytes", "injected_file_path_bytes"}
NETWORK = {"fixed_ips", "floating_ips", "security_groups", "security_group_rules"}


def test_a_quota_set_by_version(local: Local) -> None:
    me = actors.newcomer(local, "quota-versions")
    path = f"/os-quota-sets/{me.project}"
    new = me.get(path)["quota_set"]
    assert new.keys() == ALL | {"id"}
    assert (new["instances"], new["cores"], new["ram"]) == (10, 20, 51200)
    assert me.at("2.56").get(path)["quota_set"].keys() == ALL | FILES | {"id"}
    assert me.at("2.35").get(path)["quota_set"].keys() == ALL | FILES | NETWORK | {"id"}
    assert me.get(f"{path}/defaults")["quota_set"] == new
    detail = me.at("2.1").get(f"{path}/detail")["quota_set"]
    assert detail.keys() == ALL | FILES | NETWORK | {"id"}
    assert detail["cores"] == {"limit": 20, "in_use": 0, "reserved": 0}


def test_limits_are_set_and_forgotten(local: Local) -> None:
    admin, me = actors.admin(local), actors.newcomer(local, "quota-set")
    path = f"/os-quota-sets/{me.project}"
    put = admin.put(path, {"quota_set": {"cores": 5, "ram": "-1"}})["quota_set"]
    assert put.keys() == ALL
    assert (put["cores"], put["ram"], put["instances"]) == (5, -1, 10)
    assert me.get(path)["quota_set"]["cores"] == 5
    assert me.get(f"{path}/defaults")["quota_set"]["cores"] == 20
    for wrong in ({"cores": -2}, {"cores": "x"}, {"other": 1}, {"fixed_ips": 1}, {"cores": 2**31}):
        admin.put(path, {"quota_set": wrong}, status=400)
    assert (
        admin.at("2.35").put(path, {"quota_set": {"fixed_ips": 3}})["quota_set"]["fixed_ips"] == 3
    )
    me.put(path, {"quota_set": {"cores": 6}}, status=403)
    me.delete(path, status=403)
    admin.delete(path, status=202)
    assert me.get(path)["quota_set"]["cores"] == 20


def test_limits_of_a_user(local: Local) -> None:
    admin, me = actors.admin(local), actors.newcomer(local, "quota-user")
    path = f"/os-quota-sets/{me.project}"
    admin.put(f"{path}?user_id=u", {"quota_set": {"cores": 3}})
    assert admin.get(f"{path}?user_id=u")["quota_set"]["cores"] == 3
    assert admin.get(path)["quota_set"]["cores"] == 20
    body = {"quota_set": {"cores": 21}}
    assert "less than or equal to 20" in admin.message("PUT", f"{path}?user_id=u", 400, body)
    admin.delete(f"{path}?user_id=u", status=202)
    assert admin.get(f"{path}?user_id=u")["quota_set"]["cores"] == 20


def test_no_limit_below_what_is_used(local: Local) -> None:
    admin, me = actors.admin(local), actors.newcomer(local, "quota-below")
    path = f"/os-quota-sets/{me.project}"
    for name in ("a", "b"):
        group = {"name": name, "policy": "affinity"}
        me.post("/os-server-groups", {"server_group": group})
    assert me.get(f"{path}/detail")["quota_set"]["server_groups"]["in_use"] == 2
    body = {"quota_set": {"server_groups": 1}}
    assert "already used and reserved 2" in admin.message("PUT", path, 400, body)
    body["quota_set"]["force"] = True
    assert admin.put(path, body)["quota_set"]["server_groups"] == 1


def test_others_quotas_are_for_administrators(local: Local) -> None:
    me, other = actors.newcomer(local, "quota-me"), actors.newcomer(local, "quota-other")
    me.get(f"/os-quota-sets/{other.project}", status=403)
    me.get(f"/os-quota-sets/{other.project}/detail", status=403)
    me.get(f"/limits?tenant_id={other.project}", status=403)
    assert me.get(f"/limits?tenant_id={me.project}") == me.get("/limits")
    actors.admin(local).get(f"/limits?tenant_id={other.project}")


def test_limits_by_version(local: Local) -> None:
    me = actors.newcomer(local, "limits-versions")
    limits = me.get("/limits")["limits"]
    assert limits["rate"] == []
    assert limits["absolute"] == {
        "maxServerMeta": 128, "maxTotalCores": 20, "maxTotalInstances": 10, "maxTotalKeypairs": 100,
        "maxTotalRAMSize": 51200, "maxServerGroups": 10, "maxServerGroupMembers": 10,
        "totalCoresUsed": 0, "totalInstancesUsed": 0, "totalRAMUsed": 0, "totalServerGroupsUsed": 0,
    }  # fmt: skip
    old = me.at("2.1").get("/limits")["limits"]["absolute"]
    gone = {
        "maxImageMeta", "maxPersonality", "maxPersonalitySize", "maxSecurityGroupRules",
        "maxSecurityGroups", "maxTotalFloatingIps", "totalSecurityGroupsUsed",
        "totalFloatingIpsUsed",
    }  # fmt: skip
    assert old.keys() == limits["absolute"].keys() | gone
    assert "maxImageMeta" not in me.at("2.39").get("/limits")["limits"]["absolute"]


def test_the_default_class_is_for_everybody(another: Clouds) -> None:
    local = another()
    admin, demo = actors.admin(local), actors.demo(local)
    path = "/os-quota-class-sets/default"
    assert admin.get(path)["quota_class_set"].keys() == ALL | {"id"}
    old = admin.at("2.49").get(path)["quota_class_set"].keys()
    assert old == (ALL | FILES | NETWORK | {"id"}) - {"server_groups", "server_group_members"}
    assert admin.put(path, {"quota_class_set": {"cores": 7}})["quota_class_set"]["cores"] == 7
    assert demo.get(f"/os-quota-sets/{demo.project}")["quota_set"]["cores"] == 7
    admin.put(f"/os-quota-sets/{demo.project}", {"quota_set": {"cores": 9}})
    assert demo.get("/limits")["limits"]["absolute"]["maxTotalCores"] == 9
    demo.get(path, status=403)
    demo.put(path, {"quota_class_set": {"cores": 7}}, status=403)
    admin.put("/os-quota-class-sets/gold", {"quota_class_set": {"cores": 99}})
    assert admin.get("/os-quota-class-sets/gold")["quota_class_set"]["cores"] == 99
    assert demo.get(f"/os-quota-sets/{demo.project}/defaults")["quota_set"]["cores"] == 7


def test_key_pairs_are_limited(another: Clouds) -> None:
    local = another()
    actors.admin(local).put("/os-quota-class-sets/default", {"quota_class_set": {"key_pairs": 0}})
    body = {"keypair": {"name": "x", "public_key": "ssh-ed25519 AAAA"}}
    message = actors.demo(local).message("POST", "/os-keypairs", 403, body)
    assert message == "Quota exceeded, too many key pairs."


def limit(client: Client, query: str = "", **limits: int) -> None:
    path = f"/os-quota-sets/{client.member.project}{query}"
    client.admin.put(path, {"quota_set": limits})


def test_servers_are_limited(local: Local) -> None:
    client = Client(local)
    limit(client, instances=1, ram=200)
    client.built()
    detail = client.member.get(f"/os-quota-sets/{client.member.project}/detail")["quota_set"]
    used = {name: detail[name]["in_use"] for name in ("instances", "cores", "ram")}
    assert used == {"instances": 1, "cores": 1, "ram": 128}
    absolute = client.member.get("/limits")["limits"]["absolute"]
    assert (absolute["totalInstancesUsed"], absolute["totalRAMUsed"]) == (1, 128)
    message = client.refused(403)
    assert message.startswith("Quota exceeded for instances")
    assert "Requested 1, but already used 1 of 1 instances" in message
    limit(client, instances=-1)
    assert client.refused(403).startswith("Quota exceeded for ram")
    limit(client, ram=-1, cores=1)
    assert client.refused(403).startswith("Quota exceeded for cores")
    limit(client, cores=2)
    client.built()
    client.admin.put(
        f"/os-quota-sets/{client.member.project}", {"quota_set": {"instances": 1}}, status=400
    )


def test_a_user_is_limited_within_a_project(local: Local) -> None:
    client = Client(local)
    user_id = client.built()["user_id"]
    limit(client, f"?user_id={user_id}", instances=1)
    assert client.refused(403).startswith("Quota exceeded for instances")
    limit(client, f"?user_id={user_id}", instances=2)
    client.built()


def test_a_private_flavor_is_of_no_use_to_strangers(local: Local) -> None:
    client = Client(local)
    body = {"name": "hidden", "ram": 64, "vcpus": 1, "disk": 1, "os-flavor-access:is_public": False}
    flavor = client.admin.post("/flavors", {"flavor": body})["flavor"]["id"]
    assert "could not be found" in client.refused(400, flavorRef=flavor)
    access = {"addTenantAccess": {"tenant": client.member.project}}
    client.admin.post(f"/flavors/{flavor}/action", access)
    client.built(flavorRef=flavor)
