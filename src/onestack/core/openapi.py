"""OpenAPI documents, made from the declarations, one for each microversion."""

from typing import Any, get_args, get_origin

import msgspec

from onestack.core.api import JSON, Operation, Page, Service
from onestack.core.shapes import Shape, Version, at, extras_of
from onestack.core.streams import Download

Document = dict[str, Any]

BYTES: Document = {"schema": {"type": "string", "format": "binary"}}


def document(service: Service, version: Version) -> Document:
    """The service's OpenAPI 3.1 document as a client of `version` sees it."""
    shown = [op for op in service.operations if op.window.holds(version)]
    shapes = [shape for op in shown for shape in _shapes(op, version)]
    unique = list(dict.fromkeys(shapes))
    schemas, components = msgspec.json.schema_components(
        unique, ref_template="#/components/schemas/{name}"
    )
    by_shape = dict(zip(unique, schemas, strict=True))
    for shape in unique:
        _open(shape, components)
    paths: dict[str, Document] = {}
    for op in shown:
        path = service.root + op.path.replace("*}", "}")
        item = paths.setdefault(path, {})
        described = _operation(op, version, by_shape)
        known = item.setdefault(op.method.lower(), described)
        if known is not described:
            _join_action(known, described)
    version_text = str(version) if service.microversions else service.version
    return {
        "openapi": "3.1.0",
        "info": {"title": service.title, "version": version_text},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"}
            },
        },
    }


def _shapes(op: Operation, version: Version) -> list[Any]:
    found = [at(op.body_shape, version)] if op.body_shape is not None else []
    answer = _answer(op)
    if answer is not None:
        found.append(at(answer, version))
    return found


def _answer(op: Operation) -> Any:
    shape = op.answer_shape
    if get_origin(shape) in (Page, list):
        shape = get_args(shape)[0]
    return shape if isinstance(shape, type) and issubclass(shape, Shape) else None


def _open(shape: Any, components: Document) -> None:
    """Say that a shape takes attributes that it does not declare."""
    extra = extras_of(shape)
    name = getattr(shape, "__name__", None)
    if extra is not None and name in components:
        components[name].get("properties", {}).pop(extra, None)
        components[name]["additionalProperties"] = True


def _operation(op: Operation, version: Version, by_shape: Document) -> Document:
    summary, _, description = (op.handler.__doc__ or op.handler.__name__).partition("\n")
    shown: Document = {
        "operationId": f"{op.method.lower()}:{op.path}",
        "tags": [op.tag],
        "summary": summary.strip(),
        "security": [] if op.is_public else [{"token": []}],
        "x-policy": op.rule.name,
        "parameters": _parameters(op, version),
        "responses": _responses(op, version, by_shape),
    }
    if op.action is not None:
        shown["x-actions"] = {op.action: {"summary": summary.strip(), "x-policy": op.rule.name}}
    if description.strip():
        shown["description"] = description.strip()
    if op.body_shape is not None:
        schema = by_shape[at(op.body_shape, version)]
        key = op.action or op.key
        content = {each: {"schema": _under(key, schema)} for each in op.content_types}
        shown["requestBody"] = {"required": True, "content": content}
    elif op.action is not None:
        schema = _under(op.action, {})
        shown["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    elif op.streams and op.method in ("POST", "PUT", "PATCH"):
        shown["requestBody"] = {"content": dict.fromkeys(op.content_types, BYTES)}
    return shown


def _join_action(known: Document, action: Document) -> None:
    """Tell of one more action of a path, whose body is one of several."""
    known.pop("x-policy", None)
    known["summary"] = "Run one of several actions"
    known["responses"] = {"2XX": {"description": "Done"}, "4XX": known["responses"]["4XX"]}
    known["x-actions"] |= action["x-actions"]
    of_one = [each["requestBody"]["content"][JSON]["schema"] for each in (known, action)]
    choices = of_one[0].get("oneOf", [of_one[0]])
    known["requestBody"]["content"][JSON]["schema"] = {"oneOf": [*choices, of_one[1]]}


def _parameters(op: Operation, version: Version) -> list[Document]:
    found: list[Document] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in op.parameter_names
    ]
    if op.query_shape is None:
        return found
    shape = at(op.query_shape, version)
    extra = extras_of(shape)
    for each in msgspec.structs.fields(shape):
        if each.name == extra:
            continue
        schemas, _ = msgspec.json.schema_components([each.type])
        found.append(
            {"name": each.encode_name, "in": "query", "required": each.required,
             "schema": schemas[0]}
        )  # fmt: skip
    return found


def _responses(op: Operation, version: Version, by_shape: Document) -> Document:
    answer = _answer(op)
    success: Document = {"description": "Done"}
    if answer is not None:
        schema = by_shape[at(answer, version)]
        if get_origin(op.answer_shape) in (Page, list):
            schema = {"type": "array", "items": schema}
        success["content"] = {"application/json": {"schema": _under(op.key, schema)}}
    elif is_download(op.answer_shape):
        success["content"] = {"application/octet-stream": BYTES}
    return {str(op.status): success, "4XX": {"description": "The request was refused"}}


def is_download(answer: Any) -> bool:
    """Whether the answer is a stream of bytes, or may be one."""
    return answer is Download or Download in get_args(answer)


def _under(key: str | None, schema: Document) -> Document:
    if key is None:
        return schema
    return {"type": "object", "required": [key], "properties": {key: schema}}
