"""How the network service is put into a cloud, and what it does when a host reports."""

from sqlalchemy.orm import Session

from onestack.core.agents import AgentRecord
from onestack.core.context import Cloud
from onestack.network.networks.record import NetworkRecord
from onestack.network.ports.record import PortRecord
from onestack.network.subnetpools.record import SubnetPoolRecord
from onestack.network.subnets.record import SubnetRecord
from onestack.network.wirings.record import WiringRecord

RECORDS = (NetworkRecord, PortRecord, SubnetRecord, SubnetPoolRecord, WiringRecord)


def wire(cloud: Cloud) -> None:
    """Give the cloud what the network service keeps in memory."""


def host_reported(session: Session, agent: AgentRecord, is_restarted: bool) -> None:
    """A host's agent is new, was restarted, or has other things to offer."""
