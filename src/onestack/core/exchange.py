"""One operation from end to end: who asks, whether they may, what comes of it, and its commit."""

import re
from typing import Any

import msgspec
from sqlalchemy.exc import DBAPIError, IntegrityError

from onestack.core import log
from onestack.core.answers import Answers
from onestack.core.api import BINARY, Operation, Service
from onestack.core.api import JSON as JSON_TYPE
from onestack.core.context import AccessRule, AuthenticatorSlot, Caller, Context, Request
from onestack.core.errors import (
    ApiError,
    BadRequest,
    Conflict,
    Forbidden,
    InternalError,
    NotAcceptable,
    Unauthorized,
    Unavailable,
    UnsupportedMediaType,
)
from onestack.core.response import JSON, Response, answer_of
from onestack.core.routes import path_matches
from onestack.core.shapes import Version, Window

# PostgreSQL ends one of two transactions that wait for each other: that one may be tried again.
ENDED_FOR_OTHERS = ("40001", "40P01")
TRIES = 3
ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


def run(service: Service, operation: Operation, context: Context) -> Response:
    """Authenticate, judge, run the handler and commit: one operation from end to end."""
    request = context.request
    try:
        if not operation.is_public or request.token is not None:
            _authenticate(context, service, operation)
        response = _persistent_answer(service, operation, context)
    except ApiError as error:
        return failure(error, service, request, context.request_id)
    except IntegrityError:
        conflict = Conflict("The request conflicts with another resource that exists already.")
        return failure(conflict, service, request, context.request_id)
    except DBAPIError as error:
        return failure(_database_error(error, context), service, request, context.request_id)
    except OverflowError as error:
        log.warning("number out of range", text=str(error), request_id=context.request_id)
        out_of_range = BadRequest("A value in the request is out of range.")
        return failure(out_of_range, service, request, context.request_id)
    finally:
        context.abandon()
    return response


def negotiate(service: Service, request: Request) -> Version:
    """The microversion that the request asks for."""
    versions = service.microversions
    if versions is None:
        return Window().until
    asked = None
    for part in request.headers.get("openstack-api-version", "").split(","):
        kind, _, text = part.strip().partition(" ")
        if kind == versions.service_type:
            asked = text.strip()
    if asked is None and versions.legacy_header:
        asked = request.headers.get(versions.legacy_header.lower())
    if asked is None:
        return versions.lowest
    if asked == "latest":
        return versions.highest
    try:
        version = Version.parse(asked)
    except ValueError as error:
        raise BadRequest(f"{error}.") from None
    if not versions.lowest <= version <= versions.highest:
        raise NotAcceptable(version=asked, low=versions.lowest, high=versions.highest)
    return version


def failure(
    error: ApiError, service: Service | None, request: Request, request_id: str
) -> Response:
    """An error in the envelope of its service."""
    if service is not None:
        body = service.style.error(error, request)
    else:
        body = {"error": {"code": error.status, "title": error.title, "message": error.text}}
    headers = [JSON]
    headers += [
        (k.lower().encode(), v.encode("latin-1", "replace")) for k, v in error.headers.items()
    ]
    if isinstance(error, Unauthorized):
        address = f'Keystone uri="{request.base_url}/identity"'
        headers.append((b"www-authenticate", address.encode("latin-1", "replace")))
    return Response(error.status, msgspec.json.encode(body), headers)


def _persistent_answer(service: Service, operation: Operation, context: Context) -> Response:
    """The answer, also when the database lets others go first, and when another was faster with the
    name or the address: looked at anew, it is refused in its own words, or there are others."""
    for _ in range(TRIES - 1):
        try:
            return _answer(service, operation, context)
        except DBAPIError as error:
            is_ended = getattr(error.orig, "sqlstate", None) in ENDED_FOR_OTHERS
            may_repeat = is_ended or isinstance(error, IntegrityError)
            if not may_repeat or context.has_committed or operation.streams:
                raise
            context.abandon()
    return _answer(service, operation, context)


def _answer(service: Service, operation: Operation, context: Context) -> Response:
    """The answer that is kept of an earlier request like this one, or else a new one."""
    answers = context.cloud.get(Answers)
    place = answers.place(service, operation, context)
    kept = answers.find(place, context.caller) if place is not None else None
    if kept is not None:
        return kept
    arguments = _arguments(operation, context)
    value = operation.handler(context, **arguments)
    if not context.decided and not operation.is_public:
        log.error("operation made no policy decision", rule=operation.rule.name)
        raise Forbidden(action=operation.rule.name)
    response = answer_of(service, operation, context, value)
    context.release()
    if place is not None:
        answers.keep(place, context.caller, response)
    return response


def _authenticate(context: Context, service: Service, operation: Operation) -> None:
    token = context.request.token
    if not token:
        raise Unauthorized
    authenticate = context.cloud.get(AuthenticatorSlot).authenticate
    try:
        caller = authenticate(token)
    except Unauthorized:
        if operation.is_public:
            return
        raise
    context.identify(caller)
    if context.path_project_id not in (None, caller.project_id):
        raise BadRequest("Malformed request url")
    if caller.access_rules is not None:
        _check_access_rules(caller, service, context)
    if not operation.is_public:
        context.precheck()


def _check_access_rules(caller: Caller, service: Service, context: Context) -> None:
    request = context.request
    path = request.path.removeprefix(service.root) or "/"
    rules: tuple[AccessRule, ...] = caller.access_rules or ()
    for rule in rules:
        if (rule.service, rule.method) == (service.type, request.method) and path_matches(
            rule.path, path
        ):
            return
    raise Forbidden("The application credential's access rules do not allow this request.")


def _arguments(operation: Operation, context: Context) -> dict[str, Any]:
    arguments: dict[str, Any] = dict(context.parameters)
    request = context.request
    if operation.body_shape is not None:
        if request.body:
            _check_content_type(operation, request)
        if b"\0" in request.body or ESCAPED_NUL.search(request.body):
            raise BadRequest("A NUL character is not allowed in the request body.")
        arguments["body"] = operation.read_body(request.body, context.version)
    if operation.streams and _has_body(request):
        _check_content_type(operation, request)
    if operation.query_shape is not None:
        arguments["query"] = operation.read_query(request, context.version)
    return arguments


def _has_body(request: Request) -> bool:
    """Whether a body comes with the request, by what its headers say."""
    length = request.headers.get("content-length", "0")
    return length != "0" or "transfer-encoding" in request.headers


def _check_content_type(operation: Operation, request: Request) -> None:
    taken = operation.content_types
    kind = request.content_type
    if kind in taken or "*/*" in taken or (not kind and taken[0] in (JSON_TYPE, BINARY)):
        return
    supported = ", ".join(taken)
    refusal = UnsupportedMediaType(type=kind[:80] or "none", supported=supported)
    if request.method == "PATCH":
        refusal.with_headers(Accept_Patch=supported)
    raise refusal


def _database_error(error: DBAPIError, context: Context) -> ApiError:
    """What the database says of a request that reached it: bad values, or trouble of its own."""
    from sqlalchemy.exc import DataError, OperationalError

    if isinstance(error, DataError) or isinstance(error.orig, OverflowError):
        return BadRequest("A value in the request is out of range.")
    log.exception("database error", error, request_id=context.request_id)
    return Unavailable() if isinstance(error, OperationalError) else InternalError()
