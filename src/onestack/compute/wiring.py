"""How the compute service is put into a cloud, and what it does when a host reports."""

from sqlalchemy.orm import Session

from onestack import network, volume
from onestack.compute import drift, nodes
from onestack.compute.hosts import Hosts
from onestack.compute.servers import extend_volume, interfaces, networking, reconcile
from onestack.compute.settings import ComputeSettings
from onestack.core.agents import AgentRecord
from onestack.core.context import Cloud
from onestack.core.db import Database
from onestack.core.drift import Inspections
from onestack.placement import Snapshot


def wire(cloud: Cloud) -> None:
    """Give the cloud what the compute service keeps in memory, and hear of ports and volumes."""
    network.on_wired(networking.wired)
    network.on_deleted(interfaces.port_deleted)
    volume.on_extended(extend_volume.extended)
    hosts = Hosts(cloud.get(Database), cloud.get(Snapshot), cloud.get(ComputeSettings))
    cloud.put(hosts)
    cloud.get(Inspections).add(drift.inspection())


def host_reported(session: Session, agent: AgentRecord, is_restarted: bool) -> None:
    """A host's agent is new, was restarted, is back after silence, or has other things to offer."""
    nodes.enrol(session, agent)
    if is_restarted and agent.created_at != agent.started_at:
        reconcile.begin(session, agent.host, is_back=True)
