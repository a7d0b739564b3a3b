"""Hosts fetch and send images' data with tickets, and only with these."""

import pytest

from onestack import image
from onestack.core import clock
from onestack.core.db import Database
from onestack.image.images.record import ImageNotFound
from tests.cloud import ROOT, Local
from tests.image.actors import Actor

OCTETS = {"content-type": "application/octet-stream"}


@pytest.fixture
def member(local: Local) -> Actor:
    return Actor(local, local.token("demo"))


def project_of(local: Local) -> str:
    return str(local.ask("GET", "/identity/v3/auth/tokens", token=local.token("demo"),
                         headers={"x-subject-token": local.token("demo")})
               .body["token"]["project"]["id"])  # fmt: skip


def path_of(url: str) -> str:
    assert url.startswith(ROOT)
    return url.removeprefix(ROOT)


def drafted(local: Local, **attributes: str) -> str:
    wanted = image.Draft("made of a disk", project_of(local), "raw", properties=attributes)
    with local.cloud.get(Database).transaction() as session:
        return image.draft(session, wanted)


def test_a_ticket_fetches_the_data_of_its_image(local: Local, member: Actor) -> None:
    made = member.made_active(b"bytes of a disk")
    source = image.source(local.cloud, made["id"])
    assert (source.size, source.disk_format, source.sha512) == (15, "raw", made["os_hash_value"])
    answer = local.ask("GET", path_of(source.url))
    assert (answer.status, answer.content) == (200, b"bytes of a disk")


def test_a_ticket_is_for_one_image_one_purpose_and_a_while(local: Local, member: Actor) -> None:
    one, other = member.made_active(b"one"), member.made_active(b"other")
    path = path_of(image.source(local.cloud, one["id"]).url)
    assert local.ask("GET", path.replace(one["id"], other["id"])).status == 403
    assert local.ask("PUT", path, b"mine", headers=OCTETS).status == 403
    assert local.ask("GET", path[:-1] + ("0" if path[-1] != "0" else "1")).status == 403
    assert local.ask("GET", path.partition("?")[0]).status == 400
    with clock.use(clock.Simulated(1)) as time:
        path = path_of(image.source(local.cloud, one["id"]).url)
        assert local.ask("GET", path).status == 200
        time.advance(7 * 3600)
        assert local.ask("GET", path).status == 403


def test_a_draft_becomes_active_with_its_data_which_may_come_twice(local: Local) -> None:
    image_id = drafted(local, image_type="snapshot")
    path = path_of(image.upload_url(local.cloud, image_id))
    for _ in range(2):
        assert local.ask("PUT", path, b"the disk", headers=OCTETS).status == 204
    with local.cloud.get(Database).transaction(write=False) as session:
        assert image.has_data(session, image_id)
        found = image.describe(session, image_id, project_of(local))
    assert (found.status, found.size, found.properties) == ("active", 8, {"image_type": "snapshot"})


def test_what_a_host_sends_is_inspected_too(local: Local) -> None:
    path = path_of(image.upload_url(local.cloud, drafted(local)))
    answer = local.ask("PUT", path, b"QFI\xfb" + bytes(1000), headers=OCTETS)
    assert 400 <= answer.status < 500


def test_an_abandoned_draft_is_gone(local: Local) -> None:
    image_id = drafted(local)
    with local.cloud.get(Database).transaction() as session:
        image.abandon(session, image_id)
    path = path_of(image.upload_url(local.cloud, image_id))
    assert local.ask("PUT", path, b"x", headers=OCTETS).status == 404


def test_a_foreign_image_is_not_described(local: Local, member: Actor) -> None:
    made = member.made_active(visibility="private")
    with local.cloud.get(Database).transaction(write=False) as session:
        with pytest.raises(ImageNotFound):
            image.describe(session, made["id"], "somebody else's project")
        assert image.describe(session, made["id"], None, is_admin=True).id == made["id"]
