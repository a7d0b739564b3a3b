"""What notifications say of a server."""

from typing import Any

from onestack.compute.servers.record import ServerRecord
from onestack.core.moments import precise


def described(server: ServerRecord) -> dict[str, Any]:
    """A server, as far as those are concerned who meter and watch."""
    return {
        "instance_id": server.id, "tenant_id": server.project_id, "user_id": server.user_id,
        "display_name": server.name, "host": server.host, "node": server.host,
        "availability_zone": server.availability_zone, "state": server.vm_state,
        "instance_type": server.flavor_name, "instance_flavor_id": server.flavor_id,
        "vcpus": server.vcpus, "memory_mb": server.memory_mb, "disk_gb": server.root_gb,
        "ephemeral_gb": server.ephemeral_gb, "image_ref": server.image_id,
        "created_at": precise(server.created_at),
        "launched_at": precise(server.launched_at),
        "terminated_at": precise(server.terminated_at),
    }  # fmt: skip
