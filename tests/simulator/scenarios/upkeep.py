"""What the cloud does by itself now and then: forget what is old, rotate keys, clear away."""

import datetime as dt
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from cryptography.fernet import Fernet
from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.compute.decisions import KEPT_S, DecisionRecord
from onestack.compute.upkeep import forget_old_decisions
from onestack.core import clock
from onestack.core.event import EventRecord
from onestack.core.upkeep import EVENTS_KEPT_S, forget_old_events
from onestack.identity.federation.memberships import ExpiringMembershipRecord
from onestack.identity.federation.record import IdentityProviderRecord
from onestack.identity.groups import GroupRecord
from onestack.identity.keys import KeyRepository
from onestack.identity.projects.record import ProjectRecord
from onestack.identity.revocation_events import BUFFER_S
from onestack.identity.settings import TOKEN_EXPIRATION_MAX_S, IdentitySettings
from onestack.identity.tokens.revocation import RevocationRecord
from onestack.identity.upkeep import end_memberships, flows, forget_old_revocations
from onestack.identity.users.record import UserRecord
from onestack.image.images.record import ImageRecord
from onestack.image.store import UPKEEP_ADDRESS
from onestack.image.tasks import KEPT as TASKS_KEPT
from onestack.image.tasks import ImageTaskRecord
from onestack.image.upkeep import SILENT_S, ClearAway, forget_old_tasks
from tests.simulator.scenario import Scenario

HOUR_S = 3600.0
# What is kept for a while, when a scenario begins: the second gets too old between two runs.
LEFT_S = {"old": -60.0, "ages": HOUR_S / 2, "new": 24 * HOUR_S}


class ForgetEvents(Scenario):
    """Events are forgotten when their time is over, not before."""

    flows = (forget_old_events,)
    runs = 2

    def prepare(self, session: Session) -> None:
        for name, left_s in LEFT_S.items():
            then = ago(EVENTS_KEPT_S - left_s)
            session.add(EventRecord(name=f"toy.{name}", payload={}, emitted_at=then))

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        assert list(session.scalars(select(EventRecord.name))) == ["toy.new"]


class ForgetDecisions(Scenario):
    """Decisions of the scheduler are forgotten when their time is over, not before."""

    flows = (forget_old_decisions,)
    runs = 2
    records = (DecisionRecord,)

    def prepare(self, session: Session) -> None:
        for name, left_s in LEFT_S.items():
            then = ago(KEPT_S - left_s)
            session.add(
                DecisionRecord(server_id=name, project_id="p", decided_at=then, verdicts={})
            )

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        assert list(session.scalars(select(DecisionRecord.server_id))) == ["new"]


class ForgetTasks(Scenario):
    """Tasks of images are forgotten when their time is over, not before."""

    flows = (forget_old_tasks,)
    runs = 2
    records = (ImageTaskRecord,)

    def prepare(self, session: Session) -> None:
        for name, left_s in LEFT_S.items():
            then = ago(TASKS_KEPT.total_seconds() - left_s)
            session.add(image_task(name, "i", status="success", expires_at=then + TASKS_KEPT))

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        assert list(session.scalars(select(ImageTaskRecord.id))) == ["new"]


class ForgetRevocations(Scenario):
    """Revocations are forgotten when they can void no token any more, not before."""

    flows = (forget_old_revocations,)
    runs = 2
    records = (RevocationRecord,)

    def prepare(self, session: Session) -> None:
        for name, left_s in LEFT_S.items():
            then = ago(TOKEN_EXPIRATION_MAX_S + BUFFER_S - left_s)
            session.add(RevocationRecord(user_id=name, issued_before=then, revoked_at=then))

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        assert list(session.scalars(select(RevocationRecord.user_id))) == ["new"]


class EndMemberships(Scenario):
    """Who is in a group for a time leaves it when the time is over, not before."""

    flows = (end_memberships,)
    runs = 4  # long enough for a clock that is behind
    records = (
        ExpiringMembershipRecord,
        IdentityProviderRecord,
        GroupRecord,
        UserRecord,
        ProjectRecord,
    )
    left_s: ClassVar = {"old": -60.0, "ages": 30.0, "new": 24 * HOUR_S}

    def prepare(self, session: Session) -> None:
        now = clock.now()
        domain = ProjectRecord(id="d", name="d", domain_id=None, parent_id=None, is_domain=True)
        session.add(domain)
        session.flush()
        session.add(UserRecord(id="u", domain_id="d", name="u", created_at=now))
        session.add(IdentityProviderRecord(id="i", domain_id="d", trusted_since=now))
        session.add_all(GroupRecord(id=name, domain_id="d", name=name) for name in self.left_s)
        session.flush()
        for name, left_s in self.left_s.items():
            until = ago(-left_s)
            session.add(
                ExpiringMembershipRecord(user_id="u", group_id=name, idp_id="i", expires_at=until)
            )

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        assert list(session.scalars(select(ExpiringMembershipRecord.group_id))) == ["new"]


class RotateKeys(Scenario):
    """In three runs the keys are due twice: at the first, and at the third."""

    runs = 3
    settings = IdentitySettings(fernet_rotation_s=int(1.5 * HOUR_S), fernet_keys_max=4)

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="onestack-keys-")
        self.folder = Path(self._temporary.name)
        self.flows = tuple(
            each
            for each in flows(self.settings, self.folder)
            if each not in (forget_old_revocations, end_memberships)
        )
        self.files = self.folder / "fernet"
        self.keys = [Fernet.generate_key() for _ in range(4)]
        self.tokens = [Fernet(key).encrypt(b"somebody") for key in self.keys]

    def prepare(self, session: Session) -> None:
        shutil.rmtree(self.files, ignore_errors=True)
        self.files.mkdir()
        for number, key in enumerate(self.keys):
            (self.files / str(number)).write_bytes(key)
        then_s = ago(2 * HOUR_S).replace(tzinfo=dt.UTC).timestamp()
        os.utime(self.files / "0", (then_s, then_s))

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        found = sorted(path.name for path in self.files.iterdir())
        assert found == [".lock", "0", "3", "4", "5"]  # and 1 and 2 are forgotten
        staged, _, _, primary = self.keys
        assert (self.files / "3").read_bytes() == primary
        assert (self.files / "4").read_bytes() == staged
        reader = KeyRepository(self.files, self.settings.fernet_keys_max).fernet
        assert reader.decrypt(self.tokens[3]) == b"somebody"


class Shelf:
    """A store's agent, which keeps names."""

    def __init__(self) -> None:
        self.kept = {"1 dead", "2 lives", "3 active", "4 nobody's"}
        self._is_first_run = True

    def names(self, after: str, limit: int) -> list[str]:
        found = sorted(name for name in self.kept if name > after)[:limit]
        if not found and self._is_first_run:
            self._is_first_run = False
            self.kept.add("0 late")  # the second run has to begin at the beginning
        return found

    def delete_all(self, names: list[str]) -> None:
        self.kept -= set(names)


class ClearStoreAway(Scenario):
    """Uploads that died are ended, and data that no image refers to goes, whenever it came."""

    flows = (ClearAway,)
    runs = 2
    records = (ImageRecord,)

    def agents(self) -> Mapping[str, Shelf]:
        return {UPKEEP_ADDRESS: Shelf()}

    def prepare(self, session: Session) -> None:
        for name, silent_s in {"1 dead": SILENT_S + 1, "2 lives": -HOUR_S}.items():
            session.add(image(name, status="saving", upload_seen_at=ago(silent_s)))
        session.add(image("3 active", status="active"))

    def check(self, session: Session, agents: Mapping[str, Any], *, was_interrupted: bool) -> None:
        rows = session.execute(select(ImageRecord.id, ImageRecord.status, ImageRecord.data))
        assert {row.id: (row.status, row.data) for row in rows} == {
            "1 dead": ("queued", None),
            "2 lives": ("saving", "2 lives"),
            "3 active": ("active", "3 active"),
        }
        assert agents[UPKEEP_ADDRESS].kept == {"2 lives", "3 active"}
        events = session.execute(select(EventRecord.name, EventRecord.resource))
        assert [tuple(event) for event in events] == [("image.upload.died", "1 dead")]


def ago(seconds: float) -> dt.datetime:
    return clock.now() - dt.timedelta(seconds=seconds)


def image(name: str, **more: Any) -> ImageRecord:
    """An image whose data has the same name."""
    now = clock.now()
    return ImageRecord(
        id=name, data=name, visibility="private", created_at=now, updated_at=now, **more
    )


def image_task(name: str, image_id: str, **more: Any) -> ImageTaskRecord:
    """A task of an image."""
    now = clock.now()
    return ImageTaskRecord(
        id=name, type="api_image_import", image_id=image_id, owner="p", user_id="u",
        request_id="req-1", input={}, message="", created_at=now, updated_at=now, **more,
    )  # fmt: skip
