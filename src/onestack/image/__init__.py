"""Image: what servers and volumes are made from, and its data."""

from onestack.core.api import Service
from onestack.image import discovery, members, schemas, stores, tags, tasks, tickets
from onestack.image.facade import (
    Draft,
    Image,
    abandon,
    describe,
    draft,
    has_data,
    rotate,
)
from onestack.image.images import (
    create,
    deactivate,
    delete,
    download,
    importing,
    read,
    stage,
    update,
    upload,
)
from onestack.image.images.record import TOPIC
from onestack.image.metadefs import namespaces, objects, properties, resource_types
from onestack.image.metadefs import schemas as metadef_schemas
from onestack.image.metadefs import tags as metadef_tags
from onestack.image.rules import JUDGED_TOO, SHARED
from onestack.image.settings import ImageSettings
from onestack.image.store import StoreUpkeep
from onestack.image.style import ROOT, ImageStyle
from onestack.image.tickets import source, upload_url
from onestack.image.upkeep import FLOWS
from onestack.image.wiring import serve, wire

SERVICE = Service(
    name="image",
    type="image",
    title="Image",
    root=ROOT,
    version="2.16",
    style=ImageStyle(),
    topic=TOPIC,
    takes_last_slash=False,
    shared_rules=SHARED | {rule.name: rule.check for rule in JUDGED_TOO},
    nouns=(
        discovery.api,
        read.api,
        create.api,
        update.api,
        delete.api,
        deactivate.api,
        upload.api,
        stage.api,
        importing.api,
        download.api,
        tags.api,
        members.api,
        schemas.api,
        stores.api,
        tasks.api,
        tickets.api,
        namespaces.api,
        properties.api,
        objects.api,
        metadef_tags.api,
        resource_types.api,
        metadef_schemas.api,
    ),
)

__all__ = [
    "FLOWS",
    "SERVICE",
    "Draft",
    "Image",
    "ImageSettings",
    "StoreUpkeep",
    "abandon",
    "describe",
    "draft",
    "has_data",
    "rotate",
    "serve",
    "source",
    "upload_url",
    "wire",
]
