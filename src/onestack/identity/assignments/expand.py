"""Expansion: what assignments come to for each user, on each project, with what roles imply."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import msgspec
from msgspec.structs import replace

from onestack.identity.assignments.record import AssignmentRecord


class Held(msgspec.Struct, frozen=True):
    """One role of one actor on one target, and the assignment that it comes from."""

    actor_kind: str
    actor_id: str
    target_kind: str
    target_id: str
    role_id: str
    source: AssignmentRecord
    prior_role_id: str | None = None  # the role that implied this one

    @property
    def is_inherited(self) -> bool:
        return self.source.inherited

    @property
    def by_group(self) -> str | None:
        """The group by which a user has the role."""
        is_member = self.actor_kind == "user" and self.source.actor_kind == "group"
        return self.source.actor_id if is_member else None


class Cloud(msgspec.Struct, frozen=True):
    """What expansion needs to know of the cloud around the assignments."""

    members: Callable[[str], Iterable[str]]  # the users of a group
    heirs: Callable[[str], Iterable[str]]  # the projects that inherit from a project or domain
    implied: Mapping[str, Iterable[str]]


def as_given(record: AssignmentRecord) -> Held:
    """An assignment by itself, neither inherited nor shared out."""
    return Held(
        record.actor_kind,
        record.actor_id,
        record.target_kind,
        record.target_id,
        record.role_id,
        record,
    )


def expanded(records: Iterable[AssignmentRecord], cloud: Cloud) -> Iterator[Held]:
    """Each assignment for every user of its group, on all that inherits, with implied roles."""
    for record in records:
        given = as_given(record)
        users = [record.actor_id]
        if record.actor_kind == "group":
            users = list(cloud.members(record.actor_id))
        targets = [(record.target_kind, record.target_id)]
        if record.inherited:
            targets = [("project", project_id) for project_id in cloud.heirs(record.target_id)]
        roles = list(closure(record.role_id, cloud.implied))
        for user_id in users:
            for kind, target_id in targets:
                for role_id, prior_role_id in roles:
                    yield replace(
                        given,
                        actor_kind="user",
                        actor_id=user_id,
                        target_kind=kind,
                        target_id=target_id,
                        role_id=role_id,
                        prior_role_id=prior_role_id,
                    )


def closure(role_id: str, implied: Mapping[str, Iterable[str]]) -> Iterator[tuple[str, str | None]]:
    """The role, and each that follows from it once, with the nearest role that implies it."""
    seen = {role_id}
    waiting: list[tuple[str, str | None]] = [(role_id, None)]
    for current, prior in waiting:
        yield current, prior
        for following in implied.get(current, ()):
            if following not in seen:
                seen.add(following)
                waiting.append((following, current))


def descendants(project_id: str, children: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """The projects below one, at all depths."""
    waiting = list(children.get(project_id, ()))
    for current in waiting:
        yield current
        waiting.extend(children.get(current, ()))
