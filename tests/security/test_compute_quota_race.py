"""Row 33: many at once who each take the last one that the quota allows: one of them gets it."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from onestack.compute import quotas
from onestack.compute.server_groups import ServerGroupRecord
from onestack.core import clock
from onestack.core.db import Database
from onestack.core.errors import ApiError
from tests.cloud import Local

MANY = 100


@pytest.mark.parametrize("left", [1, 3])
def test_as_many_succeed_as_there_is_room_for(local: Local, left: int) -> None:
    project_id = clock.new_id()
    database = local.cloud.get(Database)
    with database.transaction() as session:
        quotas.keep(session, quotas.project_scope(project_id), {"server_groups": left})

    def take(number: int) -> int:
        try:
            with database.transaction() as session:
                quotas.check(session, project_id, "user", {"server_groups": 1})
                session.add(
                    ServerGroupRecord(
                        id=clock.new_id(), name=str(number), project_id=project_id, user_id="user",
                        policy="affinity", created_at=clock.now(),
                    )
                )  # fmt: skip
        except ApiError as error:
            return error.status
        return 200

    with ThreadPoolExecutor(16) as threads:
        statuses = list(threads.map(take, range(MANY)))
    assert sorted(statuses) == [200] * left + [403] * (MANY - left)
    with database.transaction(write=False) as session:
        assert quotas.counted(session, project_id)["server_groups"] == left
