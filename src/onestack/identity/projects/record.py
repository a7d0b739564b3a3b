"""Projects and domains as rows: a domain is a project that acts as one, as upstream has it."""

from typing import Any, cast

from sqlalchemy import Connection, ForeignKey, Index, Table, event, text
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship

from onestack.core.context import Context
from onestack.core.db import Record
from onestack.core.errors import NotFound

DEFAULT_DOMAIN = "default"
DOMAINS_NAME = "uq_domains_name"


class ProjectRecord(Record):
    """A project, or a domain when `is_domain`."""

    __tablename__ = "projects"
    __table_args__ = (
        Index("uq_projects_name", "domain_id", "name", unique=True),
        Index(DOMAINS_NAME, "name", unique=True),  # of domains only: see below
    )
    topic = "identity"

    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    domain_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"))
    parent_id: Mapped[str | None] = mapped_column(ForeignKey("projects.id"), index=True)
    is_domain: Mapped[bool] = mapped_column(default=False)
    enabled: Mapped[bool] = mapped_column(default=True)
    description: Mapped[str | None] = mapped_column(default="")
    extra: Mapped[dict[str, Any]] = mapped_column(default=dict)
    options: Mapped[dict[str, Any]] = mapped_column(default=dict)
    labels: Mapped[list["ProjectTagRecord"]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ProjectTagRecord.name"
    )

    @property
    def tags(self) -> list[str]:
        return sorted(label.name for label in self.labels)


@event.listens_for(cast(Table, ProjectRecord.__table__), "before_create")
def _of_domains_only(table: Table, connection: Connection, **_: Any) -> None:
    """Said as the table is made: said with the index, it would load every database's dialect."""
    index = next(each for each in table.indexes if each.name == DOMAINS_NAME)
    index.dialect_options[connection.dialect.name]["where"] = text("is_domain")


class ProjectTagRecord(Record):
    """A label on a project."""

    __tablename__ = "project_tags"
    topic = "identity"

    project_id: Mapped[str] = mapped_column(
        ForeignKey("projects.id", ondelete="CASCADE"), primary_key=True
    )
    name: Mapped[str] = mapped_column(primary_key=True)


class ProjectNotFound(NotFound):
    message = "Could not find project: {project_id}."


class DomainNotFound(NotFound):
    message = "Could not find domain: {domain_id}."


def find(session: Session, project_id: str) -> ProjectRecord:
    """The project, or domain acting as one, with this id."""
    record = session.get(ProjectRecord, project_id)
    if record is None:
        raise ProjectNotFound(project_id=project_id)
    return record


def find_domain(session: Session, domain_id: str) -> ProjectRecord:
    """The domain with this id."""
    record = session.get(ProjectRecord, domain_id)
    if record is None or not record.is_domain:
        raise DomainNotFound(domain_id=domain_id)
    return record


def ancestors(session: Session, record: ProjectRecord) -> list[ProjectRecord]:
    """The projects above this one, nearest first; the domain at the top is among them."""
    found: list[ProjectRecord] = []
    above = record.parent_id
    while above is not None:
        parent = find(session, above)
        found.append(parent)
        above = parent.parent_id
    return found


def owning_domain(ctx: Context) -> str:
    """The domain that something belongs to when the request does not say: the token's."""
    return ctx.caller.domain_id or ctx.caller.project_domain_id or DEFAULT_DOMAIN
