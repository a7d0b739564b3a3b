"""What the other services call: providers enrolled, resources claimed, found and given back."""

import pytest

from onestack import placement
from onestack.core.db import Database
from onestack.core.errors import Conflict
from onestack.placement import Claim, Group, Inventory, Request, Snapshot
from tests.placement.cloud import Placement, new_id


def test_a_host_is_enrolled_again_and_again(own: Placement) -> None:
    database, uuid = own.local.cloud.get(Database), new_id()
    stock = {"VCPU": Inventory(total=8), "MEMORY_MB": Inventory(total=1024, reserved=64)}

    def enrol(**more: object) -> bool:
        with database.transaction() as session:
            given = {"stock": stock, "has": ["HW_NUMA_ROOT"], **more}
            return placement.enrol(session, uuid, "host", **given)  # type: ignore[arg-type]

    assert enrol()
    shown = own.get(f"/resource_providers/{uuid}")
    assert not enrol()
    assert own.get(f"/resource_providers/{uuid}") == shown
    group = new_id()
    assert enrol(aggregates=[group])
    assert not enrol(), "aggregates that are not given stay"
    assert own.get(f"/resource_providers/{uuid}/aggregates")["aggregates"] == [group]
    assert own.get(f"/resource_providers/{uuid}/traits")["traits"] == ["HW_NUMA_ROOT"]
    request = Request({"": Group({"VCPU": 2, "MEMORY_MB": 512})})
    with own.local.cloud.get(Snapshot).forest() as forest:
        (found,) = placement.search(forest, request)
    server = new_id()
    with database.transaction() as session:
        placement.replace(session, [Claim(consumer_id=server, amounts=found.resources)])
        assert placement.holdings(session, server) == found.resources
    with pytest.raises(Conflict):
        enrol(stock={"MEMORY_MB": Inventory(total=1024)})
    assert enrol(stock={**stock, "VCPU": Inventory(total=16)})
    with pytest.raises(Conflict), database.transaction() as session:
        placement.remove(session, uuid)
    with database.transaction() as session:
        assert placement.release(session, server)
        assert not placement.release(session, server)
        placement.remove(session, uuid)
    with own.local.cloud.get(Snapshot).forest() as forest:
        assert forest.providers == {}
