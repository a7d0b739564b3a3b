"""Compute nodes: the hosts that servers run on, as their agents described them."""

import datetime as dt
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Mapped, Session, mapped_column

from onestack import placement
from onestack.compute.hypervisor import HostDescription
from onestack.core import clock
from onestack.core.agents import AgentRecord, of_host
from onestack.core.db import Record, bump
from onestack.core.errors import NotFound
from onestack.placement import Inventory

# How much of what a host has is given away at first; operators change it in placement.
CPU_RATIO, MEMORY_RATIO, DISK_RATIO = 16.0, 1.5, 1.0
HOST_MEMORY_MB = 512  # kept for the host itself, where there is enough
HOSTS_TOPIC = "compute.hosts"  # the revision of all that the scheduler keeps of hosts in memory
DEFAULT_ZONE = "nova"  # where hosts are that are in no other
DISABLED = "COMPUTE_STATUS_DISABLED"  # as placement knows hosts that take no new servers


class ComputeNodeRecord(Record):
    """A host of servers; its id is that of its provider in placement too."""

    __tablename__ = "compute_nodes"
    topic = "compute"

    number: Mapped[int] = mapped_column(primary_key=True)  # as clients before 2.53 name it
    id: Mapped[str] = mapped_column(unique=True)
    service_id: Mapped[str] = mapped_column(unique=True)
    host: Mapped[str] = mapped_column(unique=True)
    hypervisor_type: Mapped[str]
    hypervisor_version: Mapped[int]
    vcpus: Mapped[int]
    memory_mb: Mapped[int]
    disk_gb: Mapped[int]
    address: Mapped[str]
    architecture: Mapped[str]
    cpu_info: Mapped[dict[str, Any]]
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]


class HostNotFound(NotFound):
    message = "Compute host {host} could not be found."


def find(session: Session, host: str) -> ComputeNodeRecord:
    """The node of a host."""
    record = session.scalar(select(ComputeNodeRecord).where(ComputeNodeRecord.host == host))
    if record is None:
        raise HostNotFound(host=host)
    return record


def enrol(
    session: Session, agent: AgentRecord, aggregates: Sequence[str] | None = None
) -> ComputeNodeRecord:
    """Write down what a host has, here and in placement; as often as one likes. The aggregates are
    told only when they changed: operators keep some of placement's by themselves too."""
    described = msgspec.convert(agent.description, HostDescription)
    node = session.scalar(select(ComputeNodeRecord).where(ComputeNodeRecord.host == agent.host))
    now = clock.now()
    if node is None:
        node = ComputeNodeRecord(
            id=str(UUID(clock.new_id())), service_id=str(UUID(agent.id)), host=agent.host,
            created_at=now,
        )  # fmt: skip
        session.add(node)
    node.hypervisor_type = described.hypervisor_type
    node.hypervisor_version = described.hypervisor_version
    node.vcpus, node.memory_mb = described.vcpus, described.memory_mb
    node.disk_gb, node.address = described.disk_gb, described.address
    node.architecture, node.cpu_info = described.architecture, described.cpu_info
    node.updated_at = now
    session.flush()
    bump(session, HOSTS_TOPIC)
    traits = [*described.traits, *([] if agent.is_enabled else [DISABLED])]
    placement.enrol(
        session, node.id, node.host, stock=_stock(described), has=traits,
        aggregates=aggregates, is_operators=True,
    )  # fmt: skip
    return node


def synchronise(
    session: Session, node: ComputeNodeRecord, aggregates: Sequence[str] | None = None
) -> None:
    """Let placement know what changed of a host without its agent's doing."""
    session.flush()
    enrol(session, of_host(session, node.host, "hypervisor"), aggregates)


def _stock(described: HostDescription) -> dict[str, Inventory]:
    """What a host has, as placement counts it; what it has nothing of is not mentioned."""
    reserved = HOST_MEMORY_MB if described.memory_mb > 2 * HOST_MEMORY_MB else 0
    amounts = {
        "VCPU": (described.vcpus, 0, CPU_RATIO),
        "MEMORY_MB": (described.memory_mb, reserved, MEMORY_RATIO),
        "DISK_GB": (described.disk_gb, 0, DISK_RATIO),
    }
    return {
        name: Inventory(total=total, reserved=held, max_unit=total, allocation_ratio=ratio)
        for name, (total, held, ratio) in amounts.items()
        if total > 0
    }
