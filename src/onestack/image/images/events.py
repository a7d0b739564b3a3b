"""What events say of an image."""

from typing import Any

from onestack.image.images.record import ImageRecord
from onestack.image.images.view import iso


def payload(record: ImageRecord) -> dict[str, Any]:
    """An image as events name it."""
    return {
        "id": record.id,
        "name": record.name,
        "status": record.status,
        "owner": record.owner,
        "visibility": record.visibility,
        "size": record.size,
        "virtual_size": record.virtual_size,
        "disk_format": record.disk_format,
        "container_format": record.container_format,
        "checksum": record.checksum,
        "protected": record.protected,
        "min_disk": record.min_disk,
        "min_ram": record.min_ram,
        "created_at": iso(record.created_at),
        "updated_at": iso(record.updated_at),
    }
