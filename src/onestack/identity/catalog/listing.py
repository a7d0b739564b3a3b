"""The catalogue that a scoped token carries."""

import re
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.identity.catalog.record import (
    EndpointFilterRecord,
    EndpointGroupFilterRecord,
    EndpointGroupRecord,
    EndpointRecord,
    ServiceRecord,
)

PLACEHOLDER = re.compile(r"[$%]\((\w+)\)s")


def catalog(session: Session, user_id: str, project_id: str | None) -> list[dict[str, Any]]:
    """The enabled services with their enabled endpoints, in a stable order."""
    values = {"user_id": user_id}
    if project_id is not None:
        values |= {"project_id": project_id, "tenant_id": project_id}
    shown = shown_to(session, project_id) if project_id is not None else set()
    found: dict[str, dict[str, Any]] = {}
    statement = (
        select(ServiceRecord, EndpointRecord)
        .outerjoin(
            EndpointRecord,
            (EndpointRecord.service_id == ServiceRecord.id) & EndpointRecord.enabled,
        )
        .where(ServiceRecord.enabled)
        .order_by(ServiceRecord.type, ServiceRecord.id, EndpointRecord.interface)
    )
    for service, endpoint in session.execute(statement):
        entry = found.setdefault(
            service.id,
            {"id": service.id, "type": service.type, "name": service.name or "", "endpoints": []},
        )
        url = substitute(endpoint.url, values) if endpoint is not None else None
        if url is not None and (not shown or endpoint.id in shown):
            entry["endpoints"].append(
                {
                    "id": endpoint.id,
                    "interface": endpoint.interface,
                    "region": endpoint.region_id,
                    "region_id": endpoint.region_id,
                    "url": url,
                }
            )
    return [entry for entry in found.values() if entry["endpoints"] or not shown]


def shown_to(session: Session, project_id: str) -> set[str]:
    """The endpoints that filters of either kind let a project see; an empty set is no filter."""
    explicit = select(EndpointFilterRecord.endpoint_id).where(
        EndpointFilterRecord.project_id == project_id
    )
    groups = (
        select(EndpointGroupRecord)
        .join(EndpointGroupFilterRecord)
        .where(EndpointGroupFilterRecord.project_id == project_id)
    )
    found = set(session.scalars(explicit))
    for group in session.scalars(groups):
        found.update(record.id for record in members(session, group))
    return found


def members(session: Session, group: EndpointGroupRecord) -> list[EndpointRecord]:
    """The endpoints that fit a group's filters."""
    return list(session.scalars(select(EndpointRecord).filter_by(**group.filters)))


def substitute(url: str, values: dict[str, str]) -> str | None:
    """The URL with its placeholders filled, or nothing when one has no value."""
    if any(name not in values for name in PLACEHOLDER.findall(url)):
        return None
    return PLACEHOLDER.sub(lambda match: values[match.group(1)], url)
