"""Upkeep: what an interrupted upload or deletion left behind is cleared away."""

import datetime as dt

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core import clock, event
from onestack.core.flow import Ask, Flow, Next, periodic, step
from onestack.image import tasks
from onestack.image.images.importing import ImportImage
from onestack.image.images.record import ImageRecord
from onestack.image.images.stage import Staging
from onestack.image.images.upload import SIGN_OF_LIFE_S, Upload
from onestack.image.store import UPKEEP_ADDRESS, StoreUpkeep

SILENT_S = 8 * SIGN_OF_LIFE_S
NAMES_AT_ONCE = 5000
ARRIVING = (Upload.status, Staging.status)


class ClearAway(Flow[None]):
    """Images whose upload died wait for their data again; data that no image refers to goes.

    An image refers to its data before any of it is written, and a name is never used again: what
    is in the store when its names are listed, and has no image afterwards, will never have one.
    """

    every_s = 60.0
    deadline_s = None

    after: str = ""

    @step()
    def forget_dead_uploads(self) -> Next:
        self.after = ""  # what the last run remembered is kept
        silent = clock.now() - dt.timedelta(seconds=SILENT_S)
        dead = select(ImageRecord).where(
            ImageRecord.status.in_(ARRIVING), ImageRecord.upload_seen_at < silent
        )
        for record in self.session.scalars(dead.with_for_update()):
            record.status, record.data, record.upload_seen_at = "queued", None, None
            event.emit(
                self.session, "image.upload.died", {"id": record.id}, record.owner, record.id
            )
        return self.list_names

    @step()
    def list_names(self) -> Next:
        asked = {"after": self.after, "limit": NAMES_AT_ONCE}
        return Ask(UPKEEP_ADDRESS, StoreUpkeep.names, asked, then=self.compare)

    @step()
    def compare(self, names: list[str]) -> Next:
        if not names:
            return None
        self.after = names[-1]
        known = set(
            self.session.scalars(select(ImageRecord.data).where(ImageRecord.data.in_(names)))
        )
        unknown = [each for each in names if each not in known]
        if not unknown:
            return self.list_names
        return Ask(UPKEEP_ADDRESS, StoreUpkeep.delete_all, {"names": unknown}, then=self.list_names)


@periodic(3600)
def forget_old_tasks(session: Session) -> None:
    """Tasks are kept for two days after their end."""
    tasks.forget(session)


FLOWS = (ClearAway, ImportImage, forget_old_tasks)
