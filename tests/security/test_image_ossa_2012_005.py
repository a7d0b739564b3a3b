"""OSSA-2012-005, 2013-008, -019, -024, 2015-003: many at once get past a quota."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor

from tests.conftest import Clouds
from tests.image import actors

CLIENTS = 20


def test_at_the_limit_one_of_many_succeeds(another: Clouds) -> None:
    local = another(ONESTACK_IMAGE_IMAGES_PER_PROJECT="3")
    demo = actors.demo(local)
    for _ in range(2):
        demo.make()
    body = json.dumps({"name": "last"}).encode()
    headers = {"host": "x", "content-type": "application/json", "x-auth-token": str(demo.token),
               "content-length": str(len(body))}  # fmt: skip

    def create(_: int) -> int:
        return asyncio.run(local._ask("POST", "/image/v2/images", body, headers)).status

    with ThreadPoolExecutor(CLIENTS) as pool:
        statuses = sorted(pool.map(create, range(CLIENTS)))
    assert statuses == [201] + [413] * (CLIENTS - 1)
    assert len(demo.ids()) == 3
