"""Proxies: what old clients ask the compute service for, and another service answers, by its own
operations and under its own rules."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from onestack.core.api import Operation, Service
from onestack.core.context import Context, Request
from onestack.core.errors import ApiError, BadRequest, Conflict, Forbidden, NotFound
from onestack.core.exchange import run
from onestack.core.routes import Routes
from onestack.core.shapes import Window

JSON = "application/json"
_KNOWN: dict[str, Routes] = {}


def ask(  # noqa: PLR0913 - the parts of a request, each by its name
    ctx: Context, service: Service, method: str, path: str, *,
    query: Mapping[str, Any] | None = None, body: Any = None, content_type: str = JSON,
) -> Any:  # fmt: skip
    """What another service answers the same caller; what it refuses is refused here too."""
    address = f"{service.root}{path}"
    _, by_method, parameters = _routes(service).find(address)
    operation = by_method.get(method)
    if not isinstance(operation, Operation):
        raise NotFound
    headers = {**ctx.request.headers, "content-type": content_type}
    content = b"" if body is None else json.dumps(body).encode()
    request = Request(method, address, urlencode(query or {}), headers, content, root=service.root)
    inner = Context(ctx.cloud, request, operation.rule, ctx.request_id, Window().until)
    inner.parameters, inner.writes = parameters, method != "GET"
    response = run(service, operation, inner)
    answer = json.loads(response.content) if response.content else None
    if response.status >= 400:
        raise _refusal(response.status, _said(answer))
    return answer


def _routes(service: Service) -> Routes:
    """A service's paths, by which no other can be asked."""
    found = _KNOWN.get(service.name)
    if found is None:
        found = _KNOWN[service.name] = Routes([service])
    return found


def _said(answer: Any) -> str:
    """The words of a refusal, in whichever envelope they came."""
    while isinstance(answer, dict):
        answer = answer.get("message") or next(iter(answer.values()), "")
    return str(answer)


def _refusal(status: int, reason: str) -> ApiError:
    match status:
        case 400:
            return BadRequest(reason)
        case 403:
            return Forbidden(reason)
        case 409:
            return Conflict(reason)
        case _:
            return NotFound(reason)
