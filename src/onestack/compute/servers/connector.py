"""How storage knows the host of a server."""

from typing import Any

from sqlalchemy.orm import Session

from onestack.core import agents


def connector_of(session: Session, host: str) -> dict[str, Any]:
    """What a backend must know of a host to export a volume to it."""
    described = agents.of_host(session, host, "hypervisor").description
    return {
        "host": host,
        "address": described.get("address", ""),
        "initiator": described.get("initiator", ""),
    }
