"""How the network service is put into a cloud, and what it does when a host reports."""

from sqlalchemy.orm import Session

from onestack.core.agents import AgentRecord
from onestack.core.context import Cloud
from onestack.core.drift import Inspections
from onestack.network import drift
from onestack.network.routers.placing import place_homeless
from onestack.network.wirings.watch import begin_anew


def wire(cloud: Cloud) -> None:
    """Let the cloud compare what hosts have of networks with the rows."""
    cloud.get(Inspections).add(drift.inspection())


def host_reported(session: Session, agent: AgentRecord, is_restarted: bool) -> None:
    """A host's agent is new, was restarted, is back after silence, or has other things to offer."""
    begin_anew(session, agent)
    place_homeless(session)
