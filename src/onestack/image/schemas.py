"""JSON Schemas of what the image service answers, which older clients ask for."""

from typing import Any, get_args

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.image import rules
from onestack.image.images.attributes import READ_ONLY, UUID, ContainerFormat, DiskFormat

api = Operations("schemas")

Document = dict[str, Any]
READ = rules.rule("get_schemas", rules.ANYONE)

IMAGE_ID = UUID.removesuffix(r"(?!\n)")
TEXT: Document = {"type": "string"}
OPTIONAL_TEXT: Document = {"type": ["null", "string"], "maxLength": 255}
AMOUNT: Document = {"type": "integer"}
BYTES: Document = {"type": ["null", "integer"]}
FLAG: Document = {"type": "boolean"}
STATUSES = ["queued", "saving", "active", "killed", "deleted", "uploading", "importing",
            "pending_delete", "deactivated"]  # fmt: skip

IMAGE: Document = {
    "id": {"type": "string", "description": "An identifier for the image", "pattern": IMAGE_ID},
    "name": OPTIONAL_TEXT | {"description": "Descriptive name for the image"},
    "status": TEXT | {"description": "Status of the image", "enum": STATUSES},
    "visibility": TEXT
    | {
        "description": "Scope of image accessibility",
        "enum": ["community", "public", "private", "shared"],
    },
    "protected": FLAG | {"description": "If true, image will not be deletable."},
    "os_hidden": FLAG | {"description": "If true, image will not appear in default image list."},
    "checksum": {"type": ["null", "string"], "description": "MD5 of the data", "maxLength": 32},
    "os_hash_algo": {"type": ["null", "string"], "description": "Name of a hash", "maxLength": 64},
    "os_hash_value": {"type": ["null", "string"], "description": "Its value", "maxLength": 128},
    "owner": OPTIONAL_TEXT | {"description": "Owner of the image"},
    "size": BYTES | {"description": "Size of the data in bytes"},
    "virtual_size": BYTES | {"description": "Size of the disk in bytes"},
    "container_format": {
        "type": ["null", "string"],
        "description": "Format of the container",
        "enum": [None, *get_args(ContainerFormat)],
    },
    "disk_format": {
        "type": ["null", "string"],
        "description": "Format of the disk",
        "enum": [None, *get_args(DiskFormat)],
    },
    "created_at": TEXT | {"description": "When the image was registered"},
    "updated_at": TEXT | {"description": "When the image was changed last"},
    "tags": {
        "type": "array",
        "description": "List of strings related to the image",
        "items": {"type": "string", "maxLength": 255},
    },
    "direct_url": TEXT | {"description": "Where the data is kept"},
    "min_ram": AMOUNT | {"description": "Amount of RAM (in MB) required to boot image."},
    "min_disk": AMOUNT | {"description": "Amount of disk space (in GB) required to boot image."},
    "self": TEXT | {"description": "An image self url"},
    "file": TEXT | {"description": "An image file url"},
    "stores": TEXT | {"description": "Store in which image data resides"},
    "schema": TEXT | {"description": "An image schema url"},
}
MEMBER: Document = {
    "member_id": TEXT | {"description": "An identifier for the image member (tenantId)"},
    "image_id": TEXT | {"description": "An identifier for the image", "pattern": IMAGE_ID},
    "created_at": TEXT | {"description": "When the image was shared"},
    "updated_at": TEXT | {"description": "When the member said something last"},
    "status": TEXT
    | {"description": "What the member says", "enum": ["pending", "accepted", "rejected"]},
    "schema": TEXT | {"readOnly": True},
}
TASK: Document = {
    "id": TEXT | {"description": "An identifier for the task", "pattern": IMAGE_ID},
    "type": TEXT | {"description": "What is done", "enum": ["import", "api_image_import"]},
    "status": TEXT
    | {
        "description": "How far it is",
        "enum": ["pending", "processing", "success", "failure"],
    },
    "input": {"type": ["null", "object"], "description": "What was asked for"},
    "result": {"type": ["null", "object"], "description": "What came of it"},
    "owner": TEXT | {"description": "An identifier for the owner of this task"},
    "message": TEXT | {"description": "What went wrong"},
    "image_id": TEXT | {"description": "The image that it is done to"},
    "request_id": TEXT | {"description": "The request that asked for it"},
    "user_id": TEXT | {"description": "Who asked for it"},
    "expires_at": {"type": ["null", "string"], "description": "When it will be forgotten"},
    "created_at": TEXT | {"description": "When it was asked for"},
    "updated_at": TEXT | {"description": "When it changed last"},
    "self": TEXT | {"readOnly": True},
    "schema": TEXT | {"readOnly": True},
}
LINKS = [
    {"rel": "self", "href": "{self}"},
    {"rel": "enclosure", "href": "{file}"},
    {"rel": "describedby", "href": "{schema}"},
]
COLLECTION_LINKS = [
    {"rel": "first", "href": "{first}"},
    {"rel": "next", "href": "{next}"},
    {"rel": "describedby", "href": "{schema}"},
]


@api.get("/v2/schemas/image", READ)
def image(_ctx: Context) -> dict[str, Any]:
    """Show the schema of an image."""
    properties = {
        name: each | ({"readOnly": True} if name in READ_ONLY else {})
        for name, each in IMAGE.items()
    }
    return {
        "name": "image",
        "properties": properties,
        "additionalProperties": {"type": "string"},
        "links": LINKS,
    }


@api.get("/v2/schemas/images", READ)
def images(ctx: Context) -> dict[str, Any]:
    """Show the schema of a list of images."""
    return _collection("images", image(ctx)) | {"links": COLLECTION_LINKS}


@api.get("/v2/schemas/member", READ)
def member(_ctx: Context) -> dict[str, Any]:
    """Show the schema of a member."""
    return {"name": "member", "properties": MEMBER}


@api.get("/v2/schemas/members", READ)
def members(ctx: Context) -> dict[str, Any]:
    """Show the schema of a list of members."""
    return _collection("members", member(ctx)) | {
        "links": [{"rel": "describedby", "href": "{schema}"}]
    }


@api.get("/v2/schemas/task", READ)
def task(_ctx: Context) -> dict[str, Any]:
    """Show the schema of a task."""
    return {"name": "task", "properties": TASK}


@api.get("/v2/schemas/tasks", READ)
def tasks(ctx: Context) -> dict[str, Any]:
    """Show the schema of a list of tasks."""
    return _collection("tasks", task(ctx)) | {"links": COLLECTION_LINKS}


def _collection(name: str, item: Document) -> Document:
    links = (
        {"schema": TEXT, "first": TEXT, "next": TEXT}
        if name in ("images", "tasks")
        else {"schema": TEXT}
    )
    return {"name": name, "properties": {name: {"type": "array", "items": item}, **links}}
