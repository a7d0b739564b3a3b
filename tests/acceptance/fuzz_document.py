"""A cloud's OpenAPI document, made ready for a generator of requests."""

import random
from typing import Any

Document = dict[str, Any]

READ_METHODS = frozenset(("get", "head"))
JSON = "application/json"
PATCHES: Document = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["op", "path"],
        "properties": {
            "op": {"enum": ["add", "replace", "remove"]},
            "path": {
                "enum": [
                    "/name", "/tags", "/tags/-", "/visibility", "/protected", "/fuzz", "/min_ram",
                    "/disk_format", "/locations", "/locations/-", "/id", "/a~1b", "/a/b", "/", "",
                ]
            },
            "value": {},
        },
    },
}  # fmt: skip


def prepared(document: Document, seed: int) -> Document:
    """The document with an operation for each action, more to ask lists, and all in mixed order.

    In mixed order, because time may be up before the last.
    """
    operations = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            operations += _split(path, method, _with_patches(_with_filters(document, operation)))
    random.Random(seed).shuffle(operations)
    paths: dict[str, Document] = {}
    for path, method, operation in operations:
        paths.setdefault(path, {})[method] = operation
    return {**document, "paths": paths}


def highest_version(document: Document) -> list[int] | None:
    """The microversion that a document is of; None where the service has none."""
    major, _, minor = str(document["info"]["version"]).lstrip("v").partition(".")
    return [int(major), int(minor)] if major.isdigit() and minor.isdigit() else None


def _split(path: str, method: str, operation: Document) -> list[tuple[str, str, Document]]:
    """Actions share a path; a fragment, which is never sent, tells them apart."""
    actions = list(operation.get("x-actions", ()))
    if not actions:
        return [(path, method, operation)]
    schema = operation["requestBody"]["content"][JSON]["schema"]
    choices = schema.get("oneOf", [schema])
    return [
        (
            f"{path}#{action}",
            method,
            {
                **operation,
                "operationId": f"{operation['operationId']}#{action}",
                "requestBody": {"required": True, "content": {JSON: {"schema": choice}}},
            },
        )
        for action, choice in zip(actions, choices, strict=True)
    ]


def _with_filters(document: Document, operation: Document) -> Document:
    """Lists that read their query themselves are asked by every attribute that they show."""
    parameters = operation.get("parameters", [])
    if any(each["in"] == "query" for each in parameters):
        return operation
    shown = _items(document, operation)
    names = [*shown, "fields", "sort_key", "sort_dir", "limit", "marker"] if shown else []
    more = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in names]
    return {**operation, "parameters": [*parameters, *more]}


def _items(document: Document, operation: Document) -> list[str]:
    for response in operation["responses"].values():
        schema = response.get("content", {}).get(JSON, {}).get("schema", {})
        for each in schema.get("properties", {}).values():
            name = each.get("items", {}).get("$ref", "").rpartition("/")[2]
            if name:
                return list(document["components"]["schemas"][name].get("properties", ()))
    return []


def _with_patches(operation: Document) -> Document:
    """Patches of JSON documents that look like some."""
    content = operation.get("requestBody", {}).get("content", {})
    if not any(kind.endswith("json-patch") for kind in content):
        return operation
    patched = {kind: {"schema": PATCHES} for kind in content}
    return {**operation, "requestBody": {"required": True, "content": patched}}
