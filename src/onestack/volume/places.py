"""What is known of backends: which are up, and how much of each is promised."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from onestack.core import agents
from onestack.core.agents import AgentRecord
from onestack.core.bus import agent_address
from onestack.volume.scheduler import Place
from onestack.volume.volumes.record import VolumeRecord

KIND = "backend"
ZONE = "nova"
VENDOR = "Open Source"  # as backends without a vendor have always said


def places(session: Session) -> list[Place]:
    """Every pool that volumes may be put into now."""
    found = agents.alive(session, KIND)
    promised = promised_gb(session)
    return [place for agent in found for place in places_of(agent, promised)]


def promised_gb(session: Session) -> dict[tuple[str | None, str | None], int]:
    """How much volumes may fill, by host and pool."""
    volume = VolumeRecord
    rows = session.execute(
        select(volume.host, volume.pool, func.sum(volume.size)).group_by(volume.host, volume.pool)
    )
    return {(host, pool): int(size) for host, pool, size in rows}


def places_of(
    agent: AgentRecord, promised: dict[tuple[str | None, str | None], int]
) -> list[Place]:
    """The pools of one backend."""
    return [
        Place(
            host=agent.host,
            pool=pool["name"],
            total_gb=pool["total_gb"],
            free_gb=pool["free_gb"],
            allocated_gb=promised.get((agent.host, pool["name"]), 0),
            availability_zone=ZONE,
            is_thin=pool.get("is_thin", True),
            backend_name=agent.driver,
            capabilities={
                "storage_protocol": pool.get("protocol", "iSCSI"),
                "vendor_name": VENDOR,
                **pool.get("capabilities", {}),
            },
        )
        for pool in agent.description.get("pools", [])
    ]


def address(host: str | None) -> str:
    """Where the backend of a host is asked."""
    return agent_address(str(host), KIND)


def shown_host(host: str | None, driver: str | None, pool: str | None) -> str | None:
    """A volume's place as the API writes it: host@backend#pool."""
    return None if host is None else f"{host}@{driver}#{pool}"


def grows_online(session: Session, host: str | None) -> bool:
    """Whether a backend extends volumes while somebody has them; most do."""
    if host is None:
        return False
    pools = agents.of_host(session, host, "backend").description.get("pools", [])
    return all(each.get("capabilities", {}).get("online_extend_support", True) for each in pools)
