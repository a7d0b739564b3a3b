"""The tags of projects as rows: set on one project, and asked for in lists."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select

from onestack.core.errors import BadRequest
from onestack.identity.projects.record import ProjectRecord, ProjectTagRecord
from onestack.identity.projects.view import ProjectQuery


class TagRepeated(BadRequest):
    message = "Invalid input for field 'tags': {name!r} is there more than once."


def label(record: ProjectRecord, names: Iterable[str]) -> None:
    """Give a project these tags and no others."""
    wanted: set[str] = set()
    for name in (each.strip() for each in names):
        if name in wanted:
            raise TagRepeated(name=name)
        wanted.add(name)
    kept = [each for each in record.labels if each.name in wanted]
    missing = wanted - {each.name for each in kept}
    record.labels = kept + [ProjectTagRecord(name=name) for name in sorted(missing)]


def filtered(statement: Select[Any], query: ProjectQuery) -> Select[Any]:
    """The statement, cut to the projects that the query's tags leave."""
    if query.with_all is not None:
        statement = statement.where(_has_all(query.with_all))
    if query.with_any is not None:
        statement = statement.where(_has_any(query.with_any))
    if query.without_all is not None:
        statement = statement.where(~_has_all(query.without_all))
    if query.without_any is not None:
        statement = statement.where(~_has_any(query.without_any))
    return statement


def _has_all(text: str) -> ColumnElement[bool]:
    names = set(text.split(","))
    owners = (
        select(ProjectTagRecord.project_id)
        .where(ProjectTagRecord.name.in_(names))
        .group_by(ProjectTagRecord.project_id)
        .having(func.count() == len(names))
    )
    return ProjectRecord.id.in_(owners)


def _has_any(text: str) -> ColumnElement[bool]:
    owners = select(ProjectTagRecord.project_id)
    return ProjectRecord.id.in_(owners.where(ProjectTagRecord.name.in_(text.split(","))))
