"""How the compute service is put into a cloud, and what it does when a host reports."""

from sqlalchemy.orm import Session

from onestack.compute import nodes
from onestack.core.agents import AgentRecord
from onestack.core.context import Cloud


def wire(cloud: Cloud) -> None:
    """Give the cloud what the compute service keeps in memory."""


def host_reported(session: Session, agent: AgentRecord, is_restarted: bool) -> None:
    """A host's agent is new, was restarted, or has other things to offer."""
    nodes.enrol(session, agent)
