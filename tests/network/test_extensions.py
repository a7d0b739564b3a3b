"""Which parts of the API there are."""

from tests.cloud import Local
from tests.network import actors


def test_extensions_are_listed_and_shown(local: Local) -> None:
    owner = actors.newcomer(local, "extensions")
    listed = owner.get("/extensions")["extensions"]
    assert {"router", "security-group", "quotas", "standard-attr-tag"} <= {
        each["alias"] for each in listed
    }
    for each in listed:
        assert each.keys() == {"alias", "name", "description", "updated", "links"}
        assert owner.get(f"/extensions/{each['alias']}")["extension"] == each
    owner.get("/extensions/l7-magic", status=404)
    actors.Actor(local, None).get("/extensions", status=401)


def test_service_providers(local: Local) -> None:
    owner = actors.newcomer(local, "providers")
    (found,) = owner.get("/service-providers")["service_providers"]
    assert found == {"service_type": "L3_ROUTER_NAT", "name": "single_node", "default": True}


def test_lists_without_pages_take_a_limit_and_know_no_links(local: Local) -> None:
    admin = actors.admin(local)
    for noun in ("extensions", "availability_zones", "service-providers", "agents"):
        key = noun.replace("-", "_")
        for query in ("limit=1", "limit=", "limit=-1", "limit=x"):
            assert admin.get(f"/{noun}?{query}").keys() == {key}
