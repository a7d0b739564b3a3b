"""Whether the hosts of servers answer, as administrators see it on servers."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.orm import Session

from onestack.core.agents import AgentRecord
from onestack.core.listed import among

_HYPERVISORS = select(AgentRecord).where(
    AgentRecord.kind == "hypervisor", among(AgentRecord.host, "hosts")
)


def statuses(session: Session, hosts: Collection[str]) -> dict[str, str]:
    """What is to be said of each of these hosts."""
    if not hosts:
        return {}
    agents = session.scalars(_HYPERVISORS, {"hosts": list(hosts)})
    return {agent.host: _status(agent) for agent in agents}


def _status(agent: AgentRecord) -> str:
    if agent.is_forced_down:
        return "DOWN"
    if not agent.is_enabled:
        return "MAINTENANCE"
    return "UP" if agent.is_alive else "UNKNOWN"
