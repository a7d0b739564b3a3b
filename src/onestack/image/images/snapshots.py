"""Images as they are read: what was read once is good until any image changes."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

import msgspec
from sqlalchemy import Select, bindparam, select
from sqlalchemy.orm import Session

from onestack.core.db import Database
from onestack.image.images.record import (
    TOPIC,
    ImageMemberRecord,
    ImageNotFound,
    ImagePropertyRecord,
    ImageRecord,
    ImageTagRecord,
)
from onestack.image.images.view import ImageView, flat, view

HELD_MAX = 20_000


class Snapshot(msgspec.Struct, frozen=True):
    """An image at one moment; `content` is what clients see of it, encoded."""

    record: ImageRecord
    members: frozenset[str]
    content: msgspec.Raw

    @property
    def shown(self) -> ImageView:
        """The view, which goes into answers as it was encoded once."""
        return cast(ImageView, self.content)


def _of(column: Any, *columns: Any) -> Select[Any]:
    return select(column, *columns).where(column.in_(bindparam("ids", expanding=True)))


# Built once: building a statement costs more than running it.
_IMAGES = select(ImageRecord).where(ImageRecord.id.in_(bindparam("ids", expanding=True)))
_TAGS = _of(ImageTagRecord.image_id, ImageTagRecord.value)
_MEMBERS = _of(ImageMemberRecord.image_id, ImageMemberRecord.member)
_PROPERTIES = _of(ImagePropertyRecord.image_id, ImagePropertyRecord.name, ImagePropertyRecord.value)


class Snapshots:
    """Reads images, and remembers them under the revision that was true before the reading."""

    def __init__(self, database: Database, store: str) -> None:
        self._database, self._store = database, store
        self._held: tuple[int, dict[str, Snapshot]] = (-1, {})

    def get(self, image_id: str) -> Snapshot:
        """One image."""
        _, held = self._current()
        found = held.get(image_id) or self._load([image_id], held).get(image_id)
        if found is None:
            raise ImageNotFound(image_id=image_id[:64])
        return found

    def several(self, find: Callable[[Session], list[str]]) -> list[Snapshot]:
        """The images whose ids are found, as they were when these were."""
        revision, held = self._current()
        with self._database.transaction(write=False) as session:
            ids = find(session)
            if self._database.revision(TOPIC) != revision:
                held = self._read(session, ids)
        missing = [each for each in ids if each not in held]
        loaded = self._load(missing, held) if missing else held
        return [found for each in ids if (found := held.get(each) or loaded.get(each))]

    def _current(self) -> tuple[int, dict[str, Snapshot]]:
        revision = self._database.revision(TOPIC)
        if self._held[0] != revision or len(self._held[1]) > HELD_MAX:
            self._held = (revision, {})
        return self._held

    def _load(self, ids: list[str], held: dict[str, Snapshot]) -> dict[str, Snapshot]:
        # In a transaction of its own: the request's may have begun before the revision was read,
        # and what it sees would be held for newer than it is.
        with self._database.transaction(write=False) as session:
            loaded = self._read(session, ids)
        held.update(loaded)
        return loaded

    def _read(self, session: Session, ids: list[str]) -> dict[str, Snapshot]:
        given = {"ids": ids}
        records = list(session.scalars(_IMAGES, given))
        tags: dict[str, list[str]] = {}
        for image_id, value in session.execute(_TAGS, given):
            tags.setdefault(image_id, []).append(value)
        members: dict[str, set[str]] = {}
        for image_id, member in session.execute(_MEMBERS, given):
            members.setdefault(image_id, set()).add(member)
        properties: dict[str, dict[str, str]] = {}
        for image_id, name, value in session.execute(_PROPERTIES, given):
            properties.setdefault(image_id, {})[name] = value
        return {
            each.id: Snapshot(
                each,
                frozenset(members.get(each.id, ())),
                self._encoded(each, tags.get(each.id, ()), properties.get(each.id, {})),
            )
            for each in records
        }

    def _encoded(
        self, record: ImageRecord, tags: Iterable[str], properties: Mapping[str, str]
    ) -> msgspec.Raw:
        shown = flat(view(record, tags, properties, self._store))
        return msgspec.Raw(msgspec.json.encode(shown))
