"""The OpenAPI documents: well-formed, complete, and true of what is answered."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from onestack import main
from onestack.core.api import ALWAYS, Service
from tests.core.toy_service import SERVICE, Toy

DOCUMENTS = {**main.services(), "toy": SERVICE}
METHODS = {"get", "put", "post", "delete", "patch", "head", "options", "trace"}
KINDS = {"string", "number", "integer", "boolean", "array", "object", "null"}
KNOWN = {
    "$ref", "type", "title", "description", "properties", "required", "additionalProperties",
    "items", "anyOf", "allOf", "oneOf", "enum", "const", "default", "format", "pattern",
    "minLength", "maxLength", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "minItems", "maxItems", "minProperties", "maxProperties", "prefixItems", "discriminator",
    "propertyNames", "contentEncoding", "examples", "multipleOf", "contentMediaType",
}  # fmt: skip


def operations(document: Any) -> Iterator[tuple[str, str, Any]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield path, method, operation


def schemas(document: Any) -> Iterator[Any]:
    yield from document["components"]["schemas"].values()
    for _, _, operation in operations(document):
        yield from (parameter["schema"] for parameter in operation["parameters"])
        contents = [operation.get("requestBody", {}), *operation["responses"].values()]
        for content in contents:
            yield from (media["schema"] for media in content.get("content", {}).values())


def problems(schema: Any, document: Any) -> Iterator[str]:
    """What is wrong with a JSON schema, and with those within it."""
    if isinstance(schema, bool):
        return
    if unknown := schema.keys() - KNOWN:
        yield f"unknown words {unknown}"
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        if name not in document["components"]["schemas"]:
            yield f"dangling {schema['$ref']}"
    kinds = schema.get("type", [])
    for kind in [kinds] if isinstance(kinds, str) else kinds:
        if kind not in KINDS:
            yield f"unknown type {kind}"
    if missing := set(schema.get("required", [])) - schema.get("properties", {}).keys():
        yield f"required but not there: {missing}"
    if "pattern" in schema:
        re.compile(schema["pattern"])
    within = [*schema.get("properties", {}).values(), *schema.get("prefixItems", [])]
    for word in ("anyOf", "allOf", "oneOf"):
        within += schema.get(word, [])
    for word in ("items", "additionalProperties", "propertyNames"):
        within += [schema[word]] if word in schema else []
    for each in within:
        yield from problems(each, document)


@pytest.fixture(params=DOCUMENTS)
def service(request: pytest.FixtureRequest) -> Service:
    return DOCUMENTS[request.param]


def test_documents_are_well_formed(service: Service) -> None:
    document = service.openapi()
    assert re.fullmatch(r"3\.1\.\d+", document["openapi"])
    assert document["info"]["title"]
    assert document["info"]["version"]
    assert document.keys() <= {"openapi", "info", "paths", "components"}
    ids = [operation["operationId"] for _, _, operation in operations(document)]
    assert len(set(ids)) == len(ids)


def test_every_operation_is_there_and_says_what_it_is(service: Service) -> None:
    document = service.openapi()
    found = {(method.upper(), path) for path, method, _ in operations(document)}
    newest = service.microversions.highest if service.microversions else ALWAYS.until
    shown = [op for op in service.operations if op.window.holds(newest)]
    declared = {(op.method, (service.root + op.path).replace("*}", "}")) for op in shown}
    assert found == declared
    for path, method, operation in operations(document):
        assert method in METHODS
        assert path.startswith("/")
        assert operation["summary"], path
        assert operation["tags"], path
        assert operation["responses"], path
        assert all(re.fullmatch(r"[1-5](\d\d|XX)", status) for status in operation["responses"])


def test_parameters_are_those_of_the_path_and_the_query(service: Service) -> None:
    for path, method, operation in operations(service.openapi()):
        named = [(each["in"], each["name"]) for each in operation["parameters"]]
        assert len(set(named)) == len(named), path
        of_path = [name for where, name in named if where == "path"]
        assert of_path == re.findall(r"\{(\w+)\}", path), path
        assert all(each["required"] for each in operation["parameters"] if each["in"] == "path")
        assert {where for where, _ in named} <= {"path", "query"}
        if method in ("get", "delete"):
            assert "requestBody" not in operation, path


def test_every_schema_is_one_and_leads_nowhere_else(service: Service) -> None:
    document = service.openapi()
    found = [(problem, schema) for schema in schemas(document) for problem in
             problems(schema, document)]  # fmt: skip
    assert found == []


def test_what_needs_a_token_says_so(service: Service) -> None:
    document = service.openapi()
    public = {(op.method.lower(), (service.root + op.path).replace("*}", "}"))
              for op in service.operations if op.is_public}  # fmt: skip
    schemes = document["components"]["securitySchemes"]
    for path, method, operation in operations(document):
        assert (operation["security"] == []) == ((method, path) in public), path
        assert all(set(each) <= schemes.keys() for each in operation["security"])


@pytest.mark.parametrize("minor", range(1, 61))
def test_each_microversion_has_a_document(minor: int) -> None:
    document = SERVICE.openapi(f"2.{minor}")
    assert document["info"]["version"] == f"2.{minor}"
    assert [each for schema in schemas(document) for each in problems(schema, document)] == []
    assert ("/toy/new" in document["paths"]) == (minor >= 40)
    assert ("/toy/old" in document["paths"]) == (minor <= 20)
    body = document["components"]["schemas"]["ToyCreate"]
    expected = {"name", "maker"} | ({"size"} if minor >= 10 else {"colour"})
    expected |= {"colour"} if 10 <= minor < 20 else set()
    assert body["properties"].keys() == expected
    assert body["additionalProperties"] is False
    assert body["properties"]["maker"]["type"] == ("string" if minor < 30 else "array")
    query = document["paths"]["/toy/query"]["get"]["parameters"]
    assert ("order" in [each["name"] for each in query]) == (minor >= 20)


def test_undeclared_attributes_are_allowed_where_they_are_kept() -> None:
    document = SERVICE.openapi("2.1")
    loose = document["components"]["schemas"]["LooseBody"]
    assert loose["additionalProperties"] is True
    assert "extra" not in loose["properties"]


def test_the_cloud_serves_its_documents(toy: Toy) -> None:
    newest = toy.send("GET", "/openapi/toy")
    assert newest.body == SERVICE.openapi("2.60")
    assert toy.send("GET", "/openapi/toy?version=2.7").body == SERVICE.openapi("2.7")
    assert toy.send("GET", "/openapi/nothing").status == 404
    for bad in ("x", "2", "2.1.1", "latest"):
        assert toy.send("GET", f"/openapi/toy?version={bad}").status == 400
    for out in ("2.0", "2.61", "9.9"):
        assert toy.send("GET", f"/openapi/toy?version={out}").status == 400, out


def test_answers_are_as_the_documents_say(toy: Toy) -> None:
    """One answer of each microversion has the members that its document lists, and no others."""
    made = toy.ask("POST", "/toys", {"toy": {"name": "bear"}}, "member").body["toy"]
    for minor in range(1, 61):
        version = f"toys 2.{minor}"
        answer = toy.ask(
            "GET", f"/toys/{made['id']}", None, "member", openstack_api_version=version
        )
        view = SERVICE.openapi(f"2.{minor}")["components"]["schemas"]["ToyView"]
        assert answer.body["toy"].keys() == view["properties"].keys()
