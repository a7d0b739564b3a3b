"""Requests that no generator of valid JSON makes: broken bodies, types, headers and addresses."""

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from fuzz_world import Verdict, World, judge

from cloud import Document, tls_context

TIMEOUT_S = 15
JSON = "application/json"
DEEP = 50_000
LONG = 1_000_000


@dataclass(frozen=True)
class Raw:
    """One request, as bytes."""

    method: str
    target: str
    content_type: str
    body: bytes


@dataclass(frozen=True)
class Trouble:
    """A request and what was wrong with its answer."""

    request: str
    problem: str


def bodies(key: str) -> list[tuple[str, bytes]]:
    """Content types and bodies that are wrong for any operation; `key` is the body's wrapper."""
    wrapped = f'{{"{key}": '.encode()
    return [
        (JSON, b""),
        (JSON, b"{"),
        (JSON, b'{"a": 1,}'),
        (JSON, b"null"),
        (JSON, b"[]"),
        (JSON, b"1e400"),
        (JSON, b'"text"'),
        (JSON, b"NaN"),
        (JSON, b"\xff\xfe\x00"),
        (JSON, b'\xef\xbb\xbf{"a": 1}'),
        (JSON, wrapped + b"null}"),
        (JSON, wrapped + b"[]}"),
        (JSON, wrapped + b"{}}"),
        (JSON, wrapped + b'"text"}'),
        (JSON, wrapped + b'{"name": "\\u0000", "id": "\\ud800", "description": "\\u202e"}}'),
        (JSON, wrapped + b'{"name": "a", "name": {"b": []}, "name": 1}}'),
        (JSON, wrapped + b'{"name": 123456789012345678901234567890, "enabled": 1e999}}'),
        (JSON, wrapped + b'{"name": -9223372036854775809, "enabled": "yes", "options": 0}}'),
        (JSON, wrapped + b'{"__class__": "x", "__proto__": {"a": 1}, "\\u0000": 1, "": 2}}'),
        (JSON, wrapped + json.dumps({"name": "x" * LONG}).encode() + b"}"),
        (JSON, b"[" * DEEP),
        (JSON, b'{"a":' * DEEP),
        (JSON, wrapped + b"[" * 900 + b"]" * 900 + b"}"),
        ("text/plain", b"name=x"),
        ("application/xml", b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'),
        ("application/x-www-form-urlencoded", b"auth=1&auth=2"),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\n--x--"),
        ("application/json; charset=utf-16", '{"a": 1}'.encode("utf-16")),
        ("", b"{}"),
    ]


QUERIES = (
    "limit=-1",
    "limit=99999999999999999999",
    "limit=abc&marker=%00",
    "marker=%FF%FE&sort_key=__class__",
    "sort_key=password&sort_dir=sideways",
    "name__contains=%25%27%22%5C&name__regex=(a%2B)%2B%24",
    "enabled=perhaps&domain_id=&domain_id=x",
    "=&&&==&%&a=%zz",
    "name=" + "x" * 6000,
    "effective&include_names&include_subtree=1&scope.project.id=1&scope.domain.id=2",
    "updated_at=gt:never&expires_at=lt:0000-00-00T99:99:99Z",
)

SEGMENTS = (
    "%00",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "x" * 4000,
    "%F0%9F%92%A9",
    "%ED%A0%80",
    "'%20OR%201=1%20--",
    "{user_id}",
    "-1",
)


def requests(document: Document, world: World) -> Iterator[tuple[str, Raw]]:
    """Every operation with everything that can be wrong about its parts."""
    for template, item in document["paths"].items():
        for method, operation in item.items():
            if method not in {"get", "post", "put", "patch", "delete", "head"}:
                continue
            label = f"{method.upper()} {template}"
            for raw in _of_operation(method.upper(), template, operation, world):
                yield label, raw


def send(raw: Raw, base_url: str, world: World) -> tuple[int, Verdict]:
    """Send one over a connection of its own and judge the answer."""
    parts = urlsplit(base_url)
    connection: http.client.HTTPConnection
    if parts.scheme == "https":
        context = tls_context(world.administrator.account)
        connection = http.client.HTTPSConnection(parts.netloc, timeout=TIMEOUT_S, context=context)
    else:
        connection = http.client.HTTPConnection(parts.netloc, timeout=TIMEOUT_S)
    headers = {"X-Auth-Token": world.token(), "Content-Length": str(len(raw.body))}
    if raw.content_type:
        headers["Content-Type"] = raw.content_type
    began = time.monotonic()
    try:
        connection.request(raw.method, raw.target, raw.body, headers)
        answer = connection.getresponse()
        content = answer.read()
    except (ConnectionResetError, BrokenPipeError):
        # Closing on a request that is over a limit is an answer; not answering at all is not.
        return 0, Verdict("")
    except (OSError, http.client.HTTPException) as error:
        return 0, Verdict(f"no answer: {type(error).__name__} {error}")
    finally:
        connection.close()
    if answer.status == 401:
        world.check_token()
    return answer.status, judge(answer.status, content, time.monotonic() - began)


def _of_operation(method: str, template: str, operation: Document, world: World) -> Iterator[Raw]:
    # A DELETE with a real id would take the world apart.
    path = world.path(template) if method != "DELETE" else _made_up(template)
    if "requestBody" in operation:
        for content_type, body in bodies(_wrapper(operation)):
            yield Raw(method, path, content_type, body)
    else:
        yield Raw(method, path, JSON, b'{"unexpected": [1, 2, {}]}')
        yield Raw(method, path, JSON, b"{")
    if method == "GET":
        for query in QUERIES:
            yield Raw(method, f"{path}?{query}", "", b"")
    if "{" in template:
        for segment in SEGMENTS:
            yield Raw(method, _made_up(template, segment), JSON, b"{}" if method != "GET" else b"")


def _made_up(template: str, segment: str = "0" * 32) -> str:
    filled = "/".join(segment if part.startswith("{") else part for part in template.split("/"))
    return quote(filled, safe="/%'=-")


def _wrapper(operation: Document) -> str:
    content = operation["requestBody"].get("content", {}).get(JSON, {})
    required = content.get("schema", {}).get("required") or ["auth"]
    return str(required[0])
