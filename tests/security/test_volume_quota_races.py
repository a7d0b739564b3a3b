"""Quotas cannot be passed by asking for many things at once (OSSA-2013-008, OSSA-2015-003)."""

from concurrent.futures import ThreadPoolExecutor

from onestack.core.db import Database
from onestack.volume.quotas import QuotaExceeded
from onestack.volume.volumes.order import VolumeWanted
from tests.cloud import Local
from tests.volume.actors import admin, newcomer


def test_nobody_slips_past_a_limit(local: Local) -> None:
    """Of many who want the last volume at once, one gets it."""
    user = newcomer(local, "quotas-race")
    body = {"quota_set": {"volumes": 3}}
    admin(local).put(f"/os-quota-sets/{user.project}", body)
    user.volume()
    user.volume()
    database = local.cloud.get(Database)
    wanted = VolumeWanted(project_id=user.project, user_id="u", size=1)

    def create(_number: int) -> bool:
        try:
            with database.transaction() as session:
                wanted.enter(session)
        except QuotaExceeded:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(create, range(100))) == 1
    assert len(user.ids()) == 3
