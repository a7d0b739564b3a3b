"""Security groups and their rules: who sees them, what they may say, and what guards a port."""

from typing import Any

import pytest

from tests.cloud import Local
from tests.network import actors


def error_of(answer: Any) -> str:
    return str(answer["NeutronError"]["type"])


def test_a_project_has_a_default_group(local: Local) -> None:
    owner = actors.newcomer(local, "sg-default")
    (group,) = owner.get("/security-groups")["security_groups"]
    assert (group["name"], group["description"]) == ("default", "Default security group")
    assert (group["stateful"], group["shared"]) == (True, False)
    assert group["project_id"] == group["tenant_id"] == owner.project
    assert owner.ids("security_group") == [group["id"]]
    found = {
        (each["direction"], each["ethertype"], each["remote_group_id"])
        for each in group["security_group_rules"]
    }
    assert found == {
        ("egress", "IPv4", None),
        ("egress", "IPv6", None),
        ("ingress", "IPv4", group["id"]),
        ("ingress", "IPv6", group["id"]),
    }
    assert all(each["belongs_to_default_sg"] for each in group["security_group_rules"])
    refused = owner.make("security_group", status=409, name="default")
    assert error_of(refused) == "SecurityGroupDefaultAlreadyExists"
    refused = owner.change("security_group", group, status=409, name="else")
    assert error_of(refused) == "SecurityGroupCannotUpdateDefault"
    assert owner.change("security_group", group, description="ours")["description"] == "ours"
    refused = owner.drop("security_group", group, status=409)
    assert error_of(refused) == "SecurityGroupCannotRemoveDefault"


def test_a_group_is_made_changed_and_deleted(local: Local) -> None:
    owner = actors.newcomer(local, "sg-owner")
    made = owner.make("security_group", name="web", description="of the web", stateful=False)
    rules = made["security_group_rules"]
    assert [(e["direction"], e["ethertype"]) for e in rules] in (
        [("egress", "IPv4"), ("egress", "IPv6")],
        [("egress", "IPv6"), ("egress", "IPv4")],
    )
    assert owner.show("security_group", made) == made
    assert made["stateful"] is False
    changed = owner.change("security_group", made, name="net", stateful=True)
    assert (changed["name"], changed["stateful"]) == ("net", True)
    assert changed["revision_number"] > made["revision_number"]
    assert owner.ids("security_group", "name=net") == [made["id"]]
    assert owner.ids("security_group", "name=web") == []
    for body in ({"name": 1}, {"name": "x" * 256}, {"color": "red"}, {"stateful": "perhaps"}):
        owner.make("security_group", status=400, **body)
    owner.drop("security_group", made)
    refused = owner.show("security_group", made, status=404)
    assert error_of(refused) == "SecurityGroupNotFound"
    owner.drop("security_group", made, status=404)
    owner.change("security_group", made, status=404, name="x")


def test_others_do_not_know_of_a_group(local: Local) -> None:
    owner = actors.newcomer(local, "sg-mine")
    reader = actors.newcomer(local, "sg-reader", "reader", owner.project)
    other = actors.newcomer(local, "sg-other")
    made = owner.make("security_group", name="mine")
    rule = made["security_group_rules"][0]
    assert reader.show("security_group", made) == made
    assert reader.show("security_group_rule", rule) == rule
    reader.make("security_group", status=403, name="x")
    reader.change("security_group", made, status=403, name="x")
    reader.drop("security_group", made, status=403)
    reader.drop("security_group_rule", rule, status=403)
    new = {"security_group_id": made["id"], "direction": "ingress", "protocol": "tcp"}
    reader.make("security_group_rule", status=403, **new)
    other.show("security_group", made, status=404)
    other.change("security_group", made, status=404, name="x")
    other.drop("security_group", made, status=404)
    other.show("security_group_rule", rule, status=404)
    other.drop("security_group_rule", rule, status=404)
    other.make("security_group_rule", status=404, **new)
    other.make("security_group", status=403, name="x", project_id=owner.project)
    assert made["id"] not in other.ids("security_group")
    assert rule["id"] not in other.ids("security_group_rule")
    admin = actors.admin(local)
    assert admin.show("security_group", made)["id"] == made["id"]
    assert made["id"] in admin.ids("security_group", f"project_id={owner.project}")
    theirs = admin.make("security_group", name="for them", tenant_id=owner.project)
    assert owner.show("security_group", theirs)["project_id"] == owner.project


def test_a_shared_group_is_seen_and_not_changed(local: Local) -> None:
    owner = actors.newcomer(local, "sg-sharer")
    friend = actors.newcomer(local, "sg-friend")
    made = owner.make("security_group", name="shared")
    policy = owner.make(
        "rbac_policy", object_type="security_group", object_id=made["id"],
        action="access_as_shared", target_tenant=friend.project,
    )  # fmt: skip
    seen = friend.show("security_group", made)
    assert (seen["id"], seen["shared"]) == (made["id"], True)
    assert made["id"] in friend.ids("security_group", "shared=true")
    assert made["id"] not in friend.ids("security_group", "shared=false")
    friend.change("security_group", made, status=403, name="x")
    friend.drop("security_group", made, status=403)
    own = friend.make("security_group", name="own")
    friend.make(
        "security_group_rule", security_group_id=own["id"], direction="ingress",
        remote_group_id=made["id"],
    )  # fmt: skip
    owner.drop("rbac_policy", policy)
    friend.show("security_group", made, status=404)


def test_a_rule_is_made_described_and_deleted(local: Local) -> None:
    owner = actors.newcomer(local, "rule-owner")
    group = owner.make("security_group", name="g")
    wanted = {
        "security_group_id": group["id"], "direction": "ingress", "ethertype": "ipv4",
        "protocol": "TCP", "port_range_min": "80", "port_range_max": 443,
        "remote_ip_prefix": "10.1.2.3/8",
    }  # fmt: skip
    made = owner.make("security_group_rule", description="web", **wanted)
    assert (made["ethertype"], made["protocol"]) == ("IPv4", "tcp")
    assert (made["port_range_min"], made["port_range_max"]) == (80, 443)
    assert (made["remote_ip_prefix"], made["normalized_cidr"]) == ("10.1.2.3/8", "10.0.0.0/8")
    assert made["belongs_to_default_sg"] is False
    assert owner.show("security_group_rule", made) == made
    shown = owner.show("security_group", group)
    assert made in shown["security_group_rules"]
    assert shown["revision_number"] > group["revision_number"]
    twin = owner.make("security_group_rule", status=409, **{**wanted, "protocol": 6})
    assert error_of(twin) == "SecurityGroupRuleExists"
    assert made["id"] in twin["NeutronError"]["message"]
    described = owner.change("security_group_rule", made, description="the web")
    assert described["description"] == "the web"
    owner.change("security_group_rule", made, status=400, protocol="udp")
    assert owner.ids("security_group_rule", "protocol=tcp&direction=ingress") == [made["id"]]
    assert owner.ids("security_group_rule", "port_range_min=81") == []
    owner.drop("security_group_rule", made)
    refused = owner.drop("security_group_rule", made, status=404)
    assert error_of(refused) == "SecurityGroupRuleNotFound"
    assert made["id"] not in str(owner.show("security_group", group))


BAD: list[tuple[dict[str, Any], str]] = [
    ({"direction": "sideways"}, "BadRequest"),
    ({"ethertype": "IPv5"}, "SecurityGroupRuleInvalidEtherType"),
    ({"protocol": "tpc"}, "SecurityGroupRuleInvalidProtocol"),
    ({"protocol": 256}, "SecurityGroupRuleInvalidProtocol"),
    ({"protocol": "-1"}, "SecurityGroupRuleInvalidProtocol"),
    ({"protocol": "icmpv6"}, "SecurityGroupEthertypeConflictWithProtocol"),
    ({"port_range_min": 80, "port_range_max": 80}, "SecurityGroupProtocolRequiredWithPorts"),
    ({"protocol": "tcp", "port_range_min": 80}, "SecurityGroupInvalidPortRange"),
    (
        {"protocol": "tcp", "port_range_min": 81, "port_range_max": 80},
        "SecurityGroupInvalidPortRange",
    ),
    (
        {"protocol": "17", "port_range_min": 0, "port_range_max": 80},
        "SecurityGroupInvalidPortValue",
    ),
    (
        {"protocol": "udp", "port_range_min": 1, "port_range_max": 65536},
        "SecurityGroupInvalidPortValue",
    ),
    ({"protocol": "udp", "port_range_min": "x"}, "SecurityGroupInvalidPortValue"),
    ({"protocol": "icmp", "port_range_min": 256}, "SecurityGroupInvalidIcmpValue"),
    ({"protocol": "icmp", "port_range_max": 3}, "SecurityGroupMissingIcmpType"),
    (
        {"protocol": "vrrp", "port_range_min": 1, "port_range_max": 2},
        "SecurityGroupInvalidProtocolForPort",
    ),
    (
        {"protocol": "112", "port_range_min": 1, "port_range_max": 2},
        "SecurityGroupInvalidProtocolForPort",
    ),
    ({"remote_ip_prefix": "10.0.0.300"}, "InvalidCIDR"),
    ({"remote_ip_prefix": "10.0.0.0/33"}, "InvalidCIDR"),
    ({"remote_ip_prefix": "fe80::1%eth0"}, "InvalidCIDR"),
    ({"remote_ip_prefix": "10.0.0.0/8\n"}, "InvalidCIDR"),
    ({"remote_ip_prefix": "2001:db8::/32"}, "SecurityGroupRuleParameterConflict"),
    (
        {"ethertype": "IPv6", "remote_ip_prefix": "10.0.0.0/8"},
        "SecurityGroupRuleParameterConflict",
    ),
]


@pytest.mark.parametrize(("attributes", "error"), BAD, ids=lambda each: str(each)[:60])
def test_rules_that_make_no_sense(local: Local, attributes: dict[str, Any], error: str) -> None:
    owner = actors.admin(local)
    group = owner.make("security_group", name="senseless")
    body = {"security_group_id": group["id"], "direction": "ingress", **attributes}
    assert error_of(owner.make("security_group_rule", status=400, **body)) == error
    assert len(owner.show("security_group", group)["security_group_rules"]) == 2
    owner.drop("security_group", group)


def test_a_remote_is_one_thing_that_is_there(local: Local) -> None:
    owner = actors.newcomer(local, "rule-remote")
    other = actors.newcomer(local, "rule-remote-other")
    group = owner.make("security_group", name="g")
    foreign = other.make("security_group", name="foreign")
    new = {"security_group_id": group["id"], "direction": "ingress"}
    both = {"remote_group_id": group["id"], "remote_ip_prefix": "10.0.0.0/8"}
    owner.make("security_group_rule", status=400, **new, **both)
    for missing in (foreign["id"], "0" * 8):
        owner.make("security_group_rule", status=404, **new, remote_group_id=missing)
    named = owner.make("security_group", name="named")
    rule = owner.make("security_group_rule", **new, remote_group_id=named["id"])
    owner.drop("security_group", named)
    owner.show("security_group_rule", rule, status=404)


def test_several_rules_are_made_together_or_not_at_all(local: Local) -> None:
    owner = actors.newcomer(local, "rule-bulk")
    group = owner.make("security_group", name="g")
    new = {"security_group_id": group["id"], "direction": "ingress", "protocol": "tcp"}
    two = [{**new, "port_range_min": n, "port_range_max": n} for n in (80, 443)]
    made = owner.post("/security-group-rules", {"security_group_rules": two})
    assert [each["port_range_min"] for each in made["security_group_rules"]] == [80, 443]
    three = [{**new, "protocol": "udp"}] * 2
    refused = owner.post("/security-group-rules", {"security_group_rules": three}, status=409)
    assert error_of(refused) == "DuplicateSecurityGroupRuleInPost"
    assert len(owner.show("security_group", group)["security_group_rules"]) == 4
    for body in ({}, {"security_group_rules": []}, {"rule": {}}):
        owner.post("/security-group-rules", body, status=400)


def test_lists_are_paged_sorted_and_cut(local: Local) -> None:
    owner = actors.newcomer(local, "sg-pages")
    names = ["alpha", "beta", "gamma"]
    for name in names:
        owner.make("security_group", name=name)
    path = "/security-groups?limit=2&sort_key=name&sort_dir=asc&fields=name&fields=id"
    first = owner.get(path)
    assert [list(each) for each in first["security_groups"]] == [["id", "name"]] * 2
    assert [each["name"] for each in first["security_groups"]] == ["alpha", "beta"]
    (forward,) = [e["href"] for e in first["security_groups_links"] if e["rel"] == "next"]
    second = owner.get(forward.partition("/v2.0")[2])
    assert [each["name"] for each in second["security_groups"]] == ["default", "gamma"]
    links = {e["rel"]: e["href"].partition("/v2.0")[2] for e in second["security_groups_links"]}
    assert owner.get(links["previous"])["security_groups"] == first["security_groups"]
    assert owner.get(links["next"]) == {"security_groups": []}
    for query in (
        "limit=-1", "limit=x", "sort_key=name&sort_dir=up", "sort_key=color", "color=red",
        "sort_key=name&sort_dir=asc&sort_dir=asc", "limit=1&marker=nothing", "stateful=perhaps",
    ):  # fmt: skip
        owner.get(f"/security-groups?{query}", status=400)


def test_quotas_bound_groups_and_rules(local: Local) -> None:
    owner = actors.newcomer(local, "sg-quota")
    admin = actors.admin(local)
    owner.ids("security_group")
    admin.put(f"/quotas/{owner.project}", {"quota": {"security_group": 2}})
    made = owner.make("security_group", name="second")
    refused = owner.make("security_group", status=409, name="third")
    assert error_of(refused) == "OverQuota"
    assert refused["NeutronError"]["message"] == (
        "Quota exceeded for resources: ['security_group']."
    )
    admin.put(f"/quotas/{owner.project}", {"quota": {"security_group_rule": 7}})
    new = {"security_group_id": made["id"], "direction": "ingress"}
    two = [{**new, "protocol": each} for each in ("tcp", "udp")]
    owner.post("/security-group-rules", {"security_group_rules": two}, status=409)
    owner.make("security_group_rule", **two[0])
    owner.make("security_group_rule", status=409, **two[1])
