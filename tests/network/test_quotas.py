"""Quotas: what projects may have, who says so, and that nobody gets more."""

from concurrent.futures import ThreadPoolExecutor

from onestack.core import clock
from onestack.core.db import Database
from onestack.network import quotas
from onestack.network.security_groups.record import SecurityGroupRecord
from onestack.network.standard import new_id
from tests.cloud import Local
from tests.network import actors

DEFAULTS = {
    "network": 100, "subnet": 100, "subnetpool": -1, "port": 500, "router": 10,
    "floatingip": 50, "rbac_policy": 10, "security_group": 10, "security_group_rule": 100,
}  # fmt: skip


def test_a_project_gets_quotas_of_its_own(local: Local) -> None:
    admin, owner = actors.admin(local), actors.newcomer(local, "quota-owner")
    path = f"/quotas/{owner.project}"
    assert owner.get(path) == {"quota": DEFAULTS}
    assert owner.get(f"{path}/default") == {"quota": DEFAULTS}
    given = {"network": 0, "port": -1, "tenant_id": owner.project}
    changed = {**DEFAULTS, "network": 0, "port": -1}
    assert admin.put(path, {"quota": given}) == {"quota": changed}
    assert owner.get(path) == {"quota": changed}
    assert owner.get(f"{path}/default") == {"quota": DEFAULTS}
    listed = [e for e in admin.get("/quotas")["quotas"] if e["project_id"] == owner.project]
    assert listed == [{**changed, "project_id": owner.project, "tenant_id": owner.project}]
    admin.delete(path)
    assert owner.get(path) == {"quota": DEFAULTS}
    assert owner.project not in str(admin.get("/quotas"))
    refused = admin.delete(path, status=404)["NeutronError"]
    assert refused["type"] == "TenantQuotaNotFound"
    for bad in ({"network": -2}, {"network": "many"}, {"color": 1}, {"port": True}, []):
        admin.put(path, {"quota": bad}, status=400)
    admin.put(path, {"network": 1}, status=400)


def test_what_is_used_is_shown_and_may_bound_a_quota(local: Local) -> None:
    admin, owner = actors.admin(local), actors.newcomer(local, "quota-used")
    owner.make("security_group", name="second")
    path = f"/quotas/{owner.project}"
    for tail in ("/details.json", "/details"):
        details = owner.get(f"{path}{tail}")["quota"]
        assert details["security_group"] == {"limit": 10, "used": 2, "reserved": 0}
        assert details["network"] == {"limit": 100, "used": 0, "reserved": 0}
        assert details.keys() == DEFAULTS.keys()
    low = {"security_group": 1, "check_limit": True}
    refused = admin.put(path, {"quota": low}, status=400)["NeutronError"]
    assert refused["type"] == "QuotaUsedLimit"
    admin.put(path, {"quota": {"security_group": 2, "check_limit": True}})
    admin.put(path, {"quota": {"security_group": 1}})


def test_others_neither_see_nor_set_quotas(local: Local) -> None:
    owner = actors.newcomer(local, "quota-mine")
    reader = actors.newcomer(local, "quota-reader", "reader", owner.project)
    other = actors.newcomer(local, "quota-other")
    path = f"/quotas/{owner.project}"
    reader.get(path)
    for tail in ("", "/default", "/details.json"):
        other.get(f"{path}{tail}", status=403)
    owner.get("/quotas", status=403)
    owner.put(path, {"quota": {"network": 1}}, status=403)
    owner.delete(path, status=403)
    actors.Actor(local, None).get(path, status=401)
    project = {"tenant_id": owner.project, "project_id": owner.project}
    assert owner.get("/quotas/tenant") == {"tenant": project}
    assert owner.get("/quotas/project") == {"project": project}


def test_ossa_2012_005_no_race_gets_more_than_the_quota(local: Local) -> None:
    owner = actors.newcomer(local, "quota-race")
    owner.ids("security_group")
    admin = actors.admin(local)
    admin.put(f"/quotas/{owner.project}", {"quota": {"security_group": 2}})
    template = owner.make("security_group", name="template")
    owner.drop("security_group", template)
    database, now = local.cloud.get(Database), clock.now()

    def add(number: int) -> bool:
        try:
            with database.transaction() as session:
                quotas.check(session, owner.project, {"security_group": 1})
                group = SecurityGroupRecord(
                    id=new_id(), project_id=owner.project, name=f"race-{number}",
                    created_at=now, updated_at=now,
                )  # fmt: skip
                session.add(group)
        except quotas.OverQuota:
            return False
        return True

    with ThreadPoolExecutor(16) as pool:
        made = list(pool.map(add, range(100)))
    assert sum(made) == 1
    assert len(owner.ids("security_group")) == 2
