"""Quotas of networks are not passed by asking for many at once (OSSA-2013-008, 2015-003)."""

from concurrent.futures import ThreadPoolExecutor

from onestack.core.db import Database
from onestack.network.networks.record import find
from onestack.network.ports.add import NewPort, many
from onestack.network.quotas import OverQuota, check
from tests.cloud import Local
from tests.network import actors


def test_of_many_who_want_the_last_port_one_gets_it(local: Local) -> None:
    user = actors.newcomer(local, "port-race")
    network = user.make("network")
    user.make("subnet", network_id=network["id"], cidr="10.0.0.0/24", ip_version=4)
    actors.admin(local).put(f"/quotas/{user.project}", {"quota": {"port": 3}})
    for _ in range(2):
        user.make("port", network_id=network["id"])
    database = local.cloud.get(Database)

    def create(_number: int) -> bool:
        try:
            with database.transaction() as session:
                check(session, user.project, {"port": 1})
                many(session, find(session, network["id"]), [NewPort(user.project)])
        except OverQuota:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(create, range(100))) == 1
    assert len(user.ids("port")) == 3
