"""JSON Schemas of metadata definitions, which clients build their forms from."""

from typing import Any

import msgspec

from onestack.core.api import Operations
from onestack.core.context import Context
from onestack.core.errors import NotFound
from onestack.image import rules
from onestack.image.metadefs.namespaces import NamespaceView
from onestack.image.metadefs.objects import ObjectView
from onestack.image.metadefs.properties import Property
from onestack.image.metadefs.resource_types import AssociationView
from onestack.image.metadefs.tags import TagView

api = Operations("schemas")

Document = dict[str, Any]
READ = rules.rule("get_schemas", rules.ANYONE)
# As the path has it: what it is called, what describes one, and the list of them.
KINDS: dict[str, tuple[str, type]] = {
    "namespace": ("namespace", NamespaceView),
    "object": ("object", ObjectView),
    "property": ("property", Property),
    "resource_type": ("resource_type_association", AssociationView),
    "tag": ("tag", TagView),
}
LISTS = {
    "namespaces": "namespace",
    "objects": "object",
    "properties": "property",
    "resource_types": "resource_type",
    "tags": "tag",
}


class UnknownSchema(NotFound):
    message = "No schema is called {kind}."


@api.get("/v2/schemas/metadefs/{kind}", READ)
def show(_ctx: Context, kind: str) -> dict[str, Any]:
    """Show the schema of a definition, or of a list of them."""
    if kind in KINDS:
        return _one(kind)
    if kind not in LISTS:
        raise UnknownSchema(kind=kind[:80])
    item = _one(LISTS[kind])
    name = kind if kind != "resource_types" else "resource_type_associations"
    items: Document = {"type": "array", "items": item}
    if kind == "properties":  # which are listed by their names
        items = {"type": "object", "additionalProperties": item}
    links = {each: {"type": "string"} for each in ("first", "next", "schema")}
    return {"name": name, "properties": {name: items, **links}}


def _one(kind: str) -> Document:
    name, shape = KINDS[kind]
    _, parts = msgspec.json.schema_components([shape], ref_template="#/definitions/{name}")
    found = parts.pop(shape.__name__)
    return {**found, "name": name, "definitions": parts}
