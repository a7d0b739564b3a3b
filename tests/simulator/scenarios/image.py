"""Images are imported, and deleted meanwhile; none is used that was not examined."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.context import Cloud
from onestack.core.db import Database
from onestack.core.errors import BadRequest
from onestack.image.images.importing import ImportImage
from onestack.image.images.record import ImageRecord
from onestack.image.store import UPKEEP_ADDRESS, DataMissing, Examined, StoreSlot, StoreUpkeep
from onestack.image.tasks import ImageTaskRecord
from tests.simulator.drivers import Served
from tests.simulator.scenario import Scenario
from tests.simulator.scenarios.upkeep import image, image_task


class Shelf:
    """A store whose data is good, or not."""

    name = "file"

    def __init__(self, *, is_good: bool) -> None:
        self._is_good = is_good

    def names(self, after: str, limit: int) -> list[str]:
        return []

    def delete_all(self, names: list[str]) -> None:
        pass

    def examine(self, name: str, disk_format: str, container_format: str) -> Examined:
        if name != "i":
            raise DataMissing(name=name)
        if not self._is_good:
            raise BadRequest("This is no image.")
        return Examined(size=3, checksum="c", sha512="s", virtual_size=4)


class Import(Scenario):
    """A good image is used, and its task says so."""

    flows = (ImportImage,)
    records = (ImageRecord, ImageTaskRecord)
    is_good = True

    def wire(self, database: Database) -> Cloud:
        cloud = Cloud()
        cloud.put(StoreSlot(Shelf(is_good=True)))  # type: ignore[arg-type] # asked for its name
        return cloud

    def agents(self) -> Mapping[str, Any]:
        return {UPKEEP_ADDRESS: Served(Shelf(is_good=self.is_good), StoreUpkeep)}

    def prepare(self, session: Session) -> None:
        session.add(image("i", status="uploading", disk_format="raw", container_format="bare"))

    def begin(self, session: Session) -> None:
        if session.get(ImageTaskRecord, "t") is not None:
            return
        task = image_task("t", "i", status="pending")
        session.add(task)
        ImportImage.start(session, task, name="i")
        session.get_one(ImageRecord, "i").status = "importing"

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = session.get_one(ImageRecord, "i")
        assert (found.status, found.size, found.virtual_size, found.checksum) == (
            "active", 3, 4, "c"
        )  # fmt: skip
        task = session.get_one(ImageTaskRecord, "t")
        assert (task.status, task.result, task.message) == ("success", {"image_id": "i"}, "")
        assert task.expires_at is not None


class ImportBad(Import):
    """What is no image is not used: the image waits for data again."""

    is_good = False

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = session.get_one(ImageRecord, "i")
        assert (found.status, found.data, found.failed_import) == ("queued", None, "file")
        task = session.get_one(ImageTaskRecord, "t")
        assert (task.status, task.message) == ("failure", "This is no image.")


class ImportThenDelete(Import):
    """An image that is deleted while it is imported does not come back."""

    can_be_interrupted = True

    def interrupt(self, session: Session) -> None:
        found = session.get(ImageRecord, "i")
        if found is not None:
            session.delete(found)

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        if not was_interrupted:
            super().check(session, agents, was_interrupted=was_interrupted)
            return
        assert list(session.scalars(select(ImageRecord.id))) == []
        task = session.get_one(ImageTaskRecord, "t")
        assert task.status in ("success", "failure")  # as it was deleted after the end, or before


SCENARIOS = [Import(), ImportBad(), ImportThenDelete()]
